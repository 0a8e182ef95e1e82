/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fifo.c - a card and its host over one FIFO, and what a socket does with the same messages
 *
 *	link	frames of 1514 bytes by <uvdpa/net.h>, from one process to another, and messages of
 *the same size over a plain socket pair, one with each call
 *	tap	iperf3 between two interfaces: over the FIFO, over net-socket's stream, in turn; one
 *stream of TCP, one way; and the socket pair
 *	key	how long a keystroke takes to the other side's terminal and back, while nothing else
 *is on its way, and while iperf3 fills the FIFO; beside it the same over a link
 *that nobody else uses, while iperf3 fills another: what the CPUs alone cost
 *
 * The card's side is on the first CPU, the host's on the second. All that is compared is measured
 *in turn, round after round, and the median is printed.
 *
 *	bench/fifo [-r ROUNDS] [link|tap|key]...	all without
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <uvdpa/net.h>

#include "lib/compare.h"

#define FRAME       1514u
#define MESSAGE_MAX 66000u
#define JUMBO       65000u /* a frame of it is what TCP leaves to be cut, and is not cut */
#define SECOND      1000000000ull
#define ROUNDS      7
#define ROUNDS_MAX  64
#define KEYS        2000
#define KEY_US      1500 /* between two of them */
#define ROOM        2048u
#define BUFS        256u
#define BURST       32u
#define COUNT(a)    (sizeof(a) / sizeof(*(a)))

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double part(double *v, size_t n, double hundredths)
{
	qsort(v, n, sizeof(*v), by_value);
	return n ? v[(size_t)((double)(n - 1) * hundredths / 100)] : 0;
}

/* ---- a plain socket pair -------------------------------------------------------------------- */

static void read_until_the_end(int fd)
{
	static char buf[64 << 10];

	while (read(fd, buf, sizeof(buf)) > 0)
		continue;
}

/* Return: Gbit/s of frames of @len bytes, in messages as the FIFO has them. */
static double pair_rate(size_t len)
{
	static char message[MESSAGE_MAX];
	size_t size = 8 + ((len + 7) & ~(size_t)7);
	uint64_t begin, now, n = 0;
	unsigned int count = 0;
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return 0;
	pid = fork();
	if (!pid) {
		proc_pin(0, bench_cpu(1));
		close(fds[0]);
		read_until_the_end(fds[1]);
		_exit(0);
	}
	close(fds[1]);
	proc_pin(0, bench_cpu(0));
	begin = bench_now_ns();
	while (!bench_over(begin + SECOND, &count) && write(fds[0], message, size) == (ssize_t)size)
		n++;
	now = bench_now_ns();
	close(fds[0]);
	waitpid(pid, NULL, 0);
	return (double)n * (double)len * 8 / (double)(now - begin);
}

/* ---- the link by itself --------------------------------------------------------------------- */

struct end {
	struct uvdpa *u;
	struct uvdpa_net *net;
	struct uvdpa_netq *q;
	uint8_t *mem;
};

static int end_open(struct end *e, const char *role, const char *link)
{
	const struct uvdpa_attr attrs[] = {
		{ "type", "net" }, { "role", role }, { "link", link }, { "reconnect_ms", "20" }
	};
	struct uvdpa_dev_opts o = { .size = sizeof(o),
				    .name = role,
				    .mgmtdev = "fifo",
				    .attrs = attrs,
				    .nattrs = COUNT(attrs) };
	struct uvdpa_net_opts no = { .size = sizeof(no), .mem = (size_t)BUFS * ROOM };
	struct uvdpa_wait w = { 0 };
	struct uvdpa_dev *dev;

	if (uvdpa_create(&e->u))
		goto err;
	uvdpa_set_log(e->u, NULL, UVDPA_LOG_ERR);
	if (uvdpa_await(e->u, &w, uvdpa_dev_add(e->u, &o, &dev, &w)) ||
	    uvdpa_net_open(dev, &no, &e->net))
		goto err;
	e->mem = uvdpa_net_alloc(e->net, no.mem);
	e->q = uvdpa_net_queue(e->net, 0);
	if (e->mem) {
		memset(e->mem, 0xff, no.mem);
		return 0;
	}
err:
	fprintf(stderr, "%s: %s\n", role, uvdpa_error());
	return -1;
}

static void end_close(struct end *e)
{
	uvdpa_net_close(e->net);
	uvdpa_destroy(e->u);
}

static void run_loop(struct end *e, unsigned int ms)
{
	for (uint64_t until = bench_now_ns() + ms * 1000000ull; bench_now_ns() < until;)
		uvdpa_dispatch(e->u, 5);
}

/* What came until the pipe is closed, from the first frame to the last; to @out. */
static void count_frames(struct end *e, int stop, int out)
{
	struct uvdpa_net_buf bufs[BUFS];
	uint64_t n = 0, first = 0, last = 0, answer[2];
	struct pollfd p = { .fd = stop };

	for (unsigned int i = 0; i < BUFS; i++)
		bufs[i] = (struct uvdpa_net_buf){ .mem = e->mem + (size_t)i * ROOM, .len = ROOM };
	uvdpa_netq_rx_post(e->q, bufs, BUFS);
	while (!poll(&p, 1, 0)) {
		int got = uvdpa_netq_rx(e->q, bufs, BURST);

		if (got <= 0) {
			uvdpa_netq_rx_wait(e->q, 20);
			uvdpa_dispatch(e->u, 0);
			continue;
		}
		last = bench_now_ns();
		first = first ? first : last;
		n += (uint64_t)got;
		for (int i = 0; i < got; i++)
			bufs[i] = (struct uvdpa_net_buf){ .mem = bufs[i].mem, .len = ROOM };
		uvdpa_netq_rx_post(e->q, bufs, (unsigned int)got);
	}
	answer[0] = n;
	answer[1] = last - first;
	if (write(out, answer, sizeof(answer)) != sizeof(answer))
		_exit(1);
}

static void send_frames(struct end *e)
{
	struct uvdpa_net_buf bufs[BURST];
	uint64_t until = bench_now_ns() + SECOND;
	uint8_t *idle[BUFS];
	unsigned int nidle = 0;

	for (unsigned int i = 0; i < BUFS; i++)
		idle[nidle++] = e->mem + (size_t)i * ROOM;
	while (bench_now_ns() < until) {
		unsigned int n = nidle < BURST ? nidle : BURST;
		int r;

		for (unsigned int i = 0; i < n; i++)
			bufs[i] = (struct uvdpa_net_buf){ .mem = idle[nidle - 1 - i],
							  .off = UVDPA_NET_HDR,
							  .len = FRAME };
		r = n ? uvdpa_netq_tx(e->q, bufs, n) : 0;
		nidle -= r > 0 ? (unsigned int)r : 0;
		r = uvdpa_netq_tx_done(e->q, idle + nidle, BUFS - nidle);
		nidle += r > 0 ? (unsigned int)r : 0;
		if (!nidle)
			uvdpa_netq_tx_wait(e->q, 20);
	}
}

/* Return: Gbit/s of frames; 0: it failed. */
static double link_rate(const char *card, const char *host)
{
	int stop[2], answer[2];
	uint64_t got[2] = { 0 };
	struct end e = { 0 };
	pid_t pid;

	if (pipe2(stop, O_CLOEXEC) || pipe2(answer, O_CLOEXEC))
		return 0;
	pid = fork();
	if (!pid) {
		close(stop[1]);
		proc_pin(0, bench_cpu(1));
		if (end_open(&e, "host", host))
			_exit(1);
		run_loop(&e, 300);
		count_frames(&e, stop[0], answer[1]);
		end_close(&e);
		_exit(0);
	}
	close(answer[1]);
	proc_pin(0, bench_cpu(0));
	if (!end_open(&e, "card", card)) {
		run_loop(&e, 500);
		send_frames(&e);
		end_close(&e);
	}
	close(stop[1]);
	if (read(answer[0], got, sizeof(got)) != sizeof(got))
		got[0] = 0;
	close(stop[0]);
	close(answer[0]);
	waitpid(pid, NULL, 0);
	return got[1] ? (double)got[0] * FRAME * 8 / (double)got[1] : 0;
}

static void print_rate(const char *name, double *v, size_t n, double than)
{
	double median = part(v, n, 50);

	printf("%-24s %7.2f Gbit/s  [%.2f .. %.2f]", name, median, part(v, n, 25), part(v, n, 75));
	if (than > 0)
		printf("  %.2f of the socket pair", median / than);
	printf("\n");
}

static int run_link(unsigned int rounds)
{
	double fifo[ROUNDS_MAX], window[ROUNDS_MAX], plain[ROUNDS_MAX], than;
	char card[PATH_ROOM + 16], host[PATH_ROOM + 16], path[PATH_ROOM];

	printf("link: frames of %u bytes, %u rounds of a second each\n", FRAME, rounds);
	for (unsigned int i = 0; i < rounds; i++) {
		snprintf(card, sizeof(card), "unix-listen:%s", at(path, "fifo"));
		snprintf(host, sizeof(host), "unix:%s", path);
		fifo[i] = link_rate(card, host);
		snprintf(card, sizeof(card), "window:%s", at(path, "window"));
		window[i] = link_rate(card, card);
		plain[i] = pair_rate(FRAME);
	}
	than = part(plain, rounds, 50);
	print_rate("socket pair", plain, rounds, 0);
	print_rate("fifo, unix socket", fifo, rounds, than);
	print_rate("fifo, window", window, rounds, than);
	return fifo[0] > 0 ? 0 : -1;
}

/* ---- two daemons with interfaces ------------------------------------------------------------ */

struct sides {
	struct uvdpad card, host;
	pid_t ns; /* holds the host's network namespace */
};

static const char *netns(const struct sides *s)
{
	static char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", s->ns);
	return path;
}

/* Return: 0 if the command line succeeds. */
__attribute__((format(printf, 1, 2))) static int shell(const char *format, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	return system(line); /* NOLINT(cert-env33-c): in a namespace of our own */
}

static int sides_open(struct sides *s)
{
	int up[2];
	char c;

	if (pipe2(up, O_CLOEXEC))
		return -1;
	s->ns = fork();
	if (!s->ns) {
		if (unshare(CLONE_NEWNET) || write(up[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(up[1]);
	if (read(up[0], &c, 1) != 1)
		return -1;
	close(up[0]);
	return daemon_start(&s->card, 0) || daemon_start(&s->host, 1) ? -1 : 0;
}

static void sides_close(struct sides *s)
{
	daemon_stop(&s->card);
	daemon_stop(&s->host);
	if (s->ns > 0) {
		kill(s->ns, SIGKILL);
		waitpid(s->ns, NULL, 0);
	}
}

#define ADD "\"method\":\"dev.add\",\"params\":{\"name\":\"%s\",\"mgmtdev\":\"%s\",\"attrs\":{%s},"
#define TAP "\"driver\":\"virtio\",\"driver_attrs\":{\"tap\":\"%s\"%s}}"
#define PTY "\"driver\":\"virtio\",\"driver_attrs\":{\"pty\":\"%s\"}}"

/* A pair of interfaces: NAME0 here with 192.0.NET.1, NAME1 there with .2 */
static int add_taps(struct sides *s, const char *name, const char *net, const char *mgmtdev,
		    const char *card, const char *host)
{
	char a[16], b[16], in[96];

	snprintf(a, sizeof(a), "%s0", name);
	snprintf(b, sizeof(b), "%s1", name);
	snprintf(in, sizeof(in), ",\"netns\":\"%s\"", netns(s));
	if (ctl_call(s->card.ctl, ADD TAP, a, mgmtdev, card, a, "") ||
	    ctl_call(s->host.ctl, ADD TAP, b, mgmtdev, host, b, in))
		return -1;
	return shell("ip addr add 192.0.%s.1/24 dev %s && ip link set lo up && "
		     "nsenter --net=%s ip addr add 192.0.%s.2/24 dev %s && "
		     "nsenter --net=%s ip link set %s up && nsenter --net=%s ip link set lo up && "
		     "i=0; until ping -q -c 1 -W 1 192.0.%s.2 >/dev/null; do "
		     "i=$((i+1)); [ $i -lt 20 ] || exit 1; done",
		     net, a, netns(s), net, b, netns(s), b, netns(s), net);
}

/* An iperf3 that serves, on the host's side. Return: its pid. */
static pid_t iperf_server(const struct sides *s)
{
	char ns[80];
	const char *argv[] = { "nsenter", ns, "iperf3", "-s", NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid;

	snprintf(ns, sizeof(ns), "--net=%s", netns(s));
	pid = proc_spawn(argv, bench_cpu(1), null);
	close(null);
	usleep(300000);
	return pid;
}

/* Return: Gbit/s. */
static double iperf(const char *to)
{
	const char *argv[] = { "iperf3", "-c", to, "-t", "1", "-O", "0.2", "-J", NULL };
	char *text = proc_output(argv, bench_cpu(0)), *sum, *bits;
	double rate = 0;

	sum = text ? strstr(text, "\"sum_received\"") : NULL;
	bits = sum ? strstr(sum, "\"bits_per_second\":") : NULL;
	if (bits)
		rate = strtod(bits + strlen("\"bits_per_second\":"), NULL) / 1e9;
	free(text);
	return rate;
}

static void link_attrs(char *buf, size_t len, const char *type, const char *role, const char *path)
{
	bool card = !strcmp(role, "card");

	snprintf(buf, len,
		 "\"type\":\"%s\",\"role\":\"%s\",\"reconnect_ms\":\"50\",\"link\":\"unix%s:%s\"",
		 type, role, card ? "-listen" : "", path);
}

static void add_mtu(char *buf, size_t len, unsigned int mtu)
{
	snprintf(buf + strlen(buf), len - strlen(buf), ",\"mtu\":\"%u\"", mtu);
}

static int add_fifo_taps(struct sides *s, const char *path, const char *name, const char *net,
			 unsigned int mtu)
{
	char card[320], host[320];

	link_attrs(card, sizeof(card), "net", "card", path);
	link_attrs(host, sizeof(host), "net", "host", path);
	add_mtu(card, sizeof(card), mtu);
	add_mtu(host, sizeof(host), mtu);
	return add_taps(s, name, net, "fifo", card, host);
}

static int run_tap(unsigned int rounds, unsigned int mtu)
{
	double fifo[ROUNDS_MAX], sock[ROUNDS_MAX], plain[ROUNDS_MAX], than;
	char path[PATH_ROOM], card[320], host[320];
	struct sides s = { .card.ctl = -1, .host.ctl = -1 };
	pid_t server = 0;
	int r = sides_open(&s);

	if (!r)
		r = add_fifo_taps(&s, at(path, "fifo"), "f", "2", mtu);
	snprintf(card, sizeof(card), "\"path\":\"%s\",\"listen\":\"on\"", at(path, "sock"));
	snprintf(host, sizeof(host), "\"path\":\"%s\"", path);
	add_mtu(card, sizeof(card), mtu);
	add_mtu(host, sizeof(host), mtu);
	if (!r)
		r = add_taps(&s, "s", "3", "net-socket", card, host);
	if (!r)
		server = iperf_server(&s);
	printf("tap: iperf3, one stream of TCP, MTU %u, %u rounds of a second each\n", mtu, rounds);
	for (unsigned int i = 0; !r && i < rounds; i++) {
		fifo[i] = iperf("192.0.2.2");
		sock[i] = iperf("192.0.3.2");
		plain[i] = pair_rate(mtu + 14);
	}
	if (!r) {
		than = part(plain, rounds, 50);
		print_rate("socket pair", plain, rounds, 0);
		print_rate("iperf3, fifo", fifo, rounds, than);
		print_rate("iperf3, net-socket", sock, rounds, than);
		printf("%-24s %7.2f\n", "fifo / net-socket",
		       part(fifo, rounds, 50) / part(sock, rounds, 50));
	}
	proc_stop(server);
	sides_close(&s);
	return r;
}

/* ---- keystrokes ----------------------------------------------------------------------------- */

static int open_raw(const char *path)
{
	struct termios t;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &t)) {
		fprintf(stderr, "%s: %m\n", path);
		return -1;
	}
	cfmakeraw(&t);
	tcsetattr(fd, TCSANOW, &t);
	return fd;
}

/* Consoles at both ends of a link; and who answers at the card's terminal. */
static pid_t add_consoles(struct sides *s, const char *path, int *ret_fd)
{
	char card[320], host[320], a[PATH_ROOM], b[PATH_ROOM], c;
	pid_t pid;

	link_attrs(card, sizeof(card), "console", "card", path);
	link_attrs(host, sizeof(host), "console", "host", path);
	if (ctl_call(s->card.ctl, ADD PTY, "c0", "fifo", card, at(a, "c0.pty")) ||
	    ctl_call(s->host.ctl, ADD PTY, "c1", "fifo", host, at(b, "c1.pty")))
		return -1;
	pid = fork();
	if (!pid) {
		int fd = open_raw(a);

		bench_be_important();
		while (read(fd, &c, 1) == 1 && write(fd, &c, 1) == 1)
			continue;
		_exit(0);
	}
	*ret_fd = open_raw(b);
	return *ret_fd < 0 ? -1 : pid;
}

/* Return: how many came back, each with its time in us. */
static size_t keystrokes(int fd, double *us)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;
	char c = 'a';

	for (unsigned int i = 0; i < KEYS; i++) {
		uint64_t begin = bench_now_ns();

		c = (char)('a' + i % 26);
		if (write(fd, &c, 1) != 1 || poll(&p, 1, 2000) != 1 || read(fd, &c, 1) != 1)
			continue;
		us[n++] = (double)(bench_now_ns() - begin) / 1000;
		usleep(KEY_US);
	}
	return n;
}

static void print_keys(const char *name, double *us, size_t n)
{
	printf("%-34s %5zu keys, us: p50 %.0f  p90 %.0f  p99 %.0f  p99.9 %.0f  max %.0f\n", name, n,
	       part(us, n, 50), part(us, n, 90), part(us, n, 99), part(us, n, 99.9),
	       part(us, n, 100));
}

/* @other: the flood is on another link. */
static int run_key(bool other)
{
	static double quiet[KEYS], flood[KEYS];
	const char *argv[] = { "iperf3", "-c", "192.0.2.2", "-t", "60", NULL };
	char path[PATH_ROOM], net[PATH_ROOM];
	struct sides s = { .card.ctl = -1, .host.ctl = -1 };
	pid_t server = 0, echo = -1, client = 0;
	size_t nquiet = 0, nflood = 0;
	int r = sides_open(&s), fd = -1, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (!r)
		r = add_fifo_taps(&s, at(net, "net"), "f", "2", 1500);
	if (!r) {
		echo = add_consoles(&s, other ? at(path, "console") : net, &fd);
		r = echo < 0 ? -1 : 0;
	}
	if (!r) {
		usleep(500000);
		nquiet = keystrokes(fd, quiet);
		server = iperf_server(&s);
		client = proc_spawn(argv, bench_cpu(0), null);
		usleep(1000000);
		nflood = keystrokes(fd, flood);
		print_keys(other ? "key: quiet" : "key: quiet, one link", quiet, nquiet);
		print_keys(other ? "key: the flood is on another link"
				 : "key: the flood is on this link",
			   flood, nflood);
	}
	proc_stop(client);
	proc_stop(server);
	if (echo > 0) {
		kill(echo, SIGKILL);
		waitpid(echo, NULL, 0);
	}
	close(fd);
	close(null);
	sides_close(&s);
	return r;
}

int main(int argc, char **argv)
{
	unsigned int rounds = ROUNDS;
	char **patterns;
	int failed = 0, opt;

	while ((opt = getopt(argc, argv, "r:")) != -1)
		rounds = opt == 'r' ? (unsigned int)atoi(optarg) : 0;
	if (!rounds || rounds > ROUNDS_MAX)
		return 2;
	patterns = argv + optind;
	bench_be_important();
	if (!mkdtemp(tmp)) {
		perror(tmp);
		return 2;
	}
	if (compare_wants(patterns, "link"))
		failed |= run_link(rounds);
	if (unshare(CLONE_NEWNET))
		printf("tap, key: no network namespaces here: %s\n", strerror(errno));
	else if (!has("iperf3") || !has("nsenter"))
		printf("tap, key: no iperf3, or no nsenter\n");
	else {
		if (compare_wants(patterns, "tap"))
			failed |= run_tap(rounds, 1500) | run_tap(rounds, JUMBO);
		if (compare_wants(patterns, "key"))
			failed |= run_key(false) | run_key(true);
	}
	return compare_end(failed);
}
