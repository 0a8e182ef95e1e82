/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program gets back what it gave: whatever was done with a context, signals, environment, folder,
 * locale, mask of files, threads and descriptors are as they were. Its driver is the public API.
 */
#include <dirent.h>
#include <locale.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <uvdpa/blk.h>
#include <uvdpa/rng.h>

extern char **environ;

struct footprint {
	struct sigaction actions[NSIG];
	sigset_t blocked;
	char *environ_at, **environ_is;
	char cwd[4096], locale[256];
	char fds[8192];
	unsigned int threads;
	mode_t mask;
};

/* Names of what is in a folder of /proc, and what they are links to. Return: how many. */
static unsigned int list(const char *folder, char *text, size_t size)
{
	DIR *dir = opendir(folder);
	struct dirent *e;
	unsigned int n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir))) {
		char path[300], to[256] = "";

		if (e->d_name[0] == '.' || atoi(e->d_name) == dirfd(dir))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (readlink(path, to, sizeof(to) - 1) < 0)
			to[0] = '\0';
		if (text)
			snprintf(text + strlen(text), size - strlen(text), "%s %s\n", e->d_name,
				 to);
		n++;
	}
	closedir(dir);
	return n;
}

static void look(struct footprint *f)
{
	memset(f, 0, sizeof(*f));
	for (int i = 1; i < NSIG; i++)
		sigaction(i, NULL, &f->actions[i]);
	pthread_sigmask(SIG_BLOCK, NULL, &f->blocked);
	f->environ_is = environ;
	f->environ_at = environ[0];
	assert_non_null(getcwd(f->cwd, sizeof(f->cwd)));
	snprintf(f->locale, sizeof(f->locale), "%s", setlocale(LC_ALL, NULL));
	list("/proc/self/fd", f->fds, sizeof(f->fds));
	f->threads = list("/proc/self/task", NULL, 0);
	f->mask = umask(022);
	umask(f->mask);
}

static void compare(const struct footprint *a, const struct footprint *b)
{
	for (int i = 1; i < NSIG; i++) {
		assert_ptr_equal(a->actions[i].sa_handler, b->actions[i].sa_handler);
		assert_int_equal(a->actions[i].sa_flags, b->actions[i].sa_flags);
	}
	assert_memory_equal(&a->blocked, &b->blocked, sizeof(a->blocked));
	assert_ptr_equal(a->environ_is, b->environ_is);
	assert_ptr_equal(a->environ_at, b->environ_at);
	assert_string_equal(a->cwd, b->cwd);
	assert_string_equal(a->locale, b->locale);
	assert_int_equal(a->mask, b->mask);
}

static struct uvdpa_dev *add(struct uvdpa *u, const char *name, const char *mgmtdev,
			     const char *key, const char *value)
{
	struct uvdpa_attr attr = { key, value };
	struct uvdpa_dev_opts o = {
		.size = sizeof(o), .name = name, .mgmtdev = mgmtdev, .attrs = &attr, .nattrs = 1
	};
	struct uvdpa_wait w = { 0 };
	struct uvdpa_dev *dev = NULL;

	assert_int_equal(uvdpa_await(u, &w, uvdpa_dev_add(u, &o, &dev, &w)), 0);
	return dev;
}

static void read_disk(struct uvdpa_dev *dev)
{
	struct uvdpa_blk *blk;
	struct iovec iov = { .iov_len = 4096 };
	struct uvdpa_blk_req req = { .op = UVDPA_BLK_READ, .iov = &iov, .niov = 1 }, *p = &req;
	struct uvdpa_blkq *q;

	assert_int_equal(uvdpa_blk_open(dev, NULL, &blk), 0);
	q = uvdpa_blk_queue(blk, 0);
	iov.iov_base = uvdpa_blk_alloc(blk, iov.iov_len);
	assert_int_equal(uvdpa_blkq_submit(q, &p, 1), 1);
	while (!uvdpa_blkq_poll(q, &p, 1))
		uvdpa_blkq_wait(q, -1);
	assert_int_equal(req.res, 0);
	uvdpa_blk_close(blk);
}

static void read_bytes(struct uvdpa_dev *dev)
{
	struct uvdpa_rng *rng;
	char bytes[16];

	assert_int_equal(uvdpa_rng_open(dev, NULL, &rng), 0);
	assert_int_equal(uvdpa_rng_read(rng, bytes, sizeof(bytes), -1), sizeof(bytes));
	uvdpa_rng_close(rng);
}

static void work(const char *image, const char *socket)
{
	struct uvdpa_attr attr = { "socket", socket };
	struct uvdpa_wait w = { 0 };
	struct uvdpa_dev *disk;
	struct uvdpa *u;

	assert_int_equal(uvdpa_create(&u), 0);
	disk = add(u, "d0", "blk", "image", image);
	read_disk(disk);
	assert_int_equal(uvdpa_await(u, &w, uvdpa_dev_bind(disk, "vhost-user", &attr, 1, &w)), 0);
	assert_int_equal(access(socket, F_OK), 0);
	read_disk(add(u, "d1", "sim-blk", "capacity", "1M"));
	read_bytes(add(u, "r0", "rng", "bps", "1M"));
	uvdpa_destroy(u);
	assert_int_not_equal(access(socket, F_OK), 0);
}

static void everything_is_as_it_was(void **state)
{
	char dir[] = "/tmp/uvdpa-footprint.XXXXXX", image[64], socket[64];
	static struct footprint before, after;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(image, sizeof(image), "%s/a.img", dir);
	snprintf(socket, sizeof(socket), "%s/s", dir);
	fclose(fopen(image, "w"));
	assert_int_equal(truncate(image, 1 << 20), 0);
	work(image, socket);	/* a sanitizer's own thread comes with the first */
	look(&before);
	for (unsigned int i = 0; i < 3; i++)
		work(image, socket);
	/* Who has joined a thread may be sooner than the kernel is rid of it. */
	for (unsigned int i = 0; i < 1000 && list("/proc/self/task", NULL, 0) > before.threads; i++)
		usleep(10000);
	look(&after);
	unlink(image);
	rmdir(dir);
	compare(&before, &after);
	assert_int_equal(before.threads, after.threads);
	assert_string_equal(before.fds, after.fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(everything_is_as_it_was) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
