/* SPDX-License-Identifier: BSD-2-Clause */
/* softdev-test.c - workers, notifications, quiesce and breakage, on the RAM disk */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "softdev/blk-bed.h"

static const char *const two_queues[] = { "num_queues", "2", NULL };

static void begin(struct bed *b, const char *const *attrs, const struct bed_conf *c)
{
	assert_int_equal(bed_add(b, "sim-blk", attrs), 0);
	bed_start(b, c);
}

static void read_ok(struct bed *b, unsigned int q)
{
	uint8_t data[512];
	struct bed_io io = { VIRTIO_BLK_T_IN, 0, data, sizeof(data), 0 };

	assert_int_equal(bed_io(b, q, &io), VIRTIO_BLK_S_OK);
}

/* A line of /proc/self/task/TID/status of each thread of the device; @fn gets its value. */
static unsigned int each_worker(const char *line, void (*fn)(const char *comm, const char *value))
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	unsigned int n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		char path[300], text[256], comm[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
		while (f && fgets(text, sizeof(text), f)) {
			sscanf(text, "Name: %31s", comm);
			if (strncmp(comm, "uvdpa/d0/", 9) == 0 &&
			    strncmp(text, line, strlen(line)) == 0) {
				fn(comm, text + strlen(line));
				n++;
			}
		}
		if (f)
			fclose(f);
	}
	closedir(d);
	return n;
}

static unsigned int blocked;	/* workers whose mask is right */

static void all_blocked(const char *comm, const char *value)
{
	uint64_t mask = strtoull(value, NULL, 16);
	uint64_t faults = 1u << (SIGBUS - 1) | 1u << (SIGSEGV - 1) | 1u << (SIGFPE - 1) |
			  1u << (SIGILL - 1);

	assert_true(strcmp(comm, "uvdpa/d0/0") == 0 || strcmp(comm, "uvdpa/d0/1") == 0);
	/* 1 to 31, but KILL and STOP, which cannot be, and faults: blocked ones end the process.
	 * (Some above are the C library's own.) */
	blocked += ((mask | 1ull << 8 | 1ull << 18) & 0x7fffffff) == (0x7fffffff & ~faults);
}

static void test_threads(void **state)
{
	static const char *const attrs[] = { "num_queues", "2", "workers", "7", NULL };
	struct bed b;

	(void)state;
	begin(&b, attrs, NULL);
	/* Until a thread has begun, the C library has blocked all. */
	for (unsigned int i = 0; i < 1000 && blocked < 2; i++) {
		usleep(1000);
		blocked = 0;
		assert_int_equal(each_worker("SigBlk:", all_blocked), 2);	/* one for each queue */
	}
	assert_int_equal(blocked, 2);
	bed_end(&b);
}

static unsigned long switches;

static void add_switches(const char *comm, const char *value)
{
	(void)comm;
	switches += strtoul(value, NULL, 10);
}

/* SPDK 3771: nothing to do, nothing done. */
static void test_idle(void **state)
{
	static const char *const polls[] = { "0", "200" };

	(void)state;
	for (size_t i = 0; i < VD_ARRAY_SIZE(polls); i++) {
		const char *attrs[] = { "num_queues", "2", "poll_us", polls[i], NULL };
		uint64_t sleeps;
		unsigned long before;
		struct bed b;

		begin(&b, attrs, &(struct bed_conf){ .queues = 2 });
		for (unsigned int j = 0; j < 50; j++)
			read_ok(&b, j % 2);
		usleep(50000);
		sleeps = bed_stat(&b, 0, "sleeps");
		switches = 0;
		each_worker("voluntary_ctxt_switches:", add_switches);
		before = switches;
		usleep(200000);
		switches = 0;
		each_worker("voluntary_ctxt_switches:", add_switches);
		assert_int_equal(bed_stat(&b, 0, "sleeps"), sleeps);
		assert_int_equal(switches, before);
		assert_true(bed_stat(&b, 0, "kicks") >= 1 && bed_stat(&b, 0, "kicks") <= 25);
		bed_end(&b);
	}
}

/*
 * While the worker looks by itself, it wants no kicks. It does not while others want its CPU, so
 * on a busy machine this is seen only now and then.
 */
static void test_polling(void **state)
{
	static const char *const attrs[] = { "poll_us", "200000", NULL };
	unsigned int reads = 0;
	uint64_t kicks, more;
	struct bed b;

	(void)state;
	begin(&b, attrs, NULL);
	more = bed_stat(&b, 0, "kicks");
	do {
		kicks = more;
		for (unsigned int i = 0; i < 20; i++, reads++)
			read_ok(&b, 0);
		more = bed_stat(&b, 0, "kicks");
		assert_true(reads < 100000);
	} while (more != kicks);
	assert_int_equal(bed_stat(&b, 0, "requests"), reads);
	bed_end(&b);
}

/* CVE-2024-3446: a buffer that is the queue's own ring. Only the queue suffers. */
static void test_write_into_ring(void **state)
{
	const uint64_t at = BED_RINGS;
	struct virtio_blk_outhdr hdr = { .type = htole32(VIRTIO_BLK_T_IN) };
	uint8_t ones[4096];
	struct bed_io wr = { VIRTIO_BLK_T_OUT, 0, ones, sizeof(ones), 0 };
	struct bed b;

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(bed_add(&b, "sim-blk", two_queues), 0);
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct vd_buf bufs[2] = { { bed_iova(at), 16 }, { bed_iova(0), 4096 + 1 } };
		struct bed_conf c = { .queues = 2, .packed = packed };

		bed_start(&b, &c);
		assert_int_equal(bed_io(&b, 1, &wr), VIRTIO_BLK_S_OK);
		memcpy(b.mem + at, &hdr, sizeof(hdr));
		bed_suspend(&b);	/* so that we are out of the ring before it happens */
		bed_add_req(&b, 0, bufs, 1, 1);
		bed_resume(&b);
		usleep(20000);
		read_ok(&b, 1);
		bed_suspend(&b);
		bed_reset(&b);
		bed_start(&b, &c);
		read_ok(&b, 0);
		bed_reset(&b);
	}
	bed_end(&b);
}

/* A driver without notifications, and one that calls. */
static void test_no_eventfd(void **state)
{
	struct bed b;

	(void)state;
	begin(&b, NULL, &(struct bed_conf){ .no_kick = true });
	for (unsigned int i = 0; i < 20; i++)
		read_ok(&b, 0);
	bed_end(&b);
	begin(&b, NULL, &(struct bed_conf){ .in_band = true });
	for (unsigned int i = 0; i < 20; i++)
		read_ok(&b, 0);
	bed_end(&b);
}

/* A ring that makes no sense stops its queue, not the other, and not suspend or reset. */
static void test_broken_queue(void **state)
{
	struct vd_buf bad[2] = { { 0x1000, 16 }, { 0x2000, 1 } };	/* not mapped */
	struct bed b;

	(void)state;
	begin(&b, two_queues, &(struct bed_conf){ .queues = 2 });
	for (unsigned int i = 0; i < 20; i++) {
		uint64_t end = vd_now_ns() + 5000000000u;

		read_ok(&b, 0);
		bed_add_req(&b, 0, bad, 1, 1);
		while (!(uvdpa_dev_status(b.dev) & 0x40) && vd_now_ns() < end)
			uvdpa_dispatch(b.u, 10);
		assert_true(uvdpa_dev_status(b.dev) & 0x40);	/* NEEDS_RESET */
		assert_int_equal(vd_virtq_drv_inflight(b.q[0].drv), 1);
		read_ok(&b, 1);
		if (i % 2)
			bed_suspend(&b);
		bed_reset(&b);
		bed_start(&b, &(struct bed_conf){ .queues = 2 });
	}
	bed_end(&b);
}

static void test_suspend_1000(void **state)
{
	struct bed b;

	(void)state;
	begin(&b, two_queues, &(struct bed_conf){ .queues = 2 });
	for (unsigned int i = 0; i < 1000; i++) {
		bed_suspend(&b);
		if (i % 3 == 0)
			bed_suspend(&b);	/* twice is once */
		bed_resume(&b);
		if (i % 4 == 0)
			read_ok(&b, i / 4 % 2);
	}
	assert_int_equal(bed_stat(&b, 0, "requests") + bed_stat(&b, 1, "requests"), 250);
	bed_end(&b);
}

/* Firecracker 5969: what came while it was suspended is looked at on resume, without a kick. */
static void test_kick_while_suspended(void **state)
{
	const uint64_t at = BED_RINGS;
	struct virtio_blk_outhdr hdr = { .type = htole32(VIRTIO_BLK_T_IN) };
	struct vd_buf bufs[3] = { { bed_iova(at), 16 }, { bed_iova(at + 512), 512 },
				  { bed_iova(at + 16), 1 } };
	struct vd_done done;
	struct bed b;

	(void)state;
	begin(&b, NULL, NULL);
	memcpy(b.mem + at, &hdr, sizeof(hdr));
	for (unsigned int i = 0; i < 100; i++) {
		bed_suspend(&b);
		bed_add_req(&b, 0, bufs, 1, 2);
		vd_eventfd_drain(b.q[0].kick);	/* it is gone, whoever took it */
		assert_int_equal(bed_get(&b, 0, &done, 1, 0), 0);
		bed_resume(&b);
		assert_int_equal(bed_get(&b, 0, &done, 1, 5000), 1);
	}
	bed_end(&b);
}

static void test_one_queue_stops(void **state)
{
	struct bed b;

	(void)state;
	begin(&b, two_queues, &(struct bed_conf){ .queues = 2 });
	for (unsigned int i = 0; i < 200; i++) {
		struct uvdpa_wait w = { 0 };
		struct uvdpa_vq vq = *uvdpa_dev_vq(b.dev, 0);
		int r;

		read_ok(&b, 0);
		r = uvdpa_dev_disable_vq(b.dev, 0, &w);
		read_ok(&b, 1);
		assert_int_equal(uvdpa_await(b.u, &w, r), 0);
		assert_int_equal(uvdpa_dev_get_vq_state(b.dev, 0, &vq.state), 0);
		assert_int_equal(uvdpa_dev_enable_vq(b.dev, 0), 0);
	}
	bed_end(&b);
}

/* The new eventfd is signalled, for what the old one may have been told. */
static void test_new_call(void **state)
{
	int fd = vd_eventfd();
	struct bed b;
	bool got = false;

	(void)state;
	begin(&b, NULL, NULL);
	read_ok(&b, 0);
	assert_int_equal(uvdpa_dev_set_vq_call(b.dev, 0, fd), 0);
	for (unsigned int i = 0; i < 500 && !got; i++) {
		uvdpa_dispatch(b.u, 10);
		got = vd_eventfd_drain(fd);
	}
	assert_true(got);
	assert_int_equal(uvdpa_dev_set_vq_call(b.dev, 0, b.q[0].call), 0);
	read_ok(&b, 0);
	close(fd);
	bed_end(&b);
}

/* A peer that makes the worker block in its call eventfd stalls its own device, and not for ever. */
static void test_call_blocks(void **state)
{
	uint64_t full = UINT64_MAX - 1;
	const uint64_t at = BED_RINGS;
	struct virtio_blk_outhdr hdr = { .type = htole32(VIRTIO_BLK_T_IN) };
	struct vd_buf bufs[2] = { { bed_iova(at), 16 }, { bed_iova(at + 16), 513 } };
	struct bed b;

	(void)state;
	begin(&b, NULL, NULL);
	memcpy(b.mem + at, &hdr, sizeof(hdr));
	for (unsigned int i = 0; i < 3; i++) {
		struct vd_done done;

		vd_eventfd_drain(b.q[0].call);
		assert_int_equal(write(b.q[0].call, &full, sizeof(full)), sizeof(full));
		assert_int_equal(vd_set_nonblock(b.q[0].call, false), 0);
		bed_add_req(&b, 0, bufs, 1, 1);
		usleep(20000);	/* it blocks */
		bed_suspend(&b);
		assert_int_equal(vd_set_nonblock(b.q[0].call, true), 0);
		vd_eventfd_drain(b.q[0].call);
		bed_resume(&b);
		assert_int_equal(bed_get(&b, 0, &done, 1, 5000), 1);
	}
	bed_end(&b);
}

/*
 * CVE-2019-3900: a full queue does not starve another. Each write of the full one puts its number
 * into sector 0, where the other one's read finds how many were before it.
 */
static void test_fair(void **state)
{
	const uint64_t at = BED_RINGS, at2 = at + (1u << 20);
	struct virtio_blk_outhdr wr = { .type = htole32(VIRTIO_BLK_T_OUT) };
	struct virtio_blk_outhdr rd = { .type = htole32(VIRTIO_BLK_T_IN) };
	struct vd_buf bufs2[2] = { { bed_iova(at2), 16 }, { bed_iova(at2 + 16), 513 } };
	struct vd_done done;
	struct bed b;
	uint32_t before;

	(void)state;
	begin(&b, two_queues, &(struct bed_conf){ .queues = 2, .num = 256 });
	usleep(20000);	/* asleep: it looks at neither queue before the kick */
	for (uint32_t i = 0; i < 80; i++) {
		uint64_t p = at + i * 1024;
		struct vd_buf bufs[2] = { { bed_iova(p), 16 + 512 }, { bed_iova(p + 1000), 1 } };

		memcpy(b.mem + p, &wr, sizeof(wr));
		memcpy(b.mem + p + 16, &(uint32_t){ i + 1 }, 4);
		assert_true(vd_virtq_drv_add(b.q[0].drv, bufs, 1, 1) >= 0);
	}
	memcpy(b.mem + at2, &rd, sizeof(rd));
	assert_true(vd_virtq_drv_add(b.q[1].drv, bufs2, 1, 1) >= 0);
	assert_true(vd_virtq_drv_publish(b.q[0].drv));
	assert_true(vd_virtq_drv_publish(b.q[1].drv));
	vd_eventfd_signal(b.q[0].kick);
	assert_int_equal(bed_get(&b, 1, &done, 1, 5000), 1);
	memcpy(&before, b.mem + at2 + 16, 4);
	assert_true(before <= 32);	/* one burst */
	for (unsigned int n = 0; n < 80; n++)
		assert_int_equal(bed_get(&b, 0, &done, 1, 5000), 1);
	bed_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_polling),
		cmocka_unit_test(test_write_into_ring),
		cmocka_unit_test(test_no_eventfd),
		cmocka_unit_test(test_broken_queue),
		cmocka_unit_test(test_suspend_1000),
		cmocka_unit_test(test_kick_while_suspended),
		cmocka_unit_test(test_one_queue_stops),
		cmocka_unit_test(test_new_call),
		cmocka_unit_test(test_call_blocks),
		cmocka_unit_test(test_fair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
