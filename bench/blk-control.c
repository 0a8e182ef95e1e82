/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-control.c - what the control path costs: moves, many disks, and disks that nobody uses */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blk.h"

#define DISKS     1000
#define SOME      20 /* of the first, and of the last, that are compared */
#define CONNECTED 50 /* disks with a client; each takes a thread of ours, too */
#define MOVES     50
#define IDLE_S    2

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double part(double *v, unsigned int n, unsigned int hundredth)
{
	qsort(v, n, sizeof(*v), order);
	return v[(n - 1) * hundredth / 100];
}

static void print(const char *cell, const char *what, double *v, unsigned int n, const char *unit)
{
	double median = part(v, n, 50), low = part(v, n, 25), high = part(v, n, 75);

	printf("%-16s %-34s %9.2f [%.2f %.2f] %s, worst %.2f\n", cell, what, median, low, high,
	       unit, v[n - 1]);
	fflush(stdout);
}

/* ---- moves ----------------------------------------------------------------------------------- */

/* Somebody who uses the disk; while it is away, what he asked for waits. */
struct load {
	pthread_t thread;
	struct client client;
	bool stop;    /* atomic */
	uint64_t ops; /* atomic */
};

static void *load_main(void *arg)
{
	struct load *l = arg;

	proc_pin(0, bench_cpu(0));
	while (!l->client.gone && !__atomic_load_n(&l->stop, __ATOMIC_RELAXED))
		__atomic_fetch_add(&l->ops, client_run(&l->client, bench_now_ns() + 200000),
				   __ATOMIC_RELAXED);
	return NULL;
}

static int load_start(struct load *l, const char *socket, unsigned int depth)
{
	memset(l, 0, sizeof(*l));
	if (client_open(&l->client, socket, 4096))
		return -1;
	l->client.depth = depth;
	l->client.dispatches = true;
	if (pthread_create(&l->thread, NULL, load_main, l))
		return -1;
	while (__atomic_load_n(&l->ops, __ATOMIC_RELAXED) < 1000)
		usleep(200);
	return 0;
}

/* The disk is back. */
static void load_end(struct load *l)
{
	pthread_join(l->thread, NULL);
	client_close(&l->client);
}

/* The same for the FUSE file. */
static pid_t fio_start(const char *path, unsigned int depth)
{
	char file[PATH_ROOM + 16], iodepth[32];
	const char *argv[] = { "fio",
			       "--name=m",
			       file,
			       iodepth,
			       "--rw=randread",
			       "--bs=4k",
			       "--ioengine=io_uring",
			       "--direct=1",
			       "--readonly",
			       "--time_based",
			       "--runtime=100",
			       "--thread",
			       NULL };
	pid_t pid;

	snprintf(file, sizeof(file), "--filename=%s", path);
	snprintf(iodepth, sizeof(iodepth), "--iodepth=%u", depth);
	pid = proc_start(argv, bench_cpu(0), path);
	usleep(400000);
	return pid;
}

/* Return: how long it took, ms; negative: it failed. */
static double move(struct uvdpad *d, const char *driver, const char *key, const char *value)
{
	uint64_t ns = bench_now_ns();

	if (ctl_call(d->ctl,
		     "\"method\":\"dev.bind\",\"params\":{\"name\":\"d\",\"driver\":\"%s\","
		     "\"attrs\":{\"%s\":\"%s\"}}",
		     driver, key, value))
		return -1;
	return (double)(bench_now_ns() - ns) / 1e6;
}

static int move_run(const struct cell *cell)
{
	unsigned int n = 0, moves = 10 * repeats < MOVES ? 10 * repeats : MOVES;
	char socket[PATH_ROOM], file[PATH_ROOM];
	double away[MOVES], back[MOVES];
	struct load l = { 0 };
	struct uvdpad d;
	pid_t fio = 0;

	if (!image() || daemon_start(&d, 1))
		return -1;
	at(file, "moved.img");
	if (ctl_call(d.ctl,
		     "\"method\":\"dev.add\",\"params\":{\"name\":\"d\",\"mgmtdev\":\"blk\","
		     "\"attrs\":{\"image\":\"%s\",\"readonly\":\"on\"},"
		     "\"driver\":\"vhost-user\",\"driver_attrs\":{\"socket\":\"%s\"}}",
		     image(), at(socket, "moved.sock")))
		goto err;
	for (; n < moves; n++) {
		if (cell->depth && load_start(&l, socket, cell->depth))
			goto err;
		away[n] = move(&d, "virtio", "file", file);
		if (cell->depth) {
			__atomic_store_n(&l.stop, true, __ATOMIC_RELAXED);
			fio = has("fio") ? fio_start(file, cell->depth) : 0;
		}
		back[n] = move(&d, "vhost-user", "socket", socket);
		proc_stop(fio);
		fio = 0;
		if (cell->depth)
			load_end(&l);
		if (away[n] < 0 || back[n] < 0)
			goto err;
	}
	print(cell->name, "vhost-user to a FUSE file", away, n, "ms");
	print(cell->name, "and back", back, n, "ms");
	daemon_stop(&d);
	return 0;

err:
	daemon_stop(&d);
	return -1;
}

/* ---- many disks ------------------------------------------------------------------------------ */

/* Add the disk "@i". Return: how long it took, ms; negative: it failed. */
static double add(struct uvdpad *d, unsigned int i)
{
	char disk[PATH_ROOM], socket[PATH_ROOM], name[32];
	uint64_t ns;
	int fd;

	snprintf(name, sizeof(name), "disk%u", i);
	fd = open(at(disk, name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 1 << 20)) {
		fprintf(stderr, "%s: %m\n", disk);
		return -1;
	}
	close(fd);
	snprintf(name, sizeof(name), "sock%u", i);
	at(socket, name);
	ns = bench_now_ns();
	if (ctl_call(d->ctl,
		     "\"method\":\"dev.add\",\"params\":{\"name\":\"d%u\",\"mgmtdev\":\"blk\","
		     "\"attrs\":{\"image\":\"%s\"},\"driver\":\"vhost-user\","
		     "\"driver_attrs\":{\"socket\":\"%s\"}}",
		     i, disk, socket))
		return -1;
	return (double)(bench_now_ns() - ns) / 1e6;
}

/* CPU time of a daemon that has nothing to do, in millionths of the time that passes. */
static double idle_ppm(pid_t pid)
{
	uint64_t cpu, ns;

	sleep(1); /* what was begun before ends */
	cpu = proc_cpu_ns(pid);
	ns = bench_now_ns();
	sleep(IDLE_S);
	cpu = proc_cpu_ns(pid) - cpu;
	return (double)cpu / (double)(bench_now_ns() - ns) * 1e6;
}

/* Memory for each of the disks that have a client, which asked for something and then no more. */
static int connected(const struct cell *cell, struct uvdpad *d)
{
	struct client *clients = calloc(CONNECTED, sizeof(*clients));
	char socket[PATH_ROOM];
	long before = proc_private_kib(d->pid);
	double kib;
	int r = -1;

	for (unsigned int i = 0; i < CONNECTED; i++) {
		snprintf(socket, sizeof(socket), "%s/sock%u", tmp, i);
		if (client_open(&clients[i], socket, 4096))
			goto out;
		clients[i].depth = 1;
		clients[i].sleeps = true;
		client_run(&clients[i], bench_now_ns() + 100000);
	}
	kib = (double)(proc_private_kib(d->pid) - before) / CONNECTED;
	printf("%-16s %-34s %9.1f KiB\n", cell->name, "more memory of one with a client", kib);
	printf("%-16s %-34s %9.1f millionths\n", cell->name, "CPU time of all, some with a client",
	       idle_ppm(d->pid));
	r = 0;
out:
	for (unsigned int i = 0; i < CONNECTED; i++)
		if (clients[i].u)
			client_close(&clients[i]);
	free(clients);
	return r;
}

static int disks_run(const struct cell *cell)
{
	double *ms = calloc(2 * DISKS, sizeof(*ms)), *cpu_ms = ms + DISKS;
	struct uvdpad d;
	long kib = 0;
	int r = -1;

	if (daemon_start(&d, 1))
		goto out;
	for (unsigned int i = 0; i < DISKS; i++) {
		uint64_t cpu_ns = proc_cpu_ns(d.pid);

		ms[i] = add(&d, i);
		cpu_ms[i] = (double)(proc_cpu_ns(d.pid) - cpu_ns) / 1e6;
		if (ms[i] < 0)
			goto out;
		if (!i)
			kib = proc_private_kib(d.pid);
	}
	kib = proc_private_kib(d.pid) - kib;
	print(cell->name, "add one of the first 20 disks", ms, SOME, "ms");
	print(cell->name, "add one of 20 up to the 1000th", ms + DISKS - SOME, SOME, "ms");
	print(cell->name, "CPU time of one of the first 20", cpu_ms, SOME, "ms");
	print(cell->name, "CPU time of 20 up to the 1000th", cpu_ms + DISKS - SOME, SOME, "ms");
	printf("%-16s %-34s %9.1f KiB\n", cell->name, "memory of an idle one",
	       (double)kib / (DISKS - 1));
	printf("%-16s %-34s %9.1f millionths\n", cell->name, "CPU time of all that are idle",
	       idle_ppm(d.pid));
	r = connected(cell, &d);
out:
	daemon_stop(&d);
	free(ms);
	return r;
}

const struct cell control_cells[] = {
	{ "move-idle", move_run, .depth = 0 },
	{ "move-32", move_run, .depth = 32 },
	{ "disks", disks_run, .depth = 0 },
	{ 0 },
};
