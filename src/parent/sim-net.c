/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim-net.c - a network of one, as Linux's vdpa_sim_net, for tests and measurements
 *
 * As that one it gives back what was sent to the device's own address, or to a group, and drops
 * the rest. The other modes are for measuring what is around them:
 *
 *	echo	every frame comes back
 *	sink	every frame is read, and forgotten
 *	null	every frame is forgotten
 *	source	frames of 64 bytes come as fast as there are buffers; what is sent is read
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "softdev/net.h"

enum mode { FILTER, ECHO, SINK, DISCARD, SOURCE };

static const char *const modes[] = { "filter", "echo", "sink", "null", "source", NULL };

#define SOURCE_LEN 60u	/* 64 with the checksum that a wire would have */

struct sim_conf {
	struct vd_net_args net;
	unsigned int mode;
};

struct sim {
	struct vd_net net;
	enum mode mode;
	struct vd_iov piece;		/* of source, likewise */
	struct vd_net_frame source[VD_SOFTQ_BURST];
	uint8_t frame[SOURCE_LEN];
};

static struct sim *to_sim(struct vd_net *net)
{
	return container_of(net, struct sim, net);
}

/* As whoever keeps frames would: into memory that stays in the cache. */
static void read_frames(const struct vd_net_frame *frames, unsigned int n)
{
	uint8_t buf[VD_SOFTQ_BURST][256];

	for (unsigned int i = 0; i < n; i++) {
		struct vd_sg sg = vd_sg(frames[i].iov, frames[i].niov);

		while (vd_sg_read(&sg, buf[i], sizeof(buf[i])) == sizeof(buf[i]))
			;
		__asm__ volatile("" : : "r"(buf[i]) : "memory");	/* it was wanted */
	}
}

/* Is it for us, or for all? */
static bool comes_back(const struct vd_net *net, const struct vd_net_frame *f)
{
	struct vd_sg sg = vd_sg(f->iov, f->niov);
	uint8_t to[6];

	vd_sg_read(&sg, to, sizeof(to));
	return to[0] & 1 || vd_net_is_own(net, to);
}

static void filter(struct vd_net *net, struct vd_net_pair *pair, const struct vd_net_frame *frames,
		   unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (comes_back(net, &frames[i]))
			vd_net_deliver(net, pair->worker, &frames[i], 1);
		else
			vd_net_count(&pair->sent.drops, 1);
	}
}

static unsigned int sim_send(struct vd_net *net, struct vd_net_pair *pair,
			     struct vd_net_frame *frames, unsigned int n)
{
	switch (to_sim(net)->mode) {
	case FILTER:
		filter(net, pair, frames, n);
		break;
	case ECHO:
		vd_net_deliver(net, pair->worker, frames, n);
		break;
	case SINK:
	case SOURCE:
		read_frames(frames, n);
		break;
	case DISCARD:
		break;
	}
	vd_net_sent(pair, frames, n);
	return n;
}

static unsigned int sim_receive(struct vd_net *net, struct vd_net_pair *pair)
{
	struct sim *sim = to_sim(net);

	if (sim->mode != SOURCE)
		return 0;
	return vd_net_deliver(net, pair->worker, sim->source, VD_SOFTQ_BURST);
}

static void sim_destroy(struct vd_net *net)
{
	free(to_sim(net));
}

static const struct vd_net_ops sim_ops = {
	.send = sim_send,
	.receive = sim_receive,
	.pair_fd = vd_net_no_fd,
	.set_offloads = vd_net_any_offloads,
	.set_pairs = vd_net_any_pairs,
	.show = vd_net_show_nothing,
	.reset = vd_net_reset_nothing,
	.destroy = sim_destroy,
};

/* What a source sends, from nobody to everybody: an experimental type (IEEE 802, 88b5). */
static void fill_source(struct sim *sim)
{
	memset(sim->frame, 0xff, 6);
	sim->frame[6] = 0x02;
	sim->frame[12] = 0x88;
	sim->frame[13] = 0xb5;
	sim->piece = (struct vd_iov){ vd_guest_wrap(uint8_t, sim->frame), sizeof(sim->frame) };
	for (unsigned int i = 0; i < VD_SOFTQ_BURST; i++)
		sim->source[i] = (struct vd_net_frame){ .iov = &sim->piece, .niov = 1,
							.len = sizeof(sim->frame) };
}

static int sim_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	const struct sim_conf *c = conf;
	struct vd_net_conf nc = { .offloads = VD_NET_OFFLOADS };
	struct sim *sim;
	int r;

	r = vd_net_args(&c->net, name, &nc);
	if (r)
		return r;
	sim = calloc(1, sizeof(*sim));
	if (!sim)
		return vd_err(-ENOMEM, "%s: no memory", name);
	sim->mode = c->mode;
	fill_source(sim);
	r = vd_net_init(&sim->net, u, &sim_ops, &nc);
	if (r) {
		free(sim);
		return r;
	}
	*ret_dev = &sim->net.sd.dev;
	return 0;
}

static const struct uvdpa_opt sim_opts[] = {
	{ .key = "mode",
	  .type = UVDPA_OPT_ENUM,
	  .offset = offsetof(struct sim_conf, mode),
	  .choices = modes,
	  .help = "what becomes of frames" },
	VD_NET_OPTS(struct sim_conf, net),
	{ 0 },
};

static const uint32_t sim_ids[] = { VIRTIO_ID_NET, 0 };

extern const struct uvdpa_parent vd_parent_sim_net;
const struct uvdpa_parent vd_parent_sim_net = {
	.name = "sim-net",
	.help = "a network of one, for tests and measurements",
	.device_ids = sim_ids,
	.features = VD_NET_FEATURES,
	.max_vqs = 2 * VD_NET_PAIRS_MAX + 1,
	.opts = sim_opts,
	.conf_size = sizeof(struct sim_conf),
	.add = sim_add,
};
