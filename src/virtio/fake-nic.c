/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/fake-nic.h"

#include <errno.h>

#include "base/err.h"
#include "base/fd.h"

static struct nic *to_nic(struct vd_virtio_dev *vdev)
{
	return container_of(vdev, struct nic, vdev);
}

static uint8_t get_status(struct vd_virtio_dev *vdev)
{
	return to_nic(vdev)->status;
}

static int set_status(struct vd_virtio_dev *vdev, uint8_t status)
{
	struct nic *n = to_nic(vdev);

	n->status = status;
	if (!(status & VIRTIO_CONFIG_S_DRIVER_OK))
		return 0;
	for (unsigned int i = 0; i < QUEUES; i++) {
		struct vd_virtq_conf c = {
			.features = n->features, .mem = n->mem, .num = n->vqs[i].num,
			.desc = n->vqs[i].desc, .driver = n->vqs[i].driver,
			.device = n->vqs[i].device, .state = n->vqs[i].state,
			.chain_size = sizeof(struct vd_chain), .iov_max = 256,
		};

		if (n->set[i])
			assert_int_equal(vd_virtq_create(&c, &n->dq[i]), 0);
	}
	return 0;
}

static int set_features(struct vd_virtio_dev *vdev, uint64_t features)
{
	assert_int_equal(features & ~vdev->offered, 0);
	to_nic(vdev)->features = features;
	return 0;
}

static uint32_t generation(struct vd_virtio_dev *vdev)
{
	(void)vdev;
	return 7;
}

static int get_config(struct vd_virtio_dev *vdev, uint32_t off, void *buf, uint32_t len)
{
	struct nic *n = to_nic(vdev);

	if (off + len > n->config_size)
		return vd_err(-EINVAL, "config %u+%u of %u", off, len, n->config_size);
	memcpy(buf, (uint8_t *)&n->config + off, len);
	return 0;
}

static int set_config(struct vd_virtio_dev *vdev, uint32_t off, const void *buf, uint32_t len)
{
	(void)vdev, (void)off, (void)buf, (void)len;
	fail();
	return 0;
}

static int map(struct vd_virtio_dev *vdev, const struct uvdpa_map *m)
{
	return vd_mem_map(&to_nic(vdev)->mem, m, true);
}

static int set_vq(struct vd_virtio_dev *vdev, unsigned int idx, const struct uvdpa_vq *vq)
{
	struct nic *n = to_nic(vdev);

	assert_in_range(idx, 0, QUEUES - 1);
	n->vqs[idx] = *vq;
	n->vqs[idx].kick = vd_dup(vq->kick);
	n->vqs[idx].call = vd_dup(vq->call);
	n->set[idx] = true;
	return 0;
}

void nic_reset(struct nic *n)
{
	for (unsigned int i = 0; i < QUEUES; i++) {
		vd_virtq_destroy(n->dq[i]);
		n->dq[i] = NULL;
		if (n->set[i]) {
			vd_close(&n->vqs[i].kick);
			vd_close(&n->vqs[i].call);
		}
		n->set[i] = false;
	}
	n->status = 0;
	vd_mem_destroy(n->mem);
	n->mem = vd_mem_create();
}

static void reset(struct vd_virtio_dev *vdev)
{
	nic_reset(to_nic(vdev));
}

static void quiesced(struct vd_virtio_dev *vdev)
{
	to_nic(vdev)->quiesced++;
}

static void release(struct vd_virtio_dev *vdev)
{
	to_nic(vdev)->released++;
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
	.status = get_status, .set_status = set_status, .set_features = set_features,
	.generation = generation, .get_config = get_config, .set_config = set_config,
	.map = map, .set_vq = set_vq, .reset = reset, .quiesced = quiesced, .release = release,
	.wait_begin = wait_begin, .wait_end = wait_end,
};

struct nic *nic_create(void)
{
	static struct vd_log log;
	struct nic *n = calloc(1, sizeof(*n));

	vd_log_init(&log);
	assert_int_equal(vd_loop_init(&n->loop), 0);
	n->vdev = (struct vd_virtio_dev){
		.config = &config_ops, .name = "n0", .log = &log, .loop = &n->loop,
		.device_id = VIRTIO_ID_NET, .offered = OFFERED, .nvqs = QUEUES, .vq_num_max = 256,
		.iova_last = UINT64_MAX,
	};
	n->config = (struct virtio_net_config){
		.mac = { 2, 0, 0, 0, 0, 1 }, .status = htole16(VIRTIO_NET_S_LINK_UP),
		.max_virtqueue_pairs = htole16(2), .mtu = htole16(1500),
	};
	n->config_size = sizeof(n->config);
	n->mem = vd_mem_create();
	return n;
}

void nic_destroy(struct nic *n)
{
	nic_reset(n);
	if (n->vdev.bound)
		vd_virtio_unbind(&n->vdev);
	vd_mem_destroy(n->mem);
	vd_loop_fini(&n->loop);
	free(n);
}
