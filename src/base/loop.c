/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"

uint64_t vd_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool vd_loop_is_ours(const struct vd_loop *loop)
{
	return loop->pid == getpid();
}

int vd_fd_add(struct vd_loop *loop, struct vd_fd *f, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = f };

	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &ev))
		return vd_err(-errno, "watch descriptor %d: %m", fd);
	f->fd = fd;
	f->loop = loop;
	return 0;
}

int vd_fd_mod(struct vd_fd *f, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = f };

	if (epoll_ctl(f->loop->epfd, EPOLL_CTL_MOD, f->fd, &ev))
		return vd_err(-errno, "watch descriptor %d: %m", f->fd);
	return 0;
}

void vd_fd_del(struct vd_fd *f)
{
	struct vd_loop *loop = f->loop;

	if (!loop)
		return;
	if (vd_loop_is_ours(loop))
		epoll_ctl(loop->epfd, EPOLL_CTL_DEL, f->fd, NULL);
	for (int i = 0; i < loop->nbatch; i++)
		if (loop->batch[i].data.ptr == f)
			loop->batch[i].data.ptr = NULL;
	f->loop = NULL;
}

/* Arm the timerfd for the first timer. */
static void timers_arm(struct vd_loop *loop)
{
	struct itimerspec its = { 0 };

	if (!vd_list_empty(&loop->timers)) {
		uint64_t ns = vd_list_entry(loop->timers.next, struct vd_timer, node)->due_ns;

		its.it_value.tv_sec = (time_t)(ns / 1000000000u);
		its.it_value.tv_nsec = (long)(ns % 1000000000u);
	}
	if (vd_loop_is_ours(loop))
		timerfd_settime(loop->timer_fd.fd, TFD_TIMER_ABSTIME, &its, NULL);
}

void vd_timer_set(struct vd_loop *loop, struct vd_timer *t, uint64_t after_ms)
{
	struct vd_timer *pos;

	if (t->armed)
		vd_list_del(&t->node);
	t->due_ns = vd_now_ns() + after_ms * 1000000u;
	t->armed = true;
	vd_list_for_each(pos, &loop->timers, node)
		if (pos->due_ns > t->due_ns)
			break;
	vd_list_add(&pos->node, &t->node);	/* before pos, or at the end */
	timers_arm(loop);
}

void vd_timer_del(struct vd_loop *loop, struct vd_timer *t)
{
	if (!t->armed)
		return;
	t->armed = false;
	vd_list_del(&t->node);
	timers_arm(loop);
}

static void timers_run(struct vd_fd *f, uint32_t events)
{
	struct vd_loop *loop = container_of(f, struct vd_loop, timer_fd);
	uint64_t now = vd_now_ns(), n;

	(void)events;
	if (read(f->fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return;
	while (!vd_list_empty(&loop->timers)) {
		struct vd_timer *t = vd_list_entry(loop->timers.next, struct vd_timer, node);

		if (t->due_ns > now)
			break;
		t->armed = false;
		vd_list_del(&t->node);
		t->fn(t);
	}
	timers_arm(loop);
}

void vd_loop_post(struct vd_loop *loop, struct vd_post *p)
{
	bool first = false;

	pthread_mutex_lock(&loop->lock);
	if (!p->queued) {
		first = vd_list_empty(&loop->posts);
		p->queued = true;
		vd_list_add(&loop->posts, &p->node);
	}
	pthread_mutex_unlock(&loop->lock);
	if (first)
		vd_eventfd_signal(loop->post_fd.fd);
}

void vd_post_del(struct vd_loop *loop, struct vd_post *p)
{
	pthread_mutex_lock(&loop->lock);
	if (p->queued) {
		p->queued = false;
		vd_list_del(&p->node);
	}
	pthread_mutex_unlock(&loop->lock);
}

static void posts_run(struct vd_fd *f, uint32_t events)
{
	struct vd_loop *loop = container_of(f, struct vd_loop, post_fd);
	unsigned int turn = 0;

	(void)events;
	vd_eventfd_drain(f->fd);
	for (;;) {
		struct vd_post *p = NULL;

		pthread_mutex_lock(&loop->lock);
		if (!vd_list_empty(&loop->posts)) {
			/* One that posts itself again must not keep us here. */
			if (turn++ == 1000) {
				pthread_mutex_unlock(&loop->lock);
				vd_eventfd_signal(f->fd);
				return;
			}
			p = vd_list_entry(loop->posts.next, struct vd_post, node);
			p->queued = false;
			vd_list_del(&p->node);
		}
		pthread_mutex_unlock(&loop->lock);
		if (!p)
			return;
		p->fn(p);
	}
}

int vd_loop_init(struct vd_loop *loop)
{
	int r, fd;

	memset(loop, 0, sizeof(*loop));
	loop->pid = getpid();
	vd_list_init(&loop->timers);
	vd_list_init(&loop->posts);
	loop->timer_fd = (struct vd_fd){ .fn = timers_run, .fd = -1 };
	loop->post_fd = (struct vd_fd){ .fn = posts_run, .fd = -1 };
	pthread_mutex_init(&loop->lock, NULL);

	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0) {
		r = vd_err(-errno, "epoll: %m");
		goto err_destroy_lock;
	}
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd < 0) {
		r = vd_err(-errno, "timerfd: %m");
		goto err_close_epoll;
	}
	r = vd_fd_add(loop, &loop->timer_fd, fd, EPOLLIN);
	if (r) {
		close(fd);
		goto err_close_epoll;
	}
	r = fd = vd_eventfd();
	if (fd < 0)
		goto err_close_timer;
	r = vd_fd_add(loop, &loop->post_fd, fd, EPOLLIN);
	if (r) {
		close(fd);
		goto err_close_timer;
	}
	return 0;

err_close_timer:
	close(loop->timer_fd.fd);
err_close_epoll:
	close(loop->epfd);
err_destroy_lock:
	pthread_mutex_destroy(&loop->lock);
	return r;
}

void vd_loop_fini(struct vd_loop *loop)
{
	close(loop->post_fd.fd);
	close(loop->timer_fd.fd);
	close(loop->epfd);
	pthread_mutex_destroy(&loop->lock);
}

int vd_loop_dispatch(struct vd_loop *loop, int timeout_ms)
{
	int n = epoll_wait(loop->epfd, loop->batch, VD_LOOP_BATCH, timeout_ms);

	if (n < 0)
		return errno == EINTR ? -EINTR : vd_err(-errno, "epoll_wait: %m");
	loop->nbatch = n;
	for (int i = 0; i < n; i++) {
		struct vd_fd *f = loop->batch[i].data.ptr;

		if (f)	/* not removed by a callback before it */
			f->fn(f, loop->batch[i].events);
	}
	loop->nbatch = 0;
	return n;
}
