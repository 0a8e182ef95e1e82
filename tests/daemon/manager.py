# SPDX-License-Identifier: BSD-2-Clause
"""manager - a service manager as small as one can be: sd_notify(3), sd_listen_fds(3), a store of descriptors"""
import fcntl
import os
import select
import signal
import socket
import subprocess
import time

LIMIT = 30  # seconds to wait for what must come


def until(what, ask):
    """What ask() returns as soon as that is true."""
    end = time.monotonic() + LIMIT
    while True:
        got = ask()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError("waited too long for " + what)
        time.sleep(0.02)


class Manager:
    """Starts the daemon, hears what it tells, and keeps what it stores."""

    def __init__(self, tmp, daemon):
        self.tmp, self.daemon = tmp, daemon
        self.process = None
        self.messages = []  # of the present process: lists of lines
        self.store = {}     # name: descriptor
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(tmp + "/notify")
        self.notify.setblocking(False)

    def start(self, *args, give=(), env=None):
        """give: pairs of name and descriptor; what is stored goes along."""
        fds = list(give) + list(self.store.items())
        env = {**os.environ, "NOTIFY_SOCKET": self.tmp + "/notify", "FDSTORE": "64",
               "LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": ":".join(n for n, _ in fds), **(env or {})}

        # At first out of the way of the numbers that they shall have.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 500) for _, fd in fds]

        def place():
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i, inheritable=True)

        self.messages = []
        with open(self.tmp + "/daemon.log", "ab") as log:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", self.daemon, *args],
                env=env, stdout=log, stderr=log, close_fds=False, preexec_fn=place)
        for fd in high:
            os.close(fd)

    def hear(self):
        """Take what has come."""
        while select.select([self.notify], [], [], 0)[0]:
            data, fds, _, _ = socket.recv_fds(self.notify, 4096, 4)
            lines = data.decode().split("\n")
            self.messages.append(lines)
            names = [line[7:] for line in lines if line.startswith("FDNAME=")]
            if "FDSTORE=1" in lines:
                assert len(fds) == 1 and names[0] not in self.store, (lines, fds)
                self.store[names[0]] = fds[0]
            elif "FDSTOREREMOVE=1" in lines:
                os.close(self.store.pop(names[0]))
            else:
                assert not fds, (lines, fds)
        return self.messages

    def told(self, line):
        """How often it said that."""
        return sum(line in lines for lines in self.hear())

    def wait(self, line):
        until(line, lambda: self.told(line) or self.check())

    def wait_status(self, text):
        until("STATUS=" + text, lambda: any(line.startswith("STATUS=") and text in line
                                            for lines in self.hear() for line in lines))

    def check(self):
        assert self.process.poll() is None, "the daemon ended with %d" % self.process.returncode

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        rc = self.process.wait(LIMIT)
        assert rc == 0, "the daemon ended with %d" % rc
        assert self.told("STOPPING=1") == 1
        self.process = None

    def empty(self):
        """As at the end of a service that is not started again."""
        for fd in self.store.values():
            os.close(fd)
        self.store = {}

    def end(self):
        if self.process:
            self.process.kill()
            self.process.wait()
