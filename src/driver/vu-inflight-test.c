/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of the region for requests in flight: asked for, brought back, and all that it cannot be. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver/vu-fx.h"
#include "driver/vu.h"
#include "virtq/virtq.h"

#define TRACKED (ALL_PF | PF(INFLIGHT_SHMFD))
#define TRACKED_NO_STATUS (NO_STATUS | PF(INFLIGHT_SHMFD))
/* What is handed out for two rings of 128. */
#define SIZE (vd_vus_config_kept_at(2, 128) + sizeof(struct vd_vus_kept))

static int setup(void **state)
{
	int r = fe_setup(state);
	struct bed *b = *state;

	b->f->dev.inflight = true;
	return r;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fe_teardown)

/* Ask. Return: the descriptor, -1: none came; GONE - 1. */
static int get(struct bed *b, uint16_t queues, uint16_t num, uint32_t len, uint64_t *ret_size)
{
	struct vd_vu_msg m;
	int fd;

	vd_vu_msg_init(&m, VD_VU_GET_INFLIGHT_FD, len);
	m.inflight.queues = queues;
	m.inflight.queue_size = num;
	if (fe_ask(b, &m) != 1)
		return GONE - 1;
	assert_int_equal(m.request, VD_VU_GET_INFLIGHT_FD);
	assert_int_equal(m.size, len);
	assert_int_equal(m.inflight.queues, queues);
	assert_int_equal(m.inflight.queue_size, num);
	assert_int_equal(m.inflight.offset, 0);
	*ret_size = m.inflight.size;
	fd = vd_vu_msg_take_fd(&m, 0);
	assert_int_equal(fd < 0, !m.inflight.size);
	return fd;
}

static int set(struct bed *b, struct vd_vu_inflight in, int fd)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, VD_VU_SET_INFLIGHT_FD, 24);
	m.inflight = in;
	if (fd >= 0)
		m.fds[m.nfds++] = fd;
	return fe_ack(b, &m);
}

static struct vd_vu_inflight two_of_128(void)
{
	return (struct vd_vu_inflight){ SIZE, 0, 2, 128, 0 };
}

/* Only a device that can is offered to. */
static void offered(void **state)
{
	struct bed *b = *state;
	struct vd_vu_msg m;

	fe_hello(b, TRACKED);
	fe_close(b);
	b->f->dev.inflight = false;
	fe_hello(b, ALL_PF);
	assert_false(fe_get(b, VD_VU_GET_PROTOCOL_FEATURES, 0, 0) & PF(INFLIGHT_SHMFD));
	vd_vu_msg_init(&m, VD_VU_GET_INFLIGHT_FD, 24);
	assert_int_equal(fe_ask(b, &m), GONE);
}

/* It cannot be made shorter, is empty, and has room for either layout. */
static void handed_out(void **state)
{
	struct bed *b = *state;
	uint64_t size;
	uint8_t byte;
	int fd;

	fe_hello(b, TRACKED);
	for (uint32_t len = 20; len <= 24; len += 4) {	/* two ways to send it */
		fd = get(b, 2, 128, len, &size);
		assert_true(fd >= 0);
		assert_int_equal(size, SIZE);
		assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
		assert_int_equal(lseek(fd, 0, SEEK_END), size);
		assert_int_equal(ftruncate(fd, 0), -1);
		for (uint64_t i = 0; i < size; i++) {
			assert_int_equal(pread(fd, &byte, 1, (off_t)i), 1);
			assert_int_equal(byte, 0);
		}
		assert_int_equal(set(b, two_of_128(), fd), 0);
		close(fd);
	}
}

/* CVE-2021-3839: numbers that the device has not. It can do without, so it is told that way. */
static void asked_for_too_much(void **state)
{
	static const uint16_t cases[][2] = { { 0, 128 },     { FAKE_VQS + 1, 128 }, { 65535, 128 },
					     { 1, 0 },	     { 1, 32769 },	    { 1, 65535 },
					     { 65535, 65535 } };
	struct bed *b = *state;
	uint64_t size;
	int fd;

	fe_hello(b, TRACKED);
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		assert_int_equal(get(b, cases[i][0], cases[i][1], 24, &size), -1);
		assert_int_equal(set(b, (struct vd_vu_inflight){ 1u << 20, 0, cases[i][0],
								  cases[i][1], 0 }, b->mem), 1);
	}
	fd = get(b, FAKE_VQS, 32768, 24, &size);
	assert_true(fd >= 0);
	close(fd);
}

/* CVE-2020-10726, CVE-2022-0669: whatever is asked or sent, however often, nothing stays here. */
static void nothing_leaks(void **state)
{
	struct bed *b = *state;
	unsigned int before;
	uint64_t size;
	int fd;

	fe_hello(b, TRACKED);
	before = open_fds();
	for (int i = 0; i < 200; i++) {
		fd = get(b, 2, 128, 24, &size);
		assert_true(fd >= 0);
		assert_int_equal(set(b, two_of_128(), fd), 0);
		assert_int_equal(set(b, (struct vd_vu_inflight){ 1, 0, 2, 128, 0 }, fd), 1);
		close(fd);
		assert_int_equal(open_fds(), before + 2);	/* the gate's, the session's */
	}
	fe_close(b);
	assert_int_equal(open_fds(), b->fds);
}

static void what_cannot_be_taken(void **state)
{
	const struct {
		struct vd_vu_inflight in;
		int r;
	} cases[] = {
		{ { 0, 0, 2, 128, 0 }, 1 },
		{ { 2 * vd_virtq_inflight_size(false, 128) - 1, 0, 2, 128, 0 }, 1 },
		{ { MEM_SIZE + 1, 0, 2, 128, 0 }, 1 },
		{ { UINT64_MAX, 0, 2, 128, 0 }, 1 },
		{ { MEM_SIZE, 4096, 2, 128, 0 }, 1 },		/* over the end */
		{ { SIZE, UINT64_MAX - 4095, 2, 128, 0 }, 1 },	/* wraps */
		{ { SIZE, 1, 2, 128, 0 }, 1 },			/* no page begins there */
		{ { SIZE, 1ull << 63, 2, 128, 0 }, 1 },
		{ { SIZE, 4096, 2, 128, 0 }, 0 },
		{ { MEM_SIZE, 0, 4, 256, 0 }, 0 },
	};
	struct bed *b = *state;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	fe_hello(b, TRACKED);
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++)
		if (set(b, cases[i].in, b->mem) != cases[i].r)
			fail_msg("case %zu", i);
	assert_int_equal(set(b, two_of_128(), null), 1);
	close(null);
	assert_int_equal(set(b, two_of_128(), -1), GONE);
}

/* A ring gets its part when it starts, and the same one whenever it starts again. */
static void rings_get_it(void **state)
{
	size_t part = vd_virtq_inflight_size(false, 128);
	struct bed *b = *state;
	uint16_t *region;
	uint64_t size = 0;
	int fd;

	fe_hello(b, TRACKED_NO_STATUS);
	fd = get(b, 2, 128, 24, &size);
	region = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(region, MAP_FAILED);
	assert_int_equal(set(b, two_of_128(), fd), 0);
	close(fd);
	assert_int_equal(fe_set_mem(b, GPA, MEM_SIZE, UVA, 0), 0);
	for (uint32_t i = 0; i < 3; i++) {	/* the third has none */
		fe_ring(b, i, 0);
		assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(i, 1), -1), 0);
		assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_KICK, i), 0);
		assert_true(b->f->vqs[i].running);
	}
	for (uint32_t i = 0; i < 2; i++) {
		uint16_t *at = b->f->vqs[i].vq.inflight;

		assert_int_equal(b->f->vqs[i].vq.inflight_num, 128);
		at[5] = (uint16_t)(0x1234 + i);
		assert_int_equal(region[i * part / 2 + 5], 0x1234 + i);
		at[4] = 1;
	}
	assert_null(b->f->vqs[2].vq.inflight);
	/* Not while they run. */
	fd = get(b, 2, 128, 24, &size);
	assert_int_equal(set(b, two_of_128(), fd), 1);
	close(fd);

	/* Who is told where a ring stands may begin elsewhere; who is not, cannot. */
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(0, 0), -1), 0);
	assert_int_equal(region[4], 1);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(0, 1), -1), 0);
	assert_non_null(b->f->vqs[0].vq.inflight);
	fe_get(b, VD_VU_GET_VRING_BASE, fe_pair(0, 0), 8);
	assert_int_equal(region[4], 0);
	assert_int_equal(region[part / 2 + 4], 1);
	assert_int_equal(fe_set(b, VD_VU_RESET_DEVICE, 0, -1), GONE);	/* it has no payload */
	fe_pump(b);
	assert_int_equal(region[part / 2 + 4], 1);	/* the front-end went, so it will come back */
	munmap(region, size);
}

/* After a reset come new rings, of which the region knows nothing. */
static void a_reset_makes_it_new(void **state)
{
	struct bed *b = *state;
	struct vd_vu_msg m;
	uint16_t version = 1;

	fe_hello(b, TRACKED);
	assert_int_equal(set(b, (struct vd_vu_inflight){ MEM_SIZE, 0, 2, 128, 0 }, b->mem), 0);
	assert_int_equal(pwrite(b->mem, &version, 2, 8), 2);
	vd_vu_msg_init(&m, VD_VU_RESET_DEVICE, 0);
	assert_int_equal(fe_ack(b, &m), 0);
	assert_int_equal(pread(b->mem, &version, 2, 8), 2);
	assert_int_equal(version, 0);
}

/* Taken when it was not known yet that rings are packed: it is too short for them. */
static void too_short_for_packed(void **state)
{
	struct bed *b = *state;
	struct vd_vu_msg m;

	fe_connect(b);
	vd_vu_msg_init(&m, VD_VU_SET_PROTOCOL_FEATURES, 8);
	m.u64 = TRACKED_NO_STATUS;
	assert_int_equal(fe_ask(b, &m), NONE);
	assert_int_equal(set(b, (struct vd_vu_inflight){ vd_virtq_inflight_size(false, 128), 0, 1,
							  128, 0 }, b->mem), 0);
	assert_int_equal(fe_set(b, VD_VU_SET_FEATURES, V1 | F_PF | 1ull << VIRTIO_F_RING_PACKED,
				-1), 0);
	assert_int_equal(fe_set_mem(b, GPA, MEM_SIZE, UVA, 0), 0);
	fe_ring(b, 0, 0x80008000);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(0, 1), -1), 0);
	fe_set_fd(b, VD_VU_SET_VRING_KICK, 0);
	assert_false(b->f->vqs[0].running);
}

static int write_config(struct bed *b, uint32_t off, uint8_t byte)
{
	struct vd_vu_msg m;

	vd_vu_msg_init(&m, VD_VU_SET_CONFIG, 13);
	m.config.offset = off;
	m.config.size = 1;
	m.config.data[0] = byte;
	return fe_ack(b, &m);
}

/* The device has forgotten it, as after a reset or a crash, and the front-end brings @fd. */
static uint8_t byte_after(struct bed *b, int fd)
{
	b->f->config[3] = 0;
	assert_int_equal(set(b, two_of_128(), fd), 0);
	return b->f->config[3];
}

/* A driver that knows of no reset finds the configuration as it wrote it. */
static void what_was_written_is_kept(void **state)
{
	struct bed *b = *state;
	struct vd_vu_msg m;
	uint64_t size;
	int fd, other;

	fe_hello(b, TRACKED);
	fd = get(b, 2, 128, 24, &size);
	assert_int_equal(byte_after(b, fd), 0);
	assert_int_equal(write_config(b, 3, 77), 0);
	vd_vu_msg_init(&m, VD_VU_RESET_DEVICE, 0);
	assert_int_equal(fe_ack(b, &m), 0);
	assert_int_equal(byte_after(b, fd), 77);
	/* Features come after the region, from some. */
	b->f->config[3] = 0;
	assert_int_equal(fe_set(b, VD_VU_SET_FEATURES, V1 | F_PF, -1), 0);
	assert_int_equal(b->f->config[3], 77);
	/* QEMU does not forget when its guest is another. */
	other = get(b, 2, 128, 24, &size);
	assert_int_equal(byte_after(b, other), 77);
	close(other);
	fe_close(b);

	fe_hello(b, TRACKED);
	other = get(b, 2, 128, 24, &size);
	assert_int_equal(byte_after(b, other), 0);	/* the next front-end's own */
	assert_int_equal(byte_after(b, fd), 77);
	assert_int_equal(write_config(b, 3, 78), 0);
	close(other);
	fe_close(b);

	fe_hello(b, TRACKED);
	assert_int_equal(byte_after(b, fd), 78);
	for (unsigned int i = 0; i < FAKE_CONFIG; i++)
		assert_int_equal(b->f->config[i], i == 3 ? 78 : 0);
	/* A driver that could not have written it is not in the way. */
	b->f->fail_always = "set_config";
	b->f->fail_err = -EOPNOTSUPP;
	assert_int_equal(set(b, two_of_128(), fd), 0);
	close(fd);
}

/* It may say what it likes: no more is written than there is. And no file is, that is not ours. */
static void what_is_kept_is_hostile(void **state)
{
	struct vd_vus_kept all, k;
	struct bed *b = *state;
	uint64_t size;
	int fd;

	fe_hello(b, TRACKED);
	fd = get(b, 2, 128, 24, &size);
	assert_int_equal(set(b, two_of_128(), fd), 0);
	assert_int_equal(write_config(b, 0, 1), 0);
	assert_int_equal(pread(fd, &all, sizeof(all), (off_t)(SIZE - sizeof(all))), sizeof(all));
	memset(all.written, 0xff, sizeof(all.written));
	memset(all.data, 0xee, sizeof(all.data));
	assert_int_equal(pwrite(fd, &all, sizeof(all), (off_t)(SIZE - sizeof(all))), sizeof(all));
	fake_log(b->f);
	assert_int_equal(set(b, two_of_128(), fd), 0);
	assert_string_equal(fake_log(b->f), "set_config=0+16");
	close(fd);

	assert_int_equal(set(b, two_of_128(), b->mem), 0);
	assert_int_equal(write_config(b, 0, 2), 0);
	assert_int_equal(pread(b->mem, &k, sizeof(k), (off_t)(SIZE - sizeof(k))), sizeof(k));
	for (size_t i = 0; i < sizeof(k); i++)
		assert_int_equal(((uint8_t *)&k)[i], 0);
}

/* The driver is taken away while requests are not home: where they will be noted stays. */
static void it_outlives_the_session(void **state)
{
	struct uvdpa_wait w = { 0 };
	struct bed *b = *state;
	uint16_t *at;
	int r;

	fe_hello(b, TRACKED_NO_STATUS);
	assert_int_equal(set(b, (struct vd_vu_inflight){ MEM_SIZE, 0, 1, 128, 0 }, b->mem), 0);
	assert_int_equal(fe_set_mem(b, GPA, MEM_SIZE, UVA, 0), 0);
	fe_ring(b, 0, 0);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(0, 1), -1), 0);
	assert_int_equal(fe_set_fd(b, VD_VU_SET_VRING_KICK, 0), 0);
	at = b->f->vqs[0].vq.inflight;
	b->f->quiesce = FAKE_NEVER;
	r = uvdpa_dev_unbind(&b->f->dev, &w);
	uvdpa_await(b->u, &w, r);
	at[4] = 1;
	assert_int_equal(at[4], 1);
	fake_answer(b->f);
	fe_pump(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(offered),
		TEST(handed_out),
		TEST(asked_for_too_much),
		TEST(nothing_leaks),
		TEST(what_cannot_be_taken),
		TEST(rings_get_it),
		TEST(a_reset_makes_it_new),
		TEST(too_short_for_packed),
		TEST(what_was_written_is_kept),
		TEST(what_is_kept_is_hostile),
		TEST(it_outlives_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
