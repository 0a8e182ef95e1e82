/* SPDX-License-Identifier: BSD-2-Clause */
#include "softdev/console-bed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"

#define PIECES 64

struct cb_parent cb;

static const struct vd_console_conf *the_conf;

/* ---- the parent --------------------------------------------------------------------------- */

struct own {
	struct vd_console con;
	int fd[CB_PORTS];
};

static struct own *to_own(struct vd_console *con)
{
	return container_of(con, struct own, con);
}

/* The first @max bytes. Return: pieces. */
static int vectors(struct iovec *v, const struct vd_iov *iov, unsigned int niov, size_t max)
{
	unsigned int n;

	for (n = 0; n < niov && max; n++) {
		v[n] = (struct iovec){ vd_guest_expose(iov[n].base), vd_min(iov[n].len, max) };
		max -= v[n].iov_len;
	}
	return (int)n;
}

static size_t limit(const size_t *max)
{
	size_t m = __atomic_load_n(max, __ATOMIC_RELAXED);

	return m ? m : SIZE_MAX;
}

static size_t own_send(struct vd_console *con, struct vd_console_port *port, struct vd_iov *iov,
		       unsigned int niov, size_t len)
{
	struct iovec v[VD_CONSOLE_PIECES];
	ssize_t n;

	assert(niov && len);
	if (__atomic_load_n(&cb.null, __ATOMIC_RELAXED))
		n = (ssize_t)vd_min(len, limit(&cb.send_max));
	else
		n = writev(to_own(con)->fd[port->idx], v,
			   vectors(v, iov, niov, limit(&cb.send_max)));
	if (n <= 0)
		return 0;
	__atomic_fetch_add(&cb.nsent, (uint64_t)n, __ATOMIC_RELAXED);
	return (size_t)n;
}

static size_t own_receive(struct vd_console *con, struct vd_console_port *port, struct vd_iov *iov,
			  unsigned int niov, size_t len)
{
	struct iovec v[VD_CONSOLE_PIECES];
	ssize_t n;

	assert(niov && len);
	__atomic_fetch_add(&cb.nreceive, 1, __ATOMIC_RELAXED);
	n = readv(to_own(con)->fd[port->idx], v, vectors(v, iov, niov, limit(&cb.receive_max)));
	return n > 0 ? (size_t)n : 0;
}

static void own_woken(struct vd_console *con)
{
	for (unsigned int i = 0; i < con->nports; i++)
		vd_console_port_set_fd(&con->ports[i], __atomic_load_n(&cb.no_fd, __ATOMIC_RELAXED)
							       ? -1
							       : to_own(con)->fd[i]);
}

static void own_opened(struct vd_console *con, struct vd_console_port *port, bool open)
{
	(void)con;
	if (open)
		cb.opened[port->idx]++;
	else
		cb.closed[port->idx]++;
}

static void own_reset(struct vd_console *con)
{
	(void)con;
	cb.resets++;
}

static void own_destroy(struct vd_console *con)
{
	for (unsigned int i = 0; i < CB_PORTS; i++)
		close(to_own(con)->fd[i]);
	free(to_own(con));
}

static const struct vd_console_ops own_ops = {
	.send = own_send,
	.receive = own_receive,
	.woken = own_woken,
	.opened = own_opened,
	.show = vd_console_show_nothing,
	.reset = own_reset,
	.destroy = own_destroy,
};

static int own_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	struct vd_console_conf c = *the_conf;
	struct own *own = calloc(1, sizeof(*own));
	int r;

	(void)conf;
	assert_non_null(own);
	for (unsigned int i = 0; i < CB_PORTS; i++) {
		int pair[2], small = 4096;

		assert_int_equal(
			socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
			0);
		own->fd[i] = pair[0];
		cb.peer[i] = pair[1];
		assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)),
				 0);
	}
	c.soft.name = name;
	r = vd_console_init(&own->con, u, &own_ops, &c);
	if (r) {
		for (unsigned int i = 0; i < CB_PORTS; i++)
			close(cb.peer[i]);
		own_destroy(&own->con);
		return r;
	}
	cb.con = &own->con;
	*ret_dev = &own->con.sd.dev;
	return 0;
}

static const struct uvdpa_opt no_opts[] = { { 0 } };
static const uint32_t ids[] = { VIRTIO_ID_CONSOLE, 0 };

static const struct uvdpa_parent own_parent = {
	.name = "bed-console",
	.help = "for tests",
	.device_ids = ids,
	.features = VD_CONSOLE_FEATURES,
	.max_vqs = VD_CONSOLE_VQS_MAX,
	.opts = no_opts,
	.add = own_add,
};

/* ---- the device --------------------------------------------------------------------------- */

int cb_try(struct bed *b, const struct vd_console_conf *conf)
{
	memset(&cb, 0, sizeof(cb));
	the_conf = conf;
	return bed_add_own(b, &own_parent);
}

void cb_add(struct bed *b, const struct vd_console_conf *conf)
{
	assert_int_equal(cb_try(b, conf), 0);
}

void cb_start(struct bed *b, const struct bed_conf *c)
{
	struct bed_conf bc = c ? *c : (struct bed_conf){ 0 };

	if (!bc.queues)
		bc.queues = uvdpa_dev_info(b->dev)->nvqs;
	bed_start(b, &bc);
}

void cb_end(struct bed *b)
{
	bed_end(b);
	for (unsigned int i = 0; i < CB_PORTS; i++)
		close(cb.peer[i]);
}

struct vd_console_port *cb_port(unsigned int idx)
{
	return &cb.con->ports[idx];
}

/* ---- the driver --------------------------------------------------------------------------- */

uint8_t *cb_mem(struct bed *b, unsigned int q)
{
	return b->mem + BED_RINGS + q * CB_AREA;
}

uint64_t cb_iova(unsigned int q)
{
	return bed_iova(BED_RINGS + (uint64_t)q * CB_AREA);
}

void cb_post(struct bed *b, unsigned int q, unsigned int slot, unsigned int n, uint32_t len)
{
	for (unsigned int i = 0; i < n; i++, slot++) {
		struct vd_buf buf = { cb_iova(q) + slot * CB_SLOT, len };

		b->slots[q][bed_add_req(b, q, &buf, 0, 1)] = slot;
	}
}

int cb_get(struct bed *b, unsigned int q, void *buf, int timeout_ms)
{
	struct vd_done d;
	int n = bed_get(b, q, &d, 1, timeout_ms);

	assert_true(n >= 0);
	if (!n)
		return -1;
	memcpy(buf, cb_mem(b, q) + b->slots[q][d.id] * CB_SLOT, d.len);
	return (int)d.len;
}

int cb_put(struct bed *b, unsigned int q, uint32_t at, const void *buf, uint32_t len, uint32_t each)
{
	struct vd_buf bufs[PIECES];
	unsigned int n = 0;

	assert_true(at + len <= CB_AREA);
	memcpy(cb_mem(b, q) + at, buf, len);
	each = each ? each : len;
	for (uint32_t i = 0; i < len; i += each) {
		assert_true(n < PIECES);
		bufs[n++] = (struct vd_buf){ cb_iova(q) + at + i, vd_min(each, len - i) };
	}
	return bed_add_req(b, q, bufs, n, 0);
}

void cb_send(struct bed *b, unsigned int q, const void *buf, uint32_t len, uint32_t each)
{
	struct vd_done d;

	cb_put(b, q, 0, buf, len, each);
	assert_int_equal(bed_get(b, q, &d, 1, 5000), 1);
	assert_int_equal(d.len, 0);
}

void cb_say(struct bed *b, uint32_t id, uint16_t event, uint16_t value)
{
	struct virtio_console_control m = { htole32(id), htole16(event), htole16(value) };

	cb_send(b, VD_CONSOLE_CTRL_TX, &m, sizeof(m), 0);
}

bool cb_hear(struct bed *b, struct cb_message *m, int timeout_ms)
{
	unsigned int q = VD_CONSOLE_CTRL_RX;
	struct virtio_console_control c;
	struct vd_done d;
	unsigned int slot;
	const uint8_t *mem;
	int n = bed_get(b, q, &d, 1, timeout_ms);

	assert_true(n >= 0);
	if (!n)
		return false;
	slot = b->slots[q][d.id];
	mem = cb_mem(b, q) + slot * CB_SLOT;
	assert_true(d.len >= sizeof(c));
	memcpy(&c, mem, sizeof(c));
	*m = (struct cb_message){ le32toh(c.id),
				  le16toh(c.event),
				  le16toh(c.value),
				  d.len - (uint32_t)sizeof(c),
				  { 0 } };
	memcpy(m->more, mem + sizeof(c), m->len);
	cb_post(b, q, slot, 1, CB_SLOT);
	return true;
}

void cb_expect(struct bed *b, uint32_t id, uint16_t event, uint16_t value)
{
	struct cb_message m = { 0 };

	assert_true(cb_hear(b, &m, 5000));
	assert_int_equal(m.id, id);
	assert_int_equal(m.event, event);
	assert_int_equal(m.value, value);
}

void cb_greet(struct bed *b)
{
	struct cb_message m;

	cb_post(b, VD_CONSOLE_CTRL_RX, 0, 16, CB_SLOT);
	cb_say(b, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (unsigned int i = 0; i < cb.con->nports; i++)
		cb_say(b, i, VIRTIO_CONSOLE_PORT_READY, 1);
	for (unsigned int i = 0; i < cb.con->nports; i++)
		cb_say(b, i, VIRTIO_CONSOLE_PORT_OPEN, 1);
	while (cb_hear(b, &m, 20))
		;
}

/* ---- the other end ------------------------------------------------------------------------ */

void cb_peer_reads(struct bed *b, unsigned int port, const void *buf, size_t len)
{
	uint64_t due = vd_now_ns() + 10000000000ull;
	const uint8_t *want = buf;

	while (len) {
		uint8_t got[65536];
		struct pollfd p = { .fd = cb.peer[port], .events = POLLIN };
		ssize_t n = read(p.fd, got, vd_min(len, sizeof(got)));

		if (n < 0 && errno == EAGAIN) {
			assert_true(vd_now_ns() < due);
			uvdpa_dispatch(b->u, 0);
			poll(&p, 1, 10);
			continue;
		}
		assert_true(n > 0);
		assert_memory_equal(got, want, (size_t)n);
		want += n;
		len -= (size_t)n;
	}
}

void cb_peer_writes(unsigned int port, const void *buf, size_t len)
{
	assert_int_equal(write(cb.peer[port], buf, len), len);
}

void cb_peer_nothing(unsigned int port)
{
	uint8_t byte;

	assert_int_equal(read(cb.peer[port], &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
}
