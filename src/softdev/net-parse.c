/* SPDX-License-Identifier: BSD-2-Clause */
#include "softdev/net-parse.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#define EXT_MAX       8u /* extension headers that are looked behind */
#define OPT_PAD1      0u
#define OPT_HOME      0xc9u   /* RFC 6275, 6.3 */
#define ROUTE_HOME    2u      /* RFC 6275, 6.4 */
#define FRAG_OFF_MORE 0x3fffu /* IPv4: the offset, and that there is more */

static void parse4(struct vd_net_pkt *pkt, const uint8_t *b, size_t len)
{
	const uint8_t *ip = b + pkt->l3;
	size_t l4 = pkt->l3 + 4u * (len > pkt->l3 ? ip[0] & 0xfu : 0);

	if (len < pkt->l3 + 20u || ip[0] >> 4 != 4 || l4 < pkt->l3 + 20u)
		return;
	pkt->version = 4;
	pkt->proto = ip[9];
	pkt->src = (uint16_t)(pkt->l3 + 12);
	pkt->dst = (uint16_t)(pkt->l3 + 16);
	pkt->fragment = vd_get_be16(ip + 6) & FRAG_OFF_MORE;
	if (!pkt->fragment && l4 + VD_NET_L4_MIN <= len)
		pkt->l4 = (uint16_t)l4;
}

/* Options from @at to @end, which is within the bytes. */
static void find_home(struct vd_net_pkt *pkt, const uint8_t *b, size_t at, size_t end)
{
	while (at + 2 <= end) {
		if (b[at] == OPT_PAD1) {
			at++;
			continue;
		}
		if (b[at] == OPT_HOME && b[at + 1] == 16 && at + 18 <= end) {
			pkt->home = (uint16_t)(at + 2);
			return;
		}
		at += 2u + b[at + 1];
	}
}

static void parse6(struct vd_net_pkt *pkt, const uint8_t *b, size_t len)
{
	const uint8_t *ip = b + pkt->l3;
	size_t at = pkt->l3 + 40u, next_at = pkt->l3 + 6u, end;

	if (len < at || ip[0] >> 4 != 6)
		return;
	pkt->version = 6;
	pkt->src = (uint16_t)(pkt->l3 + 8);
	pkt->dst = (uint16_t)(pkt->l3 + 24);
	pkt->frag = (uint16_t)at;
	pkt->frag_next = (uint16_t)next_at;
	for (unsigned int i = 0;; i++) {
		pkt->proto = b[next_at];
		switch (pkt->proto) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			break;
		case IPPROTO_FRAGMENT:
			pkt->ext = true;
			pkt->fragment = true;
			return;
		default:
			if (at + VD_NET_L4_MIN <= len)
				pkt->l4 = (uint16_t)at;
			return;
		}
		pkt->ext = true;
		end = at + 8;
		if (i == EXT_MAX || end > len || (end += 8u * b[at + 1]) > len)
			return;
		if (pkt->proto == IPPROTO_DSTOPTS)
			find_home(pkt, b, at + 2, end);
		else if (pkt->proto == IPPROTO_ROUTING && b[at + 2] == ROUTE_HOME && end - at >= 24)
			pkt->via = (uint16_t)(at + 8);
		next_at = at;
		/* What routers read comes before a fragment header (RFC 8200, 4.5). */
		if (pkt->proto != IPPROTO_DSTOPTS) {
			pkt->frag = (uint16_t)end;
			pkt->frag_next = (uint16_t)next_at;
		}
		at = end;
	}
}

void vd_net_parse(struct vd_net_pkt *pkt, const uint8_t *b, size_t len)
{
	size_t at = ETH_HLEN;
	uint16_t type;

	memset(pkt, 0, sizeof(*pkt));
	len = len < UINT16_MAX ? len : UINT16_MAX; /* offsets are 16 bits */
	if (len < ETH_HLEN)
		return;
	type = vd_get_be16(b + 12);
	for (unsigned int i = 0;
	     i < VD_NET_TAGS_MAX && (type == ETH_P_8021Q || type == ETH_P_8021AD); i++) {
		if (len < at + 4)
			return;
		type = vd_get_be16(b + at + 2);
		at += 4;
	}
	pkt->l3 = (uint16_t)at;
	if (type == ETH_P_IP)
		parse4(pkt, b, len);
	else if (type == ETH_P_IPV6)
		parse6(pkt, b, len);
}
