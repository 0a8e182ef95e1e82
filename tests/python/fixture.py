# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the Python module share: a directory, and contexts that end with the test."""
import os
import socket
import tempfile
import unittest

import uvdpa

MIB = 1 << 20


class BusTest(unittest.TestCase):
    """A test with a context, self.ctx, and a directory of its own."""

    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="uvdpa-test.")
        self.addCleanup(tmp.cleanup)
        self.tmp = tmp.name
        self.ctx = self.context()

    def context(self, **options):
        ctx = uvdpa.Context(**options)
        self.addCleanup(ctx.close)
        return ctx

    def path(self, name):
        return os.path.join(self.tmp, name)

    def image(self, name="a.img", size=MIB):
        with open(self.path(name), "wb") as f:
            f.truncate(size)
        return self.path(name)

    def silent(self):
        """The socket of a peer that says nothing."""
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.bind(self.path("silent"))
        s.listen()
        return self.path("silent")

    def fails(self, err, regex, fn, *args, **kwargs):
        """fn fails with this errno and a sentence that has regex."""
        with self.assertRaisesRegex(uvdpa.Error, regex) as cm:
            fn(*args, **kwargs)
        self.assertEqual(cm.exception.errno, err)
        self.assertIsInstance(cm.exception, OSError)
