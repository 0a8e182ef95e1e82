// SPDX-License-Identifier: BSD-2-Clause
/*
 * segments.c - large requests whose data is in many pieces of odd sizes, written and read back
 *
 * usage: segments write|check FILE ROUNDS
 *
 * Each round writes 1 MiB in one system call, from 128 pieces that are odd numbers of sectors and
 * do not touch each other, and reads it into others. "check" finds on any machine what "write" has
 * left. Without huge pages a piece may be several segments.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define SECTOR    512
#define PIECES    128
#define LEN       (1 << 20)
#define AREA      (8 << 20) /* where the pieces lie */
#define HUGE_PAGE (2 << 20)

static uint64_t state = 88172645463325252u;

static unsigned int rnd(unsigned int below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned int)(state >> 32) % below;
}

static uint64_t word(uint64_t offset, unsigned int round)
{
	return (offset << 8 ^ round) * 0x9e3779b97f4a7c15u;
}

/* PIECES odd numbers of sectors, LEN bytes in all, in order and with gaps. */
static void choose(struct iovec *iov, char *area)
{
	unsigned int sectors[PIECES], sum = 0, at = 0;

	for (int i = 0; i < PIECES; i++)
		sum += sectors[i] = 2 * rnd(16) + 1;
	while (sum != LEN / SECTOR) {
		unsigned int *s = &sectors[rnd(PIECES)];

		if (sum < LEN / SECTOR) {
			*s += 2;
			sum += 2;
		} else if (*s > 1) {
			*s -= 2;
			sum -= 2;
		}
	}
	for (int i = 0; i < PIECES; i++) {
		unsigned int left;

		at += 1 + rnd(8);
		left = HUGE_PAGE / SECTOR - at % (HUGE_PAGE / SECTOR);
		if (left < sectors[i]) /* the next huge page may be anywhere */
			at += left;
		iov[i] = (struct iovec){ area + (size_t)at * SECTOR, (size_t)sectors[i] * SECTOR };
		at += sectors[i];
	}
}

static void fill(const struct iovec *iov, uint64_t offset, unsigned int round)
{
	for (int i = 0; i < PIECES; i++)
		for (size_t k = 0; k < iov[i].iov_len; k += 8, offset += 8)
			*(uint64_t *)((char *)iov[i].iov_base + k) = word(offset, round);
}

static void verify(const struct iovec *iov, uint64_t offset, unsigned int round)
{
	for (int i = 0; i < PIECES; i++)
		for (size_t k = 0; k < iov[i].iov_len; k += 8, offset += 8)
			if (*(uint64_t *)((char *)iov[i].iov_base + k) != word(offset, round))
				errx(1, "round %u, piece %d, byte %zu of %zu: not what was written",
				     round, i, k, iov[i].iov_len);
}

static void *area(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
	void *p = mmap(NULL, AREA, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);

	if (p == MAP_FAILED)
		p = mmap(NULL, AREA, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (p == MAP_FAILED)
		err(1, "%d bytes", AREA);
	return p;
}

int main(int argc, char **argv)
{
	bool write = argc > 1 && !strcmp(argv[1], "write");
	struct iovec iov[PIECES];
	char *memory;
	int fd;

	if (argc != 4)
		errx(2, "usage: segments write|check FILE ROUNDS");
	memory = area();
	fd = open(argv[2], write ? O_RDWR | O_DIRECT : O_RDONLY);
	if (fd < 0)
		err(1, "%s", argv[2]);
	for (unsigned int round = 0; round < (unsigned int)atoi(argv[3]); round++) {
		/* Not from the start of a sector of 4096 bytes, and not over each other. */
		uint64_t offset = (uint64_t)round * (LEN + SECTOR) + SECTOR;

		choose(iov, memory);
		if (write) {
			fill(iov, offset, round);
			if (pwritev(fd, iov, PIECES, (off_t)offset) != LEN)
				err(1, "round %u: write", round);
			choose(iov, memory);
			memset(memory, 0, AREA);
		}
		if (preadv(fd, iov, PIECES, (off_t)offset) != LEN)
			err(1, "round %u: read", round);
		verify(iov, offset, round);
	}
	return 0;
}
