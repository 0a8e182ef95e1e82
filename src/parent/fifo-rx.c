/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fifo-rx.c - what is received over a FIFO: the link's thread
 *
 *	buf:	| done .. | held frames, and words between them ... | not decoded .. | room ...... |
 *			    held[first].data			      at	       end
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/err.h"
#include "base/fd.h"
#include "parent/fifo-link.h"

#define EVENTS 4
#define READS  8 /* in a round, before something else has its turn */
#define HELD_MS \
	5 /* frames that wait are looked at so often, if nobody says that there are buffers */

int vd_fifo_rx_init(struct vd_fifo_link *l)
{
	struct vd_fifo_rx *rx = &l->rx;

	rx->buf = malloc(VD_FIFO_RX);
	rx->held = calloc(VD_FIFO_HELD, sizeof(*rx->held));
	rx->inbox = malloc(VD_FIFO_INBOX);
	if (!rx->buf || !rx->held || !rx->inbox)
		return vd_err(-ENOMEM, "%s: no memory", l->address);
	return 0;
}

void vd_fifo_rx_fini(struct vd_fifo_link *l)
{
	free(l->rx.buf);
	free(l->rx.held);
	free(l->rx.inbox);
}

/* ---- the console's inbox -------------------------------------------------------------------- */

static void inbox_put(struct vd_fifo_link *l, const uint8_t *b, uint32_t len)
{
	struct vd_fifo_rx *rx = &l->rx;
	uint32_t put = rx->inbox_put, got = __atomic_load_n(&rx->inbox_got, __ATOMIC_ACQUIRE);
	uint32_t n = vd_min(len, VD_FIFO_INBOX - (put - got)), at = put % VD_FIFO_INBOX;
	uint32_t first = vd_min(n, VD_FIFO_INBOX - at);

	memcpy(rx->inbox + at, b, first);
	memcpy(rx->inbox, b + first, n - first);
	__atomic_store_n(&rx->inbox_put, put + n, __ATOMIC_RELEASE);
	if (n < len)
		vd_fifo_count(&rx->full[VD_FIFO_DEV_CONSOLE], len - n);
}

size_t vd_fifo_inbox_peek(struct vd_fifo_link *l, const uint8_t **ret_at)
{
	uint32_t put = __atomic_load_n(&l->rx.inbox_put, __ATOMIC_ACQUIRE), got = l->rx.inbox_got;
	uint32_t at = got % VD_FIFO_INBOX;

	*ret_at = l->rx.inbox + at;
	return vd_min(put - got, VD_FIFO_INBOX - at);
}

void vd_fifo_inbox_take(struct vd_fifo_link *l, size_t len)
{
	__atomic_store_n(&l->rx.inbox_got, l->rx.inbox_got + (uint32_t)len, __ATOMIC_RELEASE);
}

/* Console bytes wait for a driver that is not there now, if there is a device. */
static void text(struct vd_fifo_link *l, const struct vd_fifo_event *ev)
{
	struct vd_fifo_slot *s = &l->slots[VD_FIFO_DEV_CONSOLE];
	struct vd_fifo_port *p;

	if (!__atomic_load_n(&s->owner, __ATOMIC_RELAXED)) {
		vd_fifo_count(&l->rx.no_driver[VD_FIFO_DEV_CONSOLE], ev->len);
		return;
	}
	inbox_put(l, ev->data, ev->len);
	p = vd_fifo_slot_get(l, VD_FIFO_DEV_CONSOLE);
	if (p)
		p->ops->wake(p);
	vd_fifo_slot_put(l, VD_FIFO_DEV_CONSOLE);
}

/* ---- frames --------------------------------------------------------------------------------- */

static void forget_held(struct vd_fifo_rx *rx, uint64_t *counter)
{
	vd_fifo_count(counter, rx->n);
	rx->first = rx->n = 0;
}

/* Give the driver what is held, as far as it has buffers. */
static void deliver(struct vd_fifo_link *l)
{
	struct vd_fifo_rx *rx = &l->rx;
	struct vd_fifo_port *p;
	unsigned int n = 0, got;

	if (!rx->n)
		return;
	p = vd_fifo_slot_get(l, VD_FIFO_DEV_NET);
	if (!p) {
		forget_held(rx, &rx->no_driver[VD_FIFO_DEV_NET]);
	} else {
		/* A few at once, so that the driver has the first while there are more to come. */
		rx->cramped = false;
		do {
			got = p->ops->deliver(p, rx->held + rx->first, vd_min(rx->n, 64u));
			rx->first += got;
			rx->n -= got;
			n += got;
		} while (rx->n && got);
	}
	if (n)
		rx->dropping = false;
	if (vd_unlikely(rx->n)) {
		if (rx->dropping)
			forget_held(rx, &rx->full[VD_FIFO_DEV_NET]);
		else if (n || !rx->held_ns)
			rx->held_ns = vd_now_ns();
	}
	if (vd_likely(!rx->n)) {
		rx->first = 0;
		rx->held_ns = 0;
	}
	if (vd_unlikely(rx->n && !rx->cramped)) {
		__atomic_store_n(&rx->starved, true, __ATOMIC_RELEASE);
		if (n)
			p->ops->wake(p); /* to ask for kicks, and to say that there are buffers */
	}
	vd_fifo_slot_put(l, VD_FIFO_DEV_NET);
}

static void hold(struct vd_fifo_link *l, const struct vd_fifo_event *ev)
{
	struct vd_fifo_rx *rx = &l->rx;

	if (vd_unlikely(rx->tainted)) {
		rx->tainted = false;
		vd_fifo_count(&rx->decoder.counts.cut, 1);
		return;
	}
	rx->held[rx->first + rx->n++] = (struct vd_fifo_frame){ ev->data, ev->len };
}

/* ---- control messages ----------------------------------------------------------------------- */

/* The host asks who the card is. Its firmware would answer; who boots from it, nobody has told us.
 */
static void answer(struct vd_fifo_link *l)
{
	uint64_t mac = __atomic_load_n(&l->mac, __ATOMIC_RELAXED);
	uint8_t *b = l->tx.stages[VD_FIFO_STAGE_CTRL].buf, extra[4][4] = { 0 };
	static const uint8_t types[4] = { VD_FIFO_MAC_1, VD_FIFO_MAC_2, VD_FIFO_VLAN_ID,
					  VD_FIFO_PXE_ID };

	if (!vd_fifo_stage_ready(l, VD_FIFO_STAGE_CTRL))
		return; /* it asks again */
	for (unsigned int i = 0; i < 6; i++)
		extra[i / 3][i % 3] = (uint8_t)(mac >> (40 - 8 * i));
	for (unsigned int i = 0; i < 4; i++)
		vd_fifo_header(b + i * VD_FIFO_WORD, types[i], 0, extra[i]);
	vd_fifo_stage_send(l, VD_FIFO_STAGE_CTRL, 4 * VD_FIFO_WORD);
}

/* ---- the stream ----------------------------------------------------------------------------- */

static void decode(struct vd_fifo_link *l)
{
	struct vd_fifo_rx *rx = &l->rx;
	struct vd_fifo_event ev;
	size_t used;

	rx->decoder.frame_max =
		vd_min(__atomic_load_n(&l->mtu, __ATOMIC_RELAXED) + VD_FIFO_L2, VD_FIFO_LEN_MAX);
	do {
		if (vd_unlikely(rx->first + rx->n == VD_FIFO_HELD)) {
			deliver(l);
			memmove(rx->held, rx->held + rx->first, rx->n * sizeof(*rx->held));
			rx->first = 0;
			if (rx->n == VD_FIFO_HELD)
				return;
		}
		ev = vd_fifo_decode(&rx->decoder, rx->buf + rx->at, rx->end - rx->at, &used);
		rx->at += used;
		if (vd_likely(ev.kind == VD_FIFO_FRAME))
			hold(l, &ev);
		else if (ev.kind == VD_FIFO_TEXT)
			text(l, &ev);
		else if (ev.kind == VD_FIFO_WORDS && *ev.data == VD_FIFO_CTRL_REQ &&
			 l->role == VD_FIFO_CARD)
			answer(l);
	} while (ev.kind != VD_FIFO_MORE);
	deliver(l);
}

/* What is done with makes room. Return: bytes that there is room for. */
static size_t make_room(struct vd_fifo_rx *rx)
{
	size_t done = rx->n ? (size_t)(rx->held[rx->first].data - rx->buf) : rx->at;

	if (done == rx->end) {
		rx->at = rx->end = 0;
	} else if (done && VD_FIFO_RX - rx->end < VD_FIFO_READ) {
		memmove(rx->buf, rx->buf + done, rx->end - done);
		for (unsigned int i = rx->first; i < rx->first + rx->n; i++)
			rx->held[i].data -= done;
		rx->at -= done;
		rx->end -= done;
	}
	return VD_FIFO_RX - rx->end;
}

static void pause_reading(struct vd_fifo_link *l, bool pause)
{
	if (l->rx.paused == pause)
		return;
	l->rx.paused = pause;
	l->wire->listen(l, !pause);
}

/* The connection is another one, or there is none any more. */
static void begin_anew(struct vd_fifo_link *l)
{
	struct vd_fifo_rx *rx = &l->rx;

	vd_fifo_decoder_restart(&rx->decoder, rx->end - rx->at);
	forget_held(rx, &rx->full[VD_FIFO_DEV_NET]);
	__atomic_store_n(&rx->starved, false, __ATOMIC_RELAXED);
	rx->at = rx->end = 0;
	rx->tainted = rx->dropping = false;
	rx->held_ns = 0;
}

/* Return: whether there may be more, of which nobody will tell. */
static bool receive(struct vd_fifo_link *l)
{
	struct vd_fifo_rx *rx = &l->rx;
	size_t room;
	ssize_t n;

	for (unsigned int i = 0; i < READS; i++) {
		room = make_room(rx);
		if (room < VD_FIFO_READ || rx->n == VD_FIFO_HELD) {
			pause_reading(l, true);
			return false;
		}
		pause_reading(l, false);
		n = l->wire->read(l, rx->buf + rx->end, VD_FIFO_READ);
		if (n == -EAGAIN)
			return false;
		if (n <= 0) {
			l->wire->hang_up(l);
			return false;
		}
		vd_fifo_count(&rx->reads, 1);
		rx->came_ns = vd_now_ns();
		rx->end += (size_t)n;
		decode(l);
	}
	return true;
}

/* ---- time ----------------------------------------------------------------------------------- */

static void say_what_is_lost(struct vd_fifo_link *l)
{
	const struct vd_fifo_counts *now = &l->rx.decoder.counts;
	unsigned int missed;

	if (now->resyncs == l->said.resyncs && now->cut == l->said.cut &&
	    now->unknown == l->said.unknown)
		return;
	if (!vd_ratelimit_ok(&l->rl, &missed))
		return;
	vd_log_warn(vd_ctx_log(l->u), l->address,
		    "out of step: %llu times, %llu bytes skipped; %llu messages cut off, %llu of "
		    "unknown types",
		    (unsigned long long)(now->resyncs - l->said.resyncs),
		    (unsigned long long)(now->lost_bytes - l->said.lost_bytes),
		    (unsigned long long)(now->cut - l->said.cut),
		    (unsigned long long)(now->unknown - l->said.unknown));
	l->said = *now;
}

static void wake_all(struct vd_fifo_link *l)
{
	for (unsigned int i = 0; i < VD_FIFO_DEVS; i++) {
		struct vd_fifo_port *p = vd_fifo_slot_get(l, i);

		if (p)
			p->ops->wake(p);
		vd_fifo_slot_put(l, i);
	}
}

/* Frames have waited for buffers, and others wait behind them. */
static void look_at_held(struct vd_fifo_link *l, uint64_t now)
{
	struct vd_fifo_rx *rx = &l->rx;

	if (!rx->n)
		return;
	if (now - rx->held_ns >= (rx->paused ? VD_FIFO_HOLD_NS : VD_FIFO_CRAMPED_NS) &&
	    (rx->paused || rx->cramped))
		rx->dropping = true;
	deliver(l);
	if (!rx->paused)
		return;
	decode(l); /* there may be more than could be held */
	l->rx.more = receive(l);
}

/* The message that is under way does not go on. */
static void look_at_stall(struct vd_fifo_link *l, uint64_t now)
{
	struct vd_fifo_rx *rx = &l->rx;

	if (!rx->came_ns || now - rx->came_ns < VD_FIFO_STALL_NS || rx->n)
		return;
	rx->came_ns = 0;
	if (!vd_fifo_decoder_within(&rx->decoder, rx->end - rx->at))
		return;
	vd_fifo_count(&rx->stalls, 1);
	if (rx->decoder.bytewise)
		begin_anew(l);
	else
		rx->tainted = rx->end > rx->at;
}

/* Return: how long to sleep, in ms; -1: until something comes. */
static int look_at_clock(struct vd_fifo_link *l)
{
	uint64_t blocked = __atomic_load_n(&l->tx.blocked_ns, __ATOMIC_RELAXED), now = 0;
	int ms = -1;

	if (blocked || l->rx.n || l->rx.came_ns)
		now = vd_now_ns();
	look_at_held(l, now);
	look_at_stall(l, now);
	if (blocked && !__atomic_load_n(&l->tx.stalled, __ATOMIC_RELAXED)) {
		if (now - blocked >= VD_FIFO_STALL_NS) {
			__atomic_store_n(&l->tx.stalled, true, __ATOMIC_RELAXED);
			wake_all(l);
		}
		ms = 100;
	}
	if (l->rx.came_ns && vd_fifo_decoder_within(&l->rx.decoder, l->rx.end - l->rx.at))
		ms = 100;
	if (l->rx.more)
		return 0;
	return l->rx.n ? HELD_MS : ms;
}

static void look_at_wire(struct vd_fifo_link *l)
{
	if (!l->wire->take(l))
		return;
	begin_anew(l);
	l->rx.paused = false;
	l->rx.decoder.bytewise = l->stream.lossy;
	vd_fifo_tx_push(l); /* it has the new one, too */
	__atomic_store_n(&l->tx.coming, false, __ATOMIC_RELAXED);
}

void *vd_fifo_main(void *arg)
{
	struct vd_fifo_link *l = arg;
	struct epoll_event ev[EVENTS];

	while (!__atomic_load_n(&l->stop, __ATOMIC_ACQUIRE)) {
		int n = epoll_wait(l->epfd, ev, EVENTS, look_at_clock(l));
		bool room = false;

		for (int i = 0; i < n; i++) {
			if (!ev[i].data.u32)
				vd_eventfd_drain(l->wakefd);
			else
				room |= l->wire->event(l, ev[i].events);
		}
		look_at_wire(l);
		if (vd_unlikely(__atomic_exchange_n(&l->tx.broken, false, __ATOMIC_ACQUIRE)))
			l->wire->hang_up(l);
		if (room) {
			__atomic_store_n(&l->tx.room, true, __ATOMIC_RELEASE);
			vd_fifo_tx_push(l);
		}
		deliver(l);
		l->rx.more = receive(l);
		say_what_is_lost(l);
	}
	return NULL;
}
