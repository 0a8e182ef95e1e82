/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rng-read.c - requests for bytes (virtio 1.3, 5.4.6)
 *
 * A request is one buffer. What the device says it filled is checked by virtq; none is an error,
 * for it would be asked again and again. How a device that is taken away gives all back, without a
 * lock, is drawn in blk-queue.c.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/fd.h"
#include "base/loop.h"
#include "virtio/rng.h"

#define REAP_MAX 32

void vd_rng_refuse(struct uvdpa_rng *rng, int err)
{
	__atomic_store_n(&rng->refuse, err, __ATOMIC_RELEASE);
}

void vd_rng_gone(struct uvdpa_rng *rng, int err)
{
	vd_rng_refuse(rng, err);
	/* Release: all that the device and control did before. Pairs with reap(). */
	__atomic_store_n(&rng->gone, err, __ATOMIC_RELEASE);
	vd_eventfd_signal(rng->call);
}

/* ---- requests ------------------------------------------------------------------------------- */

/* Return: 0; -errno of why it takes none. */
static int refused(const struct uvdpa_rng *rng)
{
	int r = __atomic_load_n(&rng->refuse, __ATOMIC_ACQUIRE);

	return r ? r : rng->broken;
}

/* Return: 0; -ENOSPC the ring is full; -EBADMSG it is broken. */
static int add(struct uvdpa_rng *rng, struct uvdpa_rng_req *req)
{
	struct vd_buf buf = { rng->dma.iova + (uint64_t)((uint8_t *)req->buf - rng->dma.base),
			      (uint32_t)req->len };
	int id = vd_virtq_drv_add(rng->vq, &buf, 0, 1);

	if (id < 0)
		return id;
	rng->reqs[id] = req;
	rng->inflight++;
	return 0;
}

static void publish(struct uvdpa_rng *rng)
{
	if (vd_virtq_drv_publish(rng->vq))
		vd_eventfd_signal(rng->kick);
}

static int check(const struct uvdpa_rng *rng, const struct uvdpa_rng_req *req)
{
	uintptr_t off = (uintptr_t)req->buf - (uintptr_t)rng->dma.base;

	if (!req->len || req->len > UINT32_MAX)
		return -EINVAL;
	if (off < rng->dma.arena || off > rng->dma.size || req->len > rng->dma.size - off)
		return -EFAULT;
	return 0;
}

int uvdpa_rng_submit(struct uvdpa_rng *rng, struct uvdpa_rng_req *const *reqs, unsigned int n)
{
	int r = refused(rng);
	unsigned int i;

	if (vd_unlikely(r))
		return r;
	for (i = 0; i < n; i++) {
		r = check(rng, reqs[i]);
		if (!r)
			r = add(rng, reqs[i]);
		if (vd_unlikely(r))
			break;
	}
	if (i)
		publish(rng);
	if (r == -EBADMSG)
		r = rng->broken = -EIO;
	return i || r == -ENOSPC ? (int)i : r;
}

static struct vd_rng_own *own_of(struct uvdpa_rng *rng, const struct uvdpa_rng_req *req)
{
	for (unsigned int i = 0; i < VD_RNG_OWN; i++)
		if (req == &rng->own[i].req)
			return &rng->own[i];
	return NULL;
}

/* Return: true if it is the application's. */
static bool give_back(struct uvdpa_rng *rng, unsigned int id, ssize_t res)
{
	struct uvdpa_rng_req *req = rng->reqs[id];
	struct vd_rng_own *own = own_of(rng, req);

	rng->reqs[id] = NULL;
	rng->inflight--;
	req->res = res;
	if (!own)
		return true;
	rng->asked--;
	own->asked = false;
	own->at = 0;
	own->end = res > 0 ? (uint32_t)res : 0;
	return false;
}

static unsigned int take(struct uvdpa_rng *rng, struct uvdpa_rng_req **done, unsigned int max)
{
	struct vd_done d[REAP_MAX];
	unsigned int n = 0;

	while (n < max) {
		int got = vd_virtq_drv_get(rng->vq, d, vd_min(max - n, (unsigned int)REAP_MAX));

		if (got < 0)
			rng->broken = -EIO;
		if (got <= 0)
			break;
		for (int i = 0; i < got; i++) {
			struct uvdpa_rng_req *req = rng->reqs[d[i].id];

			if (give_back(rng, d[i].id, d[i].len ? (ssize_t)d[i].len : -EIO))
				done[n++] = req;
		}
	}
	return n;
}

unsigned int uvdpa_rng_poll(struct uvdpa_rng *rng, struct uvdpa_rng_req **done, unsigned int max)
{
	/* Acquire: before the ring is read. Pairs with vd_rng_gone(). */
	int gone = __atomic_load_n(&rng->gone, __ATOMIC_ACQUIRE);
	unsigned int n;

	if (rng->armed) {
		vd_eventfd_drain(rng->call);
		vd_virtq_drv_calls_off(rng->vq);
		rng->armed = false;
	}
	n = take(rng, done, max);
	if (vd_likely(!gone && !rng->broken))
		return n;
	for (unsigned int id = 0; id < rng->num && n < max; id++) {
		struct uvdpa_rng_req *req = rng->reqs[id];

		if (req && give_back(rng, id, gone ? gone : rng->broken))
			done[n++] = req;
	}
	return n;
}

int uvdpa_rng_fd(const struct uvdpa_rng *rng)
{
	return rng->call;
}

bool uvdpa_rng_arm(struct uvdpa_rng *rng)
{
	rng->armed = true;
	if (vd_virtq_drv_calls_on(rng->vq))
		return true;
	return (rng->broken || __atomic_load_n(&rng->gone, __ATOMIC_ACQUIRE)) && rng->inflight;
}

int uvdpa_rng_wait(struct uvdpa_rng *rng, int timeout_ms)
{
	struct pollfd p = { .fd = rng->call, .events = POLLIN };
	int r;

	if (uvdpa_rng_arm(rng))
		return 0;
	r = poll(&p, 1, timeout_ms);
	return r > 0 ? 0 : r ? -errno : -ETIMEDOUT;
}

/* ---- read ----------------------------------------------------------------------------------- */

static struct vd_rng_own *nth(struct uvdpa_rng *rng, unsigned int i)
{
	return &rng->own[i & (VD_RNG_OWN - 1)];
}

/* Of what came; it is not left for the device to look at. */
static size_t copy_out(struct vd_rng_own *own, uint8_t *to, size_t len)
{
	size_t n = vd_min(len, (size_t)(own->end - own->at));
	uint8_t vd_guest *from = vd_guest_wrap(uint8_t, own->req.buf) + own->at;

	vd_guest_read(to, from, n);
	vd_guest_fill(from, 0, n);
	own->at += (uint32_t)n;
	return n;
}

/* Bytes that are there, or asked for. */
static size_t coming(struct uvdpa_rng *rng)
{
	size_t sum = 0;

	for (unsigned int i = rng->first; i != rng->next; i++) {
		const struct vd_rng_own *own = nth(rng, i);

		sum += own->asked ? own->req.len : own->end - own->at;
	}
	return sum;
}

/* Ask for what is missing of @len bytes, as far as there are buffers. Return: 0; -ENODEV, -EIO. */
static int ask(struct uvdpa_rng *rng, size_t len)
{
	size_t sum = coming(rng);
	int r = 0;

	while (sum < len && rng->next - rng->first < VD_RNG_OWN) {
		struct vd_rng_own *own = nth(rng, rng->next);

		r = refused(rng);
		if (r)
			return r;
		own->req.len = vd_min(len - sum, (size_t)VD_RNG_READ);
		r = add(rng, &own->req);
		if (r)
			break;
		own->asked = true;
		sum += own->req.len;
		rng->asked++;
		rng->next++;
	}
	publish(rng);
	/* A small ring has no room for all. */
	return !r || (r == -ENOSPC && rng->asked) ? 0 : (rng->broken = -EIO);
}

/* Wait for the first, until @due_ns; 0: for ever. */
static int wait_first(struct uvdpa_rng *rng, uint64_t due_ns)
{
	const struct vd_rng_own *own = nth(rng, rng->first);
	struct uvdpa_rng_req *none[1];

	for (;;) {
		uint64_t now = due_ns ? vd_now_ns() : 0;
		uint64_t left_ms = (vd_max(due_ns, now) - now + 999999) / 1000000;
		int r;

		uvdpa_rng_poll(rng, none, 1);
		if (!own->asked)
			return own->req.res < 0 ? (int)own->req.res : 0;
		if (due_ns && !left_ms)
			return -ETIMEDOUT;
		r = uvdpa_rng_wait(rng, due_ns ? (int)vd_min(left_ms, 1000000u) : -1);
		if (r && r != -ETIMEDOUT)
			return r;
	}
}

ssize_t uvdpa_rng_read(struct uvdpa_rng *rng, void *buf, size_t len, int timeout_ms)
{
	uint64_t due_ns = timeout_ms < 0 ? 0 : vd_now_ns() + (uint64_t)timeout_ms * 1000000u;
	size_t done = 0;
	int r = 0;

	if (rng->inflight > rng->asked)
		return -EBUSY;
	while (done < len && !r) {
		struct vd_rng_own *own = nth(rng, rng->first);
		int refusal = ask(rng, len - done);

		if (rng->first == rng->next) {
			r = refusal;
			break;
		}
		r = wait_first(rng, due_ns);
		if (own->asked)
			break;
		done += copy_out(own, (uint8_t *)buf + done, len - done);
		if (own->at == own->end)
			rng->first++;
	}
	return done ? (ssize_t)done : r;
}
