# SPDX-License-Identifier: BSD-2-Clause
"""Ends: in any order, by the garbage collector, by a signal, in another thread or process; and
nothing is left."""
import ctypes
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

import uvdpa
from fixture import MIB, BusTest


def fds():
    return len(os.listdir("/proc/self/fd"))


def threads():
    return len(os.listdir("/proc/self/task"))


class Mallinfo(ctypes.Structure):
    _fields_ = [(f, ctypes.c_size_t) for f in "arena ordblks smblks hblks hblkhd usmblks fsmblks "
                "uordblks fordblks keepcost".split()]


def allocated():
    """Bytes that malloc() has given out, by who counts them here."""
    c = ctypes.CDLL(None)
    if hasattr(c, "__sanitizer_get_current_allocated_bytes"):
        count = c.__sanitizer_get_current_allocated_bytes
        count.restype = ctypes.c_size_t
        return count()
    c.mallinfo2.restype = Mallinfo
    info = c.mallinfo2()
    return info.uordblks + info.hblkhd


class OrderTest(BusTest):
    def test_any_order(self):
        chance = random.Random(1)
        for _ in range(60):
            ctx = uvdpa.Context()
            dev = ctx.add("d0", "sim-blk")
            blk = dev.open_blk()
            rng = ctx.add("r0", "rng").open_rng()
            net = ctx.add("n0", "sim-net").open_net()
            events = ctx.events(timeout=0)
            watch = ctx.watch(lambda e: None)
            blk.submit("read", 0, 512)
            things = {"ctx": ctx, "dev": dev, "blk": blk, "rng": rng, "net": net, "events": events,
                      "watch": watch}
            del ctx, dev, blk, rng, net, events, watch
            while things:
                name = chance.choice(sorted(things))
                thing, how = things.pop(name), chance.randrange(3)
                if how == 0 and hasattr(thing, "close"):
                    thing.close()
                elif how == 1 and name == "dev" and not thing.gone:
                    thing.delete()
                del thing
            gc.collect()

    def test_cycles(self):
        for _ in range(20):
            ctx = uvdpa.Context(log=lambda level, line: None)
            ctx.me = ctx
            blk = ctx.add("d0", "sim-blk").open_blk()
            blk.more = [blk, ctx.watch(lambda e, ctx=ctx: ctx), ctx.events()]
            blk.submit("read", 0, 4096, callback=lambda r, blk=blk: blk)
            del ctx, blk
        before = threads()
        gc.collect()
        self.assertLess(threads(), before)

    def test_in_a_callback(self):
        """What a callback is the last to know ends later."""
        held = [self.context() for _ in range(2)]
        inner = uvdpa.Context()
        bag = [held[1].add("d1", "sim-blk").open_blk(), held[1].events(), inner]
        held[0].watch(lambda e: bag.clear())
        del inner
        held[0].add("d0", "sim-blk")
        held[0].dispatch(60)
        self.assertEqual(bag, [])
        held[1].dispatch(0)
        held[1]["d1"].open_blk().close()

    def test_half_made(self):
        for cls in (uvdpa.Blk, uvdpa.Net, uvdpa.Rng, uvdpa.Events, uvdpa.Watch, uvdpa.Context):
            thing = cls.__new__(cls)
            del thing
        with self.assertRaises(TypeError):
            uvdpa.Context(nonsense=1)
        with self.assertRaises(TypeError):
            self.ctx.add("d0", "sim-blk").open_blk(nonsense=1)

    def test_nothing_is_left(self):
        def once():
            with uvdpa.Context(log=lambda level, line: None) as ctx:
                dev = ctx.add("d0", "blk", image=self.path("a.img"), driver="vhost-user", socket=self.path("s"))
                dev.bind("virtio")
                with dev.open_blk() as blk:
                    blk.write(0, bytes(65536))
                    blk.read(0, 65536)
                    for _ in range(8):
                        blk.submit("read", 0, 4096)
                list(ctx.events(timeout=0))
                dev.stats(0), dev.config(), dev.show(), ctx.mgmtdevs
                with self.assertRaises(uvdpa.Error):
                    ctx.add("d1", "blk", image="/nowhere")

        self.image(size=MIB)
        for _ in range(10):
            once()
        gc.collect()
        before, objects, memory = (fds(), threads()), len(gc.get_objects()), allocated()
        rounds = 100
        for _ in range(rounds):
            once()
        gc.collect()
        self.assertEqual((fds(), threads()), before)
        self.assertLess(len(gc.get_objects()) - objects, rounds)
        # A context has some thousand bytes: one that is lost in each round would be seen.
        self.assertLess(allocated() - memory, rounds * 100)


class ThreadTest(BusTest):
    def test_one_thread_at_a_time(self):
        end, refused = threading.Event(), []

        def dispatch():
            while not end.is_set():
                try:
                    self.ctx.dispatch(0.05)
                except RuntimeError as e:
                    refused.append(str(e))

        other = threading.Thread(target=dispatch)
        other.start()
        due = time.monotonic() + 60
        while not refused and time.monotonic() < due:  # it is inside by and by
            try:
                self.ctx.find("d0")
                time.sleep(0.001)
            except RuntimeError as e:
                refused.append(str(e))
        end.set()
        other.join()
        self.assertEqual(set(refused), {"another thread is in this context"})
        self.ctx.add("d0", "sim-blk")

    def test_others_run_while_one_waits(self):
        ticks = []
        thread = threading.Thread(target=lambda: [ticks.append(time.sleep(0.001)) for _ in range(20)])
        thread.start()
        while thread.is_alive():
            self.ctx.dispatch(0.005)
        self.assertEqual(len(ticks), 20)

    def test_each_thread_a_context(self):
        failed = []

        def work(i):
            try:
                with uvdpa.Context() as ctx, ctx.add("d0", "sim-blk").open_blk() as blk:
                    for _ in range(50):
                        blk.write(0, bytes([i]) * 4096)
                        assert blk.read(0, 4096) == bytes([i]) * 4096
            except BaseException as e:  # pylint: disable=broad-except
                failed.append(e)

        all_of_them = [threading.Thread(target=work, args=(i,)) for i in range(6)]
        for t in all_of_them:
            t.start()
        for t in all_of_them:
            t.join()
        self.assertEqual(failed, [])

    def test_the_child_of_fork(self):
        self.ctx.add("d0", "sim-blk", driver="vhost-user", socket=self.path("s"))
        pid = os.fork()
        if pid == 0:
            ok = 1
            try:
                self.ctx.find("d0")
            except RuntimeError as e:
                ok = 0 if "another process" in str(e) else 2
            ctx, self.ctx = self.ctx, None
            ctx.__del__()
            os._exit(ok)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertTrue(os.path.exists(self.path("s")))
        self.assertEqual(self.ctx["d0"].driver, "vhost-user")


class SignalTest(BusTest):
    def interrupted(self, fn):
        """Ctrl-C ends fn, and the context is well afterwards."""
        main = threading.main_thread().ident
        begun, ended = threading.Event(), threading.Event()

        def interrupt():
            begun.wait(60)
            # Again, because the first may come before the wait has begun.
            while not ended.wait(0.2):
                signal.pthread_kill(main, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            with self.assertRaises(KeyboardInterrupt):
                begun.set()
                fn()
        finally:
            ended.set()
            thread.join()
        self.assertIsNone(self.ctx.find("nobody"))

    def test_dispatch(self):
        self.interrupted(self.ctx.dispatch)

    def test_events(self):
        self.interrupted(lambda: next(self.ctx.events()))

    def test_an_operation(self):
        self.interrupted(lambda: self.ctx.add("v0", "vhost-user", socket=self.silent()))
        self.ctx["v0"].delete()

    def test_rng(self):
        os.mkfifo(self.path("source"))
        hold = os.open(self.path("source"), os.O_RDWR)
        self.addCleanup(os.close, hold)
        rng = self.ctx.add("r0", "rng", source=self.path("source")).open_rng()
        self.interrupted(lambda: rng.read(1))
        os.write(hold, b"1")
        self.assertEqual(rng.read(1), b"1")


class ExitTest(BusTest):
    """What a program leaves open ends with it."""

    def run_program(self, text):
        r = subprocess.run([sys.executable, "-X", "dev", "-c", "import uvdpa\n" + text, self.path("s")],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, text=True)
        self.assertEqual((r.returncode, r.stdout), (0, ""))
        self.assertFalse(os.path.exists(self.path("s")))

    def test_left_open(self):
        self.run_program("import sys\nctx = uvdpa.Context()\n"
                         "dev = ctx.add('d0', 'sim-blk', driver='vhost-user', socket=sys.argv[1])\n"
                         "blk = ctx.add('d1', 'sim-blk').open_blk()\nevents = ctx.events()\n")

    def test_another_thread_is_in_it(self):
        r = subprocess.run([sys.executable, "-c", "import uvdpa, threading, time\nctx = uvdpa.Context()\n"
                            "ctx.add('d0', 'sim-blk')\n"
                            "threading.Thread(target=ctx.dispatch, daemon=True).start()\n"
                            "time.sleep(0.2)\n"], timeout=60)
        self.assertEqual(r.returncode, 0)


if __name__ == "__main__":
    unittest.main()
