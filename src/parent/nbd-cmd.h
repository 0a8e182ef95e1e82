/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd-cmd.h - the commands of one NBD connection, which requests are cut into
 *
 * A request becomes one command for each piece that lies together, or, where the pieces are small
 * or not whole blocks, for each stretch that goes through a bounce buffer. All in the worker.
 */
#ifndef VD_PARENT_NBD_CMD_H
#define VD_PARENT_NBD_CMD_H

#include "parent/nbd.h"

#define VD_NBD_CMDS 64 /* with the server at most; its own limit is often 16 */

struct vd_nbd_cmds;

struct vd_nbd_cmd {
	struct vd_nbd_cmd *next; /* free, or answered */
	struct vd_nbd_cmds *all;
	struct vd_blk_req *req;
	uint64_t pos; /* of the first byte in the request */
	uint32_t len;
	bool bounced;   /* its data is in buf */
	uint64_t flush; /* number of a flush; 0: it is none */
	int error;      /* errno; ENOTCONN: never answered */
	uint8_t *buf;
};

struct vd_nbd_cmds {
	const struct vd_nbd_lib *lib;
	/* The connection's. */
	struct nbd_handle *h;
	bool fua;
	uint32_t block_size, payload_max; /* the latter is a multiple of the former */
	uint64_t *flushes;                /* atomic: counts flushes begun */

	struct vd_nbd_cmd *free, *answered, **answered_end;
	unsigned int nfree;
	struct vd_nbd_cmd *issuing;
	uint8_t *bounce;
	struct vd_nbd_cmd cmd[VD_NBD_CMDS];
};

/* Return: 0; -ENOMEM. */
int vd_nbd_cmds_init(struct vd_nbd_cmds *s);
void vd_nbd_cmds_fini(struct vd_nbd_cmds *s);
/* All are free: the handle that had some is closed. */
void vd_nbd_cmds_reset(struct vd_nbd_cmds *s);

/**
 * vd_nbd_cmd_issue() - Give the next command of a request to libnbd; one is free
 * @req: done and parts count on; when done == len this is the flush that follows the data
 *
 * It may be answered before this returns, and the handle be dead.
 *
 * Return: 0; -errno it is none.
 */
int vd_nbd_cmd_issue(struct vd_nbd_cmds *s, struct vd_blk_req *req);

/* Take the next that was answered. Return: NULL if there is none. */
struct vd_nbd_cmd *vd_nbd_cmd_take(struct vd_nbd_cmds *s);
/* Its data is where it belongs then, and it is free. */
void vd_nbd_cmd_put(struct vd_nbd_cmd *cmd);

#endif
