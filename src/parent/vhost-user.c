/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user.c - a device that somebody else serves: the front-end of vhost-user
 *
 * The guest's eventfds and memory go to the back-end as they are, so nothing of the datapath
 * passes here:
 *
 *	driver -- kick eventfd, memory ------------------> back-end
 *	       <- call eventfd ---------------------------
 *	   |                                                  ^
 *	   +-- gate -> this file -- messages on a socket -----+
 *
 * Nothing waits for the back-end. Messages are sent and forgotten; with REPLY_ACK each is
 * acknowledged, and one that was refused ends the queue it was about, or the connection.
 *
 * Addresses: a front-end's user addresses are its own business, so they are the I/O virtual
 * addresses here. Memory that is in no file cannot be passed on.
 * What becomes of the queues when the back-end goes: see vhost-user-vq.c.
 */
#include "parent/vhost-user.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* Not for a device behind eventfds without an IOMMU of its own, or not for a device at all. */
#define FEATURES_NEVER                                                                       \
	(VD_BIT(VD_VU_F_PROTOCOL_FEATURES) | VD_BIT(26 /* LOG_ALL */) |                      \
	 VD_BIT(VIRTIO_F_ACCESS_PLATFORM) | VD_BIT(VIRTIO_F_SR_IOV) |                        \
	 VD_BIT(38 /* NOTIFICATION_DATA */) | VD_BIT(39 /* NOTIF_CONFIG_DATA */))
/* Those of a network device that speak of its configuration space. */
#define NET_CONFIG_FEATURES                                                                  \
	(VD_BIT(VIRTIO_NET_F_MTU) | VD_BIT(VIRTIO_NET_F_MAC) | VD_BIT(VIRTIO_NET_F_STATUS) | \
	 VD_BIT(VIRTIO_NET_F_MQ) | VD_BIT(VIRTIO_NET_F_SPEED_DUPLEX))

/* Without the fields of SECURE_ERASE; older back-ends refuse a question about more than they have. */
#define BLK_CONFIG_SIZE 60

/* What the protocol does not tell, by type: queues at least, bytes of configuration. */
static const struct vuf_type {
	uint32_t id;
	unsigned int queues;		/* if the back-end does not say; of net, for each it says */
	uint32_t config_size;
} types[] = {
	{ VIRTIO_ID_NET, 2, 12 },	  { VIRTIO_ID_BLOCK, 1, BLK_CONFIG_SIZE }, { VIRTIO_ID_CONSOLE, 2, 12 },
	{ VIRTIO_ID_RNG, 1, 0 },	  { VIRTIO_ID_SCSI, 3, 36 },  { VIRTIO_ID_GPU, 2, 16 },
	{ VIRTIO_ID_INPUT, 2, 136 },	  { VIRTIO_ID_VSOCK, 3, 8 },  { VIRTIO_ID_SOUND, 4, 12 },
	{ VIRTIO_ID_FS, 2, 40 },	  { VIRTIO_ID_I2C_ADAPTER, 1, 0 },
	{ VIRTIO_ID_GPIO, 2, 8 },
};

static const struct vuf_type *type_of(uint32_t id)
{
	static const struct vuf_type any = { 0, 1, 0 };

	for (size_t i = 0; i < VD_ARRAY_SIZE(types); i++)
		if (types[i].id == id)
			return &types[i];
	return &any;
}

/* ---- what the link tells --------------------------------------------------------------------- */

/* The number of queues, from what was asked for, what the back-end says, and the type. */
static int find_nvqs(struct vd_vuf *f, uint32_t *ret_n)
{
	const struct vuf_type *t = type_of(f->dev.info.device_id);
	uint64_t has = f->link.queue_num ? f->link.queue_num : t->queues;

	if (f->dev.info.device_id == VIRTIO_ID_NET && f->link.queue_num &&
	    __builtin_mul_overflow(has, 2u, &has))	/* it says pairs */
		has = UINT64_MAX;
	if (f->conf->queues > has && f->link.queue_num)
		return vd_err(-ERANGE, "%s: %" PRIu64 " queues, the back-end has %" PRIu64,
			      f->conf->socket, f->conf->queues, has);
	*ret_n = (uint32_t)(f->conf->queues ? f->conf->queues : vd_min(has, VD_VU_QUEUES_MAX));
	return 0;
}

static uint64_t offered(const struct vd_vuf *f)
{
	uint64_t features = f->link.features & ~FEATURES_NEVER;

	if (f->dev.info.device_id == VIRTIO_ID_NET && !f->dev.info.config_size)
		features &= ~NET_CONFIG_FEATURES;
	return features;
}

/* On every connection, with the same result: a back-end that comes back offers what it offered. */
static void link_offered(struct vd_vulink *l)
{
	struct vd_vuf *f = vd_vuf_of_link(l);

	if (f->dev.info.device_id == VIRTIO_ID_BLOCK && !f->conf->config_size &&
	    l->features & VD_BIT(VIRTIO_BLK_F_SECURE_ERASE))
		l->config_size = sizeof(struct virtio_blk_config);
}

/* What a device is never changes: a back-end that comes back has to be as able as it was. */
static int check_same(struct vd_vuf *f)
{
	const struct uvdpa_dev_info *info = &f->dev.info;
	uint64_t missing = info->features & ~offered(f);
	uint32_t nvqs;
	int r = find_nvqs(f, &nvqs);

	if (r)
		return r;
	if (missing)
		return vd_err(-EPROTO, "%s: came back without features %#" PRIx64,
			      f->conf->socket, missing);
	if (nvqs < info->nvqs)
		return vd_err(-EPROTO, "%s: came back with %u queues, not %u", f->conf->socket,
			      nvqs, info->nvqs);
	if (info->config_size && !vd_vulink_has(&f->link, VD_VU_PF_CONFIG))
		return vd_err(-EPROTO, "%s: came back without a configuration space",
			      f->conf->socket);
	if (f->inflight.fd >= 0 && !vd_vulink_has(&f->link, VD_VU_PF_INFLIGHT_SHMFD))
		return vd_err(-EPROTO, "%s: came back without in-flight tracking",
			      f->conf->socket);
	return 0;
}

static int link_check(struct vd_vulink *l)
{
	struct vd_vuf *f = vd_vuf_of_link(l);
	struct uvdpa_dev_info *info = &f->dev.info;
	int r;

	if (f->queues)
		return check_same(f);
	info->config_size = vd_vulink_has(l, VD_VU_PF_CONFIG) ? l->config_size : 0;
	if (!info->config_size && l->config_size && info->device_id != VIRTIO_ID_NET)
		return vd_err(-EOPNOTSUPP, "%s: the back-end does not tell its configuration space",
			      f->conf->socket);
	r = find_nvqs(f, &info->nvqs);
	if (r)
		return r;
	info->features = offered(f);
	return vd_vuf_queues_create(f);
}

static void link_up(struct vd_vulink *l, int err)
{
	uvdpa_dev_arrived(&vd_vuf_of_link(l)->dev, err);
}

static void link_down(struct vd_vulink *l)
{
	struct vd_vuf *f = vd_vuf_of_link(l);

	vd_vuf_queues_lost(f);
	vd_vuf_inflight_lost(f);
	vd_vumem_forget(&f->mem);
}

static void link_base(struct vd_vulink *l, unsigned int idx, uint32_t num)
{
	vd_vuf_queue_base(vd_vuf_of_link(l), idx, num);
}

static int link_inflight(struct vd_vulink *l, struct vd_vu_msg *m)
{
	return vd_vuf_inflight_answer(vd_vuf_of_link(l), m);
}

static void link_config_changed(struct vd_vulink *l)
{
	uvdpa_dev_config_changed(&vd_vuf_of_link(l)->dev);
}

static void link_refused(struct vd_vulink *l, uint32_t request, unsigned int idx)
{
	struct vd_vuf *f = vd_vuf_of_link(l);
	int err = vd_err(-EBADMSG, "%s: %s refused", f->conf->socket, vd_vu_name(request));

	switch (request) {
	case VD_VU_SET_VRING_NUM:
	case VD_VU_SET_VRING_ADDR:
	case VD_VU_SET_VRING_BASE:
	case VD_VU_SET_VRING_KICK:
	case VD_VU_SET_VRING_CALL:
	case VD_VU_SET_VRING_ENABLE:
		if (f->queues[idx].run == VD_VUF_RUNNING)
			uvdpa_dev_vq_broken(&f->dev, idx);
		return;
	case VD_VU_SET_INFLIGHT_FD:
		vd_vuf_inflight_refused(f);
		return;
	case VD_VU_SET_VRING_ERR:	/* it will not tell, then */
	case VD_VU_SET_CONFIG:		/* the answer to the next GET_CONFIG shows it */
		return;
	default:
		vd_vulink_end(l, err);
	}
}

static const struct vd_vulink_ops link_ops = {
	.offered = link_offered,
	.check = link_check,
	.up = link_up,
	.down = link_down,
	.base = link_base,
	.inflight = link_inflight,
	.refused = link_refused,
	.config_changed = link_config_changed,
};

/* ---- the device's operations ----------------------------------------------------------------- */

static void vuf_reset(struct uvdpa_dev *dev)
{
	struct vd_vuf *f = vd_vuf(dev);
	struct vd_vu_msg m;

	vd_vuf_queues_reset(f);
	vd_vuf_inflight_forget(f);
	f->features = 0;
	if (vd_vulink_has(&f->link, VD_VU_PF_STATUS)) {
		vd_vulink_send_u64(&f->link, VD_VU_SET_STATUS, 0);
	} else if (vd_vulink_has(&f->link, VD_VU_PF_RESET_DEVICE)) {
		vd_vu_msg_init(&m, VD_VU_RESET_DEVICE, 0);
		vd_vulink_send(&f->link, &m, 0);
	} else if (vd_vulink_up(&f->link)) {
		return;	/* its rings are stopped, which is all that there is */
	}
	vd_vulink_config_reset(&f->link);
}

static int vuf_set_features(struct uvdpa_dev *dev, uint64_t features)
{
	struct vd_vuf *f = vd_vuf(dev);
	bool changed = features != f->features;

	f->features = features;
	vd_vulink_send_u64(&f->link, VD_VU_SET_FEATURES,
			   features | (f->link.features & VD_BIT(VD_VU_F_PROTOCOL_FEATURES)));
	vd_vulink_config_again(&f->link);
	vd_vuf_inflight_begin(f, changed);
	return 0;
}

static int vuf_set_status(struct uvdpa_dev *dev, uint8_t status)
{
	struct vd_vuf *f = vd_vuf(dev);

	if (f->inflight.due && status & VIRTIO_CONFIG_S_DRIVER_OK)
		f->inflight.status_due = status;
	else if (vd_vulink_has(&f->link, VD_VU_PF_STATUS))
		vd_vulink_send_u64(&f->link, VD_VU_SET_STATUS, status);
	return 0;
}

static int vuf_get_config(struct uvdpa_dev *dev, uint32_t off, void *buf, uint32_t len)
{
	memcpy(buf, vd_vuf(dev)->link.config + off, len);
	return 0;
}

static int vuf_set_config(struct uvdpa_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	vd_vulink_set_config(&vd_vuf(dev)->link, off, buf, len);
	return 0;
}

static void vuf_destroy(struct uvdpa_dev *dev)
{
	struct vd_vuf *f = vd_vuf(dev);

	vd_vulink_close(&f->link);
	vd_vuf_inflight_forget(f);
	vd_vuf_queues_destroy(f);
	vd_vumem_forget(&f->mem);
	free(f);
}

static const struct uvdpa_dev_ops vuf_ops = {
	.reset = vuf_reset,
	.set_features = vuf_set_features,
	.set_status = vuf_set_status,
	.get_config = vuf_get_config,
	.set_config = vuf_set_config,
	.set_vq = vd_vuf_set_vq,
	.set_call = vd_vuf_set_call,
	.enable_vq = vd_vuf_enable_vq,
	.quiesce = vd_vuf_quiesce,
	.get_vq = vd_vuf_get_vq,
	.kick = vd_vuf_kick,
	.destroy = vuf_destroy,
};

static int vuf_map(struct uvdpa_dev *dev, unsigned int asid, const struct uvdpa_map *map)
{
	(void)asid;
	return vd_vumem_map(&vd_vuf(dev)->mem, &vd_vuf(dev)->link, map);
}

static int vuf_unmap(struct uvdpa_dev *dev, unsigned int asid, uint64_t iova, uint64_t len)
{
	(void)asid;
	return vd_vumem_unmap(&vd_vuf(dev)->mem, &vd_vuf(dev)->link, iova, len);
}

/* Without memory it is nobody's: then a back-end that forgets nothing can be made to. */
static int vuf_commit(struct uvdpa_dev *dev, unsigned int asid)
{
	struct vd_vuf *f = vd_vuf(dev);
	bool had = f->mem.now && f->mem.now->n;
	int r = vd_vumem_commit(&f->mem, &f->link);

	(void)asid;
	if (!r && f->conf->fresh && had && f->mem.now && !f->mem.now->n)
		vd_vulink_end(&f->link, vd_err(-ENOTCONN, "connects anew, for the next driver"));
	return r;
}

static const struct uvdpa_mem_ops vuf_mem_ops = {
	.map = vuf_map,
	.unmap = vuf_unmap,
	.commit = vuf_commit,
};

/* ---- the parent ------------------------------------------------------------------------------ */

static const struct uvdpa_opt vuf_opts[] = {
	{ .key = "socket",
	  .type = UVDPA_OPT_PATH,
	  .required = true,
	  .offset = offsetof(struct vd_vuf_conf, socket),
	  .help = "path of the back-end's socket" },
	{ .key = "device_id",
	  .type = UVDPA_OPT_STRING,
	  .def = "block",
	  .offset = offsetof(struct vd_vuf_conf, device_id),
	  .help = "type of the device, by name or number; the protocol does not tell" },
	{ .key = "num_queues",
	  .type = UVDPA_OPT_UINT,
	  .offset = offsetof(struct vd_vuf_conf, queues),
	  .max = VD_VU_QUEUES_MAX,
	  .help = "number of queues; 0: as many as the back-end has" },
	{ .key = "queue_size",
	  .type = UVDPA_OPT_UINT,
	  .def = "256",
	  .min = 1,
	  .max = 32768,
	  .offset = offsetof(struct vd_vuf_conf, queue_size),
	  .help = "largest size of a queue, a power of two that the back-end takes" },
	{ .key = "config_size",
	  .type = UVDPA_OPT_UINT,
	  .max = VD_VU_CONFIG_MAX,
	  .offset = offsetof(struct vd_vuf_conf, config_size),
	  .help = "bytes of the configuration space; 0: as usual for the type" },
	{ .key = "reconnect",
	  .type = UVDPA_OPT_BOOL,
	  .def = "on",
	  .offset = offsetof(struct vd_vuf_conf, reconnect),
	  .help = "connect again when the back-end went" },
	{ .key = "fresh",
	  .type = UVDPA_OPT_BOOL,
	  .offset = offsetof(struct vd_vuf_conf, fresh),
	  .help = "connect anew between two drivers, for qemu-storage-daemon's sake" },
	{ 0 }
};

static int parse_type(const char *s, uint32_t *ret_id)
{
	char *end;
	unsigned long id;

	for (uint32_t i = 1; i < 64; i++) {
		const char *type = uvdpa_type_name(i), *class = uvdpa_class_name(i);

		if ((type && !strcmp(s, type)) || (class && !strcmp(s, class))) {
			*ret_id = i;
			return 0;
		}
	}
	errno = 0;
	id = strtoul(s, &end, 0);
	if (errno || *end || end == s || id < 1 || id > UINT16_MAX)
		return vd_err(-EINVAL, "device_id \"%s\": neither a type's name nor 1 to %u", s,
			      UINT16_MAX);
	*ret_id = (uint32_t)id;
	return 0;
}

static int vuf_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	const struct vd_vuf_conf *c = conf;
	uint32_t id = 0;
	struct vd_vuf *f;
	int r = parse_type(c->device_id, &id);

	if (r)
		return r;
	if (c->queue_size & (c->queue_size - 1))
		return vd_err(-EINVAL, "queue_size %" PRIu64 " is not a power of two",
			      c->queue_size);
	f = calloc(1, sizeof(*f));
	if (!f)
		return vd_err(-ENOMEM, "%s: device", name);
	f->u = u;
	f->conf = c;
	f->inflight.fd = -1;
	strncpy(f->name, name, UVDPA_NAME_MAX);
	f->dev.ops = &vuf_ops;
	f->dev.mem = &vuf_mem_ops;
	f->dev.info = (struct uvdpa_dev_info){
		.device_id = id, .vq_num_max = (uint32_t)c->queue_size, .vq_num_min = 1,
		.ngroups = 1, .nas = 1, .iova_last = UINT64_MAX,
	};
	f->link.ops = &link_ops;
	f->link.u = u;
	f->link.name = f->name;
	f->link.path = c->socket;
	f->link.reconnect = c->reconnect;
	f->link.config_size = (uint32_t)(c->config_size ? c->config_size :
							  type_of(id)->config_size);
	r = vd_vulink_open(&f->link);
	if (r != -EINPROGRESS) {
		free(f);
		return r;
	}
	*ret_dev = &f->dev;
	return r;
}

static const uint32_t vuf_device_ids[] = { 0 };	/* any: only the user knows */

const struct uvdpa_parent vd_parent_vhost_user = {
	.name = "vhost-user",
	.help = "a device that another process serves by vhost-user",
	.device_ids = vuf_device_ids,
	.max_vqs = VD_VU_QUEUES_MAX,
	.opts = vuf_opts,
	.conf_size = sizeof(struct vd_vuf_conf),
	.add = vuf_add,
};
