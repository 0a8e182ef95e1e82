/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of INBAND_NOTIFICATIONS: kicks and calls as messages, and a peer that does not read them. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "driver/vu-fx.h"

#define INBAND (NO_STATUS | PF(INBAND_NOTIFICATIONS))
#define VRING_KICK_NOFD(idx) ((idx) | VD_VU_VRING_NOFD)

static void rebind(struct bed *b)
{
	struct uvdpa_wait w = { 0 };

	assert_int_equal(uvdpa_await(b->u, &w, uvdpa_dev_unbind(&b->f->dev, &w)), 0);
	fe_bind(b, "inband", "on");
	fe_pump(b);
}

/* The back-end channel, which the front-end then reads from. */
static void back_open(struct bed *b, struct vd_vu_conn *back)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(fe_set(b, VD_VU_SET_BACKEND_REQ_FD, 0, sv[1]), 0);
	close(sv[1]);
	vd_vu_conn_init(back, sv[0], true);
}

static void assert_told(struct bed *b, struct vd_vu_conn *back, uint32_t request, uint32_t idx)
{
	struct vd_vu_msg m;

	fe_pump(b);
	assert_int_equal(vd_vu_recv(back, &m), 1);
	assert_int_equal(m.request, request);
	assert_int_equal(m.flags & (VD_VU_REPLY | VD_VU_NEED_REPLY), 0);
	assert_int_equal(m.size, 8);
	assert_int_equal(m.state.index, idx);
	assert_int_equal(m.state.num, 0);
}

static void assert_silent(struct bed *b, struct vd_vu_conn *back)
{
	struct vd_vu_msg m;

	fe_pump(b);
	assert_int_equal(vd_vu_recv(back, &m), 0);
}

/* As User Mode Linux: no descriptors at all; a kick in a message is answered. */
static void back_start(struct bed *b, struct vd_vu_conn *back)
{
	rebind(b);
	fe_hello(b, INBAND);
	back_open(b, back);
	assert_int_equal(fe_set_mem(b, GPA, MEM_SIZE, UVA, 0), 0);
	for (uint32_t i = 0; i < 2; i++) {
		fe_ring(b, i, 0);
		assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(i, 1), -1), 0);
		assert_int_equal(fe_set(b, VD_VU_SET_VRING_KICK, VRING_KICK_NOFD(i), -1), 0);
		assert_true(b->f->vqs[i].running);
		/* The gate rings once whenever the other end of a call has changed. */
		assert_told(b, back, VD_VU_BACKEND_VRING_CALL, i);
	}
	assert_silent(b, back);
}

static void off_by_default(void **state)
{
	struct bed *b = *state;
	struct vd_vu_msg m;

	fe_hello(b, NO_STATUS);
	assert_false(fe_get(b, VD_VU_GET_PROTOCOL_FEATURES, 0, 0) & PF(INBAND_NOTIFICATIONS));
	assert_int_equal(fe_set(b, VD_VU_SET_PROTOCOL_FEATURES, INBAND, -1), 1);
	assert_int_equal(fe_set(b, VD_VU_VRING_KICK, fe_pair(0, 0), -1), 1);
	fe_close(b);
	/* Offered and not chosen is off, too. */
	rebind(b);
	fe_start(b, NO_STATUS);
	assert_true(fe_get(b, VD_VU_GET_PROTOCOL_FEATURES, 0, 0) & PF(INBAND_NOTIFICATIONS));
	fake_log(b->f);
	vd_vu_msg_init(&m, VD_VU_VRING_KICK, 8);
	assert_int_equal(fe_ack(b, &m), 1);
	assert_string_equal(fake_log(b->f), "");
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_KICK, VRING_KICK_NOFD(1), -1), 0);
}

static void a_kick_in_a_message(void **state)
{
	struct bed *b = *state;
	struct vd_vu_conn back;
	struct vd_vu_msg m;

	back_start(b, &back);
	assert_true(b->f->vqs[0].vq.kick < 0 && !b->f->vqs[0].vq.poll);
	fake_log(b->f);
	assert_int_equal(fe_set(b, VD_VU_VRING_KICK, fe_pair(1, 0), -1), 0);
	assert_string_equal(fake_log(b->f), "kick1=1");
	vd_vu_msg_init(&m, VD_VU_VRING_KICK, 8);	/* without an answer */
	assert_int_equal(fe_ask(b, &m), NONE);
	assert_string_equal(fake_log(b->f), "kick0=0");
	assert_int_equal(fe_set(b, VD_VU_VRING_KICK, fe_pair(FAKE_VQS, 0), -1), 1);
	assert_int_equal(fe_set(b, VD_VU_VRING_KICK, fe_pair(0x10000, 0), -1), 1);
	assert_string_equal(fake_log(b->f), "");
	vd_vu_conn_fini(&back);
}

/* The specification lets the first kick start a ring. */
static void a_kick_starts_a_ring(void **state)
{
	struct bed *b = *state;
	struct vd_vu_conn back;

	back_start(b, &back);
	fe_ring(b, 2, 5);
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_ENABLE, fe_pair(2, 1), -1), 0);
	assert_false(b->f->vqs[2].running);
	fake_log(b->f);
	assert_int_equal(fe_set(b, VD_VU_VRING_KICK, fe_pair(2, 0), -1), 0);
	assert_string_equal(fake_log(b->f), "set_vq2 enable2 kick2=2");
	/* One that is not set up yet only remembers. */
	assert_int_equal(fe_set(b, VD_VU_VRING_KICK, fe_pair(3, 0), -1), 0);
	assert_string_equal(fake_log(b->f), "");
	vd_vu_conn_fini(&back);
}

static void calls_and_errors_in_messages(void **state)
{
	struct bed *b = *state;
	struct vd_vu_conn back;
	int fd;

	back_start(b, &back);
	/* No SET_VRING_CALL: it goes by message. */
	vd_eventfd_signal(b->f->vqs[1].vq.call);
	assert_told(b, &back, VD_VU_BACKEND_VRING_CALL, 1);
	assert_silent(b, &back);
	/* One that says that there is none. What was told before is told again, once. */
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_CALL, VD_VU_VRING_NOFD, -1), 0);
	assert_told(b, &back, VD_VU_BACKEND_VRING_CALL, 0);
	for (int i = 0; i < 3; i++) {
		vd_eventfd_signal(b->f->vqs[0].vq.call);
		assert_told(b, &back, VD_VU_BACKEND_VRING_CALL, 0);
	}
	/* With a descriptor: there, and not in a message. */
	fd = vd_eventfd();
	assert_int_equal(fe_set(b, VD_VU_SET_VRING_CALL, 0, fd), 0);
	vd_eventfd_drain(fd);
	vd_eventfd_signal(b->f->vqs[0].vq.call);
	assert_true(vd_eventfd_drain(fd));
	assert_silent(b, &back);
	close(fd);

	assert_int_equal(fe_set(b, VD_VU_SET_VRING_ERR, 1 | VD_VU_VRING_NOFD, -1), 0);
	vd_err(-EBADMSG, "as the test wants it");
	uvdpa_dev_vq_broken(&b->f->dev, 1);
	assert_told(b, &back, VD_VU_BACKEND_VRING_ERR, 1);
	vd_vu_conn_fini(&back);
}

/* What is due is a mark for each ring, however often it is: nothing piles up, nothing is lost. */
static void a_channel_that_is_never_read(void **state)
{
	struct bed *b = *state;
	struct vd_vu_conn back;
	struct vd_vu_msg m;
	unsigned int n = 0, seen = 0, fds;
	int r;

	back_start(b, &back);
	fds = open_fds();
	for (unsigned int i = 0; i < 5000; i++) {
		vd_eventfd_signal(b->f->vqs[i & 1].vq.call);
		uvdpa_dispatch(b->u, 0);
	}
	fe_pump(b);
	assert_int_equal(uvdpa_dispatch(b->u, 20), 0);	/* it sleeps */
	assert_int_equal(open_fds(), fds);
	/* The front-end's own messages are served all the while. */
	assert_int_equal(fe_get(b, VD_VU_GET_QUEUE_NUM, 0, 0), FAKE_VQS);
	assert_int_equal(fe_set(b, VD_VU_VRING_KICK, fe_pair(0, 0), -1), 0);

	for (;; n++) {
		r = vd_vu_recv(&back, &m);
		fe_pump(b);
		if (r == 0)
			r = vd_vu_recv(&back, &m);
		if (r == 0)
			break;
		assert_int_equal(r, 1);
		assert_int_equal(m.request, VD_VU_BACKEND_VRING_CALL);
		seen |= 1u << m.state.index;
	}
	assert_true(n > 2 && n < 5000);	/* it did fill up */
	assert_int_equal(seen, 3);
	vd_eventfd_signal(b->f->vqs[0].vq.call);	/* and works again */
	assert_told(b, &back, VD_VU_BACKEND_VRING_CALL, 0);
	vd_vu_conn_fini(&back);
}

/* The channel goes and comes back; what was due in between is told to the next. */
static void a_channel_that_goes(void **state)
{
	struct bed *b = *state;
	struct vd_vu_conn back;

	back_start(b, &back);
	vd_vu_conn_fini(&back);
	fe_pump(b);
	vd_eventfd_signal(b->f->vqs[1].vq.call);
	fe_pump(b);
	assert_true(b->f->vqs[1].running);
	back_open(b, &back);
	assert_told(b, &back, VD_VU_BACKEND_VRING_CALL, 1);
	assert_silent(b, &back);
	vd_vu_conn_fini(&back);
	fe_close(b);
	assert_int_equal(open_fds(), b->fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FE_TEST(off_by_default),
		FE_TEST(a_kick_in_a_message),
		FE_TEST(a_kick_starts_a_ring),
		FE_TEST(calls_and_errors_in_messages),
		FE_TEST(a_channel_that_is_never_read),
		FE_TEST(a_channel_that_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
