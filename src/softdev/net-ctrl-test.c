/* SPDX-License-Identifier: BSD-2-Clause */
/* net-ctrl-test.c - the driver's commands, and that they do what they say */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "softdev/net-bed.h"
#include "softdev/net-pkt-fx.h"

#define PAIRS  3u
#define CTRL   (2 * PAIRS)
#define F(bit) VD_NET_F(bit)

static const char *const echo[] = { "mode",    "echo", "max_vqp", "3",
				    "workers", "3",    "mac",     "52:54:00:00:00:01",
				    "rss",     "on",   NULL };
static const uint8_t own[6] = { 0x52, 0x54, 0, 0, 0, 1 };

/* Each pair's worker has its queues: what comes before that is lost, as on any wire. */
static void settle(struct bed *b)
{
	static const uint8_t no_frame[1];

	for (unsigned int i = 0; i < PAIRS; i++)
		nb_send(b, 2 * i + 1, NULL, no_frame, sizeof(no_frame), 0);
}

static void begin(struct bed *b, uint64_t features_off)
{
	struct bed_conf c = { .queues = CTRL + 1, .num = 64, .features_off = features_off };

	assert_int_equal(bed_add(b, "sim-net", echo), 0);
	bed_start(b, &c);
	settle(b);
}

static void again(struct bed *b, uint64_t features_off)
{
	struct bed_conf c = { .queues = CTRL + 1, .num = 64, .features_off = features_off };

	bed_reset(b);
	bed_start(b, &c);
	settle(b);
}

static uint8_t command(struct bed *b, uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	return nb_command(b, CTRL, class, cmd, data, len, 0);
}

static void get_mac(struct bed *b, uint8_t mac[6])
{
	assert_int_equal(uvdpa_dev_get_config(b->dev, 0, mac, 6), 0);
}

static uint16_t get_status(struct bed *b)
{
	uint16_t status;

	assert_int_equal(uvdpa_dev_get_config(b->dev, 6, &status, 2), 0);
	return le16toh(status);
}

/* All commands there are, as they should be: class, command, what belongs to them, and the feature.
 */
static uint8_t table_set[4 + 6 + 4 + 12] = { 1, 0, 0, 0,    0x52, 0x54, 0, 0,    0,    9, 2, 0, 0,
					     0, 1, 0, 0x5e, 0,    0,    1, 0x33, 0x33, 0, 0, 0, 1 };
static uint8_t rss_config[4 + 2 + 2 + 2 * 4 + 2 + 1 + 40] = {
	0x3f, 0,    0,    0,    3,    0,    0,    0,    0,    0,    1,    0,    2,    0,    1,
	0,    3,    0,    40,   0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25,
	0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb,
	0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};
static uint8_t hash_config[4 + 8 + 1 + 40] = { 0x3f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1, 2, 3 };

static const struct {
	uint64_t feature;
	uint8_t class, cmd;
	uint32_t len;
	const void *data;
} commands[] = {
	{ F(CTRL_RX), VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1, "\1" },
	{ F(CTRL_RX), VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, 1, "\1" },
	{ F(CTRL_RX_EXTRA), VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLUNI, 1, "\1" },
	{ F(CTRL_RX_EXTRA), VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOMULTI, 1, "\0" },
	{ F(CTRL_RX_EXTRA), VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOUNI, 1, "\0" },
	{ F(CTRL_RX_EXTRA), VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, 1, "\0" },
	{ F(CTRL_RX), VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, sizeof(table_set),
	  table_set },
	{ F(CTRL_MAC_ADDR), VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 6, own },
	{ F(CTRL_VLAN), VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 2, "\5" },
	{ F(CTRL_VLAN), VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, 2, "\5" },
	{ F(GUEST_ANNOUNCE), VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, 0, "" },
	{ F(MQ), VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, "\2" },
	{ F(RSS), VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, sizeof(rss_config),
	  rss_config },
	{ F(HASH_REPORT), VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG, sizeof(hash_config),
	  hash_config },
	{ F(CTRL_GUEST_OFFLOADS), VIRTIO_NET_CTRL_GUEST_OFFLOADS,
	  VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, 8, "\2\0\0\0\0\0\0" },
};

/* Each is refused without its feature, and with one byte too few or too many, and is counted. */
static void test_all(void **state)
{
	static uint8_t longer[128];
	struct bed b;

	(void)state;
	begin(&b, 0);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(commands); i++) {
		uint64_t requests, ok, bad;

		/* With either of these the control queue is where it is. */
		again(&b, commands[i].feature);
		requests = bed_stat(&b, CTRL, "cvq requests");
		ok = bed_stat(&b, CTRL, "cvq successes");
		bad = bed_stat(&b, CTRL, "cvq errors");
		assert_int_equal(command(&b, commands[i].class, commands[i].cmd, commands[i].data,
					 commands[i].len),
				 VIRTIO_NET_ERR);
		again(&b, 0);
		for (uint32_t each = 0; each < 4 && each <= commands[i].len; each++)
			assert_int_equal(nb_command(&b, CTRL, commands[i].class, commands[i].cmd,
						    commands[i].data, commands[i].len,
						    each * (1 + commands[i].len / 50)),
					 VIRTIO_NET_OK);
		memcpy(longer, commands[i].data, commands[i].len);
		assert_int_equal(command(&b, commands[i].class, commands[i].cmd, longer,
					 commands[i].len + 1),
				 VIRTIO_NET_ERR);
		if (commands[i].len)
			assert_int_equal(command(&b, commands[i].class, commands[i].cmd, longer,
						 commands[i].len - 1),
					 VIRTIO_NET_ERR);
		assert_true(bed_stat(&b, CTRL, "cvq errors") >= bad + 2);
		assert_true(bed_stat(&b, CTRL, "cvq successes") > ok);
		assert_int_equal(bed_stat(&b, CTRL, "cvq requests") - requests,
				 bed_stat(&b, CTRL, "cvq errors") - bad +
					 bed_stat(&b, CTRL, "cvq successes") - ok);
	}
	bed_end(&b);
}

/* Whatever there is not, is refused, and the queue goes on. */
static void test_unknown(void **state)
{
	uint8_t data[8] = { 0 };
	struct bed b;

	(void)state;
	begin(&b, 0);
	for (unsigned int class = 0; class < 256; class += class < 8 ? 1 : 31)
		for (unsigned int cmd = 8; cmd < 256; cmd += 31)
			assert_int_equal(command(&b, (uint8_t) class, (uint8_t)cmd, data, 1),
					 VIRTIO_NET_ERR);
	for (unsigned int class = 6; class < 256; class += 13)
		assert_int_equal(command(&b, (uint8_t) class, 0, data, 8), VIRTIO_NET_ERR);
	assert_int_equal(command(&b, VIRTIO_NET_CTRL_RX, 0, "\1", 1), VIRTIO_NET_OK);
	bed_end(&b);
}

/* A command that is no command, and one without a place for the answer. */
static void test_no_command(void **state)
{
	struct vd_buf buf;
	struct vd_done done;
	struct bed b;

	(void)state;
	begin(&b, 0);
	nb_mem(&b, CTRL)[0] = VIRTIO_NET_CTRL_RX;
	buf = (struct vd_buf){ nb_iova(&b, CTRL), 3 };
	bed_add_req(&b, CTRL, &buf, 1, 0);
	assert_int_equal(bed_get(&b, CTRL, &done, 1, 5000), 1);
	assert_int_equal(done.len, 0);
	bed_add_req(&b, CTRL, &buf, 0, 1);
	assert_int_equal(bed_get(&b, CTRL, &done, 1, 5000), 1);
	assert_int_equal(done.len, 1);
	assert_int_equal(nb_mem(&b, CTRL)[0], VIRTIO_NET_ERR);
	assert_int_equal(bed_stat(&b, CTRL, "cvq errors"), 2);
	assert_int_equal(bed_stat(&b, CTRL, "cvq successes"), 0);
	bed_end(&b);
}

static void test_mac(void **state)
{
	static const uint8_t other[6] = { 2, 0, 0, 0, 0, 7 }, group[6] = { 3 }, none[6] = { 0 };
	uint8_t mac[6];
	struct bed b;

	(void)state;
	begin(&b, 0);
	get_mac(&b, mac);
	assert_memory_equal(mac, own, 6);
	assert_int_equal(command(&b, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, group, 6),
			 VIRTIO_NET_ERR);
	assert_int_equal(command(&b, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, none, 6),
			 VIRTIO_NET_ERR);
	get_mac(&b, mac);
	assert_memory_equal(mac, own, 6);
	assert_int_equal(command(&b, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, other, 6),
			 VIRTIO_NET_OK);
	get_mac(&b, mac);
	assert_memory_equal(mac, other, 6);
	again(&b, 0);
	get_mac(&b, mac);
	assert_memory_equal(mac, own, 6);
	bed_end(&b);
}

static void test_announce(void **state)
{
	struct uvdpa_attr on = { "announce", "on" };
	struct bed b;

	(void)state;
	begin(&b, F(GUEST_ANNOUNCE));
	assert_int_equal(uvdpa_dev_set(b.dev, &on, 1), 0);
	assert_int_equal(get_status(&b), VIRTIO_NET_S_LINK_UP);
	again(&b, 0);
	assert_int_equal(uvdpa_dev_set(b.dev, &on, 1), 0);
	assert_int_equal(get_status(&b), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(
			command(&b, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, "", 0),
			VIRTIO_NET_OK);
		assert_int_equal(get_status(&b), VIRTIO_NET_S_LINK_UP);
	}
	/* Nobody answers: the next driver has nothing to do with it. */
	assert_int_equal(uvdpa_dev_set(b.dev, &on, 1), 0);
	again(&b, 0);
	assert_int_equal(get_status(&b), VIRTIO_NET_S_LINK_UP);
	bed_end(&b);
}

/* What is sent in the driver's name comes back here, as all that it sends. */
static void test_rarp(void **state)
{
	static const uint8_t want[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0,    1,
					  2,	3,    0x80, 0x35, 0,	1,    8,    0,	  6,    4,
					  0,	3,    0x52, 0x54, 0,	1,    2,    3,	  0,    0,
					  0,	0,    0x52, 0x54, 0,	1,    2,    3 };
	struct uvdpa_attr rarp = { "rarp", "52:54:00:01:02:03" };
	struct nb_frame got;
	struct bed b;

	(void)state;
	begin(&b, 0);
	for (unsigned int i = 0; i < 3; i++) {
		nb_post_slot(&b, 0, i, 2048);
		assert_int_equal(uvdpa_dev_set(b.dev, &rarp, 1), 0);
		assert_true(nb_receive(&b, 0, &got, 5000));
		assert_int_equal(got.len, sizeof(want));
		assert_memory_equal(got.frame, want, sizeof(want));
	}
	rarp.value = "53:54:00:01:02:03";
	assert_int_equal(uvdpa_dev_set(b.dev, &rarp, 1), -EINVAL);
	bed_end(&b);
}

static uint8_t frame[PKT_MAX];

static const struct pkt flow = { .src = "66.9.149.187",
				 .dst = "161.142.100.80",
				 .sport = 2794,
				 .dport = 1766,
				 .proto = IPPROTO_TCP,
				 .payload = 100 };

/* Send to @dst, in VLAN @vid if that is not 0. Return: whether it came back, on pair 0. */
static bool comes(struct bed *b, const char *dst, uint16_t vid)
{
	struct pkt p = flow;
	struct pkt_at at;
	struct nb_frame got;

	p.tags = vid ? 1 : 0;
	p.vid = vid;
	at = pkt_make(&p, frame);
	memcpy(frame, dst, 6);
	nb_send(b, 1, NULL, frame, (uint32_t)at.len, 0);
	/* The frame was there before it was given back. */
	if (!nb_receive(b, 0, &got, 0))
		return false;
	assert_int_equal(got.len, at.len);
	assert_memory_equal(got.frame, frame, at.len);
	return true;
}

/* A filter filters, and what it holds back is counted. */
static void test_filter(void **state)
{
	uint64_t drops;
	struct bed b;

	(void)state;
	begin(&b, F(MRG_RXBUF));
	nb_post(&b, 0, 32, 2048);
	assert_true(comes(&b, "\2\0\0\0\0\7", 0));
	assert_true(comes(&b, "\2\0\0\0\0\7", 9));
	assert_int_equal(command(&b, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\0", 1), 0);
	drops = bed_stat(&b, 0, "rx drops");
	assert_false(comes(&b, "\2\0\0\0\0\7", 0));
	assert_false(comes(&b, "\1\0\x5e\0\0\1", 0));
	assert_int_equal(bed_stat(&b, 0, "rx drops"), drops + 2);
	assert_true(comes(&b, (const char *)own, 0));
	assert_true(comes(&b, "\xff\xff\xff\xff\xff\xff", 0));
	assert_int_equal(command(&b, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table_set,
				 sizeof(table_set)),
			 0);
	assert_true(comes(&b, "\1\0\x5e\0\0\1", 0));
	assert_true(comes(&b, "\x52\x54\0\0\0\x09", 0));
	assert_false(comes(&b, "\x52\x54\0\0\0\x08", 0));
	assert_false(comes(&b, (const char *)own, 9));
	assert_int_equal(command(&b, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, "\x09", 2), 0);
	assert_true(comes(&b, (const char *)own, 9));
	assert_int_equal(
		command(&b, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\2\0\0\0\0\7", 6),
		0);
	assert_false(comes(&b, (const char *)own, 0));
	assert_true(comes(&b, "\2\0\0\0\0\7", 0));
	again(&b, F(MRG_RXBUF));
	nb_post(&b, 0, 4, 2048);
	assert_true(comes(&b, "\2\0\0\0\0\x09", 0));
	bed_end(&b);
}

/* Send @p on pair @from. Return: the pair on which it came back. */
static unsigned int comes_on(struct bed *b, const struct pkt *p, unsigned int from,
			     struct nb_frame *ret)
{
	struct pkt_at at = pkt_make(p, frame);

	nb_send(b, 2 * from + 1, NULL, frame, (uint32_t)at.len, 0);
	for (unsigned int i = 0; i < PAIRS; i++)
		if (nb_receive(b, 2 * i, ret, 0))
			return i;
	fail_msg("lost");
	return PAIRS;
}

static void set_pairs(struct bed *b, uint8_t n)
{
	uint8_t le[2] = { n, 0 };

	assert_int_equal(command(b, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, le, 2),
			 n && n <= PAIRS ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
	/* Which of them run is found out in the control thread. */
	for (unsigned int i = 0; i < 20; i++)
		uvdpa_dispatch(b->u, 1);
}

/* The control queue stays with the monitor of the virtual machine: it runs the pairs that are used. */
static void test_pairs_without_control(void **state)
{
	struct bed_conf c = { .queues = 2 * PAIRS, .num = 64,
			      .features_off = F(RSS) | F(HASH_REPORT) };
	struct nb_frame got;
	struct bed b;

	(void)state;
	assert_int_equal(bed_add(&b, "sim-net", echo), 0);
	bed_start(&b, &c);
	settle(&b);
	for (unsigned int i = 0; i < 20; i++)
		uvdpa_dispatch(b.u, 1);
	for (unsigned int i = 0; i < PAIRS; i++)
		nb_post(&b, 2 * i, 16, 2048);
	for (unsigned int i = 0; i < 2 * PAIRS; i++)
		assert_int_equal(comes_on(&b, &flow, i % PAIRS, &got), i % PAIRS);
	bed_end(&b);
}

/* Without RSS a flow comes back where it was sent, as far as there are so many pairs. */
static void test_pairs(void **state)
{
	struct nb_frame got;
	struct bed b;

	(void)state;
	begin(&b, F(MRG_RXBUF) | F(RSS) | F(HASH_REPORT));
	for (unsigned int i = 0; i < PAIRS; i++)
		nb_post(&b, 2 * i, 60, 2048);
	assert_int_equal(comes_on(&b, &flow, 0, &got), 0);
	set_pairs(&b, PAIRS);
	for (unsigned int i = 0; i < 3 * PAIRS; i++)
		assert_int_equal(comes_on(&b, &flow, i * 2 % PAIRS, &got), i * 2 % PAIRS);
	set_pairs(&b, 0);
	set_pairs(&b, PAIRS + 1);
	assert_int_equal(comes_on(&b, &flow, 2, &got), 2);
	set_pairs(&b, 2);
	assert_true(comes_on(&b, &flow, 1, &got) == 1);
	set_pairs(&b, 1);
	assert_int_equal(comes_on(&b, &flow, 0, &got), 0);
	bed_end(&b);
}

/* With RSS it comes where the table says: 0x51ccc178 is this flow's hash. */
static void test_rss(void **state)
{
	static const struct pkt other = { .src = "fd00::1",
					  .dst = "fd00::2",
					  .proto = IPPROTO_ICMPV6 };
	uint8_t config[sizeof(rss_config)];
	struct nb_frame got;
	struct bed b;

	(void)state;
	begin(&b, F(MRG_RXBUF));
	for (unsigned int i = 0; i < PAIRS; i++)
		nb_post(&b, 2 * i, 60, 2048);
	assert_int_equal(comes_on(&b, &flow, 1, &got), 0);
	assert_int_equal(got.hdr.hash_report, VIRTIO_NET_HASH_REPORT_NONE);
	for (uint8_t k = 0; k < PAIRS; k++) {
		memcpy(config, rss_config, sizeof(config));
		config[8 + 2 * (0x78 & 3)] = k;
		assert_int_equal(command(&b, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG,
					 config, sizeof(config)),
				 0);
		assert_int_equal(comes_on(&b, &flow, (k + 1) % PAIRS, &got), k);
		assert_int_equal(le32toh(got.hdr.hash_value), 0x51ccc178);
		assert_int_equal(le16toh(got.hdr.hash_report), VIRTIO_NET_HASH_REPORT_TCPv4);
		/* One table entry that there is no queue for: all stays as it was. */
		config[8] = PAIRS;
		assert_int_equal(command(&b, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG,
					 config, sizeof(config)),
				 VIRTIO_NET_ERR);
		assert_int_equal(comes_on(&b, &flow, 0, &got), k);
	}
	/* What has no hash goes elsewhere. */
	memset(config, 0, 4);
	config[0] = 2;
	config[6] = 2;
	config[8] = 0;
	assert_int_equal(command(&b, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, config,
				 sizeof(config)),
			 0);
	assert_int_equal(comes_on(&b, &other, 0, &got), 2);
	assert_int_equal(got.hdr.hash_report, VIRTIO_NET_HASH_REPORT_NONE);
	assert_int_equal(got.hdr.hash_value, 0);
	/* The simple way again; a hash is told as it was. */
	set_pairs(&b, PAIRS);
	assert_int_equal(comes_on(&b, &flow, 1, &got), 1);
	assert_int_equal(le32toh(got.hdr.hash_value), 0x51ccc178);
	assert_int_equal(command(&b, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG,
				 hash_config, sizeof(hash_config)),
			 0);
	assert_int_equal(comes_on(&b, &other, 1, &got), 1);
	assert_int_equal(le16toh(got.hdr.hash_report), VIRTIO_NET_HASH_REPORT_IPv6);
	bed_end(&b);
}

/* What the driver takes undone, and what not any more. */
static void test_offloads(void **state)
{
	struct pkt p = { .src = "10.0.0.1",
			 .dst = "10.0.0.2",
			 .proto = IPPROTO_TCP,
			 .payload = 3000,
			 .partial = true };
	struct pkt_at at = pkt_make(&p, frame);
	struct virtio_net_hdr_v1 hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = htole16((uint16_t)at.data),
		.gso_size = htole16(1000),
		.csum_start = htole16((uint16_t)at.l4),
		.csum_offset = htole16(16),
	};
	uint64_t le;
	struct nb_frame got;
	struct bed b;

	(void)state;
	begin(&b, F(GUEST_UFO));
	nb_post(&b, 0, 32, NB_SLOT);
	nb_send(&b, 1, &hdr, frame, (uint32_t)at.len, 0);
	assert_true(nb_receive(&b, 0, &got, 1000));
	assert_int_equal(got.len, at.len);
	assert_int_equal(got.hdr.hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(got.hdr.hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(got.hdr.hdr.csum_start, hdr.csum_start);
	assert_memory_equal(got.frame, frame, at.len);
	/* Not negotiated, or not there. */
	le = htole64(F(GUEST_CSUM) | F(GUEST_UFO));
	assert_int_equal(command(&b, VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &le, 8), VIRTIO_NET_ERR);
	le = htole64(F(GUEST_CSUM) | F(MAC));
	assert_int_equal(command(&b, VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &le, 8), VIRTIO_NET_ERR);
	for (unsigned int csum = 0; csum < 2; csum++) {
		le = htole64(csum ? F(GUEST_CSUM) : 0);
		assert_int_equal(command(&b, VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &le, 8),
				 VIRTIO_NET_OK);
		nb_send(&b, 1, &hdr, frame, (uint32_t)at.len, 0);
		for (unsigned int i = 0; i < 3; i++) {
			assert_true(nb_receive(&b, 0, &got, 1000));
			assert_int_equal(got.len, at.data + 1000);
			assert_int_equal(got.hdr.hdr.gso_type, 0);
			assert_int_equal(got.hdr.hdr.flags, csum);
			assert_int_equal(le16toh(got.hdr.hdr.num_buffers), 1);
			if (!csum)
				assert_null(pkt_wrong(got.frame, got.len));
			assert_memory_equal(got.frame + at.data, frame + at.data + 1000 * i, 1000);
		}
		assert_false(nb_receive(&b, 0, &got, 0));
	}
	le = htole64(b.features & VD_NET_GUEST_OFFLOADS);
	assert_int_equal(command(&b, VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &le, 8), VIRTIO_NET_OK);
	nb_send(&b, 1, &hdr, frame, (uint32_t)at.len, 0);
	assert_true(nb_receive(&b, 0, &got, 1000));
	assert_int_equal(got.len, at.len);
	bed_end(&b);
}

/* Commands of all sorts while frames come and go on all pairs: for the sanitizers. */
static void test_busy(void **state)
{
	struct nb_frame got;
	struct bed b;
	unsigned int n = 0, posted = 32;

	(void)state;
	begin(&b, F(MRG_RXBUF));
	for (unsigned int i = 0; i < PAIRS; i++)
		nb_post(&b, 2 * i, posted, 2048);
	for (unsigned int round = 0; round < 600; round++) {
		struct pkt p = flow;
		struct pkt_at at;
		unsigned int from = round % PAIRS;

		p.sport = (uint16_t)round;
		at = pkt_make(&p, frame);
		nb_send(&b, 2 * from + 1, NULL, frame, (uint32_t)at.len, 0);
		command(&b, commands[round % VD_ARRAY_SIZE(commands)].class,
			commands[round % VD_ARRAY_SIZE(commands)].cmd,
			commands[round % VD_ARRAY_SIZE(commands)].data,
			commands[round % VD_ARRAY_SIZE(commands)].len);
		for (unsigned int i = 0; i < PAIRS; i++)
			while (nb_receive(&b, 2 * i, &got, 0)) {
				n++;
				nb_post_slot(&b, 2 * i, got.slot, 2048);
			}
	}
	assert_true(n > 100);
	bed_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),        cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_no_command), cmocka_unit_test(test_mac),
		cmocka_unit_test(test_announce),   cmocka_unit_test(test_filter),
		cmocka_unit_test(test_pairs),      cmocka_unit_test(test_rss),
		cmocka_unit_test(test_pairs_without_control),
		cmocka_unit_test(test_rarp),
		cmocka_unit_test(test_offloads),   cmocka_unit_test(test_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
