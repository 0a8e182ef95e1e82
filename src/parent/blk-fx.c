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

ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	if (flags & RWF_DSYNC)
		FAKE_ADD(dsyncs);
	if (FAKE(write_err)) {
		errno = FAKE(write_err);
		return -1;
	}
	return fake_io(SYS_pwritev2, fd, iov, n, off, flags);
}

int fdatasync(int fd)
{
	FAKE_ADD(syncs);
	if (FAKE(sync_err)) {
		errno = FAKE(sync_err);
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
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

int fx_loop_open(char *path, size_t size)
{
	int ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int backing = open(fx_image, O_RDWR | O_CLOEXEC), fd = -1;

	for (unsigned int i = 0; ctl >= 0 && fd < 0 && i < 10; i++) {
		struct loop_config c = { .fd = (uint32_t)backing,
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
		loop = fx_loop_open(loop_path, sizeof(loop_path));
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
