/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap.c - the other end of a TAP interface, or of a veth: a process in a network namespace of its
 * own, which sends back what it receives
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conformance.h"

#define FRAME_MAX 65536u
#define MTU "65521"

const char *cf_tap_lacks(void)
{
	static char why[64];
	static int lacks = -1;
	int status = 1;
	pid_t pid;

	if (lacks >= 0)
		return lacks ? why : NULL;
	pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWNET) ? 1 : access("/dev/net/tun", R_OK | W_OK) ? 2 : 0);
	cf_check(pid > 0 && waitpid(pid, &status, 0) == pid);
	lacks = status != 0;
	snprintf(why, sizeof(why), "no %s", WEXITSTATUS(status) == 1 ? "network namespaces" : "/dev/net/tun");
	return lacks ? why : NULL;
}

/* The kernel shall say nothing by itself. */
static void be_silent(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!write(fd, "1", 1);
		close(fd);
	}
}

/* Of one queue, as the frames of a packet socket go to any. */
static bool make_veth(void)
{
	return system("PATH=$PATH:/sbin:/usr/sbin; "
		      "ip link add d0 numrxqueues 1 numtxqueues 1 type veth "
		      "peer name there numrxqueues 1 numtxqueues 1 && "
		      "ip link set d0 up && ip link set there up") == 0;
}

/* The interface has to be there before the device is. */
static bool make_tap(void)
{
	struct ifreq req = { .ifr_name = "d0",
			     .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	bool ok;

	ok = tun >= 0 && s >= 0 && !ioctl(tun, TUNSETIFF, &req) && !ioctl(tun, TUNSETPERSIST, 1);
	req.ifr_flags = IFF_UP;
	ok = ok && !ioctl(s, SIOCSIFFLAGS, &req);
	close(tun);
	close(s);
	return ok;
}

static int open_packet(const char *ifname)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htobe16(3), /* ETH_P_ALL */
				  .sll_ifindex = (int)if_nametoindex(ifname) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), big = 64 << 20;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	return bind(fd, (struct sockaddr *)&at, sizeof(at)) ? -1 : fd;
}

static void echo(int ready, bool veth)
{
	static uint8_t frame[FRAME_MAX];
	int fd = -1;

	if (!unshare(CLONE_NEWNET)) {
		be_silent();
		if (veth ? make_veth() : make_tap())
			fd = open_packet(veth ? "there" : "d0");
	}
	(void)!write(ready, fd >= 0 ? "y" : "n", 1);
	close(ready);
	while (fd >= 0) {
		struct sockaddr_ll from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &len);

		if (n > 0 && from.sll_pkttype != PACKET_OUTGOING)
			(void)!send(fd, frame, (size_t)n, 0);
	}
}

static void begin(struct cf_fixture *f, bool veth)
{
	char ready = 'n';
	int p[2];

	cf_is(pipe2(p, O_CLOEXEC), 0);
	f->pid = fork();
	cf_check(f->pid >= 0);
	if (!f->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(p[1], 3);	/* nothing else of ours stays open there */
		close_range(4, ~0u, 0);
		echo(3, veth);
		_exit(1);
	}
	close(p[1]);
	(void)!read(p[0], &ready, 1);
	close(p[0]);
	cf_check(ready == 'y');
	snprintf(f->socket, sizeof(f->socket), "/proc/%d/ns/net", (int)f->pid);
	cf_attr(f, "ifname", "d0");
	cf_attr(f, "netns", f->socket);
}

void cf_tap_open(struct cf_fixture *f)
{
	begin(f, false);
	cf_attr(f, "mtu", MTU);
}

void cf_veth_open(struct cf_fixture *f)
{
	begin(f, true);
}

void cf_tap_close(struct cf_fixture *f)
{
	kill(f->pid, SIGKILL);
	waitpid(f->pid, NULL, 0);
}
