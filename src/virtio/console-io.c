/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console-io.c - bytes of terminals to the device and back; the thread
 *
 * Each round looks at all ports, and does a bounded piece of work for each. So a terminal that
 * takes nothing, a device that floods a port, or one that takes nothing of another, delays nobody
 * else.
 */
#include <poll.h>
#include <string.h>

#include "base/fd.h"
#include "virtio/console.h"

#define ROUND     16u /* buffers of one port and direction, in a round */
#define LINGER_MS 100
#define ENDING_MS 50 /* whether it has ended, or somebody else has opened it in time */

static bool stopping(const struct vd_hvc *con)
{
	return __atomic_load_n(&con->stop, __ATOMIC_ACQUIRE);
}

static bool is(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void say(struct vd_hvc *con, bool *flag, bool value)
{
	__atomic_store_n(flag, value, __ATOMIC_RELEASE);
	vd_loop_post(con->bound.vdev->loop, &con->post);
}

/* Nothing goes by this port any more; its terminal waits until the device is bound anew. */
static void broke(struct vd_hvc_port *p)
{
	if (!p->broken)
		say(p->con, &p->broken, true);
}

static void publish(struct vd_hvc_queue *q)
{
	if (vd_hvc_queue_publish(q))
		vd_eventfd_signal(q->kick);
}

/* ---- what nobody sees ------------------------------------------------------------------------ */

static void drop(struct vd_hvc_port *p, uint64_t n)
{
	__atomic_store_n(&p->dropped, p->dropped + n, __ATOMIC_RELAXED);
}

static void keep(struct vd_hvc_port *p, const uint8_t *mem, size_t len)
{
	struct iovec to[2];

	mem += vd_keep_put(&p->kept, len, to);
	memcpy(to[0].iov_base, mem, to[0].iov_len);
	memcpy(to[1].iov_base, mem + to[0].iov_len, to[1].iov_len);
}

/* ---- from the device ------------------------------------------------------------------------- */

/* The terminal takes as much as it can. Return: bytes; 0: no more now, or nobody is there. */
static size_t put(struct vd_hvc_port *p, const struct iovec *iov, unsigned int n, size_t len)
{
	size_t r = vd_chan_writev(&p->chan, iov, n);

	p->full = r < len;
	return r;
}

/* Who has just opened the terminal sees first what came before. */
static size_t put_kept(struct vd_hvc_port *p)
{
	struct iovec iov[2];
	size_t n = put(p, iov, vd_keep_get(&p->kept, iov), vd_keep_len(&p->kept));

	vd_keep_took(&p->kept, n);
	return n;
}

/* The first of what came is done with. */
static void give_back(struct vd_hvc_port *p)
{
	if (vd_hvc_queue_add(&p->rx, p->got[p->first].buf, 0))
		broke(p);
	p->first = (p->first + 1) % VD_HVC_BUFS;
	p->ngot--;
	p->off = 0;
}

static struct iovec piece(const struct vd_hvc_port *p, unsigned int i)
{
	const struct vd_hvc_done *d = &p->got[(p->first + i) % VD_HVC_BUFS];
	uint32_t off = i ? 0 : p->off;

	return (struct iovec){ p->rx.mem + (size_t)d->buf * p->rx.buf_size + off, d->len - off };
}

/* Return: did any of it go? A buffer without bytes does. */
static bool put_got(struct vd_hvc_port *p)
{
	struct iovec iov[ROUND];
	unsigned int k = vd_min(p->ngot, ROUND), i;
	size_t n, left, len = 0;

	for (i = 0; i < k; i++) {
		iov[i] = piece(p, i);
		len += iov[i].iov_len;
	}
	n = left = put(p, iov, k, len);
	for (i = 0; i < k && left >= iov[i].iov_len; i++) {
		left -= iov[i].iov_len;
		give_back(p);
	}
	p->off += (uint32_t)left;
	return n || i;
}

static void keep_got(struct vd_hvc_port *p)
{
	while (p->ngot) {
		struct iovec iov = piece(p, 0);

		keep(p, iov.iov_base, iov.iov_len);
		give_back(p);
	}
}

/* What came, in its order; without bytes it is given back at once. Return: how many buffers. */
static unsigned int take(struct vd_hvc_port *p)
{
	unsigned int n = 0;
	int r = 0;

	while (n < ROUND && p->ngot < p->rx.nbufs) {
		struct vd_hvc_done d;

		r = vd_hvc_queue_get(&p->rx, &d);
		if (r <= 0)
			break;
		p->got[(p->first + p->ngot) % VD_HVC_BUFS] = d;
		p->ngot++;
		n++;
		if (!d.len && p->ngot == 1)
			give_back(p);
	}
	if (r < 0)
		broke(p);
	return n;
}

/* Return: was there anything to do? */
static bool from_device(struct vd_hvc_port *p)
{
	bool did = take(p) > 0;

	if (vd_keep_len(&p->kept) && !p->full && vd_chan_takes(&p->chan))
		did |= put_kept(p) > 0;
	if (p->ngot && !vd_keep_len(&p->kept) && !p->full && vd_chan_takes(&p->chan))
		did |= put_got(p);
	if (!vd_chan_takes(&p->chan))
		keep_got(p);
	publish(&p->rx);
	return did;
}

/* ---- to the device --------------------------------------------------------------------------- */

static void reap(struct vd_hvc_port *p)
{
	struct vd_hvc_done d;
	int r;

	while ((r = vd_hvc_queue_get(&p->tx, &d)) > 0)
		p->tx.free[p->tx.nfree++] = d.buf;
	if (r < 0)
		broke(p);
}

/* Would what is typed find somebody? */
static bool can_send(const struct vd_hvc_port *p)
{
	return p->tx.nfree && is(&p->attached) && !is(&p->broken) && vd_chan_brings(&p->chan);
}

/* Return: was there anything to do? */
static bool to_device(struct vd_hvc_port *p)
{
	bool did = false;

	reap(p);
	for (unsigned int i = 0; i < ROUND && can_send(p); i++) {
		unsigned int buf = p->tx.free[p->tx.nfree - 1];
		struct iovec iov = { p->tx.mem + (size_t)buf * p->tx.buf_size, p->tx.buf_size };
		size_t n = vd_chan_readv(&p->chan, &iov, 1);

		if (!n)
			break;
		p->tx.nfree--;
		did = true;
		if (vd_hvc_queue_add(&p->tx, buf, (uint32_t)n))
			broke(p);
	}
	publish(&p->tx);
	return did;
}

/* ---- a port ---------------------------------------------------------------------------------- */

static void begin(struct vd_hvc_port *p)
{
	/* What a former life of the port has left with the device is there still. */
	while (!p->filled && p->rx.nfree)
		if (vd_hvc_queue_add(&p->rx, p->rx.free[--p->rx.nfree], 0))
			broke(p);
	p->filled = true;
	publish(&p->rx);
}

/* Its terminal goes. What came before that is seen, if it can be without waiting. */
static void end(struct vd_hvc_port *p)
{
	for (unsigned int i = 0; i < VD_HVC_BUFS / ROUND && !is(&p->broken); i++)
		from_device(p);
	while (p->ngot) {
		drop(p, piece(p, 0).iov_len);
		give_back(p);
	}
	publish(&p->rx);
	p->full = p->ending = false;
}

static bool served(const struct vd_hvc_port *p)
{
	return p->heard & 1;
}

static bool serve(struct vd_hvc_port *p)
{
	uint32_t asked = __atomic_load_n(&p->asked, __ATOMIC_ACQUIRE);
	bool did;

	if (asked != p->heard) {
		if (asked & 1)
			begin(p);
		else
			end(p);
		__atomic_store_n(&p->heard, asked, __ATOMIC_RELEASE);
		vd_loop_post(p->con->bound.vdev->loop, &p->con->post);
	}
	if (!served(p))
		return false;
	if (vd_chan_changed(&p->chan)) {
		vd_chan_take(&p->chan);
		p->full = p->ending = false;
	}
	if (is(&p->broken))
		return false;
	did = from_device(p);
	return to_device(p) || did;
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* What to wait for beside what the device says. Return: false: there is something to do now. */
static bool arm(struct vd_hvc_port *p, struct pollfd *f)
{
	*f = (struct pollfd){ .fd = -1 };
	if (!served(p) || is(&p->broken))
		return true;
	if (p->ngot < p->rx.nbufs && vd_virtq_drv_calls_on(p->rx.vq))
		return false;
	/* Its buffers are all with the device, or it is about to say that it took them. */
	if (!p->tx.nfree && vd_virtq_drv_calls_on(p->tx.vq))
		return false;
	f->events = (short)((can_send(p) ? POLLIN : 0) | (p->full ? POLLOUT : 0));
	if (!p->ending)
		f->fd = vd_chan_fd(&p->chan);
	return true;
}

static void woken(struct vd_hvc_port *p, short revents)
{
	vd_virtq_drv_calls_off(p->rx.vq);
	vd_virtq_drv_calls_off(p->tx.vq);
	if (revents & POLLOUT)
		p->full = false;
	/* What was left in it is read as there is room for it: it would be said again and again. */
	p->ending = revents & (POLLERR | POLLHUP | POLLNVAL);
}

static void sleep_until_something(struct vd_hvc *con, struct pollfd *f)
{
	bool ending = false;

	f[0] = (struct pollfd){ .fd = con->wake, .events = POLLIN };
	f[1] = (struct pollfd){ .fd = con->call, .events = POLLIN };
	for (unsigned int i = 0; i < con->nports; i++) {
		if (!arm(&con->ports[i], &f[2 + i]))
			return;
		ending |= con->ports[i].ending;
	}
	poll(f, 2 + con->nports, ending ? ENDING_MS : -1);
	vd_eventfd_drain(con->wake);
	vd_eventfd_drain(con->call);
	for (unsigned int i = 0; i < con->nports; i++)
		if (served(&con->ports[i]))
			woken(&con->ports[i], f[2 + i].revents);
}

/* What was taken from terminals goes out, if that takes no time. */
static void linger(struct vd_hvc *con)
{
	uint64_t end_ns = vd_now_ns() + LINGER_MS * 1000000ull;
	struct pollfd f = { .fd = con->call, .events = POLLIN };

	for (unsigned int i = 0; i < con->nports; i++) {
		struct vd_hvc_port *p = &con->ports[i];

		while (served(p) && !is(&p->broken) && p->tx.nfree < p->tx.nbufs) {
			int left_ms = (int)((int64_t)(end_ns - vd_now_ns()) / 1000000);

			if (left_ms <= 0)
				return;
			if (!vd_virtq_drv_calls_on(p->tx.vq)) {
				poll(&f, 1, left_ms);
				vd_eventfd_drain(con->call);
			}
			reap(p);
		}
	}
}

void *vd_hvc_run(void *arg)
{
	struct pollfd fds[2 + VD_HVC_PORTS];
	struct vd_hvc *con = arg;

	while (!stopping(con)) {
		bool did = false;

		for (unsigned int i = 0; i < con->nports; i++)
			did |= serve(&con->ports[i]);
		if (!did)
			sleep_until_something(con, fds);
	}
	linger(con);
	for (unsigned int i = 0; i < con->nports; i++)
		if (served(&con->ports[i]))
			end(&con->ports[i]);
	say(con, &con->quiet, true);
	return NULL;
}
