/* SPDX-License-Identifier: BSD-2-Clause */
/* bridge-test.c - who gets what of a bridge with several ports, and who comes and goes meanwhile */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "softdev/net-bed.h"

#define PORTS 4u
#define RX    0u
#define TX    1u
#define LEN   64u

static const char *const plain[] = { "bridge", "br0", NULL };
static const char *const isolated[] = { "bridge", "br0", "isolated", "on", NULL };
static const char *const elsewhere[] = { "bridge", "br1", NULL };

static struct bed p[PORTS];

static void start(struct bed *b)
{
	static const uint8_t no_frame[1];

	bed_start(b, &(struct bed_conf){ .queues = 2,
					 .features_off = VD_NET_F(CTRL_VQ) | VD_NET_F(MQ) });
	nb_post(b, RX, 60, NB_SLOT);
	nb_send(b, TX, NULL, no_frame, sizeof(no_frame), 0); /* its worker has the queues */
}

static void join(unsigned int i, const char *const *attrs)
{
	char name[8] = "p0";

	name[1] = (char)('0' + i);
	assert_int_equal(i ? bed_join(&p[i], &p[0], name, "bridge", attrs)
			   : bed_add(&p[0], "bridge", attrs),
			 0);
	start(&p[i]);
}

static void begin(const char *const *a, const char *const *b, const char *const *c)
{
	join(0, a);
	join(1, b);
	join(2, c);
}

static void end(unsigned int n)
{
	while (n--)
		bed_end(&p[n]);
}

/* A frame from host @src to host @dst, with a mark in it; 0xff: to all. */
static void make(uint8_t *f, uint8_t dst, uint8_t src, uint8_t mark)
{
	memset(f, 0, LEN);
	f[0] = f[6] = 0x52;
	f[5] = dst;
	f[11] = src;
	if (dst == 0xff)
		memset(f, 0xff, 6);
	f[12] = 0x88;
	f[13] = 0xb5;
	memset(f + 14, mark, LEN - 14);
}

static void send(unsigned int port, uint8_t dst, uint8_t src, uint8_t mark)
{
	uint8_t f[LEN];

	make(f, dst, src, mark);
	nb_send(&p[port], TX, NULL, f, LEN, 0);
}

static void got(unsigned int port, uint8_t mark)
{
	struct nb_frame f;

	assert_true(nb_receive(&p[port], RX, &f, 5000));
	assert_int_equal(f.len, LEN);
	for (unsigned int i = 14; i < LEN; i++)
		assert_int_equal(f.frame[i], mark);
	nb_post_slot(&p[port], RX, f.slot, NB_SLOT);
}

/* What was sent before is there, as it is brought before the sender is told. */
static void nothing(unsigned int port)
{
	struct vd_done d;

	assert_int_equal(vd_virtq_drv_get(p[port].q[RX].drv, &d, 1), 0);
}

static unsigned long shown(unsigned int port, const char *key)
{
	return strtoul(bed_shown(&p[port], key), NULL, 10);
}

static void test_learning(void **state)
{
	(void)state;
	begin(plain, plain, plain);
	assert_int_equal(shown(0, "ports"), 3);
	send(0, 2, 1, 10); /* nobody knows host 2 */
	got(1, 10);
	got(2, 10);
	send(1, 1, 2, 11);
	got(0, 11);
	nothing(2);
	send(0, 2, 1, 12);
	got(1, 12);
	nothing(2);
	nothing(0);
	assert_int_equal(shown(0, "addresses"), 1);
	assert_int_equal(shown(0, "bridge_addresses"), 2);
	/* Host 2 moves. */
	send(2, 1, 2, 13);
	got(0, 13);
	send(0, 2, 1, 14);
	got(2, 14);
	nothing(1);
	/* Its neighbour behind the same port. */
	send(2, 2, 3, 15);
	for (unsigned int i = 0; i < 3; i++)
		nothing(i);
	assert_int_equal(bed_stat(&p[2], TX, "tx drops"), 1);
	end(3);
}

static void test_groups(void **state)
{
	uint8_t f[LEN];

	(void)state;
	begin(plain, plain, plain);
	send(0, 0xff, 1, 20);
	got(1, 20);
	got(2, 20);
	nothing(0);
	make(f, 0, 1, 21);
	memcpy(f, "\x33\x33\0\0\0\1", 6);
	nb_send(&p[0], TX, NULL, f, LEN, 0);
	got(1, 21);
	got(2, 21);
	/* Between neighbours only: spanning tree, pause, LLDP. */
	for (uint8_t i = 0; i < 16; i++) {
		memcpy(f, "\x01\x80\xc2\0\0", 5);
		f[5] = i;
		nb_send(&p[0], TX, NULL, f, LEN, 0);
	}
	/* From a group, or from nobody. */
	make(f, 0xff, 1, 22);
	f[6] = 0x53;
	nb_send(&p[0], TX, NULL, f, LEN, 0);
	memset(f + 6, 0, 6);
	nb_send(&p[0], TX, NULL, f, LEN, 0);
	nothing(1);
	nothing(2);
	assert_int_equal(bed_stat(&p[0], TX, "tx drops"), 18);
	assert_int_equal(shown(0, "bridge_addresses"), 1);
	end(3);
}

static void test_isolated(void **state)
{
	(void)state;
	begin(isolated, isolated, plain);
	assert_string_equal(bed_shown(&p[0], "isolated"), "true");
	send(0, 0xff, 1, 30);
	got(2, 30);
	nothing(1);
	send(2, 0xff, 3, 31);
	got(0, 31);
	got(1, 31);
	send(1, 1, 2, 32); /* known, and not to be reached */
	nothing(0);
	nothing(2);
	send(1, 3, 2, 33);
	got(2, 33);
	send(2, 1, 3, 34);
	got(0, 34);
	end(3);
}

/* A burst for several: each gets what is for it, in the order in which it was sent. */
static void test_burst(void **state)
{
	static const uint8_t to[] = { 2, 3, 3, 0xff, 2, 9, 3, 1, 2, 2, 0xff, 3 };
	const unsigned int n = sizeof(to);
	struct nb_frame f;

	(void)state;
	begin(plain, plain, plain);
	send(1, 1, 2, 0);
	send(2, 1, 3, 0);
	for (unsigned int i = 0; i < 3; i++)
		while (nb_receive(&p[i], RX, &f, 50))
			nb_post_slot(&p[i], RX, f.slot, NB_SLOT);
	bed_suspend(&p[0]);
	for (unsigned int i = 0; i < n; i++) {
		uint64_t at = nb_iova(&p[0], TX) + i * NB_SLOT;
		struct vd_buf b = { at, nb_hdr_len(&p[0]) + LEN };
		uint8_t *mem = nb_mem(&p[0], TX) + i * NB_SLOT;

		memset(mem, 0, nb_hdr_len(&p[0]));
		make(mem + nb_hdr_len(&p[0]), to[i], 1, (uint8_t)(100 + i));
		bed_add_req(&p[0], TX, &b, 1, 0);
	}
	bed_resume(&p[0]);
	for (unsigned int i = 0; i < n; i++) {
		if (to[i] == 2 || to[i] == 9 || to[i] == 0xff)
			got(1, (uint8_t)(100 + i));
		if (to[i] == 3 || to[i] == 9 || to[i] == 0xff)
			got(2, (uint8_t)(100 + i));
	}
	nothing(0);
	nothing(1);
	nothing(2);
	end(3);
}

/* Who goes is forgotten; who comes is heard; other bridges are other bridges. */
static void test_come_and_go(void **state)
{
	(void)state;
	begin(plain, plain, elsewhere);
	assert_int_equal(shown(0, "ports"), 2);
	assert_int_equal(shown(2, "ports"), 1);
	send(2, 0xff, 3, 40);
	send(0, 0xff, 1, 41);
	got(1, 41);
	nothing(2);
	nothing(0);
	send(1, 1, 2, 42);
	got(0, 42);
	bed_end(&p[2]);
	join(2, plain);
	send(0, 2, 1, 43);
	got(1, 43);
	nothing(2);
	bed_reset(&p[1]); /* its driver is gone, and so is host 2 */
	assert_int_equal(shown(1, "addresses"), 0);
	send(0, 2, 1, 44);
	got(2, 44);
	start(&p[1]);
	send(0, 2, 1, 45);
	got(1, 45);
	got(2, 45);
	bed_end(&p[2]);
	assert_int_equal(shown(0, "ports"), 2);
	end(2);
}

static void test_refused(void **state)
{
	static const char *const none[] = { "mtu", "1500", NULL };
	static const char *const empty[] = { "bridge", "", NULL };
	struct bed b;

	(void)state;
	assert_int_equal(bed_add(&b, "bridge", none), -EINVAL);
	assert_int_equal(bed_add(&b, "bridge", empty), -EINVAL);
}

/* Work that the sender leaves to the receiver, which has not agreed to do it. */
static void test_offload(void **state)
{
	struct virtio_net_hdr_v1 h = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				       .csum_start = 14,
				       .csum_offset = 2 };
	struct nb_frame r;
	uint8_t f[LEN];

	(void)state;
	join(0, plain);
	assert_int_equal(bed_join(&p[1], &p[0], "p1", "bridge", plain), 0);
	bed_start(&p[1], &(struct bed_conf){ .queues = 2,
					     .features_off = VD_NET_OFFLOADS | VD_NET_F(CTRL_VQ) |
							     VD_NET_F(MQ) });
	nb_post(&p[1], RX, 8, NB_SLOT);
	send(1, 0xff, 2, 0);
	make(f, 2, 1, 0);
	f[20] = 0x12;
	f[21] = 0x34;
	nb_send(&p[0], TX, &h, f, LEN, 0);
	assert_true(nb_receive(&p[1], RX, &r, 5000));
	assert_int_equal(r.hdr.hdr.flags, 0);
	assert_int_equal(r.frame[16] << 8 | r.frame[17], 0xffff - 0x1234);
	end(2);
}

/* ---- while others send --------------------------------------------------------------------- */

static bool stop;

/* Everybody's frame, as fast as it goes; the driver's end of port 0 is this thread's. */
static void *sender(void *arg)
{
	struct vd_virtq_drv *drv = p[0].q[TX].drv;
	uint8_t *mem = nb_mem(&p[0], TX);
	struct vd_buf b = { nb_iova(&p[0], TX), nb_hdr_len(&p[0]) + LEN };
	unsigned int n = 0;

	(void)arg;
	memset(mem, 0, nb_hdr_len(&p[0]));
	make(mem + nb_hdr_len(&p[0]), 0xff, 1, 50);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct vd_done d[32];
		uint64_t one = 1;

		while (vd_virtq_drv_add(drv, &b, 1, 0) >= 0)
			n++;
		if (vd_virtq_drv_publish(drv))
			assert_int_equal(write(p[0].q[TX].kick, &one, 8), 8);
		while (vd_virtq_drv_get(drv, d, 32) > 0)
			;
	}
	return (void *)(uintptr_t)n;
}

static void test_busy(void **state)
{
	pthread_t t;
	void *n;

	(void)state;
	begin(plain, plain, plain);
	stop = false;
	assert_int_equal(pthread_create(&t, NULL, sender, NULL), 0);
	for (unsigned int i = 0; i < 30; i++) {
		struct nb_frame f;

		join(3, plain);
		assert_true(nb_receive(&p[3], RX, &f, 5000));
		bed_reset(&p[1]);
		bed_end(&p[3]);
		start(&p[1]);
		assert_true(nb_receive(&p[1], RX, &f, 5000));
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(t, &n);
	assert_true((uintptr_t)n > 1000);
	end(3);
}

/* ---- memory that does not answer ----------------------------------------------------------- */

/* A page of port @i's memory, whose reader waits until wake() is called. Return: -1: not here. */
static int sleepy_page(unsigned int i, uint8_t *page)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MISSING_SHMEM };
	struct uffdio_register reg = { .range = { (uintptr_t)page, 4096 },
				       .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -1;
	assert_int_equal(fallocate(p[i].fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   page - p[i].mem, 4096),
			 0);
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void wake(int fd, uint8_t *page)
{
	struct uffdio_zeropage z = { .range = { (uintptr_t)page, 4096 } };

	assert_int_equal(ioctl(fd, UFFDIO_ZEROPAGE, &z), 0);
	close(fd);
}

/* What was unbound in vain uses its memory until then. */
static void wait_home(struct bed *b)
{
	struct uvdpa_wait w = { 0 };
	uint64_t due = vd_now_ns() + 5000000000ull;
	int r;

	while ((r = uvdpa_dev_bind(b->dev, "bed", NULL, 0, &w)) == -EBUSY) {
		assert_true(vd_now_ns() < due);
		uvdpa_dispatch(b->u, 10);
	}
	assert_int_equal(uvdpa_await(b->u, &w, r), 0);
}

/*
 * A sender whose memory does not answer, in the middle of a frame for port 1: it and port 1 suffer,
 * the others do not, and all of them can be taken away within the time that is said.
 */
static void test_stuck(void **state)
{
	uint8_t *page;
	struct vd_buf b[2];
	struct uvdpa_wait w = { 0 }, w1 = { 0 };
	uint64_t began;
	int fd;

	(void)state;
	begin(plain, plain, plain);
	join(3, plain);
	send(1, 0xff, 2, 60);
	got(0, 60);
	got(2, 60);
	got(3, 60);
	page = nb_mem(&p[0], TX) + 65536;
	fd = sleepy_page(0, page);
	if (fd < 0) {
		end(4);
		print_message("no userfaultfd here\n");
		skip();
	}
	memset(page - 4096, 0, 4096);
	make(page - 4096 + nb_hdr_len(&p[0]), 2, 1, 61);
	b[0] = (struct vd_buf){ nb_iova(&p[0], TX) + 65536 - 4096, 1000 };
	b[1] = (struct vd_buf){ nb_iova(&p[0], TX) + 65536, 100 };
	bed_add_req(&p[0], TX, b, 2, 0);
	usleep(50000); /* now it is caught, with port 1's queue locked */
	began = vd_now_ns();
	for (uint8_t i = 0; i < 10; i++) {
		send(2, 0xff, 3, (uint8_t)(62 + i)); /* port 1 is tried once, for a moment */
		got(3, (uint8_t)(62 + i));
	}
	send(3, 3, 4, 80);
	got(2, 80);
	assert_true(vd_now_ns() - began < 3000000000ull);
	began = vd_now_ns();
	assert_int_equal(uvdpa_await(p[0].u, &w, uvdpa_dev_unbind(p[0].dev, &w)), -ETIMEDOUT);
	assert_int_equal(uvdpa_await(p[1].u, &w1, uvdpa_dev_unbind(p[1].dev, &w1)), -ETIMEDOUT);
	assert_true(vd_now_ns() - began < (2 * UVDPA_DRAIN_MS + 2000) * 1000000ull);
	send(2, 0xff, 3, 81);
	got(3, 81);
	wake(fd, page);
	wait_home(&p[0]);
	wait_home(&p[1]);
	end(4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_learning),    cmocka_unit_test(test_groups),
		cmocka_unit_test(test_isolated),    cmocka_unit_test(test_burst),
		cmocka_unit_test(test_come_and_go), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_offload),     cmocka_unit_test(test_busy),
		cmocka_unit_test(test_stuck),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
