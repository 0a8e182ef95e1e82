/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd.h - between the pieces of the nbd parent
 *
 *	nbd.c		the parent: options, what the disk is, what it shows	control thread
 *	nbd-link.c	makes connections, one attempt after another		control thread, jobs
 *	nbd-engine.c	requests: one engine and one connection per worker	the worker
 *	nbd-cmd.c	the commands that they are cut into			the worker
 *	nbd-lib.c	libnbd itself, loaded by the first job
 *
 * A worker that has no connection asks for one in its slot, and finds it there later.
 */
#ifndef VD_PARENT_NBD_H
#define VD_PARENT_NBD_H

#include "parent/nbd-lib.h"
#include "softdev/blk.h"

/* What requests have to come home when their queue is to become quiet and the server does not
 * answer. Less than half of the gate's time, as a driver may have used the other half. */
#define VD_NBD_QUIET_MS (UVDPA_DRAIN_MS * 3 / 8)

#define VD_NBD_CONNECT_MS     10000 /* for connecting and the handshake together */
#define VD_NBD_BACKOFF_MIN_MS 20
#define VD_NBD_PAYLOAD_MAX    (32u << 20) /* of a command, where the server does not say less */

enum vd_nbd_tls { VD_NBD_TLS_OFF, VD_NBD_TLS_ALLOW, VD_NBD_TLS_REQUIRE };
enum vd_nbd_cache { VD_NBD_WRITEBACK, VD_NBD_WRITETHROUGH };
enum vd_nbd_server { VD_NBD_MAY_LOSE, VD_NBD_KEEPS };

struct vd_nbd_conf {
	struct vd_blk_args blk;
	char *uri, *socket, *export;
	char *tls_certificates, *tls_username, *tls_psk_file;
	bool tls_verify;
	unsigned int tls, cache, server_cache;
	uint64_t reconnect_ms;
};

/* What a server says of its export. */
struct vd_nbd_export {
	uint64_t size;
	uint32_t block_min, block_best, payload_max; /* bytes; 0: did not say */
	bool readonly, flush, fua, trim, zero, multi_conn, tls;
};

/* Where a worker's connection comes from. */
struct vd_nbd_slot {
	int fd;                      /* eventfd: there is one in h */
	bool wanted;                 /* atomic: a worker has none */
	struct nbd_handle *h;        /* atomic: connected; whoever takes it owns it */
	struct vd_nbd_export export; /* of h; the worker's while it wants none */
	uint32_t losses;             /* nbd->losses when connecting began; likewise */
	bool up;                     /* atomic: for showing */
	uint64_t wrote;              /* atomic: see nbd-engine.c, "Lost writes" */
} __attribute__((aligned(64)));

struct vd_nbd_link;

struct vd_nbd {
	struct vd_blk blk;
	const struct vd_nbd_conf *conf; /* core's */
	struct uvdpa *u;
	char name[UVDPA_NAME_MAX + 1];
	char *where; /* the server, for messages: no secrets */
	struct vd_nbd_link *link;
	const struct vd_nbd_lib *lib; /* the link's, once it is loaded */
	struct vd_nbd_slot *slots;   /* as many as workers were asked for */
	unsigned int nslots;         /* in use: 1 until the first connection */
	struct vd_nbd_export export; /* as the first connection found it; then constant */
	bool known;                  /* there was one */
	/* Between the workers; atomic. */
	uint32_t losses;           /* connections that were lost */
	uint64_t flushes, flushed; /* flushes begun; the last that succeeded, of them */
	bool used;                 /* there were requests since the last reset */
};

static inline struct vd_nbd *vd_nbd(struct vd_blk *blk)
{
	return container_of(blk, struct vd_nbd, blk);
}

/* ---- nbd.c; control thread ------------------------------------------------------------------- */

/* The first attempt to connect has ended; @err with the thread's sentence. */
void vd_nbd_found(struct vd_nbd *nbd, const struct vd_nbd_export *export, int err);
/* Connected again: may this be the same disk? Return: 0; -EPROTO with a sentence. */
int vd_nbd_same(struct vd_nbd *nbd, const struct vd_nbd_export *export);

/* ---- nbd-link.c; control thread but for the last --------------------------------------------- */

/* Begin to connect, for slot 0. Return: 0, vd_nbd_found() follows from the loop; -errno. */
int vd_nbd_link_open(struct vd_nbd *nbd);
/* Nothing is called any more. NULL is fine. */
void vd_nbd_link_close(struct vd_nbd_link *l);
/* A slot is wanted. Any thread. */
void vd_nbd_link_want(struct vd_nbd *nbd, struct vd_nbd_slot *slot);

/* ---- nbd-engine.c ---------------------------------------------------------------------------- */

/* As in struct vd_blk_ops. */
void vd_nbd_submit(struct vd_blk *blk, struct vd_worker *w, struct vd_blk_req **reqs,
		   unsigned int n);
int vd_nbd_worker_start(struct vd_blk *blk, struct vd_worker *w, struct vd_engine **ret_engine);

#endif
