/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-xdp.c - an interface by AF_XDP, and its peer, on this machine and in the same minutes
 *
 * 64-byte packets, over a veth, in a network namespace of its own. The driver is DPDK's testpmd over
 * net_virtio_user, on the first CPU; the device, on the second, is uvdpad's net-xdp, or testpmd that
 * forwards between net_vhost and net_af_xdp, in turn. Whoever has no turn is stopped.
 *
 *	tx	the driver sends; what arrives at the other end of the veth counts
 *	loop	128 packets go round: a program there sends them back at once
 *
 * Most of the time is the kernel's: so CPU time for each packet is what tells the two apart.
 *
 *	bench/net-xdp [-r REPEATS] [WAY...]	patterns are fine; all cells without
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/compare.h"
#include "lib/testpmd.h"

#define SAMPLE_MS 100
#define ROUNDS	  30
#define COUNT(a)  (sizeof(a) / sizeof(*(a)))

struct way {
	const char *name, *driver, *start;
	bool back; /* the other end sends all back */
};

static const struct way ways[] = {
	{ "tx", "txonly", "start", false },
	{ "loop", "io", "start tx_first 4", true },
};

/* A device, the driver that has it, and its veth: NAME0 is the device's, NAME1 the other end. */
struct side {
	const struct way *way;
	struct bench_case *c;
	const char *name;
	char socket[PATH_ROOM];
	struct uvdpad ours; /* one of these two */
	struct console theirs, driver;
	int link;
};

static int ours_start(struct side *s)
{
	if (daemon_start(&s->ours, 1))
		return -1;
	s->c->pid = s->ours.pid;
	return ctl_call(s->ours.ctl,
			"\"method\":\"dev.add\",\"params\":{\"name\":\"n\",\"mgmtdev\":\"net-xdp\","
			"\"attrs\":{\"ifname\":\"%s0\",\"xdp\":\"native\",\"poll_us\":\"%s\"},"
			"\"driver\":\"vhost-user\",\"driver_attrs\":{\"socket\":\"%s\"}}",
			s->name, poll_us(), s->socket);
}

static int theirs_start(struct side *s)
{
	char vhost[PATH_ROOM + 64], xdp[64];

	snprintf(vhost, sizeof(vhost), "net_vhost0,iface=%s,queues=1", s->socket);
	snprintf(xdp, sizeof(xdp), "net_af_xdp0,iface=%s0", s->name);
	if (testpmd_start(&s->theirs, 1, vhost, xdp, false, "io"))
		return -1;
	s->c->pid = s->theirs.pid;
	return console_say(&s->theirs, "start") ? 0 : -1;
}

static const struct device {
	const char *name, *veth;
	int (*start)(struct side *s);
} devices[] = {
	{ "uvdpad", "ours", ours_start },
	{ "testpmd", "peer", theirs_start },
};

/* At the other end: all that comes goes back. Return: a descriptor that holds it there. */
static int send_back(const char *ifname)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_TX },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr a;
	int prog;

	memset(&a, 0, sizeof(a));
	a.prog_type = BPF_PROG_TYPE_XDP;
	a.expected_attach_type = BPF_XDP;
	a.insns = (uint64_t)(uintptr_t)insns;
	a.insn_cnt = COUNT(insns);
	a.license = (uint64_t)(uintptr_t) "BSD-2-Clause";
	prog = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &a, sizeof(a));
	memset(&a, 0, sizeof(a));
	a.link_create.prog_fd = (uint32_t)prog;
	a.link_create.target_ifindex = if_nametoindex(ifname);
	a.link_create.attach_type = BPF_XDP;
	a.link_create.flags = XDP_FLAGS_DRV_MODE;
	return (int)syscall(SYS_bpf, BPF_LINK_CREATE, &a, sizeof(a));
}

static int veth(struct side *s, bool make)
{
	char cmd[512];

	if (!make)
		snprintf(cmd, sizeof(cmd), "ip link del %s0 2>/dev/null", s->name);
	else
		snprintf(cmd, sizeof(cmd),
			 "ip link add %s0 numrxqueues 1 numtxqueues 1 type veth "
			 "peer name %s1 numrxqueues 1 numtxqueues 1 && "
			 "ip link set %s0 up && ip link set %s1 up",
			 s->name, s->name, s->name, s->name);
	return system(cmd);
}

static void side_signal(const struct side *s, int sig)
{
	if (s->c->pid > 0)
		kill(s->c->pid, sig);
	if (s->driver.pid > 0)
		kill(s->driver.pid, sig);
}

static int side_start(struct side *s, const struct device *device)
{
	char vdev[PATH_ROOM + 128], end[32];

	s->ours.ctl = s->link = -1;
	s->name = device->veth;
	at(s->socket, device->name);
	snprintf(end, sizeof(end), "%s1", s->name);
	if (veth(s, true) || device->start(s))
		return -1;
	if (s->way->back)
		s->link = send_back(end);
	if (s->way->back && s->link < 0) {
		perror("XDP_TX at the other end");
		return -1;
	}
	snprintf(vdev, sizeof(vdev), "net_virtio_user0,path=%s,queues=1,queue_size=256,mrg_rxbuf=0",
		 s->socket);
	if (testpmd_start(&s->driver, 0, vdev, NULL, false, s->way->driver) ||
	    !console_say(&s->driver, s->way->start))
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
	if (s->link >= 0)
		close(s->link);
	veth(s, false);
}

/* Packets that the other end has got so far. */
static uint64_t arrived(const struct side *s)
{
	FILE *f = fopen("/proc/self/net/dev", "re");
	char line[512], name[32];
	uint64_t n = 0, got = 0;

	snprintf(name, sizeof(name), "%s1:", s->name);
	while (f && fgets(line, sizeof(line), f)) {
		char *there = strstr(line, name);

		if (there && sscanf(there + strlen(name), "%*u %" SCNu64, &n) == 1)
			got = n;
	}
	if (f)
		fclose(f);
	return got;
}

static uint64_t here(void *arg, uint64_t until_ns)
{
	struct side *s = arg;
	uint64_t ns, n;

	(void)until_ns;
	side_signal(s, SIGCONT);
	n = arrived(s);
	ns = bench_now_ns();
	usleep(SAMPLE_MS * 1000);
	n = arrived(s) - n;
	s->c->took_ns = bench_now_ns() - ns;
	side_signal(s, SIGSTOP);
	return n;
}

static int run(const struct way *way)
{
	struct bench_case *cases = calloc(2, sizeof(*cases));
	struct side *sides = calloc(2, sizeof(*sides));
	int r = 0;

	for (unsigned int i = 0; i < 2 && !r; i++) {
		cases[i] = (struct bench_case){
			.here = here, .arg = &sides[i], .loose = true, .apart = true
		};
		snprintf(cases[i].name, sizeof(cases[i].name), "%s", devices[i].name);
		sides[i].way = way;
		sides[i].c = &cases[i];
		r = side_start(&sides[i], &devices[i]);
	}
	if (!r)
		r = bench_rounds(cases, 2, ROUNDS * repeats);
	for (unsigned int i = 0; i < 2; i++)
		if (sides[i].c)
			side_end(&sides[i]);
	if (!r)
		print_pair(way->name, &cases[0], &cases[1], "Mpps", -1e3);
	free(cases);
	free(sides);
	return r;
}

int main(int argc, char **argv)
{
	char **patterns;
	int failed = 0;

	if (!has("dpdk-testpmd") || unshare(CLONE_NEWNET)) {
		printf("no dpdk-testpmd, or no network namespaces\n");
		return 0;
	}
	patterns = compare_begin(argc, argv);
	if (!patterns)
		return 2;
	for (unsigned int w = 0; w < COUNT(ways); w++)
		if (compare_wants(patterns, ways[w].name))
			failed |= run(&ways[w]) != 0;
	return compare_end(failed);
}
