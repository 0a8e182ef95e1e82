/* SPDX-License-Identifier: BSD-2-Clause */
/* public-test.c - <uvdpa/softdev.h>: requests given back now, later and too late, buffers, refusals
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "softdev/blk-bed.h"
#include "softdev/public-fx.h"

#define DATA BED_RINGS

static void begin(struct bed *b, bool packed)
{
	assert_int_equal(bed_add_own(b, &own_parent), 0);
	bed_start(b, &(struct bed_conf){ .queues = 3, .packed = packed, .features_off = 1u << 3 });
}

/* A request of @text, cut after @cut bytes, with room for @room, cut likewise. Return: its id. */
static int put(struct bed *b, unsigned int queue, uint64_t at, const char *text, uint32_t cut,
	       uint32_t room)
{
	uint32_t len = (uint32_t)strlen(text);
	struct vd_buf bufs[4] = { { bed_iova(at), cut },
				  { bed_iova(at + 512), len - cut },
				  { bed_iova(at + 1024), cut },
				  { bed_iova(at + 2048), room - cut } };

	memcpy(b->mem + at, text, cut);
	memcpy(b->mem + at + 512, text + cut, len - cut);
	memset(b->mem + at + 1024, 0, 2048);
	return bed_add_req(b, queue, bufs, 2, 2);
}

/* What came back into such a request. */
static const char *got(struct bed *b, uint64_t at, uint32_t cut, uint32_t len)
{
	static char text[256];

	memcpy(text, b->mem + at + 1024, cut);
	memcpy(text + cut, b->mem + at + 2048, len - vd_min(len, cut));
	text[len] = '\0';
	return text;
}

static void test_requests(void **state)
{
	static const struct {
		const char *request, *answer;
	} cases[] = { { "ahello, world", "hello, world" },
		      { "phello, world", "hello, world" },
		      { "fhello, world", "..." },
		      { "e", "" } };

	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct bed b;

		begin(&b, packed);
		assert_int_equal(the_own->features, b.features);
		for (unsigned int i = 0; i < 200; i++) {
			size_t k = i % VD_ARRAY_SIZE(cases);
			uint32_t len = (uint32_t)strlen(cases[k].answer);
			uint32_t cut = i % 7 % (uint32_t)strlen(cases[k].request);
			struct vd_done d;

			put(&b, 0, DATA, cases[k].request, cut, cut + 20);
			assert_int_equal(bed_get(&b, 0, &d, 1, 5000), 1);
			assert_int_equal(d.len, len);
			assert_string_equal(got(&b, DATA, cut, len), cases[k].answer);
		}
		assert_int_equal(bed_stat(&b, 0, "requests"), 200);
		assert_int_equal(bed_stat(&b, 0, "errors"), 50);
		bed_end(&b);
	}
	assert_int_equal(own_destroyed, 2);
}

/* More than the driver gave room for, or data: what there is, and no more. */
static void test_limits(void **state)
{
	struct vd_done d;
	struct bed b;

	(void)state;
	begin(&b, false);
	put(&b, 0, DATA, "fhello", 1, 2);
	assert_int_equal(bed_get(&b, 0, &d, 1, 5000), 1);
	assert_int_equal(d.len, 2);
	put(&b, 0, DATA, "shello", 1, 30);
	assert_int_equal(bed_get(&b, 0, &d, 1, 5000), 1);
	assert_int_equal(d.len, 30);
	bed_end(&b);
}

/* Another thread gives back, many at a time, beside the data thread. */
static void test_later(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		unsigned int out = 0;
		struct vd_done d[32];
		struct bed b;

		begin(&b, packed);
		for (unsigned int i = 0; i < 2000; i++) {
			for (; out < 15; out++)	/* a ring of 64, four pieces each */
				put(&b, OWN_LATER, DATA + (i * 15 + out) % 64 * 4096,
				    out % 5 ? "l later" : "a now", 2, 20);
			out -= (unsigned int)bed_get(&b, OWN_LATER, d, 32, 5000);
		}
		while (out)
			out -= (unsigned int)bed_get(&b, OWN_LATER, d, 32, 5000);
		bed_end(&b);
	}
}

static void wait_kept(struct own *o, unsigned int n)
{
	uint64_t end = vd_now_ns() + 5000000000u;
	unsigned int is;

	do {
		pthread_mutex_lock(&o->lock);
		is = o->nkept;
		pthread_mutex_unlock(&o->lock);
	} while (is < n && vd_now_ns() < end);
	assert_int_equal(is, n);
}

/* It begins to be quiet, the author is told, and what is out comes home after that. */
static void test_stop(void **state)
{
	struct vd_done d[8];
	struct bed b;

	(void)state;
	begin(&b, false);
	for (unsigned int i = 0; i < 100; i++) {
		pthread_mutex_lock(&the_own->lock);
		the_own->slow = true;
		the_own->stops = 0;
		pthread_mutex_unlock(&the_own->lock);
		for (unsigned int k = 0; k < 4; k++)
			put(&b, OWN_LATER, DATA + k * 4096, "l", 0, 4);
		if (i % 2)
			wait_kept(the_own, 4);
		bed_suspend(&b);
		/* Of each queue that has begun to run since the last time. */
		assert_in_range(the_own->stops, i % 2, 3);
		bed_resume(&b);
		pthread_mutex_lock(&the_own->lock);
		the_own->slow = false;
		pthread_cond_signal(&the_own->cond);
		pthread_mutex_unlock(&the_own->lock);
		for (unsigned int n = 0; n < 4;)
			n += (unsigned int)bed_get(&b, OWN_LATER, d, 8, 5000);
	}
	bed_end(&b);
}

/* The device goes while requests are out, which come home late; and one that comes home too late.
 */
static void test_destroy(void **state)
{
	struct uvdpa_wait w = { 0 };
	struct uvdpa_req *req;
	struct own *o;
	struct bed b;
	uint64_t end;

	(void)state;
	for (unsigned int i = 0; i < 20; i++) {
		begin(&b, i % 2);
		the_own->slow = true;
		for (unsigned int k = 0; k < 8; k++)
			put(&b, OWN_LATER, DATA + k * 4096, "l", 0, 4);
		own_destroyed = 0;
		bed_end(&b);
		assert_int_equal(own_destroyed, 1);
	}

	begin(&b, false);
	o = the_own;
	o->slow = true;
	put(&b, OWN_LATER, DATA, "l", 0, 4);
	wait_kept(o, 1);
	pthread_mutex_lock(&o->lock);
	req = o->kept[--o->nkept];	/* the helper never sees it */
	pthread_mutex_unlock(&o->lock);
	own_destroyed = 0;
	assert_int_equal(uvdpa_await(b.u, &w, uvdpa_dev_del(b.dev, &w)), 0);
	assert_null(uvdpa_dev_find(b.u, "d0"));
	assert_int_equal(own_destroyed, 0);	/* it has a request */
	uvdpa_req_done(req, 0);
	for (end = vd_now_ns() + 5000000000u; !own_destroyed && vd_now_ns() < end;)
		uvdpa_dispatch(b.u, 10);
	assert_int_equal(own_destroyed, 1);
	uvdpa_destroy(b.u);
	for (unsigned int i = 0; i < BED_QUEUES; i++) {
		vd_virtq_drv_destroy(b.q[i].drv);
		close(b.q[i].kick);
		close(b.q[i].call);
	}
	close(b.fd);
	munmap(b.mem, BED_SIZE);
}

static void post(struct bed *b, uint32_t len)
{
	struct vd_buf buf = { bed_iova(DATA), len };

	bed_add_req(b, OWN_RX, &buf, 0, 1);
}

static void fed(struct bed *b, unsigned int n)
{
	uint64_t end = vd_now_ns() + 5000000000u;

	while (__atomic_load_n(&the_own->feds, __ATOMIC_RELAXED) < n && vd_now_ns() < end)
		uvdpa_dispatch(b->u, 1);
	assert_int_equal(__atomic_load_n(&the_own->feds, __ATOMIC_RELAXED), n);
}

static void test_deliver(void **state)
{
	struct vd_done d;
	struct bed b;

	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct uvdpa_softdev *sd;

		assert_int_equal(bed_add_own(&b, &own_parent), 0);
		sd = &the_own->sd;
		assert_int_equal(uvdpa_softdev_deliver(sd, OWN_RX, "x", 1),
				 -EAGAIN); /* no driver */
		assert_int_equal(uvdpa_softdev_deliver(sd, 0, "x", 1), -EINVAL);
		assert_int_equal(uvdpa_softdev_deliver(sd, 3, "x", 1), -EINVAL);
		bed_start(&b, &(struct bed_conf){ .queues = 3, .packed = packed,
						  .features_off = 1u << 3 });
		fed(&b, 1);
		for (unsigned int i = 0; i < 100; i++) {
			assert_int_equal(uvdpa_softdev_deliver(sd, OWN_RX, "x", 1), -EAGAIN);
			if (i % 2)
				usleep(100);
			post(&b, 5);
			fed(&b, i + 2);
			assert_int_equal(uvdpa_softdev_deliver(sd, OWN_RX, "hello, world", 12), 5);
			assert_int_equal(bed_get(&b, OWN_RX, &d, 1, 5000), 1);
			assert_int_equal(d.len, 5);
			assert_memory_equal(b.mem + DATA, "hello", 5);
		}
		post(&b, 5);
		bed_suspend(&b);
		assert_int_equal(uvdpa_softdev_deliver(sd, OWN_RX, "x", 1), -EAGAIN);
		bed_resume(&b);
		fed(&b, 102);
		assert_int_equal(uvdpa_softdev_deliver(sd, OWN_RX, "x", 1), 1);
		assert_int_equal(bed_get(&b, OWN_RX, &d, 1, 5000), 1);
		bed_end(&b);
	}
}

#define MESSAGES 5000u

/* A thread of the author's, as fast as it can: what finds no buffer it tries again. */
static void *deliver_all(void *arg)
{
	for (uint32_t i = 0; i < MESSAGES;) {
		ssize_t n = uvdpa_softdev_deliver(arg, OWN_RX, &i, sizeof(i));

		if (n == sizeof(i))
			i++;
		else if (n != -EAGAIN)
			break;
	}
	return NULL;
}

static void test_deliver_thread(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		uint32_t slot[BED_NUM_MAX], at = 0, out = 0;
		pthread_t thread;
		struct bed b;

		begin(&b, packed);
		assert_int_equal(pthread_create(&thread, NULL, deliver_all, &the_own->sd), 0);
		for (uint32_t got = 0; got < MESSAGES;) {
			struct vd_done d[32];
			uint32_t value;
			int n;

			for (; out < 8; out++, at = (at + 1) % 64) {
				struct vd_buf buf = { bed_iova(DATA + at * 64), 8 };

				slot[bed_add_req(&b, OWN_RX, &buf, 0, 1)] = at;
			}
			n = bed_get(&b, OWN_RX, d, 32, 5000);
			assert_true(n > 0);
			for (int i = 0; i < n; i++, got++, out--) {
				assert_int_equal(d[i].len, sizeof(value));
				memcpy(&value, b.mem + DATA + slot[d[i].id] * 64, sizeof(value));
				assert_int_equal(value, got);	/* none is lost, or overtaken */
			}
			if (got % 512 < 8) {
				bed_suspend(&b);
				bed_resume(&b);
			}
		}
		pthread_join(thread, NULL);
		bed_end(&b);
	}
}

static void test_config(void **state)
{
	struct bed b;
	uint32_t generation;
	char text[9] = "";

	(void)state;
	begin(&b, false);
	assert_int_equal(uvdpa_dev_get_config(b.dev, 0, text, 8), 0);
	assert_string_equal(text, "12345678");
	assert_int_equal(uvdpa_dev_set_config(b.dev, 4, "ab", 2), 0);
	assert_memory_equal(the_own->written + 4, "ab", 2);
	assert_int_equal(uvdpa_dev_set_config(b.dev, 0, "ab", 2), -EOPNOTSUPP);
	generation = uvdpa_dev_generation(b.dev);
	assert_int_equal(uvdpa_softdev_set_config(&the_own->sd, 6, "yz", 2), 0);
	assert_int_not_equal(uvdpa_dev_generation(b.dev), generation);
	assert_int_equal(uvdpa_softdev_set_config(&the_own->sd, 7, "yz", 2), -EINVAL);
	assert_int_equal(uvdpa_softdev_set_config(&the_own->sd, 9, "", 0), -EINVAL);
	assert_int_equal(uvdpa_softdev_set_config(&the_own->sd, 8, "", UINT32_MAX), -EINVAL);
	assert_int_equal(uvdpa_dev_get_config(b.dev, 0, text, 8), 0);
	assert_string_equal(text, "1234abyz");
	the_own->resets = 0;
	bed_reset(&b);
	assert_int_equal(the_own->resets, 1);
	assert_int_equal(uvdpa_dev_set_status(b.dev, 3), 0);
	assert_int_equal(uvdpa_dev_set_features(b.dev, 1ull << 32 | 1u << 3), -EINVAL);
	assert_int_equal(uvdpa_dev_set_features(b.dev, 1ull << 32 | 1u << 0), 0);
	assert_int_equal(uvdpa_dev_set_status(b.dev, 11), 0);
	assert_int_equal(the_own->features, 1ull << 32 | 1u << 0);
	bed_end(&b);
}

static void test_refused(void **state)
{
	struct uvdpa_softdev_ops later[2] = { own_ops }, small = own_ops, no_handle = own_ops;
	const struct {
		const struct uvdpa_softdev_ops *ops;
		const char *why;
	} cases[] = {
		{ &small, "size is 8" },
		{ later, "of a later version" },
		{ &no_handle, "no handle" },
	};
	static const struct {
		size_t off, len;
		uint64_t value;
		const char *why;
	} numbers[] = {
#define NUMBER(field, value, why)                                             \
	{ offsetof(struct uvdpa_softdev_conf, field),                         \
	  sizeof(((struct uvdpa_softdev_conf *)0)->field), value, why }
		NUMBER(size, 7, "size is 7"),
		NUMBER(name, 0, "no name"),
		NUMBER(features, 1ull << 34, "0x400000000 are not of a type"),
		NUMBER(nvqs, 0, "0 queues"),
		NUMBER(nvqs, 65536, "65536 queues"),
		NUMBER(receive, 8, "receive 0x8 of 3 queues"),
		NUMBER(queue_size, 100, "queue size 100"),
		NUMBER(queue_size, 65536, "queue size 65536"),
		NUMBER(config_size, 4097, "4097 bytes of configuration"),
		NUMBER(req_size, 3, "request of 3 bytes"),
	};
	struct uvdpa_softdev sd = { 0 };
	struct uvdpa *u;

	(void)state;
	later[0].size = sizeof(later);
	later[1].size = 1;
	small.size = 8;
	no_handle.handle = NULL;
	assert_int_equal(uvdpa_create(&u), 0);
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		sd.ops = cases[i].ops;
		assert_int_equal(uvdpa_softdev_init(u, &sd, &own_conf), -EINVAL);
		assert_non_null(strstr(uvdpa_error(), cases[i].why));
	}
	sd.ops = &own_ops;
	for (size_t i = 0; i < VD_ARRAY_SIZE(numbers); i++) {
		struct uvdpa_softdev_conf c = own_conf;

		memcpy((char *)&c + numbers[i].off, &numbers[i].value, numbers[i].len);
		assert_int_equal(uvdpa_softdev_init(u, &sd, &c), -EINVAL);
		assert_non_null(strstr(uvdpa_error(), numbers[i].why));
	}
	assert_null(sd.dev);
	uvdpa_destroy(u);
}

static void test_add_fails(void **state)
{
	struct bed b;

	(void)state;
	own_destroyed = 0;
	own_fail_add = true;
	assert_int_equal(bed_add_own(&b, &own_parent), -ENXIO);
	own_fail_add = false;
	assert_int_equal(own_destroyed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_later),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_destroy),
		cmocka_unit_test(test_deliver),
		cmocka_unit_test(test_deliver_thread),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_add_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
