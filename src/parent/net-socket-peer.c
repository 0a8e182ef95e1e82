/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-socket-peer.c - who is at the other end; control thread
 *
 *	stream		as base/chan.h has it: listen and accept, or connect again and again
 *	dgram		connect -> wait -> connect: one socket, to whoever has the path
 *
 * The driver sees the link go down and up with it.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/fd.h"
#include "parent/net-socket.h"

static struct vd_loop *loop(const struct vd_nsock *s)
{
	return vd_ctx_loop(s->u);
}

static void set_up(struct vd_nsock *s, bool up)
{
	if (up && !s->up)
		s->connections++;
	s->up = up;
	if (s->started)
		vd_net_set_carrier(&s->net, up);
}

/* ---- streams ------------------------------------------------------------ */

static struct vd_nsock *of_chan(struct vd_chan *c)
{
	return container_of(c, struct vd_nsock, chan);
}

static void came(struct vd_chan *c)
{
	struct vd_nsock *s = of_chan(c);

	if (s->started)
		vd_net_wake(vd_nsock_pair(s));
	set_up(s, true);
}

/* Nobody waits for the reason, if there was one. */
static void went(struct vd_chan *c)
{
	struct vd_nsock *s = of_chan(c);
	uint64_t nonsense = __atomic_exchange_n(&s->nonsense, 0, __ATOMIC_ACQUIRE);
	unsigned int missed;

	if (nonsense && vd_ratelimit_ok(&s->rl, &missed))
		vd_log_warn(vd_ctx_log(s->u), s->net.sd.name,
			    "%s: a frame of %u bytes, not 1 to %u: connection ended", s->conf->path,
			    (uint32_t)nonsense, VD_NET_FRAME_MAX);
	vd_net_wake(vd_nsock_pair(s));
	set_up(s, false);
}

static const struct vd_chan_ops chan_ops = {
	.up = came,
	.down = went,
	.resized = vd_chan_any_size,
};

static int open_stream(struct vd_nsock *s, mode_t mode)
{
	char address[PATH_MAX + 16];
	struct vd_chan_conf conf = {
		.address = address,
		.mode = mode,
		.reconnect_ms = (unsigned int)s->conf->reconnect_ms,
	};

	snprintf(address, sizeof(address), "unix%s:%s", s->conf->listen ? "-listen" : "",
		 s->conf->path);
	return vd_chan_open(&s->chan, loop(s), vd_ctx_log(s->u), s->net.sd.name, &chan_ops, &conf);
}

/* ---- datagrams ------------------------------------------------------------ */

/* Nobody is there for now, and somebody may come; or the socket is connected to who was here before,
 * which does not permit it. */
static bool may_come(const struct vd_nsock *s, int err)
{
	return s->conf->reconnect_ms && (err == -ENOENT || err == -ECONNREFUSED || err == -EAGAIN ||
					 err == -EPERM);
}

static void look_again(struct vd_nsock *s)
{
	if (s->conf->reconnect_ms)
		vd_timer_set(loop(s), &s->again, s->conf->reconnect_ms);
}

/* Return: 0; -errno with a sentence. */
static int dgram_connect(struct vd_nsock *s)
{
	struct sockaddr_un sa;
	int r = vd_unix_address(s->conf->remote, &sa);

	if (!r && connect(s->own.fd, (struct sockaddr *)&sa, sizeof(sa)))
		r = vd_err(-errno, "connect to %s: %m", s->conf->remote);
	return r;
}

static void timer_fired(struct vd_timer *t)
{
	struct vd_nsock *s = container_of(t, struct vd_nsock, again);

	set_up(s, !dgram_connect(s));
	look_again(s);
}

static int open_dgram(struct vd_nsock *s, mode_t mode)
{
	int r = vd_unix_bind(&s->own, s->conf->local, mode);

	if (r)
		return r;
	s->dgram = vd_dup(s->own.fd);
	if (s->dgram < 0)
		return s->dgram;
	r = dgram_connect(s);
	if (r && !may_come(s, r))
		return r;
	set_up(s, !r);
	look_again(s);
	return 0;
}

/* ---- both ------------------------------------------------------------ */

int vd_nsock_open(struct vd_nsock *s)
{
	mode_t mode;
	int r = vd_unix_mode(s->conf->mode, &mode);

	s->again.fn = timer_fired;
	if (!r)
		r = s->stream ? open_stream(s, mode) : open_dgram(s, mode);
	return r;
}

void vd_nsock_close(struct vd_nsock *s)
{
	vd_timer_del(loop(s), &s->again);
	vd_chan_close(&s->chan);
	vd_close(&s->dgram);
	vd_unix_close(&s->own);
}
