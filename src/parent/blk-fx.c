/* SPDX-License-Identifier: BSD-2-Clause */
#include "parent/blk-fx.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"
#include "config.h"

#if HAVE_LIBURING
#include <liburing.h>
#endif

struct fx_fake fx_fake;

static ssize_t fake_io(long nr, int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	struct iovec bit;

	if (off == -1)	/* no disk: vd_eventfd_drain() */
		return syscall(nr, fd, iov, n, off, 0, flags);
	if (flags & RWF_NOWAIT && FAKE(no_nowait)) {
		errno = EAGAIN;
		return -1;
	}
	if (FAKE(bits)) {
		if (FAKE_ADD(calls) % 2) {
			errno = EINTR;
			return -1;
		}
		bit = (struct iovec){ iov->iov_base, vd_min(iov->iov_len, (size_t)1000) };
		return syscall(nr, fd, &bit, 1, off, 0, flags);
	}
	return syscall(nr, fd, iov, n, off, 0, flags);
}

ssize_t preadv(int fd, const struct iovec *iov, int n, off_t off)
{
	return fake_io(SYS_preadv2, fd, iov, n, off, 0);
}

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	return fake_io(SYS_preadv2, fd, iov, n, off, flags);
}

/* A write, or what is as good as one, has been done. */
static void count_write(int flags)
{
	if (flags & RWF_DSYNC)
		FAKE_ADD(dsyncs);
	else
		FAKE_ADD(unsynced);
}

static void count_sync(unsigned int covered)
{
	__atomic_fetch_sub(&fx_fake.unsynced, covered, __ATOMIC_RELAXED);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	ssize_t len;

	if (FAKE(write_err)) {
		errno = FAKE(write_err);
		return -1;
	}
	len = fake_io(SYS_pwritev2, fd, iov, n, off, flags);
	if (len > 0 && off != -1)
		count_write(flags);
	return len;
}

int fallocate(int fd, int mode, off_t off, off_t len)
{
	int r = (int)syscall(SYS_fallocate, fd, mode, off, len);

	if (!r)
		count_write(0);
	return r;
}

int fdatasync(int fd)
{
	unsigned int covered = FAKE(unsynced);
	int r;

	FAKE_ADD(syncs);
	if (FAKE(sync_err)) {
		errno = FAKE(sync_err);
		return -1;
	}
	r = (int)syscall(SYS_fdatasync, fd);
	if (!r)
		count_sync(covered);
	return r;
}

#if HAVE_LIBURING
int io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
			       struct io_uring_params *p)
{
	static int (*real)(unsigned int, struct io_uring *, struct io_uring_params *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "io_uring_queue_init_params");
	return FAKE(uring_err) ? FAKE(uring_err) : real(entries, ring, p);
}

/* What a thread has in its ring, until it knows how it ended. */
struct flying {
	uint64_t user_data;
	int opcode, flags;
	unsigned int covered; /* by a sync */
};
static __thread struct flying flying[1024];

static void take_off(const struct io_uring_sqe *sqe)
{
	unsigned int i = 0;

	while (flying[i].user_data)
		assert_true(++i < VD_ARRAY_SIZE(flying));
	flying[i] = (struct flying){ sqe->user_data, sqe->opcode, sqe->rw_flags, FAKE(unsynced) };
}

static bool is_write(int opcode)
{
	return opcode == IORING_OP_WRITE || opcode == IORING_OP_WRITEV ||
	       opcode == IORING_OP_WRITE_FIXED || opcode == 61; /* WRITEV_FIXED */
}

static void land(struct io_uring_cqe *cqe)
{
	struct flying *f = flying;

	while (f->user_data != cqe->user_data)
		assert_true(++f < flying + VD_ARRAY_SIZE(flying));
	f->user_data = 0;
	if (FAKE(sync_err) && f->opcode == IORING_OP_FSYNC)
		cqe->res = -FAKE(sync_err);
	if (FAKE(write_err) && is_write(f->opcode))
		cqe->res = -FAKE(write_err);
	if (cqe->res < 0)
		return;
	if (is_write(f->opcode)) {
		count_write(f->flags);
	} else if (f->opcode == IORING_OP_FALLOCATE) {
		count_write(0);
	} else if (f->opcode == IORING_OP_FSYNC) {
		FAKE_ADD(syncs);
		count_sync(f->covered);
	}
}

int io_uring_submit(struct io_uring *ring)
{
	static int (*real)(struct io_uring *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "io_uring_submit");
	for (unsigned int i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++)
		take_off(&ring->sq.sqes[i & *ring->sq.kring_mask]);
	return real(ring);
}

int io_uring_register_buffers(struct io_uring *ring, const struct iovec *iov, unsigned int n)
{
	static int (*real)(struct io_uring *, const struct iovec *, unsigned int);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "io_uring_register_buffers");
	return FAKE(pin_err) ? FAKE(pin_err) : real(ring, iov, n);
}

unsigned int io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes,
				     unsigned int max)
{
	static unsigned int (*real)(struct io_uring *, struct io_uring_cqe **, unsigned int);
	unsigned int n;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "io_uring_peek_batch_cqe");
	n = real(ring, cqes, max);
	for (unsigned int i = 0; i < n; i++)
		land(cqes[i]);
	return n;
}
#endif

char fx_image[] = "/tmp/blk-test-XXXXXX", fx_memory[32];
static int memory = -1, loop = -1;
static char loop_path[64];

int fx_image_make(void **state)
{
	int fd = mkstemp(fx_image);

	(void)state;
	memory = memfd_create("image", MFD_CLOEXEC);
	if (fd < 0 || memory < 0 || ftruncate(fd, FX_DISK) || ftruncate(memory, FX_DISK))
		return -1;
	close(fd);
	snprintf(fx_memory, sizeof(fx_memory), "/proc/self/fd/%d", memory);
	return 0;
}

int fx_image_remove(void **state)
{
	(void)state;
	vd_close(&loop);
	vd_close(&memory);
	return unlink(fx_image);
}

int fx_loop_open(char *path, size_t size, unsigned int block_size)
{
	int ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int backing = open(fx_image, O_RDWR | O_CLOEXEC), fd = -1;

	for (unsigned int i = 0; ctl >= 0 && fd < 0 && i < 10; i++) {
		struct loop_config c = { .fd = (uint32_t)backing,
					 .block_size = block_size,
					 .info.lo_flags = LO_FLAGS_AUTOCLEAR };
		int nr = ioctl(ctl, LOOP_CTL_GET_FREE);

		snprintf(path, size, "/dev/loop%d", nr);
		fd = nr < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &c))
			vd_close(&fd); /* somebody else took it */
	}
	vd_close(&ctl);
	vd_close(&backing);
	return fd;
}

uint64_t fx_space(const struct fx_kind *k)
{
	struct stat st;

	assert_int_equal(stat(k->memory ? fx_memory : fx_image, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static const char *image_of(const struct fx_kind *k)
{
	if (!k->loop)
		return k->memory ? fx_memory : fx_image;
	if (loop < 0)
		loop = fx_loop_open(loop_path, sizeof(loop_path), 0);
	if (loop < 0)
		skip();
	return loop_path;
}

int fx_add(struct bed *b, const struct fx_kind *k, const char *const *more)
{
	const char *attrs[32];
	unsigned int n = 0;

	memset(&fx_fake, 0, sizeof(fx_fake));
	FAKE_SET(no_nowait, k->engine_only);
	if (k->engine) {
		attrs[n++] = "image";
		attrs[n++] = image_of(k);
		attrs[n++] = "engine";
		attrs[n++] = k->engine;
		if (k->pin) {
			attrs[n++] = "pin_memory";
			attrs[n++] = "on";
		}
		if (k->cache) {
			attrs[n++] = "cache";
			attrs[n++] = k->cache;
		}
	} else {
		attrs[n++] = "capacity";
		attrs[n++] = "1M";
	}
	while (more && *more)
		attrs[n++] = *more++;
	attrs[n] = NULL;
	return bed_add(b, k->mgmtdev, attrs);
}

void fx_begin(struct bed *b, const struct fx_kind *k, const char *const *more,
		  const struct bed_conf *c)
{
	struct bed_conf conf = c ? *c : (struct bed_conf){ 0 };

	conf.packed = k->packed;
	assert_int_equal(fx_add(b, k, more), 0);
	bed_start(b, &conf);
}

void fx_pattern(uint8_t *to, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}
