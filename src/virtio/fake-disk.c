/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/fake-disk.h"

#include <poll.h>

#include "base/fd.h"
#include "mem/sg.h"

struct disk *disk_create(void)
{
	struct disk *d = calloc(1, sizeof(*d));

	fake_dev_init(&d->dev, (struct vd_virtio_dev){ .name = "d0",
						       .device_id = VIRTIO_ID_BLOCK,
						       .offered = RING_FEATURES | BLK_FEATURES,
						       .nvqs = QUEUES });
	d->config.capacity = htole64(SECTORS);
	d->config.seg_max = htole32(8);
	d->config.blk_size = htole32(512);
	d->config.num_queues = htole16(QUEUES);
	d->dev.config = &d->config;
	d->dev.config_size = sizeof(d->config);
	d->dev.writable = offsetof(struct virtio_blk_config, wce);
	d->force_status = d->force_len = -1;
	return d;
}

int disk_bind(struct disk *d, const struct vd_virtio_conf *conf)
{
	static const struct vd_virtio_conf none;

	return vd_virtio_bind(&d->dev.vdev, conf ? conf : &none);
}

struct uvdpa_blk *disk_open(struct disk *d, const struct uvdpa_blk_opts *o)
{
	struct uvdpa_blk *blk;

	assert_int_equal(disk_bind(d, NULL), 0);
	assert_int_equal(vd_blk_open(d->dev.vdev.bound, o, &blk), 0);
	return blk;
}

void disk_destroy(struct disk *d)
{
	assert_int_equal(d->dev.released, 0);
	fake_dev_fini(&d->dev);
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

	while ((n = vd_virtq_pop(d->dev.dq[idx], c, 8)) > 0) {
		for (int i = 0; i < n; i++) {
			uint8_t status;
			uint32_t len = serve(d, c[i], &status);

			vd_virtq_push(d->dev.dq[idx], c[i],
				      d->force_len >= 0 ? (uint32_t)d->force_len : len);
		}
		if (vd_virtq_flush(d->dev.dq[idx]))
			vd_eventfd_signal(d->dev.vqs[idx].call);
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
		struct pollfd p = { .fd = d->dev.vqs[0].kick, .events = POLLIN };

		disk_run(d, 0);
		if (vd_virtq_kicks_on(d->dev.dq[0]))
			continue;
		poll(&p, 1, 1);
		vd_eventfd_drain(d->dev.vqs[0].kick);
	}
	return NULL;
}
