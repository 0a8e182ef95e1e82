/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vu-config.c - the configuration space, and what a front-end wrote into it
 *
 * A driver writes there once, whether it wants a disk's cache, say. But its device may be reset
 * without its knowledge: QEMU does that when it pauses, and after a crash of ours another process
 * is the device; and QEMU tells a driver that begins anew what the last one wrote. So it is noted,
 * behind the queues' parts of the in-flight region, which the front-end keeps for us; and written
 * again when the region is there. A front-end without one has to write it again by itself.
 *
 * What is read from the region is as hostile as a message, and goes the way that one would.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "driver/vu.h"
#include "virtq/virtq.h"

#define MAGIC 0x75766470612d6366u /* "uvdpa-cf" */

void vd_vus_config_init(struct vd_vus_session *s)
{
	s->kept_fd = -1;
}

void vd_vus_config_fini(struct vd_vus_session *s)
{
	vd_close(&s->kept_fd);
}

/* If it fails, the next process does without, as with a front-end that has no region. */
static void kept_write(struct vd_vus_session *s)
{
	ssize_t n = pwrite(s->kept_fd, &s->kept, sizeof(s->kept), s->kept_at);

	if (n == (ssize_t)sizeof(s->kept))
		return;
	vd_err(-EIO, "in-flight region: %s", n < 0 ? strerror(errno) : "it ends before");
	vd_vus_complain(s, "the configuration is not kept");
}

static void keep(struct vd_vus_session *s, const struct vd_vu_config *c, uint32_t from, uint32_t to)
{
	to = vd_min(to, VD_VU_CONFIG_MAX - vd_min(c->offset, (uint32_t)VD_VU_CONFIG_MAX));
	for (uint32_t i = from; i < to; i++) {
		s->kept.data[c->offset + i] = c->data[i];
		s->kept.written[(c->offset + i) / 8] |= (uint8_t)(1u << (c->offset + i) % 8);
	}
	s->kept.magic = MAGIC;
	if (s->kept_fd >= 0)
		kept_write(s);
}

void vd_vus_config_again(struct vd_vus_session *s)
{
	const struct vd_vus_kept *k = &s->kept;
	uint32_t size = vd_min(uvdpa_dev_info(s->dev)->config_size, (uint32_t)VD_VU_CONFIG_MAX);
	uint32_t to;

	if (s->kept_fd < 0 || k->magic != MAGIC)
		return;
	for (uint32_t from = 0; from < size; from = to + 1) {
		for (to = from; to < size && k->written[to / 8] >> to % 8 & 1; to++)
			;
		/* What a driver with other features may not write, it has not written. */
		if (to > from)
			uvdpa_dev_set_config(s->dev, from, k->data + from, to - from);
	}
}

uint64_t vd_vus_config_kept_at(unsigned int queues, unsigned int queue_size)
{
	return queues * vd_virtq_inflight_size(true, queue_size);
}

/* Only what cannot block us or shrink: a region that we have made. */
void vd_vus_config_region(struct vd_vus_session *s, int fd, const struct vd_vu_inflight *in)
{
	uint64_t at = vd_vus_config_kept_at(in->queues, in->queue_size);
	int seals = fcntl(fd, F_GET_SEALS);
	struct vd_vus_kept k;

	vd_close(&s->kept_fd);
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || in->size < at + sizeof(k)) {
		close(fd);
		return;
	}
	s->kept_fd = fd;
	s->kept_at = (off_t)(in->offset + at);
	if (pread(fd, &k, sizeof(k), s->kept_at) == (ssize_t)sizeof(k) && k.magic == MAGIC)
		s->kept = k;
	else if (s->kept.magic == MAGIC)
		kept_write(s);
	vd_vus_config_again(s);
}

/* Bytes behind the end are zero: front-ends ask for more than there is. */
int vd_vus_get_config(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	uint32_t size = uvdpa_dev_info(s->dev)->config_size, len = 0;
	int e = 0;

	reply->config.offset = m->config.offset;
	reply->config.size = m->config.size;
	reply->config.flags = m->config.flags;
	if (m->config.offset < size)
		len = vd_min(m->config.size, size - m->config.offset);
	if (len)
		e = uvdpa_dev_get_config(s->dev, m->config.offset, reply->config.data, len);
	reply->size = e ? 0 : (uint32_t)offsetof(struct vd_vu_config, data) + m->config.size;
	return 0;
}

/*
 * QEMU's generic device writes all of it when its guest writes a byte, and most of it is not
 * writable. So what has the value that it is given already is not written.
 */
int vd_vus_set_config(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	const struct vd_vu_config *c = &m->config;
	uint8_t now[VD_VU_CONFIG_MAX];
	uint32_t from = 0, to = c->size;
	int e;

	(void)reply;
	if (c->flags > 1)	/* 1: after a migration */
		return vd_err(-EINVAL, "flags 0x%x", c->flags);
	e = uvdpa_dev_get_config(s->dev, c->offset, now, c->size);
	if (e)
		return e;
	while (from < to && now[from] == c->data[from])
		from++;
	while (from < to && now[to - 1] == c->data[to - 1])
		to--;
	if (from == to)
		return 0;
	e = uvdpa_dev_set_config(s->dev, c->offset + from, c->data + from, to - from);
	if (!e)
		keep(s, c, from, to);
	return e;
}
