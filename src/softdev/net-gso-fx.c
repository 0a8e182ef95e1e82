/* SPDX-License-Identifier: BSD-2-Clause */
#include "softdev/net-gso-fx.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct vd_net_hdr gso_hdr(const struct gso_case *c, const struct pkt_at *at)
{
	return (struct vd_net_hdr){
		.flags = c->no_csum ? 0 : VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = c->type,
		.hdr_len = (uint16_t)at->data,
		.gso_size = c->size,
		.csum_start = c->no_csum ? 0 : (uint16_t)at->l4,
		.csum_offset = c->no_csum                    ? 0
			       : c->pkt.proto == IPPROTO_TCP ? 16
							     : 6,
	};
}

static void take(struct gso_out *out, struct vd_net_seg *seg)
{
	size_t at = out->at[out->n];

	assert(out->n < GSO_SEGS && at + seg->nhead + seg->ndata <= sizeof(out->bytes));
	memcpy(out->bytes + at, seg->head, seg->nhead);
	assert(vd_sg_read(&seg->data, out->bytes + at + seg->nhead, seg->ndata) == seg->ndata);
	out->hdr[out->n++] = seg->hdr;
	out->at[out->n] = at + seg->nhead + seg->ndata;
}

int gso_run(const uint8_t *frame, size_t len, const struct vd_net_hdr *hdr, size_t each,
	    uint64_t guest, struct gso_out *out)
{
	struct vd_iov *iov = calloc(len / each + 1, sizeof(*iov));
	struct vd_net_frame f = { .iov = iov, .len = (uint32_t)len, .hdr = *hdr };
	struct vd_net_gso g;
	struct vd_net_seg seg;
	int err;

	for (size_t at = 0; at < len; at += each) {
		size_t n = vd_min(each, len - at);

		iov[f.niov].base = vd_guest_wrap(uint8_t, malloc(n));
		iov[f.niov].len = n;
		vd_guest_write(iov[f.niov++].base, frame + at, n);
	}
	out->n = 0;
	out->at[0] = 0;
	err = vd_net_gso_begin(&g, &f, guest, 0x12345678);
	while (!err && vd_net_gso_next(&g, &seg))
		take(out, &seg);
	for (unsigned int i = 0; i < f.niov; i++)
		free(vd_guest_expose(iov[i].base));
	free(iov);
	return err;
}
