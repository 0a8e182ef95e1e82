/* SPDX-License-Identifier: BSD-2-Clause */
#include "softdev/blk-bed.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"

#define RING 262144u
#define SCRATCH (1u << 20)	/* for bed_io(), of each queue, from the end */

struct binding {
	struct uvdpa_binding b;
	struct bed *bed;
};

/* A bus driver has no place for the test's data: of the bed that is being made. */
static struct bed *the_bed;

static int bed_probe(struct uvdpa_dev *dev, const void *conf, struct uvdpa_binding **ret_b)
{
	struct binding *x = calloc(1, sizeof(*x));

	(void)dev;
	(void)conf;
	assert_non_null(x);
	x->bed = the_bed;
	*ret_b = &x->b;
	return 0;
}

static void bed_quiesce(struct uvdpa_binding *b)
{
	uvdpa_binding_quiesced(b);
}

static void bed_remove(struct uvdpa_binding *b)
{
	free(container_of(b, struct binding, b));
}

static void bed_changed(struct uvdpa_binding *b, enum uvdpa_event ev)
{
	if (ev == UVDPA_DEV_STATUS)
		container_of(b, struct binding, b)->bed->changed++;
}

static void bed_describe(struct uvdpa_binding *b, struct uvdpa_emit *e)
{
	(void)b;
	(void)e;
}

static const struct uvdpa_opt no_opts[] = { { 0 } };

static const struct uvdpa_driver bed_driver = {
	.name = "bed",
	.help = "for tests",
	.opts = no_opts,
	.conf_size = 0,
	.probe = bed_probe,
	.quiesce = bed_quiesce,
	.remove = bed_remove,
	.changed = bed_changed,
	.describe = bed_describe,
};

static int add(struct bed *b, const char *name, const char *mgmtdev, const char *const *attrs)
{
	struct uvdpa_attr a[16];
	struct uvdpa_dev_opts o = {
		.size = sizeof(o), .name = name, .mgmtdev = mgmtdev, .attrs = a, .driver = "bed",
	};
	struct uvdpa_wait w = { 0 };
	int r;

	the_bed = b;
	for (; attrs && attrs[0]; attrs += 2)
		a[o.nattrs++] = (struct uvdpa_attr){ attrs[0], attrs[1] };
	r = uvdpa_dev_add(b->u, &o, &b->dev, &w);
	r = uvdpa_await(b->u, &w, r);
	if (r)
		return r;
	b->fd = memfd_create("bed", MFD_CLOEXEC);
	assert_true(b->fd >= 0);
	assert_int_equal(ftruncate(b->fd, BED_SIZE), 0);
	b->mem = mmap(NULL, BED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
	assert_true(b->mem != MAP_FAILED);
	for (unsigned int i = 0; i < BED_QUEUES; i++) {
		b->q[i].kick = vd_eventfd();
		b->q[i].call = vd_eventfd();
		assert_true(b->q[i].kick >= 0 && b->q[i].call >= 0);
	}
	return 0;
}

static void create(struct bed *b)
{
	memset(b, 0, sizeof(*b));
	assert_int_equal(uvdpa_create(&b->u), 0);
	assert_int_equal(uvdpa_driver_register(b->u, &bed_driver), 0);
}

static int add_first(struct bed *b, const char *mgmtdev, const char *const *attrs)
{
	int r = add(b, "d0", mgmtdev, attrs);

	if (r)
		uvdpa_destroy(b->u);
	return r;
}

int bed_add(struct bed *b, const char *mgmtdev, const char *const *attrs)
{
	create(b);
	return add_first(b, mgmtdev, attrs);
}

int bed_add_own(struct bed *b, const struct uvdpa_parent *parent)
{
	create(b);
	assert_int_equal(uvdpa_parent_register(b->u, parent), 0);
	return add_first(b, uvdpa_parent_name(parent), NULL);
}

int bed_join(struct bed *b, struct bed *first, const char *name, const char *mgmtdev,
	     const char *const *attrs)
{
	memset(b, 0, sizeof(*b));
	b->u = first->u;
	b->joined = true;
	return add(b, name, mgmtdev, attrs);
}

static void start_queue(struct bed *b, unsigned int i, const struct bed_conf *c)
{
	bool packed = b->features & 1ull << 34;
	struct vd_vring_layout l = vd_vring_layout(b->num, packed, 0);
	uint64_t at = bed_iova(i * RING);
	struct vd_virtq_drv_conf dc = {
		.features = b->features, .num = b->num, .ring = b->mem + i * RING, .ring_iova = at,
	};
	struct uvdpa_vq vq = {
		.num = b->num, .desc = at + l.desc, .driver = at + l.driver, .device = at + l.device,
		.kick = c->no_kick || c->in_band ? -1 : b->q[i].kick, .call = b->q[i].call,
		.poll = c->no_kick,
	};

	assert_true(l.size <= RING);
	assert_int_equal(vd_virtq_drv_create(&dc, &b->q[i].drv), 0);
	vq.state = vd_virtq_drv_state(b->q[i].drv);
	vd_eventfd_drain(b->q[i].kick);
	vd_eventfd_drain(b->q[i].call);
	assert_int_equal(uvdpa_dev_set_vq(b->dev, i, &vq), 0);
	assert_int_equal(uvdpa_dev_enable_vq(b->dev, i), 0);
}

void bed_start(struct bed *b, const struct bed_conf *c)
{
	static const struct bed_conf none;
	const struct uvdpa_dev_info *info = uvdpa_dev_info(b->dev);
	struct uvdpa_map map = { .iova = BED_IOVA, .len = BED_SIZE, .fd = b->fd, .addr = b->mem,
				 .prot = UVDPA_MAP_RW };
	struct uvdpa_wait w = { 0 };
	int r;

	c = c ? c : &none;
	b->nq = c->queues ? c->queues : 1;
	b->num = c->num ? c->num : 64;
	b->features = info->features & ~c->features_off & ~(1ull << 38);
	if (!c->packed)
		b->features &= ~(1ull << 34);
	assert_int_equal(uvdpa_dev_set_status(b->dev, 1), 0);
	assert_int_equal(uvdpa_dev_set_status(b->dev, 3), 0);
	assert_int_equal(uvdpa_dev_set_features(b->dev, b->features), 0);
	assert_int_equal(uvdpa_dev_set_status(b->dev, 11), 0);
	r = uvdpa_dev_map(b->dev, 0, &map);
	assert_true(r == 0 || r == -EEXIST);	/* reset keeps it */
	r = uvdpa_dev_commit(b->dev, &w);
	assert_int_equal(uvdpa_await(b->u, &w, r), 0);
	for (unsigned int i = 0; i < b->nq; i++)
		start_queue(b, i, c);
	assert_int_equal(uvdpa_dev_set_status(b->dev, 15), 0);
}

static void destroy_queues(struct bed *b)
{
	for (unsigned int i = 0; i < BED_QUEUES; i++) {
		vd_virtq_drv_destroy(b->q[i].drv);
		b->q[i].drv = NULL;
	}
}

void bed_reset(struct bed *b)
{
	struct uvdpa_wait w = { 0 };
	int r = uvdpa_dev_reset(b->dev, &w);

	assert_int_equal(uvdpa_await(b->u, &w, r), 0);
	destroy_queues(b);
}

void bed_suspend(struct bed *b)
{
	struct uvdpa_wait w = { 0 };
	int r = uvdpa_dev_suspend(b->dev, &w);

	assert_int_equal(uvdpa_await(b->u, &w, r), 0);
}

void bed_resume(struct bed *b)
{
	assert_int_equal(uvdpa_dev_resume(b->dev), 0);
}

/* Memory of devices that joined another's context: one that was taken away while it was stuck uses
 * it until that is destroyed. */
static uint8_t *left[256];
static unsigned int nleft;

void bed_end(struct bed *b)
{
	struct uvdpa_wait w = { 0 };
	int r = uvdpa_dev_del(b->dev, &w);

	assert_int_equal(uvdpa_await(b->u, &w, r), 0);
	if (!b->joined)
		uvdpa_destroy(b->u);
	destroy_queues(b);
	for (unsigned int i = 0; i < BED_QUEUES; i++) {
		close(b->q[i].kick);
		close(b->q[i].call);
	}
	close(b->fd);
	assert_true(nleft < VD_ARRAY_SIZE(left));
	left[nleft++] = b->mem;
	while (!b->joined && nleft)
		munmap(left[--nleft], BED_SIZE);
}

int bed_add_req(struct bed *b, unsigned int q, const struct vd_buf *bufs, unsigned int nout,
		unsigned int nin)
{
	int id = vd_virtq_drv_add(b->q[q].drv, bufs, nout, nin);

	assert_true(id >= 0);
	if (vd_virtq_drv_publish(b->q[q].drv)) {
		if (uvdpa_dev_vq(b->dev, q)->kick >= 0)
			vd_eventfd_signal(b->q[q].kick);
		else if (!uvdpa_dev_vq(b->dev, q)->poll)
			uvdpa_dev_kick(b->dev, q, q);
	}
	return id;
}

int bed_get(struct bed *b, unsigned int q, struct vd_done *done, unsigned int max, int timeout_ms)
{
	struct vd_virtq_drv *drv = b->q[q].drv;
	uint64_t end = vd_now_ns() + (uint64_t)timeout_ms * 1000000u;

	for (;;) {
		struct pollfd p[] = { { .fd = b->q[q].call, .events = POLLIN },
				      { .fd = uvdpa_fd(b->u), .events = POLLIN } };
		int n = vd_virtq_drv_get(drv, done, max);

		if (n || vd_now_ns() > end)
			return n;
		if (vd_virtq_drv_calls_on(drv))
			continue;
		poll(p, 2, timeout_ms);
		vd_eventfd_drain(b->q[q].call);
		uvdpa_dispatch(b->u, 0);
	}
}

uint8_t bed_io(struct bed *b, unsigned int q, struct bed_io *io)
{
	uint64_t at = BED_SIZE - (q + 1) * SCRATCH;
	struct virtio_blk_outhdr hdr = { .type = htole32(io->type), .sector = htole64(io->sector) };
	bool out = io->type == VIRTIO_BLK_T_OUT || io->type == VIRTIO_BLK_T_DISCARD ||
		   io->type == VIRTIO_BLK_T_WRITE_ZEROES || io->type == VIRTIO_BLK_T_SECURE_ERASE;
	struct vd_buf bufs[3] = {
		{ bed_iova(at), sizeof(hdr) }, { bed_iova(at + 32), io->len }, { bed_iova(at + 16), 1 },
	};
	struct vd_done done;

	assert_true(io->len <= SCRATCH - 32);
	memcpy(b->mem + at, &hdr, sizeof(hdr));
	b->mem[at + 16] = 0xff;
	if (out)
		memcpy(b->mem + at + 32, io->data, io->len);
	else
		memset(b->mem + at + 32, 0xee, io->len);
	if (io->len) {
		bed_add_req(b, q, bufs, out ? 2 : 1, out ? 1 : 2);
	} else {
		bufs[1] = bufs[2];
		bed_add_req(b, q, bufs, 1, 1);
	}
	assert_int_equal(bed_get(b, q, &done, 1, 5000), 1);
	io->used = done.len;
	if (!out && io->data)
		memcpy(io->data, b->mem + at + 32, io->len);
	return b->mem[at + 16];
}

/* ---- what the device tells ------------------------------------------------------------------ */

struct find {
	struct uvdpa_emit e;
	const char *name;
	bool found;
	uint64_t value; /* if it is a number */
	char text[128];
};

static void find_str(struct uvdpa_emit *e, const char *key, const char *value)
{
	struct find *f = container_of(e, struct find, e);

	if (strcmp(key, f->name) == 0) {
		f->found = true;
		snprintf(f->text, sizeof(f->text), "%s", value);
	}
}

static void find_num(struct uvdpa_emit *e, const char *key, uint64_t value)
{
	struct find *f = container_of(e, struct find, e);
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	find_str(e, key, text);
	if (strcmp(key, f->name) == 0)
		f->value = value;
}

static void find_flag(struct uvdpa_emit *e, const char *key, bool value)
{
	find_str(e, key, value ? "true" : "false");
}

static struct find find(const char *name)
{
	return (struct find){ .e = { .str = find_str, .num = find_num, .flag = find_flag },
			      .name = name };
}

uint64_t bed_stat(struct bed *b, unsigned int q, const char *name)
{
	struct find f = find(name);

	assert_int_equal(uvdpa_dev_stats(b->dev, q, &f.e), 0);
	assert_true(f.found);
	return f.value;
}

const char *bed_shown(struct bed *b, const char *key)
{
	static struct find f;

	f = find(key);
	uvdpa_dev_show(b->dev, &f.e);
	return f.text;
}
