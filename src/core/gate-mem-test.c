/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of the gate's memory: staging, commit, and the way back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/fake.h"

static struct uvdpa *u;
static struct fake *f, *p;	/* software, proxy */
static char page[0x4000] __attribute__((aligned(4096)));

static int setup(void **state)
{
	(void)state;
	u = fake_context();
	f = fake_add(u, "d0", NULL, NULL, "a");
	p = fake_add(u, "p0", "proxy", "on", "b");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	uvdpa_destroy(u);
	assert_int_equal(fakes, 0);
	return 0;
}

static int map_len(struct fake *d, unsigned int asid, uint64_t iova, uint64_t len)
{
	struct uvdpa_map m = { iova, len, -1, 0, page, UVDPA_MAP_RW, { 0 } };

	return uvdpa_dev_map(&d->dev, asid, &m);
}

static int map(struct fake *d, unsigned int asid, uint64_t iova)
{
	return map_len(d, asid, iova, 0x1000);
}

static void what_map_refuses(void **state)
{
	static const struct {
		uint64_t iova, len;
		int software, proxy;	/* the latter's window: 0x1000 to 0xffffffff */
	} cases[] = {
		{ 0x10000, 0, -EINVAL, -EINVAL },
		{ 0, 0x1000, -EINVAL, -EINVAL },		/* below the window of both */
		{ 0xfff, 0x1000, -EINVAL, -EINVAL },
		{ 0x1000, 0x1000, 0, 0 },
		{ 0xfffff000, 0x1000, 0, 0 },
		{ 0xfffff000, 0x1001, -EEXIST, -EINVAL },
		{ 0x100000000, 0x1000, 0, -EINVAL },
		{ UINT64_MAX - 0xfff, 0x1000, 0, -EINVAL },	/* ends with 2^64 - 1 */
		{ UINT64_MAX - 0xfff, 0x1001, -EINVAL, -EINVAL },	/* wraps */
		{ UINT64_MAX, UINT64_MAX, -EINVAL, -EINVAL },
		{ 0x1000, UINT64_MAX, -EINVAL, -EINVAL },
		{ 0x1fff, 1, -EEXIST, -EEXIST },
		{ 0x1000, 0x4000, -EEXIST, -EEXIST },
		{ 0x2000, 1, 0, 0 },
	};
	struct uvdpa_map m = { 0x5000, 0x1000, -1, 0, NULL, UVDPA_MAP_RW, { 0 } };

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		assert_int_equal(map_len(f, 0, cases[i].iova, cases[i].len), cases[i].software);
		assert_int_equal(map_len(p, 0, cases[i].iova, cases[i].len), cases[i].proxy);
	}
	assert_int_equal(map(f, 2, 0x5000), -EINVAL);
	assert_int_equal(map(f, UINT32_MAX, 0x5000), -EINVAL);
	assert_int_equal(uvdpa_dev_unmap(&f->dev, 2, 0, 1), -EINVAL);
	assert_int_equal(uvdpa_dev_map(&f->dev, 0, &m), -EINVAL);	/* neither file nor address */
	m.addr = page;
	m.prot = 0;
	assert_int_equal(uvdpa_dev_map(&f->dev, 0, &m), -EINVAL);

	m = (struct uvdpa_map){ 0x5000, 0x1000, -1, 0x1000, NULL, UVDPA_MAP_RW, { 0 } };
	m.fd = memfd_create("short", MFD_CLOEXEC);
	assert_int_equal(ftruncate(m.fd, 0x1fff), 0);
	assert_int_equal(uvdpa_dev_map(&f->dev, 0, &m), -EINVAL);
	assert_int_equal(ftruncate(m.fd, 0x2000), 0);
	assert_int_equal(uvdpa_dev_map(&f->dev, 0, &m), 0);
	close(m.fd);
	assert_int_equal(uvdpa_dev_commit(&f->dev, NULL), 0);
	assert_non_null(vd_mem_at(vd_dev_mem(&f->dev, 0), 0x5000, 0x1000, UVDPA_MAP_RW));
}

static void staged_counts_from_commit(void **state)
{
	(void)state;
	assert_int_equal(uvdpa_dev_commit(&f->dev, NULL), 0);	/* of nothing */
	assert_int_equal(map(f, 0, 0x1000), 0);
	assert_int_equal(vd_dev_mem(&f->dev, 0)->n, 0);
	uvdpa_dev_rollback(&f->dev);
	assert_int_equal(uvdpa_dev_commit(&f->dev, NULL), 0);
	assert_int_equal(vd_dev_mem(&f->dev, 0)->n, 0);
	assert_int_equal(map(f, 0, 0x1000), 0);
	assert_int_equal(map(f, 0, 0x2000), 0);
	assert_int_equal(uvdpa_dev_commit(&f->dev, NULL), 0);
	assert_int_equal(vd_dev_mem(&f->dev, 0)->n, 2);
	assert_int_equal(uvdpa_dev_unmap(&f->dev, 0, 0x1800, 0x1000), -EINVAL);	/* halves */
	assert_int_equal(uvdpa_dev_unmap(&f->dev, 0, 0x8000, 0x1000), 0);	/* nothing */
	assert_int_equal(uvdpa_dev_unmap(&f->dev, 0, 0, 0x10000), 0);
	assert_int_equal(vd_dev_mem(&f->dev, 0)->n, 2);
	assert_int_equal(uvdpa_dev_commit(&f->dev, NULL), 0);
	assert_int_equal(vd_dev_mem(&f->dev, 0)->n, 0);
}

static void commit_under_running_queues(void **state)
{
	const struct vd_mem *old;
	struct uvdpa_wait w = { 0 };

	(void)state;
	fake_run(f);
	f->quiesce = FAKE_LATER;
	old = vd_dev_mem(&f->dev, 0);
	assert_int_equal(map(f, 0, 0x1000), 0);
	assert_int_equal(uvdpa_dev_commit(&f->dev, &w), -EINPROGRESS);
	assert_ptr_equal(vd_dev_mem(&f->dev, 0), old);	/* somebody reads it */
	assert_int_equal(map(f, 0, 0x2000), -EBUSY);
	assert_int_equal(uvdpa_dev_unmap(&f->dev, 0, 0, 0x2000), -EBUSY);
	uvdpa_dev_rollback(&f->dev);			/* too late */
	assert_int_equal(uvdpa_dev_enable_vq(&f->dev, 2), 0);
	assert_int_equal(uvdpa_await(u, &w, -EINPROGRESS), 0);
	assert_string_equal(fake_log(f), "quiesce* get0 get1 set_vq0 enable0 set_vq1 enable1 "
					 "set_vq2 enable2");
	assert_int_equal(vd_dev_mem(&f->dev, 0)->n, 1);
	/* Reset leaves it alone. */
	assert_int_equal(uvdpa_await(u, &w, uvdpa_dev_reset(&f->dev, &w)), 0);
	assert_int_equal(vd_dev_mem(&f->dev, 0)->n, 1);
}

static void address_spaces(void **state)
{
	struct uvdpa_dev *dev = &f->dev;

	(void)state;
	assert_int_equal(map(f, 0, 0x1000), 0);
	assert_int_equal(map(f, 1, 0x1000), 0);		/* not over the other */
	assert_int_equal(map(f, 1, 0x2000), 0);
	assert_int_equal(uvdpa_dev_commit(dev, NULL), 0);
	assert_int_equal(vd_dev_mem(dev, 3)->n, 1);	/* queue 3 is in group 1 */
	assert_int_equal(uvdpa_dev_set_group_asid(dev, 1, 1), 0);
	assert_int_equal(vd_dev_mem(dev, 3)->n, 2);
	assert_int_equal(vd_dev_mem(dev, 0)->n, 1);
	assert_int_equal(uvdpa_dev_set_group_asid(dev, 2, 0), -EINVAL);
	assert_int_equal(uvdpa_dev_set_group_asid(dev, 0, 2), -EINVAL);
	fake_run(f);
	assert_int_equal(uvdpa_dev_set_group_asid(dev, 1, 0), -EBUSY);
	assert_int_equal(uvdpa_dev_set_group_asid(&p->dev, 1, 1), -EOPNOTSUPP);
	assert_int_equal(uvdpa_dev_set_group_asid(&p->dev, 1, 0), 0);
}

static void a_proxy_is_told_the_difference(void **state)
{
	(void)state;
	assert_int_equal(map(p, 0, 0x1000), 0);
	assert_int_equal(map(p, 0, 0x2000), 0);
	assert_int_equal(uvdpa_dev_commit(&p->dev, NULL), 0);
	assert_string_equal(fake_log(p), "map0=1000 map0=2000 commit0");
	fake_run(p);
	assert_int_equal(uvdpa_dev_unmap(&p->dev, 0, 0x1000, 0x1000), 0);
	assert_int_equal(map(p, 0, 0x3000), 0);
	/* Away and back: another mapping in the same place is another. */
	assert_int_equal(uvdpa_dev_unmap(&p->dev, 0, 0x2000, 0x1000), 0);
	assert_int_equal(map(p, 0, 0x2000), 0);
	assert_int_equal(uvdpa_dev_commit(&p->dev, NULL), 0);
	assert_string_equal(fake_log(p), "quiesce* get0 get1 unmap0=1000 unmap0=2000 map0=2000 "
					 "map0=3000 commit0 set_vq0 enable0 set_vq1 enable1");
	assert_int_equal(p->maps, 2);
}

/* Each step fails in its turn: the former table stays, here and there. */
static void a_commit_that_fails(void **state)
{
	static const struct {
		const char *fail, *log;
		int maps;
	} cases[] = {
		{ "unmap", "unmap0=1000 commit0", 2 },
		{ "map", "unmap0=1000 map0=3000 map0=1000 commit0", 2 },
		{ "commit", "unmap0=1000 map0=3000 commit0", 2 },
	};

	(void)state;
	assert_int_equal(map(p, 0, 0x1000), 0);
	assert_int_equal(map(p, 0, 0x2000), 0);
	assert_int_equal(uvdpa_dev_commit(&p->dev, NULL), 0);
	fake_log(p);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		assert_int_equal(uvdpa_dev_unmap(&p->dev, 0, 0x1000, 0x1000), 0);
		assert_int_equal(map(p, 0, 0x3000), 0);
		p->fail = cases[i].fail;
		p->fail_err = -ENOSPC;
		assert_int_equal(uvdpa_dev_commit(&p->dev, NULL), -ENOSPC);
		assert_string_equal(uvdpa_error(), i == 0 ? "fake unmap" :
						   i == 1 ? "fake map" : "fake commit");
		assert_string_equal(fake_log(p), cases[i].log);
		assert_int_equal(vd_dev_mem(&p->dev, 0)->n, 2);
		assert_non_null(vd_mem_find(vd_dev_mem(&p->dev, 0), 0x1000, 0x1000));
		assert_int_equal(uvdpa_dev_status(&p->dev), 0);
		uvdpa_dev_rollback(&p->dev);
	}

	/* Of two address spaces, the second fails: the first is told the way back. */
	assert_int_equal(map(p, 0, 0x3000), 0);
	assert_int_equal(map(p, 1, 0x4000), 0);
	p->fail_asid1 = true;
	assert_int_equal(uvdpa_dev_commit(&p->dev, NULL), -ENOSPC);
	assert_string_equal(fake_log(p), "map0=3000 commit0 map1=4000 commit1 unmap0=3000 commit0");
	p->fail_asid1 = false;
	/* It is still staged, so it can be tried again. */
	assert_int_equal(uvdpa_dev_commit(&p->dev, NULL), 0);
	assert_string_equal(fake_log(p), "map0=3000 commit0 map1=4000 commit1");

	/* Not even the way back works: the driver must reset. */
	assert_int_equal(map(p, 0, 0x5000), 0);
	p->fail_always = "commit";
	p->fail = "map";
	assert_int_equal(uvdpa_dev_commit(&p->dev, NULL), -ENOSPC);
	assert_int_equal(uvdpa_dev_status(&p->dev), 0x40);
	p->fail_always = NULL;
}

static void descriptors_go_with_mappings(void **state)
{
	struct uvdpa_map m = { 0x5000, 0x1000, -1, 0, NULL, UVDPA_MAP_RO, { 0 } };
	struct uvdpa_wait w = { 0 };
	unsigned int fds;

	(void)state;
	m.fd = memfd_create("mem", MFD_CLOEXEC);
	assert_int_equal(ftruncate(m.fd, 0x1000), 0);
	fds = open_fds();
	for (unsigned int i = 0; i < 100; i++) {
		assert_int_equal(uvdpa_dev_map(&f->dev, 0, &m), 0);
		assert_int_equal(uvdpa_dev_commit(&f->dev, NULL), 0);
		assert_int_equal(uvdpa_dev_unmap(&f->dev, 0, 0x5000, 0x1000), 0);
		assert_int_equal(uvdpa_dev_commit(&f->dev, NULL), 0);
	}
	assert_int_equal(open_fds(), fds);
	assert_int_equal(uvdpa_dev_map(&f->dev, 0, &m), 0);
	assert_int_equal(uvdpa_dev_commit(&f->dev, NULL), 0);
	assert_int_equal(uvdpa_await(u, &w, uvdpa_dev_unbind(&f->dev, &w)), 0);
	assert_int_equal(open_fds(), fds);
	close(m.fd);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_map_refuses),
		TEST(staged_counts_from_commit),
		TEST(commit_under_running_queues),
		TEST(address_spaces),
		TEST(a_proxy_is_told_the_difference),
		TEST(a_commit_that_fails),
		TEST(descriptors_go_with_mappings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
