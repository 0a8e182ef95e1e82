/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/fake-dev.h"

#include <errno.h>
#include <linux/virtio_config.h>

#include "base/err.h"
#include "base/fd.h"

static struct fake_dev *to_fake(struct vd_virtio_dev *vdev)
{
	return container_of(vdev, struct fake_dev, vdev);
}

static uint8_t get_status(struct vd_virtio_dev *vdev)
{
	return to_fake(vdev)->status;
}

static int set_status(struct vd_virtio_dev *vdev, uint8_t status)
{
	struct fake_dev *f = to_fake(vdev);

	assert_int_equal(status & f->status, f->status);
	if (f->refuses_features)
		status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	f->status = status;
	if (!(status & VIRTIO_CONFIG_S_DRIVER_OK))
		return 0;
	for (unsigned int i = 0; i < vdev->nvqs; i++) {
		struct vd_virtq_conf c = {
			.features = f->features,
			.mem = f->mem,
			.num = f->vqs[i].num,
			.desc = f->vqs[i].desc,
			.driver = f->vqs[i].driver,
			.device = f->vqs[i].device,
			.state = f->vqs[i].state,
			.chain_size = sizeof(struct vd_chain),
			.iov_max = 256,
		};

		if (f->set[i])
			assert_int_equal(vd_virtq_create(&c, &f->dq[i]), 0);
	}
	return 0;
}

static int set_features(struct vd_virtio_dev *vdev, uint64_t features)
{
	assert_int_equal(features & ~vdev->offered, 0);
	to_fake(vdev)->features = features;
	return 0;
}

static uint32_t generation(struct vd_virtio_dev *vdev)
{
	(void)vdev;
	return 7;
}

static int get_config(struct vd_virtio_dev *vdev, uint32_t off, void *buf, uint32_t len)
{
	struct fake_dev *f = to_fake(vdev);

	if (off + len > f->config_size)
		return vd_err(-EINVAL, "config %u+%u of %u", off, len, f->config_size);
	memcpy(buf, (uint8_t *)f->config + off, len);
	return 0;
}

static int set_config(struct vd_virtio_dev *vdev, uint32_t off, const void *buf, uint32_t len)
{
	struct fake_dev *f = to_fake(vdev);

	assert_true(f->writable);
	assert_int_equal(off, f->writable);
	assert_int_equal(len, 1);
	memcpy((uint8_t *)f->config + off, buf, len);
	return 0;
}

static int map(struct vd_virtio_dev *vdev, const struct uvdpa_map *m)
{
	assert_null(m->addr);
	return vd_mem_map(&to_fake(vdev)->mem, m, true);
}

static int set_vq(struct vd_virtio_dev *vdev, unsigned int idx, const struct uvdpa_vq *vq)
{
	struct fake_dev *f = to_fake(vdev);

	assert_in_range(idx, 0, vdev->nvqs - 1);
	assert_false(f->set[idx]);
	f->vqs[idx] = *vq;
	f->vqs[idx].kick = vd_dup(vq->kick);
	f->vqs[idx].call = vd_dup(vq->call);
	f->set[idx] = true;
	return 0;
}

void fake_dev_reset(struct fake_dev *f)
{
	for (unsigned int i = 0; i < f->vdev.nvqs; i++) {
		if (!f->set[i])
			continue;
		vd_virtq_destroy(f->dq[i]);
		f->dq[i] = NULL;
		vd_close(&f->vqs[i].kick);
		vd_close(&f->vqs[i].call);
		f->set[i] = false;
	}
	f->status = 0;
	vd_mem_destroy(f->mem);
	f->mem = vd_mem_create();
}

static void reset(struct vd_virtio_dev *vdev)
{
	to_fake(vdev)->resets++;
	fake_dev_reset(to_fake(vdev));
}

static void quiesced(struct vd_virtio_dev *vdev)
{
	to_fake(vdev)->quiesced++;
}

static void release(struct vd_virtio_dev *vdev)
{
	to_fake(vdev)->released++;
}

static void wait_begin(struct vd_virtio_dev *vdev, struct uvdpa_wait *w)
{
	(void)vdev;
	w->pending = true;
}

static void wait_end(struct vd_virtio_dev *vdev, struct uvdpa_wait *w, int err)
{
	(void)vdev;
	assert_true(w->pending);
	w->pending = false;
	w->err = err;
}

static const struct vd_virtio_config_ops config_ops = {
	.status = get_status,
	.set_status = set_status,
	.set_features = set_features,
	.generation = generation,
	.get_config = get_config,
	.set_config = set_config,
	.map = map,
	.set_vq = set_vq,
	.reset = reset,
	.quiesced = quiesced,
	.release = release,
	.wait_begin = wait_begin,
	.wait_end = wait_end,
};

void fake_dev_init(struct fake_dev *f, struct vd_virtio_dev what)
{
	static struct vd_log log;

	vd_log_init(&log);
	assert_in_range(what.nvqs, 1, FAKE_DEV_VQS);
	*f = (struct fake_dev){ .vdev = what, .mem = vd_mem_create() };
	assert_int_equal(vd_loop_init(&f->loop), 0);
	f->vdev.config = &config_ops;
	f->vdev.log = &log;
	f->vdev.loop = &f->loop;
	f->vdev.vq_num_max = 256;
	f->vdev.iova_last = UINT64_MAX;
}

void fake_dev_fini(struct fake_dev *f)
{
	fake_dev_reset(f);
	if (f->vdev.bound)
		vd_virtio_unbind(&f->vdev);
	vd_mem_destroy(f->mem);
	vd_loop_fini(&f->loop);
}
