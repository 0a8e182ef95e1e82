/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device is killed at any place, and another one goes on: every request ends exactly once.
 *
 * The device's end runs in a child that is stepped through, one instruction after another. Each
 * time that the shared memory has become another is one more place where it may have been killed;
 * there a further child takes a copy of everything and finds out what becomes of it. It is killed
 * in the same way while it begins.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "virtq/inflight.h"
#include "virtq/pair.h"

#define PIECE 4u
#define SLOTS 256u	/* more than there are requests in flight by far */

/* The driver's side of a case; a child that takes over has a copy. */
struct flight {
	struct pair p;
	uint32_t tag;		/* of the next request */
	uint32_t tag_of[64];	/* by id; 0: none */
	unsigned int left;	/* not back */
	bool again;		/* what comes back first is given out again, before the next device */
	unsigned int every;	/* of the places, one is looked at */
	unsigned int places, kills;
};

/* In a child: there is nobody to catch what cmocka throws. */
#define must(cond)                                                                           \
	do {                                                                                 \
		if (!(cond)) {                                                               \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);   \
			_exit(1);                                                            \
		}                                                                            \
	} while (0)

/* ---- the driver ------------------------------------------------------------------------------ */

/* A request: its tag to read, room for an answer; some have more pieces. */
static bool put(struct flight *f)
{
	unsigned int slot = f->tag % SLOTS, extra = f->tag % 3;
	uint8_t *at = f->p.data + 4 * PIECE * slot;
	uint64_t iova = f->p.data_iova + 4 * PIECE * slot;
	struct vd_buf bufs[4];
	int id;

	for (unsigned int i = 0; i < 4; i++)
		bufs[i] = (struct vd_buf){ iova + i * PIECE, PIECE };
	memcpy(at, &f->tag, PIECE);
	id = vd_virtq_drv_add(f->p.drv, bufs, 1, 1 + extra);
	if (id == -ENOSPC)
		return false;
	must(id >= 0 && !f->tag_of[id]);
	f->tag_of[id] = f->tag++;
	f->left++;
	return true;
}

/* Return: how many came back. */
static int take(struct flight *f)
{
	struct vd_done d[64];
	int n = vd_virtq_drv_get(f->p.drv, d, 64);

	must(n >= 0);
	for (int i = 0; i < n; i++) {
		must(f->tag_of[d[i].id]);
		must(d[i].len == (f->tag_of[d[i].id] % 3 + 1) * PIECE);
		f->tag_of[d[i].id] = 0;
		f->left--;
	}
	return n;
}

/* ---- the device ------------------------------------------------------------------------------ */

struct served {
	struct vd_chain *held[64];
	unsigned int n;
};

static void pop(struct vd_virtq *vq, struct served *s, unsigned int max)
{
	int n = vd_virtq_pop(vq, s->held + s->n, max);

	must(n >= 0);
	s->n += (unsigned int)n;
}

/* Give back @n of them; the last first, or not. */
static void push(struct vd_virtq *vq, struct served *s, unsigned int n, bool last)
{
	while (n-- && s->n) {
		struct vd_chain *c = s->held[last ? s->n - 1 : 0];

		vd_virtq_push(vq, c, c->in_len);
		if (!last)
			memmove(s->held, s->held + 1, (s->n - 1) * sizeof(s->held[0]));
		s->n--;
	}
	vd_virtq_flush(vq);
}

/* A device that is in the middle of its work. */
static void work(struct flight *f)
{
	struct served s = { .n = 0 };
	struct vd_virtq *vq = f->p.dev;

	pop(vq, &s, 3);
	push(vq, &s, 1, true);
	pop(vq, &s, 32);
	push(vq, &s, 2, false);
	push(vq, &s, 2, true);
	pop(vq, &s, 1);
	push(vq, &s, 3, true);
}

/* Everything at once: a packed ring's index is the same after it. */
static void work_all(struct flight *f)
{
	struct served s = { .n = 0 };

	pop(f->p.dev, &s, 32);
	push(f->p.dev, &s, 32, false);
}

static int start(struct flight *f)
{
	struct vd_virtq_conf conf = pair_conf(&f->p);

	f->p.dev = NULL;
	/* A front-end that lost its device does not know better; of a packed ring not even this. */
	conf.state.avail = conf.state.used = f->p.features & VD_F(VIRTIO_F_RING_PACKED) ? 0x8000 : 0;
	return vd_virtq_create(&conf, &f->p.dev);
}

/* ---- the end of it --------------------------------------------------------------------------- */

/* A copy of what was shared, in the same place. */
static void take_over(struct pair *p)
{
	size_t len = p->size + p->inflight_size;
	void *copy = malloc(len);

	must(copy);
	memcpy(copy, p->memory, len);
	must(mmap(p->memory, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
		  0) == p->memory);
	memcpy(p->memory, copy, len);
	free(copy);
}

/* The driver sees what is done, before another device is there; then that one does the rest. */
static void finish(struct flight *f)
{
	struct served s = { .n = 0 };
	unsigned int more = 2u * f->p.num, rounds = 0;
	uint64_t order = 0;

	if (f->again && take(f))
		while (put(f))
			;
	vd_virtq_drv_publish(f->p.drv);
	must(!start(f));
	must(vd_virtq_inflight(f->p.dev) == vd_virtq_again(f->p.dev));
	while (vd_virtq_again(f->p.dev)) {
		unsigned int n = s.n;

		must(vd_virtq_pending(f->p.dev) && vd_virtq_kicks_on(f->p.dev));
		pop(f->p.dev, &s, 2);
		for (; n < s.n; n++) {	/* in the order in which they were made */
			uint32_t tag = 0;

			vd_guest_read(&tag, s.held[n]->iov[0].base, PIECE);
			must(tag > order);
			order = tag;
		}
	}
	while (f->left || more) {
		while (more && put(f))
			more--;
		vd_virtq_drv_publish(f->p.drv);
		pop(f->p.dev, &s, 32);
		must(rounds++ < 1000);
		push(f->p.dev, &s, f->tag % 5 + 1, f->tag & 1);
		take(f);
	}
	must(!vd_virtq_inflight(f->p.dev));
	must(!take(f));
	vd_virtq_destroy(f->p.dev);
	f->p.dev = NULL;
	must(!start(f) && !vd_virtq_again(f->p.dev));
	_exit(0);
}

static void child_ended_well(pid_t pid)
{
	int status = 0;

	must(waitpid(pid, &status, 0) == pid);
	must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What killing the device here leads to. */
static void kill_here(struct flight *f, void (*then)(struct flight *f))
{
	if (f->places++ % f->every)
		return;
	for (unsigned int again = 0; again < 2; again++) {
		pid_t pid = fork();

		must(pid >= 0);
		if (!pid) {
			take_over(&f->p);
			f->again = again;
			then(f);
			_exit(0);
		}
		child_ended_well(pid);
	}
	f->kills++;
}

/* Step through @run; wherever it has written (or one in f->every places), and at its end, @then. */
static void kill_everywhere(struct flight *f, void (*run)(struct flight *f),
			    void (*then)(struct flight *f))
{
	size_t len = f->p.size + f->p.inflight_size;
	void *before = malloc(len);
	pid_t pid;
	int status;

	must(before);
	memcpy(before, f->p.memory, len);
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		must(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		raise(SIGSTOP);
		run(f);
		raise(SIGSTOP);
		_exit(1);
	}
	must(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	kill_here(f, then);
	do {
		must(!ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL));
		must(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
		if (!memcmp(before, f->p.memory, len))
			continue;
		memcpy(before, f->p.memory, len);
		kill_here(f, then);
	} while (WSTOPSIG(status) == SIGTRAP);
	must(WSTOPSIG(status) == SIGSTOP);
	kill(pid, SIGKILL);
	must(waitpid(pid, &status, 0) == pid);
	free(before);
}

static void start_it(struct flight *f)
{
	must(!start(f));
}

/* Killed again while it begins. */
static void killed_twice(struct flight *f)
{
	if (f->again && take(f))
		while (put(f))
			;
	vd_virtq_drv_publish(f->p.drv);
	f->every = 1;
	kill_everywhere(f, start_it, finish);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static const uint64_t sets[] = {
	0,
	VD_F(VIRTIO_RING_F_EVENT_IDX) | VD_F(VIRTIO_RING_F_INDIRECT_DESC),
	VD_F(VIRTIO_F_IN_ORDER),
	VD_F(VIRTIO_F_RING_PACKED),
	VD_F(VIRTIO_F_RING_PACKED) | VD_F(VIRTIO_RING_F_INDIRECT_DESC),
	VD_F(VIRTIO_F_RING_PACKED) | VD_F(VIRTIO_F_IN_ORDER),
};

static void begin(struct flight *f, uint64_t features, uint16_t num)
{
	bool packed = features & VD_F(VIRTIO_F_RING_PACKED);

	*f = (struct flight){
		.p = { .features = features, .num = num, .indirect_max = 4, .shared = true,
		       .data_size = 4 * PIECE * SLOTS,
		       .inflight_size = vd_virtq_inflight_size(packed, num) },
		.tag = 1,
		.every = 1,
	};
	assert_int_equal(pair_init(&f->p), 0);
}

/* The ring has been in use, with no region, and with one; and goes round once more. */
static void use(struct flight *f, unsigned int requests)
{
	struct served s = { .n = 0 };

	for (unsigned int i = 0; i < requests; i++) {
		put(f);
		vd_virtq_drv_publish(f->p.drv);
		pop(f->p.dev, &s, 1);
		push(f->p.dev, &s, 1, false);
		take(f);
	}
}

static void killed_anywhere(void **state)
{
	struct flight f;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(sets); i++) {
		begin(&f, sets[i], 32);
		use(&f, i % 3 * 13);
		while (put(&f))
			;
		vd_virtq_drv_publish(f.p.drv);
		kill_everywhere(&f, work, finish);
		assert_true(f.kills > 25);
		pair_fini(&f.p);

		begin(&f, sets[i], 8);
		while (put(&f))
			;
		vd_virtq_drv_publish(f.p.drv);
		kill_everywhere(&f, work_all, finish);
		assert_true(f.kills > 10);
		pair_fini(&f.p);
	}
}

static void killed_while_it_goes_on(void **state)
{
	struct flight f;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(sets); i++) {
		begin(&f, sets[i], 4);
		use(&f, 5);
		while (put(&f))
			;
		vd_virtq_drv_publish(f.p.drv);
		f.every = 11;
		kill_everywhere(&f, work, killed_twice);
		pair_fini(&f.p);
	}
}

/*
 * A ring that was in use long before it got a region (SPDK issue 3766): the first request of the
 * table is in flight while others come and go, and nothing takes its mark away.
 */
static void a_new_region_in_the_middle(void **state)
{
	struct served s = { .n = 0 };
	struct vd_virtq_conf conf;
	struct flight f;

	(void)state;
	for (unsigned int i = 0; i < 2 * VD_ARRAY_SIZE(sets); i++) {
		unsigned int n;

		begin(&f, sets[i / 2], 16);
		use(&f, i % 2 ? 35 : 7);
		vd_guest_fill(f.p.inflight, 0, f.p.inflight_size);
		conf = pair_conf(&f.p);
		conf.state = vd_virtq_state(f.p.dev);
		vd_virtq_destroy(f.p.dev);
		assert_int_equal(vd_virtq_create(&conf, &f.p.dev), 0);
		while (put(&f))
			;
		vd_virtq_drv_publish(f.p.drv);
		pop(f.p.dev, &s, 32);
		n = s.n;
		assert_int_equal(n, f.left);
		vd_virtq_destroy(f.p.dev);
		assert_int_equal(start(&f), 0);
		assert_int_equal(vd_virtq_again(f.p.dev), n);
		s.n = 0;
		pop(f.p.dev, &s, 32);
		push(f.p.dev, &s, 32, true);
		assert_int_equal(take(&f), n);
		pair_fini(&f.p);
	}
}

/* What a queue was told to begin with counts again when the region is forgotten. */
static void a_region_is_forgotten(void **state)
{
	struct served s = { .n = 0 };
	struct vd_virtq_conf conf;
	struct flight f;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(sets); i++) {
		begin(&f, sets[i], 16);
		put(&f);
		vd_virtq_drv_publish(f.p.drv);
		pop(f.p.dev, &s, 1);
		conf = pair_conf(&f.p);
		vd_virtq_destroy(f.p.dev);
		vd_virtq_inflight_forget(f.p.inflight);
		conf.state.avail = f.p.features & VD_F(VIRTIO_F_RING_PACKED) ? 0x8000 : 0;
		conf.state.used = conf.state.avail;
		assert_int_equal(vd_virtq_create(&conf, &f.p.dev), 0);
		assert_int_equal(vd_virtq_again(f.p.dev), 0);
		s.n = 0;
		pop(f.p.dev, &s, 3);
		assert_int_equal(s.n, 1);
		push(f.p.dev, &s, 1, true);
		assert_int_equal(take(&f), 1);
		s.n = 0;
		pair_fini(&f.p);
	}
}

/* ---- a region that lies ---------------------------------------------------------------------- */

static uint32_t seed = 1;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* Pop and push until nothing comes; the driver is not asked. Its end is an error, or quiet. */
static void serve_liar(struct vd_virtq *vq)
{
	struct vd_chain *c[VD_VIRTQ_BURST];
	int n;

	for (unsigned int i = 0; i < 200; i++) {
		n = vd_virtq_pop(vq, c, VD_VIRTQ_BURST);
		if (n <= 0)
			break;
		for (int k = 0; k < n; k++)
			c[k]->written = 0;
		vd_virtq_push_burst(vq, c, (unsigned int)n);
		vd_virtq_flush(vq);
	}
	if (vd_virtq_error(vq))
		assert_int_equal(vd_virtq_again(vq), 0);
	assert_int_equal(vd_virtq_inflight(vq), 0);
}

/*
 * CVE-2026-63110, CVE-2026-45782 and their like: indices outside, lists without an end, requests
 * twice, numbers that do not fit. The queue works, stops, or does not begin.
 */
static void a_region_that_lies(void **state)
{
	unsigned int refused = 0, begun = 0, resumed = 0;
	struct served s;

	(void)state;
	for (unsigned int i = 0; i < 12000; i++) {
		struct flight f;
		uint8_t *region;

		begin(&f, sets[i % VD_ARRAY_SIZE(sets)], 8);
		while (put(&f))
			;
		vd_virtq_drv_publish(f.p.drv);
		s.n = 0;
		pop(f.p.dev, &s, 6);
		push(f.p.dev, &s, rnd(4), rnd(2));
		vd_virtq_destroy(f.p.dev);
		f.p.dev = NULL;
		region = vd_guest_expose(f.p.inflight);
		for (unsigned int k = rnd(6); k; k--) {
			unsigned int at = rnd(3) ? rnd(64) : rnd((uint32_t)f.p.inflight_size);
			static const uint8_t odd[] = { 0, 1, 2, 7, 8, 9, 0x7f, 0x80, 0xff };

			region[at] = odd[rnd(sizeof(odd))];
		}
		if (start(&f)) {
			refused++;
			assert_true(*vd_err_text());
		} else {
			begun++;
			resumed += vd_virtq_again(f.p.dev) > 0;
			serve_liar(f.p.dev);
		}
		pair_fini(&f.p);
	}
	assert_true(refused > 100 && begun > 100 && resumed > 100);
}

static void a_region_that_does_not_fit(void **state)
{
	struct vd_virtq_conf conf;
	struct vd_virtq *vq;
	struct flight f;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(sets); i++) {
		begin(&f, sets[i], 16);
		conf = pair_conf(&f.p);
		conf.inflight_num = 8;	/* for less than the queue has */
		assert_int_equal(vd_virtq_create(&conf, &vq), -EINVAL);
		conf.inflight_num = 17;	/* not what it was made for */
		assert_int_equal(vd_virtq_create(&conf, &vq), -EBADMSG);
		conf.inflight_num = 16;
		vd_write16((uint16_t vd_guest *)f.p.inflight + 4, 2);
		assert_int_equal(vd_virtq_create(&conf, &vq), -EBADMSG);
		pair_fini(&f.p);
	}
	assert_int_equal(vd_virtq_inflight_size(false, 128), 16 + 16 * 128 + 48);
	assert_int_equal(vd_virtq_inflight_size(true, 128), 32 + 32 * 128 + 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_anywhere),
		cmocka_unit_test(killed_while_it_goes_on),
		cmocka_unit_test(a_new_region_in_the_middle),
		cmocka_unit_test(a_region_is_forgotten),
		cmocka_unit_test(a_region_that_lies),
		cmocka_unit_test(a_region_that_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
