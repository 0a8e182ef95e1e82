/* SPDX-License-Identifier: BSD-2-Clause */
#include "parent/nbd-cmd.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/err.h"

#define BOUNCE     131072u    /* bytes of a bounce buffer; a multiple of every block size */
#define DIRECT_MIN 16384u     /* bytes for which a command of their own is cheaper than copying */
#define RANGE_MAX  (1u << 30) /* bytes of a TRIM or WRITE_ZEROES; the protocol has 32 bits */

static_assert(BOUNCE % VD_BLK_BLOCK_SIZE_MAX == 0, "a command is whole blocks");

void vd_nbd_cmds_reset(struct vd_nbd_cmds *s)
{
	s->free = NULL;
	s->answered = NULL;
	s->answered_end = &s->answered;
	for (unsigned int i = VD_NBD_CMDS; i-- > 0;) {
		s->cmd[i].next = s->free;
		s->free = &s->cmd[i];
	}
	s->nfree = VD_NBD_CMDS;
}

int vd_nbd_cmds_init(struct vd_nbd_cmds *s)
{
	/* Takes no memory until it is used. */
	s->bounce = mmap(NULL, (size_t)VD_NBD_CMDS * BOUNCE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->bounce == MAP_FAILED)
		return vd_err(-errno, "bounce buffers: %m");
	for (unsigned int i = 0; i < VD_NBD_CMDS; i++) {
		s->cmd[i].all = s;
		s->cmd[i].buf = s->bounce + (size_t)i * BOUNCE;
	}
	vd_nbd_cmds_reset(s);
	return 0;
}

void vd_nbd_cmds_fini(struct vd_nbd_cmds *s)
{
	munmap(s->bounce, (size_t)VD_NBD_CMDS * BOUNCE);
}

/*
 * libnbd's callback; from within any of its functions, so nothing happens here. In the function
 * that issues the command libnbd looks at it once more afterwards, so it is not freed yet.
 */
static int answered(void *user_data, int *error)
{
	struct vd_nbd_cmd *cmd = user_data;
	struct vd_nbd_cmds *s = cmd->all;

	cmd->error = *error;
	cmd->next = NULL;
	*s->answered_end = cmd;
	s->answered_end = &cmd->next;
	return cmd != s->issuing; /* need libnbd not keep it? */
}

struct vd_nbd_cmd *vd_nbd_cmd_take(struct vd_nbd_cmds *s)
{
	struct vd_nbd_cmd *cmd = s->answered;

	if (!cmd)
		return NULL;
	s->answered = cmd->next;
	if (!s->answered)
		s->answered_end = &s->answered;
	return cmd;
}

static void set_free(struct vd_nbd_cmd *cmd)
{
	cmd->next = cmd->all->free;
	cmd->all->free = cmd;
	cmd->all->nfree++;
}

void vd_nbd_cmd_put(struct vd_nbd_cmd *cmd)
{
	struct vd_sg sg = vd_sg(cmd->req->iov, cmd->req->niov);

	if (cmd->bounced && !cmd->error && cmd->req->op == VD_BLK_READ) {
		vd_sg_skip(&sg, cmd->pos);
		vd_sg_write(&sg, cmd->buf, cmd->len);
	}
	set_free(cmd);
}

/* Bytes that lie together at the cursor. */
static size_t together(const struct vd_sg *sg)
{
	size_t len = sg->iov->len - sg->off;

	for (unsigned int i = 1; i < sg->n; i++) {
		if (sg->iov[i].base != sg->iov[i - 1].base + sg->iov[i - 1].len)
			break;
		len += sg->iov[i].len;
	}
	return len;
}

/* Choose how much of the data @cmd moves. Return: where it is. */
static void *place_data(const struct vd_nbd_cmds *s, struct vd_nbd_cmd *cmd)
{
	struct vd_blk_req *req = cmd->req;
	uint64_t left = req->len - req->done, len;
	struct vd_sg sg = vd_sg(req->iov, req->niov);

	vd_sg_skip(&sg, req->done);
	len = vd_min(together(&sg), left);
	if (len < left)
		len -= len % s->block_size;
	cmd->bounced = len < vd_min(left, (uint64_t)DIRECT_MIN);
	if (!cmd->bounced) {
		cmd->len = (uint32_t)vd_min(len, (uint64_t)s->payload_max);
		return vd_guest_expose(sg.iov->base + sg.off);
	}
	cmd->len = (uint32_t)vd_min(left, (uint64_t)vd_min(BOUNCE, s->payload_max));
	if (req->op == VD_BLK_WRITE)
		vd_sg_read(&sg, cmd->buf, cmd->len);
	return cmd->buf;
}

/* Return: as libnbd's. */
static int64_t issue(struct vd_nbd_cmds *s, struct vd_nbd_cmd *cmd)
{
	nbd_completion_callback cb = { .callback = answered, .user_data = cmd };
	struct vd_blk_req *req = cmd->req;
	uint32_t fua = req->durable && s->fua ? LIBNBD_CMD_FLAG_FUA : 0;
	uint32_t hole = req->unmap ? 0 : LIBNBD_CMD_FLAG_NO_HOLE;
	uint64_t at = req->off + req->done;
	void *data;

	if (req->done == req->len) {
		cmd->flush = __atomic_add_fetch(s->flushes, 1, __ATOMIC_ACQ_REL);
		req->done++;
		return s->lib->nbd_aio_flush(s->h, cb, 0);
	}
	if (req->op == VD_BLK_READ || req->op == VD_BLK_WRITE) {
		data = place_data(s, cmd);
		req->done += cmd->len;
		return req->op == VD_BLK_READ ? s->lib->nbd_aio_pread(s->h, data, cmd->len, at, cb, 0)
					      : s->lib->nbd_aio_pwrite(s->h, data, cmd->len, at, cb, fua);
	}
	cmd->len = (uint32_t)vd_min(req->len - req->done, (uint64_t)RANGE_MAX);
	req->done += cmd->len;
	return req->op == VD_BLK_DISCARD ? s->lib->nbd_aio_trim(s->h, cmd->len, at, cb, 0)
					 : s->lib->nbd_aio_zero(s->h, cmd->len, at, cb, fua | hole);
}

int vd_nbd_cmd_issue(struct vd_nbd_cmds *s, struct vd_blk_req *req)
{
	struct vd_nbd_cmd *cmd = s->free;
	int64_t cookie;
	int err;

	s->free = cmd->next;
	s->nfree--;
	cmd->req = req;
	cmd->pos = req->done;
	cmd->flush = 0;
	cmd->bounced = false;
	req->parts++;
	s->issuing = cmd;
	cookie = issue(s, cmd);
	s->issuing = NULL;
	if (cookie >= 0) {
		if (s->answered_end == &cmd->next && !s->lib->nbd_aio_is_dead(s->h))
			s->lib->nbd_aio_command_completed(s->h, (uint64_t)cookie);
		return 0;
	}
	err = s->lib->nbd_get_errno();
	req->parts--;
	set_free(cmd);
	return err ? -err : -EIO;
}
