/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-socket.c - frames over a Unix socket: to QEMU, passt, another uvdpad
 *
 * What is sent goes from guest memory into the socket, many frames with one call. The wire has no
 * place for work that is left undone, so that is done here. What is received is read many frames at
 * once, and waits until the driver has buffers; then the socket fills, and the other side waits.
 */
#include "parent/net-socket.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/err.h"

enum { STREAM, DGRAM };

static const char *const types[] = { "stream", "dgram", NULL };

static struct vd_nsock *to_nsock(struct vd_net *net)
{
	return container_of(net, struct vd_nsock, net);
}

/* ---- the worker's connection ------------------------------------------------------------ */

static void leave(struct vd_nsock *s)
{
	vd_net_pair_set_fd(vd_nsock_pair(s), -1);
	s->conn = -1;
	s->buf_at = s->buf_end = 0;
	s->tail_at = s->tail_end = 0;
	s->skip = 0;
	vd_net_tx_retry(vd_nsock_pair(s));
}

void vd_nsock_hang_up(struct vd_nsock *s)
{
	vd_chan_hang_up(&s->chan);
	leave(s);
}

static vd_noinline void take_connection(struct vd_nsock *s)
{
	leave(s);
	s->conn = s->stream ? vd_chan_take(&s->chan) : s->dgram;
	if (s->conn < 0)
		return;
	vd_net_count(&vd_nsock_pair(s)->received.drops, s->nheld);
	s->nheld = 0;
	vd_net_pair_set_fd(vd_nsock_pair(s), s->conn);
}

/* Return: whether there is one. */
static bool have_connection(struct vd_nsock *s)
{
	if (vd_unlikely(s->stream ? vd_chan_changed(&s->chan) : s->conn < 0))
		take_connection(s);
	return s->conn >= 0;
}

/* ---- send ------------------------------------------------------------ */

static void batch_begin(struct vd_nsock_batch *b)
{
	b->n = b->niov = 0;
	b->first[0] = 0;
}

/* Return: false: it is full. */
static bool batch_add(struct vd_nsock_batch *b, const uint8_t *head, uint32_t nhead,
		      const struct vd_sg *data, uint32_t len)
{
	struct vd_iov *iov = b->iov + b->niov;
	uint32_t left = len - nhead;

	if (b->n == VD_NSOCK_BATCH || b->niov + 2 + data->n > VD_NSOCK_PIECES)
		return false;
	b->len[b->n] = len;
	b->word[b->n] = htobe32(len);
	*iov++ = (struct vd_iov){ vd_guest_wrap(uint8_t, &b->word[b->n]), VD_NSOCK_WORD };
	if (nhead) {
		memcpy(b->heads[b->n], head, nhead);
		*iov++ = (struct vd_iov){ vd_guest_wrap(uint8_t, b->heads[b->n]), nhead };
	}
	for (unsigned int i = 0; left && i < data->n; i++) {
		size_t off = i ? 0 : data->off;

		*iov = (struct vd_iov){ data->iov[i].base + off,
					vd_min(left, data->iov[i].len - off) };
		left -= (uint32_t)iov++->len;
	}
	b->niov = (unsigned int)(iov - b->iov);
	b->first[++b->n] = (uint16_t)b->niov;
	return true;
}

/* Frames that can go as they are. Return: how many of the first @n went. */
static unsigned int send_plain(struct vd_nsock *s, const struct vd_net_frame *frames,
			       unsigned int n)
{
	struct vd_nsock_batch *b = &s->out;
	unsigned int i;

	s->skip = 0;
	batch_begin(b);
	for (i = 0; i < n && vd_net_fits(0, &frames[i].hdr); i++) {
		struct vd_sg all = vd_sg(frames[i].iov, frames[i].niov);

		if (!batch_add(b, NULL, 0, &all, frames[i].len))
			break;
	}
	return s->wire->flush(s);
}

/*
 * One that goes in parts, or is not complete. If not all of it can go now it comes again, and
 * begins behind what has gone. Return: whether it is over.
 */
static vd_noinline bool send_cut(struct vd_nsock *s, const struct vd_net_frame *f)
{
	struct vd_nsock_batch *b = &s->out;
	unsigned int done = 0, went;
	struct vd_net_seg seg;
	bool more;

	if (vd_net_gso_begin(&s->gso, f, 0, (uint32_t)vd_nsock_pair(s)->sent.packets)) {
		vd_net_count(&vd_nsock_pair(s)->sent.errors, 1);
		s->skip = 0;
		return true;
	}
	do {
		batch_begin(b);
		while ((more = vd_net_gso_next(&s->gso, &seg))) {
			if (done++ < s->skip)
				continue;
			batch_add(b, seg.head, seg.nhead, &seg.data, seg.nhead + seg.ndata);
			if (b->n == VD_NSOCK_BATCH || b->niov + 2 + f->niov > VD_NSOCK_PIECES)
				break;
		}
		went = b->n ? s->wire->flush(s) : 0;
		if (vd_unlikely(went < b->n || (more && s->blocked))) {
			s->skip += went;
			return false;
		}
		s->skip = done;
	} while (more && s->conn >= 0);
	s->skip = 0;
	return true;
}

static unsigned int nsock_send(struct vd_net *net, struct vd_net_pair *pair,
			       struct vd_net_frame *frames, unsigned int n)
{
	struct vd_nsock *s = to_nsock(net);
	unsigned int sent = 0;

	s->blocked = false;
	if (vd_likely(have_connection(s)))
		s->wire->resume(s);
	while (sent < n && !s->blocked && s->conn >= 0) {
		if (vd_likely(vd_net_fits(0, &frames[sent].hdr)))
			sent += send_plain(s, frames + sent, n - sent);
		else
			sent += send_cut(s, &frames[sent]);
	}
	if (vd_unlikely(s->conn < 0)) {
		vd_net_count(&pair->sent.drops, n - sent);
		sent = n;
	}
	if (vd_likely(sent))
		vd_net_sent(pair, frames, sent);
	if (vd_unlikely(s->blocked) && sent == n)
		vd_net_tx_wait(pair);
	return sent;
}

/* ---- receive ------------------------------------------------------------ */

static unsigned int nsock_receive(struct vd_net *net, struct vd_net_pair *pair)
{
	struct vd_nsock *s = to_nsock(net);
	unsigned int n;

	if (!have_connection(s) && !s->nheld)
		return 0;
	if (!s->nheld) {
		s->held_at = 0;
		s->wire->fill(s);
	}
	if (!s->nheld)
		return 0;
	n = vd_net_offer(pair, s->held + s->held_at, s->nheld);
	s->held_at += n;
	s->nheld -= n;
	return n;
}

/* ---- the device ------------------------------------------------------------ */

static void nsock_show(struct vd_net *net, struct uvdpa_emit *e)
{
	struct vd_nsock *s = to_nsock(net);

	e->flag(e, "connected", s->up);
	e->num(e, "connections", s->connections);
}

static void nsock_free(struct vd_nsock *s)
{
	vd_nsock_close(s);
	free(s->buf);
	free(s->tail);
	free(s);
}

static void nsock_destroy(struct vd_net *net)
{
	nsock_free(to_nsock(net));
}

static const struct vd_net_ops nsock_ops = {
	.send = nsock_send,
	.receive = nsock_receive,
	.pair_fd = vd_net_no_fd,
	.set_offloads = vd_net_any_offloads,
	.set_pairs = vd_net_any_pairs,
	.show = nsock_show,
	.reset = vd_net_reset_nothing,
	.destroy = nsock_destroy,
};

static int check_conf(const char *name, const struct vd_nsock_conf *c)
{
	if (c->net.max_vqp > 1)
		return vd_err(-EINVAL, "%s: %llu pairs of queues, a socket has one", name,
			      (unsigned long long)c->net.max_vqp);
	if (c->type == STREAM && (!c->path || c->local || c->remote))
		return vd_err(-EINVAL, "%s: a stream has a path, and neither local nor remote",
			      name);
	if (c->type == DGRAM && (c->path || !c->local || !c->remote))
		return vd_err(-EINVAL, "%s: datagrams have local and remote, and no path", name);
	if (c->type == DGRAM && c->listen)
		return vd_err(-EINVAL, "%s: nobody listens for datagrams", name);
	return 0;
}

static struct vd_nsock *nsock_new(struct uvdpa *u, const struct vd_nsock_conf *c)
{
	struct vd_nsock *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->u = u;
	s->conf = c;
	s->stream = c->type == STREAM;
	s->wire = s->stream ? &vd_nsock_stream : &vd_nsock_dgram;
	s->own.fd = s->dgram = s->conn = -1;
	/* Of either, what is never touched costs nothing. */
	s->buf = malloc(c->type == STREAM ? VD_NSOCK_STREAM : VD_SOFTQ_BURST * VD_NSOCK_SLOT);
	s->tail = malloc(VD_NSOCK_WORD + VD_NET_FRAME_MAX);
	if (!s->buf || !s->tail) {
		nsock_free(s);
		s = NULL;
	}
	return s;
}

static int nsock_add(struct uvdpa *u, const char *name, const void *conf,
		     struct uvdpa_dev **ret_dev)
{
	const struct vd_nsock_conf *c = conf;
	struct vd_net_conf nc = { .offloads = VD_NET_HOST_OFFLOADS | VD_NET_GRO_OFFLOADS };
	struct vd_nsock *s;
	int r = check_conf(name, c);

	if (!r)
		r = vd_net_args(&c->net, name, &nc);
	if (r)
		return r;
	s = nsock_new(u, c);
	if (!s)
		return vd_err(-ENOMEM, "%s: no memory", name);
	r = vd_nsock_open(s);
	if (r) {
		vd_err_prefix(r, "%s: ", name);
		goto err_free;
	}
	nc.no_carrier = !s->up;
	r = vd_net_init(&s->net, u, &nsock_ops, &nc);
	if (r)
		goto err_free;
	s->started = true;
	*ret_dev = &s->net.sd.dev;
	return 0;

err_free:
	nsock_free(s);
	return r;
}

#define OPT(k, t, field, ...) VD_NET_OPT(k, t, struct vd_nsock_conf, field, __VA_ARGS__)

static const struct uvdpa_opt nsock_opts[] = {
	OPT("type", ENUM, type, .choices = types, .help = "how frames travel"),
	OPT("path", PATH, path, .help = "of a stream's socket"),
	OPT("listen", BOOL, listen, .help = "the other side connects; else we do"),
	OPT("local", PATH, local, .help = "the socket that gets the datagrams"),
	OPT("remote", PATH, remote, .help = "the socket that they are sent to"),
	OPT("mode", STRING, mode, .def = "0600",
	    .help = "permissions of a socket that is made, octal, up to 0777"),
	OPT("reconnect_ms", UINT, reconnect_ms, .def = "1000", .max = 3600000,
	    .help = "look so often for an other side that is away, milliseconds; 0: never"),
	VD_NET_OPTS(struct vd_nsock_conf, net),
	{ 0 },
};

static const uint32_t nsock_ids[] = { VIRTIO_ID_NET, 0 };

extern const struct uvdpa_parent vd_parent_net_socket;
const struct uvdpa_parent vd_parent_net_socket = {
	.name = "net-socket",
	.help = "frames over a Unix socket, as QEMU's stream and dgram",
	.device_ids = nsock_ids,
	.features = (VD_NET_FEATURES & ~VD_NET_GUEST_OFFLOADS) | VD_NET_GRO_OFFLOADS,
	.max_vqs = 3,
	.opts = nsock_opts,
	.conf_size = sizeof(struct vd_nsock_conf),
	.add = nsock_add,
};
