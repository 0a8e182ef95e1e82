# SPDX-License-Identifier: BSD-2-Clause
"""emit.py - the C of uvdpa._uvdpa: what the public headers declare, and the functions that C calls

usage: emit.py OUTPUT INCLUDE COMPILER...

The declarations are what the preprocessor leaves of the headers, so none is written twice; the
compiler checks cffi's idea of each structure against its own.
"""
import re
import subprocess
import sys

import cffi

HEADERS = "".join(f"#include <uvdpa/{name}.h>\n" for name in ("uvdpa", "blk", "net", "rng"))

# What C gives back to its owner in Python, beside what it is for the library.
OWNED = """
struct py_emit { struct uvdpa_emit c; void *self; };
struct py_log { struct uvdpa_log c; void *self; };
struct py_wait { struct uvdpa_wait c; void *self; };
struct py_watch { struct uvdpa_watch c; void *self; };
"""

# What Python reads of the system's headers: no more of them than this.
SYSTEM = """
struct iovec { void *iov_base; size_t iov_len; };
"""

CALLBACKS = """
extern "Python" {
	void py_str(struct uvdpa_emit *e, const char *key, const char *value);
	void py_num(struct uvdpa_emit *e, const char *key, uint64_t value);
	void py_flag(struct uvdpa_emit *e, const char *key, bool value);
	void py_line(struct uvdpa_log *l, enum uvdpa_log_level level, const char *line);
	void py_done(struct uvdpa_wait *w, int err);
	void py_event(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev);
}
"""


def declared(include, compiler):
    """What <uvdpa/...> declares, of the preprocessor's output: "# LINE "FILE"" begins a file's."""
    out = subprocess.run([*compiler, "-E", "-I", include, "-x", "c", "-"], input=HEADERS,
                         stdout=subprocess.PIPE, check=True, text=True).stdout
    lines, ours = [], False
    for line in out.splitlines():
        if line.startswith("# "):
            ours = "uvdpa/" in line.split('"')[1]
        elif ours and not line.startswith("#"):
            lines.append(line)
    # cffi writes a pointer to an array of constants in a way that is none.
    return re.sub(r"const (\w+ \(\*\w+\)\[)", r"\1", "\n".join(lines))


def main():
    output, include, *compiler = sys.argv[1:]
    ffi = cffi.FFI()
    ffi.cdef(SYSTEM + declared(include, compiler) + OWNED + CALLBACKS)
    ffi.set_source("uvdpa._uvdpa", HEADERS + OWNED)
    ffi.emit_c_code(output)


main()
