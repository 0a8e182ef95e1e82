/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-gso.c - frames with work left to be done, as the input says
 *
 * Ten bytes of header: flags, type, then sizes; one says how the frame is cut into pieces, one what
 * the receiver takes. The rest is the frame.
 *
 * What must hold: no access outside (the sanitizers), segments that are no larger than the frame
 * and a fragment's header, as many as there may be, and no byte of data twice.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "softdev/net-gso.h"

#define must(cond) ((cond) ? (void)0 : abort())

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static void run(const struct vd_net_frame *f, uint64_t guest)
{
	uint32_t data = 0;
	unsigned int n = 0;
	struct vd_net_gso g;
	struct vd_net_seg seg;

	if (vd_net_gso_begin(&g, f, guest, 1))
		return;
	while (vd_net_gso_next(&g, &seg)) {
		must(++n <= VD_NET_GSO_SEGS_MAX);
		must(seg.nhead <= sizeof(g.head) && seg.nhead + seg.ndata <= f->len + 8);
		must(vd_sg_len(&seg.data) >= seg.ndata);
		must(!seg.hdr.gso_type);
		must(!seg.hdr.flags || seg.hdr.csum_start + seg.hdr.csum_offset + 2u <= seg.nhead);
		data += seg.ndata;
	}
	must(n && data <= f->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *b = data + 12;
	struct vd_iov iov[300];
	struct vd_net_frame f = { .iov = iov };
	size_t len = size - 12, each;

	if (size < 12 + VD_NET_HLEN || size > 65536)
		return 0;
	f.len = (uint32_t)len;
	f.hdr = (struct vd_net_hdr){ .flags = data[0],
				     .gso_type = data[1],
				     .hdr_len = le16(data + 2),
				     .gso_size = le16(data + 4),
				     .csum_start = le16(data + 6),
				     .csum_offset = le16(data + 8) };
	each = vd_max(data[10] ? data[10] : len, len / 256 + 1);
	for (size_t at = 0; at < len; at += each, f.niov++) {
		iov[f.niov].len = vd_min(each, len - at);
		iov[f.niov].base = vd_guest_wrap(uint8_t, malloc(iov[f.niov].len));
		vd_guest_write(iov[f.niov].base, b + at, iov[f.niov].len);
	}
	run(&f, data[11] & 1 ? VD_NET_F(GUEST_CSUM) : 0);
	for (unsigned int i = 0; i < f.niov; i++)
		free(vd_guest_expose(iov[i].base));
	return 0;
}
