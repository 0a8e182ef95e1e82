/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-gro.c - frames that may be segments of one: a length of two bytes, and a frame, again and
 * again
 *
 * What must hold: no access outside (the sanitizers); and what was put together and is cut up again
 * is what came, but for IPv4's id and the checksum over it; and 0 as a checksum of TCP becomes
 * 0xffff, which is as good, and what Linux makes of it.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "softdev/net-gro.h"
#include "softdev/net-gso.h"

#define must(cond) ((cond) ? (void)0 : abort())

#define ID        18 /* IPv4's, in a frame without a tag */
#define CSUM      24
#define TCP4_CSUM 50
#define TCP6_CSUM 70

static void is_what_came(const struct vd_net_frame *f, const struct vd_net_seg *seg)
{
	uint8_t is[VD_NET_FRAME_MAX], was[VD_NET_FRAME_MAX];
	struct vd_sg data = seg->data, came = vd_sg(f->iov, f->niov);
	size_t sum;

	must(seg->nhead + seg->ndata == f->len && f->len <= sizeof(is));
	memcpy(is, seg->head, seg->nhead);
	must(vd_sg_read(&data, is + seg->nhead, seg->ndata) == seg->ndata);
	must(vd_sg_read(&came, was, f->len) == f->len);
	sum = was[12] == 0x08 ? TCP4_CSUM : TCP6_CSUM;
	if (vd_get_be16(was + sum) == 0)
		memset(was + sum, 0xff, 2);
	if (was[12] == 0x08) {
		memcpy(is + ID, was + ID, 2);
		memcpy(is + CSUM, was + CSUM, 2);
	}
	must(memcmp(is, was, f->len) == 0);
}

static void run(const struct vd_net_frame *frames, unsigned int n)
{
	struct vd_net_seg seg;
	struct vd_net_gro g;
	struct vd_net_gso cut;
	unsigned int k = vd_net_gro(&g, frames, n, VD_NET_GRO_OFFLOADS), i = 0;

	must(k >= 1 && k <= n);
	if (k == 1)
		return;
	must(vd_net_fits(VD_NET_GRO_OFFLOADS, &g.frame.hdr));
	must(vd_net_gso_begin(&cut, &g.frame, 0, 1) == 0);
	for (; vd_net_gso_next(&cut, &seg); i++) {
		must(i < k);
		is_what_came(&frames[i], &seg);
	}
	must(i == k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vd_net_frame frames[80];
	struct vd_iov iov[80];
	unsigned int n = 0;

	while (n < 80 && size >= 2) {
		size_t len = (size_t)(data[0] | data[1] << 8);

		data += 2;
		size -= 2;
		len = vd_min(len, size);
		if (len < VD_NET_HLEN)
			break;
		iov[n] = (struct vd_iov){ vd_guest_wrap(uint8_t, malloc(len)), len };
		vd_guest_write(iov[n].base, data, len);
		frames[n] =
			(struct vd_net_frame){ .iov = &iov[n], .niov = 1, .len = (uint32_t)len };
		n++;
		data += len;
		size -= len;
	}
	if (n)
		run(frames, n);
	for (unsigned int i = 0; i < n; i++)
		free(vd_guest_expose(iov[i].base));
	return 0;
}
