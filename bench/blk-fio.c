/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-fio.c - fio: on a file, as a peer; on the FUSE file, as the client of both sides */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blk.h"

#define IMAGE_SIZE (1ull << 30)

static char image_path[] = "/var/tmp/uvdpa-bench.XXXXXX";
static bool image_made;

static int fill(int fd)
{
	char *chunk = malloc(1 << 20);
	int r = chunk ? 0 : -1;

	for (uint64_t n = 0; !r && n < IMAGE_SIZE; n += 1 << 20) {
		memset(chunk, (int)(n >> 20), 1 << 20);
		r = write(fd, chunk, 1 << 20) == 1 << 20 ? 0 : -1;
	}
	free(chunk);
	return r ? r : fdatasync(fd); /* not while something is measured */
}

const char *image(void)
{
	int fd;

	if (image_made)
		return image_path;
	fd = mkstemp(image_path);
	image_made = fd >= 0;
	if (fd >= 0 && !fill(fd)) {
		close(fd);
		return image_path;
	}
	fprintf(stderr, "%s: %m\n", image_path);
	if (fd >= 0)
		close(fd);
	return NULL;
}

void image_remove(void)
{
	if (image_made)
		unlink(image_path);
}

/* The @n-th field of fio's terse output, version 3. */
static double field(const char *line, unsigned int n)
{
	while (line && n--) {
		line = strchr(line, ';');
		line += line != NULL;
	}
	return line ? atof(line) : 0;
}

uint64_t fio_here(void *arg, uint64_t until_ns)
{
	struct fio *f = arg;
	char file[PATH_ROOM + 16], depth[32];
	const char *argv[32] = {
		"fio",
		"--name=b",
		file,
		depth,
		"--output-format=terse",
		"--terse-version=3",
		"--readonly",
		"--size=1G",
		"--time_based",
		"--runtime=1",
		"--invalidate=0",
		"--norandommap",
		"--randrepeat=0",
		"--iomem_align=4096",
		"--thread",
		"--gtod_reduce=1",
		f->cell->in_order ? "--rw=read" : "--rw=randread",
		f->cell->in_order ? "--bs=1M" : "--bs=4k",
	};
	unsigned int n = 0;
	double iops, ms;
	char *text;

	(void)until_ns;
	snprintf(file, sizeof(file), "--filename=%s", f->path);
	snprintf(depth, sizeof(depth), "--iodepth=%u", f->cell->depth);
	while (argv[n])
		n++;
	for (unsigned int i = 0; f->options[i]; i++)
		argv[n++] = f->options[i];
	text = proc_output(argv, bench_cpu(0));
	iops = field(text, 7);
	ms = field(text, 8);
	free(text);
	f->c->took_ns = (uint64_t)(ms * 1e6);
	return (uint64_t)(iops * ms / 1000);
}

/* ---- the FUSE file --------------------------------------------------------------------------- */

static int ours_start(struct uvdpad *d, char *path)
{
	if (daemon_start(d, 1))
		return -1;
	at(path, "ours.img");
	return ctl_call(d->ctl,
			"\"method\":\"dev.add\",\"params\":{\"name\":\"d\",\"mgmtdev\":\"blk\","
			"\"attrs\":{\"image\":\"%s\",\"readonly\":\"on\",\"poll_us\":\"%s\"},"
			"\"driver\":\"virtio\",\"driver_attrs\":{\"file\":\"%s\"}}",
			image(), poll_us(), path);
}

static pid_t theirs_start(char *path)
{
	char blockdev[PATH_ROOM + 96], export[PATH_ROOM + 96], pidfile[PATH_ROOM];
	const char *argv[] = {
		"qemu-storage-daemon", "--blockdev",       blockdev, "--export", export,
		"--pidfile",           at(pidfile, "pid"), NULL
	};
	int fd;

	at(path, "theirs.img");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* it mounts over a file */
	close(fd);
	snprintf(blockdev, sizeof(blockdev),
		 "file,node-name=n,filename=%s,read-only=on,aio=io_uring", image());
	snprintf(export, sizeof(export), "fuse,id=e,node-name=n,mountpoint=%s", path);
	return proc_start(argv, bench_cpu(1), pidfile);
}

static bool is_mounted(const char *path)
{
	struct stat st;

	for (unsigned int i = 0; i < 200; i++) {
		if (!stat(path, &st) && (uint64_t)st.st_size == IMAGE_SIZE)
			return true;
		usleep(20000);
	}
	fprintf(stderr, "%s: no file of the disk's size\n", path);
	return false;
}

static int fuse_run(const struct cell *cell)
{
	double scale = cell->in_order ? -(double)(1 << 20) : -1e6;
	struct uvdpad d = { .ctl = -1 };
	char paths[2][PATH_ROOM];
	struct bench_case *cases = calloc(2, sizeof(*cases));
	struct fio fio[2];
	pid_t qsd = 0;
	int r = -1;

	if (!has("qemu-storage-daemon") || !has("fio")) {
		printf("%-16s no qemu-storage-daemon, or no fio\n", cell->name);
		free(cases);
		return 0;
	}
	if (!image() || ours_start(&d, paths[0]))
		goto out;
	qsd = theirs_start(paths[1]);
	if (qsd < 0 || !is_mounted(paths[0]) || !is_mounted(paths[1]))
		goto out;
	for (unsigned int i = 0; i < 2; i++) {
		fio[i] = (struct fio){ .path = paths[i],
				       .cell = cell,
				       .c = &cases[i],
				       .options = { "--ioengine=io_uring", "--direct=1" } };
		cases[i] = (struct bench_case){ .here = fio_here,
						.arg = &fio[i],
						.loose = true,
						.apart = true,
						.pid = i ? qsd : d.pid };
		snprintf(cases[i].name, sizeof(cases[i].name), "%s",
			 i ? "qemu-storage-daemon" : "uvdpad");
	}
	r = bench_rounds(cases, 2, 5 * repeats);
	print_pair(cell->name, &cases[0], &cases[1], cell->in_order ? "GB/s" : "kIOPS", scale);
out:
	daemon_stop(&d);
	proc_stop(qsd);
	free(cases);
	return r;
}

const struct cell fuse_cells[] = {
	{ "fuse-32", fuse_run, .depth = 32 },
	{ "fuse-1", fuse_run, .depth = 1 },
	{ "fuse-seq", fuse_run, .depth = 8, .in_order = true },
	{ 0 },
};
