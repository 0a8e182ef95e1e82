/* SPDX-License-Identifier: BSD-2-Clause */
#include "parent/net-tap-fx.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parent/net-tap.h"

#ifndef SOL_PACKET
#define SOL_PACKET 263
#endif

#define SLOTS 256u

/* Where the buffer of an id is; the next slot of each queue. */
static uint32_t each_of[BED_QUEUES];
static uint16_t slot_of[BED_QUEUES][SLOTS], next_slot[BED_QUEUES];
static uint8_t macs[12];

bool tf_alone(void)
{
	static const struct pkt any = { .src = "10.0.0.1", .dst = "10.0.0.2", .proto = 17 };
	static uint8_t frame[PKT_MAX];
	int fd;

	if (unshare(CLONE_NEWNET)) {
		printf("a network namespace: %s\n", strerror(errno));
		return false;
	}
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		printf("/dev/net/tun: %s\n", strerror(errno));
		return false;
	}
	close(fd);
	/* Nor shall the kernel look for routers. */
	fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "1", 1);
		close(fd);
	}
	pkt_make(&any, frame);
	memcpy(macs, frame, sizeof(macs));
	return true;
}

void tf_add(struct bed *b, const char *const *attrs)
{
	if (bed_add(b, "net-tap", attrs))
		fail_msg("%s", uvdpa_error());
	tf_forget();
}

void tf_fill(uint8_t *frame, size_t len, unsigned int tag)
{
	for (size_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(i * 31 + (i >> 8) + tag);
	memcpy(frame, macs, vd_min(len, sizeof(macs)));
	if (len > 13) {
		frame[12] = 0x88; /* for experiments */
		frame[13] = 0xb5;
	}
}

/* ---- the host's end ------------------------------------------------------------------------- */

int tf_open(const char *ifname)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_protocol = htobe16(3), /* ETH_P_ALL */
				  .sll_ifindex = (int)if_nametoindex(ifname) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1, big = 8 << 20;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

bool tf_give(int fd, const struct vd_net_hdr *hdr, const uint8_t *frame, size_t len)
{
	struct vd_net_hdr none = { 0 }, h = hdr ? *hdr : none;
	struct virtio_net_hdr raw = { h.flags,    h.gso_type,   h.hdr_len,
				      h.gso_size, h.csum_start, h.csum_offset };
	struct iovec iov[] = { { &raw, sizeof(raw) }, { (void *)(uintptr_t)frame, len } };

	return writev(fd, iov, 2) == (ssize_t)(sizeof(raw) + len);
}

size_t tf_take(int fd, struct vd_net_hdr *ret_hdr, uint8_t *buf, int timeout_ms)
{
	struct pollfd p = { fd, POLLIN, 0 };

	while (poll(&p, 1, timeout_ms) == 1) {
		struct virtio_net_hdr raw;
		struct sockaddr_ll from;
		struct iovec iov[] = { { &raw, sizeof(raw) }, { buf, TF_MAX } };
		struct msghdr m = { &from, sizeof(from), iov, 2, NULL, 0, 0 };
		ssize_t n = recvmsg(fd, &m, 0);

		/* What was given here goes by, too. */
		if (n < (ssize_t)sizeof(raw) || from.sll_pkttype == PACKET_OUTGOING ||
		    memcmp(buf, macs, sizeof(macs)))
			continue;
		*ret_hdr = (struct vd_net_hdr){ raw.flags,    raw.gso_type,   raw.hdr_len,
						raw.gso_size, raw.csum_start, raw.csum_offset };
		return (size_t)n - sizeof(raw);
	}
	return 0;
}

static void set_interface(const char *ifname, unsigned long what, struct ifreq *req)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(req->ifr_name, sizeof(req->ifr_name), "%s", ifname);
	if (ioctl(s, what, req))
		fail_msg("%s: %s", ifname, strerror(errno));
	close(s);
}

void tf_set_up(const char *ifname, bool up)
{
	struct ifreq req = { .ifr_flags = up ? IFF_UP : 0 };

	set_interface(ifname, SIOCSIFFLAGS, &req);
}

void tf_rename(const char *ifname, const char *to)
{
	struct ifreq req;

	snprintf(req.ifr_newname, sizeof(req.ifr_newname), "%s", to);
	set_interface(ifname, SIOCSIFNAME, &req);
}

void tf_delete(const char *ifname)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} m = { { sizeof(m), RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK, 0, 0 },
		{ .ifi_index = (int)if_nametoindex(ifname) } };
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	char answer[256];

	assert_true(m.i.ifi_index > 0);
	assert_int_equal(send(s, &m, sizeof(m), 0), sizeof(m));
	assert_true(recv(s, answer, sizeof(answer), 0) > 0);
	close(s);
	assert_int_equal(if_nametoindex(ifname), 0);
}

/* ---- the driver's end ----------------------------------------------------------------------- */

void tf_forget(void)
{
	memset(next_slot, 0, sizeof(next_slot));
	memset(each_of, 0, sizeof(each_of));
}

void tf_post(struct bed *b, unsigned int q, unsigned int n, uint32_t each)
{
	each_of[q] = each_of[q] ? each_of[q] : each;
	assert_int_equal(each, each_of[q]);
	while (n--) {
		uint16_t slot = next_slot[q]++ % vd_min(SLOTS, (1u << 20) / each);
		struct vd_buf buf = { nb_iova(b, q) + slot * each, each };

		slot_of[q][bed_add_req(b, q, &buf, 0, 1)] = slot;
	}
}

size_t tf_receive(struct bed *b, unsigned int q, struct virtio_net_hdr_v1 *ret_hdr, uint8_t *buf,
		  int timeout_ms)
{
	size_t len = 0;
	unsigned int n = 1;

	for (unsigned int i = 0; i < n; i++) {
		struct vd_done done;
		const uint8_t *at;
		int got = bed_get(b, q, &done, 1, timeout_ms);

		assert_true(got >= 0);
		if (!got && !i)
			return 0;
		assert_int_equal(got, 1);
		at = nb_mem(b, q) + slot_of[q][done.id] * each_of[q];
		if (!i) {
			assert_true(done.len >= sizeof(*ret_hdr));
			memcpy(ret_hdr, at, sizeof(*ret_hdr));
			n = le16toh(ret_hdr->num_buffers);
			assert_true(n >= 1 && n <= SLOTS);
			at += sizeof(*ret_hdr);
			done.len -= (uint32_t)sizeof(*ret_hdr);
		}
		assert_true(len + done.len <= TF_MAX);
		memcpy(buf + len, at, done.len);
		len += done.len;
	}
	return len;
}

void tf_dispatch(struct bed *b, unsigned int ms)
{
	uint64_t end = vd_now_ns() + ms * 1000000ull;

	while (vd_now_ns() < end) {
		struct pollfd p = { uvdpa_fd(b->u), POLLIN, 0 };

		poll(&p, 1, 1);
		uvdpa_dispatch(b->u, 0);
	}
}

bool tf_link_is_up(struct bed *b)
{
	uint16_t status;

	assert_int_equal(uvdpa_dev_get_config(b->dev, 6, &status, 2), 0);
	return le16toh(status) & VIRTIO_NET_S_LINK_UP;
}

void tf_until_link(struct bed *b, bool up)
{
	for (unsigned int i = 0; i < TF_SOON_MS / 5 && tf_link_is_up(b) != up; i++)
		tf_dispatch(b, 5);
	assert_int_equal(tf_link_is_up(b), up);
}

static bool is_told(struct bed *b)
{
	struct vd_net *net = container_of(b->dev, struct vd_net, sd.dev);
	const struct vd_tap *tap = container_of(net, struct vd_tap, net);

	return !net->fewer.armed && !tap->leaving && !tap->dev->busy;
}

void tf_until_told(struct bed *b)
{
	tf_dispatch(b, 5);
	for (unsigned int i = 0; i < TF_SOON_MS / 5 && !is_told(b); i++)
		tf_dispatch(b, 5);
	assert_true(is_told(b));
}

void tf_until(struct bed *b, const char *key, const char *value)
{
	for (unsigned int i = 0; i < TF_SOON_MS / 5 && strcmp(bed_shown(b, key), value) != 0; i++)
		tf_dispatch(b, 5);
	assert_string_equal(bed_shown(b, key), value);
}

void tf_until_gone(const char *ifname)
{
	for (unsigned int i = 0; i < TF_SOON_MS / 5 && if_nametoindex(ifname); i++)
		usleep(5000);
	assert_int_equal(if_nametoindex(ifname), 0);
}
