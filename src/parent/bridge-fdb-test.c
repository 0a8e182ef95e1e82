/* SPDX-License-Identifier: BSD-2-Clause */
/* bridge-fdb-test.c - addresses are learned, move, age, and do not displace each other too much */
#include "parent/bridge-fdb.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY    0x9e3779b97f4a7c15ull
#define MAC(n) (0x520000000000ull + (n))

static struct vd_fdb *make(unsigned int now)
{
	struct vd_fdb *f = aligned_alloc(64, sizeof(*f));

	assert_non_null(f);
	memset(f, 0, sizeof(*f));
	vd_fdb_init(f, KEY, now);
	return f;
}

/* Entries that there are, counted by hand. */
static unsigned int entries(const struct vd_fdb *f)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < VD_FDB_BUCKETS; i++)
		for (unsigned int k = 0; k < VD_FDB_WAYS; k++)
			n += f->entries[i][k] != 0;
	return n;
}

static void test_learn_and_move(void **state)
{
	struct vd_fdb *f = make(7);

	(void)state;
	assert_int_equal(vd_fdb_find(f, MAC(1), 7), VD_FDB_NONE);
	vd_fdb_learn(f, MAC(1), 3, 7);
	vd_fdb_learn(f, MAC(2), 253, 7);
	vd_fdb_learn(f, 0xfeffffffffff, 0, 7);
	assert_int_equal(vd_fdb_find(f, MAC(1), 7), 3);
	assert_int_equal(vd_fdb_find(f, MAC(2), 7), 253);
	assert_int_equal(vd_fdb_find(f, 0xfeffffffffff, 7), 0);
	assert_int_equal(vd_fdb_find(f, MAC(3), 7), VD_FDB_NONE);
	assert_int_equal(vd_fdb_count(f, VD_FDB_NONE), 3);
	vd_fdb_learn(f, MAC(1), 4, 8);
	assert_int_equal(vd_fdb_find(f, MAC(1), 8), 4);
	assert_int_equal(vd_fdb_count(f, 3), 0);
	assert_int_equal(vd_fdb_count(f, 4), 1);
	vd_fdb_forget(f, 4);
	assert_int_equal(vd_fdb_find(f, MAC(1), 8), VD_FDB_NONE);
	assert_int_equal(vd_fdb_find(f, MAC(2), 8), 253);
	assert_int_equal(vd_fdb_count(f, VD_FDB_NONE), 2);
	free(f);
}

/* From any moment on, also from where the counter of ticks begins anew. */
static void test_age(void **state)
{
	static const unsigned int starts[] = { 0, 100, 250, 1u << 20, UINT32_MAX - 20 };

	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		unsigned int t = starts[i];
		struct vd_fdb *f = make(t);

		vd_fdb_learn(f, MAC(1), 1, t);
		vd_fdb_learn(f, MAC(2), 2, t);
		/* The second goes on talking, and does what is to be done. */
		for (unsigned int k = 1; k <= VD_FDB_AGE; k++) {
			vd_fdb_learn(f, MAC(2), 2, t + k);
			assert_int_equal(vd_fdb_find(f, MAC(1), t + k), 1);
		}
		for (unsigned int k = VD_FDB_AGE + 1; k < 1000; k++) {
			vd_fdb_learn(f, MAC(2), 2, t + k);
			assert_int_equal(vd_fdb_find(f, MAC(1), t + k), VD_FDB_NONE);
			assert_int_equal(vd_fdb_find(f, MAC(2), t + k), 2);
		}
		assert_int_equal(vd_fdb_count(f, 1), 0);
		assert_int_equal(entries(f), 1);
		free(f);
	}
}

/* Nobody said anything for so long that an age has gone round. */
static void test_silence(void **state)
{
	(void)state;
	for (unsigned int pause = VD_FDB_AGE + 1; pause < 700; pause++) {
		struct vd_fdb *f = make(5);

		vd_fdb_learn(f, MAC(1), 1, 5);
		vd_fdb_learn(f, MAC(2), 2, 5 + pause);
		assert_int_equal(vd_fdb_find(f, MAC(1), 5 + pause), VD_FDB_NONE);
		assert_int_equal(vd_fdb_find(f, MAC(2), 5 + pause), 2);
		free(f);
	}
}

/* A port with more addresses than it may have keeps those that it had; the others' are not touched.
 */
static void test_share(void **state)
{
	struct vd_fdb *f = make(0);
	unsigned int found = 0;

	(void)state;
	for (unsigned int i = 0; i < 100; i++)
		vd_fdb_learn(f, MAC(i), 1, 0);
	for (unsigned int i = 0; i < 100000; i++)
		vd_fdb_learn(f, MAC(1000 + i), 2, 1);
	assert_true(vd_fdb_count(f, 2) <= VD_FDB_SHARE);
	assert_int_equal(vd_fdb_count(f, VD_FDB_NONE), entries(f));
	for (unsigned int i = 0; i < 100; i++)
		found += vd_fdb_find(f, MAC(i), 1) == 1;
	assert_true(found >= 95); /* a quarter of the table cannot fill many buckets */
	/* Who is known moves all the same. */
	vd_fdb_learn(f, MAC(1), 2, 1);
	assert_int_equal(vd_fdb_find(f, MAC(1), 1), 2);
	free(f);
}

/* A full table still learns: it forgets who was silent longest. */
static void test_full(void **state)
{
	struct vd_fdb *f = make(0);

	(void)state;
	for (unsigned int p = 0; p < 20; p++)
		for (unsigned int i = 0; i < VD_FDB_SHARE; i++)
			vd_fdb_learn(f, MAC(p * VD_FDB_SHARE + i), p, p);
	assert_int_equal(vd_fdb_count(f, VD_FDB_NONE), entries(f));
	assert_true(entries(f) > VD_FDB_BUCKETS * VD_FDB_WAYS * 9 / 10);
	vd_fdb_learn(f, MAC(1u << 30), 21, 20);
	assert_int_equal(vd_fdb_find(f, MAC(1u << 30), 20), 21);
	free(f);
}

struct learner {
	pthread_t thread;
	struct vd_fdb *fdb;
	unsigned int port;
};

static void *learn(void *arg)
{
	struct learner *l = arg;
	unsigned int x = l->port * 7919u + 1;

	for (unsigned int i = 0; i < 60000; i++) {
		unsigned int to;

		x = x * 1664525u + 1013904223u;
		vd_fdb_learn(l->fdb, MAC(x >> 16 & 0x3fff), l->port, i / 100);
		to = vd_fdb_find(l->fdb, MAC(x >> 17 & 0x3fff), i / 100);
		if (to != VD_FDB_NONE && to >= 4)
			abort();
	}
	return NULL;
}

/* Many at once, with addresses in common: no count goes wrong, whoever wins. */
static void test_threads(void **state)
{
	struct vd_fdb *f = make(0);
	struct learner l[4];

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		l[i] = (struct learner){ .fdb = f, .port = i };
		assert_int_equal(pthread_create(&l[i].thread, NULL, learn, &l[i]), 0);
	}
	for (unsigned int i = 0; i < 4; i++)
		pthread_join(l[i].thread, NULL);
	assert_int_equal(vd_fdb_count(f, VD_FDB_NONE), entries(f));
	for (unsigned int i = 0; i < 4; i++)
		vd_fdb_forget(f, i);
	assert_int_equal(entries(f), 0);
	assert_int_equal(vd_fdb_count(f, VD_FDB_NONE), 0);
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_learn_and_move), cmocka_unit_test(test_age),
		cmocka_unit_test(test_silence),        cmocka_unit_test(test_share),
		cmocka_unit_test(test_full),           cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
