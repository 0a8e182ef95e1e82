# SPDX-License-Identifier: BSD-2-Clause
"""Events, callbacks, and loops of one's own."""
import errno
import select
import unittest

import uvdpa
from fixture import BusTest


class EventsTest(BusTest):
    def words(self, events):
        return [f"{e.event} {e.name}" for e in events]

    def test_what_is_there_comes_first(self):
        self.ctx.add("d0", "sim-blk", driver="virtio")
        with self.ctx.events(timeout=0) as events:
            self.assertEqual(self.words(events), ["added d0", "ready d0", "bound d0"])

    def test_a_life(self):
        events = self.ctx.events(timeout=0)
        dev = self.ctx.add("d0", "sim-blk")
        dev.bind("virtio")
        dev.unbind()
        dev.delete()
        got = [w for w in self.words(events) if "status" not in w]
        self.assertEqual(got, ["added d0", "ready d0", "bound d0", "unbound d0", "removed d0"])

    def test_the_device_of_an_event(self):
        events = self.ctx.events(timeout=0)
        dev = self.ctx.add("d0", "sim-blk")
        dev.delete()
        got = list(events)
        self.assertTrue(all(e.device is dev for e in got))
        del dev, got
        # Nobody had this one, but the event has its name.
        self.ctx.add("d1", "sim-blk")
        self.ctx["d1"].delete()
        last = self.words(events)[-1]
        self.assertEqual(last, "removed d1")

    def test_many_are_not_lost(self):
        events = self.ctx.events(timeout=0)
        for i in range(300):
            self.ctx.add(f"d{i}", "sim-blk").delete()
        self.assertEqual(self.words(events)[-1], "removed d299")
        events = self.ctx.events(timeout=0)
        for i in range(100):
            self.ctx.add(f"d{i}", "sim-blk")
        self.assertEqual(sum(e.event == "added" for e in events), 100)

    def test_close(self):
        events = self.ctx.events(timeout=60)
        self.ctx.add("d0", "sim-blk")
        self.ctx.dispatch(60)
        events.close()
        self.assertEqual(self.words(events), ["added d0", "ready d0"])
        events.close()
        with self.assertRaises(StopIteration):
            next(events)

    def test_callback(self):
        seen = []
        watch = self.ctx.watch(seen.append)
        dev = self.ctx.add("d0", "sim-blk")
        self.ctx.dispatch(60)
        self.assertEqual(self.words(seen), ["added d0", "ready d0"])
        watch.close()
        watch.close()
        dev.delete()
        self.assertEqual(len(seen), 2)

    def test_what_a_callback_may_do(self):
        seen = []

        def told(e):
            seen.append(e.event)
            if e.event != "ready":
                return
            for forbidden in (lambda: self.ctx.dispatch(0), lambda: e.device.bind("virtio"),
                              e.device.delete, e.device.open_blk, self.ctx.close,
                              lambda: self.ctx.add("d1", "sim-blk")):
                with self.assertRaisesRegex(RuntimeError, "callback"):
                    forbidden()
            self.assertEqual(e.device.type, "block")
            e.device.bind("virtio", wait=False)
            self.ctx.watch(lambda e: None).close()

        with self.ctx.watch(told):
            dev = self.ctx.add("d0", "sim-blk")
            while dev.driver != "virtio":
                self.ctx.dispatch(60)
        self.assertIn("ready", seen)

    def test_what_a_callback_raises(self):
        def told(e):
            raise LookupError(e.event)

        watch = self.ctx.watch(told)
        self.ctx.add("d0", "sim-blk")
        with self.assertRaisesRegex(LookupError, "added"):
            self.ctx.dispatch(60)
        watch.close()
        self.ctx.dispatch(0)
        # What it had begun goes on.
        with self.ctx.events(timeout=0) as events:
            self.assertIn("ready d0", self.words(events))
        with self.assertRaisesRegex(LookupError, "added"):
            self.ctx.watch(told)

    def test_in_a_loop_of_its_own(self):
        poll = select.poll()
        poll.register(self.ctx.fileno(), select.POLLIN)
        self.ctx.dispatch(0)
        self.assertEqual(poll.poll(0), [])
        seen = []
        self.ctx.watch(seen.append)
        self.ctx.add("d0", "sim-blk", wait=False)
        while self.words(seen)[-1:] != ["ready d0"]:
            self.assertTrue(poll.poll(60000))
            self.ctx.dispatch(0)

    def test_timeouts(self):
        self.assertEqual(self.ctx.dispatch(0.01), 0)
        self.assertEqual(list(self.ctx.events(timeout=0.01)), [])
        # Nobody answers there: it takes as long as it takes.
        self.fails(errno.ETIMEDOUT, "v0: not done in 0.05 seconds", self.ctx.add, "v0", "vhost-user",
                   socket=self.silent(), timeout=0.05)
        self.ctx["v0"].delete()
        self.assertEqual(len(self.ctx), 0)

    def test_an_operation_that_was_not_waited_for(self):
        dev = self.ctx.add("v0", "vhost-user", socket=self.silent(), wait=False)
        self.assertFalse(dev.ready)
        dev.delete(wait=False)
        for event in self.ctx.events(timeout=60):
            if event.event == "removed":
                break
        self.assertTrue(dev.gone)


class GuardTest(BusTest):
    def test_closed(self):
        dev = self.ctx.add("d0", "sim-blk")
        self.ctx.close()
        self.ctx.close()
        self.assertTrue(self.ctx.closed)
        for call in (self.ctx.dispatch, self.ctx.fileno, lambda: self.ctx.add("d1", "sim-blk"),
                     lambda: self.ctx.devices, lambda: self.ctx.find("d0"), self.ctx.events, dev.show):
            with self.assertRaisesRegex(ValueError, "closed"):
                call()
        self.assertTrue(dev.gone)

    def test_guard_of_sigbus(self):
        uvdpa.sigbus_guard()
        uvdpa.sigbus_guard()


if __name__ == "__main__":
    unittest.main()
