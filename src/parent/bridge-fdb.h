/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge-fdb.h - behind which port of a bridge an address was seen last
 *
 *	entry, 64 bits:		| address, 48 | port, 8 | age, 8 |
 *	bucket, a cache line:	| entry | entry | ... 8
 *
 * An entry is one word, so any thread reads and writes it without a lock. Two that learn an address
 * at once may make two entries of it: the first is found, the other one ages. A full bucket forgets
 * what was silent longest. Which bucket an address belongs to nobody outside can know, and no port
 * has more than its share: who sends from many addresses displaces few of the others.
 *
 * There is no timer: who learns does now and then what is to be done.
 */
#ifndef VD_PARENT_BRIDGE_FDB_H
#define VD_PARENT_BRIDGE_FDB_H

#include <stdbool.h>
#include <stdint.h>

#define VD_FDB_BUCKETS 2048u
#define VD_FDB_WAYS    8u
#define VD_FDB_PORTS   254u
#define VD_FDB_NONE    255u  /* no port */
#define VD_FDB_SHARE   4096u /* addresses of a port */
#define VD_FDB_TICK_MS 2000u /* ages count in these */
#define VD_FDB_AGE     150u  /* so many: 5 minutes (IEEE 802.1D, 7.9.2) */
#define VD_FDB_SWEEP   32u   /* how often old ones are removed */

struct vd_fdb {
	uint64_t key;                       /* of the buckets; odd */
	unsigned int swept;                 /* atomic: when it was, ticks */
	unsigned int learned[VD_FDB_PORTS]; /* atomic: addresses of each port */
	uint64_t entries[VD_FDB_BUCKETS][VD_FDB_WAYS] __attribute__((aligned(64))); /* atomic */
};

/* @fdb: zeroed; @key: nobody's to know; @now: as below. */
void vd_fdb_init(struct vd_fdb *fdb, uint64_t key, unsigned int now);

/* Now, in ticks. Any thread. */
unsigned int vd_fdb_now(void);

/**
 * vd_fdb_learn() - An address is behind a port
 * @mac: as a number, neither 0 nor of a group
 *
 * Context: the port's own threads.
 */
void vd_fdb_learn(struct vd_fdb *fdb, uint64_t mac, unsigned int port, unsigned int now);

/* Return: the port, or VD_FDB_NONE. Any thread. */
unsigned int vd_fdb_find(const struct vd_fdb *fdb, uint64_t mac, unsigned int now);

/* All of a port's are forgotten. Nobody learns for it now. */
void vd_fdb_forget(struct vd_fdb *fdb, unsigned int port);

/* Addresses of a port, or of all with VD_FDB_NONE. Any thread. */
unsigned int vd_fdb_count(const struct vd_fdb *fdb, unsigned int port);

#endif
