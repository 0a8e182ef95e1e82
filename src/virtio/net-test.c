/* SPDX-License-Identifier: BSD-2-Clause */
/* net-test.c - the network driver over a device of this test's own, which does as it is told, and lies */
#include "virtio/fake-nic.h"

#include <errno.h>

#include "base/err.h"
#include "base/fd.h"
#include "mem/sg.h"

#define BUF 256u

static struct nic *create(void)
{
	static const struct vd_virtio_conf none;
	struct nic *n = nic_create();

	assert_int_equal(vd_virtio_bind(&n->dev.vdev, &none), 0);
	return n;
}

static struct uvdpa_net *open_nic(struct nic *n, bool packed)
{
	struct uvdpa_net_opts o = { .size = sizeof(o), .packed = packed,
				    .offloads = F(VIRTIO_NET_F_GUEST_CSUM) | F(VIRTIO_NET_F_GUEST_TSO4) };
	struct uvdpa_net *net;

	assert_int_equal(vd_net_open(n->dev.vdev.bound, &o, &net), 0);
	return net;
}

/* ---- receiving ------------------------------------------------------------------------------- */

struct lie {
	const char *what;
	struct virtio_net_hdr_v1 h;
	uint32_t len[4];	/* used, of each buffer; ends with 0 */
	unsigned int want;	/* buffers that come out */
	uint32_t flags;		/* of the last */
	int then;		/* what the next call says */
};

static void post(struct uvdpa_netq *q, uint8_t *mem, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(uvdpa_netq_rx_post(q, &(struct uvdpa_net_buf){
			.mem = mem + i * BUF, .len = BUF }, 1), 1);
}

/* The device answers as a case of the table says. */
static void receive(struct nic *n, const struct lie *l)
{
	struct vd_chain *c[4];
	unsigned int k;

	for (k = 0; k < 4 && l->len[k]; k++)
		;
	assert_int_equal(vd_virtq_pop(n->dev.dq[0], c, k), k);
	for (unsigned int i = 0; i < k; i++) {
		struct vd_sg in = vd_sg(c[i]->iov, c[i]->nin);

		if (!i)
			vd_sg_write(&in, &l->h, sizeof(l->h));
		vd_virtq_push(n->dev.dq[0], c[i], l->len[i]);
	}
	vd_virtq_flush(n->dev.dq[0]);
}

static void test_receive(void **state)
{
	static const struct lie cases[] = {
		{ "a frame", { .num_buffers = 1 }, { 72 }, 1, 0, 0 },
		{ "of two buffers", { .num_buffers = 2 }, { BUF, 10 }, 2, 0, 0 },
		{ "a checksum", { .flags = 1, .csum_start = 34, .csum_offset = 16, .num_buffers = 1 },
		  { 72 }, 1, 0, 0 },
		{ "a checksum in the second buffer", { .flags = 1, .csum_start = 300, .csum_offset = 16,
		  .num_buffers = 2 }, { BUF, BUF }, 2, 0, 0 },
		{ "large", { .flags = 1, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 100,
		  .csum_start = 34, .csum_offset = 16, .num_buffers = 1 }, { 200 }, 1, 0, 0 },
		{ "no header", { .num_buffers = 1 }, { 11 }, 1, UVDPA_NET_BAD, 0 },
		{ "no frame", { .num_buffers = 1 }, { 12 }, 1, UVDPA_NET_BAD, 0 },
		{ "a short frame", { .num_buffers = 1 }, { 25 }, 1, UVDPA_NET_BAD, 0 },
		{ "no buffers", { .num_buffers = 0 }, { 72 }, 1, UVDPA_NET_BAD, 0 },
		{ "a buffer is missing", { .num_buffers = 3 }, { BUF, BUF }, 2, UVDPA_NET_MORE, -EIO },
		{ "all are missing", { .num_buffers = 0xffff }, { BUF }, 1, UVDPA_NET_MORE, -EIO },
		{ "a checksum behind the end", { .flags = 1, .csum_start = 58, .csum_offset = 1,
		  .num_buffers = 1 }, { 72 }, 1, UVDPA_NET_BAD, 0 },
		{ "a checksum behind two buffers", { .flags = 1, .csum_start = 499, .csum_offset = 0,
		  .num_buffers = 2 }, { BUF, BUF }, 2, UVDPA_NET_BAD, 0 },
		{ "a checksum far away", { .flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff,
		  .num_buffers = 1 }, { 72 }, 1, UVDPA_NET_BAD, 0 },
		{ "not negotiated", { .flags = 1, .gso_type = VIRTIO_NET_HDR_GSO_TCPV6, .gso_size = 100,
		  .csum_start = 34, .csum_offset = 16, .num_buffers = 1 }, { 200 }, 1, UVDPA_NET_BAD, 0 },
		{ "ECN alone", { .flags = 1, .gso_type = VIRTIO_NET_HDR_GSO_ECN, .gso_size = 100,
		  .csum_start = 34, .csum_offset = 16, .num_buffers = 1 }, { 200 }, 1, UVDPA_NET_BAD, 0 },
		{ "no such type", { .gso_type = 2, .num_buffers = 1 }, { 200 }, 1, UVDPA_NET_BAD, 0 },
		{ "cut into nothing", { .flags = 1, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		  .csum_start = 34, .csum_offset = 16, .num_buffers = 1 }, { 200 }, 1, UVDPA_NET_BAD, 0 },
	};

	(void)state;
	for (unsigned int i = 0; i < 2 * VD_ARRAY_SIZE(cases); i++) {
		const struct lie *l = &cases[i / 2];
		static const struct lie good = { "then", { .num_buffers = 1 }, { 72 }, 1, 0, 0 };
		struct nic *n = create();
		struct uvdpa_net *net = open_nic(n, i & 1);
		struct uvdpa_netq *q = uvdpa_net_queue(net, 0);
		uint8_t *mem = uvdpa_net_alloc(net, 16 * BUF);
		struct uvdpa_net_buf b[8];
		unsigned int sum = 0;

		post(q, mem, 16);
		receive(n, l);
		assert_int_equal(uvdpa_netq_rx(q, b, 8), l->want);
		for (unsigned int k = 0; k < l->want; k++) {
			assert_ptr_equal(b[k].mem, mem + k * BUF);
			if (k + 1 < l->want)
				assert_int_equal(b[k].flags, UVDPA_NET_MORE);
			sum += b[k].len;
		}
		assert_int_equal(b[l->want - 1].flags, l->flags);
		if (!l->flags) {
			assert_int_equal(sum, l->len[0] + l->len[1] - UVDPA_NET_HDR);
			assert_int_equal(b[0].hdr.csum_start, l->h.csum_start);
			assert_int_equal(b[0].hdr.gso_type, l->h.gso_type);
		}
		assert_int_equal(uvdpa_netq_rx(q, b, 8), l->then);
		if (!l->then) {
			receive(n, &good);
			assert_int_equal(uvdpa_netq_rx(q, b, 8), 1);
			assert_int_equal(b[0].flags, 0);
			assert_int_equal(b[0].len, 60);
		} else {
			assert_int_equal(uvdpa_netq_rx_post(q, b, 1), -EIO);
		}
		uvdpa_net_close(net);
		nic_destroy(n);
	}
}

/* A frame of two buffers of which only one fits into the burst. */
static void test_cut(void **state)
{
	static const struct lie two = { "", { .num_buffers = 2 }, { BUF, 44 }, 2, 0, 0 };
	struct nic *n = create();
	struct uvdpa_net *net = open_nic(n, false);
	struct uvdpa_netq *q = uvdpa_net_queue(net, 0);
	uint8_t *mem = uvdpa_net_alloc(net, 4 * BUF);
	struct uvdpa_net_buf b[4];

	(void)state;
	post(q, mem, 4);
	receive(n, &two);
	receive(n, &two);
	assert_int_equal(uvdpa_netq_rx(q, b, 3), 3);
	assert_int_equal(b[1].flags, 0);
	assert_int_equal(b[2].flags, UVDPA_NET_MORE);
	assert_int_equal(uvdpa_netq_rx(q, b, 3), 1);
	assert_int_equal(b[0].flags, 0);
	assert_int_equal(b[0].off, 0);
	assert_int_equal(b[0].len, 44);
	uvdpa_net_close(net);
	nic_destroy(n);
}

/* Words of the ring that no device may write. */
static void test_ring(void **state)
{
	(void)state;
	for (unsigned int side = 0; side < 2; side++) {
		struct nic *n = create();
		struct uvdpa_net *net = open_nic(n, false);
		struct uvdpa_netq *q = uvdpa_net_queue(net, 0);
		uint8_t *mem = uvdpa_net_alloc(net, 4 * BUF), *done[4];
		struct uvdpa_net_buf b[4] = { { .mem = mem + BUF, .off = 12, .len = 60 } };
		uint16_t *used = (uint16_t *)(void *)(net->dma.base + n->dev.vqs[side].device -
						      net->dma.iova);

		post(q, mem, 1);
		assert_int_equal(uvdpa_netq_tx(q, b, 1), 1);
		used[1] = htole16(2);	/* there is one */
		if (side) {
			assert_int_equal(uvdpa_netq_tx_done(q, done, 4), -EIO);
			assert_int_equal(uvdpa_netq_tx(q, b, 1), -EIO);
			assert_int_equal(uvdpa_netq_rx(q, b, 4), 0);
		} else {
			assert_int_equal(uvdpa_netq_rx(q, b, 4), -EIO);
			assert_int_equal(uvdpa_netq_tx_done(q, done, 4), 0);
		}
		/* It does not sleep for what will not come. */
		assert_true(side ? uvdpa_netq_tx_arm(q) : uvdpa_netq_rx_arm(q));
		uvdpa_net_close(net);
		nic_destroy(n);
	}
}

/* Broken, then taken away: both sides hear of it, what was finished before comes out first. */
static void test_gone(void **state)
{
	static const struct lie one = { "", { .num_buffers = 1 }, { 72 }, 1, 0, 0 };

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		int err = i ? -ENODEV : -EIO;
		struct nic *n = create();
		struct uvdpa_net *net = open_nic(n, false);
		struct uvdpa_netq *q = uvdpa_net_queue(net, 1);
		struct uvdpa_netq *q0 = uvdpa_net_queue(net, 0);
		uint8_t *mem = uvdpa_net_alloc(net, 4 * BUF), *done[4];
		struct uvdpa_net_buf b[4] = { { .mem = mem, .off = 12, .len = 60 } };
		struct uvdpa_wait w = { 0 };

		post(q0, mem, 2);
		receive(n, &one);
		assert_int_equal(uvdpa_netq_tx(q, b, 1), 1);
		assert_false(uvdpa_netq_tx_arm(q));
		assert_int_equal(uvdpa_net_set_pairs(net, 2, &w), -EINPROGRESS);
		if (i) {
			fake_dev_reset(&n->dev);
			vd_virtio_unbind(&n->dev.vdev);
		} else {
			n->dev.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
			n->dev.vdev.bound->driver->changed(n->dev.vdev.bound, UVDPA_DEV_STATUS);
		}
		assert_false(w.pending);
		assert_int_equal(w.err, err);
		assert_int_equal(uvdpa_net_set_pairs(net, 2, &w), err);
		assert_int_equal(uvdpa_netq_tx_wait(q, 0), 0);
		assert_int_equal(uvdpa_netq_tx_done(q, done, 4), err);
		assert_int_equal(uvdpa_netq_tx(q, b, 1), err);
		assert_int_equal(uvdpa_netq_rx(q0, b, 4), 1);
		assert_int_equal(uvdpa_netq_rx(q0, b, 4), err);
		uvdpa_net_close(net);
		nic_destroy(n);
	}
}

/* ---- the configuration ----------------------------------------------------------------------- */

static void test_config(void **state)
{
	static const struct {
		struct virtio_net_config c;
		int err;
	} cases[] = {
		{ { .mac = { 2 }, .max_virtqueue_pairs = 2, .mtu = 68 }, 0 },
		{ { .mac = { 2 }, .max_virtqueue_pairs = 2, .mtu = 67 }, -EBADMSG },
		{ { .mac = { 3 }, .max_virtqueue_pairs = 2, .mtu = 1500 }, -EBADMSG },
		{ { .mac = { 2 }, .max_virtqueue_pairs = 0, .mtu = 1500 }, -EBADMSG },
		{ { .mac = { 2 }, .max_virtqueue_pairs = 3, .mtu = 1500 }, -EBADMSG },
		{ { .mac = { 2 }, .max_virtqueue_pairs = 0x8001, .mtu = 1500 }, -EBADMSG },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct nic *n = create();
		struct uvdpa_net *net = NULL;

		n->config = cases[i].c;
		assert_int_equal(vd_net_open(n->dev.vdev.bound, NULL, &net), cases[i].err);
		if (cases[i].err)
			assert_non_null(strstr(vd_err_text(), "n0: "));
		uvdpa_net_close(net);
		nic_destroy(n);
	}
}

/* Speed and duplex are advice: they may be nonsense, or missing altogether. */
static void test_speed(void **state)
{
	static const struct {
		uint32_t said, size, speed;
	} cases[] = {
		{ 10000, sizeof(struct virtio_net_config), 10000 },
		{ UINT32_MAX, sizeof(struct virtio_net_config), 0 },
		{ 10000, offsetof(struct virtio_net_config, speed), 0 },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct nic *n = create();
		struct uvdpa_net *net;

		n->dev.vdev.offered |= F(VIRTIO_NET_F_SPEED_DUPLEX);
		n->config.speed = htole32(cases[i].said);
		n->config.duplex = 1;
		n->dev.config_size = cases[i].size;
		net = open_nic(n, false);
		assert_int_equal(net->info.speed, cases[i].speed);
		assert_int_equal(net->info.full_duplex, cases[i].size > 12);
		uvdpa_net_close(net);
		nic_destroy(n);
	}
}

/* What a driver must not ask for without something else, it does not. */
static void test_features(void **state)
{
	static const struct {
		uint64_t off, gone;
	} cases[] = {
		{ F(VIRTIO_NET_F_CTRL_VQ), F(VIRTIO_NET_F_MQ) | F(VIRTIO_NET_F_CTRL_RX) |
		  F(VIRTIO_NET_F_CTRL_RX_EXTRA) | F(VIRTIO_NET_F_GUEST_ANNOUNCE) |
		  F(VIRTIO_NET_F_CTRL_MAC_ADDR) | F(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) },
		{ F(VIRTIO_NET_F_GUEST_CSUM), F(VIRTIO_NET_F_GUEST_TSO4) },
		{ F(VIRTIO_NET_F_CTRL_RX), F(VIRTIO_NET_F_CTRL_RX_EXTRA) },
		{ 0, F(VIRTIO_F_RING_PACKED) },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct uvdpa_net_opts o = { .size = sizeof(o), .features_off = cases[i].off,
			.offloads = F(VIRTIO_NET_F_GUEST_CSUM) | F(VIRTIO_NET_F_GUEST_TSO4) };
		struct nic *n = create();
		struct uvdpa_net *net;

		assert_int_equal(vd_net_open(n->dev.vdev.bound, &o, &net), 0);
		assert_int_equal(n->dev.features, OFFERED & ~cases[i].off & ~cases[i].gone &
							  ~F(VIRTIO_F_RING_PACKED));
		uvdpa_net_close(net);
		nic_destroy(n);
	}
}

static void test_changes(void **state)
{
	struct nic *n = create();
	struct uvdpa_net *net = open_nic(n, false);
	const struct uvdpa_net_info *info = uvdpa_net_info(net);

	(void)state;
	n->config.status = htole16(VIRTIO_NET_S_ANNOUNCE);
	n->config.mtu = htole16(9000);
	n->dev.vdev.bound->driver->changed(n->dev.vdev.bound, UVDPA_DEV_CONFIG);
	assert_false(info->link_up);
	assert_true(info->announce);
	assert_int_equal(info->mtu, 9000);
	/* Nonsense changes nothing. */
	n->config.status = htole16(VIRTIO_NET_S_LINK_UP);
	n->config.mtu = htole16(1);
	n->dev.vdev.bound->driver->changed(n->dev.vdev.bound, UVDPA_DEV_CONFIG);
	assert_false(info->link_up);
	assert_int_equal(info->mtu, 9000);
	uvdpa_net_close(net);
	nic_destroy(n);
}

/* ---- commands -------------------------------------------------------------------------------- */

/* The device takes a command, compares it, and answers. */
static void answer(struct nic *n, const void *want, size_t len, uint8_t ack, uint32_t used)
{
	struct vd_chain *c;
	struct vd_sg out, in;
	uint8_t got[1024];

	assert_int_equal(vd_virtq_pop(n->dev.dq[CTRL_QUEUE], &c, 1), 1);
	out = vd_sg(c->iov, c->nout);
	in = vd_sg(c->iov + c->nout, c->nin);
	assert_int_equal(c->out_len, len);
	assert_int_equal(c->in_len, 1);
	vd_sg_read(&out, got, len);
	assert_memory_equal(got, want, len);
	vd_sg_write(&in, &ack, 1);
	vd_virtq_push(n->dev.dq[CTRL_QUEUE], c, used);
	if (vd_virtq_flush(n->dev.dq[CTRL_QUEUE]))
		vd_eventfd_signal(n->dev.vqs[CTRL_QUEUE].call);
}

static void test_commands(void **state)
{
	static const uint8_t macs[][6] = { { 2, 2 }, { 2, 3 }, { 1, 4 } }, mac[6] = { 2, 9 };
	static const uint8_t pairs[] = { 4, 0, 2, 0 }, promisc[] = { 0, 0, 0 }, nobcast[] = { 0, 5, 1 },
			     addr[] = { 1, 1, 2, 9, 0, 0, 0, 0 }, announce[] = { 3, 0 },
			     filter[] = { 1, 0, 2, 0, 0, 0, 2, 2, 0, 0, 0, 0, 2, 3, 0, 0, 0, 0,
					  1, 0, 0, 0, 1, 4, 0, 0, 0, 0 },
			     offloads[] = { 5, 0, 1 << VIRTIO_NET_F_GUEST_CSUM, 0, 0, 0, 0, 0, 0, 0 };

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct nic *n = create();
		struct uvdpa_net *net = open_nic(n, i);
		struct uvdpa_wait w[7] = { 0 };

		assert_int_equal(net->info.pairs, 1);
		assert_int_equal(uvdpa_net_set_pairs(net, 2, &w[0]), -EINPROGRESS);
		assert_int_equal(uvdpa_net_set_rx_mode(net, UVDPA_NET_PROMISC, false, &w[1]), -EINPROGRESS);
		assert_int_equal(uvdpa_net_set_rx_mode(net, UVDPA_NET_NOBCAST, true, &w[2]), -EINPROGRESS);
		assert_int_equal(uvdpa_net_set_filter(net, macs, 2, 1, &w[3]), -EINPROGRESS);
		assert_int_equal(uvdpa_net_set_mac(net, mac, &w[4]), -EINPROGRESS);
		assert_int_equal(uvdpa_net_set_offloads(net, F(VIRTIO_NET_F_GUEST_CSUM), &w[5]), -EINPROGRESS);
		assert_int_equal(uvdpa_net_announced(net, &w[6]), -EINPROGRESS);
		assert_int_equal(uvdpa_net_set_filter(net, macs, 3, 0, NULL), -EINVAL);
		assert_int_equal(uvdpa_net_set_filter(net, macs, 1, 2, NULL), -EINVAL);
		assert_int_equal(uvdpa_net_set_mac(net, macs[2], NULL), -EINVAL);
		assert_int_equal(uvdpa_net_set_rx_mode(net, (enum uvdpa_net_rx_mode)6, true, NULL), -EINVAL);
		answer(n, pairs, sizeof(pairs), VIRTIO_NET_OK, 1);
		answer(n, promisc, sizeof(promisc), VIRTIO_NET_OK, 1);
		answer(n, nobcast, sizeof(nobcast), VIRTIO_NET_ERR, 1);	/* refused */
		answer(n, filter, sizeof(filter), VIRTIO_NET_OK, 1);
		answer(n, addr, sizeof(addr), VIRTIO_NET_OK, 1);
		answer(n, offloads, sizeof(offloads), 77, 1);		/* no answer that exists */
		answer(n, announce, sizeof(announce), VIRTIO_NET_OK, 0);	/* not written */
		while (vd_loop_dispatch(&n->dev.loop, 100) > 0)
			;
		for (unsigned int k = 0; k < 7; k++) {
			assert_false(w[k].pending);
			assert_int_equal(w[k].err, k == 2 || k >= 5 ? -EIO : 0);
		}
		assert_int_equal(net->info.pairs, 2);
		assert_memory_equal(net->info.mac, mac, sizeof(mac));
		uvdpa_net_close(net);
		nic_destroy(n);
	}
}

/* No answer: that ends, and a late one is nobody's; then an answer to what was never asked. */
static void test_no_answer(void **state)
{
	static const uint8_t pairs[] = { 4, 0, 2, 0 };
	struct nic *n = create();
	struct uvdpa_net *net = open_nic(n, false);
	struct uvdpa_wait w = { 0 };
	uint16_t *used =
		(uint16_t *)(void *)(net->dma.base + n->dev.vqs[CTRL_QUEUE].device - net->dma.iova);
	uint64_t began_ns = vd_now_ns();

	(void)state;
	assert_int_equal(uvdpa_net_set_pairs(net, 2, &w), -EINPROGRESS);
	while (w.pending)
		assert_true(vd_loop_dispatch(&n->dev.loop, 10000) > 0);
	assert_int_equal(w.err, -ETIMEDOUT);
	assert_true(vd_now_ns() - began_ns >= UVDPA_DRAIN_MS * 1000000ull);
	answer(n, pairs, sizeof(pairs), VIRTIO_NET_OK, 1);
	assert_true(vd_loop_dispatch(&n->dev.loop, 1000) > 0);
	assert_int_equal(net->info.pairs, 1);
	assert_int_equal(uvdpa_net_set_pairs(net, 2, &w), -EINPROGRESS);
	used[1] = htole16(99);
	vd_eventfd_signal(n->dev.vqs[CTRL_QUEUE].call);
	assert_true(vd_loop_dispatch(&n->dev.loop, 1000) > 0);
	assert_false(w.pending);
	assert_int_equal(w.err, -EIO);
	assert_int_equal(uvdpa_net_set_pairs(net, 2, &w), -EIO);
	uvdpa_net_close(net);
	nic_destroy(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_receive),	 cmocka_unit_test(test_cut),
		cmocka_unit_test(test_ring),	 cmocka_unit_test(test_gone),
		cmocka_unit_test(test_config),	 cmocka_unit_test(test_speed),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_changes),	 cmocka_unit_test(test_commands),
		cmocka_unit_test(test_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
