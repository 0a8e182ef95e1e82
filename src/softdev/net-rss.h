/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-rss.h - which receive queue a frame goes to (virtio 1.3, 5.1.6.5.5 to 5.1.6.5.7)
 *
 * Either the driver says how: a Toeplitz hash and a table. Or a flow comes back on the queue next
 * to the one on which the driver sent of it last.
 */
#ifndef VD_SOFTDEV_NET_RSS_H
#define VD_SOFTDEV_NET_RSS_H

#include "mem/sg.h"
#include "softdev/net-parse.h"
#include "virtq/net-uapi.h"

#define VD_NET_RSS_KEY_MAX   40u    /* bytes: a hash over two IPv6 addresses and ports */
#define VD_NET_RSS_TABLE_MAX 128u   /* entries */
#define VD_NET_RSS_INPUT_MAX 36u    /* bytes */
#define VD_NET_RSS_TYPES     0x1ffu /* all of VIRTIO_NET_RSS_HASH_TYPE_* */

/**
 * struct vd_net_rss - What the driver has configured; all but report is zero at the start
 * @report: the driver is told the hash
 * @steer: the hash chooses the queue
 * @types: that are hashed; 0: none
 * @mask: of a hash, for an index into @table
 * @unclassified: pair for what has no hash
 * @table: pairs
 * @lut: the key, as what each half byte of the input adds to the hash
 */
struct vd_net_rss {
	bool report, steer;
	uint32_t types;
	uint16_t mask, unclassified;
	uint16_t table[VD_NET_RSS_TABLE_MAX];
	uint32_t lut[2 * VD_NET_RSS_INPUT_MAX][16];
};

/* @report: VIRTIO_NET_HASH_REPORT_*; NONE: there is no hash. Host-endian. */
struct vd_net_hash {
	uint32_t value;
	uint16_t report;
};

/* @len: at most VD_NET_RSS_KEY_MAX; what is missing is zeros. */
void vd_net_rss_key(struct vd_net_rss *rss, const uint8_t *key, size_t len);

/**
 * vd_net_rss_hash() - The hash of a frame (virtio 1.3, 5.1.6.4.3)
 * @b: its first bytes, of which @pkt was made
 *
 * Context: any thread, while nobody configures.
 */
struct vd_net_hash vd_net_rss_hash(const struct vd_net_rss *rss, const uint8_t *b,
				   const struct vd_net_pkt *pkt);

/* Return: the pair; below what max_pairs was when it was configured. */
static inline unsigned int vd_net_rss_pair(const struct vd_net_rss *rss, struct vd_net_hash hash)
{
	return hash.report == VIRTIO_NET_HASH_REPORT_NONE ? rss->unclassified
							  : rss->table[hash.value & rss->mask];
}

/**
 * vd_net_rss_config() - VIRTIO_NET_CTRL_MQ_RSS_CONFIG
 * @rss: changed on success only
 * @cmd: what follows the command's header, all of it
 * @max_pairs: that the device has
 * @ret_pairs: that the driver will send on
 *
 * Return: 0; -EINVAL: a length, a type, a queue or the mask makes no sense.
 * Context: the control queue's worker; nobody hashes meanwhile.
 */
int vd_net_rss_config(struct vd_net_rss *rss, struct vd_sg *cmd, unsigned int max_pairs,
		      unsigned int *ret_pairs);

/* VIRTIO_NET_CTRL_MQ_HASH_CONFIG: the same for a hash that is only told. */
int vd_net_rss_hash_config(struct vd_net_rss *rss, struct vd_sg *cmd);

/* ---- flows come back to where they left ---------------------------------------------------- */

#define VD_NET_FLOWS 1024u

/* Which pair a flow was sent on last; all zero at the start. */
struct vd_net_flows {
	uint32_t slot[VD_NET_FLOWS]; /* atomic: 1 + pair; above it, 16 bits of the flow's hash */
};

/* A number for a flow, the same in both directions. */
uint32_t vd_net_flow(const uint8_t *b, size_t len, const struct vd_net_pkt *pkt);

/* The driver sent of it. Any thread; @pair below 65535. */
static inline void vd_net_flow_sent(struct vd_net_flows *flows, uint32_t flow, unsigned int pair)
{
	uint32_t *slot = &flows->slot[flow % VD_NET_FLOWS];
	uint32_t is = (flow & 0xffff0000u) | (pair + 1);

	/* Others look here for each frame: store what changed only. */
	if (__atomic_load_n(slot, __ATOMIC_RELAXED) != is)
		__atomic_store_n(slot, is, __ATOMIC_RELAXED);
}

/* Return: the pair that a frame of it goes to, of @pairs in use (not 0). Any thread. */
static inline unsigned int vd_net_flow_pair(const struct vd_net_flows *flows, uint32_t flow,
					    unsigned int pairs)
{
	uint32_t is = __atomic_load_n(&flows->slot[flow % VD_NET_FLOWS], __ATOMIC_RELAXED);
	unsigned int pair = is & 0xffffu;

	if (((is ^ flow) & 0xffff0000u) == 0 && pair - 1 < pairs)
		return pair - 1;
	return (unsigned int)((uint64_t)flow * pairs >> 32);
}

#endif
