/* SPDX-License-Identifier: BSD-2-Clause */
/* net-thread-test.c - frames that other threads bring, while the device has something else to do */
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "softdev/net-bed.h"

static const char *const echo[] = { "mode", "echo", NULL };
static const char *const source[] = { "mode", "source", NULL };

static uint8_t bytes[60] = { 0x02, [12] = 0x88, 0xb5 };

static struct vd_net *net_of(const struct bed *b)
{
	return container_of(container_of(b->dev, struct vd_softdev, dev), struct vd_net, sd);
}

/* As a device beside this one does, in its own thread. Return: how many got in. */
static unsigned int bring(const struct bed *b)
{
	struct vd_iov piece = { vd_guest_wrap(uint8_t, bytes), sizeof(bytes) };
	struct vd_net_frame f = { .iov = &piece, .niov = 1, .len = sizeof(bytes) };

	return vd_net_deliver(net_of(b), NULL, &f, 1);
}

/* A peer's eventfd that is full, and may be waited for: its device waits, and nobody else. */
static void test_call_that_blocks(void **state)
{
	struct bed_conf c = { .queues = 2 };
	struct vd_buf sent;
	struct vd_done done;
	struct bed b;
	uint64_t full = UINT64_MAX - 1;

	(void)state;
	assert_int_equal(bed_add(&b, "sim-net", echo), 0);
	close(b.q[0].call);
	b.q[0].call = eventfd(0, EFD_CLOEXEC);
	assert_true(b.q[0].call >= 0);
	bed_start(&b, &c);
	nb_post(&b, 0, 8, 2048);
	alarm(20);
	vd_eventfd_drain(b.q[0].call);
	assert_int_equal(write(b.q[0].call, &full, sizeof(full)), sizeof(full));
	sent = (struct vd_buf){ nb_iova(&b, 1), 12 + sizeof(bytes) };
	memset(nb_mem(&b, 1), 0, 12);
	memcpy(nb_mem(&b, 1) + 12, bytes, sizeof(bytes));
	bed_add_req(&b, 1, &sent, 1, 0);
	while (!vd_virtq_drv_get(b.q[0].drv, &done, 1))
		usleep(100);
	usleep(20000); /* now it waits */
	assert_int_equal(bring(&b), 1);
	alarm(0);
	assert_true(vd_eventfd_drain(b.q[0].call));
	assert_int_equal(bed_get(&b, 0, &done, 1, 5000), 1);
	bed_end(&b);
}

struct bringer {
	const struct bed *b;
	unsigned int n;	/* atomic */
	bool stop;	/* atomic */
};

static void *bring_on(void *arg)
{
	struct bringer *r = arg;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED))
		__atomic_fetch_add(&r->n, bring(r->b), __ATOMIC_RELAXED);
	return NULL;
}

/* A driver says what it wants, goes, and another one comes, all the while; for the sanitizers. */
static void test_driver_comes_and_goes(void **state)
{
	struct bed_conf c = { .queues = 3 };
	struct bringer r;
	pthread_t thread;
	struct bed b;

	(void)state;
	assert_int_equal(bed_add(&b, "sim-net", echo), 0);
	r = (struct bringer){ .b = &b };
	assert_int_equal(pthread_create(&thread, NULL, bring_on, &r), 0);
	for (unsigned int i = 0; i < 50; i++) {
		struct nb_frame got;

		bed_start(&b, &c);
		nb_post(&b, 0, 8, 2048);
		assert_int_equal(nb_command(&b, 2, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLUNI,
					    "\1", 1, 0),
				 VIRTIO_NET_OK);
		assert_true(nb_receive(&b, 0, &got, 5000));
		bed_reset(&b);
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_true(r.n >= 50);
	bed_end(&b);
}

static void set_link(struct bed *b, const char *to)
{
	struct uvdpa_attr a = { "link", to };

	assert_int_equal(uvdpa_dev_set(b->dev, &a, 1), 0);
}

/* A link that comes up again: what has frames goes on, though nothing else has changed. */
static void test_link_comes_back(void **state)
{
	struct bed_conf c = { .queues = 2 };
	struct nb_frame got;
	struct bed b;

	(void)state;
	assert_int_equal(bed_add(&b, "sim-net", source), 0);
	bed_start(&b, &c);
	set_link(&b, "off");
	nb_post(&b, 0, 32, 2048);
	while (!bed_stat(&b, 0, "rx drops"))
		usleep(1000);
	usleep(50000); /* now the worker sleeps */
	set_link(&b, "on");
	for (unsigned int i = 0; i < 100; i++) {
		assert_true(nb_receive(&b, 0, &got, 5000));
		nb_post_slot(&b, 0, got.slot, 2048);
	}
	bed_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call_that_blocks),
		cmocka_unit_test(test_driver_comes_and_goes),
		cmocka_unit_test(test_link_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
