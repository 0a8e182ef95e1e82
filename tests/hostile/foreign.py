# SPDX-License-Identifier: BSD-2-Clause
"""foreign.py CONTROL-SOCKET PID SOCKET FILE SERVER-PID: FILE, which a stopped server has, as anything"""
import signal, sys
from vu import *

ctl, pid, victim, server = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[5])
control = Control(ctl, pid, None)
fd = os.open(sys.argv[4], os.O_RDWR)
before = control.footprint()
messages = [(SET_MEM_TABLE, struct.pack("<II4Q", 1, 0, GPA, SIZE, UVA, 0)), (SET_VRING_KICK, bytes(8)),
            (SET_VRING_CALL, bytes(8)), (SET_BACKEND_REQ_FD, b""), (SET_OWNER, b"")]
for request, payload in messages:
    os.kill(server, signal.SIGSTOP)
    with Frontend(victim) as f:
        f.handshake()
        try:
            assert not f.ack(request, payload, [fd])
        except Gone:
            pass
        begin = time.monotonic()
        control.call("dev.show", timeout=5)
        took = time.monotonic() - begin
        print("request %u: dev show in %.1f ms" % (request, 1e3 * took))
        assert took < 1
    time.sleep(0.5)
    grown = control.footprint()["fds"] - before["fds"]
    assert grown <= 1, "%u descriptors more" % grown
    os.kill(server, signal.SIGCONT)
    with Frontend(victim) as f:	# as soon as the file can be closed
        assert f.start().io() == 0
time.sleep(0.5)
assert control.footprint()["fds"] <= before["fds"]
