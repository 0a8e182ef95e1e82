/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-pong.c - a host of one address, which answers ARP and pings, through the C API
 *
 *	cc net-pong.c $(pkg-config --cflags --libs uvdpa) -o net-pong
 *	./net-pong 192.0.2.9 pong0	on a cable to the host: ip addr add 192.0.2.1/24 dev pong0
 *	./net-pong 192.0.2.9 n0.sock	on a network that a vhost-user back-end serves
 *	./net-pong 192.0.2.9		on a network of one, where it pings itself
 */
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uvdpa/net.h>

#define BURST 32u
#define BUFS 128u	/* each is the network's, the device's, or ours */
#define SIZE 2048u
#define PINGS 100000u

/* What we can answer. Not aligned: the Ethernet header has 14 bytes. */
struct frame {
	struct ether_header eth;
	union {
		struct ether_arp arp;
		struct {
			struct iphdr ip;
			struct icmphdr icmp;
		};
	};
} __attribute__((packed));

#define IP offsetof(struct frame, ip)
#define ICMP offsetof(struct frame, icmp)

static struct in_addr address;
static uint8_t mac[6];

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, uvdpa_error());
	exit(1);
}

/* A sum of 16-bit words, as IP has it. */
static uint16_t checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (len % 2)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* Make the answer of a frame, in its place. Return: whether there is one. */
static int answer(uint8_t *bytes, uint32_t len)
{
	struct frame *f = (struct frame *)bytes;
	uint32_t iplen = len > sizeof(*f) ? ntohs(f->ip.tot_len) : 0;

	if (f->eth.ether_type == htons(ETHERTYPE_ARP) && len >= IP + sizeof(f->arp) &&
	    f->arp.arp_op == htons(ARPOP_REQUEST) && !memcmp(f->arp.arp_tpa, &address, 4)) {
		f->arp.arp_op = htons(ARPOP_REPLY);
		memcpy(f->arp.arp_tha, f->arp.arp_sha, 6);
		memcpy(f->arp.arp_tpa, f->arp.arp_spa, 4);
		memcpy(f->arp.arp_sha, mac, 6);
		memcpy(f->arp.arp_spa, &address, 4);
	} else if (f->eth.ether_type == htons(ETHERTYPE_IP) && iplen <= len - IP &&
		   iplen >= sizeof(f->ip) + sizeof(f->icmp) && f->ip.ihl == 5 &&
		   f->ip.protocol == IPPROTO_ICMP && f->ip.daddr == address.s_addr &&
		   f->icmp.type == ICMP_ECHO) {
		f->ip.daddr = f->ip.saddr;
		f->ip.saddr = address.s_addr;
		f->icmp.type = ICMP_ECHOREPLY;
		f->icmp.checksum = 0;
		f->icmp.checksum = checksum(bytes + ICMP, iplen - sizeof(f->ip));
	} else {
		return 0;
	}
	memcpy(f->eth.ether_dhost, f->eth.ether_shost, 6);
	memcpy(f->eth.ether_shost, mac, 6);
	return 1;
}

/* A ping to ourselves, for a network that gives us back what is for us. */
static void ping(uint8_t *bytes)
{
	struct frame *f = (struct frame *)bytes;

	memset(bytes, 0, 64);
	memcpy(f->eth.ether_dhost, mac, 6);
	memcpy(f->eth.ether_shost, mac, 6);
	f->eth.ether_type = htons(ETHERTYPE_IP);
	f->ip = (struct iphdr){ .version = 4, .ihl = 5, .tot_len = htons(64 - IP), .ttl = 64,
				.protocol = IPPROTO_ICMP, .saddr = address.s_addr,
				.daddr = address.s_addr };
	f->ip.check = checksum(bytes + IP, sizeof(f->ip));
	f->icmp.type = ICMP_ECHO;
	f->icmp.checksum = checksum(bytes + ICMP, 64 - ICMP);
}

static int is_reply(const uint8_t *bytes)
{
	return ((const struct frame *)bytes)->icmp.type == ICMP_ECHOREPLY;
}

/* Answer what comes, for ever; or until so many pings of our own are answered. */
static void run(struct uvdpa_netq *q, unsigned int pings)
{
	struct uvdpa_net_buf in[BURST], out[BURST];
	uint8_t *done[BURST];
	unsigned int replies = 0;
	int n;

	for (;;) {
		unsigned int nout = 0, nback = 0;

		while (!(n = uvdpa_netq_rx(q, in, BURST)))
			uvdpa_netq_rx_wait(q, -1);
		if (n < 0)
			return;	/* the device was taken away */
		for (int i = 0; i < n; i++) {
			uint8_t *frame = in[i].mem + in[i].off;
			/* A frame that goes on in the next buffer is none of ours. */
			int whole = !in[i].flags && in[i].off == UVDPA_NET_HDR;

			if (pings && whole && is_reply(frame) && ++replies == pings) {
				printf("%u pings were answered\n", replies);
				return;
			}
			if (pings && whole && is_reply(frame))
				ping(frame);
			else if (!whole || !answer(frame, in[i].len))
				whole = 0;
			/* What is answered goes out as it lies; the rest is empty again. */
			if (whole)
				out[nout++] = in[i];
			else
				in[nback++] = (struct uvdpa_net_buf){ .mem = in[i].mem, .len = SIZE };
		}
		n = nout ? uvdpa_netq_tx(q, out, nout) : 0;
		for (unsigned int i = n < 0 ? 0 : (unsigned int)n; i < nout; i++)
			in[nback++] = (struct uvdpa_net_buf){ .mem = out[i].mem, .len = SIZE };
		uvdpa_netq_rx_post(q, in, nback);
		n = uvdpa_netq_tx_done(q, done, BURST);
		for (int i = 0; i < n; i++)
			in[i] = (struct uvdpa_net_buf){ .mem = done[i], .len = SIZE };
		if (n > 0)
			uvdpa_netq_rx_post(q, in, (unsigned int)n);
	}
}

int main(int argc, char **argv)
{
	struct uvdpa_attr attr;
	struct uvdpa_dev_opts opts = {
		.size = sizeof(opts), .name = "pong", .mgmtdev = "sim-net", .attrs = &attr,
		.nattrs = argc > 2,
	};
	struct uvdpa_wait w = { 0 };
	const struct uvdpa_net_info *info;
	struct uvdpa_net_buf buf;
	struct uvdpa_dev *dev;
	struct uvdpa_net *net;
	struct uvdpa_netq *q;
	struct uvdpa *u;
	struct stat st;
	uint8_t *mem;

	if (argc < 2 || !inet_aton(argv[1], &address)) {
		fprintf(stderr, "usage: net-pong ADDRESS [INTERFACE | SOCKET]\n");
		return 2;
	}
	if (argc > 2) {
		int socket = !stat(argv[2], &st) && S_ISSOCK(st.st_mode);

		attr = (struct uvdpa_attr){ socket ? "socket" : "ifname", argv[2] };
		opts.mgmtdev = socket ? "vhost-user" : "net-tap";
	}
	if (uvdpa_create(&u))
		die("context");
	if (uvdpa_await(u, &w, uvdpa_dev_add(u, &opts, &dev, &w)))
		die("device");
	/* No offloads: each frame is as on a wire, with its checksums. */
	if (uvdpa_net_open(dev, &(struct uvdpa_net_opts){ .size = sizeof(struct uvdpa_net_opts),
							  .pairs = 1 }, &net))
		die("open");
	info = uvdpa_net_info(net);
	memcpy(mac, info->mac, 6);
	if (!memcmp(mac, "\0\0\0\0\0\0", 6))	/* the device leaves it to us */
		memcpy(mac, "\x02\0\0\0\0\x09", 6);
	printf("%s is at %02x:%02x:%02x:%02x:%02x:%02x, MTU %u\n", argv[1], mac[0], mac[1], mac[2],
	       mac[3], mac[4], mac[5], info->mtu);
	fflush(stdout);

	q = uvdpa_net_queue(net, 0);
	mem = uvdpa_net_alloc(net, BUFS * SIZE);
	if (!mem)
		die("memory");
	for (unsigned int i = argc > 2 ? 0 : 1; i < BUFS; i++) {
		buf = (struct uvdpa_net_buf){ .mem = mem + i * SIZE, .len = SIZE };
		if (uvdpa_netq_rx_post(q, &buf, 1) != 1)
			die("buffers");
	}
	if (argc == 2) {
		buf = (struct uvdpa_net_buf){ .mem = mem, .off = UVDPA_NET_HDR, .len = 64 };
		ping(mem + UVDPA_NET_HDR);
		uvdpa_netq_tx(q, &buf, 1);
	}
	run(q, argc == 2 ? PINGS : 0);
	uvdpa_net_close(net);
	uvdpa_destroy(u);
	return 0;
}
