/* SPDX-License-Identifier: BSD-2-Clause */
/* console.c - what a console must do: bytes both ways, and the list of all cases; see console.h */
#include "console.h"

#include <sys/socket.h>

#define PIECES 16u
#define SLOT   4096u
#define CANARY 0xa5

/* ---- what it says of itself --------------------------------------------------------------- */

static struct virtio_console_config config(struct cf *c)
{
	struct virtio_console_config n;

	cf_is(c->info->config_size, sizeof(n));
	cf_is(uvdpa_dev_get_config(c->dev, 0, &n, sizeof(n)), 0);
	return n;
}

static void case_config(struct cf *c)
{
	static const struct uvdpa_attr size[] = { { "cols", "132" }, { "rows", "43" } };
	static const struct uvdpa_attr bad[] = { { "cols", "65536" }, { "rows", "-1" } };
	struct virtio_console_config n = config(c);

	cf_is(le32toh(n.max_nr_ports), c->f.variant->far->ports);
	cf_is(c->info->nvqs, c->f.variant->far->ports > 1 ? 2 * c->f.variant->far->ports + 2 : 2);
	cf_is(!!(c->info->features & CF_F(VIRTIO_CONSOLE_F_MULTIPORT)), c->info->nvqs > 2);
	cf_is(uvdpa_dev_set_config(c->dev, 0, &n, 8), -EOPNOTSUPP);
	for (size_t i = 0; i < VD_ARRAY_SIZE(bad); i++)
		cf_is(uvdpa_dev_set(c->dev, &bad[i], 1), -EINVAL);
	c->features_off = CF_F(VIRTIO_CONSOLE_F_MULTIPORT);
	cf_map(c);
	cf_start(c, &c->mode);
	c->changed[UVDPA_DEV_CONFIG] = 0;
	cf_is(uvdpa_dev_set(c->dev, size, 2), 0);
	cf_until(c, c->changed[UVDPA_DEV_CONFIG]);
	n = config(c);
	cf_is(le16toh(n.cols), 132);
	cf_is(le16toh(n.rows), 43);
}

/* Characters without any driver, and beside one that has begun. */
static void case_emergency(struct cf *c)
{
	static const uint8_t text[] = "help!";
	uint32_t off = offsetof(struct virtio_console_config, emerg_wr);
	uint8_t got[sizeof(text)];
	int fd = con_far(c, 0);

	if (!(c->info->features & CF_F(VIRTIO_CONSOLE_F_EMERG_WRITE)))
		cf_skip("EMERG_WRITE not offered");
	for (unsigned int round = 0; round < 3; round++) {
		size_t n = 0;

		for (unsigned int i = 0; i < sizeof(text) - 1; i++)
			cf_is(uvdpa_dev_set_config(c->dev, off, text + i, 1), 0);
		while (n < sizeof(text) - 1) {
			ssize_t r = recv(fd, got + n, sizeof(text) - 1 - n, MSG_DONTWAIT);

			cf_check(r > 0 || errno == EAGAIN);
			n += r > 0 ? (size_t)r : 0;
			cf_turn(c, 1);
		}
		cf_check(!memcmp(got, text, n));
		if (round == 0)
			cf_negotiate(c, &c->mode);
		if (round == 1) {
			cf_reset(c);
			cf_map(c);
			cf_start(c, &c->mode);
		}
	}
	con_ping(&c->q[1]);
}

/* ---- bytes -------------------------------------------------------------------------------- */

/* Chains of any size on all ports, and bytes for them, until @total went each way. */
static void traffic(struct cf *c, uint64_t total)
{
	uint64_t sent = 0, written = 0;

	for (unsigned int i = 0; i < con_ports(c); i++) {
		con_sync(c, i);
		con_post(con_rx(c, i), 0);
	}
	while (sent < total || written < total) {
		unsigned int port = con_rnd(con_ports(c));
		struct cf_queue *tx = con_tx(c, port);

		for (unsigned int i = con_rnd(32); i-- && sent < total;) {
			uint32_t len = con_rnd(4) ? 1 + con_rnd(100) : 1 + con_rnd(2000);

			if (!con_send(tx, len))
				break;
			sent += len;
		}
		cf_publish(tx);
		if (written < total)
			written += con_write(c, port, 1 + con_rnd(4000));
		con_pump(c);
		if (!con_rnd(8))
			con_settle(c, port);
	}
	for (unsigned int i = 0; i < con_ports(c); i++)
		con_settle(c, i);
}

static void case_traffic(struct cf *c)
{
	cf_map(c);
	cf_start(c, &c->mode);
	traffic(c, 300000);
	for (unsigned int i = 0; i < con_ports(c); i++)
		cf_check(!con_to_read(c, i) && !con_to_get(c, i));
}

/* Further than a 16-bit index counts, of chains and of buffers. */
static void case_wraparound(struct cf *c)
{
	struct cf_queue *tx = con_tx(c, 0);
	unsigned int n = 0;

	cf_map(c);
	cf_start(c, &c->mode);
	con_sync(c, 0);
	con_post(con_rx(c, 0), 1); /* one byte for each buffer */
	while (n < 70000) {
		unsigned int k;

		for (k = 0; k < 64 && con_send(tx, 1); k++)
			;
		n += k;
		cf_publish(tx);
		cf_check(con_write(c, 0, k) == k);
		con_settle(c, 0);
	}
}

/* Bytes that find no buffer wait for one. */
static void case_starved(struct cf *c)
{
	struct cf_queue *rx = con_rx(c, 0);

	cf_map(c);
	for (unsigned int round = 0; round < 10; round++) {
		struct vd_buf b;
		struct vd_done d;

		cf_start(c, &c->mode);
		con_greet(c);
		cf_check(con_write(c, 0, 100) == 100);
		for (unsigned int i = 0; i < 20; i++) {
			if (round & 1)
				cf_turn(c, 1); /* the device sleeps */
			b = (struct vd_buf){ rx->data_iova, 1 };
			cf_check(vd_virtq_drv_add(rx->drv, &b, 0, 1) >= 0);
			cf_publish(rx);
			cf_is(cf_get(rx, &d, 1), 1);
			cf_is(d.len, 1);
		}
		cf_reset(c);
	}
	cf_start(c, &c->mode);
	con_ping(rx);
}

/*
 * The other end reads little by little, so chains stop in the middle; and so does the device, with
 * them. Nothing is lost, nothing comes twice.
 */
static void case_slow_reader(struct cf *c)
{
	struct cf_queue *tx = con_tx(c, 0);
	uint64_t due = cf_now_ms() + 60000;

	cf_map(c);
	cf_start(c, &c->mode);
	con_sync(c, 0);
	for (unsigned int round = 0; round < 40; round++) {
		uint64_t before;

		/* All that fits, and more: until nothing has moved for a moment. */
		do {
			before = con_to_read(c, 0);
			while (con_send(tx, 2000))
				;
			cf_publish(tx);
			for (unsigned int i = 0; i < 3; i++)
				cf_turn(c, 1);
			con_take_sent(tx);
			cf_check(cf_now_ms() < due);
		} while (con_to_read(c, 0) != before);
		if (round & 1) {
			cf_ok(c, uvdpa_dev_suspend(c->dev, &c->w));
			con_read(c, 0, 1 + con_rnd(5000));
			cf_is(uvdpa_dev_resume(c->dev), 0);
		}
		con_read(c, 0, 1 + con_rnd(20000));
	}
	con_settle(c, 0);
}

/* A queue that its driver has stopped gets nothing, and sending goes on. */
static void case_stopped(struct cf *c)
{
	struct cf_queue *rx = con_rx(c, 0), *tx = con_tx(c, 0);
	struct uvdpa_vq_state st;
	struct vd_done d;

	cf_map(c);
	cf_start(c, &c->mode);
	for (unsigned int round = 0; round < 20; round++) {
		con_sync(c, 0);
		con_post(rx, 0);
		cf_ok(c, uvdpa_dev_disable_vq(c->dev, rx->idx, &c->w));
		rx->off = true;
		cf_check(con_write(c, 0, 300) == 300);
		con_ping(tx);
		cf_is(vd_virtq_drv_get(rx->drv, &d, 1), 0);
		cf_is(uvdpa_dev_get_vq_state(c->dev, rx->idx, &st), 0);
		cf_queue_set(rx, st);
		rx->off = false;
		con_settle(c, 0);
		con_ping(rx);
	}
}

/* ---- chains of any shape ------------------------------------------------------------------ */

/* Cut @len bytes from @iova on. Return: pieces. */
static unsigned int cut(struct vd_buf *b, uint64_t iova, uint32_t len, uint32_t each)
{
	unsigned int n = 0;

	for (uint32_t at = 0; at < len; at += each)
		b[n++] = (struct vd_buf){ iova + at, vd_min(each, len - at) };
	return n;
}

/* Every other one with a piece that is not for us to read. */
static void case_pieces(struct cf *c)
{
	struct cf_queue *tx = con_tx(c, 0);

	c->indirect_max = PIECES + 1;
	cf_map(c);
	cf_start(c, &c->mode);
	con_sync(c, 0);
	for (uint32_t len = 1; len < 300; len += 1 + len / 10) {
		for (uint32_t each = 1 + (len - 1) / PIECES; each <= len; each += 1 + each / 2) {
			struct vd_buf b[PIECES + 1];
			unsigned int n = cut(b, tx->data_iova, len, each);
			struct vd_done d;

			b[n] = (struct vd_buf){ tx->data_iova + SLOT, 16 };
			con_make(tx, cf_at(c, tx->data_iova), len);
			cf_check(vd_virtq_drv_add(tx->drv, b, n, len & 1) >= 0);
			cf_publish(tx);
			cf_is(cf_get(tx, &d, 1), 1);
			cf_is(d.len, 0);
			con_settle(c, 0);
		}
	}
}

/* Each byte into a piece of its own, with gaps, that nobody writes to. */
static void case_into_pieces(struct cf *c)
{
	static const char text[] = "0123456789abcdef";
	struct cf_queue *rx = con_rx(c, 0);
	struct vd_buf b[PIECES];
	struct vd_done d;
	uint8_t *p;

	c->indirect_max = PIECES;
	cf_map(c);
	cf_start(c, &c->mode);
	con_greet(c);
	p = cf_at(c, rx->data_iova);
	for (unsigned int i = 0; i < PIECES; i++)
		b[i] = (struct vd_buf){ rx->data_iova + 2 * i, 1 };
	for (unsigned int n = 1; n <= PIECES; n++) {
		cf_is(send(con_far(c, 0), text, n, 0), n);
		for (uint32_t at = 0; at < n; at += d.len) {
			memset(p, CANARY, 2 * PIECES);
			cf_check(vd_virtq_drv_add(rx->drv, b, 0, n) >= 0);
			cf_publish(rx);
			cf_is(cf_get(rx, &d, 1), 1);
			cf_check(d.len && d.len <= n - at);
			for (unsigned int i = 0; i < PIECES; i++) {
				cf_is(p[2 * i], i < d.len ? (uint8_t)text[at + i] : CANARY);
				cf_is(p[2 * i + 1], CANARY);
			}
		}
	}
}

/* What the other side of a request is for is given back, and the queue goes on. */
static void case_malformed(struct cf *c)
{
	struct cf_queue *rx, *tx;
	struct vd_buf b;
	struct vd_done d;

	cf_map(c);
	cf_start(c, &c->mode);
	con_greet(c);
	rx = con_rx(c, 0);
	tx = con_tx(c, 0);
	for (unsigned int i = 0; i < 3; i++) {
		b = (struct vd_buf){ tx->data_iova, 64 };
		cf_check(vd_virtq_drv_add(tx->drv, &b, 0, 1) >= 0);
		cf_publish(tx);
		cf_is(cf_get(tx, &d, 1), 1);
		cf_is(d.len, 0);
		b.iova = rx->data_iova;
		cf_check(vd_virtq_drv_add(rx->drv, &b, 1, 0) >= 0);
		cf_publish(rx);
		cf_check(con_write(c, 0, 1) == 1);
		cf_is(cf_get(rx, &d, 1), 1);
		cf_is(d.len, 0);
	}
	con_ping(tx);
	con_ping(rx);
	cf_is(uvdpa_dev_status(c->dev), 15);
}

static const struct cf_case cases[] = {
	{ "configuration", case_config, CF_ONCE },
	{ "emergency", case_emergency, CF_LAYOUTS },
	{ "there and back", case_traffic, CF_MODES },
	{ "wraparound", case_wraparound, CF_LAYOUTS },
	{ "no buffers", case_starved, CF_MODES },
	{ "slow reader", case_slow_reader, CF_MODES },
	{ "receive queue stopped", case_stopped, CF_LAYOUTS },
	{ "in pieces", case_pieces, CF_LAYOUTS },
	{ "into pieces", case_into_pieces, CF_LAYOUTS },
	{ "malformed", case_malformed, CF_LAYOUTS | CF_OURS },
	{ "greeting", case_con_greeting, CF_LAYOUTS },
	{ "messages", case_con_messages, CF_LAYOUTS | CF_OURS },
	{ "open and closed", case_con_open, CF_LAYOUTS },
	{ "taken away", case_con_absent, CF_LAYOUTS },
	{ "one port of many", case_con_one_of_many, CF_LAYOUTS },
	{ 0 },
};

const struct cf_type cf_console = {
	.device_id = VIRTIO_ID_CONSOLE,
	.cases = cases,
	.eager = 1,
	.ping = con_ping,
	.begin = con_begin,
	.end = con_end,
};
