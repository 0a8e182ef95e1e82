/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/sg.h"

size_t vd_sg_len(const struct vd_sg *sg)
{
	size_t len = 0;

	for (unsigned int i = 0; i < sg->n; i++)
		len += sg->iov[i].len;
	return len - sg->off;
}

/* The bytes at the cursor that lie together, at most @len; the cursor moves behind them. */
static struct vd_iov next(struct vd_sg *sg, size_t len)
{
	struct vd_iov piece = { sg->iov->base + sg->off, vd_min(len, sg->iov->len - sg->off) };

	sg->off += piece.len;
	if (sg->off == sg->iov->len) {
		sg->iov++;
		sg->n--;
		sg->off = 0;
	}
	return piece;
}

size_t vd_sg_read(struct vd_sg *sg, void *to, size_t len)
{
	size_t done = 0;

	while (done < len && sg->n) {
		struct vd_iov p = next(sg, len - done);

		vd_guest_read((char *)to + done, p.base, p.len);
		done += p.len;
	}
	return done;
}

size_t vd_sg_write(struct vd_sg *sg, const void *from, size_t len)
{
	size_t done = 0;

	while (done < len && sg->n) {
		struct vd_iov p = next(sg, len - done);

		vd_guest_write(p.base, (const char *)from + done, p.len);
		done += p.len;
	}
	return done;
}

size_t vd_sg_fill(struct vd_sg *sg, int byte, size_t len)
{
	size_t done = 0;

	while (done < len && sg->n) {
		struct vd_iov p = next(sg, len - done);

		vd_guest_fill(p.base, byte, p.len);
		done += p.len;
	}
	return done;
}

size_t vd_sg_copy(struct vd_sg *to, struct vd_sg *from, size_t len)
{
	size_t done = 0;

	while (done < len && to->n && from->n) {
		size_t room = from->iov->len - from->off;
		struct vd_iov t = next(to, vd_min(len - done, room));
		struct vd_iov f = next(from, t.len);

		vd_guest_copy(t.base, f.base, t.len);
		done += t.len;
	}
	return done;
}

size_t vd_sg_skip(struct vd_sg *sg, size_t len)
{
	size_t done = 0;

	while (done < len && sg->n)
		done += next(sg, len - done).len;
	return done;
}
