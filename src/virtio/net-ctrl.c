/* SPDX-License-Identifier: BSD-2-Clause */
/* net-ctrl.c - the control queue: commands and their answers (virtio 1.3, 5.1.6.5); control thread */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/bell.h"
#include "base/err.h"
#include "base/fd.h"
#include "virtio/net.h"

/* What commands are called when one fails. */
static const char *name_of(const struct vd_net_command *c)
{
	switch (c->cls) {
	case VIRTIO_NET_CTRL_RX:
		return "receive mode";
	case VIRTIO_NET_CTRL_MAC:
		return c->cmd == VIRTIO_NET_CTRL_MAC_ADDR_SET ? "MAC address" : "MAC filter";
	case VIRTIO_NET_CTRL_MQ:
		return "number of queue pairs";
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		return "offloads";
	}
	return "announcement";
}

static bool packed(uint64_t features)
{
	return features >> VIRTIO_F_RING_PACKED & 1;
}

static size_t ring_size(uint64_t features)
{
	return vd_align_up(vd_vring_layout(VD_NET_CTRL_NUM, packed(features), 0).size, VD_DMA_PAGE);
}

size_t vd_net_ctrl_size(uint64_t features)
{
	if (!(features >> VIRTIO_NET_F_CTRL_VQ & 1))
		return 0;
	return ring_size(features) +
	       vd_align_up(VD_NET_COMMANDS * sizeof(struct vd_net_slot), VD_DMA_PAGE);
}

/* ---- answers --------------------------------------------------------------------------------- */

static struct vd_virtio_dev *vdev_of(struct vd_net_ctrl *c)
{
	return c->net->drv->bound.vdev;
}

/* Nobody waits for it any more. Who does not want to know how it ended finds it in the log. */
static void end(struct vd_net_ctrl *c, struct vd_net_command *m, int err)
{
	struct vd_virtio_dev *vdev = vdev_of(c);

	if (m->wait)
		vdev->config->wait_end(vdev, m->wait, err);
	else if (err && err != -ENODEV)
		vd_log_warn(vdev->log, vdev->name, "%s", vd_err_text());
	m->wait = NULL;
	m->expired = true;
}

static void answered(struct vd_net_ctrl *c, struct vd_net_command *m, uint32_t len, uint8_t ack)
{
	const char *name = vdev_of(c)->name;

	if (m->expired)
		return;
	if (len != 1 || ack != VIRTIO_NET_OK) {
		end(c, m, vd_err(-EIO, "%s: refuses the command for its %s", name, name_of(m)));
		return;
	}
	if (m->pairs)
		c->net->info.pairs = m->pairs;
	if (m->sets_mac)
		memcpy(c->net->info.mac, m->mac, sizeof(m->mac));
	end(c, m, 0);
}

/* The earliest limit of what is under way. */
static void set_timer(struct vd_net_ctrl *c)
{
	uint64_t due_ns = UINT64_MAX, now_ns = vd_now_ns();

	for (unsigned int i = 0; i < VD_NET_COMMANDS; i++)
		if (c->commands[i].busy && !c->commands[i].expired)
			due_ns = vd_min(due_ns, c->commands[i].due_ns);
	if (due_ns == UINT64_MAX)
		vd_timer_del(vdev_of(c)->loop, &c->timer);
	else
		vd_timer_set(vdev_of(c)->loop, &c->timer,
			     due_ns > now_ns ? (due_ns - now_ns) / 1000000 + 1 : 0);
}

static void timed_out(struct vd_timer *t)
{
	struct vd_net_ctrl *c = container_of(t, struct vd_net_ctrl, timer);

	for (unsigned int i = 0; i < VD_NET_COMMANDS; i++) {
		struct vd_net_command *m = &c->commands[i];

		/* Its slot remains the device's. */
		if (m->busy && !m->expired && m->due_ns <= vd_now_ns())
			end(c, m, vd_err(-ETIMEDOUT, "%s: no answer to the command for its %s",
					 vdev_of(c)->name, name_of(m)));
	}
	set_timer(c);
}

static void reap(struct vd_net_ctrl *c)
{
	struct vd_done d[VD_NET_COMMANDS];
	int n = 0;

	do {
		for (int i = 0; i < n; i++) {
			unsigned int slot = c->slot_of[d[i].id];
			uint8_t ack;

			vd_guest_read(&ack, &c->slots[slot].ack, 1);
			c->commands[slot].busy = false;
			answered(c, &c->commands[slot], d[i].len, ack);
		}
		n = vd_virtq_drv_get(c->vq, d, VD_ARRAY_SIZE(d));
	} while (n > 0);
	if (n < 0 && !c->broken) {
		vd_net_ctrl_gone(c, vd_err(-EIO, "%s: control queue: %s", vdev_of(c)->name,
					   vd_virtq_drv_error(c->vq)));
		return;
	}
	set_timer(c);
}

static void called(struct vd_fd *f, uint32_t events)
{
	struct vd_net_ctrl *c = container_of(f, struct vd_net_ctrl, call_fd);

	(void)events;
	vd_eventfd_drain(c->call);
	do
		reap(c);
	while (!c->broken && vd_virtq_drv_calls_on(c->vq));
}

/* ---- life ------------------------------------------------------------------------------------ */

void vd_net_ctrl_zero(struct vd_net_ctrl *c)
{
	*c = (struct vd_net_ctrl){ .kick = -1, .call = -1, .broken = -EOPNOTSUPP };
}

int vd_net_ctrl_init(struct vd_net_ctrl *c, struct uvdpa_net *net, size_t off,
		     struct uvdpa_vq *ret_vq)
{
	struct vd_virtio_dev *vdev = net->drv->bound.vdev;
	struct vd_vring_layout l = vd_vring_layout(VD_NET_CTRL_NUM, packed(vdev->features), 0);
	uint64_t iova = net->dma.iova + off;
	struct vd_virtq_drv_conf conf = {
		.features = vdev->features,
		.num = VD_NET_CTRL_NUM,
		.ring = net->dma.base + off,
		.ring_iova = iova,
	};
	int r;

	c->net = net;
	r = c->kick = vd_eventfd();
	if (r >= 0)
		r = c->call = vd_eventfd();
	if (r >= 0)
		r = vd_virtq_drv_create(&conf, &c->vq);
	if (r < 0)
		return r;
	off += ring_size(vdev->features);
	c->slots = vd_guest_wrap(struct vd_net_slot, net->dma.base + off);
	c->slots_iova = net->dma.iova + off;
	c->call_fd.fn = called;
	c->timer.fn = timed_out;
	r = vd_fd_add(vdev->loop, &c->call_fd, c->call, EPOLLIN);
	if (r)
		return r;
	vd_virtq_drv_calls_on(c->vq);
	c->broken = 0;
	*ret_vq = (struct uvdpa_vq){
		.num = VD_NET_CTRL_NUM,
		.desc = iova + l.desc,
		.driver = iova + l.driver,
		.device = iova + l.device,
		.state = vd_virtq_drv_state(c->vq),
		.kick = c->kick,
		.call = c->call,
	};
	return 0;
}

void vd_net_ctrl_gone(struct vd_net_ctrl *c, int err)
{
	if (c->broken)
		return;
	c->broken = err;
	vd_fd_del(&c->call_fd);
	vd_timer_del(vdev_of(c)->loop, &c->timer);
	for (unsigned int i = 0; i < VD_NET_COMMANDS; i++) {
		struct vd_net_command *m = &c->commands[i];

		if (m->busy && !m->expired)
			end(c, m, vd_err(err, "%s: %s before it answered the command for its %s",
					 vdev_of(c)->name,
					 err == -ENODEV ? "was taken away" : "broke", name_of(m)));
	}
}

void vd_net_ctrl_fini(struct vd_net_ctrl *c)
{
	vd_net_ctrl_gone(c, -ENODEV);
	vd_virtq_drv_destroy(c->vq);
	vd_close(&c->call);
	vd_close(&c->kick);
	vd_net_ctrl_zero(c);
}

void vd_net_ctrl_nudge(struct vd_net_ctrl *c)
{
	if (c->broken)
		return;
	vd_bell_ring(NULL, c->kick);
	vd_bell_ring(NULL, c->call);
}

/* ---- commands -------------------------------------------------------------------------------- */

struct command {
	uint8_t cls, cmd;
	unsigned int feature;	/* without which there is no such command */
	const void *data;
	size_t len;
	unsigned int pairs;
};

static int send(struct uvdpa_net *net, const struct command *cmd, struct uvdpa_wait *w)
{
	struct vd_net_ctrl *c = &net->ctrl;
	struct vd_virtio_dev *vdev;
	struct vd_buf bufs[2];
	unsigned int slot = 0;
	uint64_t iova;
	int r;

	if (!net->drv)
		return vd_err(-ENODEV, "the device was taken away");
	vdev = net->drv->bound.vdev;
	if (net->err)
		return vd_err(net->err, "%s: is broken", vdev->name);
	if (!vd_virtio_has(vdev, cmd->feature) || c->broken == -EOPNOTSUPP)
		return vd_err(-EOPNOTSUPP, "%s: has no such command", vdev->name);
	if (c->broken)
		return vd_err(c->broken, "%s: its control queue is broken", vdev->name);
	while (slot < VD_NET_COMMANDS && c->commands[slot].busy)
		slot++;
	if (slot == VD_NET_COMMANDS)
		return vd_err(-EAGAIN, "%s: %u commands are under way", vdev->name, slot);

	assert(cmd->len <= VD_NET_COMMAND_MAX - 2);
	vd_guest_write(&c->slots[slot].out, (uint8_t[]){ cmd->cls, cmd->cmd }, 2);
	vd_guest_write((uint8_t vd_guest *)&c->slots[slot].out + 2, cmd->data, cmd->len);
	vd_guest_write(&c->slots[slot].ack, &(uint8_t){ VIRTIO_NET_ERR }, 1);
	iova = c->slots_iova + slot * sizeof(struct vd_net_slot);
	bufs[0] = (struct vd_buf){ iova, (uint32_t)(2 + cmd->len) };
	bufs[1] = (struct vd_buf){ iova + offsetof(struct vd_net_slot, ack), 1 };
	r = vd_virtq_drv_add(c->vq, bufs, 1, 1);
	if (r < 0)
		return vd_err(-EIO, "%s: control queue: %s", vdev->name,
			      vd_virtq_drv_error(c->vq) ? vd_virtq_drv_error(c->vq) : "is full");
	c->slot_of[r] = (uint8_t)slot;
	c->commands[slot] = (struct vd_net_command){
		.busy = true, .cls = cmd->cls, .cmd = cmd->cmd, .wait = w, .pairs = cmd->pairs,
		.due_ns = vd_now_ns() + UVDPA_DRAIN_MS * 1000000ull,
	};
	if (cmd->cls == VIRTIO_NET_CTRL_MAC && cmd->cmd == VIRTIO_NET_CTRL_MAC_ADDR_SET &&
	    cmd->len == sizeof(c->commands[slot].mac)) {
		c->commands[slot].sets_mac = true;
		memcpy(c->commands[slot].mac, cmd->data, sizeof(c->commands[slot].mac));
	}
	if (w)
		vdev->config->wait_begin(vdev, w);
	set_timer(c);
	if (vd_virtq_drv_publish(c->vq))
		vd_bell_ring(NULL, c->kick);
	return -EINPROGRESS;
}

int uvdpa_net_set_pairs(struct uvdpa_net *net, unsigned int pairs, struct uvdpa_wait *w)
{
	struct virtio_net_ctrl_mq mq = { htole16((uint16_t)pairs) };

	if (!pairs || pairs > net->npairs)
		return vd_err(-EINVAL, "%u pairs of queues, not 1 to %u", pairs, net->npairs);
	return send(net, &(struct command){
		.cls = VIRTIO_NET_CTRL_MQ, .cmd = VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
		.feature = VIRTIO_NET_F_MQ, .data = &mq, .len = sizeof(mq), .pairs = pairs }, w);
}

int uvdpa_net_set_rx_mode(struct uvdpa_net *net, enum uvdpa_net_rx_mode mode, bool on,
			  struct uvdpa_wait *w)
{
	static const uint8_t cmds[] = {
		[UVDPA_NET_PROMISC] = VIRTIO_NET_CTRL_RX_PROMISC,
		[UVDPA_NET_ALLMULTI] = VIRTIO_NET_CTRL_RX_ALLMULTI,
		[UVDPA_NET_ALLUNI] = VIRTIO_NET_CTRL_RX_ALLUNI,
		[UVDPA_NET_NOMULTI] = VIRTIO_NET_CTRL_RX_NOMULTI,
		[UVDPA_NET_NOUNI] = VIRTIO_NET_CTRL_RX_NOUNI,
		[UVDPA_NET_NOBCAST] = VIRTIO_NET_CTRL_RX_NOBCAST,
	};
	const uint8_t state = on;

	if ((unsigned int)mode >= VD_ARRAY_SIZE(cmds))
		return vd_err(-EINVAL, "receive mode %u", (unsigned int)mode);
	return send(net, &(struct command){
		.cls = VIRTIO_NET_CTRL_RX, .cmd = cmds[mode], .data = &state, .len = 1,
		.feature = mode >= UVDPA_NET_ALLUNI ? VIRTIO_NET_F_CTRL_RX_EXTRA
						    : VIRTIO_NET_F_CTRL_RX }, w);
}

/* One list of a filter. Return: what is behind it. */
static uint8_t *put_macs(uint8_t *p, const uint8_t (*macs)[6], unsigned int n)
{
	uint32_t entries = htole32(n);

	memcpy(p, &entries, sizeof(entries));
	if (n)
		memcpy(p + sizeof(entries), macs, n * sizeof(*macs));
	return p + sizeof(entries) + n * sizeof(*macs);
}

int uvdpa_net_set_filter(struct uvdpa_net *net, const uint8_t (*macs)[6], unsigned int nuni,
			 unsigned int nmulti, struct uvdpa_wait *w)
{
	uint8_t data[2 * (4 + UVDPA_NET_MACS * 6)], *end_of = data;

	static_assert(sizeof(data) <= VD_NET_COMMAND_MAX - 2, "one slot");
	if (nuni > UVDPA_NET_MACS || nmulti > UVDPA_NET_MACS)
		return vd_err(-EINVAL, "%u and %u addresses, not at most %u of each kind", nuni,
			      nmulti, UVDPA_NET_MACS);
	for (unsigned int i = 0; i < nuni + nmulti; i++)
		if ((macs[i][0] & 1) != (i >= nuni))
			return vd_err(-EINVAL, "address %u is %sa multicast one", i,
				      i < nuni ? "" : "not ");
	end_of = put_macs(end_of, macs, nuni);
	end_of = put_macs(end_of, nmulti ? macs + nuni : NULL, nmulti);
	return send(net, &(struct command){
		.cls = VIRTIO_NET_CTRL_MAC, .cmd = VIRTIO_NET_CTRL_MAC_TABLE_SET, .data = data,
		.len = (size_t)(end_of - data), .feature = VIRTIO_NET_F_CTRL_RX }, w);
}

int uvdpa_net_set_mac(struct uvdpa_net *net, const uint8_t mac[6], struct uvdpa_wait *w)
{
	if (mac[0] & 1)
		return vd_err(-EINVAL, "a multicast address as one's own");
	return send(net, &(struct command){
		.cls = VIRTIO_NET_CTRL_MAC, .cmd = VIRTIO_NET_CTRL_MAC_ADDR_SET, .data = mac, .len = 6,
		.feature = VIRTIO_NET_F_CTRL_MAC_ADDR }, w);
}

int uvdpa_net_set_offloads(struct uvdpa_net *net, uint64_t offloads, struct uvdpa_wait *w)
{
	uint64_t le = htole64(offloads), other = offloads & ~(net->info.features & VD_NET_GUEST_OFFLOADS);

	if (other)
		return vd_err(-EINVAL, "offloads 0x%llx were not negotiated",
			      (unsigned long long)other);
	return send(net, &(struct command){
		.cls = VIRTIO_NET_CTRL_GUEST_OFFLOADS, .cmd = VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
		.data = &le, .len = sizeof(le), .feature = VIRTIO_NET_F_CTRL_GUEST_OFFLOADS }, w);
}

int uvdpa_net_announced(struct uvdpa_net *net, struct uvdpa_wait *w)
{
	return send(net, &(struct command){
		.cls = VIRTIO_NET_CTRL_ANNOUNCE, .cmd = VIRTIO_NET_CTRL_ANNOUNCE_ACK, .data = "",
		.feature = VIRTIO_NET_F_GUEST_ANNOUNCE }, w);
}
