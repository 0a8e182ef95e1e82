# SPDX-License-Identifier: BSD-2-Clause
"""Contexts and devices: made, told of, handed about, removed."""
import errno
import os
import pathlib
import unittest

import uvdpa
from fixture import MIB, BusTest


class DeviceTest(BusTest):
    def test_add_shows_what_was_made(self):
        dev = self.ctx.add("d0", "blk", image=self.image(), driver="vhost-user",
                           socket=self.path("s"))
        self.assertEqual((dev.name, dev.mgmtdev, dev.type, dev.driver), ("d0", "blk", "block", "vhost-user"))
        self.assertTrue(dev.ready)
        self.assertEqual(dev.status, [])
        self.assertEqual(dev.show()["image"], self.path("a.img"))
        self.assertEqual(dev.config()["capacity"], MIB // 512)
        self.assertEqual(dev.describe()["socket"], self.path("s"))
        self.assertTrue(os.path.exists(self.path("s")))
        self.assertIn("VERSION_1", dev.offered)
        self.assertEqual(dev.features, [])
        self.assertEqual(dev.info["device_id"], 2)
        self.assertEqual(dev.stats(0)["requests"], 0)
        self.assertIn("d0", repr(dev))

    def test_find(self):
        dev = self.ctx.add("d0", "sim-blk")
        self.ctx.add("d1", "sim-net")
        self.assertIs(self.ctx.find("d0"), dev)
        self.assertIs(self.ctx["d0"], dev)
        self.assertIs(dev.context, self.ctx)
        self.assertEqual([d.name for d in self.ctx], ["d0", "d1"])
        self.assertEqual(len(self.ctx), 2)
        self.assertTrue("d1" in self.ctx and "d2" not in self.ctx)
        self.assertIsNone(self.ctx.find("d2"))
        with self.assertRaises(KeyError):
            self.ctx["d2"]

    def test_options_have_their_types(self):
        dev = self.ctx.add("d0", "blk", image=pathlib.Path(self.image()), num_queues=2, cache="none")
        self.assertEqual(dev.info["nvqs"], 2)
        dev = self.ctx.add("d1", "sim-net", features=["VERSION_1", "MAC"])
        self.assertEqual(set(dev.offered), {"VERSION_1", "MAC"})
        dev = self.ctx.add("d2", "sim-net", features=1 << 32 | 1 << 5)
        self.assertEqual(set(dev.offered), {"VERSION_1", "MAC"})

    def test_text_is_utf8(self):
        name = self.path("\xe4.img")
        pathlib.Path(name).write_bytes(bytes(MIB))
        self.assertEqual(self.ctx.add("d0", "blk", image=name).show()["image"], name)
        name = os.fsencode(self.path("")) + b"\xe4.img"
        pathlib.Path(os.fsdecode(name)).write_bytes(bytes(MIB))
        self.fails(errno.EINVAL, "0xe4", self.ctx.add, "d1", "blk", image=os.fsdecode(name))
        os.symlink(os.fsdecode(name), self.path("link"))
        self.assertEqual(self.ctx.add("d1", "blk", image=self.path("link")).type, "block")

    def test_driver_options_are_apart(self):
        options = {"socket": self.path("b")}
        self.ctx.add("d0", "sim-blk", driver="vhost-user", socket=self.path("a"))
        self.assertIsNone(self.ctx.add("d2", "sim-blk", driver=None).driver)
        dev = self.ctx.add("d1", "vhost-user", socket=self.path("a"), driver="vhost-user",
                           driver_options=options)
        self.assertEqual(dev.describe()["socket"], self.path("b"))

    def test_bind_unbind_override(self):
        dev = self.ctx.add("d0", "sim-blk")
        self.assertIsNone(dev.driver)
        self.fails(errno.ENODEV, "d0", dev.describe)
        dev.bind("virtio")
        self.assertEqual(dev.driver, "virtio")
        dev.bind("vhost-user", socket=self.path("s"))
        self.assertEqual(dev.driver, "vhost-user")
        dev.unbind()
        self.assertIsNone(dev.driver)
        self.assertFalse(os.path.exists(self.path("s")))
        dev.override = "virtio"
        self.assertEqual(dev.override, "virtio")
        self.fails(errno.ENODEV, "virtio", dev.bind, "vhost-user", socket=self.path("s"))
        dev.override = None
        self.assertIsNone(dev.override)

    def test_export_makes_it_again(self):
        made = {"image": self.image(), "num_queues": "2"}
        dev = self.ctx.add("d0", "blk", features=["VERSION_1", "MQ", "FLUSH"],
                           driver_override="vhost-user", **made, driver="vhost-user",
                           socket=self.path("s"))
        saved = dev.export()
        self.assertEqual(saved, {
            "name": "d0", "mgmtdev": "blk", "features": 1 << 32 | 1 << 12 | 1 << 9, **made,
            "driver": "vhost-user", "driver_options": {"socket": self.path("s")},
            "driver_override": "vhost-user"})
        dev_offered = dev.offered
        dev.delete()
        again = self.ctx.add(**saved)
        self.assertEqual(again.export(), saved)
        self.assertEqual(again.offered, dev_offered)
        self.assertEqual(self.ctx.add("d1", "sim-blk").export(), {"name": "d1", "mgmtdev": "sim-blk"})

    def test_set(self):
        image = self.image()
        dev = self.ctx.add("d0", "blk", image=image)
        self.assertIn("size", dev.set_options)
        dev.set(size=2 * MIB)
        self.assertEqual(dev.config()["capacity"], 2 * MIB // 512)
        self.fails(errno.EINVAL, "nonsense", dev.set, nonsense=1)

    def test_a_device_that_is_gone(self):
        dev = self.ctx.add("d0", "sim-blk")
        dev.delete()
        self.assertTrue(dev.gone)
        self.assertIsNone(self.ctx.find("d0"))
        for use in (dev.show, dev.unbind, dev.delete, dev.open_blk, lambda: dev.status,
                    lambda: dev.driver):
            self.fails(errno.ENODEV, "d0: the device is gone", use)
        again = self.ctx.add("d0", "sim-blk")
        self.assertIsNot(again, dev)
        self.assertTrue(dev.gone and not again.gone)

    def test_failures_say_why(self):
        self.fails(errno.ENOENT, "/nowhere", self.ctx.add, "d0", "blk", image="/nowhere/a.img")
        self.fails(errno.ENODEV, "nonsense", self.ctx.add, "d0", "nonsense")
        self.fails(errno.EINVAL, "nonsense", self.ctx.add, "d0", "sim-blk", nonsense="1")
        self.fails(errno.EINVAL, "FOO", self.ctx.add, "d0", "sim-blk", features=["FOO"])
        self.fails(errno.EINVAL, "", self.ctx.add, "", "sim-blk")
        self.ctx.add("d0", "sim-blk")
        self.fails(errno.EEXIST, "d0", self.ctx.add, "d0", "sim-blk")
        self.assertEqual([d.name for d in self.ctx], ["d0"])

    def test_wrong_types(self):
        add = self.ctx.add
        for call in (lambda: add(1, "sim-blk"), lambda: add("d0", None), lambda: add("d0"),
                     lambda: add("d0", "sim-blk", capacity=[1]), lambda: add("d0", "sim-blk", driver=3),
                     lambda: add("d0", "sim-blk", capacity=None), lambda: add("d0", "sim-blk", features="X"),
                     lambda: self.ctx.find(b"d0"), lambda: self.ctx.watch(3),
                     lambda: uvdpa.Context(log=1), lambda: self.ctx.dispatch("1")):
            with self.assertRaises(TypeError):
                call()
        for call in (lambda: add("d\0", "sim-blk"), lambda: uvdpa.Context(log_level="loud")):
            with self.assertRaises(ValueError):
                call()
        dev = add("d0", "sim-blk")
        with self.assertRaises(OverflowError):
            dev.stats(-1)
        with self.assertRaises(OverflowError):
            add("d1", "sim-blk", features=1 << 64)
        self.assertEqual(len(self.ctx), 1)

    def test_what_there_is(self):
        blk = self.ctx.mgmtdevs["blk"]
        self.assertEqual(blk["supported_classes"], ["block"])
        self.assertTrue(blk["options"]["image"]["required"])
        self.assertEqual(blk["options"]["image"]["type"], "path")
        self.assertIn("none", blk["options"]["cache"]["choices"])
        self.assertIn("socket", self.ctx.drivers["vhost-user"]["options"])
        self.assertRegex(uvdpa.__version__, r"^\d+\.\d+\.\d+$")

    def test_log(self):
        lines = []
        ctx = self.context(log=lambda level, line: lines.append((level, line)), log_level="debug")
        ctx.add("d0", "sim-blk", driver="vhost-user", socket=self.path("s"))
        self.assertTrue(any("d0" in line for _, line in lines), lines)
        self.assertTrue({level for level, _ in lines} <= {"err", "warn", "info", "debug"})

    def test_a_log_that_makes_calls(self):
        refused = []

        def log(level, line):
            for fn in (lambda: list(ctx), lambda: ctx.add("d1", "sim-blk", driver="virtio", wait=False)):
                with self.assertRaises(RuntimeError) as cm:
                    fn()
                refused.append(str(cm.exception))

        ctx = self.context(log=log, log_level="debug")
        ctx.add("d0", "sim-blk", driver="virtio")
        self.assertEqual(set(refused), {"a log function makes no calls"})
        self.assertEqual([d.name for d in ctx], ["d0"])

    def test_two_contexts(self):
        other = self.context()
        a, b = self.ctx.add("d0", "sim-blk"), other.add("d0", "sim-net")
        self.assertEqual((a.type, b.type), ("block", "network"))
        self.assertIs(other["d0"], b)
        self.ctx.close()
        self.assertTrue(a.gone and not b.gone)
        other.dispatch(0)


if __name__ == "__main__":
    unittest.main()
