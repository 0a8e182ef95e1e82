/* SPDX-License-Identifier: BSD-2-Clause */
/* blk.h - between the files of bench/blk: one for each kind of cell */
#ifndef BENCH_BLK_H
#define BENCH_BLK_H

#include "lib/client.h"
#include "lib/compare.h"

/* What is measured; the rest says how, to the run function of its kind. */
struct cell {
	const char *name;
	int (*run)(const struct cell *c); /* 0; -1 with a message */
	unsigned int depth;
	bool sleeps;   /* the client waits for a call */
	bool one_cpu;  /* both sides on the first */
	bool in_order; /* 1 MiB, one after the other; else 4 KiB at random */
};

extern const struct cell null_cells[], file_cells[], fuse_cells[], control_cells[];

/* blk-fio.c: a case that runs fio on @path. @engine: with its options, separated by spaces. */
struct fio {
	const char *path;
	const char *options[8];
	const struct cell *cell;
	struct bench_case *c;
};
uint64_t fio_here(void *arg, uint64_t until_ns);

/* An image of 1 GiB on a disk, in the page cache, made once. NULL with a message. */
const char *image(void);
void image_remove(void);

#endif
