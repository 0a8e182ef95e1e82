/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fifo.c - a network card and a console over one FIFO, as BlueField's cards and their hosts have it
 *
 *	card: net, console ===== FIFO ===== net, console: host
 *
 * Each is a device of its own, with a driver of its own. The first one opens the link, the second
 * joins it, and the link is there as long as one of them.
 */
#include "parent/fifo.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"

enum { NET, CONSOLE };

static const char *const types[] = { "net", "console", NULL };
static const char *const roles[] = { "card", "host", NULL };

extern const struct uvdpa_parent vd_parent_fifo;

static struct vd_fifo_link *link_of(struct uvdpa_dev *d)
{
	struct vd_softdev *sd = container_of(d, struct vd_softdev, dev);

	if (d->info.device_id == VIRTIO_ID_NET)
		return container_of(container_of(sd, struct vd_net, sd), struct vd_fifo_net, net)
			->port.link;
	return container_of(container_of(sd, struct vd_console, sd), struct vd_fifo_console, con)
		->port.link;
}

/* The link that there is, by a device that it has; NULL: there is none. */
static struct vd_fifo_link *find(struct uvdpa *u, const struct vd_fifo_link_conf *c)
{
	for (struct uvdpa_dev *d = uvdpa_dev_next(u, NULL); d; d = uvdpa_dev_next(u, d)) {
		struct vd_fifo_link *l;

		if (uvdpa_dev_parent(d) != &vd_parent_fifo)
			continue;
		l = link_of(d);
		if (l->role == c->role && !strcmp(l->address, c->address))
			return l;
	}
	return NULL;
}

static int agrees(const struct vd_fifo_link *l, const struct vd_fifo_link_conf *c, const char *name)
{
	if (l->conf.mode != c->mode)
		return vd_err(-EINVAL, "%s: mode %04o: link %s was opened with %04o", name, c->mode,
			      l->address, l->conf.mode);
	if (l->conf.reconnect_ms != c->reconnect_ms)
		return vd_err(-EINVAL, "%s: reconnect_ms %u: link %s was opened with %u", name,
			      c->reconnect_ms, l->address, l->conf.reconnect_ms);
	if (l->conf.words != c->words)
		return vd_err(-EINVAL, "%s: words %u: link %s was opened with %u", name, c->words,
			      l->address, l->conf.words);
	return 0;
}

static int check_conf(const char *name, const struct vd_fifo_conf *c)
{
	const char *key = c->mac ? "mac" : c->mtu ? "mtu" : c->speed ? "speed" : NULL;

	if (c->words & (c->words - 1))
		return vd_err(-EINVAL, "%s: words %llu: it is no power of two", name,
			      (unsigned long long)c->words);
	if (c->type == CONSOLE && key)
		return vd_err(-EINVAL, "%s: %s: a console has none", name, key);
	return 0;
}

static int fifo_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	const struct vd_fifo_conf *c = conf;
	struct vd_fifo_link_conf lc = { .address = c->link,
					.role = c->role,
					.reconnect_ms = (unsigned int)c->reconnect_ms,
					.words = (unsigned int)c->words };
	struct vd_fifo_link *l;
	int r = check_conf(name, c);

	if (r)
		return r;
	r = vd_unix_mode(c->mode, &lc.mode);
	if (r)
		return vd_err_prefix(r, "%s: ", name);
	l = find(u, &lc);
	if (l) {
		r = agrees(l, &lc, name);
		if (r)
			return r;
		l->refs++;
	} else {
		r = vd_fifo_link_open(u, &lc, &l);
		if (r)
			return vd_err_prefix(r, "%s: ", name);
	}
	r = (c->type == NET ? vd_fifo_net_add : vd_fifo_console_add)(u, l, name, c, ret_dev);
	vd_fifo_link_put(l);
	return r;
}

#define OPT(k, t, field, ...)                                                                    \
	{                                                                                        \
		.key = k, .type = UVDPA_OPT_##t, .offset = offsetof(struct vd_fifo_conf, field), \
		__VA_ARGS__                                                                      \
	}

static const struct uvdpa_opt fifo_opts[] = {
	OPT("type", ENUM, type, .required = true, .choices = types,
	    .help = "which of the two devices"),
	OPT("link", STRING, link, .required = true,
	    .help = "where the other side is: unix:, unix-listen:, tcp:, tcp-listen:, tty:, pty "
		    "or window:"),
	OPT("role", ENUM, role, .required = true, .choices = roles,
	    .help = "which end of the FIFO this is"),
	OPT("mode", STRING, mode, .def = "0600",
	    .help = "permissions of a socket or a window that is made, octal, up to 0777"),
	OPT("reconnect_ms", UINT, reconnect_ms, .def = "1000", .max = 3600000,
	    .help = "look so often for an other side that is away, milliseconds; 0: never"),
	OPT("words", UINT, words, .def = "8192", .min = 64, .max = 1 << 20,
	    .help = "size of each FIFO of a window that is made, words of 8 bytes, a power of two"),
	OPT("mac", STRING, mac,
	    .help = "Ethernet address of the driver's side; or what the card, or its host, has"),
	OPT("mtu", UINT, mtu, .min = VD_NET_MTU_MIN, .max = VD_FIFO_LEN_MAX - VD_FIFO_L2,
	    .help = "largest packet, bytes; or 1500"),
	OPT("speed", UINT, speed, .max = INT32_MAX,
	    .help = "what the driver of a network device shall tell of it, Mbit/s; 0: unknown"),
	OPT("queue_size", UINT, queue_size, .min = 4, .max = VD_NET_QUEUE_SIZE_MAX,
	    .help = "largest ring, a power of two; or 256, of a console 128"),
	OPT("poll_us", UINT, poll_us, .max = 1000000,
	    .help = "longest time to look for work before sleeping, microseconds"),
	{ 0 },
};

static const uint32_t fifo_ids[] = { VIRTIO_ID_NET, VIRTIO_ID_CONSOLE, 0 };

const struct uvdpa_parent vd_parent_fifo = {
	.name = "fifo",
	.help = "a network card and a console over one FIFO, as BlueField's",
	.device_ids = fifo_ids,
	.features = (VD_NET_FEATURES & ~VD_NET_GUEST_OFFLOADS) | VD_NET_GRO_OFFLOADS |
		    VD_CONSOLE_FEATURES,
	.max_vqs = 3,
	.opts = fifo_opts,
	.conf_size = sizeof(struct vd_fifo_conf),
	.add = fifo_add,
};
