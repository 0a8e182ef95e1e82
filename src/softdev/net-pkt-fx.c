/* SPDX-License-Identifier: BSD-2-Clause */
#include "softdev/net-pkt-fx.h"

#include <arpa/inet.h>
#include <string.h>

static uint8_t *put16(uint8_t *p, unsigned int v)
{
	*p++ = (uint8_t)(v >> 8);
	*p++ = (uint8_t)v;
	return p;
}

static unsigned int get16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

uint32_t pkt_sum(uint32_t sum, const uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? b[i] : (uint32_t)b[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

uint16_t pkt_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

static uint8_t *put_ext(const struct pkt *p, uint8_t *b, unsigned int i)
{
	uint8_t type = p->ext[i];
	const char *addr = NULL;
	bool first = !memchr(p->ext, type, i);

	b[0] = i + 1 < p->next ? p->ext[i + 1] : p->proto;
	b[1] = 0;
	memset(b + 2, 0, 6);
	if (type == IPPROTO_DSTOPTS && first && p->home) {
		addr = p->home; /* padding; the option lies as RFC 6275 wants it, 8n + 6 */
		b[1] = 2;
		b[2] = 1;
		b[3] = 2;
		b[6] = 0xc9;
		b[7] = 16;
	} else if (type == IPPROTO_ROUTING && first && p->via) {
		addr = p->via;
		b[1] = 2;
		b[2] = 2;
		b[3] = 1;
	} else if (type != IPPROTO_FRAGMENT) {
		b[2] = 1; /* PadN, or a routing header of no known type */
		b[3] = 4;
	}
	if (!addr)
		return b + 8;
	inet_pton(AF_INET6, addr, b + 8);
	return b + 24;
}

static uint8_t *put_ip(const struct pkt *p, uint8_t *b)
{
	if (strchr(p->src, ':')) {
		memset(b, 0, 40);
		b[0] = 0x60;
		b[6] = p->next ? p->ext[0] : p->proto;
		b[7] = 64;
		inet_pton(AF_INET6, p->src, b + 8);
		inet_pton(AF_INET6, p->dst, b + 24);
		b += 40;
		for (unsigned int i = 0; i < p->next; i++)
			b = put_ext(p, b, i);
		return b;
	}
	memset(b, 0, 20);
	b[0] = (uint8_t)(0x45 + p->ip_opts / 4);
	put16(b + 4, p->ip_id);
	put16(b + 6, p->frag | (p->no_df || p->frag ? 0 : 0x4000));
	b[8] = 64;
	b[9] = p->proto;
	inet_pton(AF_INET, p->src, b + 12);
	inet_pton(AF_INET, p->dst, b + 16);
	memset(b + 20, 1, p->ip_opts); /* no operation */
	return b + 20 + p->ip_opts;
}

static uint8_t *put_l4(const struct pkt *p, uint8_t *b)
{
	uint8_t *l4 = b;

	b = put16(put16(b, p->sport), p->dport);
	if (p->proto == IPPROTO_UDP) {
		put16(put16(b, (unsigned int)(8 + p->payload)), 0);
		b += 4;
	} else if (p->proto == IPPROTO_TCP) {
		memset(b, 0, 16);
		put16(put16(b, p->seq >> 16), p->seq & 0xffff);
		l4[12] = (uint8_t)((5 + p->tcp_opts / 4) << 4);
		l4[13] = p->tcp_flags;
		put16(l4 + 14, 1000);
		memset(l4 + 20, 1, p->tcp_opts);
		b = l4 + 20 + p->tcp_opts;
	}
	return b;
}

struct pkt_at pkt_make(const struct pkt *p, uint8_t *buf)
{
	bool v6 = strchr(p->src, ':');
	struct pkt_at at;
	uint8_t *b = buf, *ip, *l4;
	uint32_t sum;
	size_t csum;

	memset(b, 0, 12);
	b[0] = b[6] = b[11] = 2;
	b[5] = 1;
	b += 12;
	for (unsigned int i = 0; i < p->tags; i++)
		b = put16(put16(b, i + 1 < p->tags ? 0x88a8 : 0x8100), p->vid);
	b = put16(b, v6 ? 0x86dd : 0x0800);
	ip = b;
	l4 = put_ip(p, ip);
	b = put_l4(p, l4);
	at = (struct pkt_at){ .l3 = (size_t)(ip - buf),
			      .l4 = (size_t)(l4 - buf),
			      .data = (size_t)(b - buf) };
	for (size_t i = 0; i < p->payload; i++)
		b[i] = (uint8_t)(p->fill + i * 7);
	at.len = at.data + p->payload;
	if (v6) {
		put16(ip + 4, (unsigned int)(at.len - at.l3 - 40));
		sum = pkt_sum(0, ip + 8, 32);
	} else {
		put16(ip + 2, (unsigned int)(at.len - at.l3));
		put16(ip + 10, pkt_fold(pkt_sum(0, ip, 20 + p->ip_opts)));
		sum = pkt_sum(0, ip + 12, 8);
	}
	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)
		return at;
	sum += p->proto;
	sum += (uint32_t)(at.len - at.l4);
	csum = p->proto == IPPROTO_TCP ? 16 : 6;
	if (p->partial)
		put16(l4 + csum, (uint16_t)~pkt_fold(sum));
	else
		put16(l4 + csum, pkt_fold(pkt_sum(sum, l4, at.len - at.l4)));
	return at;
}

const char *pkt_wrong(const uint8_t *b, size_t len)
{
	size_t l3 = 14, l4, end;
	const uint8_t *ip;
	unsigned int type = get16(b + 12), proto;
	uint32_t sum;

	while (type == 0x8100 || type == 0x88a8) {
		type = get16(b + l3 + 2);
		l3 += 4;
	}
	ip = b + l3;
	if (type == 0x0800) {
		l4 = l3 + 4u * (ip[0] & 15);
		proto = ip[9];
		end = l3 + get16(ip + 2);
		if (pkt_fold(pkt_sum(0, ip, l4 - l3)))
			return "IP's checksum";
		if (get16(ip + 6) & 0x3fff)
			return "a fragment";
		sum = pkt_sum(0, ip + 12, 8);
	} else {
		l4 = l3 + 40;
		proto = ip[6];
		end = l4 + get16(ip + 4);
		while (proto == IPPROTO_HOPOPTS || proto == IPPROTO_DSTOPTS ||
		       proto == IPPROTO_ROUTING) {
			proto = b[l4];
			l4 += 8u + 8u * b[l4 + 1];
		}
		sum = pkt_sum(0, ip + 8, 32);
	}
	if (end != len)
		return "IP's length";
	if (proto == IPPROTO_UDP && get16(b + l4 + 4) != len - l4)
		return "UDP's length";
	sum += proto;
	sum += (uint32_t)(len - l4);
	return pkt_fold(pkt_sum(sum, b + l4, len - l4)) ? "the checksum" : NULL;
}
