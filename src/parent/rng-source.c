/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rng-source.c - bytes from a file, a pipe or a hardware generator, which may take any time
 *
 *	thread: read() --> buffer --> worker: into the driver's memory
 *	             tail ^      ^ head
 *
 * A read of a generator may wait for ever, and nothing ends it. So a thread makes it, and the
 *worker takes from a request's ring only when there is a byte for it: while there is none, it
 *holds. So no request waits here, and a queue is quiet as soon as it shall be. The thread is not
 *waited for either: what it uses goes with the last of both.
 *
 * What has an end, a file or a pipe that nobody writes, is looked at again now and then. Its end is
 * told once, and nothing is made up in place of what is not there.
 */
#include "parent/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/thread.h"

#define BUF        65536u
#define SLOW_BUF   4096u /* of a generator: not to use it up for nobody */
#define SLOW_READ  64u   /* it returns when it has all that was asked for */
#define RETRY_MS   200
#define TROUBLE_MS 1000
#define HOLD_NS    3600000000000u /* until bytes come, that is */

enum { AT_END = 1 };

struct source {
	struct vd_engine e; /* its descriptor: bytes have come, and the worker waits for them */
	struct vd_softdev *sd;
	struct vd_worker *w;
	pthread_t thread;
	char *path;
	int fd;
	bool polls;           /* the descriptor can be waited for */
	uint32_t size, chunk; /* of the buffer, a power of two; of a read */
	int wake;             /* eventfd: the thread shall look again */

	pthread_mutex_t lock;
	unsigned int refs; /* protected by lock: the engine, and the thread */
	bool stop;         /* protected by lock: the device is no more; also read without */

	uint32_t head;            /* atomic: bytes taken so far, the worker's */
	uint32_t tail;            /* atomic: bytes read so far, the thread's */
	bool asleep;              /* atomic: the thread waits for room */
	bool waiting;             /* atomic: the worker waits for bytes */
	int trouble;              /* atomic: 0; AT_END; -errno */
	struct vd_ratelimit told; /* the thread's */

	bool dry, armed; /* the worker's: it holds; it may be told */
	uint8_t buf[];
};

static struct source *to_source(struct vd_engine *e)
{
	return container_of(e, struct source, e);
}

/*
 * Sequentially consistent, as all that follows: each side changes its own end, and then asks
 * whether the other sleeps; who goes to sleep says so, and then looks at the other's end.
 */
static uint32_t used(const struct source *s)
{
	return __atomic_load_n(&s->tail, __ATOMIC_SEQ_CST) -
	       __atomic_load_n(&s->head, __ATOMIC_SEQ_CST);
}

static void free_source(struct source *s)
{
	vd_close(&s->fd);
	vd_close(&s->wake);
	vd_close(&s->e.fd);
	pthread_mutex_destroy(&s->lock);
	explicit_bzero(s->buf, s->size);
	free(s->path);
	free(s);
}

static void put(struct source *s)
{
	bool last;

	pthread_mutex_lock(&s->lock);
	last = !--s->refs;
	pthread_mutex_unlock(&s->lock);
	if (last)
		free_source(s);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static bool stopped(const struct source *s)
{
	return __atomic_load_n(&s->stop, __ATOMIC_RELAXED);
}

/* Once, until it changes; writers of a pipe may come and go all the time. */
static void set_trouble(struct source *s, int trouble)
{
	unsigned int missed;

	if (__atomic_exchange_n(&s->trouble, trouble, __ATOMIC_RELAXED) == trouble ||
	    !vd_ratelimit_ok(&s->told, &missed))
		return;
	pthread_mutex_lock(&s->lock);
	if (s->stop)
		; /* there is no device any more */
	else if (!trouble)
		vd_log_warn(vd_ctx_log(s->sd->u), s->sd->name, "%s: goes on", s->path);
	else
		vd_log_warn(vd_ctx_log(s->sd->u), s->sd->name, "%s: %s: requests wait", s->path,
			    trouble == AT_END ? "nothing more to read" : strerror(-trouble));
	pthread_mutex_unlock(&s->lock);
}

/* Until it is woken, at most. */
static void sleep_ms(struct source *s, int ms)
{
	struct pollfd p = { .fd = s->wake, .events = POLLIN };

	poll(&p, 1, ms);
	vd_eventfd_drain(s->wake);
}

/* Nothing is read before somebody wants it; it was made asleep. */
static void wait_for_want(struct source *s)
{
	while (!stopped(s) && __atomic_load_n(&s->asleep, __ATOMIC_SEQ_CST))
		sleep_ms(s, -1);
}

/* Half of it. */
static void wait_for_room(struct source *s)
{
	__atomic_store_n(&s->asleep, true, __ATOMIC_SEQ_CST);
	while (!stopped(s) && used(s) > s->size / 2)
		sleep_ms(s, -1);
	__atomic_store_n(&s->asleep, false, __ATOMIC_SEQ_CST);
}

static bool wait_readable(struct source *s)
{
	struct pollfd p[] = { { .fd = s->fd, .events = POLLIN },
			      { .fd = s->wake, .events = POLLIN } };

	if (!s->polls)
		return true;
	poll(p, 2, -1);
	if (p[1].revents)
		vd_eventfd_drain(s->wake);
	return p[0].revents;
}

static void read_some(struct source *s)
{
	uint32_t at = s->tail & (s->size - 1);
	uint32_t len = vd_min(vd_min(s->size - used(s), s->size - at), s->chunk);
	ssize_t n = read(s->fd, s->buf + at, len);

	if (n > 0) {
		__atomic_store_n(&s->tail, s->tail + (uint32_t)n, __ATOMIC_SEQ_CST);
		if (__atomic_exchange_n(&s->waiting, false, __ATOMIC_SEQ_CST))
			vd_eventfd_signal(s->e.fd);
		set_trouble(s, 0);
	} else if (n == 0) {
		set_trouble(s, AT_END);
		sleep_ms(s, RETRY_MS);
	} else if (errno != EAGAIN && errno != EINTR) {
		set_trouble(s, -errno);
		sleep_ms(s, TROUBLE_MS);
	}
}

static void *source_main(void *arg)
{
	struct source *s = arg;

	wait_for_want(s);
	while (!stopped(s)) {
		if (used(s) == s->size)
			wait_for_room(s);
		else if (wait_readable(s) && !stopped(s))
			read_some(s);
	}
	put(s);
	return NULL;
}

/* ---- the worker ----------------------------------------------------------------------------- */

static void want_more(struct source *s)
{
	if (used(s) <= s->size / 2 && __atomic_load_n(&s->asleep, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&s->asleep, false, __ATOMIC_SEQ_CST);
		vd_eventfd_signal(s->wake);
	}
}

uint32_t vd_rng_source_take(struct vd_engine *e, struct vd_sg *to, uint32_t len)
{
	struct source *s = to_source(e);
	uint32_t done = 0;

	len = vd_min(len, used(s));
	while (done < len) {
		uint32_t at = (s->head + done) & (s->size - 1);
		uint32_t n = vd_min(len - done, s->size - at);

		vd_sg_write(to, s->buf + at, n);
		explicit_bzero(s->buf + at, n); /* nobody else's */
		done += n;
	}
	__atomic_store_n(&s->head, s->head + len, __ATOMIC_SEQ_CST);
	want_more(s);
	if (!len) {
		s->dry = true;
		vd_worker_hold(s->w, vd_now_ns() + HOLD_NS);
	}
	return len;
}

void vd_rng_source_held(struct vd_engine *e)
{
	struct source *s = to_source(e);

	s->dry &= !used(s);
	if (s->dry)
		vd_worker_hold(s->w, vd_now_ns() + HOLD_NS);
}

static void source_submit(struct vd_engine *e)
{
	(void)e; /* the thread reads ahead */
}

static unsigned int source_reap(struct vd_engine *e)
{
	struct source *s = to_source(e);

	if (s->armed) {
		s->armed = false;
		__atomic_store_n(&s->waiting, false, __ATOMIC_SEQ_CST);
		vd_eventfd_drain(e->fd);
	}
	if (vd_likely(!s->dry) || !used(s))
		return 0;
	s->dry = false;
	vd_worker_hold(s->w, 0);
	return 1;
}

static bool source_arm(struct vd_engine *e)
{
	struct source *s = to_source(e);

	if (!s->dry)
		return false;
	s->armed = true;
	__atomic_store_n(&s->waiting, true, __ATOMIC_SEQ_CST);
	return used(s);
}

/* ---- control -------------------------------------------------------------------------------- */

/* What can be waited for is out of its read at once; of the rest nobody knows. */
static void source_destroy(struct vd_engine *e)
{
	struct source *s = to_source(e);

	pthread_mutex_lock(&s->lock);
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&s->lock);
	vd_eventfd_signal(s->wake);
	if (s->polls)
		pthread_join(s->thread, NULL);
	else
		pthread_detach(s->thread);
	put(s);
}

static const struct vd_engine_ops source_ops = {
	.submit = source_submit,
	.reap = source_reap,
	.arm = source_arm,
	.destroy = source_destroy,
};

const char *vd_rng_source_trouble(struct vd_engine *e)
{
	int trouble = __atomic_load_n(&to_source(e)->trouble, __ATOMIC_RELAXED);

	return !trouble ? "" : trouble == AT_END ? "nothing more to read" : strerror(-trouble);
}

/* A pipe without a writer, or a terminal without a line, must not be waited for here. */
static int open_path(struct source *s)
{
	vd_cleanup(vd_closep) int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = { .events = EPOLLIN };
	struct stat st;

	s->fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (s->fd < 0 || ep < 0 || fstat(s->fd, &st))
		return vd_err(-errno, "%s: source %s: %m", s->sd->name, s->path);
	if (S_ISDIR(st.st_mode))
		return vd_err(-EISDIR, "%s: source %s is a directory", s->sd->name, s->path);
	s->polls = !epoll_ctl(ep, EPOLL_CTL_ADD, s->fd, &ev);
	s->size = s->chunk = BUF;
	if (s->polls)
		return 0;
	if (S_ISCHR(st.st_mode)) {
		s->size = SLOW_BUF;
		s->chunk = SLOW_READ;
	}
	return vd_set_nonblock(s->fd, false);
}

int vd_rng_source_open(struct vd_softdev *sd, struct vd_worker *w, const char *path,
		       struct vd_engine **ret_engine)
{
	struct source *s = calloc(1, sizeof(*s) + BUF);
	int r;

	if (!s)
		return vd_err(-ENOMEM, "%s: no memory", sd->name);
	s->sd = sd;
	s->w = w;
	s->fd = s->wake = s->e.fd = -1;
	s->e.ops = &source_ops;
	s->asleep = true;
	s->refs = 2;
	pthread_mutex_init(&s->lock, NULL);
	s->path = strdup(path);
	r = s->path ? open_path(s) : vd_err(-ENOMEM, "%s: no memory", sd->name);
	if (!r)
		r = s->wake = vd_eventfd();
	if (r >= 0)
		r = s->e.fd = vd_eventfd();
	if (r >= 0)
		r = vd_thread_start(&s->thread, source_main, s, "uvdpa/source");
	if (r < 0) {
		free_source(s);
		return r;
	}
	*ret_engine = &s->e;
	return 0;
}
