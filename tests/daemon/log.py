# SPDX-License-Identifier: BSD-2-Clause
"""Messages to the journal: fields in its native protocol, else lines with a priority.

usage: log.py DAEMON COMMAND FOLDER		in a mount namespace whose /run is empty
"""
import os
import socket
import subprocess
import sys

from manager import until

daemon, command, tmp = sys.argv[1:]
ctl = tmp + "/ctl"
read, write = os.pipe()
os.set_blocking(read, False)
said = b""


def start(stream):
    p = subprocess.Popen([daemon, "-s", ctl, "--log-level", "info"], stderr=write, stdout=subprocess.DEVNULL,
                         env={**os.environ, "JOURNAL_STREAM": stream})
    until("an answer", lambda: subprocess.run([command, "-s", ctl, "dev", "show"], capture_output=True,
                                              check=False).returncode == 0)
    return p


def stop(p):
    p.terminate()
    assert p.wait(30) == 0


def uvdpa(*args):
    subprocess.run([command, "-s", ctl, *args], check=True, capture_output=True)


def heard(text):
    global said
    try:
        said += os.read(read, 65536)
    except BlockingIOError:
        pass
    return text in said


def use():
    uvdpa("dev", "add", "name", "d0", "mgmtdev", "sim-blk", "capacity", "1M", "driver", "vhost-user",
          "socket", tmp + "/d0.sock")
    front = socket.socket(socket.AF_UNIX)
    front.connect(tmp + "/d0.sock")
    return front


st = os.fstat(write)
ours = "%d:%d" % (st.st_dev, st.st_ino)

# No journal is there: priorities in front, and only if it is the journal's stream.
for stream, text in (ours, b"<6>uvdpa: info: d0: front-end connected\n"), ("1:1", b"\nuvdpa: info: d0: front-end connected\n"):
    said = b"\n"
    p = start(stream)
    front = use()
    until(text.decode(), lambda t=text: heard(t))
    front.close()
    stop(p)

os.makedirs("/run/systemd/journal")
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind("/run/systemd/journal/socket")
journal.settimeout(30)
p = start(ours)
front = use()
# A name that would be a line of its own.
path = tmp + "/x\nUVDPA_DEV=evil"
uvdpa("dev", "add", "name", "d1", "mgmtdev", "sim-blk", "capacity", "1M", "driver", "virtio", "file", path)
until("the file", lambda: os.path.exists(path))
subprocess.run(["fusermount3", "-uz", path], check=True)
wanted = {"d0: front-end connected": ("d0", "6", "vhost-user"),
          "d1: " + path.replace("\n", "\\x0a") + ": was unmounted": ("d1", "4", "virtio")}
while wanted:
    entry = dict(line.split("=", 1) for line in journal.recv(65536).decode()[:-1].split("\n"))
    assert entry["SYSLOG_IDENTIFIER"] == "uvdpad" and len(entry) in (3, 4, 7), entry
    if entry["MESSAGE"] in wanted:
        dev, priority, driver = wanted.pop(entry["MESSAGE"])
        assert (entry["UVDPA_DEV"], entry["UVDPA_PART"], entry["PRIORITY"], entry["UVDPA_MGMTDEV"],
                entry["UVDPA_DRIVER"]) == (dev, dev, priority, "sim-blk", driver), entry
stop(p)
