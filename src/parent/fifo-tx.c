/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fifo-tx.c - what is sent over a FIFO, by whoever has something to send
 *
 *	fill the stage, len = n
 *	turns++ == 0?	no: who has the turn comes round once more, and sees the stage
 *			yes: write all stages; turns -= what was seen; not 0? again
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "parent/fifo-link.h"

static const size_t rooms[VD_FIFO_STAGES] = {
	[VD_FIFO_DEV_NET] = VD_FIFO_STAGE,
	[VD_FIFO_DEV_CONSOLE] = VD_FIFO_WORD + VD_FIFO_CHUNK,
	[VD_FIFO_STAGE_CTRL] = 4 * VD_FIFO_WORD,
	[VD_FIFO_STAGE_SYNC] = VD_FIFO_SYNC * VD_FIFO_WORD,
};

int vd_fifo_tx_init(struct vd_fifo_link *l)
{
	l->tx.part = -1;
	for (unsigned int i = 0; i < VD_FIFO_STAGES; i++) {
		l->tx.stages[i].room = rooms[i];
		l->tx.stages[i].buf = malloc(rooms[i]);
		if (!l->tx.stages[i].buf)
			return vd_err(-ENOMEM, "%s: no memory", l->address);
	}
	/* Zeros are what a card pads with: in the middle of a text they are not seen. */
	for (unsigned int i = 0; i < VD_FIFO_SYNC; i++)
		vd_fifo_header(l->tx.stages[VD_FIFO_STAGE_SYNC].buf + i * VD_FIFO_WORD,
			       l->role == VD_FIFO_HOST ? VD_FIFO_NET : 0, 0, NULL);
	return 0;
}

void vd_fifo_tx_fini(struct vd_fifo_link *l)
{
	for (unsigned int i = 0; i < VD_FIFO_STAGES; i++)
		free(l->tx.stages[i].buf);
}

/* ---- who has the turn ----------------------------------------------------------------------- */

/* The message that begins at @bound is under way now. */
static void next_bound(struct vd_fifo_link *l, unsigned int idx)
{
	struct vd_fifo_stage *s = &l->tx.stages[idx];

	s->bound += vd_fifo_size(vd_fifo_len(s->buf + s->bound));
	if (idx < VD_FIFO_DEVS)
		vd_fifo_count(&l->tx.messages[idx], 1);
}

/* It is the worker's again. */
static void stage_empty(struct vd_fifo_link *l, unsigned int idx)
{
	struct vd_fifo_stage *s = &l->tx.stages[idx];

	s->at = s->bound = 0;
	/* Both are sequentially consistent, as in vd_fifo_stage_ready(): one of us sees the other.
	 */
	__atomic_store_n(&s->len, 0, __ATOMIC_SEQ_CST);
	if (idx < VD_FIFO_DEVS && __atomic_load_n(&s->waiting, __ATOMIC_SEQ_CST)) {
		struct vd_fifo_port *p = vd_fifo_slot_get(l, idx);

		__atomic_store_n(&s->waiting, false, __ATOMIC_RELAXED);
		if (p)
			p->ops->wake(p);
		vd_fifo_slot_put(l, idx);
	}
}

static size_t stage_len(const struct vd_fifo_stage *s)
{
	return __atomic_load_n(&s->len, __ATOMIC_ACQUIRE);
}

/* Something goes, or nothing has to. */
static void goes(struct vd_fifo_tx *tx)
{
	__atomic_store_n(&tx->blocked_ns, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&tx->stalled, false, __ATOMIC_RELAXED);
}

/* The connection has ended, and with it what was on its way. */
static vd_noinline void discard(struct vd_fifo_link *l)
{
	l->tx.part = -1;
	l->tx.blocked = false;
	goes(&l->tx);
	for (unsigned int i = 0; i < VD_FIFO_STAGES; i++) {
		struct vd_fifo_stage *s = &l->tx.stages[i];
		size_t len = stage_len(s);
		uint64_t n = s->at < s->bound;

		for (; s->bound < len; n++)
			s->bound += vd_fifo_size(vd_fifo_len(s->buf + s->bound));
		if (i < VD_FIFO_DEVS)
			vd_fifo_count(&l->tx.dropped[i], n);
		if (len)
			stage_empty(l, i);
	}
}

static void set_open(struct vd_fifo_tx *tx, bool open)
{
	__atomic_store_n(&tx->open, open, __ATOMIC_RELAXED);
}

static void went(struct vd_fifo_link *l, unsigned int idx, size_t n)
{
	struct vd_fifo_stage *s = &l->tx.stages[idx];

	vd_fifo_count(&l->tx.writes, 1);
	s->at += n;
	while (s->bound < s->at)
		next_bound(l, idx);
	l->tx.part = s->at < s->bound ? (int)idx : -1;
	if (vd_unlikely(__atomic_load_n(&l->tx.blocked_ns, __ATOMIC_RELAXED)))
		goes(&l->tx);
	if (s->at == stage_len(s))
		stage_empty(l, idx);
}

/* Which stage goes next: the one that is in the middle of a message; the console before net. -1:
 * none */
static int choose(const struct vd_fifo_tx *tx)
{
	if (tx->part >= 0)
		return tx->part;
	if (stage_len(&tx->stages[VD_FIFO_STAGE_SYNC]))
		return VD_FIFO_STAGE_SYNC;
	if (stage_len(&tx->stages[VD_FIFO_STAGE_CTRL]))
		return VD_FIFO_STAGE_CTRL;
	if (stage_len(&tx->stages[VD_FIFO_DEV_CONSOLE]))
		return VD_FIFO_DEV_CONSOLE;
	return stage_len(&tx->stages[VD_FIFO_DEV_NET]) ? VD_FIFO_DEV_NET : -1;
}

/* How much of it: if the console waits, only the message that is under way. */
static size_t how_much(const struct vd_fifo_tx *tx, int idx)
{
	const struct vd_fifo_stage *s = &tx->stages[idx];

	if (tx->part >= 0 && idx == VD_FIFO_DEV_NET && stage_len(&tx->stages[VD_FIFO_DEV_CONSOLE]))
		return s->bound - s->at;
	return stage_len(s) - s->at;
}

static vd_noinline void write_failed(struct vd_fifo_link *l, ssize_t err)
{
	struct vd_fifo_tx *tx = &l->tx;

	if (err != -EAGAIN) {
		set_open(tx, false);
		discard(l);
		__atomic_store_n(&tx->broken, true, __ATOMIC_RELEASE);
		vd_fifo_link_wake(l);
		return;
	}
	vd_fifo_count(&tx->waits, 1);
	tx->blocked = true;
	if (!__atomic_load_n(&tx->blocked_ns, __ATOMIC_RELAXED)) {
		__atomic_store_n(&tx->blocked_ns, vd_now_ns(), __ATOMIC_RELAXED);
		vd_fifo_link_wake(l); /* it looks at the clock from now on */
	}
}

/* The next connection begins with a message: what went of one is of no use to anybody. */
static void change(struct vd_fifo_link *l)
{
	struct vd_fifo_tx *tx = &l->tx;

	goes(tx);
	tx->blocked = false;
	if (tx->part >= 0) {
		struct vd_fifo_stage *s = &tx->stages[tx->part];

		s->at = s->bound;
		if (tx->part < VD_FIFO_DEVS)
			vd_fifo_count(&tx->dropped[tx->part], 1);
		if (s->at == stage_len(s))
			stage_empty(l, (unsigned int)tx->part);
		tx->part = -1;
	}
	set_open(tx, l->wire->tx_take(l));
	if (tx->open && tx->syncs) {
		struct vd_fifo_stage *s = &tx->stages[VD_FIFO_STAGE_SYNC];

		/* Nobody else fills this one. */
		s->at = s->bound = 0;
		__atomic_store_n(&s->len, s->room, __ATOMIC_RELAXED);
	}
}

static void flush(struct vd_fifo_link *l)
{
	struct vd_fifo_tx *tx = &l->tx;
	int idx;

	if (vd_unlikely(l->wire->tx_changed(l)))
		change(l);
	if (vd_unlikely(!tx->open)) {
		if (!__atomic_load_n(&tx->coming, __ATOMIC_ACQUIRE))
			discard(l);
		return;
	}
	if (__atomic_exchange_n(&tx->room, false, __ATOMIC_ACQUIRE))
		tx->blocked = false;
	while (!tx->blocked && (idx = choose(tx)) >= 0) {
		struct vd_fifo_stage *s = &tx->stages[idx];
		ssize_t n = l->wire->write(l, (unsigned int)idx, s->buf + s->at, how_much(tx, idx));

		if (vd_likely(n > 0)) {
			went(l, (unsigned int)idx, (size_t)n);
		} else {
			write_failed(l, n ? n : -EAGAIN);
			return;
		}
	}
}

void vd_fifo_tx_push(struct vd_fifo_link *l)
{
	unsigned int seen, was;

	if (__atomic_fetch_add(&l->tx.turns, 1, __ATOMIC_ACQ_REL))
		return;
	for (seen = 1;; seen = was - seen) {
		flush(l);
		was = __atomic_fetch_sub(&l->tx.turns, seen, __ATOMIC_ACQ_REL);
		if (was == seen)
			return;
	}
}

/* ---- who fills a stage ---------------------------------------------------------------------- */

bool vd_fifo_stage_ready(struct vd_fifo_link *l, unsigned int idx)
{
	struct vd_fifo_stage *s = &l->tx.stages[idx];

	if (vd_likely(!stage_len(s)))
		return true;
	__atomic_store_n(&s->waiting, true, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&s->len, __ATOMIC_SEQ_CST))
		return false;
	__atomic_store_n(&s->waiting, false, __ATOMIC_RELAXED);
	return true;
}

void vd_fifo_stage_send(struct vd_fifo_link *l, unsigned int idx, size_t len)
{
	/* Release: its bytes. */
	__atomic_store_n(&l->tx.stages[idx].len, len, __ATOMIC_RELEASE);
	vd_fifo_tx_push(l);
}
