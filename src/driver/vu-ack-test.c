/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of NEED_REPLY: every message that the server knows, when it succeeds and when it fails. */
#include <sys/socket.h>
#include <unistd.h>

#include "driver/vu-fx.h"

#define INBAND (ALL_PF | PF(INBAND_NOTIFICATIONS))
#define SLOT_GPA (1ull << 30)

enum shape { EMPTY, U64, FD, SOCKET, ADDR, TABLE, SLOT, CONFIG, BASE };

/* In this order, on a ring 0 that runs; what only fails when the device hangs has no bad value. */
static const struct row {
	uint32_t request;
	enum shape shape;
	uint64_t good, bad;
	enum { ACK, ACK_0_ONLY, OWN } reply;
} rows[] = {
	{ VD_VU_GET_FEATURES, EMPTY, 0, 0, OWN },
	{ VD_VU_SET_FEATURES, U64, V1 | F_PF, 1ull << 63, ACK },
	{ VD_VU_GET_PROTOCOL_FEATURES, EMPTY, 0, 0, OWN },
	{ VD_VU_SET_OWNER, EMPTY, 0, 0, ACK_0_ONLY },
	{ VD_VU_RESET_OWNER, EMPTY, 0, 0, ACK_0_ONLY },
	{ VD_VU_SET_MEM_TABLE, TABLE, MEM_SIZE, 0, ACK },
	{ VD_VU_ADD_MEM_REG, SLOT, SLOT_GPA, GPA, ACK },
	{ VD_VU_REM_MEM_REG, SLOT, SLOT_GPA, 0, ACK },
	{ VD_VU_GET_MAX_MEM_SLOTS, EMPTY, 0, 0, OWN },
	{ VD_VU_SET_VRING_NUM, U64, 1 | 128ull << 32, 1 | 0ull << 32, ACK },
	{ VD_VU_SET_VRING_ADDR, ADDR, 1, FAKE_VQS, ACK },
	{ VD_VU_SET_VRING_BASE, U64, 1 | 5ull << 32, FAKE_VQS, ACK },
	{ VD_VU_SET_VRING_CALL, FD, 1, 1, ACK },
	{ VD_VU_SET_VRING_ERR, FD, 1, 1, ACK },
	{ VD_VU_SET_VRING_KICK, FD, 1, 1, ACK },
	{ VD_VU_SET_VRING_ENABLE, U64, 1 | 1ull << 32, 1 | 2ull << 32, ACK },
	{ VD_VU_VRING_KICK, U64, 0, FAKE_VQS, ACK },
	{ VD_VU_GET_QUEUE_NUM, EMPTY, 0, 0, OWN },
	{ VD_VU_SET_BACKEND_REQ_FD, SOCKET, 0, 0, ACK },
	{ VD_VU_GET_CONFIG, CONFIG, 0, 0, OWN },
	{ VD_VU_SET_CONFIG, CONFIG, 0, FAKE_CONFIG, ACK },
	{ VD_VU_SET_STATUS, U64, 0xf, 0x100, ACK },
	{ VD_VU_GET_STATUS, EMPTY, 0, 0, OWN },
	{ VD_VU_GET_VRING_BASE, BASE, 1, 0, OWN },
	{ VD_VU_RESET_DEVICE, EMPTY, 0, 0, ACK_0_ONLY },
};

static int event = -1, sockets[2];

static void build(const struct bed *b, const struct row *r, bool good, struct vd_vu_msg *m)
{
	static const uint32_t sizes[] = { [EMPTY] = 0, [U64] = 8, [FD] = 8, [SOCKET] = 8,
					  [ADDR] = 40, [TABLE] = 40, [SLOT] = 40, [CONFIG] = 13,
					  [BASE] = 8 };
	uint64_t v = good ? r->good : r->bad;

	vd_vu_msg_init(m, r->request, sizes[r->shape]);
	switch (r->shape) {
	case TABLE:
		m->mem.n = 1;
		m->mem.regions[0] = (struct vd_vu_region){ GPA, v, UVA, 0 };
		m->fds[m->nfds++] = b->mem;
		break;
	case SLOT:
		m->slot.region = (struct vd_vu_region){ v, 4096, 4096, 0 };
		if (r->request == VD_VU_ADD_MEM_REG)
			m->fds[m->nfds++] = b->mem;
		break;
	case ADDR:
		m->addr = (struct vd_vu_vring_addr){ .index = (uint32_t)v, .desc = UVA + 0x10000,
						     .avail = UVA + 0x11000,
						     .used = UVA + 0x12000 };
		break;
	case CONFIG:
		m->config.offset = (uint32_t)v;
		m->config.size = 1;
		break;
	case FD:
		m->fds[m->nfds++] = good ? event : b->mem;
		m->u64 = v;
		break;
	case SOCKET:
		m->fds[m->nfds++] = good ? sockets[0] : b->mem;
		break;
	case EMPTY:
		break;
	case U64:
	case BASE:
		m->u64 = v;
	}
}

static void begin(struct bed *b, uint64_t pf)
{
	struct uvdpa_wait w = { 0 };
	struct vd_vu_msg m;

	assert_int_equal(uvdpa_await(b->u, &w, uvdpa_dev_unbind(&b->f->dev, &w)), 0);
	fe_bind(b, "inband", "on");
	event = vd_eventfd();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	fe_start(b, ALL_PF);
	assert_int_equal(fe_set(b, VD_VU_SET_STATUS, 0xf, -1), 0);
	vd_vu_msg_init(&m, VD_VU_SET_PROTOCOL_FEATURES, 8);
	m.u64 = pf;
	assert_int_equal(fe_ask(b, &m), NONE);
	assert_true(b->f->vqs[0].running);
}

static void end(struct bed *b)
{
	fe_close(b);
	close(event);
	close(sockets[0]);
	close(sockets[1]);
}

/* One reply and no more, to this request. Return: its u64. */
static uint64_t one_reply(struct bed *b, const struct row *r, bool good)
{
	struct vd_vu_msg m, more;
	int got;

	build(b, r, good, &m);
	m.flags |= VD_VU_NEED_REPLY;
	got = fe_ask(b, &m);
	if (got != 1)
		fail_msg("%s, %s: %d", vd_vu_name(r->request), good ? "good" : "bad", got);
	assert_int_equal(m.request, r->request);
	assert_true(m.flags & VD_VU_REPLY);
	assert_false(m.flags & VD_VU_NEED_REPLY);
	assert_int_equal(fe_reply(b, &more), NONE);
	if (r->reply != OWN)
		assert_int_equal(m.size, 8);
	return m.u64;
}

/* It fails first, and has changed nothing: so it succeeds then. */
static void every_message_is_answered_once(void **state)
{
	struct bed *b = *state;

	begin(b, INBAND);
	for (size_t i = 0; i < VD_ARRAY_SIZE(rows); i++) {
		if (rows[i].reply == ACK && one_reply(b, &rows[i], false) != 1)
			fail_msg("%s failed with another value", vd_vu_name(rows[i].request));
		if (one_reply(b, &rows[i], true) && rows[i].reply != OWN)
			fail_msg("%s failed", vd_vu_name(rows[i].request));
	}
	end(b);
	assert_int_equal(open_fds(), b->fds);
}

/* Not agreed: success is silent, and a failure that cannot be told ends the connection. */
static void without_reply_ack(void **state)
{
	struct bed *b = *state;
	struct vd_vu_msg m;

	for (size_t i = 0; i < VD_ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		if (r->reply == OWN || r->request == VD_VU_REM_MEM_REG)
			continue;
		begin(b, INBAND & ~PF(REPLY_ACK));
		build(b, r, true, &m);
		m.flags |= VD_VU_NEED_REPLY;
		if (fe_ask(b, &m) != NONE)
			fail_msg("%s was answered", vd_vu_name(r->request));
		if (r->reply == ACK) {
			build(b, r, false, &m);
			m.flags |= VD_VU_NEED_REPLY;
			if (fe_ask(b, &m) != GONE)
				fail_msg("%s failed and goes on", vd_vu_name(r->request));
		}
		end(b);
	}
}

/* Whatever is not in the table above is not supported: so the table is complete. */
static void no_other_message(void **state)
{
	struct bed *b = *state;
	struct vd_vu_msg m;

	for (uint32_t request = 1; request <= VD_VU_REQUEST_MAX; request++) {
		size_t i = 0;
		int r;

		while (i < VD_ARRAY_SIZE(rows) && rows[i].request != request)
			i++;
		if (i < VD_ARRAY_SIZE(rows) || request == VD_VU_SET_PROTOCOL_FEATURES)
			continue;
		begin(b, INBAND);
		vd_vu_msg_init(&m, request, 8);
		r = fe_ack(b, &m);
		if (r != 1 && r != GONE)
			fail_msg("request %u: %d", request, r);
		end(b);
	}
}

static void protocol_features(void **state)
{
	struct bed *b = *state;

	begin(b, INBAND);
	assert_int_equal(fe_set(b, VD_VU_SET_PROTOCOL_FEATURES, 1ull << 40, -1), 1);
	assert_int_equal(fe_set(b, VD_VU_SET_PROTOCOL_FEATURES, ALL_PF, -1), 0);
	/* The refused set was not taken by half: the former one is in force. */
	assert_int_equal(fe_set(b, VD_VU_SET_STATUS, 0xf, -1), 0);
	end(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FE_TEST(every_message_is_answered_once),
		FE_TEST(without_reply_ack),
		FE_TEST(no_other_message),
		FE_TEST(protocol_features),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
