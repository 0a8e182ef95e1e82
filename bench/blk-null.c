/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-null.c - vhost-user, with nothing behind it; and with a file behind it
 *
 * The same client against uvdpad and against qemu-storage-daemon: this process, or libblkio's
 * blkio-bench, which nobody here wrote.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blk.h"

#define SIZE    "1073741824"
#define WARM_NS 2000000u
#define NULL_NS 20000000u
#define FILE_NS 200000000u

struct side {
	struct client client;
	struct uvdpad d; /* ours; of theirs, only the pid */
	char socket[PATH_ROOM];
	const struct cell *cell;
	struct bench_case *c; /* with blkio-bench */
	unsigned int cpu;
};

static void warm(void *arg)
{
	struct side *s = arg;

	client_run(&s->client, bench_now_ns() + WARM_NS);
}

static uint64_t here(void *arg, uint64_t until_ns)
{
	return client_run(&((struct side *)arg)->client, until_ns);
}

/* @disk: of dev.add. */
static int ours_start(struct side *s, const char *disk)
{
	at(s->socket, "ours.sock");
	if (daemon_start(&s->d, s->cpu))
		return -1;
	return ctl_call(s->d.ctl,
			"\"method\":\"dev.add\",\"params\":{\"name\":\"d\",%s,\"driver\":"
			"\"vhost-user\",\"driver_attrs\":{\"socket\":\"%s\"}}",
			disk, s->socket);
}

static int theirs_start(struct side *s, const char *blockdev)
{
	const char *poll = getenv("BENCH_QSD_POLL_NS");
	char thread[64], export[PATH_ROOM + 96];
	const char *argv[] = { "qemu-storage-daemon",
			       "--object",
			       thread,
			       "--blockdev",
			       blockdev,
			       "--export",
			       export,
			       NULL };

	snprintf(thread, sizeof(thread), "iothread,id=t,poll-max-ns=%s", poll ? poll : "32768");
	snprintf(export, sizeof(export),
		 "vhost-user-blk,id=e,node-name=n,addr.type=unix,addr.path=%s,iothread=t,num-"
		 "queues=1",
		 at(s->socket, "theirs.sock"));
	s->d.ctl = -1;
	s->d.pid = proc_start(argv, bench_cpu(s->cpu), s->socket);
	return s->d.pid < 0 ? -1 : 0;
}

static int side_open(struct side *s)
{
	const struct cell *cell = s->cell;
	struct client *c = &s->client;

	if (client_open(c, s->socket, cell->in_order ? 1 << 20 : 4096))
		return -1;
	c->depth = cell->depth;
	c->in_order = cell->in_order;
	c->sleeps = cell->sleeps;
	return 0;
}

static void side_close(struct side *s)
{
	if (s->client.u)
		client_close(&s->client);
	daemon_stop(&s->d);
}

static struct bench_case as_case(struct side *s, const char *name, uint64_t sample_ns)
{
	struct bench_case c = {
		.begin = warm,
		.here = here,
		.arg = s,
		.sample_ns = sample_ns,
		.pid = s->d.pid,
		.apart = !s->cell->one_cpu,
		.loose = s->cell->one_cpu || sample_ns > 50000000, /* there they must */
	};

	snprintf(c.name, sizeof(c.name), "%s", name);
	return c;
}

/* What does nothing, as dev.add has it; and as they have it. */
static void null_disk(char *text, size_t room)
{
	snprintf(text, room,
		 "\"mgmtdev\":\"sim-blk\",\"attrs\":{\"null\":\"on\",\"capacity\":\"1G\","
		 "\"poll_us\":\"%s\"}",
		 poll_us());
}

#define NULL_CO "null-co,node-name=n,size=1073741824,read-zeroes=off"

static int null_run(const struct cell *cell)
{
	struct side s[2] = { { .cell = cell, .cpu = !cell->one_cpu },
			     { .cell = cell, .cpu = !cell->one_cpu } };
	struct bench_case *cases = calloc(2, sizeof(*cases));
	char disk[128];
	int r = -1;

	null_disk(disk, sizeof(disk));
	if (!has("qemu-storage-daemon")) {
		printf("%-16s no qemu-storage-daemon\n", cell->name);
		free(cases);
		return 0;
	}
	if (ours_start(&s[0], disk) || theirs_start(&s[1], NULL_CO) || side_open(&s[0]) ||
	    side_open(&s[1]))
		goto out;
	cases[0] = as_case(&s[0], "uvdpad", NULL_NS);
	cases[1] = as_case(&s[1], "qemu-storage-daemon", NULL_NS);
	r = bench_rounds(cases, 2, 20 * repeats);
	print_pair(cell->name, &cases[0], &cases[1], "kIOPS", -1e6);
out:
	side_close(&s[0]);
	side_close(&s[1]);
	free(cases);
	return r;
}

/* ---- blkio-bench --------------------------------------------------------------------------- */

static uint64_t blkio_here(void *arg, uint64_t until_ns)
{
	struct side *s = arg;
	char path[PATH_ROOM + 16], depth[32];
	const char *argv[] = { SUITE,
			       "trixie",
			       "blkio-bench",
			       "--runtime=1",
			       "--readwrite=randread",
			       depth,
			       "virtio-blk-vhost-user",
			       path,
			       s->cell->sleeps ? NULL : "--poll",
			       NULL };
	char *text, *at;
	double kiops;

	(void)until_ns;
	snprintf(path, sizeof(path), "path=%s", s->socket);
	snprintf(depth, sizeof(depth), "--iodepth=%u", s->cell->depth);
	text = proc_output(argv, bench_cpu(0));
	at = text ? strstr(text, "\"aggregate\"") : NULL;
	at = at ? strstr(at, "\"kiops\":") : NULL;
	kiops = at ? atof(at + strlen("\"kiops\":")) : 0;
	free(text);
	s->c->took_ns = 1000000000;
	return (uint64_t)(kiops * 1000);
}

static int blkio_run(const struct cell *cell)
{
	struct side s[2] = { { .cell = cell, .cpu = 1 }, { .cell = cell, .cpu = 1 } };
	const char *const help[] = { SUITE, "trixie", "blkio-bench", "--help", NULL };
	struct bench_case *cases = calloc(2, sizeof(*cases));
	char disk[128], *text = NULL;
	int r = -1;

	text = has("qemu-storage-daemon") ? proc_output(help, bench_cpu(0)) : NULL;
	if (!text) {
		printf("%-16s no qemu-storage-daemon, or no blkio-bench\n", cell->name);
		free(cases);
		return 0;
	}
	free(text);
	null_disk(disk, sizeof(disk));
	if (ours_start(&s[0], disk) || theirs_start(&s[1], NULL_CO))
		goto out;
	for (unsigned int i = 0; i < 2; i++) {
		cases[i] = as_case(&s[i], i ? "qemu-storage-daemon" : "uvdpad", FILE_NS);
		cases[i].begin = NULL;
		cases[i].here = blkio_here;
		s[i].c = &cases[i];
	}
	r = bench_rounds(cases, 2, 5 * repeats);
	print_pair(cell->name, &cases[0], &cases[1], "kIOPS", -1e6);
out:
	side_close(&s[0]);
	side_close(&s[1]);
	free(cases);
	return r;
}

/* ---- a file ---------------------------------------------------------------------------------- */

static int file_run(const struct cell *cell)
{
	double scale = cell->in_order ? -(double)(1 << 20) : -1e6;
	const char *unit = cell->in_order ? "GB/s" : "kIOPS";
	struct side s[2] = { { .cell = cell, .cpu = 1 }, { .cell = cell, .cpu = 1 } };
	struct bench_case *cases = calloc(3, sizeof(*cases));
	struct fio fio = { .path = image(), .options = { "--ioengine=io_uring" }, .cell = cell };
	bool peer = has("qemu-storage-daemon"), has_fio = has("fio");
	char text[PATH_ROOM + 128];
	int r = -1;

	if (!fio.path)
		goto out;
	snprintf(text, sizeof(text),
		 "\"mgmtdev\":\"blk\",\"attrs\":{\"image\":\"%s\",\"readonly\":\"on\","
		 "\"poll_us\":\"%s\"}",
		 fio.path, poll_us());
	if (ours_start(&s[0], text) || side_open(&s[0]))
		goto out;
	cases[0] = as_case(&s[0], "uvdpad", FILE_NS);
	snprintf(text, sizeof(text), "file,node-name=n,filename=%s,read-only=on,aio=io_uring",
		 fio.path);
	if (peer && (theirs_start(&s[1], text) || side_open(&s[1])))
		goto out;
	cases[1] = as_case(&s[1], "qemu-storage-daemon", FILE_NS);
	cases[2] = (struct bench_case){
		.name = "fio", .here = fio_here, .arg = &fio, .loose = true, .apart = true
	};
	fio.c = &cases[2];
	if (!peer)
		cases[1] = cases[2];
	r = bench_rounds(cases, 1u + peer + has_fio, 7 * repeats);
	if (peer)
		print_pair(cell->name, &cases[0], &cases[1], unit, scale);
	if (has_fio)
		print_pair(cell->name, &cases[0], &cases[1 + peer], unit, scale);
out:
	side_close(&s[0]);
	side_close(&s[1]);
	free(cases);
	return r;
}

const struct cell null_cells[] = {
	{ "null-32-poll", null_run, .depth = 32 },
	{ "null-32-event", null_run, .depth = 32, .sleeps = true },
	{ "null-1-poll", null_run, .depth = 1 },
	{ "null-1-event", null_run, .depth = 1, .sleeps = true },
	{ "null-32-one", null_run, .depth = 32, .sleeps = true, .one_cpu = true },
	{ "blkio-32-poll", blkio_run, .depth = 32 },
	{ "blkio-32-event", blkio_run, .depth = 32, .sleeps = true },
	{ "blkio-1-poll", blkio_run, .depth = 1 },
	{ "blkio-1-event", blkio_run, .depth = 1, .sleeps = true },
	{ "null-1-one", null_run, .depth = 1, .sleeps = true, .one_cpu = true },
	{ 0 },
};

const struct cell file_cells[] = {
	{ "file-32", file_run, .depth = 32 },
	{ "file-1", file_run, .depth = 1 },
	{ "file-seq", file_run, .depth = 8, .in_order = true },
	{ 0 },
};
