/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net.c - the network device, and its peer, on this machine and in the same minutes
 *
 * 64-byte packets. The driver is DPDK's testpmd over net_virtio_user, on the first CPU; the device,
 * on the second, is uvdpad's sim-net, or testpmd over net_vhost, in turn. It is the driver that
 * counts, so both are judged by the same figures. Both poll and never sleep; whoever has no turn
 * is stopped.
 *
 *	tx	the driver sends, the device takes in
 *	rx	the device sends, the driver takes in
 *	loop	128 packets go round: the device sends back what it gets, and the driver too
 *	rtt	one packet goes round; ns for a round
 *	bridge	128 packets go round: over a bridge of ours to another port of the driver, which
 *		sends them back by the first; the peer is our own echo, which needs no other port
 *
 *	bench/net [-r REPEATS] [WAY-RING...]	patterns are fine; all cells without
 *
 * What testpmd can drive is not all that the device can do. In the cells that begin with "own" our
 * driver stands in its place at our side, <uvdpa/net.h> with the device in the same process.
 *
 * BENCH_NET_PEER is what ours is compared with instead of testpmd: the uvdpad of another build, to
 * see what a change is worth, or of this one, to see what a difference of nothing looks like.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/compare.h"
#include "lib/nic.h"
#include "lib/testpmd.h"

#define SAMPLE_MS  12 /* a machine with other work leaves few that are longer undisturbed */
#define WARM_MS    4
#define ROUNDS     40
#define LEAST_CPU  97 /* hundredths of the time that each end must have had its CPU */
#define ASK_NS_MAX 500000
#define PAGES_FREE "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
#define PAGES      "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#define PAGES_NEED (4 * 68) /* four testpmds at most */

/* What goes which way. */
struct way {
	const char *name;
	const char *driver, *device; /* modes of testpmd */
	const char *ours;            /* mode of sim-net */
	const char *burst;           /* NULL: testpmd's own */
	const char *start;           /* the driver */
	const char *counter;         /* of the driver */
	bool is_time;                /* not a rate */
	bool is_bridge;              /* between two devices, beside one that echoes */
};

static const struct way ways[] = {
	{ "tx", "txonly", "rxonly", "sink", NULL, "start", "TX-packets:", false, false },
	{ "rx", "rxonly", "txonly", "source", NULL, "start", "RX-packets:", false, false },
	{ "loop", "io", "io", "echo", NULL, "start tx_first 4", "RX-packets:", false, false },
	{ "rtt", "io", "io", "echo", "set burst 1", "start tx_first 1", "RX-packets:", true, false },
	{ "bridge", "io", "io", "echo", NULL, "start tx_first 4", "RX-packets:", false, true },
};

/* What the driver asks for. */
static const struct ring {
	const char *name, *args;
} rings[] = {
	{ "split", "packed_vq=0,mrg_rxbuf=0,in_order=0" },
	{ "split-mrg", "packed_vq=0,mrg_rxbuf=1,in_order=0" },
	{ "split-inorder", "packed_vq=0,mrg_rxbuf=0,in_order=1" },
	{ "packed", "packed_vq=1,mrg_rxbuf=0,in_order=0" },
	{ "packed-mrg", "packed_vq=1,mrg_rxbuf=1,in_order=0" },
	{ "packed-inorder", "packed_vq=1,mrg_rxbuf=0,in_order=1" },
};

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* A device and the driver that has it. */
struct side {
	const struct way *way;
	struct bench_case *c;
	char socket[PATH_ROOM], socket2[PATH_ROOM];
	const char *start;
	struct uvdpad ours; /* one of these two; */
	struct console theirs;
	pid_t device; /* which is this */
	struct console driver;
	struct nic own;
	enum nic_way own_way;
	unsigned int frames;
};

/* ---- memory ---------------------------------------------------------------------------------- */

static bool huge; /* there are large pages */

static long pages(const char *path, long more)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char text[32] = "";
	long n = -1;

	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		n = atol(text);
	if (n >= 0 && more) {
		snprintf(text, sizeof(text), "%ld", n + more);
		n = pwrite(fd, text, strlen(text), 0) > 0 ? n + more : -1;
	}
	if (fd >= 0)
		close(fd);
	return n;
}

static void pages_back(void)
{
	if (huge)
		pages(PAGES, -PAGES_NEED);
	huge = false;
}

static void on_signal(int sig)
{
	pages_back();
	_exit(128 + sig);
}

static void pages_take(void)
{
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
	huge = pages(PAGES, PAGES_NEED) >= 0;
	if (huge && pages(PAGES_FREE, 0) < PAGES_NEED)
		pages_back();
	if (!huge)
		printf("no large pages: testpmd has small ones\n");
}

/* ---- both ends ------------------------------------------------------------------------------- */

/* A device @name of a parent, at a socket. */
static int add_device(struct side *s, const char *name, const char *parent, const char *option,
		      const char *value, const char *socket)
{
	s->device = s->ours.pid;
	return ctl_call(s->ours.ctl,
			"\"method\":\"dev.add\",\"params\":{\"name\":\"%s\",\"mgmtdev\":\"%s\","
			"\"attrs\":{\"%s\":\"%s\",\"poll_us\":\"%s\"},"
			"\"driver\":\"vhost-user\",\"driver_attrs\":{\"socket\":\"%s\"}}",
			name, parent, option, value, poll_us(), socket);
}

static int add_sim(struct side *s)
{
	return add_device(s, "n", "sim-net", "mode", s->way->ours, s->socket);
}

static int ours_start(struct side *s)
{
	return daemon_start(&s->ours, 1) ? -1 : add_sim(s);
}

static int bridge_start(struct side *s)
{
	at(s->socket2, "other");
	s->start = "start tx_first 2"; /* from each of its ports */
	if (daemon_start(&s->ours, 1) ||
	    add_device(s, "n", "bridge", "bridge", "b", s->socket))
		return -1;
	return add_device(s, "o", "bridge", "bridge", "b", s->socket2);
}

static int theirs_start(struct side *s)
{
	const char *peer = getenv("BENCH_NET_PEER");
	char vdev[PATH_ROOM + 64];

	if (peer)
		return daemon_start_other(&s->ours, peer, 1) ? -1 : add_sim(s);
	snprintf(vdev, sizeof(vdev), "net_vhost0,iface=%s,queues=1", s->socket);
	if (testpmd_start(&s->theirs, 1, vdev, NULL, huge, s->way->device))
		return -1;
	s->device = s->theirs.pid;
	return console_say(&s->theirs, "start") ? 0 : -1;
}

static const struct device {
	const char *name;
	int (*start)(struct side *s);
} devices[] = {
	{ "uvdpad", ours_start },
	{ "peer", theirs_start },
}, bridged[] = {
	{ "bridge", bridge_start },
	{ "echo", ours_start },
};

static void side_signal(const struct side *s, int sig)
{
	if (s->device > 0)
		kill(s->device, sig);
	if (s->driver.pid > 0)
		kill(s->driver.pid, sig);
}

static const char *virtio_user(char *buf, size_t size, unsigned int port, const char *socket,
			       const struct ring *ring)
{
	snprintf(buf, size, "net_virtio_user%u,path=%s,queues=1,queue_size=256,%s", port, socket,
		 ring->args);
	return *socket ? buf : NULL;
}

static int side_start(struct side *s, const struct device *device, const struct ring *ring)
{
	char vdev[PATH_ROOM + 128], vdev2[PATH_ROOM + 128];

	s->ours.ctl = -1;
	s->start = s->way->start;
	at(s->socket, device->name);
	if (device->start(s))
		return -1;
	if (testpmd_start(&s->driver, 0, virtio_user(vdev, sizeof(vdev), 0, s->socket, ring),
			  virtio_user(vdev2, sizeof(vdev2), 1, s->socket2, ring), huge,
			  s->way->driver) ||
	    (s->way->burst && !console_say(&s->driver, s->way->burst)) ||
	    !console_say(&s->driver, s->start))
		return -1;
	side_signal(s, SIGSTOP);
	return 0;
}

static void side_end(struct side *s)
{
	side_signal(s, SIGCONT);
	console_stop(&s->driver);
	console_stop(&s->theirs);
	daemon_stop(&s->ours);
}

/* ---- samples --------------------------------------------------------------------------------- */

struct look {
	uint64_t packets, ns, cpu_ns[2];
};

/* Return: false if it took too long to be told when it was. */
static bool look(struct side *s, struct look *l)
{
	uint64_t ns = bench_now_ns();
	const char *text = console_say(&s->driver, "show port stats all");
	unsigned int ports = 0;

	l->ns = bench_now_ns();
	l->packets = 0;
	while (text && (text = strstr(text, s->way->counter))) {
		text += strlen(s->way->counter);
		l->packets += strtoull(text, NULL, 10);
		ports++;
	}
	l->cpu_ns[0] = proc_cpu_ns(s->driver.pid);
	l->cpu_ns[1] = proc_cpu_ns(s->device);
	return ports && l->ns - ns < ASK_NS_MAX;
}

static uint64_t here(void *arg, uint64_t until_ns)
{
	struct side *s = arg;
	struct look a, b;
	uint64_t least;
	bool ok;

	(void)until_ns;
	side_signal(s, SIGCONT);
	usleep(WARM_MS * 1000);
	ok = look(s, &a);
	usleep(SAMPLE_MS * 1000);
	ok &= look(s, &b);
	side_signal(s, SIGSTOP);
	s->c->took_ns = b.ns - a.ns;
	least = s->c->took_ns * LEAST_CPU / 100;
	for (unsigned int i = 0; i < 2; i++)
		ok &= b.cpu_ns[i] - a.cpu_ns[i] >= least;
	return ok ? b.packets - a.packets : 0;
}

static uint64_t own_here(void *arg, uint64_t until_ns)
{
	struct side *s = arg;

	return nic_run(&s->own, s->own_way, s->frames, until_ns);
}

static void own_warm(void *arg)
{
	own_here(arg, bench_now_ns() + WARM_MS * 1000000u);
}

/* Our driver and our device. */
static int own_start(struct side *s, bool packed)
{
	int r;

	s->ours.ctl = -1;
	s->own_way = !strcmp(s->way->name, "tx")   ? NIC_TX
		     : !strcmp(s->way->name, "rx") ? NIC_RX
						   : NIC_LOOP;
	s->frames = s->way->is_time ? 1 : 128;
	proc_pin(0, bench_cpu(1));
	r = nic_open(&s->own, s->way->ours, poll_us(), packed);
	proc_pin(0, bench_cpu(0));
	return r;
}

/* Ours over theirs, of each cell, by distance. */
static double ratios[BENCH_DISTANCES][COUNT(ways) * COUNT(rings)];
static unsigned int nratios[BENCH_DISTANCES];

static int run(const char *name, const struct way *way, const struct ring *ring, bool own)
{
	struct bench_case *cases = calloc(2, sizeof(*cases));
	struct side *sides = calloc(2, sizeof(*sides));
	const struct device *sort = way->is_bridge ? bridged : devices;
	int r = 0;

	for (unsigned int i = 0; i < 2 && !r; i++) {
		sides[i].way = way;
		sides[i].c = &cases[i];
		cases[i] = (struct bench_case){
			.here = here, .arg = &sides[i], .loose = true, .apart = true
		};
		snprintf(cases[i].name, sizeof(cases[i].name), "%s", sort[i].name);
		if (own && !i) {
			cases[i].begin = own_warm;
			cases[i].here = own_here;
			cases[i].sample_ns = SAMPLE_MS * 1000000u;
			cases[i].loose = false;
			cases[i].pid = getpid();
			r = own_start(&sides[i], strstr(ring->args, "packed_vq=1"));
		} else {
			r = side_start(&sides[i], &sort[i], ring);
		}
	}
	if (!r)
		r = bench_rounds(cases, 2, ROUNDS * repeats);
	for (unsigned int i = 0; i < 2; i++) {
		side_end(&sides[i]);
		nic_close(&sides[i].own);
	}
	if (!r)
		print_pair(name, &cases[0], &cases[1], way->is_time ? "ns" : "Mpps",
			   way->is_time ? 1 : -1e3);
	for (unsigned int d = 0; d < BENCH_DISTANCES && !r && !way->is_bridge; d++)
		if (cases[0].n[d] && cases[1].n[d])
			ratios[d][nratios[d]++] =
				bench_part(&cases[1], d, 50) / bench_part(&cases[0], d, 50);
	free(cases);
	free(sides);
	return r;
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_ratios(void)
{
	for (unsigned int d = 0; d < BENCH_DISTANCES; d++) {
		unsigned int n = nratios[d];

		if (!n)
			continue;
		qsort(ratios[d], n, sizeof(double), order);
		printf("%-16s %-8s %u cells: ratio at least %.2f, median %.2f\n", "all",
		       bench_distance_names[d], n, ratios[d][0], ratios[d][n / 2]);
	}
}

int main(int argc, char **argv)
{
	char **patterns, name[64];
	int failed = 0;

	if (!has("dpdk-testpmd")) {
		printf("no dpdk-testpmd\n");
		return 0;
	}
	patterns = compare_begin(argc, argv);
	if (!patterns)
		return 2;
	pages_take();
	for (unsigned int w = 0; w < COUNT(ways); w++)
		for (unsigned int k = 0; k < COUNT(rings); k++) {
			snprintf(name, sizeof(name), "%s-%s", ways[w].name, rings[k].name);
			if (compare_wants(patterns, name))
				failed |= run(name, &ways[w], &rings[k], false) != 0;
		}
	print_ratios();
	for (unsigned int w = 0; w < COUNT(ways); w++)
		for (unsigned int k = 0; k < COUNT(rings); k++) {
			/* Ours takes what the device offers, so only the layout is its choice. */
			if (ways[w].is_bridge || (strcmp(rings[k].name, "split-mrg") &&
						  strcmp(rings[k].name, "packed-mrg")))
				continue;
			snprintf(name, sizeof(name), "own-%s-%s", ways[w].name, rings[k].name);
			if (compare_wants(patterns, name))
				failed |= run(name, &ways[w], &rings[k], true) != 0;
		}
	pages_back();
	return compare_end(failed);
}
