/* SPDX-License-Identifier: BSD-2-Clause */
/* net.c - the virtio network driver: what net.h draws, and its life */
#include "virtio/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/sized.h"

#define QUEUE_SIZE_MIN 4u
#define QUEUE_SIZE_DEF 1024u
#define MEM_DEF (16u << 20)

#define F VD_F

/* What is sent as it is, whoever sends; what is received is the application's choice. */
#define TX_OFFLOADS                                                                       \
	(F(VIRTIO_NET_F_HOST_TSO4) | F(VIRTIO_NET_F_HOST_TSO6) | F(VIRTIO_NET_F_HOST_ECN) | \
	 F(VIRTIO_NET_F_HOST_UFO) | F(VIRTIO_NET_F_HOST_USO))

/* What goes by the control queue. CTRL_VLAN is not here: with it, a device has to drop what has a tag. */
#define COMMANDS                                                                               \
	(F(VIRTIO_NET_F_CTRL_RX) | F(VIRTIO_NET_F_CTRL_RX_EXTRA) | F(VIRTIO_NET_F_MQ) |        \
	 F(VIRTIO_NET_F_CTRL_MAC_ADDR) | F(VIRTIO_NET_F_GUEST_ANNOUNCE) |                      \
	 F(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS))

#define FEATURES                                                                                \
	(F(VIRTIO_F_VERSION_1) | F(VIRTIO_F_ACCESS_PLATFORM) | F(VIRTIO_RING_F_INDIRECT_DESC) | \
	 F(VIRTIO_RING_F_EVENT_IDX) | F(VIRTIO_NET_F_CSUM) | F(VIRTIO_NET_F_MTU) |              \
	 F(VIRTIO_NET_F_MAC) | F(VIRTIO_NET_F_MRG_RXBUF) | F(VIRTIO_NET_F_STATUS) |             \
	 F(VIRTIO_NET_F_SPEED_DUPLEX) | F(VIRTIO_NET_F_CTRL_VQ) | TX_OFFLOADS | COMMANDS)

static struct vd_netdrv *to_drv(struct vd_virtio_bound *b)
{
	return container_of(b, struct vd_netdrv, bound);
}

/* ---- open, close ----------------------------------------------------------------------------- */

/* What needs another feature is not asked for without it (virtio 1.3, 5.1.3.1). */
static uint64_t wanted(const struct vd_virtio_dev *vdev, const struct uvdpa_net_opts *o)
{
	uint64_t f = FEATURES | o->offloads;
	uint64_t tso = F(VIRTIO_NET_F_GUEST_TSO4) | F(VIRTIO_NET_F_GUEST_TSO6);

	if (o->packed)
		f |= F(VIRTIO_F_RING_PACKED);
	f &= vdev->offered & ~o->features_off;
	if (!(f & F(VIRTIO_NET_F_CSUM)))
		f &= ~TX_OFFLOADS;
	if (!(f & (F(VIRTIO_NET_F_HOST_TSO4) | F(VIRTIO_NET_F_HOST_TSO6))))
		f &= ~F(VIRTIO_NET_F_HOST_ECN);
	if (!(f & F(VIRTIO_NET_F_GUEST_CSUM)))
		f &= ~VD_NET_GUEST_OFFLOADS;
	if (!(f & tso))
		f &= ~F(VIRTIO_NET_F_GUEST_ECN);
	if (!(f & F(VIRTIO_NET_F_CTRL_VQ)))
		f &= ~COMMANDS;
	if (!(f & F(VIRTIO_NET_F_CTRL_RX)))
		f &= ~F(VIRTIO_NET_F_CTRL_RX_EXTRA);
	return f;
}

static int size_queues(struct vd_virtio_dev *vdev, const struct uvdpa_net_opts *o,
		       struct uvdpa_net *net)
{
	unsigned int num = o->queue_size ? o->queue_size : vd_min(vdev->vq_num_max, QUEUE_SIZE_DEF);
	unsigned int ctrl = vd_virtio_has(vdev, VIRTIO_NET_F_CTRL_VQ);

	if (num < QUEUE_SIZE_MIN || num > vdev->vq_num_max)
		return vd_err(-EINVAL, "%s: queue size %u, not %u to %u", vdev->name, num,
			      QUEUE_SIZE_MIN, vdev->vq_num_max);
	if (num & (num - 1) && !vd_virtio_has(vdev, VIRTIO_F_RING_PACKED))
		return vd_err(-EINVAL, "%s: queue size %u is no power of two", vdev->name, num);
	if (2 * net->info.max_pairs + ctrl > vdev->nvqs)
		return vd_err(-EBADMSG, "%s: %u queues, and says that it has %u pairs", vdev->name,
			      vdev->nvqs, net->info.max_pairs);
	net->info.queue_size = num;
	net->npairs = o->pairs ? vd_min(o->pairs, net->info.max_pairs) : net->info.max_pairs;
	net->info.pairs = 1;
	return 0;
}

static int start_queues(struct uvdpa_net *net, struct vd_virtio_dev *vdev)
{
	struct vd_netq_conf c = {
		.features = vdev->features, .num = (uint16_t)net->info.queue_size,
		.rx_min = net->info.rx_buf_min, .base = net->dma.base, .iova = net->dma.iova,
		.arena = net->dma.arena, .size = net->dma.size,
	};
	struct uvdpa_vq rx, tx;
	size_t off = 0;
	int r;

	for (unsigned int i = 0; i < net->npairs; i++) {
		c.rx_ring = off;
		c.tx_ring = off + vd_netq_rx_ring_size(c.features, c.num);
		off = c.tx_ring + vd_netq_tx_ring_size(c.features, c.num);
		r = vd_netq_init(&net->queues[i], &c);
		if (r)
			return vd_err_prefix(r, "%s: pair %u: ", vdev->name, i);
		vd_netq_vqs(&net->queues[i], &rx, &tx);
		r = vdev->config->set_vq(vdev, 2 * i, &rx);
		if (!r)
			r = vdev->config->set_vq(vdev, 2 * i + 1, &tx);
		if (r)
			return r;
	}
	if (!vd_virtio_has(vdev, VIRTIO_NET_F_CTRL_VQ))
		return 0;
	r = vd_net_ctrl_init(&net->ctrl, net, off, &rx);
	if (r)
		return vd_err_prefix(r, "%s: control queue: ", vdev->name);
	/* Behind all pairs that there are, or behind the only one (virtio 1.3, 5.1.2). */
	return vdev->config->set_vq(vdev, 2 * net->info.max_pairs, &rx);
}

static void free_net(struct uvdpa_net *net)
{
	vd_net_ctrl_fini(&net->ctrl);
	for (unsigned int i = 0; net->queues && i < net->npairs; i++)
		vd_netq_fini(&net->queues[i]);
	free(net->queues);
	vd_dma_fini(&net->dma);
	free(net);
}

static int start(struct uvdpa_net *net, struct vd_virtio_dev *vdev, const struct uvdpa_net_opts *o)
{
	size_t rings;
	int r;

	r = vd_virtio_begin(vdev, wanted(vdev, o));
	if (!r)
		r = vd_net_get_info(vdev, &net->info);
	if (!r)
		r = size_queues(vdev, o, net);
	if (r)
		return r;
	net->queues = aligned_alloc(_Alignof(struct uvdpa_netq),
				    net->npairs * sizeof(*net->queues));
	if (!net->queues)
		return vd_err(-ENOMEM, "%s: %u pairs: no memory", vdev->name, net->npairs);
	for (unsigned int i = 0; i < net->npairs; i++)
		vd_netq_zero(&net->queues[i]);

	rings = vd_netq_rx_ring_size(vdev->features, (uint16_t)net->info.queue_size) +
		vd_netq_tx_ring_size(vdev->features, (uint16_t)net->info.queue_size);
	r = vd_dma_create(&net->dma, vdev, net->npairs * rings + vd_net_ctrl_size(vdev->features),
			  o->mem ? o->mem : MEM_DEF);
	if (!r)
		r = start_queues(net, vdev);
	return r ? r : vd_virtio_go(vdev);
}

int vd_net_open(struct vd_virtio_bound *b, const struct uvdpa_net_opts *o,
		struct uvdpa_net **ret_net)
{
	struct uvdpa_net_opts own = { .size = sizeof(own) };
	struct vd_netdrv *drv = to_drv(b);
	struct uvdpa_net *net;
	int r;

	if (o) {
		r = VD_SIZED_TAKE(b->vdev->name, o, &own, packed);
		if (r)
			return r;
	}
	if (own.offloads & ~VD_NET_GUEST_OFFLOADS)
		return vd_err(-EINVAL, "%s: offloads 0x%llx are none of received frames",
			      b->vdev->name,
			      (unsigned long long)(own.offloads & ~VD_NET_GUEST_OFFLOADS));
	if (drv->net)
		return vd_err(-EBUSY, "%s: in use already", b->vdev->name);
	net = calloc(1, sizeof(*net));
	if (!net)
		return vd_err(-ENOMEM, "%s: no memory", b->vdev->name);
	vd_dma_init(&net->dma);
	vd_net_ctrl_zero(&net->ctrl);
	net->drv = drv;
	r = start(net, b->vdev, &own);
	if (r) {
		b->vdev->config->reset(b->vdev);
		free_net(net);
		return r;
	}
	drv->net = net;
	*ret_net = net;
	return 0;
}

void uvdpa_net_close(struct uvdpa_net *net)
{
	if (!net)
		return;
	vd_net_ctrl_gone(&net->ctrl, -ENODEV);
	if (net->drv) {
		struct vd_virtio_dev *vdev = net->drv->bound.vdev;

		net->drv->net = NULL;
		vdev->config->reset(vdev);
	}
	free_net(net);	/* the device's side has its own mapping, see dma.h */
}

const struct uvdpa_net_info *uvdpa_net_info(const struct uvdpa_net *net)
{
	return &net->info;
}

struct uvdpa_netq *uvdpa_net_queue(struct uvdpa_net *net, unsigned int idx)
{
	if (idx >= net->npairs) {
		vd_err(-EINVAL, "pair %u of %u", idx, net->npairs);
		return NULL;
	}
	return &net->queues[idx];
}

void *uvdpa_net_alloc(struct uvdpa_net *net, size_t len)
{
	return vd_dma_alloc(&net->dma, len);
}

void uvdpa_net_free(struct uvdpa_net *net, void *p)
{
	vd_dma_free(&net->dma, p);
}

/* ---- the driver ------------------------------------------------------------------------------ */

static int probe(struct vd_virtio_dev *vdev, const struct vd_virtio_conf *conf,
		 struct vd_virtio_bound **ret_b)
{
	struct vd_netdrv *drv;
	int r;

	if (conf->file)
		return vd_err(-EINVAL, "%s: option file is for disks, this is a network device",
			      vdev->name);
	if (conf->pty || conf->mode)
		return vd_err(-EINVAL, "%s: option %s is for consoles, this is a network device",
			      vdev->name, conf->pty ? "pty" : "mode");
	if (conf->netns && !conf->tap)
		return vd_err(-EINVAL, "%s: netns %s without tap", vdev->name, conf->netns);
	drv = calloc(1, sizeof(*drv));
	if (!drv)
		return vd_err(-ENOMEM, "%s: no memory", vdev->name);
	drv->bound.vdev = vdev;
	if (conf->tap) {
		r = vd_net_tap_create(drv, conf, &drv->tap);
		if (r) {
			free(drv);
			return r;
		}
	}
	*ret_b = &drv->bound;
	return 0;
}

static void quiesce(struct vd_virtio_bound *b)
{
	struct vd_netdrv *drv = to_drv(b);

	if (drv->tap) {
		vd_net_tap_quiesce(drv->tap);
		return;
	}
	/* An application may never call again, so what is in the rings is the device's to finish. */
	for (unsigned int i = 0; drv->net && i < drv->net->npairs; i++)
		vd_netq_refuse(&drv->net->queues[i], -ENODEV);
	b->vdev->config->quiesced(b->vdev);
}

static void all_gone(struct uvdpa_net *net, int err)
{
	net->err = err;
	for (unsigned int i = 0; i < net->npairs; i++)
		vd_netq_gone(&net->queues[i], err);
	vd_net_ctrl_gone(&net->ctrl, err);
}

static void driver_remove(struct vd_virtio_bound *b)
{
	struct vd_netdrv *drv = to_drv(b);
	struct uvdpa_net *net = drv->net;

	if (net) {
		all_gone(net, -ENODEV);
		drv->net = NULL;
		net->drv = NULL;
	}
	if (drv->tap)
		vd_net_tap_destroy(drv->tap);
	free(drv);
}

static void changed(struct vd_virtio_bound *b, enum uvdpa_event ev)
{
	struct vd_virtio_dev *vdev = b->vdev;
	struct vd_netdrv *drv = to_drv(b);
	struct uvdpa_net *net = drv->net;

	if (!net)
		return;
	if (ev == UVDPA_DEV_CONFIG) {
		if (vd_net_get_link(vdev, &net->info))
			vd_log_warn(vdev->log, vdev->name, "%s", vd_err_text());
		else if (drv->tap)
			vd_net_tap_changed(drv->tap);
	} else if (ev == UVDPA_DEV_STATUS) {
		/* Nothing can be relied upon any more (virtio 1.3, 2.1.1). */
		if (vdev->config->status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET)
			all_gone(net, -EIO);
	} else if (ev == UVDPA_DEV_READY) {
		for (unsigned int i = 0; i < net->npairs; i++)
			vd_netq_nudge(&net->queues[i]);
		vd_net_ctrl_nudge(&net->ctrl);
	}
}

static void describe(struct vd_virtio_bound *b, struct uvdpa_emit *e)
{
	struct vd_netdrv *drv = to_drv(b);

	if (drv->tap)
		vd_net_tap_describe(drv->tap, e);
}

const struct vd_virtio_driver vd_virtio_net_driver = {
	.name = "virtio_net",
	.device_id = VIRTIO_ID_NET,
	.probe = probe,
	.quiesce = quiesce,
	.remove = driver_remove,
	.changed = changed,
	.describe = describe,
};
