# SPDX-License-Identifier: BSD-2-Clause
"""The examples in Python work, and so does what the documentation shows."""
import pydoc
import re
import subprocess
import sys
import unittest
from pathlib import Path

import uvdpa
from fixture import MIB, BusTest

TOP = Path(__file__).resolve().parents[2]


class ExamplesTest(BusTest):
    def example(self, name, *args):
        r = subprocess.run([sys.executable, TOP / "examples" / name, *args], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=60)
        self.assertEqual(r.returncode, 0, r.stdout)
        return r.stdout

    def test_disk(self):
        self.assertRegex(self.example("disk.py", self.image(size=5 * MIB + 512)), r"^5243392 bytes, \d+ MiB/s\n$")

    def test_watch(self):
        out = self.example("watch.py", self.image(), self.path("s"), "0.2")
        self.assertIn("-device vhost-user-blk-pci", out)
        for line in ("added disk", "ready disk", "bound disk"):
            self.assertIn(line, out)

    def test_what_the_documentation_shows(self):
        blocks = re.findall(r"^```python\n(.*?)^```", (TOP / "doc/python.md").read_text(), re.M | re.S)
        self.assertGreater(len(blocks), 2)
        self.image("a.img")
        text = "\n".join(blocks).replace('"a.', f'"{self.tmp}/a.')
        exec(compile(text, "python.md", "exec"), {})  # pylint: disable=exec-used

    def test_everything_is_described(self):
        text = pydoc.render_doc(uvdpa, renderer=pydoc.plaintext)
        for name in uvdpa.__all__:
            self.assertTrue(name in text or name == "__version__", name)
        self.assertEqual(set(re.findall(r"uvdpa\._[a-z]+", text)) - {"uvdpa._uvdpa"}, set())
        for cls in (uvdpa.Blk, uvdpa.Context, uvdpa.Device, uvdpa.Events, uvdpa.Net, uvdpa.Request,
                    uvdpa.Rng, uvdpa.Watch):
            for name, thing in vars(cls).items():
                if not name.startswith("_"):
                    self.assertTrue(thing.__doc__, f"{cls.__name__}.{name}")


if __name__ == "__main__":
    unittest.main()
