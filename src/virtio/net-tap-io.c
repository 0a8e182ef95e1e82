/* SPDX-License-Identifier: BSD-2-Clause */
/* net-tap-io.c - frames of the kernel to frames of the device and back; see net-tap.h */
#include "virtio/net-tap.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"

#define FRAME_MIN 14

static bool stopping(const struct tap_pair *p)
{
	return __atomic_load_n(&p->tap->stop, __ATOMIC_ACQUIRE);
}

/* Nothing goes by the device any more. */
static void broke(struct tap_pair *p, int err)
{
	if (err == -EIO && !p->broken) {
		__atomic_store_n(&p->tap->broken, true, __ATOMIC_RELEASE);
		vd_loop_post(p->tap->vdev->loop, &p->tap->post);
	}
	p->broken = true;
}

/* ---- from the device ------------------------------------------------------------------------- */

/* What the interface does not take is lost, as by any interface that is down or short of memory. */
static void write_frame(struct tap_pair *p, const struct uvdpa_net_buf *bufs, unsigned int n)
{
	struct iovec iov[BATCH];
	size_t len = 0;
	ssize_t r;

	assert(n);
	for (unsigned int i = 0; i < n; i++) {
		iov[i] = (struct iovec){ bufs[i].mem + bufs[i].off, bufs[i].len };
		len += bufs[i].len;
	}
	/* The kernel would take it, and no frame is so long. */
	if (len > TX_SLOT)
		return;
	iov[0].iov_base = bufs[0].mem;
	iov[0].iov_len += bufs[0].off;
	do
		r = n == 1 ? write(p->fd, iov[0].iov_base, iov[0].iov_len)
			   : writev(p->fd, iov, (int)n);
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EBADFD)
		p->dead = true;
}

/* Buffers that are empty again. The ring has room: they come from there. */
static void post(struct tap_pair *p, struct uvdpa_net_buf *bufs, unsigned int n)
{
	int r;

	for (unsigned int i = 0; i < n; i++)
		bufs[i] = (struct uvdpa_net_buf){ .mem = bufs[i].mem, .len = p->rx_size };
	r = n ? uvdpa_netq_rx_post(p->q, bufs, n) : 0;
	if (r < 0)
		broke(p, r);
}

/* Return: how many buffers came. */
static unsigned int from_device(struct tap_pair *p)
{
	int got = uvdpa_netq_rx(p->q, p->rx + p->nrx, BATCH - p->nrx);
	unsigned int n, begin = 0;

	if (got < 0)
		broke(p, got);
	if (got <= 0)
		return 0;
	n = p->nrx + (unsigned int)got;
	for (unsigned int i = p->nrx; i < n; i++) {
		if (p->rx[i].flags & UVDPA_NET_MORE)
			continue;
		if (!p->skip && !(p->rx[i].flags & UVDPA_NET_BAD))
			write_frame(p, p->rx + begin, i + 1 - begin);
		p->skip = false;
		begin = i + 1;
	}
	/* More pieces than a frame can have in buffers of this size: it is none. */
	if (!begin && n == BATCH) {
		p->skip = true;
		begin = n;
	}
	p->nrx = 0;
	if (begin < n) {
		struct uvdpa_net_buf rest[BATCH];

		p->nrx = n - begin;
		memcpy(rest, p->rx + begin, p->nrx * sizeof(rest[0]));
		post(p, p->rx, begin);
		memcpy(p->rx, rest, p->nrx * sizeof(rest[0]));
	} else {
		post(p, p->rx, begin);
	}
	return (unsigned int)got;
}

/* ---- to the device --------------------------------------------------------------------------- */

static void reap(struct tap_pair *p)
{
	int n = uvdpa_netq_tx_done(p->q, p->free + p->nfree, p->nslots - p->nfree);

	if (n > 0)
		p->nfree += (unsigned int)n;
	else if (n < 0)
		broke(p, n);
}

/* A frame of the kernel. Return: its bytes with the header; 0: none now. */
static uint32_t read_frame(struct tap_pair *p, uint8_t *mem)
{
	ssize_t n;

	do
		n = read(p->fd, mem, TX_SLOT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		p->dead = errno == EBADFD;
	return n < 0 ? 0 : (uint32_t)n;
}

/* Return: how many frames were sent. */
static unsigned int to_device(struct tap_pair *p)
{
	struct uvdpa_net_buf bufs[BATCH];
	unsigned int n = 0;
	uint32_t len;
	int sent;

	reap(p);
	while (n < BATCH && p->nfree && !p->dead && !p->broken) {
		uint8_t *mem = p->free[p->nfree - 1];

		len = read_frame(p, mem);
		if (!len)
			break;
		if (len < UVDPA_NET_HDR + FRAME_MIN)
			continue;
		/* "Valid" is not a word of who sends, and num_buffers is not the kernel's to set
		 * (virtio 1.3, 5.1.6.2.1). */
		mem[offsetof(struct virtio_net_hdr_v1, flags)] &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
		memset(mem + offsetof(struct virtio_net_hdr_v1, num_buffers), 0, 2);
		bufs[n++] = (struct uvdpa_net_buf){ .mem = mem,
						    .off = UVDPA_NET_HDR,
						    .len = len - UVDPA_NET_HDR,
						    .flags = UVDPA_NET_RAW };
		p->nfree--;
	}
	if (!n)
		return 0;
	/* There are no more slots than entries in the ring. */
	sent = uvdpa_netq_tx(p->q, bufs, n);
	if (sent < 0)
		broke(p, sent);
	for (unsigned int i = sent < 0 ? 0 : (unsigned int)sent; i < n; i++)
		p->free[p->nfree++] = bufs[i].mem;
	return n;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void sleep_until_something(struct tap_pair *p)
{
	struct pollfd f[] = {
		{ .fd = p->wake, .events = POLLIN },
		{ .fd = p->broken ? -1 : uvdpa_netq_rx_fd(p->q), .events = POLLIN },
		{ .fd = p->broken || p->nfree ? -1 : uvdpa_netq_tx_fd(p->q), .events = POLLIN },
		/* Also who is broken hears when it goes. */
		{ .fd = p->fd, .events = p->nfree && !p->broken ? POLLIN : 0 },
	};

	if (f[1].fd >= 0 && uvdpa_netq_rx_arm(p->q))
		return;
	if (f[2].fd >= 0 && uvdpa_netq_tx_arm(p->q))
		return;
	poll(f, VD_ARRAY_SIZE(f), -1);
	if (f[0].revents)
		vd_eventfd_drain(p->wake);
	if (f[3].revents & (POLLERR | POLLHUP | POLLNVAL)) {
		char name[IFNAMSIZ];

		p->dead = vd_tun_name(p->fd, name) != 0;
	}
}

/* What was taken from the kernel goes out, if that takes no time. */
static void linger(struct tap_pair *p)
{
	uint64_t end_ns = vd_now_ns() + LINGER_MS * 1000000ull;

	while (!p->broken && uvdpa_netq_tx_inflight(p->q)) {
		int left_ms = (int)((int64_t)(end_ns - vd_now_ns()) / 1000000);

		if (left_ms <= 0)
			break;
		if (!uvdpa_netq_tx_arm(p->q)) {
			struct pollfd f = { .fd = uvdpa_netq_tx_fd(p->q), .events = POLLIN };

			poll(&f, 1, left_ms);
		}
		reap(p);
	}
}

void *vd_net_tap_run(void *arg)
{
	struct tap_pair *p = arg;

	while (!stopping(p) && !p->dead) {
		unsigned int did = 0;

		if (!p->broken)
			did = from_device(p) + to_device(p);
		if (!did)
			sleep_until_something(p);
	}
	if (p->dead)
		__atomic_store_n(&p->tap->lost, true, __ATOMIC_RELEASE);
	else
		linger(p);
	vd_close(&p->fd);
	__atomic_store_n(&p->quiet, true, __ATOMIC_RELEASE);
	vd_loop_post(p->tap->vdev->loop, &p->tap->post);
	return NULL;
}
