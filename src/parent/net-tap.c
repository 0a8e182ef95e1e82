/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-tap.c - a TAP interface of the host: what the driver sends the host receives there
 *
 * Each pair has a queue of the interface. Work that either side leaves to the other passes through
 * as it is; what is offered is what this kernel can do.
 */
#include <errno.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "parent/net-tap.h"

#define WANT_FIRST 1514u
#define LEAVE_MS   2000u /* for what came for pairs that are not used any more */

struct vd_tap *vd_tap_of(struct vd_net *net)
{
	return container_of(net, struct vd_tap, net);
}

static int tap_pair_fd(struct vd_net *net, unsigned int pair)
{
	return vd_tap_of(net)->dev->fds[pair];
}

/* ---- what the kernel is told ---------------------------------------------------------------- */

static void tell(struct vd_tap *tap)
{
	if (!tap->gone)
		vd_tap_tell(tap->dev);
}

static void tell_posted(struct vd_post *p)
{
	struct vd_tap *tap = container_of(p, struct vd_tap, tell);

	tap->dev->want.offloads = __atomic_load_n(&tap->offloads, __ATOMIC_RELAXED);
	tell(tap);
}

/* Until the kernel knows, what does not fit is dropped. */
static void tap_set_offloads(struct vd_net *net, uint64_t guest)
{
	struct vd_tap *tap = vd_tap_of(net);

	__atomic_store_n(&tap->offloads, vd_tap_offloads(guest), __ATOMIC_RELAXED);
	vd_loop_post(vd_ctx_loop(net->sd.u), &tap->tell);
	/* A new driver, whose queues do not run yet. */
	if (tap->stale) {
		vd_tap_flush(tap);
		tap->stale = false;
	}
}

static void have_pairs(struct vd_tap *tap, unsigned int pairs)
{
	vd_timer_del(vd_ctx_loop(tap->net.sd.u), &tap->patience);
	__atomic_store_n(&tap->leaving, 0, __ATOMIC_RELAXED);
	for (unsigned int i = pairs; i < tap->dev->nqueues; i++)
		__atomic_store_n(&tap->queues[i].attached, false, __ATOMIC_RELAXED);
	tap->dev->want.pairs = pairs;
	tell(tap);
}

/* The kernel throws away what is in a queue that goes: the first pair takes it before. */
static void tap_set_pairs(struct vd_net *net, unsigned int pairs)
{
	struct vd_tap *tap = vd_tap_of(net);

	if (pairs >= tap->dev->want.pairs) {
		have_pairs(tap, pairs);
		return;
	}
	__atomic_store_n(&tap->left, 0, __ATOMIC_RELAXED);
	/* Release: left. Pairs with vd_tap_receive(). */
	__atomic_store_n(&tap->leaving, pairs, __ATOMIC_RELEASE);
	vd_timer_set(vd_ctx_loop(net->sd.u), &tap->patience, LEAVE_MS);
	vd_net_wake(&net->pairs[0]);
}

static void empty_posted(struct vd_post *p)
{
	struct vd_tap *tap = container_of(p, struct vd_tap, empty);

	if (tap->leaving && __atomic_load_n(&tap->left, __ATOMIC_RELAXED) == tap->leaving)
		have_pairs(tap, tap->leaving);
}

static void patience_ends(struct vd_timer *t)
{
	struct vd_tap *tap = container_of(t, struct vd_tap, patience);

	have_pairs(tap, tap->leaving);
}

void vd_tap_was_told(struct vd_tap *tap, int err)
{
	struct vd_tap_if *dev = tap->dev;
	unsigned int pairs = vd_min(dev->told.pairs, dev->want.pairs);

	tap->told = dev->told;
	if (err && !tap->gone) {
		vd_log_warn(vd_ctx_log(tap->net.sd.u), tap->net.sd.name, "%s", vd_err_text());
		dev->want.pairs = dev->told.pairs;
	}
	for (unsigned int i = 0; i < pairs; i++)
		__atomic_store_n(&tap->queues[i].attached, true, __ATOMIC_RELAXED);
	vd_net_spread(&tap->net, pairs);
	tell(tap);
}

/* ---- the device ----------------------------------------------------------------------------- */

static void show_offloads(unsigned int tun, struct uvdpa_emit *e)
{
	static const struct {
		unsigned int bit;
		const char *name;
	} names[] = {
		{ TUN_F_CSUM, "csum" },   { TUN_F_TSO4, "tso4" }, { TUN_F_TSO6, "tso6" },
		{ TUN_F_TSO_ECN, "ecn" }, { TUN_F_UFO, "ufo" },   { TUN_F_USO4, "uso" },
	};
	char text[64] = " none";
	size_t n = 0;

	for (size_t i = 0; i < VD_ARRAY_SIZE(names); i++)
		if (tun & names[i].bit)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %s", names[i].name);
	e->str(e, "offloads", text + 1);
}

static void tap_show(struct vd_net *net, struct uvdpa_emit *e)
{
	struct vd_tap *tap = vd_tap_of(net);

	e->str(e, "ifname", tap->dev->name);
	if (tap->conf->netns)
		e->str(e, "netns", tap->conf->netns);
	e->num(e, "queues", tap->told.pairs);
	show_offloads(tap->told.offloads, e);
}

static void tap_reset(struct vd_net *net)
{
	vd_tap_of(net)->stale = true;
}

static void tap_destroy(struct vd_net *net)
{
	struct vd_tap *tap = vd_tap_of(net);

	vd_fd_del(&tap->watch);
	vd_post_del(vd_ctx_loop(net->sd.u), &tap->look);
	vd_post_del(vd_ctx_loop(net->sd.u), &tap->tell);
	vd_post_del(vd_ctx_loop(net->sd.u), &tap->empty);
	vd_timer_del(vd_ctx_loop(net->sd.u), &tap->patience);
	for (unsigned int i = 0; tap->queues && i < tap->dev->nqueues; i++)
		free(tap->queues[i].buf);
	vd_tap_close(tap->dev);
	free(tap->queues);
	free(tap);
}

static const struct vd_net_ops tap_ops = {
	.send = vd_tap_send,
	.receive = vd_tap_receive,
	.pair_fd = tap_pair_fd,
	.set_offloads = tap_set_offloads,
	.set_pairs = tap_set_pairs,
	.show = tap_show,
	.reset = tap_reset,
	.destroy = tap_destroy,
};

static int make_queues(struct vd_tap *tap)
{
	unsigned int n = tap->dev->nqueues;

	tap->queues = aligned_alloc(sizeof(*tap->queues), n * sizeof(*tap->queues));
	if (!tap->queues)
		return vd_err(-ENOMEM, "no memory for %u queues", n);
	memset(tap->queues, 0, n * sizeof(*tap->queues));
	for (unsigned int i = 0; i < n; i++) {
		struct vd_tap_queue *q = &tap->queues[i];

		q->fd = tap->dev->fds[i];
		q->attached = i == 0;
		q->want = WANT_FIRST;
		q->buf = malloc(VD_NET_FRAME_MAX);
		if (!q->buf)
			return vd_err(-ENOMEM, "no memory for queue %u", i);
	}
	return 0;
}

void vd_tap_opened(struct vd_tap *tap, int err)
{
	struct uvdpa *u = tap->net.sd.u;

	tap->net_conf.soft.name = uvdpa_dev_name(&tap->net.sd.dev);
	tap->net_conf.offloads = tap->dev->offloads;
	tap->told = tap->dev->told;
	tap->net_conf.own_pairs = true;
	tap->net_conf.no_carrier = !tap->dev->up;
	if (!err)
		err = make_queues(tap);
	if (!err)
		err = vd_net_init(&tap->net, u, &tap_ops, &tap->net_conf);
	if (!err)
		err = vd_tap_watch(tap);
	uvdpa_dev_arrived(&tap->net.sd.dev, err);
}

static int tap_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	const struct vd_tap_conf *c = conf;
	struct vd_tap *tap = calloc(1, sizeof(*tap));
	int r;

	if (!tap)
		return vd_err(-ENOMEM, "%s: no memory", name);
	tap->conf = c;
	tap->tell.fn = tell_posted;
	tap->empty.fn = empty_posted;
	tap->patience.fn = patience_ends;
	r = vd_net_args(&c->net, name, &tap->net_conf);
	vd_net_begin(&tap->net, u, &tap_ops);
	if (!r)
		r = vd_tap_open(tap, u, name);
	if (r) {
		free(tap);
		return r;
	}
	*ret_dev = &tap->net.sd.dev;
	return -EINPROGRESS;
}

#define OPT(k, t, field, ...) VD_NET_OPT(k, t, struct vd_tap_conf, field, __VA_ARGS__)

static const struct uvdpa_opt tap_opts[] = {
	OPT("ifname", STRING, ifname,
	    .help = "the interface, made if it is not there; \"tap%d\": the first free; or the "
		    "device's name"),
	OPT("netns", STRING, netns,
	    .help = "network namespace that it is in: a name of ip-netns(8), or a path"),
	OPT("persist", BOOL, persist, .help = "it stays when the device goes"),
	OPT("up", BOOL, up, .def = "on", .help = "set it up"),
	OPT("host_mac", STRING, host_mac, .help = "Ethernet address of the host's side"),
	OPT("bridge", STRING, bridge, .help = "a bridge of the host that it becomes a port of"),
	OPT("address", STRING, address, .help = "address of the host's side, like 10.0.0.1/24"),
	VD_NET_OPTS(struct vd_tap_conf, net),
	{ 0 },
};

static const uint32_t tap_ids[] = { VIRTIO_ID_NET, 0 };

extern const struct uvdpa_parent vd_parent_net_tap;
const struct uvdpa_parent vd_parent_net_tap = {
	.name = "net-tap",
	.help = "a TAP interface of the host",
	.device_ids = tap_ids,
	.features = VD_NET_FEATURES,
	.max_vqs = 2 * VD_NET_PAIRS_MAX + 1,
	.opts = tap_opts,
	.conf_size = sizeof(struct vd_tap_conf),
	.add = tap_add,
};
