/* SPDX-License-Identifier: BSD-2-Clause */
#include "softdev/net-rss.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static_assert(offsetof(struct virtio_net_rss_config, indirection_table) == 8,
	      "virtio 1.3, 5.1.6.5.7");
static_assert(offsetof(struct virtio_net_hash_config, hash_key_data) == 13,
	      "virtio 1.3, 5.1.6.5.6");

/* 32 bits of the key, from bit @at on. */
static uint32_t key_bits(const uint8_t *key, unsigned int at)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < 5; i++)
		v = v << 8 | (at / 8 + i < VD_NET_RSS_KEY_MAX ? key[at / 8 + i] : 0u);
	return (uint32_t)(v >> (8 - at % 8));
}

void vd_net_rss_key(struct vd_net_rss *rss, const uint8_t *key, size_t len)
{
	uint8_t padded[VD_NET_RSS_KEY_MAX] = { 0 };

	memcpy(padded, key, len);
	for (unsigned int n = 0; n < VD_ARRAY_SIZE(rss->lut); n++)
		for (unsigned int v = 0; v < 16; v++) {
			uint32_t sum = 0;

			for (unsigned int bit = 0; bit < 4; bit++)
				if (v & 8u >> bit)
					sum ^= key_bits(padded, 4 * n + bit);
			rss->lut[n][v] = sum;
		}
}

static uint32_t toeplitz(const struct vd_net_rss *rss, const uint8_t *in, unsigned int len)
{
	uint32_t hash = 0;

	for (unsigned int i = 0; i < len; i++)
		hash ^= rss->lut[2 * i][in[i] >> 4] ^ rss->lut[2 * i + 1][in[i] & 0xf];
	return hash;
}

/* What is hashed of a packet, and how that is called; NONE: nothing. */
struct input {
	uint16_t report;
	uint16_t src, dst;
	bool ports;
};

#define TYPE(t)   VIRTIO_NET_RSS_HASH_TYPE_##t
#define REPORT(t) VIRTIO_NET_HASH_REPORT_##t

static struct input input4(uint32_t types, const struct vd_net_pkt *p)
{
	struct input in = { REPORT(NONE), p->src, p->dst, true };

	if (types & TYPE(TCPv4) && p->l4 && p->proto == IPPROTO_TCP)
		in.report = REPORT(TCPv4);
	else if (types & TYPE(UDPv4) && p->l4 && p->proto == IPPROTO_UDP)
		in.report = REPORT(UDPv4);
	else if (types & TYPE(IPv4))
		in = (struct input){ REPORT(IPv4), p->src, p->dst, false };
	return in;
}

static struct input input6(uint32_t types, const struct vd_net_pkt *p)
{
	struct input in = { REPORT(NONE), p->src, p->dst, true };
	bool tcp = p->l4 && p->proto == IPPROTO_TCP, udp = p->l4 && p->proto == IPPROTO_UDP;

	if (p->ext && (types & TYPE(IP_EX) || (tcp && types & TYPE(TCP_EX)) ||
		       (udp && types & TYPE(UDP_EX)))) {
		in.src = p->home ? p->home : p->src;
		in.dst = p->via ? p->via : p->dst;
		if (tcp && types & TYPE(TCP_EX))
			in.report = REPORT(TCPv6_EX);
		else if (udp && types & TYPE(UDP_EX))
			in.report = REPORT(UDPv6_EX);
		else
			in = (struct input){ REPORT(IPv6_EX), in.src, in.dst, false };
	} else if (tcp && types & TYPE(TCPv6)) {
		in.report = REPORT(TCPv6);
	} else if (udp && types & TYPE(UDPv6)) {
		in.report = REPORT(UDPv6);
	} else if (types & TYPE(IPv6)) {
		in = (struct input){ REPORT(IPv6), p->src, p->dst, false };
	}
	return in;
}

struct vd_net_hash vd_net_rss_hash(const struct vd_net_rss *rss, const uint8_t *b,
				   const struct vd_net_pkt *pkt)
{
	uint8_t buf[VD_NET_RSS_INPUT_MAX];
	unsigned int n = pkt->version == 4 ? 4 : 16;
	struct input in = { REPORT(NONE), 0, 0, false };

	if (pkt->version == 4)
		in = input4(rss->types, pkt);
	else if (pkt->version == 6)
		in = input6(rss->types, pkt);
	if (in.report == REPORT(NONE))
		return (struct vd_net_hash){ 0 };
	memcpy(buf, b + in.src, n);
	memcpy(buf + n, b + in.dst, n);
	if (in.ports)
		memcpy(buf + 2 * n, b + pkt->l4, 4);
	return (struct vd_net_hash){ toeplitz(rss, buf, 2 * n + (in.ports ? 4 : 0)), in.report };
}

static bool get16(struct vd_sg *cmd, uint16_t *ret)
{
	__le16 v;

	if (vd_sg_read(cmd, &v, 2) != 2)
		return false;
	*ret = le16toh(v);
	return true;
}

/* The key, which is the end of both commands. */
static int get_key(struct vd_net_rss *rss, struct vd_sg *cmd, uint32_t types)
{
	uint8_t key[VD_NET_RSS_KEY_MAX], len;

	if (vd_sg_read(cmd, &len, 1) != 1 || len > sizeof(key) || vd_sg_len(cmd) != len ||
	    types & ~VD_NET_RSS_TYPES || (types && !len))
		return -EINVAL;
	vd_sg_read(cmd, key, len);
	vd_net_rss_key(rss, key, len);
	rss->types = types;
	return 0;
}

int vd_net_rss_config(struct vd_net_rss *rss, struct vd_sg *cmd, unsigned int max_pairs,
		      unsigned int *ret_pairs)
{
	uint16_t table[VD_NET_RSS_TABLE_MAX], mask, unclassified, pairs;
	__le32 types;
	int err;

	/* A queue is a pair's number; its topmost bit is reserved, and above all of them. */
	if (vd_sg_read(cmd, &types, 4) != 4 || !get16(cmd, &mask) || !get16(cmd, &unclassified) ||
	    mask >= VD_NET_RSS_TABLE_MAX || mask & (mask + 1u) || unclassified >= max_pairs)
		return -EINVAL;
	for (unsigned int i = 0; i <= mask; i++)
		if (!get16(cmd, &table[i]) || table[i] >= max_pairs)
			return -EINVAL;
	if (!get16(cmd, &pairs) || !pairs || pairs > max_pairs)
		return -EINVAL;
	err = get_key(rss, cmd, le32toh(types));
	if (err)
		return err;
	rss->steer = true;
	rss->mask = mask;
	rss->unclassified = unclassified;
	memcpy(rss->table, table, (mask + 1u) * sizeof(table[0]));
	*ret_pairs = pairs;
	return 0;
}

int vd_net_rss_hash_config(struct vd_net_rss *rss, struct vd_sg *cmd)
{
	__le32 types;

	/* What is reserved may be anything: it is there so that both commands look alike. */
	if (vd_sg_read(cmd, &types, 4) != 4 || vd_sg_skip(cmd, 8) != 8)
		return -EINVAL;
	return get_key(rss, cmd, le32toh(types));
}

/* The sum and the exclusive or know no order, and together tell most pairs apart. */
static uint64_t both_ways(uint64_t a, uint64_t b)
{
	return (a ^ b) * 0x9e3779b97f4a7c15ull + (a + b);
}

static uint64_t word(const uint8_t *p, unsigned int len)
{
	uint64_t v = 0;

	memcpy(&v, p, len);
	return v;
}

uint32_t vd_net_flow(const uint8_t *b, size_t len, const struct vd_net_pkt *pkt)
{
	uint64_t h = pkt->proto;

	if (pkt->version == 4)
		h += both_ways(word(b + pkt->src, 4), word(b + pkt->dst, 4));
	else if (pkt->version == 6)
		h += both_ways(word(b + pkt->src, 8) * 31 + word(b + pkt->src + 8, 8),
			       word(b + pkt->dst, 8) * 31 + word(b + pkt->dst + 8, 8));
	else if (len >= 12)
		h += both_ways(word(b, 6), word(b + 6, 6));
	if (pkt->l4 && (pkt->proto == IPPROTO_TCP || pkt->proto == IPPROTO_UDP))
		h = h * 31 + both_ways(word(b + pkt->l4, 2), word(b + pkt->l4 + 2, 2));
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	return (uint32_t)(h >> 32);
}
