/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-gso-kernel-test.c - the same segments as the kernel's, bit for bit
 *
 * A packet socket gives the kernel a frame with its virtio header, for a TAP that takes no work
 * undone; what is read there are the segments. All of it in a network namespace of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "softdev/net-gso-fx.h"

#ifndef SOL_PACKET
#define SOL_PACKET 263
#endif

#define V4 .src = "10.0.0.1", .dst = "10.0.0.2"
#define V6 .src = "fd00::1", .dst = "fd00::2"

static const struct {
	const char *name;
	struct gso_case gso;
} cases[] = {
	{ "checksum",
	  { { V4, .proto = IPPROTO_TCP, .payload = 1001, .tcp_opts = 12 }, 0, 0, false } },
	{ "checksum of UDP over IPv6",
	  { { V6, .proto = IPPROTO_UDP, .payload = 1000 }, 0, 0, false } },
	{ "checksum, VLAN",
	  { { V4, .proto = IPPROTO_UDP, .payload = 99, .tags = 1, .vid = 7 }, 0, 0, false } },
	{ "TSO4",
	  { { V4, .proto = IPPROTO_TCP, .payload = 5000, .tcp_opts = 12, .tcp_flags = 0x19,
	      .ip_id = 5 },
	    VIRTIO_NET_HDR_GSO_TCPV4,
	    1448,
	    false } },
	{ "TSO4 with IP options, a wrapped sequence number, ECN",
	  { { V4, .proto = IPPROTO_TCP, .payload = 5001, .ip_opts = 8, .tcp_flags = 0xd9,
	      .seq = 0xfffffff0 },
	    VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN,
	    999,
	    false } },
	{ "TSO4, VLAN",
	  { { V4, .proto = IPPROTO_TCP, .payload = 50000, .tags = 1, .vid = 9, .tcp_flags = 0x10 },
	    VIRTIO_NET_HDR_GSO_TCPV4,
	    1460,
	    false } },
	{ "TSO6",
	  { { V6, .proto = IPPROTO_TCP, .payload = 5000, .tcp_opts = 12, .tcp_flags = 0x18 },
	    VIRTIO_NET_HDR_GSO_TCPV6,
	    1428,
	    false } },
	{ "TSO6 with extension headers",
	  { { V6, .proto = IPPROTO_TCP, .payload = 3001, .next = 2,
	      .ext = { IPPROTO_HOPOPTS, IPPROTO_DSTOPTS }, .tcp_flags = 0x90 },
	    VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN,
	    1001,
	    false } },
	{ "USO over IPv4",
	  { { V4, .proto = IPPROTO_UDP, .payload = 5001, .ip_id = 65534 },
	    VIRTIO_NET_HDR_GSO_UDP_L4,
	    1401,
	    false } },
	{ "USO over IPv6",
	  { { V6, .proto = IPPROTO_UDP, .payload = 4000 },
	    VIRTIO_NET_HDR_GSO_UDP_L4,
	    1000,
	    false } },
	{ "UFO over IPv4",
	  { { V4, .proto = IPPROTO_UDP, .payload = 5003, .ip_id = 99 },
	    VIRTIO_NET_HDR_GSO_UDP,
	    1480,
	    false } },
	{ "UFO over IPv6",
	  { { V6, .proto = IPPROTO_UDP, .payload = 5003 }, VIRTIO_NET_HDR_GSO_UDP, 1448, false } },
};

static uint8_t frame[PKT_MAX], got[PKT_MAX];
static struct gso_out out;

static int skip(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 77;
}

static int open_tap(unsigned int *ret_index)
{
	struct ifreq req = { .ifr_name = "t0", .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), s = socket(AF_INET, SOCK_DGRAM, 0);
	int r = -1;

	if (fd >= 0 && s >= 0 && !ioctl(fd, TUNSETIFF, &req) && !ioctl(fd, TUNSETOFFLOAD, 0)) {
		req.ifr_flags = IFF_UP;
		r = ioctl(s, SIOCSIFFLAGS, &req);
	}
	if (s >= 0)
		close(s);
	*ret_index = if_nametoindex("t0");
	return r ? -1 : fd;
}

static int open_packet(unsigned int index)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)index };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;

	if (fd >= 0 && (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) ||
			bind(fd, (struct sockaddr *)&to, sizeof(to)))) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool give(int fd, const struct vd_net_hdr *h, size_t len)
{
	struct virtio_net_hdr raw = {
		.flags = h->flags,
		.gso_type = h->gso_type,
		.hdr_len = h->hdr_len,
		.gso_size = h->gso_size,
		.csum_start = h->csum_start,
		.csum_offset = h->csum_offset,
	};
	struct iovec iov[] = { { &raw, sizeof(raw) }, { frame, len } };

	return writev(fd, iov, 2) == (ssize_t)(sizeof(raw) + len);
}

/* The next that is one of ours: the kernel has something of its own to say on a new link. */
static size_t take(int tap)
{
	struct pollfd p = { tap, POLLIN, 0 };
	ssize_t n = 0;

	while (poll(&p, 1, 2000) == 1 && (n = read(tap, got, sizeof(got))) > 0)
		if (!memcmp(got, frame, 12))
			return (size_t)n;
	return 0;
}

/* Everyone chooses the identification of IPv6's fragments in his own way. */
static void forget_id(uint8_t *b)
{
	if (b[12] == 0x86 && b[13] == 0xdd && b[20] == IPPROTO_FRAGMENT)
		memset(b + 58, 0, 4);
}

static int compare(const struct gso_case *c, int tap, int packet)
{
	struct pkt p = c->pkt;
	struct pkt_at at;
	struct vd_net_hdr hdr;

	p.partial = true;
	at = pkt_make(&p, frame);
	hdr = gso_hdr(c, &at);
	if (gso_run(frame, at.len, &hdr, 333, 0, &out))
		return printf("refused\n");
	if (!give(packet, &hdr, at.len))
		return printf("the kernel refuses: %s\n", strerror(errno));
	for (unsigned int i = 0; i < out.n; i++) {
		uint8_t *want = out.bytes + out.at[i];
		size_t len = out.at[i + 1] - out.at[i], n = take(tap), k = 0;

		forget_id(want);
		forget_id(got);
		while (k < len && k < n && want[k] == got[k])
			k++;
		if (n != len || k < len)
			return printf("segment %u of %u: %zu bytes, the kernel's has %zu; at %zu: "
				      "%#x, %#x\n",
				      i, out.n, len, n, k, want[k], got[k]);
	}
	return 0;
}

int main(void)
{
	unsigned int index, bad = 0;
	int tap, packet;

	if (unshare(CLONE_NEWNET))
		return skip("a network namespace");
	tap = open_tap(&index);
	if (tap < 0)
		return skip("a TAP");
	packet = open_packet(index);
	if (packet < 0)
		return skip("a packet socket with virtio headers");
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		printf("%s: ", cases[i].name);
		fflush(stdout);
		if (compare(&cases[i].gso, tap, packet))
			bad++;
		else
			printf("%u\n", out.n);
	}
	close(packet);
	close(tap);
	return bad ? 1 : 0;
}
