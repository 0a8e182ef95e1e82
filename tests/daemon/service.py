# SPDX-License-Identifier: BSD-2-Clause
"""The daemon under a service manager: readiness, watchdog, sockets that are given and kept.

usage: service.py DAEMON COMMAND FOLDER
"""
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

from manager import Manager, until

daemon, command, tmp = sys.argv[1:]
ctl = tmp + "/ctl"


def uvdpa(*args):
    return subprocess.run([command, "-s", ctl, *args], check=True, capture_output=True, text=True).stdout


def listen(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.listen(8)
    return sock


def connect(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(30)
    sock.connect(path)
    return sock


def ask(sock):
    """GET_FEATURES of the vhost-user protocol."""
    sock.sendall(struct.pack("<III", 1, 1, 0))


def answered(sock):
    reply = sock.recv(20, socket.MSG_WAITALL)
    request, _, size, features = struct.unpack("<IIIQ", reply)
    assert (request, size) == (1, 8) and features >> 32 & 1, reply


def add(name, path):
    uvdpa("dev", "add", "name", name, "mgmtdev", "sim-blk", "capacity", "1M",
          "driver", "vhost-user", "socket", path)


def readiness():
    m.start("-s", ctl)
    m.wait("READY=1")
    assert m.hear()[0][:1] == ["READY=1"] and m.hear()[0][1].startswith("STATUS=0 devices"), m.messages
    uvdpa("dev", "show")
    add("d0", tmp + "/d0")
    uvdpa("dev", "add", "name", "d1", "mgmtdev", "sim-blk", "capacity", "1M")
    m.wait_status("2 devices, 1 bound")
    m.stop()
    assert m.told("WATCHDOG=1") == 0
    m.empty()
    os.unlink(tmp + "/d0")


def watchdog():
    """It is the control loop that pings: a process that is stuck there says nothing."""
    m.start("-s", ctl, env={"WATCHDOG_USEC": "200000"})
    until("pings", lambda: m.told("WATCHDOG=1") >= 3)
    m.process.send_signal(signal.SIGSTOP)
    until("stopped", lambda: open("/proc/%d/stat" % m.process.pid).read().rsplit(")", 1)[1].split()[0] == "T")
    n = m.told("WATCHDOG=1")
    time.sleep(0.5)
    assert m.told("WATCHDOG=1") == n
    m.process.send_signal(signal.SIGCONT)
    until("pings", lambda: m.told("WATCHDOG=1") > n)
    m.stop()
    # It is for another process.
    m.start("-s", ctl, env={"WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"})
    m.wait("READY=1")
    time.sleep(0.3)
    assert m.told("WATCHDOG=1") == 0
    m.stop()


def activation():
    """The control socket by its name, or by its path; its file is the manager's."""
    for name, path, args in (("control", tmp + "/other", ()), ("any", ctl, ("-s", ctl)), ("", ctl, ("-s", ctl))):
        sock = listen(path)
        early = connect(path)
        early.sendall(b'{"jsonrpc":"2.0","id":1,"method":"version"}\n')
        m.start(*args, give=[("what", os.open("/dev/null", os.O_RDONLY)), (name, sock.fileno())])
        assert b'"result"' in early.recv(4096)
        m.wait("READY=1")
        m.stop()
        assert stat.S_ISSOCK(os.stat(path).st_mode)
        sock.close()
        os.unlink(path)
    # Of another process, or without a manager that names it: --fd.
    sock = listen(ctl)
    os.set_inheritable(sock.fileno(), True)
    p = subprocess.Popen([daemon, "--fd", str(sock.fileno())], close_fds=False, stdout=subprocess.DEVNULL)
    uvdpa("dev", "show")
    # The descriptor is not to be had by a client as anything else.
    r = subprocess.run([command, "-s", ctl, "dev", "add", "name", "x", "mgmtdev", "sim-blk", "capacity", "1M",
                        "driver", "vhost-user", "fd", str(sock.fileno())], capture_output=True, text=True, check=False)
    assert r.returncode == 1 and "fd %d" % sock.fileno() in r.stderr, r
    p.terminate()
    assert p.wait(30) == 0
    assert os.path.exists(ctl)
    sock.close()
    os.unlink(ctl)
    for bad, text in (("x", "not a number"), ("2", "not a number"), ("999", "is not open"), ("0x5", "not a number")):
        r = subprocess.run([daemon, "--fd", bad], capture_output=True, text=True, check=False)
        assert r.returncode == 1 and text in r.stderr, r


def given():
    """A device listens at a socket that the manager made, and never removes it."""
    path = tmp + "/given"
    sock = listen(path)
    m.start("-s", ctl, give=[("vm", sock.fileno())])
    m.wait("READY=1")
    for name in ("d0", "d1"):
        add(name, path)
        front = connect(path)
        ask(front)
        answered(front)
        front.close()
        uvdpa("dev", "del", name)
        assert os.path.exists(path)
    m.stop()
    assert os.path.exists(path) and not m.store
    sock.close()
    os.unlink(path)


def kept():
    """A front-end that connects while no daemon runs is served by the next."""
    path = tmp + "/d0.sock"
    m.start("-s", ctl)
    m.wait("READY=1")
    add("d0", path)
    add("d1", tmp + "/d1.sock")
    until("two in the store", lambda: m.hear() and len(m.store) == 2)
    # What is kept is not for two.
    second = subprocess.run([command, "-s", ctl, "dev", "add", "name", "d2", "mgmtdev", "sim-blk", "driver",
                             "vhost-user", "socket", path], capture_output=True, timeout=60)
    assert second.returncode and b"listens there" in second.stderr, second
    uvdpa("dev", "del", "d1")
    until("one in the store", lambda: m.hear() and len(m.store) == 1)
    assert list(m.store)[0] == "d0@%d" % os.stat(path).st_ino
    assert not os.path.exists(tmp + "/d1.sock")
    m.stop()
    assert len(m.store) == 1 and os.path.exists(path)
    front = connect(path)
    ask(front)
    m.start("-s", ctl)
    m.wait("READY=1")
    add("d0", path)
    answered(front)
    front.close()
    assert m.told("FDSTORE=1") == 0
    # It may move; then it is no longer wanted here.
    uvdpa("dev", "unbind", "d0")
    until("an empty store", lambda: m.hear() and not m.store)
    assert not os.path.exists(path)
    uvdpa("dev", "bind", "d0", "vhost-user", "socket", path)
    until("one in the store", lambda: m.hear() and len(m.store) == 1)
    m.process.kill()  # a crash: the same
    m.process.wait()
    front = connect(path)
    ask(front)
    m.start("-s", ctl)
    m.wait("READY=1")
    add("d0", path)
    answered(front)
    m.stop()
    # Somebody removed the file: the kept socket is of no use, a new one is made.
    os.unlink(path)
    m.start("-s", ctl)
    m.wait("READY=1")
    add("d0", path)
    until("the new one", lambda: m.hear() and list(m.store) == ["d0@%d" % os.stat(path).st_ino])
    assert m.told("FDSTOREREMOVE=1") == 1
    front = connect(path)
    ask(front)
    answered(front)
    uvdpa("dev", "del", "d0")
    until("an empty store", lambda: m.hear() and not m.store)
    m.stop()
    # A manager without a store: nothing is left behind.
    m.start("-s", ctl, env={"FDSTORE": "0"})
    m.wait("READY=1")
    add("d0", path)
    m.stop()
    assert not m.store and not os.path.exists(path)


def nobody():
    """A manager that is not there does not matter."""
    m.start("-s", ctl, env={"NOTIFY_SOCKET": tmp + "/none", "WATCHDOG_USEC": "100000"})
    until("an answer", lambda: subprocess.run([command, "-s", ctl, "dev", "show"], capture_output=True,
                                              check=False).returncode == 0)
    m.process.terminate()
    assert m.process.wait(30) == 0
    m.process = None


def nonsense():
    """A manager that says it has given more than there is, or less than nothing."""
    sock = listen(ctl)
    m.start("-s", ctl, give=[("control", sock.fileno())], env={"LISTEN_FDS": "9223372036854775807"})
    m.wait("READY=1")
    m.stop()
    sock.close()
    os.unlink(ctl)
    for n in ("-1", "many"):
        m.start("-s", ctl, env={"LISTEN_FDS": n})
        m.wait("READY=1")
        m.stop()


m = Manager(tmp, daemon)
try:
    for test in (readiness, watchdog, activation, given, kept, nobody, nonsense):
        print(test.__name__, flush=True)
        test()
finally:
    m.end()
