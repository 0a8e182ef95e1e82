/* SPDX-License-Identifier: BSD-2-Clause */
/* pulled-test.c - queues of buffers that any thread takes from, on the network device */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/fd.h"
#include "softdev/net-bed.h"

#define RX  0u
#define TX  1u
#define NUM 64u
#define LEN 256u

static struct vd_softq *rx;

static void begin(struct bed *b, bool packed)
{
	static const uint8_t no_frame[1];

	assert_int_equal(bed_add(b, "sim-net", NULL), 0);
	rx = vd_softdev_queue(container_of(b->dev, struct vd_softdev, dev), RX);
	assert_false(vd_softq_lock(rx)); /* it does not run */
	bed_start(b, &(struct bed_conf){ .queues = 2,
					 .num = NUM,
					 .packed = packed,
					 .features_off = VD_NET_F(CTRL_VQ) });
	for (unsigned int i = 0; i < 2; i++) /* with the second, the worker has seen both */
		nb_send(b, TX, NULL, no_frame, sizeof(no_frame), 0);
}

/* Take up to @max, give @n of them back with @written bytes, leave the others. Return: how many
 * there were. */
static unsigned int pull(unsigned int max, unsigned int n, uint32_t written)
{
	struct vd_chain *c[VD_SOFTQ_BURST];
	unsigned int got;

	assert_true(vd_softq_lock(rx));
	got = vd_softq_take(rx, c, max);
	n = vd_min(n, got);
	vd_softq_untake(rx, c + n, got - n);
	for (unsigned int i = 0; i < n; i++)
		c[i]->written = written;
	if (n)
		vd_softq_give(rx, c, n);
	vd_softq_publish(rx, NULL);
	vd_softq_unlock(rx);
	return got;
}

/* What is not needed is there for the next; in their order. */
static void test_untake(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct vd_done d[8];
		struct bed b;

		begin(&b, packed);
		nb_post(&b, RX, 8, LEN);
		assert_int_equal(pull(32, 0, 0), 8);
		assert_int_equal(pull(32, 0, 0), 8);
		assert_int_equal(bed_get(&b, RX, d, 8, 0), 0);
		for (unsigned int i = 0; i < 8; i++) {
			assert_int_equal(pull(4, 1, i + 1), vd_min(4u, 8 - i));
			assert_int_equal(bed_get(&b, RX, d, 8, 5000), 1);
			assert_int_equal(d[0].len, i + 1);
		}
		assert_int_equal(pull(4, 1, 1), 0);
		bed_end(&b);
	}
}

/* Without buffers the driver is asked to say when there are some; with them it is not. */
static void test_starved(void **state)
{
	struct vd_done d;
	struct bed b;

	(void)state;
	begin(&b, false);
	for (unsigned int i = 0; i < 20; i++) {
		uint64_t kicks = bed_stat(&b, RX, "kicks"), due = vd_now_ns() + 5000000000ull;

		do {
			assert_true(vd_now_ns() < due);
			assert_int_equal(pull(32, 32, 1), 0);
			vd_worker_wake(vd_softq_worker(rx)); /* it asks before it sleeps */
			usleep(1000);
			nb_post_slot(&b, RX, i % 8, LEN);
			usleep(1000);
			assert_int_equal(pull(32, 32, 7), 1);
			assert_int_equal(bed_get(&b, RX, &d, 1, 5000), 1);
			assert_int_equal(d.len, 7);
		} while (bed_stat(&b, RX, "kicks") == kicks);
	}
	bed_end(&b);
}

/* Only the queue's own worker is caught in a write to an eventfd that its peer has filled. */
static void test_call_blocks(void **state)
{
	uint64_t full = UINT64_MAX - 1, began;
	struct vd_done d;
	struct bed b;

	(void)state;
	begin(&b, false);
	nb_post(&b, RX, 32, LEN);
	assert_false(vd_virtq_drv_calls_on(b.q[RX].drv));
	vd_eventfd_drain(b.q[RX].call);
	assert_int_equal(write(b.q[RX].call, &full, 8), 8);
	assert_int_equal(vd_set_nonblock(b.q[RX].call, false), 0);
	began = vd_now_ns();
	for (unsigned int i = 0; i < 32; i++) {
		assert_int_equal(pull(1, 1, 5), 1);
		assert_int_equal(vd_virtq_drv_get(b.q[RX].drv, &d, 1), 1);
		vd_virtq_drv_calls_on(b.q[RX].drv);
	}
	assert_true(vd_now_ns() - began < 3000000000ull);
	assert_int_equal(bed_stat(&b, RX, "calls"), 0);
	bed_suspend(&b); /* the gate lets it go */
	assert_int_equal(vd_set_nonblock(b.q[RX].call, true), 0);
	bed_end(&b);
}

/* ---- stopped while others bring something ---------------------------------------------------- */

static bool stop;
static uint64_t brought;

static void *bring(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct vd_chain *c[8];
		unsigned int n;

		if (!vd_softq_lock(rx))
			continue;
		n = vd_softq_take(rx, c, 8);
		for (unsigned int i = 0; i < n; i++)
			c[i]->written = 9;
		vd_softq_untake(rx, c + (n + 1) / 2, n / 2);
		if (n)
			vd_softq_give(rx, c, (n + 1) / 2);
		vd_softq_publish(rx, NULL);
		__atomic_fetch_add(&brought, (n + 1) / 2, __ATOMIC_RELAXED);
		vd_softq_unlock(rx);
	}
	return NULL;
}

/* Take what has come, and post it again. */
static unsigned int turn_over(struct bed *b)
{
	struct vd_done d[NUM];
	int n = vd_virtq_drv_get(b->q[RX].drv, d, NUM);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		assert_int_equal(d[i].len, 9);
		nb_post_slot(b, RX, b->slots[RX][d[i].id], LEN);
	}
	return (unsigned int)n;
}

static void test_stop(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		uint64_t got = 0, due = vd_now_ns() + 60000000000ull;
		pthread_t t[2];
		struct bed b;

		begin(&b, packed);
		nb_post(&b, RX, NUM, LEN);
		stop = false;
		brought = 0;
		for (unsigned int i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&t[i], NULL, bring, NULL), 0);
		for (unsigned int i = 0; i < 100; i++) {
			for (uint64_t until = got + 50; got < until;) {
				got += turn_over(&b);
				assert_true(vd_now_ns() < due);
			}
			bed_suspend(&b);
			got += turn_over(&b);
			for (unsigned int k = 0; k < 20; k++) {
				sched_yield();
				assert_int_equal(turn_over(&b), 0);
			}
			assert_int_equal(got, __atomic_load_n(&brought, __ATOMIC_RELAXED));
			bed_resume(&b);
		}
		__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
		for (unsigned int i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
		bed_end(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_untake),
		cmocka_unit_test(test_starved),
		cmocka_unit_test(test_call_blocks),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
