/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vu-inflight.c - the region in which a device notes which requests it has
 *
 *	GET_INFLIGHT_FD		a new one, made for the front-end to keep: nothing of it stays here
 *	SET_INFLIGHT_FD		the front-end's, before its rings run: new, or from before a crash
 *
 * So whatever a front-end asks for, and however often, it holds all of it itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "driver/vu.h"
#include "virtq/virtq.h"

/* Sealed, so that no page can go that a queue writes to. Return: the descriptor, -errno. */
static int region_create(uint64_t size)
{
	int fd = memfd_create("uvdpa-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

	if (fd < 0)
		return vd_err(-errno, "memory for an in-flight region: %m");
	if (!ftruncate(fd, (off_t)size) &&
	    !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return fd;
	r = vd_err(-errno, "in-flight region of %llu bytes: %m", (unsigned long long)size);
	close(fd);
	return r;
}

/* Some ask before they have chosen features, so it has room for either layout; see vu-config.c. */
static int get_region(struct vd_vus_session *s, const struct vd_vu_inflight *want,
		      uint64_t *ret_size)
{
	if (!want->queues || want->queues > s->nrings || !want->queue_size ||
	    want->queue_size > VD_VIRTQ_NUM_MAX)
		return vd_err(-EINVAL, "%u queues of %u, at most %u of %u", want->queues,
			      want->queue_size, s->nrings, VD_VIRTQ_NUM_MAX);
	*ret_size = vd_vus_config_kept_at(want->queues, want->queue_size) + sizeof(s->kept);
	return region_create(*ret_size);
}

/* A reply without a region says that there is none; a front-end can live with that. */
int vd_vus_get_inflight_fd(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	uint64_t size = 0;
	int fd = get_region(s, &m->inflight, &size);

	reply->size = m->size;
	reply->inflight = m->inflight;
	reply->inflight.size = reply->inflight.offset = 0;
	if (fd < 0) {
		vd_vus_complain(s, "GET_INFLIGHT_FD");
		return 0;
	}
	reply->inflight.size = size;
	reply->fds[reply->nfds++] = fd;
	return 0;
}

int vd_vus_set_inflight_fd(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	const struct vd_vu_inflight *in = &m->inflight;
	struct uvdpa_map map = { .len = in->size, .fd = m->fds[0], .offset = in->offset,
				 .prot = UVDPA_MAP_RW };

	int e = vd_dev_set_inflight(s->dev, &map, in->queues, in->queue_size);

	(void)reply;
	if (!e)
		vd_vus_config_region(s, vd_vu_msg_take_fd(m, 0), in);
	return e;
}
