/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk.c - the disk, and its peers, on this machine and in the same minutes
 *
 * Each cell starts both sides, has them measured in turn, and prints a line: ours, theirs, and
 * the ratio, above 1 where ours is better. The client runs on the first CPU, the device on the
 * second, or both on the first ("one cpu").
 *
 *	bench/blk [-r REPEATS] [CELL...]	a cell's name, or a pattern; all of them without
 *
 * qemu-storage-daemon and fio are the peers. What is missing is said, and its cells are left out.
 */
#include <stdio.h>

#include "blk.h"

static const struct cell *const groups[] = { null_cells, file_cells, fuse_cells, control_cells };

int main(int argc, char **argv)
{
	char **patterns = compare_begin(argc, argv);
	int failed = 0;

	if (!patterns)
		return 2;
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		for (const struct cell *c = groups[i]; c->name; c++)
			if (compare_wants(patterns, c->name))
				failed |= c->run(c) != 0;
	image_remove();
	return compare_end(failed);
}
