/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-xdp.c - an interface of the host, by AF_XDP: its frames bypass the kernel's network
 *
 * Each pair has a queue of the interface. What the driver leaves to us is done in software, as what
 * goes to the interface must be complete.
 */
#include "parent/net-xdp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/netlink.h"

static int xdp_pair_fd(struct vd_net *net, unsigned int pair)
{
	return vd_xdp_of(net)->dev.queues[pair].fd;
}

/* A new driver, whose queues do not run yet. */
static void xdp_set_offloads(struct vd_net *net, uint64_t guest)
{
	struct vd_xdp *xdp = vd_xdp_of(net);

	(void)guest;
	if (xdp->stale)
		vd_xdp_flush(xdp);
	xdp->stale = false;
}

static void xdp_show(struct vd_net *net, struct uvdpa_emit *e)
{
	struct vd_xdp *xdp = vd_xdp_of(net);
	uint64_t full = 0, empty = 0;

	for (unsigned int i = 0; i < xdp->dev.nqueues; i++) {
		struct xdp_statistics st = { 0 };
		socklen_t len = sizeof(st);

		if (getsockopt(xdp->dev.queues[i].fd, SOL_XDP, XDP_STATISTICS, &st, &len))
			continue;
		full += st.rx_ring_full;
		empty += st.rx_fill_ring_empty_descs;
	}
	e->str(e, "ifname", xdp->dev.name);
	if (xdp->conf->netns)
		e->str(e, "netns", xdp->conf->netns);
	e->str(e, "xdp", xdp->dev.native ? "native" : "generic");
	e->str(e, "mode", xdp->dev.zerocopy ? "zerocopy" : "copy");
	e->num(e, "rx_ring_full", full);
	e->num(e, "rx_fill_ring_empty", empty);
}

static void xdp_reset(struct vd_net *net)
{
	vd_xdp_of(net)->stale = true;
}

static void xdp_destroy(struct vd_net *net)
{
	struct vd_xdp *xdp = vd_xdp_of(net);

	if (xdp->open)
		vd_xdp_open_forget(xdp);
	vd_fd_del(&xdp->watch);
	vd_xdp_close(&xdp->dev);
	free(xdp);
}

static const struct vd_net_ops xdp_ops = {
	.send = vd_xdp_send,
	.receive = vd_xdp_receive,
	.pair_fd = xdp_pair_fd,
	.set_offloads = xdp_set_offloads,
	.set_pairs = vd_net_any_pairs,
	.show = xdp_show,
	.reset = xdp_reset,
	.destroy = xdp_destroy,
};

/* ---- what becomes of the interface -------------------------------------------------- */

static void told(struct vd_fd *f, uint32_t events)
{
	struct vd_xdp *xdp = container_of(f, struct vd_xdp, watch);
	struct vd_link l;
	int r;

	(void)events;
	while ((r = vd_link_event(xdp->dev.nl, &l)) == RTM_NEWLINK) {
		memcpy(xdp->dev.name, l.name, sizeof(xdp->dev.name));
		vd_net_set_carrier(&xdp->net, l.flags & IFF_UP && l.flags & IFF_RUNNING);
	}
	if (r == RTM_DELLINK && !xdp->gone) {
		vd_log_warn(vd_ctx_log(xdp->net.sd.u), xdp->net.sd.name, "interface %s has gone",
			    xdp->dev.name);
		xdp->gone = true;
		vd_net_set_carrier(&xdp->net, false);
	} else if (r == -ENOBUFS) {
		vd_link_ask(xdp->dev.nl, xdp->dev.index);
	}
}

static void opened(struct vd_xdp *xdp, int err)
{
	struct uvdpa *u = xdp->net.sd.u;

	xdp->net_conf.soft.name = uvdpa_dev_name(&xdp->net.sd.dev);
	xdp->net_conf.offloads = VD_NET_HOST_OFFLOADS;
	xdp->net_conf.own_pairs = true;
	xdp->net_conf.no_carrier = !xdp->dev.up;
	if (!err)
		err = vd_net_init(&xdp->net, u, &xdp_ops, &xdp->net_conf);
	xdp->watch.fn = told;
	if (!err)
		err = vd_fd_add(vd_ctx_loop(u), &xdp->watch, xdp->dev.nl, EPOLLIN);
	uvdpa_dev_arrived(&xdp->net.sd.dev, err);
}

static int xdp_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	const struct vd_xdp_conf *c = conf;
	struct vd_xdp *xdp = calloc(1, sizeof(*xdp));
	int r;

	if (!xdp)
		return vd_err(-ENOMEM, "%s: no memory", name);
	xdp->conf = c;
	xdp->dev.prog = xdp->dev.map = xdp->dev.link = xdp->dev.promisc = xdp->dev.nl = -1;
	r = vd_net_args(&c->net, name, &xdp->net_conf);
	vd_net_begin(&xdp->net, u, &xdp_ops);
	if (!r)
		r = vd_xdp_open_start(xdp, u, name, opened);
	if (r) {
		free(xdp);
		return r;
	}
	*ret_dev = &xdp->net.sd.dev;
	return -EINPROGRESS;
}

static const char *const modes[] = {
	[VD_XDP_ANY] = "auto", [VD_XDP_COPY] = "copy", [VD_XDP_ZEROCOPY] = "zerocopy", NULL,
};
static const char *const hows[] = {
	[VD_XDP_AUTO] = "auto", [VD_XDP_NATIVE] = "native", [VD_XDP_GENERIC] = "generic", NULL,
};

#define OPT(k, t, field, ...) VD_NET_OPT(k, t, struct vd_xdp_conf, field, __VA_ARGS__)

static const struct uvdpa_opt xdp_opts[] = {
	OPT("ifname", STRING, ifname, .required = true, .help = "the interface"),
	OPT("netns", STRING, netns,
	    .help = "network namespace that it is in: a name of ip-netns(8), or a path"),
	OPT("queue", UINT, queue, .max = 4095,
	    .help = "of the interface, that the first pair has; others have those after it"),
	OPT("mode", ENUM, mode, .choices = modes,
	    .help = "whether the interface's driver copies frames"),
	OPT("xdp", ENUM, xdp, .choices = hows, .help = "where the kernel takes frames away"),
	OPT("promisc", BOOL, promisc, .def = "on",
	    .help = "the interface takes frames to any address"),
	VD_NET_OPTS(struct vd_xdp_conf, net),
	{ 0 },
};

static const uint32_t xdp_ids[] = { VIRTIO_ID_NET, 0 };

extern const struct uvdpa_parent vd_parent_net_xdp;
const struct uvdpa_parent vd_parent_net_xdp = {
	.name = "net-xdp",
	.help = "an interface of the host, by AF_XDP",
	.device_ids = xdp_ids,
	.features = VD_NET_FEATURES & ~VD_NET_GUEST_OFFLOADS,
	.max_vqs = 2 * VD_NET_PAIRS_MAX + 1,
	.opts = xdp_opts,
	.conf_size = sizeof(struct vd_xdp_conf),
	.add = xdp_add,
};
