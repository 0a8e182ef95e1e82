/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.c - a data thread: serves some queues of one device
 *
 * One round: take a burst from each queue in its turn, give it to the device, hand what the
 * device queued to the kernel with one call, take what has ended, publish each queue's results
 * with one notification. A burst is bounded, so a queue that is never empty cannot starve
 * another (CVE-2019-3900). After a round that found nothing the worker looks again for a while,
 * the window, and then sleeps in one wait for everything that could come.
 */
#include "softdev/worker.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/probe.h"
#include "base/thread.h"

#define EVENTS 16
#define TIMED_MS 1		/* how often a queue is looked at whose driver never kicks */
#define POLL_MIN_NS 1000	/* a shorter window is none */
#define YIELD_MAX   16		/* times 16 looks, until others are offered this CPU at the latest */
#define AWAY_NS	    3000	/* a few looks take less, unless somebody else had the CPU */
#define SHY_NS	    1000000	/* no polling for so long then */

void vd_softq_tell(struct vd_softq *q, unsigned int event)
{
	/* Release: all that the worker did to the queue. Pairs with vd_softq_event(). */
	__atomic_fetch_or(&q->events, event, __ATOMIC_RELEASE);
	vd_loop_post(vd_ctx_loop(q->sd->u), &q->post);
}

static void watch_kick(struct vd_softq *q)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = q };

	q->kick = q->conf.kick;
	q->timed = q->conf.poll;
	if (q->kick >= 0 && epoll_ctl(q->worker->epfd, EPOLL_CTL_ADD, q->kick, &ev)) {
		q->kick = -1;	/* cannot be waited for */
		q->timed = true;
	}
	q->worker->ntimed += q->timed;
}

static void unwatch_kick(struct vd_softq *q)
{
	if (q->kick >= 0)
		epoll_ctl(q->worker->epfd, EPOLL_CTL_DEL, q->kick, NULL);
	q->kick = -1;
	q->worker->ntimed -= q->timed;
	q->timed = false;
}

static void queue_begin(struct vd_softq *q)
{
	vd_softq_lock_own(q);
	q->stopping = q->broken = q->flush = q->paused = q->starved = false;
	q->running = true;
	vd_softq_unlock(q);
	if (!q->worker->nrun)
		q->worker->epoch++;
	q->worker->run[q->worker->nrun++] = q;
	watch_kick(q);
}

static void queue_call(struct vd_softq *q)
{
	int call = __atomic_load_n(&q->call, __ATOMIC_RELAXED);

	if (call < 0)
		return;
	vd_probe(queue_notify, q->sd->name, q->idx);
	vd_eventfd_signal(call);
	vd_softq_count(&q->stats.calls, 1);
}

/* The call that was left to us, by whoever gave something back. */
static void queue_call_owed(struct vd_softq *q)
{
	if (vd_unlikely(__atomic_load_n(&q->owes_call, __ATOMIC_RELAXED)) &&
	    __atomic_exchange_n(&q->owes_call, false, __ATOMIC_ACQ_REL))
		queue_call(q);
}

static void queue_end(struct vd_softq *q)
{
	struct vd_worker *w = q->worker;
	unsigned int i = 0;

	if (q->running) {
		unwatch_kick(q);
		while (w->run[i] != q)
			i++;
		w->run[i] = w->run[--w->nrun];
		vd_softq_lock_own(q);
		q->running = false;
		vd_softq_unlock(q);
		queue_call_owed(q);	/* nobody gives anything back any more */
	}
	/* Release: control has the queue back. Pairs with the exchange in vd_softq_event(). */
	__atomic_store_n(&q->want, VD_SOFTQ_IDLE, __ATOMIC_RELEASE);
	vd_softq_tell(q, VD_SOFTQ_QUIET);
}

static void read_mail(struct vd_worker *w)
{
	struct vd_softdev *sd = w->sd;

	if (w->hold_until_ns) /* what it waits for may have changed: look anew */
		w->hold_until_ns = 1;
	for (unsigned int i = 0; i < sd->dev.info.nvqs; i++) {
		struct vd_softq *q = &sd->queues[i];
		enum vd_softq_want want;

		if (q->worker != w)
			continue;
		/* Acquire: q->vq and q->conf. Pairs with the release in softdev.c. */
		want = __atomic_load_n(&q->want, __ATOMIC_ACQUIRE);
		if (want == VD_SOFTQ_RUN && !q->running)
			queue_begin(q);
		if (want == VD_SOFTQ_STOP) {
			q->stopping = true;
			if (!q->running)	/* it came and went before we looked */
				queue_end(q);
		}
	}
}

void vd_worker_hold(struct vd_worker *w, uint64_t until_ns)
{
	w->hold_until_ns = until_ns;
}

/* May queues be popped? */
static bool is_held(struct vd_worker *w)
{
	if (vd_likely(!w->hold_until_ns))
		return false;
	if (vd_now_ns() < w->hold_until_ns && !vd_worker_stopping(w))
		return true;
	w->hold_until_ns = 0;
	w->sd->ops->held(w->sd, w);
	return w->hold_until_ns;
}

/* How many requests the limits of the device let through; none: the worker is held. */
static vd_noinline unsigned int limit_room(struct vd_softq *q)
{
	struct vd_softdev *sd = q->sd;
	uint64_t now = vd_now_ns(), until_ns = 0, other_ns = 0;
	uint64_t requests = vd_limit_room(&sd->iops, now, &until_ns);
	uint64_t bytes = vd_limit_room(&sd->bps, now, &other_ns);

	if (!requests || !bytes) {
		vd_worker_hold(q->worker, vd_max(until_ns, other_ns));
		return 0;
	}
	/* How large one is, is known when it is there. */
	return bytes == UINT64_MAX ? (unsigned int)vd_min(requests, VD_SOFTQ_BURST) : 1;
}

void vd_softq_charge(struct vd_softq *q, uint64_t bytes)
{
	if (vd_unlikely(__atomic_load_n(&q->sd->limited, __ATOMIC_RELAXED)))
		vd_limit_take(&q->sd->bps, bytes, vd_now_ns());
}

/* Return: whether there was something. */
static bool queue_pop(struct vd_softq *q)
{
	bool limited = __atomic_load_n(&q->sd->limited, __ATOMIC_RELAXED);
	struct vd_chain *chains[VD_SOFTQ_BURST];
	unsigned int max = VD_SOFTQ_BURST;
	int n;

	if (q->pulled || q->broken || q->paused || (q->stopping && !vd_virtq_again(q->vq)))
		return false;
	if (vd_unlikely(limited) && !q->stopping)	/* what was begun before has no limit */
		max = limit_room(q);
	n = max ? vd_virtq_pop(q->vq, chains, max) : 0;
	if (vd_likely(n == 0))
		return false;
	if (n < 0) {
		q->broken = true;
		unwatch_kick(q);
		vd_softq_tell(q, VD_SOFTQ_BROKEN);
		return false;
	}
	vd_virtq_kicks_off(q->vq);
	vd_softq_count(&q->stats.bursts, 1);
	if (q->sd->ops->kinds[0]) {
		uint64_t now = vd_now_ns();

		for (int i = 0; i < n; i++)
			chains[i]->since_ns = now;
	}
	for (int i = 0; i < n; i++)
		vd_probe(request_take, q->sd->name, q->idx, chains[i]);
	if (vd_unlikely(limited))
		vd_limit_take(&q->sd->iops, (unsigned int)n, vd_now_ns());
	q->sd->ops->handle(q, chains, (unsigned int)n);
	return true;
}

/* Push what has ended; all of it did so, as far as it is worth telling apart, now. */
static void queue_push(struct vd_softq *q)
{
	uint64_t now = vd_now_ns();

	for (unsigned int i = 0; q->sd->ops->kinds[0] && i < q->ndone; i++)
		vd_hist_add(&q->stats.took[q->done[i]->kind], now - q->done[i]->since_ns);
	vd_softq_give(q, q->done, q->ndone);
	q->ndone = 0;
}

/* The queue may be quiet, too. */
static void pulled_settle(struct vd_softq *q)
{
	bool quiet;

	queue_call_owed(q);
	if (vd_likely(!q->stopping))
		return;
	vd_softq_lock_own(q);
	quiet = !vd_virtq_inflight(q->vq);
	vd_softq_unlock(q);
	if (quiet)
		queue_end(q);
}

/* Publish what has ended; the queue may be quiet with it. */
static void queue_settle(struct vd_softq *q)
{
	if (q->pulled) {
		pulled_settle(q);
		return;
	}
	if (q->ndone)
		queue_push(q);
	if (q->flush) {
		q->flush = false;
		if (vd_virtq_flush(q->vq))
			queue_call(q);
	}
	if (vd_unlikely(q->stopping) && !vd_virtq_inflight(q->vq))
		queue_end(q);
}

/* Return: whether there was something. */
static bool worker_round(struct vd_worker *w)
{
	bool busy = false;

	for (unsigned int i = 0; i < w->nrun && !is_held(w); i++)
		busy |= queue_pop(w->run[i]);
	if (w->engine) {
		w->engine->ops->submit(w->engine);
		busy |= w->engine->ops->reap(w->engine) > 0;
	}
	for (unsigned int i = w->nrun; i-- > 0;)	/* one that ends is replaced by the last */
		queue_settle(w->run[i]);
	return busy;
}

static bool has_mail(const struct vd_worker *w)
{
	return __atomic_load_n(&w->mail, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&w->stop, __ATOMIC_RELAXED);
}

/* Has another thread had this CPU, in the middle of our work? */
static bool was_preempted(struct vd_worker *w)
{
	struct rusage u;
	bool preempted;

	getrusage(RUSAGE_THREAD, &u);
	preempted = u.ru_nivcsw != w->preemptions;
	w->preemptions = u.ru_nivcsw;
	return preempted;
}

/*
 * Look on for as long as the window says, unless others want this CPU: one of them may be who we
 * wait for. Once they have not wanted it, they are asked less often, for that is a system call.
 * Return: true if something came.
 */
static bool worker_poll(struct vd_worker *w, uint64_t since_ns)
{
	unsigned int looks = 0;
	uint64_t now = since_ns, last;
	bool found = false;

	for (unsigned int i = 0; i < w->nrun; i++)
		if (!w->run[i]->pulled && !w->run[i]->broken)
			vd_virtq_kicks_off(w->run[i]->vq);
	do {
		for (unsigned int i = 0; i < 16 && !found; i++) {
			found = worker_round(w) || has_mail(w);
			vd_cpu_relax();
		}
		if (!found && ++looks >= w->yield_after) {
			sched_yield();
			w->yield_after = vd_min(2 * w->yield_after, YIELD_MAX);
			looks = 0;
		}
		last = now;
		now = vd_now_ns();
		if (vd_unlikely(now - last > AWAY_NS) && was_preempted(w)) {
			w->poll_ns = 0;
			w->shy_until_ns = now + SHY_NS;
			w->yield_after = 1;
			return found;
		}
	} while (!found && now - since_ns < w->poll_ns);
	return found;
}

/* Doubles when polling a little longer would have spared the sleep, halves when it was in vain. */
static void adapt_window(struct vd_worker *w, uint64_t idle_since_ns)
{
	uint64_t now = vd_now_ns();

	if (now - idle_since_ns > w->poll_max_ns) {
		w->poll_ns /= 2;
		if (w->poll_ns < POLL_MIN_NS)
			w->poll_ns = 0;
	} else if (now >= w->shy_until_ns) {
		w->poll_ns = vd_min(vd_max(w->poll_ns * 2, POLL_MIN_NS), w->poll_max_ns);
	}
}

static void wait_event(struct vd_worker *w, const struct epoll_event *ev)
{
	struct vd_softq *q = ev->data.ptr;

	if (!q) {
		vd_eventfd_drain(w->wakefd);
	} else if (ev->data.ptr == w) {
		return;		/* the engine: reap looks */
	} else if (vd_eventfd_drain(q->kick)) {
		vd_softq_count(&q->stats.kicks, 1);
	} else if (ev->events & (EPOLLHUP | EPOLLERR)) {
		unwatch_kick(q);	/* a pipe whose writer went: nobody will kick any more */
	}
}

/* How long to sleep, for what does not wake us. */
static int sleep_ms(const struct vd_worker *w)
{
	uint64_t now, ms;

	if (!w->hold_until_ns)
		return w->ntimed || w->soon ? TIMED_MS : -1;
	now = vd_now_ns();
	ms = w->hold_until_ns > now ? (w->hold_until_ns - now + 999999) / 1000000 : 0;
	return (int)vd_min(ms, 1000u);
}

/* Ask for kicks, if they are of interest. Return: whether something has come in between. */
static bool queue_sleeps(struct vd_softq *q)
{
	bool found;

	if (!q->pulled)
		return !q->stopping && !q->broken && !q->paused && !q->worker->hold_until_ns &&
		       vd_virtq_kicks_on(q->vq);
	vd_softq_lock_own(q);
	found = q->starved && !q->stopping && !q->broken && vd_virtq_kicks_on(q->vq);
	q->starved &= !found;
	vd_softq_unlock(q);
	return found || __atomic_load_n(&q->owes_call, __ATOMIC_RELAXED);
}

static void worker_sleep(struct vd_worker *w)
{
	struct epoll_event ev[EVENTS];
	bool found = false;
	int n;

	/* All of them, so that each is noticed whoever wakes us. */
	for (unsigned int i = 0; i < w->nrun; i++)
		found |= queue_sleeps(w->run[i]);
	if (w->engine)
		found |= w->engine->ops->arm(w->engine);
	if (found)
		return;
	for (unsigned int i = 0; i < w->nrun; i++)
		vd_softq_count(&w->run[i]->stats.sleeps, 1);
	n = epoll_wait(w->epfd, ev, EVENTS, sleep_ms(w));
	w->soon = false;
	for (int i = 0; i < n; i++)
		wait_event(w, &ev[i]);
}

static void *worker_main(void *arg)
{
	struct vd_worker *w = arg;

	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		uint64_t idle_since;

		/* Load first: an exchange would take the cache line from control every round. */
		if (__atomic_load_n(&w->mail, __ATOMIC_RELAXED) &&
		    __atomic_exchange_n(&w->mail, false, __ATOMIC_ACQ_REL))
			read_mail(w);
		if (worker_round(w))
			continue;
		if (!w->poll_max_ns || !w->nrun) {
			worker_sleep(w);
			continue;
		}
		idle_since = vd_now_ns();
		if (w->poll_ns && worker_poll(w, idle_since))
			continue;
		worker_sleep(w);
		adapt_window(w, idle_since);
	}
	return NULL;
}

void vd_worker_wake(struct vd_worker *w)
{
	vd_eventfd_signal(w->wakefd);
}

void vd_worker_mail(struct vd_worker *w)
{
	/* Release: what the mail is about. Pairs with the exchange in worker_main(). */
	__atomic_store_n(&w->mail, true, __ATOMIC_RELEASE);
	vd_worker_wake(w);
}

/* "uvdpa/NAME/0": what is too long for the name of a thread goes from NAME. */
static int start_thread(struct vd_worker *w)
{
	char text[32], tail[12];
	int room, r;

	snprintf(tail, sizeof(tail), "/%u", w->idx);
	room = (int)(VD_THREAD_NAME_MAX - strlen("uvdpa/") - strlen(tail));
	snprintf(text, sizeof(text), "uvdpa/%.*s%s", room, w->sd->name, tail);
	r = vd_thread_start(&w->thread, worker_main, w, text);
	return r ? vd_err_prefix(r, "%s: ", w->sd->name) : 0;
}

static int watch(struct vd_worker *w, int fd, void *ptr)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = ptr };

	if (epoll_ctl(w->epfd, EPOLL_CTL_ADD, fd, &ev))
		return vd_err(-errno, "%s: watch descriptor %d: %m", w->sd->name, fd);
	return 0;
}

int vd_worker_start(struct vd_worker *w, struct vd_softdev *sd, unsigned int idx,
		    unsigned int poll_us)
{
	int r;

	*w = (struct vd_worker){
		.sd = sd, .idx = idx, .poll_max_ns = poll_us * 1000ull, .yield_after = 1
	};
	w->run = calloc(sd->dev.info.nvqs, sizeof(struct vd_softq *));
	if (!w->run)
		return vd_err(-ENOMEM, "%s: data thread %u: no memory", sd->name, idx);
	w->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epfd < 0) {
		r = vd_err(-errno, "%s: epoll: %m", sd->name);
		goto err_free;
	}
	r = w->wakefd = vd_eventfd();
	if (r < 0)
		goto err_close_epoll;
	r = watch(w, w->wakefd, NULL);
	if (r)
		goto err_close_wake;
	r = sd->ops->worker_start(sd, w, &w->engine);
	if (r)
		goto err_close_wake;
	if (w->engine && w->engine->fd >= 0) {
		r = watch(w, w->engine->fd, w);
		if (r)
			goto err_engine;
	}
	r = start_thread(w);
	if (r)
		goto err_engine;
	return 0;

err_engine:
	if (w->engine)
		w->engine->ops->destroy(w->engine);
err_close_wake:
	close(w->wakefd);
err_close_epoll:
	close(w->epfd);
err_free:
	free(w->run);
	return r;
}

void vd_worker_end(struct vd_worker *w)
{
	__atomic_store_n(&w->stop, true, __ATOMIC_RELEASE);
	vd_worker_wake(w);
	pthread_join(w->thread, NULL);
	assert(!w->nrun);
	if (w->engine)
		w->engine->ops->destroy(w->engine);
	close(w->wakefd);
	close(w->epfd);
	free(w->run);
}

void vd_softq_done(struct vd_softq *q, struct vd_chain *chain, uint32_t written, bool ok)
{
	if (vd_unlikely(!ok))
		vd_softq_count(&q->stats.errors, 1);
	chain->written = written;
	vd_probe(request_done, q->sd->name, q->idx, chain, ok);
	q->done[q->ndone++] = chain;
	if (q->ndone == VD_SOFTQ_BURST)
		queue_push(q);
}

void vd_softq_give(struct vd_softq *q, struct vd_chain *const *chains, unsigned int n)
{
	uint64_t in = 0, out = 0;

	for (unsigned int i = 0; i < n; i++) {
		in += chains[i]->written;
		out += chains[i]->out_len;
		vd_probe(request_give, q->sd->name, q->idx, chains[i], chains[i]->written);
	}
	vd_softq_count(&q->stats.requests, n);
	vd_softq_count(&q->stats.bytes_in, in);
	vd_softq_count(&q->stats.bytes_out, out);
	vd_virtq_push_burst(q->vq, chains, n);
	q->flush = true;
}

void vd_softq_untake(struct vd_softq *q, struct vd_chain *const *chains, unsigned int n)
{
	vd_virtq_unpop(q->vq, chains, n);
}

void vd_softq_pause(struct vd_softq *q, bool pause)
{
	q->paused = pause;
}
