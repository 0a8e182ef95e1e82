/* SPDX-License-Identifier: BSD-2-Clause */
#include "wire/vhost-user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/foreign.h"

/* What a request may carry. Every reply may be the 8 bytes of REPLY_ACK instead of its own. */
struct vu_row {
	const char *name;
	uint16_t min, max;		/* bytes of payload */
	uint8_t fds_min, fds_max;
	uint16_t reply_min, reply_max;	/* of its own reply; 0, 0: it has none */
};

#define MEM(n) (8 + (n) * sizeof(struct vd_vu_region))
#define SLOT (8 + sizeof(struct vd_vu_region))
#define INFLIGHT_MIN offsetof(struct vd_vu_inflight, padding)
#define INFLIGHT_MAX sizeof(struct vd_vu_inflight)
#define CONFIG_HDR offsetof(struct vd_vu_config, data)

static const struct vu_row requests[VD_VU_REQUEST_MAX] = {
	[VD_VU_GET_FEATURES] = { "GET_FEATURES", 0, 0, 0, 0, 8, 8 },
	[VD_VU_SET_FEATURES] = { "SET_FEATURES", 8, 8, 0, 0, 0, 0 },
	[VD_VU_SET_OWNER] = { "SET_OWNER", 0, 0, 0, 0, 0, 0 },
	[VD_VU_RESET_OWNER] = { "RESET_OWNER", 0, 0, 0, 0, 0, 0 },
	[VD_VU_SET_MEM_TABLE] = { "SET_MEM_TABLE", MEM(0), MEM(VD_VU_REGIONS_MAX), 0,
				  VD_VU_REGIONS_MAX, 0, 0 },
	[VD_VU_SET_LOG_BASE] = { "SET_LOG_BASE", 8, 16, 0, 1, 0, 16 },
	[VD_VU_SET_LOG_FD] = { "SET_LOG_FD", 0, 8, 0, 1, 0, 0 },
	[VD_VU_SET_VRING_NUM] = { "SET_VRING_NUM", 8, 8, 0, 0, 0, 0 },
	[VD_VU_SET_VRING_ADDR] = { "SET_VRING_ADDR", 40, 40, 0, 0, 0, 0 },
	[VD_VU_SET_VRING_BASE] = { "SET_VRING_BASE", 8, 8, 0, 0, 0, 0 },
	[VD_VU_GET_VRING_BASE] = { "GET_VRING_BASE", 8, 8, 0, 0, 8, 8 },
	[VD_VU_SET_VRING_KICK] = { "SET_VRING_KICK", 8, 8, 0, 1, 0, 0 },
	[VD_VU_SET_VRING_CALL] = { "SET_VRING_CALL", 8, 8, 0, 1, 0, 0 },
	[VD_VU_SET_VRING_ERR] = { "SET_VRING_ERR", 8, 8, 0, 1, 0, 0 },
	[VD_VU_GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES", 0, 0, 0, 0, 8, 8 },
	[VD_VU_SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES", 8, 8, 0, 0, 0, 0 },
	[VD_VU_GET_QUEUE_NUM] = { "GET_QUEUE_NUM", 0, 0, 0, 0, 8, 8 },
	[VD_VU_SET_VRING_ENABLE] = { "SET_VRING_ENABLE", 8, 8, 0, 0, 0, 0 },
	[VD_VU_SEND_RARP] = { "SEND_RARP", 8, 8, 0, 0, 0, 0 },
	[VD_VU_NET_SET_MTU] = { "NET_SET_MTU", 8, 8, 0, 0, 0, 0 },
	[VD_VU_SET_BACKEND_REQ_FD] = { "SET_BACKEND_REQ_FD", 0, 8, 1, 1, 0, 0 },
	[VD_VU_SET_VRING_ENDIAN] = { "SET_VRING_ENDIAN", 8, 8, 0, 0, 0, 0 },
	[VD_VU_GET_CONFIG] = { "GET_CONFIG", CONFIG_HDR, sizeof(struct vd_vu_config), 0, 0, 0,
			       sizeof(struct vd_vu_config) },
	[VD_VU_SET_CONFIG] = { "SET_CONFIG", CONFIG_HDR, sizeof(struct vd_vu_config), 0, 0, 0, 0 },
	[VD_VU_GET_INFLIGHT_FD] = { "GET_INFLIGHT_FD", INFLIGHT_MIN, INFLIGHT_MAX, 0, 0,
				    INFLIGHT_MIN, INFLIGHT_MAX },
	[VD_VU_SET_INFLIGHT_FD] = { "SET_INFLIGHT_FD", INFLIGHT_MIN, INFLIGHT_MAX, 1, 1, 0, 0 },
	[VD_VU_RESET_DEVICE] = { "RESET_DEVICE", 0, 0, 0, 0, 0, 0 },
	[VD_VU_VRING_KICK] = { "VRING_KICK", 8, 8, 0, 0, 0, 0 },
	[VD_VU_GET_MAX_MEM_SLOTS] = { "GET_MAX_MEM_SLOTS", 0, 0, 0, 0, 8, 8 },
	[VD_VU_ADD_MEM_REG] = { "ADD_MEM_REG", SLOT, SLOT, 1, 1, 0, SLOT },
	/* The specification has a back-end close a descriptor that came with it. */
	[VD_VU_REM_MEM_REG] = { "REM_MEM_REG", SLOT, SLOT, 0, 1, 0, 0 },
	[VD_VU_SET_STATUS] = { "SET_STATUS", 8, 8, 0, 0, 0, 0 },
	[VD_VU_GET_STATUS] = { "GET_STATUS", 0, 0, 0, 0, 8, 8 },
};

static const struct vu_row backend_requests[] = {
	[VD_VU_BACKEND_CONFIG_CHANGE] = { "CONFIG_CHANGE", 0, 0, 0, 0, 0, 0 },
	[VD_VU_BACKEND_VRING_CALL] = { "VRING_CALL", 8, 8, 0, 0, 0, 0 },
	[VD_VU_BACKEND_VRING_ERR] = { "VRING_ERR", 8, 8, 0, 0, 0, 0 },
};

/* A message that waits to be sent; its first bytes may be gone already, its fds then too. */
struct vd_vu_out {
	struct vd_list node;	/* in conn->out */
	size_t len, off;
	unsigned int nfds;
	int fds[VD_VU_FDS_MAX];	/* ours */
	uint8_t bytes[];
};

void vd_vu_msg_init(struct vd_vu_msg *m, uint32_t request, uint32_t size)
{
	assert(size <= sizeof(m->bytes));
	memset(m, 0, sizeof(*m));
	m->request = request;
	m->flags = VD_VU_VERSION;
	m->size = size;
}

static void close_fds(int *fds, unsigned int *nfds)
{
	for (unsigned int i = 0; i < *nfds; i++)
		vd_close(&fds[i]);
	*nfds = 0;
}

void vd_vu_msg_fini(struct vd_vu_msg *m)
{
	for (unsigned int i = 0; i < m->nfds; i++)
		vd_foreign_drop(m->closing, &m->fds[i]);
	m->nfds = 0;
}

int vd_vu_msg_take_fd(struct vd_vu_msg *m, unsigned int i)
{
	int fd = -1;

	if (i < m->nfds) {
		fd = m->fds[i];
		m->fds[i] = -1;
	}
	return fd;
}

const char *vd_vu_name(uint32_t request)
{
	return request < VD_VU_REQUEST_MAX && requests[request].name ? requests[request].name :
								       "unknown request";
}

void vd_vu_conn_init(struct vd_vu_conn *c, int fd, bool backend_channel)
{
	memset(c, 0, sizeof(*c));
	c->fd = fd;
	vd_foreign_inline(fd);
	c->backend_channel = backend_channel;
	vd_list_init(&c->out);
}

static void out_destroy(struct vd_vu_conn *c, struct vd_vu_out *o)
{
	c->out_bytes -= sizeof(*o) + o->len;
	vd_list_del(&o->node);
	close_fds(o->fds, &o->nfds);
	free(o);
}

void vd_vu_conn_fini(struct vd_vu_conn *c)
{
	struct vd_vu_out *o, *tmp;

	vd_list_for_each_safe(o, tmp, &c->out, node)
		out_destroy(c, o);
	vd_vu_msg_fini(&c->in);
	if (c->fd >= 0)
		shutdown(c->fd, SHUT_RDWR);	/* so that the peer knows at once */
	vd_foreign_drop(c->closing, &c->fd);
}

/* ---- receiving ----------------------------------------------------------------------------- */

/* Move the descriptors of a control message to where they are accounted for. Return: false: too many. */
static bool take_fds(struct vd_vu_conn *c, struct msghdr *mh)
{
	struct vd_vu_msg *m = &c->in;
	bool room = true;

	m->closing = c->closing;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(mh); h; h = CMSG_NXTHDR(mh, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(fd), sizeof(fd));
			if (!vd_foreign_ok(fd)) {
				vd_foreign_close(c->closing, fd);
				c->refused = true;
			} else if (m->nfds < VD_VU_FDS_MAX) {
				m->fds[m->nfds++] = fd;
			} else {
				vd_foreign_drop(c->closing, &fd);
				room = false;
			}
		}
	}
	return room;
}

/* Return: bytes read; 0 nothing there; -ENOTCONN; -EPROTO. */
static ssize_t read_some(struct vd_vu_conn *c, void *to, size_t len)
{
	struct iovec iov = { to, len };
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(VD_FOREIGN_MAX * sizeof(int))];
	} ctl;
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf,
			     .msg_controllen = sizeof(ctl.buf) };
	unsigned int had = c->in.nfds;
	bool room;
	ssize_t n;

	do
		n = recvmsg(c->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0)
		return vd_err(-ENOTCONN, "vhost-user: %m");
	room = take_fds(c, &mh);
	if (n == 0)
		return vd_err(-ENOTCONN, c->in_len ? "vhost-user: closed inside of a message" :
						     "vhost-user: closed");
	if (c->refused || (c->closing && vd_foreign_closing(c->closing) > VD_VU_FDS_MAX))
		return vd_err(-EPROTO, "vhost-user: a descriptor that somebody else serves");
	if (mh.msg_flags & MSG_CTRUNC || !room)
		return vd_err(-EPROTO, "vhost-user: more than %d descriptors in a message",
			      VD_VU_FDS_MAX);
	if (c->in.nfds > had && c->in_len)
		return vd_err(-EPROTO, "vhost-user: descriptors at byte %zu of a message",
			      c->in_len);
	return n;
}

static const struct vu_row *row_of(const struct vd_vu_conn *c, uint32_t request)
{
	const struct vu_row *rows = c->backend_channel ? backend_requests : requests;
	size_t n = c->backend_channel ? VD_ARRAY_SIZE(backend_requests) : VD_VU_REQUEST_MAX;

	return request < n && rows[request].name ? &rows[request] : NULL;
}

/* The header alone: before a byte of the payload is taken. */
static int check_header(const struct vd_vu_conn *c)
{
	const struct vd_vu_msg *m = &c->in;
	const struct vu_row *row = row_of(c, m->request);
	uint32_t min, max;

	if ((m->flags & VD_VU_VERSION_MASK) != VD_VU_VERSION)
		return vd_err(-EPROTO, "vhost-user: request %u: version %u instead of %u",
			      m->request, m->flags & VD_VU_VERSION_MASK, VD_VU_VERSION);
	if (!row)
		return vd_err(-EPROTO, "vhost-user: request %u is unknown", m->request);
	min = m->flags & VD_VU_REPLY ? row->reply_min : row->min;
	max = m->flags & VD_VU_REPLY ? row->reply_max : row->max;
	if ((m->size < min || m->size > max) && !(m->flags & VD_VU_REPLY && m->size == 8))
		return vd_err(-EPROTO, "vhost-user: %s: %u bytes of payload, not %u to %u",
			      row->name, m->size, min, max);
	min = m->flags & VD_VU_REPLY ? 0 : row->fds_min;
	/* The one reply that brings a descriptor. */
	max = m->flags & VD_VU_REPLY ? m->request == VD_VU_GET_INFLIGHT_FD : row->fds_max;
	if (m->nfds < min || m->nfds > max)
		return vd_err(-EPROTO, "vhost-user: %s: %u descriptors, not %u to %u", row->name,
			      m->nfds, min, max);
	return 0;
}

/* What the payload says of itself. */
static int check_payload(const struct vd_vu_conn *c)
{
	const struct vd_vu_msg *m = &c->in;
	bool nofd = m->u64 & VD_VU_VRING_NOFD;

	if (c->backend_channel || m->flags & VD_VU_REPLY)
		return 0;
	switch (m->request) {
	case VD_VU_SET_MEM_TABLE:
		if (m->mem.n > VD_VU_REGIONS_MAX || m->size < MEM(m->mem.n))
			return vd_err(-EPROTO, "vhost-user: SET_MEM_TABLE: %u regions in %u bytes",
				      m->mem.n, m->size);
		if (m->nfds != m->mem.n)
			return vd_err(-EPROTO,
				      "vhost-user: SET_MEM_TABLE: %u regions, %u descriptors",
				      m->mem.n, m->nfds);
		return 0;
	case VD_VU_SET_VRING_KICK:
	case VD_VU_SET_VRING_CALL:
	case VD_VU_SET_VRING_ERR:
		if (m->nfds != !nofd)
			return vd_err(-EPROTO, "vhost-user: %s: %u descriptors, not %u",
				      vd_vu_name(m->request), m->nfds, !nofd);
		return 0;
	case VD_VU_GET_CONFIG:	/* some send only the header, some room for the answer as well */
		if (m->config.size > VD_VU_CONFIG_MAX)
			return vd_err(-EPROTO, "vhost-user: GET_CONFIG: %u bytes, at most %u",
				      m->config.size, VD_VU_CONFIG_MAX);
		return 0;
	case VD_VU_SET_CONFIG:
		if (m->config.size > m->size - CONFIG_HDR)
			return vd_err(-EPROTO, "vhost-user: SET_CONFIG: %u bytes, %zu are there",
				      m->config.size, m->size - CONFIG_HDR);
		return 0;
	default:
		return 0;
	}
}

/* One read. Never beyond this message, so that the next one's descriptors stay with it. */
static int recv_step(struct vd_vu_conn *c)
{
	struct vd_vu_msg *m = &c->in;
	ssize_t n;

	if (c->in_len == 0)	/* alone: only the first byte may bring descriptors */
		n = read_some(c, c->hdr, 1);
	else if (c->in_len < VD_VU_HDR_SIZE)
		n = read_some(c, c->hdr + c->in_len, VD_VU_HDR_SIZE - c->in_len);
	else
		n = read_some(c, m->bytes + (c->in_len - VD_VU_HDR_SIZE),
			      VD_VU_HDR_SIZE + m->size - c->in_len);
	if (n <= 0)
		return (int)n;
	c->in_len += (size_t)n;
	if (c->in_len == VD_VU_HDR_SIZE) {
		memcpy(m, c->hdr, VD_VU_HDR_SIZE);
		n = check_header(c);
		if (n)
			return (int)n;
	}
	return 1;
}

int vd_vu_recv(struct vd_vu_conn *c, struct vd_vu_msg *ret_m)
{
	int r;

	do {
		r = recv_step(c);
		if (r < 0)
			goto err_close;
		if (r == 0)
			return 0;
	} while (c->in_len < VD_VU_HDR_SIZE || c->in_len < VD_VU_HDR_SIZE + c->in.size);
	r = check_payload(c);
	if (r)
		goto err_close;
	*ret_m = c->in;
	memset(&c->in, 0, sizeof(c->in));
	c->in_len = 0;
	return 1;

err_close:
	vd_vu_msg_fini(&c->in);
	return r;
}

/* ---- sending ------------------------------------------------------------------------------- */

/* Return: bytes sent; 0 not now; -EPIPE, -errno. */
static ssize_t write_some(struct vd_vu_conn *c, struct iovec *iov, size_t niov, const int *fds,
			  unsigned int nfds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(VD_VU_FDS_MAX * sizeof(int))];
	} ctl = { 0 };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = niov };
	ssize_t n;

	if (nfds) {
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		ctl.align.cmsg_level = SOL_SOCKET;
		ctl.align.cmsg_type = SCM_RIGHTS;
		ctl.align.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&ctl.align), fds, nfds * sizeof(int));
	}
	do
		n = sendmsg(c->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0)
		return vd_err(errno == ECONNRESET ? -EPIPE : -errno, "vhost-user: send: %m");
	return n;
}

/* Keep what could not be sent of a message: all but its first @sent bytes. */
static int keep(struct vd_vu_conn *c, const struct vd_vu_msg *m, size_t sent)
{
	size_t len = VD_VU_HDR_SIZE + m->size;
	struct vd_vu_out *o;

	if (c->out_bytes + sizeof(*o) + len > VD_VU_OUT_MAX)
		return vd_err(-ENOBUFS, "vhost-user: the peer does not read: %zu bytes wait",
			      c->out_bytes);
	o = malloc(sizeof(*o) + len);
	if (!o)
		return vd_err(-ENOMEM, "vhost-user: %zu bytes for a message: %m", len);
	o->len = len;
	o->off = sent;
	o->nfds = 0;
	memcpy(o->bytes, m, VD_VU_HDR_SIZE);
	memcpy(o->bytes + VD_VU_HDR_SIZE, m->bytes, m->size);
	while (sent == 0 && o->nfds < m->nfds) {
		int fd = vd_dup(m->fds[o->nfds]);

		if (fd < 0) {
			close_fds(o->fds, &o->nfds);
			free(o);
			return fd;
		}
		o->fds[o->nfds++] = fd;
	}
	vd_list_add(&c->out, &o->node);
	c->out_bytes += sizeof(*o) + len;
	return 1;
}

int vd_vu_send(struct vd_vu_conn *c, const struct vd_vu_msg *m)
{
	struct vd_vu_msg copy = *m;	/* an iovec cannot be const */
	struct iovec iov[2] = { { &copy, VD_VU_HDR_SIZE }, { copy.bytes, m->size } };
	ssize_t n = 0;

	if (vd_list_empty(&c->out))
		n = write_some(c, iov, m->size ? 2 : 1, m->fds, m->nfds);
	if (n < 0)
		return (int)n;
	if ((size_t)n == VD_VU_HDR_SIZE + m->size)
		return 0;
	return keep(c, m, (size_t)n);
}

int vd_vu_flush(struct vd_vu_conn *c)
{
	while (!vd_list_empty(&c->out)) {
		struct vd_vu_out *o = vd_list_entry(c->out.next, struct vd_vu_out, node);
		/* The one that was freed is in the list no more: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		struct iovec iov = { o->bytes + o->off, o->len - o->off };
		ssize_t n = write_some(c, &iov, 1, o->fds, o->nfds);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return 1;
		close_fds(o->fds, &o->nfds);	/* they went with the first byte */
		o->off += (size_t)n;
		if (o->off == o->len)
			out_destroy(c, o);
	}
	return 0;
}
