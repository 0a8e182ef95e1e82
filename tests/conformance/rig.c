/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rig.c - one device in the hands of a bus driver that does what a case says
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/loop.h"
#include "conformance.h"

#define INDIRECT_MAX 8
#define RING_SHARE ((CF_RINGS_LEN - CF_TAIL) / CF_QUEUES & ~0xfffu)

/* ---- the bus driver -------------------------------------------------------------------------- */

static struct {
	struct uvdpa_binding b;
	struct cf *c;
} holder;	/* there is one device at a time */

static bool hold_match(const struct uvdpa_dev_info *info)
{
	(void)info;
	return true;
}

static int hold_probe(struct uvdpa_dev *dev, const void *conf, struct uvdpa_binding **ret_b)
{
	(void)dev, (void)conf;
	*ret_b = &holder.b;
	return 0;
}

static void hold_quiesce(struct uvdpa_binding *b)
{
	uvdpa_binding_quiesced(b);
}

static void hold_remove(struct uvdpa_binding *b)
{
	(void)b;
}

static void hold_changed(struct uvdpa_binding *b, enum uvdpa_event ev)
{
	(void)b;
	holder.c->changed[ev]++;
}

static void hold_describe(struct uvdpa_binding *b, struct uvdpa_emit *e)
{
	(void)b, (void)e;
}

static const struct uvdpa_opt no_opts[] = { { 0 } };
static const struct uvdpa_driver holder_driver = {
	.name = "conformance",
	.help = "does what a case says",
	.opts = no_opts,
	.match = hold_match,
	.probe = hold_probe,
	.quiesce = hold_quiesce,
	.remove = hold_remove,
	.changed = hold_changed,
	.describe = hold_describe,
};

static void log_nothing(struct uvdpa_log *l, enum uvdpa_log_level level, const char *line)
{
	(void)l, (void)level, (void)line;
}

static struct uvdpa_log nowhere = { .line = log_nothing };

/* ---- open and close -------------------------------------------------------------------------- */

void cf_open(struct cf *c, const struct cf_variant *v)
{
	const struct cf_type *type = c->type;
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "d0", .mgmtdev = v->parent,
				    .driver = "conformance" };

	*c = (struct cf){ .type = type, .memfd = -1, .mem = MAP_FAILED };
	for (unsigned int i = 0; i < CF_QUEUES; i++)
		c->q[i].kick = c->q[i].call = -1;
	holder.c = c;
	cf_fixture_open(&c->f, v);
	cf_is(uvdpa_create(&c->u), 0);
	uvdpa_set_log(c->u, &nowhere, UVDPA_LOG_ERR);
	cf_is(uvdpa_driver_register(c->u, &holder_driver), 0);
	if (v->own)
		cf_is(uvdpa_parent_register(c->u, v->own), 0);
	if (v->join)
		v->join(c);
	o.attrs = c->f.attrs;
	o.nattrs = c->f.nattrs;
	cf_ok(c, uvdpa_dev_add(c->u, &o, &c->dev, &c->w));
	c->info = uvdpa_dev_info(c->dev);
	c->nq = vd_min(c->info->nvqs, CF_QUEUES);
	c->memfd = memfd_create("conformance", MFD_CLOEXEC);
	cf_check(c->memfd >= 0);
	cf_is(ftruncate(c->memfd, CF_FILE_LEN), 0);
	c->mem = mmap(NULL, CF_FILE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, c->memfd, 0);
	cf_check(c->mem != MAP_FAILED);
}

static void queue_fini(struct cf_queue *q)
{
	vd_virtq_drv_destroy(q->drv);
	free(q->io);
	vd_close(&q->kick);
	vd_close(&q->call);
	q->drv = NULL;
	q->io = NULL;
}

/* From any state, as a case may have failed. */
void cf_close(struct cf *c)
{
	cf_peer_stop(c);
	uvdpa_destroy(c->u);
	cf_peer_free(c);
	cf_fixture_close(&c->f);
	for (unsigned int i = 0; i < CF_QUEUES; i++)
		queue_fini(&c->q[i]);
	free(c->model);
	if (c->mem != MAP_FAILED)
		munmap(c->mem, CF_FILE_LEN);
	vd_close(&c->memfd);
	*c = (struct cf){ .type = c->type, .memfd = -1, .mem = MAP_FAILED };
	for (unsigned int i = 0; i < CF_QUEUES; i++)
		c->q[i].kick = c->q[i].call = -1;
}

/* ---- time ------------------------------------------------------------------------------------ */

uint64_t cf_now_ms(void)
{
	return vd_now_ns() / 1000000u;
}

void cf_turn(struct cf *c, int ms)
{
	int r = uvdpa_dispatch(c->u, ms);

	cf_check(r >= 0 || r == -EINTR);
}

int cf_ended(struct cf *c, int r)
{
	if (r != -EINPROGRESS)
		return r;
	cf_until(c, !c->w.pending);
	return c->w.err;
}

/* ---- memory and features --------------------------------------------------------------------- */

void *cf_at(struct cf *c, uint64_t iova)
{
	if (iova >= CF_DATA_IOVA)
		return c->mem + CF_DATA_OFFSET + (iova - CF_DATA_IOVA);
	return c->mem + (iova - CF_RINGS_IOVA);
}

void cf_map(struct cf *c)
{
	struct uvdpa_map rings = { .iova = CF_RINGS_IOVA, .len = CF_RINGS_LEN, .fd = c->memfd,
				   .prot = UVDPA_MAP_RW };
	struct uvdpa_map data = { .iova = CF_DATA_IOVA, .len = CF_DATA_LEN, .fd = c->memfd,
				  .offset = CF_DATA_OFFSET, .prot = UVDPA_MAP_RW };

	cf_is(uvdpa_dev_map(c->dev, 0, &rings), 0);
	cf_is(uvdpa_dev_map(c->dev, 0, &data), 0);
	cf_ok(c, uvdpa_dev_commit(c->dev, &c->w));
}

bool cf_offered(const struct cf *c, const struct cf_mode *m)
{
	return !(m->ring & ~c->info->features) && m->num <= c->info->vq_num_max;
}

/* Of the transport, what the mode says; of the device, all but what would need more of us. */
static uint64_t choose(const struct cf *c, const struct cf_mode *m)
{
	uint64_t device = (1ull << 24) - 1;

	return c->info->features & (device | CF_F(VIRTIO_F_VERSION_1) | m->ring) &
	       ~c->features_off;
}

void cf_negotiate(struct cf *c, const struct cf_mode *m)
{
	c->lives++;
	c->features = choose(c, m);
	cf_is(uvdpa_dev_set_status(c->dev, 1), 0);
	cf_is(uvdpa_dev_set_status(c->dev, 3), 0);
	cf_is(uvdpa_dev_set_features(c->dev, c->features), 0);
	cf_is(uvdpa_dev_set_status(c->dev, 11), 0);
}

/* ---- queues ---------------------------------------------------------------------------------- */

void cf_queue_init(struct cf *c, unsigned int idx)
{
	struct cf_queue *q = &c->q[idx];
	bool packed = c->features & CF_F(VIRTIO_F_RING_PACKED);
	unsigned int indirect_max = c->indirect_max ? c->indirect_max : INDIRECT_MAX;
	struct vd_virtq_drv_conf conf;

	queue_fini(q);
	q->c = c;
	q->idx = idx;
	q->off = false;
	q->num = (uint16_t)(c->mode.num ? c->mode.num : vd_min(c->info->vq_num_max, 512u));
	q->layout = vd_vring_layout(q->num, packed, indirect_max);
	cf_check(q->layout.size <= RING_SHARE);
	q->ring_iova = CF_RINGS_IOVA + idx * RING_SHARE;
	q->ring = cf_at(c, q->ring_iova);
	q->data_len = CF_DATA_SHARE;
	q->data_iova = CF_DATA_IOVA + idx * q->data_len;
	q->kick = vd_eventfd();
	q->call = vd_eventfd();
	cf_check(q->kick >= 0 && q->call >= 0);
	conf = (struct vd_virtq_drv_conf){ .features = c->features, .num = q->num,
					   .ring = q->ring, .ring_iova = q->ring_iova,
					   .indirect_max = indirect_max };
	cf_is(vd_virtq_drv_create(&conf, &q->drv), 0);
}

void cf_queue_set(struct cf_queue *q, struct uvdpa_vq_state state)
{
	struct uvdpa_vq vq = { .num = q->num, .desc = q->ring_iova + q->layout.desc,
			       .driver = q->ring_iova + q->layout.driver,
			       .device = q->ring_iova + q->layout.device, .state = state,
			       .kick = q->kick, .call = q->call };

	cf_is(uvdpa_dev_set_vq(q->c->dev, q->idx, &vq), 0);
	cf_is(uvdpa_dev_enable_vq(q->c->dev, q->idx), 0);
}

void cf_start(struct cf *c, const struct cf_mode *m)
{
	c->mode = *m;
	cf_negotiate(c, m);
	for (unsigned int i = 0; i < c->nq; i++) {
		cf_queue_init(c, i);
		cf_queue_set(&c->q[i], vd_virtq_drv_state(c->q[i].drv));
	}
	cf_is(uvdpa_dev_set_status(c->dev, 15), 0);
}

void cf_reset(struct cf *c)
{
	cf_ok(c, uvdpa_dev_reset(c->dev, &c->w));
	cf_is(uvdpa_dev_status(c->dev), 0);
}

void cf_publish(struct cf_queue *q)
{
	if (vd_virtq_drv_publish(q->drv))
		vd_eventfd_signal(q->kick);
}

unsigned int cf_get(struct cf_queue *q, struct vd_done *done, unsigned int max)
{
	uint64_t due = cf_now_ms() + 10000;
	struct pollfd p[] = { { q->call, POLLIN, 0 }, { uvdpa_fd(q->c->u), POLLIN, 0 } };
	bool waited = false;	/* for nothing, a long time */

	for (;;) {
		int n = vd_virtq_drv_get(q->drv, done, max);

		if (n < 0)
			cf_fail(__FILE__, __LINE__, "queue %u: %s", q->idx,
				vd_virtq_drv_error(q->drv));
		if (n > 0 && waited && poll(p, 1, 200) == 0)
			cf_fail(__FILE__, __LINE__, "queue %u: done, and not notified", q->idx);
		if (n)
			return (unsigned int)n;
		waited = !vd_virtq_drv_calls_on(q->drv) && poll(p, 2, 1000) == 0;
		if (waited && q->c->type->idle && cf_now_ms() + 5000 > due)
			q->c->type->idle(q->c);
		vd_virtq_drv_calls_off(q->drv);
		if (!waited)
			vd_eventfd_drain(q->call);
		cf_turn(q->c, 0);
		if (cf_now_ms() > due)
			cf_fail(__FILE__, __LINE__, "queue %u: %u requests do not come back",
				q->idx, vd_virtq_drv_inflight(q->drv));
	}
}
