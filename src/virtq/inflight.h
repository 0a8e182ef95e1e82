/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inflight.h - which requests a device has, noted where whoever comes after a crash finds them
 *
 * The rings do not say which of the requests that the driver made available are done if they are
 * done in any order. So the device's end notes it in a region beside them, which is not the
 * device's own but a peer's to keep: that of VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD. Layout and
 * order of the steps are the specification's (vhost-user, "Inflight I/O tracking").
 *
 *	pop	   the requests of a burst are marked, each with a number that says its place
 *	push	   their ids are kept here
 *	flush	   split: they are linked into a list, last_batch_head; packed: into the free list
 *		-> the index, or the first's flags: the driver has them back
 *		   marks off; split: used_idx; packed: the "old" fields
 *
 * What is found in the region at the start says whether a flush was cut off before or after the
 * arrow. What was marked and is not back is done again, in its old order, before anything else.
 *
 * Two things the specification does not say. A ring may have been in use before it got a region,
 * so used_idx begins with what the ring says, and version, which tells that the region is in use,
 * is written after it. And the entries of a packed burst that was cut off may have been written
 * behind a first one that was not: nobody has looked there, but somebody would, once the first is
 * used; so they are made available again.
 *
 * The process may end between any two stores. A CPU that stops has done what is before the place
 * and nothing of what is after it, so only the compiler must keep the order.
 *
 * The region is hostile memory: it is read once, at the start, and written after that.
 */
#ifndef VD_VIRTQ_INFLIGHT_H
#define VD_VIRTQ_INFLIGHT_H

#include "virtq/ring.h"

struct vd_inflight;

/**
 * vd_inflight_split() - Begin to note, and find out what a crash has left
 * @vq: of vd_virtq_init(); gets its inflight and nagain
 * @conf: with a region
 * @avail_idx: of the ring, now
 * @used_idx: likewise
 * @next: in: where to begin if the region is new; out: where to go on
 *
 * Return: 0; -EINVAL the ring has more descriptors than the region; -EBADMSG it has not as many
 * as it says; -ENOMEM.
 */
int vd_inflight_split(struct vd_virtq *vq, const struct vd_virtq_conf *conf, uint16_t avail_idx,
		      uint16_t used_idx, uint16_t *next);

/**
 * vd_inflight_packed() - The same for a packed ring
 * @ring: its descriptors; those that we have are marked as available again
 * @next: in and out, as above
 * @used: likewise
 * @ret_owed: ring entries between them
 *
 * Return: as above; -EBADMSG also if what is in the region cannot be.
 */
int vd_inflight_packed(struct vd_virtq *vq, const struct vd_virtq_conf *conf,
		       uint64_t vd_guest *ring, struct packed_pos *next, struct packed_pos *used,
		       unsigned int *ret_owed);

void vd_inflight_destroy(struct vd_inflight *f);

/* The head of the next request to be done again; it counts as begun. Split. vq->nagain is not 0. */
uint16_t vd_inflight_again_head(struct vd_virtq *vq);

/**
 * vd_inflight_again() - The next request to be done again. Packed. vq->nagain is not 0
 * @ret_descs: its descriptors; valid until the next call of anything here
 *
 * Return: how many.
 */
unsigned int vd_inflight_again(struct vd_virtq *vq, const struct desc **ret_descs);

/* They were popped, in this order, and no other has been since the last call. */
void vd_inflight_popped(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n);
/* They were pushed; without IN_ORDER. */
void vd_inflight_pushed(struct vd_virtq *vq, struct vd_chain *const *chains, unsigned int n);
/* What was pushed is about to be published, and is. */
void vd_inflight_flush(struct vd_virtq *vq);
void vd_inflight_flushed(struct vd_virtq *vq);

#endif
