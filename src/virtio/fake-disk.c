/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/fake-disk.h"

#include <errno.h>
#include <poll.h>

#include "base/err.h"
#include "base/fd.h"
#include "mem/sg.h"

static struct disk *to_disk(struct vd_virtio_dev *vdev)
{
	return container_of(vdev, struct disk, vdev);
}

static uint8_t get_status(struct vd_virtio_dev *vdev)
{
	return to_disk(vdev)->status;
}

static int set_status(struct vd_virtio_dev *vdev, uint8_t status)
{
	struct disk *d = to_disk(vdev);

	assert_int_equal(status & d->status, d->status);
	if (d->refuses_features)
		status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	d->status = status;
	if (!(status & VIRTIO_CONFIG_S_DRIVER_OK))
		return 0;
	for (unsigned int i = 0; i < QUEUES; i++) {
		struct vd_virtq_conf c = {
			.features = d->features, .mem = d->mem, .num = d->vqs[i].num,
			.desc = d->vqs[i].desc, .driver = d->vqs[i].driver,
			.device = d->vqs[i].device, .state = d->vqs[i].state,
			.chain_size = sizeof(struct vd_chain), .iov_max = 256,
		};

		if (d->set[i])
			assert_int_equal(vd_virtq_create(&c, &d->dq[i]), 0);
	}
	return 0;
}

static int set_features(struct vd_virtio_dev *vdev, uint64_t features)
{
	assert_int_equal(features & ~vdev->offered, 0);
	to_disk(vdev)->features = features;
	return 0;
}

static uint32_t generation(struct vd_virtio_dev *vdev)
{
	(void)vdev;
	return 7;
}

static int get_config(struct vd_virtio_dev *vdev, uint32_t off, void *buf, uint32_t len)
{
	struct disk *d = to_disk(vdev);

	if (off + len > d->config_size)
		return vd_err(-EINVAL, "config %u+%u of %u", off, len, d->config_size);
	memcpy(buf, (uint8_t *)&d->config + off, len);
	return 0;
}

static int set_config(struct vd_virtio_dev *vdev, uint32_t off, const void *buf, uint32_t len)
{
	struct disk *d = to_disk(vdev);

	assert_int_equal(off, offsetof(struct virtio_blk_config, wce));
	assert_int_equal(len, 1);
	assert_true(d->features >> VIRTIO_BLK_F_CONFIG_WCE & 1);
	memcpy(&d->config.wce, buf, len);
	return 0;
}

static int map(struct vd_virtio_dev *vdev, const struct uvdpa_map *m)
{
	assert_null(m->addr);
	return vd_mem_map(&to_disk(vdev)->mem, m, true);
}

static int set_vq(struct vd_virtio_dev *vdev, unsigned int idx, const struct uvdpa_vq *vq)
{
	struct disk *d = to_disk(vdev);

	assert_in_range(idx, 0, QUEUES - 1);
	d->vqs[idx] = *vq;
	d->vqs[idx].kick = vd_dup(vq->kick);
	d->vqs[idx].call = vd_dup(vq->call);
	d->set[idx] = true;
	return 0;
}

void disk_reset(struct disk *d)
{
	for (unsigned int i = 0; i < QUEUES; i++) {
		if (!d->set[i])
			continue;
		vd_virtq_destroy(d->dq[i]);
		d->dq[i] = NULL;
		vd_close(&d->vqs[i].kick);
		vd_close(&d->vqs[i].call);
		d->set[i] = false;
	}
	d->status = 0;
	vd_mem_destroy(d->mem);
	d->mem = vd_mem_create();
}

static void reset(struct vd_virtio_dev *vdev)
{
	to_disk(vdev)->resets++;
	disk_reset(to_disk(vdev));
}

static void quiesced(struct vd_virtio_dev *vdev)
{
	to_disk(vdev)->quiesced++;
}

static void release(struct vd_virtio_dev *vdev)
{
	(void)vdev;
	fail();
}

/* Only commands of an application wait. */
static void wait_begin(struct vd_virtio_dev *vdev, struct uvdpa_wait *w)
{
	(void)vdev, (void)w;
	fail();
}

static void wait_end(struct vd_virtio_dev *vdev, struct uvdpa_wait *w, int err)
{
	(void)vdev, (void)w, (void)err;
	fail();
}

static const struct vd_virtio_config_ops config_ops = {
	.status = get_status, .set_status = set_status, .set_features = set_features,
	.generation = generation, .get_config = get_config, .set_config = set_config,
	.map = map, .set_vq = set_vq, .reset = reset, .quiesced = quiesced, .release = release,
	.wait_begin = wait_begin, .wait_end = wait_end,
};

struct disk *disk_create(void)
{
	static struct vd_log log;
	struct disk *d = calloc(1, sizeof(*d));

	vd_log_init(&log);
	assert_int_equal(vd_loop_init(&d->loop), 0);
	d->vdev = (struct vd_virtio_dev){
		.config = &config_ops, .name = "d0", .log = &log, .loop = &d->loop, .device_id = VIRTIO_ID_BLOCK,
		.offered = RING_FEATURES | BLK_FEATURES, .nvqs = QUEUES, .vq_num_max = 256,
		.iova_last = UINT64_MAX,
	};
	d->config.capacity = htole64(SECTORS);
	d->config.seg_max = htole32(8);
	d->config.blk_size = htole32(512);
	d->config.num_queues = htole16(QUEUES);
	d->config_size = sizeof(d->config);
	d->mem = vd_mem_create();
	d->force_status = d->force_len = -1;
	return d;
}

int disk_bind(struct disk *d, const struct vd_virtio_conf *conf)
{
	static const struct vd_virtio_conf none;

	return vd_virtio_bind(&d->vdev, conf ? conf : &none);
}

struct uvdpa_blk *disk_open(struct disk *d, const struct uvdpa_blk_opts *o)
{
	struct uvdpa_blk *blk;

	assert_int_equal(disk_bind(d, NULL), 0);
	assert_int_equal(vd_blk_open(d->vdev.bound, o, &blk), 0);
	return blk;
}

void disk_destroy(struct disk *d)
{
	disk_reset(d);
	if (d->vdev.bound)
		vd_virtio_unbind(&d->vdev);
	vd_mem_destroy(d->mem);
	vd_loop_fini(&d->loop);
	free(d);
}

static uint8_t erase(struct disk *d, uint32_t type, struct vd_sg *out)
{
	uint64_t sector, n;

	assert_int_equal(vd_sg_read(out, &d->range, sizeof(d->range)), sizeof(d->range));
	d->type = type;
	d->nranges++;
	sector = le64toh(d->range.sector);
	n = le32toh(d->range.num_sectors);
	if (sector > SECTORS || n > SECTORS - sector)
		return VIRTIO_BLK_S_IOERR;
	memset(d->bytes + sector * 512, 0, n * 512);
	return VIRTIO_BLK_S_OK;
}

static uint32_t serve(struct disk *d, struct vd_chain *c, uint8_t *ret_status)
{
	struct vd_sg out = vd_sg(c->iov, c->nout), in = vd_sg(c->iov + c->nout, c->nin);
	struct virtio_blk_outhdr h;
	int forced = __atomic_load_n(&d->force_status, __ATOMIC_RELAXED);
	uint8_t *at = d->bytes;
	size_t n;

	assert_int_equal(vd_sg_read(&out, &h, sizeof(h)), sizeof(h));
	for (unsigned int i = 0; i < c->nout + c->nin; i++)
		d->largest = vd_max(d->largest, (uint32_t)c->iov[i].len);
	*ret_status = VIRTIO_BLK_S_OK;
	if (le64toh(h.sector) >= SECTORS) {
		*ret_status = VIRTIO_BLK_S_IOERR;
		vd_sg_skip(&in, c->in_len - 1);
	} else {
		at += le64toh(h.sector) * 512;
		switch (le32toh(h.type)) {
		case VIRTIO_BLK_T_IN:
			vd_sg_write(&in, at, c->in_len - 1);
			break;
		case VIRTIO_BLK_T_OUT:
			n = vd_sg_len(&out);
			assert_int_equal(vd_sg_read(&out, at, n), n);
			break;
		case VIRTIO_BLK_T_FLUSH:
			__atomic_fetch_add(&d->flushes, 1, __ATOMIC_RELAXED);
			break;
		case VIRTIO_BLK_T_GET_ID:
			vd_sg_write(&in, "a disk of this test\0", UVDPA_BLK_ID_LEN);
			break;
		case VIRTIO_BLK_T_DISCARD:
		case VIRTIO_BLK_T_WRITE_ZEROES:
		case VIRTIO_BLK_T_SECURE_ERASE:
			assert_int_equal(h.sector, 0);
			*ret_status = erase(d, le32toh(h.type), &out);
			break;
		default:
			fail();
		}
	}
	if (forced >= 0)
		*ret_status = (uint8_t)forced;
	vd_sg_write(&in, ret_status, 1);
	return c->in_len;
}

unsigned int disk_run(struct disk *d, unsigned int idx)
{
	struct vd_chain *c[8];
	unsigned int sum = 0;
	int n;

	while ((n = vd_virtq_pop(d->dq[idx], c, 8)) > 0) {
		for (int i = 0; i < n; i++) {
			uint8_t status;
			uint32_t len = serve(d, c[i], &status);

			vd_virtq_push(d->dq[idx], c[i], d->force_len >= 0 ? (uint32_t)d->force_len : len);
		}
		if (vd_virtq_flush(d->dq[idx]))
			vd_eventfd_signal(d->vqs[idx].call);
		sum += (unsigned int)n;
	}
	assert_int_equal(n, 0);
	return sum;
}

int disk_one(struct disk *d, struct uvdpa_blkq *q, struct uvdpa_blk_req *r)
{
	struct uvdpa_blk_req *done[2];
	int n = uvdpa_blkq_submit(q, &r, 1);

	if (n < 0)
		return n;
	assert_int_equal(n, 1);
	disk_run(d, 0);
	assert_int_equal(uvdpa_blkq_poll(q, done, 2), 1);
	assert_ptr_equal(done[0], r);
	return r->res;
}

void *disk_thread(void *arg)
{
	struct disk *d = arg;

	while (!__atomic_load_n(&d->stop, __ATOMIC_ACQUIRE)) {
		struct pollfd p = { .fd = d->vqs[0].kick, .events = POLLIN };

		disk_run(d, 0);
		if (vd_virtq_kicks_on(d->dq[0]))
			continue;
		poll(&p, 1, 1);
		vd_eventfd_drain(d->vqs[0].kick);
	}
	return NULL;
}
