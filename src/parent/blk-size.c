/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-size.c - the blk parent's image gets another size while it is used
 *
 * By us, when told to; or by another program, which is noticed when it closes the file (a block
 * device does not say so, and has to be looked at). A request behind the end of an image that
 * somebody cut, noticed or not, fails alone.
 */
#include "parent/blk-file.h"

#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/err.h"
#include "base/size.h"

int vd_file_resize(struct vd_blk *blk, uint64_t bytes, uint64_t *ret_bytes)
{
	struct vd_file *f = container_of(blk, struct vd_file, blk);
	const char *name = blk->sd.name;
	char has[VD_SIZE_TEXT], wanted[VD_SIZE_TEXT];
	uint64_t size;
	int r = vd_file_size(f, name, &size);

	if (r)
		return r;
	if (!bytes) {
		*ret_bytes = f->size = size;
		return 0;
	}
	if (f->is_block && bytes > size)
		return vd_err(-ENOSPC, "%s: size %s, and %s has %s", name,
			      vd_size_text(bytes, wanted), f->path, vd_size_text(size, has));
	if (blk->conf.readonly && bytes != size)
		return vd_err(-EROFS, "%s: %s is used for reading only", name, f->path);
	/* What is no less than the disk has cuts nothing, though the file may have more meanwhile.
	 */
	if (!f->is_block && (bytes > size || bytes < f->size) && ftruncate(f->fd, (off_t)bytes))
		return vd_err(-errno, "%s: size %s of %s: %m", name, vd_size_text(bytes, wanted),
			      f->path);
	*ret_bytes = f->size = bytes;
	return 0;
}

static void noticed(struct vd_notice *n)
{
	struct vd_file *f = container_of(n, struct vd_file, notice);
	uint64_t was = f->blk.capacity_sectors, size;
	char text[VD_SIZE_TEXT];

	if (vd_file_size(f, f->blk.sd.name, &size) ||
	    vd_blk_set_capacity(&f->blk, size / VD_BLK_SECTOR)) {
		vd_log_warn(vd_ctx_log(f->blk.sd.u), NULL, "%s", vd_err_text());
		return;
	}
	f->size = size;
	if (f->blk.capacity_sectors != was)
		vd_log_info(vd_ctx_log(f->blk.sd.u), f->blk.sd.name, "%s has %s now", f->path,
			    vd_size_text(size, text));
}

void vd_file_watch(struct vd_file *f)
{
	f->size = f->blk.capacity_sectors * VD_BLK_SECTOR;
	if (f->is_block)
		return;
	f->notice.fn = noticed;
	if (vd_notice_add(vd_ctx_loop(f->blk.sd.u), &f->notice, f->fd, IN_CLOSE_WRITE))
		vd_log_info(vd_ctx_log(f->blk.sd.u), f->blk.sd.name,
			    "%s; size 0 has to be set for another size to be seen", vd_err_text());
}
