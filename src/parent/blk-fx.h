/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-fx.h - for tests of block parents: kinds of them, an image, and system calls to meddle with
 */
#ifndef VD_PARENT_BLK_FX_H
#define VD_PARENT_BLK_FX_H

#include "softdev/blk-bed.h"

#define FX_DISK (1u << 20)
#define FX_SECTORS (FX_DISK / 512)

struct fx_kind {
	const char *mgmtdev;
	const char *engine;	/* NULL: sim-blk has none */
	const char *cache;      /* NULL: as it is if none is said */
	bool packed;
	bool pin;
	bool engine_only;	/* the worker does nothing at once */
	bool loop;              /* the image is a loop device over fx_image */
	bool memory;            /* the image is in memory, where fallocate() can less */
};

/* The system calls as the device under test sees them; atomic, and all zero after fx_add(). */
struct fx_fake {
	bool no_nowait;		/* everything would wait */
	bool bits;		/* I/O ends after 1000 bytes, or is interrupted */
	int sync_err;		/* errno of fdatasync() */
	int write_err;          /* errno of pwritev2() */
	int pin_err;            /* -errno of registering memory */
	int uring_err;		/* -errno of making an io_uring */
	unsigned int calls, syncs, dsyncs;
	unsigned int unsynced; /* writes and zeroing that no sync has followed */
};

extern struct fx_fake fx_fake;

#define FAKE(f) __atomic_load_n(&fx_fake.f, __ATOMIC_RELAXED)
#define FAKE_SET(f, v) __atomic_store_n(&fx_fake.f, v, __ATOMIC_RELAXED)
#define FAKE_ADD(f) __atomic_fetch_add(&fx_fake.f, 1, __ATOMIC_RELAXED)

/* FX_DISK bytes; made and removed by the group's fixtures. And the same in memory. */
extern char fx_image[], fx_memory[];
int fx_image_make(void **state);
int fx_image_remove(void **state);

/* @block_size: 0 for what it is by itself. Return: a loop device over the image, or -1 where that
 * is not allowed; its path. */
int fx_loop_open(char *path, size_t size, unsigned int block_size);

/* Bytes that the image of a kind takes of its file system. */
uint64_t fx_space(const struct fx_kind *k);

/* A device of a kind; skips the test where there can be none. @more: further options, or NULL.
 * Return: as uvdpa_dev_add(). */
int fx_add(struct bed *b, const struct fx_kind *k, const char *const *more);
/* The same, and start it. */
void fx_begin(struct bed *b, const struct fx_kind *k, const char *const *more,
	      const struct bed_conf *c);

void fx_pattern(uint8_t *to, size_t len, unsigned int seed);

#endif
