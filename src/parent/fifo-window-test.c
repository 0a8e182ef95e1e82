/* SPDX-License-Identifier: BSD-2-Clause */
/* fifo-window-test.c - a FIFO in shared memory, and another side that was written from the manual
 * page */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "parent/fifo.h"
#include "softdev/net-bed.h"

#define WORDS   256u
#define SOON_MS 30000

static char dir[64], path[80], own[88], other[88], address[100];
static const char *const attrs[] = { "type",  "net", "link",         address, "role", "card",
				     "words", "256", "reconnect_ms", "20",    NULL };

/* What is in the file, by its offsets. */
enum { HEAD = 0, CARD_TO_HOST = 0x100, HOST_TO_CARD = 0x200, DATA = 0x1000 };
enum { PUT = 0, START = 8, ACK = 0x10, LWM = 0x18, GOT = 0x40, EPOCH = 0x48, HWM = 0x50 };

/* The host. */
struct host {
	uint8_t *map;
	int bell, theirs;
	uint64_t epoch, got, put, acked;
};

static uint64_t *reg(const struct host *h, size_t off)
{
	return (uint64_t *)(void *)(h->map + off);
}

static uint64_t get(const struct host *h, size_t off)
{
	return le64toh(__atomic_load_n(reg(h, off), __ATOMIC_SEQ_CST));
}

static void set(const struct host *h, size_t off, uint64_t v)
{
	__atomic_store_n(reg(h, off), htole64(v), __ATOMIC_SEQ_CST);
}

/* Where we begin to send, for the epoch that the card has now. */
static void host_acks(struct host *h)
{
	h->acked = get(h, HOST_TO_CARD + EPOCH);
	set(h, HOST_TO_CARD + START, h->put);
	set(h, HOST_TO_CARD + ACK, h->acked);
}

static void host_begin(struct host *h, struct bed *b)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint64_t before;

	assert_true(fd >= 0);
	h->map = mmap(NULL, DATA + 2 * WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(h->map, MAP_FAILED);
	close(fd);
	assert_memory_equal(h->map, "uvdpfifo\1\0\0\0\0\1\0\0", 16);
	h->epoch = get(h, CARD_TO_HOST + EPOCH) + 1;
	set(h, CARD_TO_HOST + EPOCH, h->epoch);
	h->put = get(h, HOST_TO_CARD + PUT);
	before = get(h, HOST_TO_CARD + EPOCH);
	assert_int_equal(mkfifo(own, 0600), 0);
	h->bell = open(own, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_true(h->bell >= 0);
	h->theirs = open(other, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(h->theirs >= 0);
	while (strcmp(bed_shown(b, "connected"), "true") != 0)
		uvdpa_dispatch(b->u, 5);
	while (get(h, HOST_TO_CARD + EPOCH) == before)
		usleep(1000);
	h->got = UINT64_MAX;
	host_acks(h);
}

static void host_end(struct host *h)
{
	unlink(own);
	close(h->bell);
	close(h->theirs);
	munmap(h->map, DATA + 2 * WORDS * 8);
}

static void host_sleep(const struct host *h)
{
	struct pollfd p = { .fd = h->bell, .events = POLLIN };
	char junk[64];

	assert_int_equal(poll(&p, 1, SOON_MS), 1);
	assert_true(read(h->bell, junk, sizeof(junk)) > 0);
}

static void host_put(struct host *h, const uint8_t *b, size_t words)
{
	for (; words; b += 8, words--) {
		while (h->put - get(h, HOST_TO_CARD + GOT) >= WORDS) {
			set(h, HOST_TO_CARD + LWM, WORDS / 2);
			if (h->put - get(h, HOST_TO_CARD + GOT) >= WORDS)
				host_sleep(h);
		}
		set(h, HOST_TO_CARD + LWM, 0);
		memcpy(h->map + DATA + WORDS * 8 + h->put % WORDS * 8, b, 8);
		set(h, HOST_TO_CARD + PUT, ++h->put);
		if (get(h, HOST_TO_CARD + HWM))
			assert_int_equal(write(h->theirs, "", 1), 1);
	}
}

static void host_get(struct host *h, uint8_t *b, size_t words)
{
	for (; words; b += 8, words--) {
		while (get(h, CARD_TO_HOST + ACK) != h->epoch ||
		       get(h, CARD_TO_HOST + PUT) ==
			       (h->got == UINT64_MAX ? get(h, CARD_TO_HOST + START) : h->got)) {
			set(h, CARD_TO_HOST + HWM, 1);
			if (get(h, CARD_TO_HOST + ACK) != h->epoch ||
			    get(h, CARD_TO_HOST + PUT) ==
				    (h->got == UINT64_MAX ? get(h, CARD_TO_HOST + START) : h->got))
				host_sleep(h);
		}
		set(h, CARD_TO_HOST + HWM, 0);
		if (h->got == UINT64_MAX)
			h->got = get(h, CARD_TO_HOST + START);
		memcpy(b, h->map + DATA + h->got % WORDS * 8, 8);
		set(h, CARD_TO_HOST + GOT, ++h->got);
		if (get(h, CARD_TO_HOST + LWM) &&
		    get(h, CARD_TO_HOST + PUT) - h->got <= get(h, CARD_TO_HOST + LWM))
			assert_int_equal(write(h->theirs, "", 1), 1);
	}
}

/* ---- cases ---------------------------------------------------------------------------------- */

static int dir_make(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/uvdpa-window-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/w", dir);
	snprintf(own, sizeof(own), "%s.host", path);
	snprintf(other, sizeof(other), "%s.card", path);
	snprintf(address, sizeof(address), "window:%s", path);
	return 0;
}

static int dir_remove(void **state)
{
	(void)state;
	return rmdir(dir);
}

static const uint8_t *frame(uint32_t len, unsigned int seed)
{
	static uint8_t b[2000];

	for (uint32_t i = 0; i < len; i++)
		b[i] = (uint8_t)(i * 7 + seed);
	b[0] = 0xfe;
	return b;
}

static void host_sends(struct host *h, uint32_t len, unsigned int seed)
{
	uint8_t b[2048] = { 0 };

	vd_fifo_header(b, VD_FIFO_NET, (uint16_t)len, NULL);
	memcpy(b + 8, frame(len, seed), len);
	/* A card that begins late, for another time, has not got it. */
	do {
		if (get(h, HOST_TO_CARD + EPOCH) != h->acked)
			host_acks(h);
		host_put(h, b, vd_fifo_size(len) / 8);
		while (get(h, HOST_TO_CARD + GOT) != h->put &&
		       get(h, HOST_TO_CARD + EPOCH) == h->acked)
			sched_yield();
	} while (get(h, HOST_TO_CARD + GOT) != h->put);
}

static void host_receives(struct host *h, uint32_t len, unsigned int seed)
{
	uint8_t b[2048], want[8];

	host_get(h, b, vd_fifo_size(len) / 8);
	vd_fifo_header(want, VD_FIFO_NET, (uint16_t)len, NULL);
	assert_memory_equal(b, want, 8);
	assert_memory_equal(b + 8, frame(len, seed), len);
}

static void card_receives(struct bed *b, uint32_t len, unsigned int seed)
{
	struct nb_frame f;

	assert_true(nb_receive(b, 0, &f, SOON_MS));
	assert_int_equal(f.len, len);
	assert_memory_equal(f.frame, frame(len, seed), len);
	nb_post_slot(b, 0, f.slot, 2048);
}

static void begin(struct bed *b, struct host *h)
{
	assert_int_equal(bed_add(b, "fifo", attrs), 0);
	assert_string_equal(bed_shown(b, "connected"), "false");
	bed_start(b, &(struct bed_conf){ .queues = 2, .num = 64 });
	nb_post(b, 0, 30, 2048);
	host_begin(h, b);
}

static void as_the_manual_says(void **state)
{
	struct bed b;
	struct host h;

	(void)state;
	begin(&b, &h);
	for (unsigned int i = 0; i < 100; i++) {
		uint32_t len = 14 + i * 113 % 1500;

		nb_send(&b, 1, NULL, frame(len, i), len, 0);
		host_receives(&h, len, i);
		host_sends(&h, len, i + 1);
		card_receives(&b, len, i + 1);
	}
	host_end(&h);
	bed_end(&b);
	assert_int_not_equal(access(path, F_OK), 0);
}

/* The other side goes in the middle of a message that it sends, and of one that it reads; another
 * one comes. */
static void another_host(void **state)
{
	uint8_t b[64];
	struct bed bed;
	struct host h;

	(void)state;
	begin(&bed, &h);
	for (unsigned int i = 0; i < 10; i++) {
		nb_send(&bed, 1, NULL, frame(1000, i), 1000, 0);
		host_get(&h, b, i % 5);
		vd_fifo_header(b, VD_FIFO_NET, 200, NULL);
		host_put(&h, b, 1 + i % 4);
		host_end(&h);
		while (strcmp(bed_shown(&bed, "connected"), "false") != 0)
			uvdpa_dispatch(bed.u, 5);
		host_begin(&h, &bed);
		host_sends(&h, 60, i);
		card_receives(&bed, 60, i);
		nb_send(&bed, 1, NULL, frame(70, i), 70, 0);
		host_receives(&h, 70, i);
	}
	assert_string_equal(bed_shown(&bed, "link_resyncs"), "0");
	host_end(&h);
	bed_end(&bed);
}

/* It fills up, and goes on when there is room, one way after the other. */
static void full(void **state)
{
	struct vd_done done[64];
	unsigned int back = 0;
	struct bed b;
	struct host h;

	(void)state;
	begin(&b, &h);
	for (unsigned int round = 0; round < 10; round++) {
		back = 0;
		memset(nb_mem(&b, 1), 0, 12);
		memcpy(nb_mem(&b, 1) + 12, frame(1500, 5), 1500);
		for (unsigned int i = 0; i < 40; i++) {
			struct vd_buf buf = { nb_iova(&b, 1), 1512 };

			bed_add_req(&b, 1, &buf, 1, 0);
		}
		for (unsigned int i = 0; i < 40; i++)
			host_receives(&h, 1500, 5);
		while (back < 40) {
			int n = bed_get(&b, 1, done, 64, SOON_MS);

			assert_true(n > 0);
			back += (unsigned int)n;
		}
	}
	assert_true(atoi(bed_shown(&b, "link_waits")) > 0);
	host_end(&h);
	bed_end(&b);
}

/* Registers say what cannot be: the other side is left, and that is all. */
static void nonsense(void **state)
{
	static const struct {
		size_t reg;
		uint64_t value;
	} cases[] = {
		{ HOST_TO_CARD + PUT, 1 << 20 },
		{ HOST_TO_CARD + PUT, UINT64_MAX / 2 },
		{ CARD_TO_HOST + GOT, 1 << 20 },
		{ CARD_TO_HOST + GOT, UINT64_MAX / 2 },
	};
	struct bed b;
	struct host h;

	(void)state;
	begin(&b, &h);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		uint64_t was = get(&h, cases[i].reg);

		set(&h, cases[i].reg, was + cases[i].value);
		assert_int_equal(write(h.theirs, "", 1), 1);
		nb_send(&b, 1, NULL, frame(100, 1), 100, 0);
		/* It comes back by itself, as nobody has gone. */
		while (atoi(bed_shown(&b, "connections")) < (int)(2 * i + 2))
			uvdpa_dispatch(b.u, 5);
		set(&h, cases[i].reg, was);
		host_end(&h);
		while (strcmp(bed_shown(&b, "connected"), "false") != 0)
			uvdpa_dispatch(b.u, 5);
		host_begin(&h, &b);
		if (atoi(bed_shown(&b, "connections")) != (int)(2 * i + 3))
			fail_msg("%u: %s connections", i, bed_shown(&b, "connections"));
		host_sends(&h, 60, i);
		card_receives(&b, 60, i);
		nb_send(&b, 1, NULL, frame(70, i), 70, 0);
		host_receives(&h, 70, i);
	}
	host_end(&h);
	bed_end(&b);
}

static void refused(const char *text, size_t len, int err, const char *why)
{
	struct bed b;
	int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, 16), 16);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	close(fd);
	assert_int_equal(bed_add(&b, "fifo", attrs), err);
	if (!strstr(uvdpa_error(), why))
		fail_msg("%s", uvdpa_error());
	unlink(path);
}

static void no_window(void **state)
{
	static const char *const again[] = { "type", "console", "link", address,
					     "role", "card",    NULL };
	struct bed b, c;
	struct stat st;

	(void)state;
	refused("something else..", 1 << 20, -EINVAL, "no window");
	refused("uvdpfifo\2\0\0\0\0\1\0\0", 1 << 20, -EINVAL, "version 2");
	refused("uvdpfifo\1\0\0\0\1\1\0\0", 1 << 20, -EINVAL, "257 words");
	refused("uvdpfifo\1\0\0\0\0\0\0\1", 1 << 20, -EINVAL, "16777216 words");
	refused("uvdpfifo\1\0\0\0\0\1\0\0", DATA + 2 * WORDS * 8 - 1, -EINVAL, "256 words");
	assert_int_equal(bed_add(&b, "fifo", attrs), 0);
	/* A disk that becomes full takes nothing away. */
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_blocks * 512 >= DATA + 2 * WORDS * 8);
	/* Another context is another program. */
	assert_int_equal(bed_add(&c, "fifo", again), -EBUSY);
	bed_end(&b);
}

/* What is where our bell shall be, and is somebody's: it is left alone. */
static void no_bell(void **state)
{
	struct stat st;
	struct bed b;
	int fd = open(other, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(bed_add(&b, "fifo", attrs), -EEXIST);
		assert_non_null(strstr(uvdpa_error(), "no named pipe"));
		assert_int_equal(lstat(other, &st), 0);
		if (i)
			break;
		/* A link to a pipe is somebody's as well. */
		unlink(other);
		assert_int_equal(mkfifo(own, 0600), 0);
		assert_int_equal(symlink(own, other), 0);
	}
	assert_int_equal(unlink(other), 0);
	assert_int_equal(unlink(own), 0);
	assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_the_manual_says),
		cmocka_unit_test(another_host),
		cmocka_unit_test(full),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(no_window),
		cmocka_unit_test(no_bell),
	};

	return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
