# SPDX-License-Identifier: BSD-2-Clause
"""Devices used in this process: what is written is read again, here and in the file."""
import array
import asyncio
import errno
import os
import select
import unittest

from fixture import MIB, BusTest


class BlkTest(BusTest):
    def disk(self, **options):
        disk = self.ctx.add("d0", "blk", image=self.image(size=4 * MIB)).open_blk(**options)
        self.addCleanup(disk.close)
        return disk

    def on_disk(self):
        with open(self.path("a.img"), "rb") as f:
            return f.read()

    def test_what_is_written_is_in_the_file(self):
        data = os.urandom(3 * MIB)
        for packed in (False, True):
            with self.subTest(packed=packed):
                with self.ctx.add("d0", "blk", image=self.image(size=4 * MIB)).open_blk(packed=packed) as disk:
                    self.assertEqual((disk.size, len(disk), disk.readonly), (4 * MIB, 4 * MIB, False))
                    self.assertEqual(disk.write(512, data), len(data))
                    disk.flush()
                    self.assertEqual(disk.read(512, len(data)), data)
                self.assertEqual(self.on_disk()[512:512 + len(data)], data)
                self.ctx["d0"].delete()

    def test_buffers_of_any_kind(self):
        disk = self.disk()
        numbers = array.array("I", range(1024))
        disk.write(0, numbers)
        again = array.array("I", bytes(4096))
        self.assertEqual(disk.readinto(0, again), 4096)
        self.assertEqual(again, numbers)
        part = memoryview(bytearray(1024))
        disk.readinto(0, part[512:])
        self.assertEqual(bytes(part), bytes(512) + numbers.tobytes()[:512])
        disk.write(512, memoryview(bytearray(b"x" * 512)))
        self.assertEqual(self.on_disk()[512:1024], b"x" * 512)
        self.assertEqual(disk.read(0, 0), b"")

    def test_ranges(self):
        disk = self.disk()
        disk.write(0, b"x" * MIB)
        disk.write_zeroes(512, 4096)
        self.assertEqual(self.on_disk()[:8192], b"x" * 512 + bytes(4096) + b"x" * (8192 - 4608))
        disk.write_zeroes(0, 4 * MIB, unmap=True)
        self.assertEqual(disk.read(0, 4 * MIB), bytes(4 * MIB))
        disk.write(0, b"x" * MIB)
        disk.discard(0, MIB)
        self.assertEqual(len(disk.read(0, MIB)), MIB)
        self.fails(errno.EOPNOTSUPP, "secure_erase", disk.secure_erase, 0, 512)

    def test_what_it_is(self):
        disk = self.disk()
        self.assertEqual(disk.id, "d0")
        self.assertEqual(disk.info["capacity_sectors"], 4 * MIB // 512)
        self.assertTrue(disk.writeback)
        disk.writeback = False
        self.assertFalse(disk.writeback)
        self.assertEqual(disk.block_size, 512)

    def test_what_is_refused(self):
        disk = self.disk()
        self.fails(errno.EINVAL, "512", disk.read, 1, 512)
        self.fails(errno.EINVAL, "512", disk.write, 0, b"x")
        self.fails(errno.EINVAL, "512", disk.read, -512, 512)
        self.fails(errno.EIO, "^d0: read of 512 bytes at 4194304: Input/output error", disk.read, 4 * MIB, 512)
        for call in (lambda: disk.write(0, "x" * 512), lambda: disk.readinto(0, bytes(512)),
                     lambda: disk.read("0", 512), lambda: disk.write(0, None),
                     lambda: disk.submit("read", 0, 512, callback=1), lambda: disk.read(0.0, 512)):
            with self.assertRaises(TypeError):
                call()
        with self.assertRaises(ValueError):
            disk.submit("nonsense")
        with self.assertRaises(ValueError):
            disk.read(0, -512)
        self.fails(errno.EBUSY, "d0", self.ctx["d0"].open_blk)
        self.fails(errno.ENODEV, "n0", self.ctx.add("n0", "sim-net").open_blk)
        self.assertEqual(disk.read(0, 512), bytes(512))

    def test_many_at_once(self):
        disk = self.disk()
        data = [os.urandom(4096) for _ in range(64)]
        seen = []
        reqs = [disk.submit("write", 4096 * i, data=d, callback=seen.append) for i, d in enumerate(data)]
        for req in reqs:
            self.assertTrue(disk.wait(req, 60))
            self.assertEqual(req.result(), b"")
        self.assertEqual(set(map(id, seen)), set(map(id, reqs)))
        reqs = [disk.submit("read", 4096 * i, 4096) for i in range(64)]
        poll = select.poll()
        poll.register(disk.fileno(), select.POLLIN)
        disk.poll()
        while disk.inflight:
            self.assertTrue(poll.poll(60000))
            disk.poll()
        self.assertEqual([r.result() for r in reqs], data)

    def test_what_a_callback_raises(self):
        disk = self.disk()
        seen = []

        def back(req):
            seen.append(req)
            raise LookupError(len(seen))

        for _ in range(8):
            disk.submit("read", 0, 512, callback=back)
        raised = 0
        while disk.inflight:
            try:
                disk.poll()
                self.ctx.dispatch(0.001)
            except LookupError:
                raised += 1
        self.assertGreater(raised, 0)
        self.assertEqual(len(seen), 8)
        self.assertEqual(disk.read(0, 512), bytes(512))

    def test_more_than_the_memory(self):
        disk = self.disk(mem=65536)
        with self.assertRaises(OSError) as cm:
            for _ in range(17):
                disk.submit("read", 0, 4096)
        self.assertEqual(cm.exception.errno, errno.EAGAIN)
        while disk.inflight:
            disk.poll()
            self.ctx.dispatch(0.001)
        self.assertEqual(disk.read(0, 4096), bytes(4096))
        self.fails(errno.ENOMEM, "65536", disk.submit, "read", 0, MIB)

    def test_in_asyncio(self):
        disk = self.disk()

        async def main():
            loop = asyncio.get_running_loop()
            loop.add_reader(self.ctx.fileno(), self.ctx.dispatch, 0)
            loop.add_reader(disk.fileno(), disk.poll)

            def begin(op, *args, **kwargs):
                future = loop.create_future()
                disk.submit(op, *args, callback=future.set_result, **kwargs)
                disk.poll()
                return future

            await asyncio.gather(*(begin("write", 512 * i, data=bytes([i]) * 512) for i in range(32)))
            got = await asyncio.gather(*(begin("read", 512 * i, 512) for i in range(32)))
            loop.remove_reader(disk.fileno())
            loop.remove_reader(self.ctx.fileno())
            return b"".join(r.result() for r in got)

        got = asyncio.run(asyncio.wait_for(main(), 60))
        self.assertEqual(got, b"".join(bytes([i]) * 512 for i in range(32)))

    def test_taken_away(self):
        disk = self.disk()
        self.ctx["d0"].delete()
        self.fails(errno.ENODEV, "d0", disk.read, 0, 512)
        disk.close()
        with self.assertRaises(ValueError):
            disk.read(0, 512)

    def test_a_disk_of_another_context(self):
        other = self.context()
        other.add("far", "blk", image=self.image(size=MIB), driver="vhost-user", socket=self.path("s"))
        # The other one is dispatched as its own program would do: by a loop that has both.
        dev = self.ctx.add("near", "vhost-user", socket=self.path("s"), wait=False)
        self.drive(other, lambda: dev.ready)
        self.assertEqual(dev.type, "block")

    def drive(self, other, until):
        poll = select.poll()
        for c in (self.ctx, other):
            poll.register(c.fileno(), select.POLLIN)
        while not until():
            self.assertTrue(poll.poll(60000))
            self.ctx.dispatch(0)
            other.dispatch(0)


class RngTest(BusTest):
    def test_read(self):
        with self.ctx.add("r0", "rng").open_rng() as rng:
            a, b = rng.read(100000), rng.read(32, timeout=60)
            self.assertEqual((len(a), len(b)), (100000, 32))
            self.assertGreater(len(set(a)), 200)
            self.assertEqual(rng.read(0), b"")
            with self.assertRaises(TypeError):
                rng.read("1")
        with self.assertRaises(ValueError):
            rng.read(1)

    def test_a_source_that_gives_nothing(self):
        os.mkfifo(self.path("source"))
        hold = os.open(self.path("source"), os.O_RDWR)
        self.addCleanup(os.close, hold)
        rng = self.ctx.add("r0", "rng", source=self.path("source")).open_rng()
        self.fails(errno.ETIMEDOUT, "r0", rng.read, 8, 0.05)
        os.write(hold, b"12345678")
        self.assertEqual(rng.read(8, 60), b"12345678")
        self.ctx["r0"].delete()
        self.fails(errno.ENODEV, "r0", rng.read, 8)


class NetTest(BusTest):
    def test_two_ends_of_a_wire(self):
        nets = [self.ctx.add(f"n{i}", "bridge", bridge="wire").open_net(packed=bool(i)) for i in range(2)]
        a, b = nets
        head = bytes.fromhex("ffffffffffff52540000000188b5")
        # What comes before a port's driver has given it buffers is lost, as on a wire.
        self.until_received(a, b, head + bytes(46))
        self.until_received(b, a, head + bytes(46))
        for size in (60, 1514):
            frame = head + os.urandom(size - 14)
            a.send(frame)
            self.assertEqual(b.recv(60), frame)
            b.send(frame)
            self.assertEqual(a.recv(60), frame)
        for i in range(1000):  # more than there are buffers
            a.send(head + i.to_bytes(46, "big"), 60)
            self.assertEqual(int.from_bytes(b.recv(60)[14:], "big"), i)
        self.fails(errno.ETIMEDOUT, "n", b.recv, 0)
        self.fails(errno.EMSGSIZE, "n", a.send, bytes(9000))
        self.assertRegex(a.mac, "^([0-9a-f]{2}:){5}[0-9a-f]{2}$")
        self.assertEqual(a.info["mtu"], 1500)
        for n in nets:
            n.close()
        with self.assertRaises(ValueError):
            a.recv(0)

    def until_received(self, a, b, frame):
        for _ in range(600):
            a.send(frame)
            try:
                b.recv(0.1)
                break
            except TimeoutError:
                pass
        while True:
            try:
                b.recv(0.1)  # one that was late
            except TimeoutError:
                return


if __name__ == "__main__":
    unittest.main()
