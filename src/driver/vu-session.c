/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vu-session.c - one front-end: its messages, one at a time, and the end of it
 *
 * How a message ends:
 *
 *	it has a reply of its own	the reply; if it failed and the reply cannot say so, the
 *					connection ends
 *	NEED_REPLY, REPLY_ACK agreed	0 or 1; 1 means that nothing has changed
 *	otherwise			nothing; if it failed, the connection ends, since the
 *					front-end would go on as if it had not
 *	-ETIMEDOUT			the connection ends: requests did not come home, and the
 *					front-end must not believe that its memory is its own
 *
 * While a reply waits for a front-end that does not read, no further message is taken.
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>

#include "base/err.h"
#include "driver/vu.h"

#define BURST 64	/* messages before others have their turn */
#define RETRY_MS 500

#define PF(name) (1ull << VD_VU_PF_##name)
#define F_PROTOCOL_FEATURES (1ull << VD_VU_F_PROTOCOL_FEATURES)
#define F_ACCESS_PLATFORM (1ull << VIRTIO_F_ACCESS_PLATFORM)
#define F_NOTIFICATION_DATA (1ull << 38)

/*
 * QEMU's front-end for devices of any type, of which its vhost-user-rng is one, takes STATUS and never
 * says DRIVER_OK (up to 11.1 at least): without it the status byte is ours to make up. Its own ones for
 * networks and disks do say it.
 */
static uint64_t status_protocol(const struct vd_vus_session *s)
{
	uint32_t id = uvdpa_dev_info(s->dev)->device_id;

	return id == VIRTIO_ID_NET || id == VIRTIO_ID_BLOCK ? PF(STATUS) : 0;
}

/* The dirty log (LOG_SHMFD) would be offered here. */
static uint64_t offered_protocol(const struct vd_vus_session *s)
{
	return PF(MQ) | PF(REPLY_ACK) | PF(BACKEND_REQ) | PF(CONFIG) | PF(RESET_DEVICE) |
	       PF(CONFIGURE_MEM_SLOTS) | status_protocol(s) | vd_vus_net_protocol(s) |
	       (s->dev->inflight ? PF(INFLIGHT_SHMFD) : 0) |
	       (s->owner->inband ? PF(INBAND_NOTIFICATIONS) : 0);
}

static void watch(struct vd_vus_session *s);

static const char *name_of(const struct vd_vus_session *s)
{
	return uvdpa_dev_name(s->dev);
}

void vd_vus_complain(struct vd_vus_session *s, const char *what)
{
	unsigned int missed;

	if (vd_ratelimit_ok(&s->owner->complaints, &missed))
		vd_log_warn(s->log, name_of(s), "%s: %s (%u more not shown)", what, vd_err_text(),
			    missed);
}

/* ---- messages about the device as a whole ---------------------------------------------------- */

/*
 * What the front-end may choose from. With ACCESS_PLATFORM it would translate addresses for us,
 * message by message; the device has it all the same, as it only sees addresses that we map. A
 * kick brings no data.
 */
static uint64_t offered(const struct vd_vus_session *s)
{
	return (uvdpa_dev_info(s->dev)->features & ~(F_ACCESS_PLATFORM | F_NOTIFICATION_DATA)) |
	       F_PROTOCOL_FEATURES;
}

static uint64_t device_features(const struct vd_vus_session *s, uint64_t features)
{
	return (features & ~F_PROTOCOL_FEATURES) |
	       (uvdpa_dev_info(s->dev)->features & F_ACCESS_PLATFORM);
}

static int get_features(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	(void)m;
	reply->u64 = offered(s);
	return 0;
}

static int apply_features(struct vd_vus_session *s, int err)
{
	if (!err && !vd_vus_has(s, VD_VU_PF_STATUS))
		err = vd_vus_add_status(s, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	if (!err)
		err = uvdpa_dev_set_features(s->dev, device_features(s, s->msg.u64));
	if (!err) {
		s->features = s->msg.u64;
		vd_vus_config_again(s);
	}
	return err;
}

/*
 * The same features again are fine at any time. Others, when a guest has been replaced by another
 * without a word (its rings stopped, that is all): the device begins anew.
 */
static int set_features(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	uint64_t features = device_features(s, m->u64);

	(void)reply;
	if (m->u64 & ~offered(s))
		return vd_err(-EOPNOTSUPP, "features 0x%llx are not offered",
			      (unsigned long long)(m->u64 & ~offered(s)));
	if (!(uvdpa_dev_status(s->dev) & VIRTIO_CONFIG_S_FEATURES_OK))
		return apply_features(s, 0);
	if (features == uvdpa_dev_driver_features(s->dev)) {
		s->features = m->u64;
		return 0;
	}
	if (vd_vus_has(s, VD_VU_PF_STATUS) || vd_vus_rings_running(s))
		return vd_err(-EBUSY, "features 0x%llx: 0x%llx are in use",
			      (unsigned long long)features,
			      (unsigned long long)uvdpa_dev_driver_features(s->dev));
	return vd_vus_then(s, uvdpa_dev_reset(s->dev, &s->wait), apply_features);
}

static int get_protocol_features(struct vd_vus_session *s, struct vd_vu_msg *m,
				 struct vd_vu_msg *reply)
{
	(void)m;
	reply->u64 = offered_protocol(s);
	return 0;
}

static int set_protocol_features(struct vd_vus_session *s, struct vd_vu_msg *m,
				 struct vd_vu_msg *reply)
{
	(void)reply;
	if (m->u64 & ~offered_protocol(s))
		return vd_err(-EOPNOTSUPP, "protocol features 0x%llx are not offered",
			      (unsigned long long)(m->u64 & ~offered_protocol(s)));
	s->protocol_features = m->u64;
	return 0;
}

/* SET_OWNER, and RESET_OWNER: the specification recommends to do nothing. */
static int nothing(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	(void)s;
	(void)m;
	(void)reply;
	return 0;
}

/*
 * Virtqueues, as the specification says, of a network device too: its control queue, which many
 * front-ends keep to themselves, and both of each pair. QEMU compares it with the pairs that it
 * was asked for, so it does not notice all that are too many.
 */
static int get_queue_num(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	(void)m;
	reply->u64 = s->nrings;
	return 0;
}

static int get_max_mem_slots(struct vd_vus_session *s, struct vd_vu_msg *m,
			     struct vd_vu_msg *reply)
{
	(void)s;
	(void)m;
	reply->u64 = VD_VU_SLOTS_MAX;
	return 0;
}

static int get_status(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	(void)m;
	reply->u64 = uvdpa_dev_status(s->dev);
	return 0;
}

static int was_reset(struct vd_vus_session *s, int err)
{
	(void)s;
	return err;
}

/*
 * Every ring has stopped. QEMU asks for their bases after the reset, so they are kept. What comes
 * then are new rings, of which an in-flight region knows nothing.
 */
static int rings_stopped(struct vd_vus_session *s, int err)
{
	if (err == -ETIMEDOUT)
		return err;
	for (unsigned int i = 0; i < s->nrings; i++) {
		vd_vus_ring_stopped(s, i);
		vd_dev_inflight_forget(s->dev, i);
		s->rings[i].started = false;
		s->rings[i].enabled = -1;
	}
	return vd_vus_then(s, uvdpa_dev_reset(s->dev, &s->wait), was_reset);
}

/* RESET_DEVICE, SET_STATUS 0 */
static int reset_device(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	(void)m;
	(void)reply;
	return vd_vus_then(s, uvdpa_dev_suspend(s->dev, &s->wait), rings_stopped);
}

static int set_status(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply)
{
	uint8_t status = (uint8_t)m->u64;
	int e = 0;

	if (m->u64 > UINT8_MAX)
		return vd_err(-EINVAL, "status 0x%llx", (unsigned long long)m->u64);
	if (!status)
		return reset_device(s, m, reply);
	/* QEMU begins with FEATURES_OK alone. */
	if (status & (VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK))
		status |= VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	if (status & VIRTIO_CONFIG_S_DRIVER_OK) {
		e = vd_vus_add_status(s, status & (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK);
		for (unsigned int i = 0; i < s->nrings && !e; i++)
			e = vd_vus_ring_run(s, i);
	}
	return e ? e : uvdpa_dev_set_status(s->dev, status);
}

/* ---- one message after another --------------------------------------------------------------- */

static const struct {
	int (*fn)(struct vd_vus_session *s, struct vd_vu_msg *m, struct vd_vu_msg *reply);
	uint32_t reply;		/* bytes of its own reply; 0: it has none */
	uint64_t needs;		/* protocol features */
} handlers[VD_VU_REQUEST_MAX] = {
	[VD_VU_GET_FEATURES] = { get_features, 8, 0 },
	[VD_VU_SET_FEATURES] = { set_features, 0, 0 },
	[VD_VU_SET_OWNER] = { nothing, 0, 0 },
	[VD_VU_RESET_OWNER] = { nothing, 0, 0 },
	[VD_VU_SET_MEM_TABLE] = { vd_vus_set_mem_table, 0, 0 },
	[VD_VU_SET_VRING_NUM] = { vd_vus_set_vring_num, 0, 0 },
	[VD_VU_SET_VRING_ADDR] = { vd_vus_set_vring_addr, 0, 0 },
	[VD_VU_SET_VRING_BASE] = { vd_vus_set_vring_base, 0, 0 },
	[VD_VU_GET_VRING_BASE] = { vd_vus_get_vring_base, 8, 0 },
	[VD_VU_SET_VRING_KICK] = { vd_vus_set_vring_kick, 0, 0 },
	[VD_VU_SET_VRING_CALL] = { vd_vus_set_vring_call, 0, 0 },
	[VD_VU_SET_VRING_ERR] = { vd_vus_set_vring_err, 0, 0 },
	[VD_VU_GET_PROTOCOL_FEATURES] = { get_protocol_features, 8, 0 },
	[VD_VU_SET_PROTOCOL_FEATURES] = { set_protocol_features, 0, 0 },
	[VD_VU_GET_QUEUE_NUM] = { get_queue_num, 8, 0 },
	[VD_VU_SET_VRING_ENABLE] = { vd_vus_set_vring_enable, 0, 0 },
	[VD_VU_SEND_RARP] = { vd_vus_send_rarp, 0, PF(RARP) },
	[VD_VU_NET_SET_MTU] = { vd_vus_net_set_mtu, 0, PF(NET_MTU) },
	[VD_VU_SET_BACKEND_REQ_FD] = { vd_vus_set_backend_req_fd, 0, PF(BACKEND_REQ) },
	[VD_VU_GET_CONFIG] = { vd_vus_get_config, 8, 0 },
	[VD_VU_SET_CONFIG] = { vd_vus_set_config, 0, PF(CONFIG) },
	[VD_VU_GET_INFLIGHT_FD] = { vd_vus_get_inflight_fd, 8, PF(INFLIGHT_SHMFD) },
	[VD_VU_SET_INFLIGHT_FD] = { vd_vus_set_inflight_fd, 0, PF(INFLIGHT_SHMFD) },
	[VD_VU_RESET_DEVICE] = { reset_device, 0, PF(RESET_DEVICE) },
	[VD_VU_VRING_KICK] = { vd_vus_vring_kick, 0, PF(INBAND_NOTIFICATIONS) },
	[VD_VU_GET_MAX_MEM_SLOTS] = { get_max_mem_slots, 8, 0 },
	[VD_VU_ADD_MEM_REG] = { vd_vus_add_mem_reg, 0, PF(CONFIGURE_MEM_SLOTS) },
	[VD_VU_REM_MEM_REG] = { vd_vus_rem_mem_reg, 0, PF(CONFIGURE_MEM_SLOTS) },
	[VD_VU_SET_STATUS] = { set_status, 0, PF(STATUS) },
	[VD_VU_GET_STATUS] = { get_status, 8, 0 },
};

/* Return: 0; -EINPROGRESS; -errno with a sentence. */
static int handle(struct vd_vus_session *s)
{
	struct vd_vu_msg *m = &s->msg;

	vd_vu_msg_init(&s->reply, m->request, 8);
	if (m->flags & VD_VU_REPLY)
		return vd_err(-EPROTO, "a reply to nothing");
	if (!handlers[m->request].fn)
		return vd_err(-EOPNOTSUPP, "not supported");
	if (handlers[m->request].needs & ~s->protocol_features)
		return vd_err(-EOPNOTSUPP, "protocol features 0x%llx were not agreed",
			      (unsigned long long)handlers[m->request].needs);
	s->reply.size = vd_max(handlers[m->request].reply, 8u);
	return handlers[m->request].fn(s, m, &s->reply);
}

/* The message has ended with @err. Return: 0; 1 the reply waits; -errno: so does the connection. */
static int conclude(struct vd_vus_session *s, int err)
{
	const struct vd_vu_msg *m = &s->msg;
	int r;
	bool own = handlers[m->request].reply;
	bool ack = m->flags & VD_VU_NEED_REPLY && vd_vus_has(s, VD_VU_PF_REPLY_ACK);

	vd_vu_msg_fini(&s->msg);
	if (err)
		vd_err_prefix(err, "%s: ", vd_vu_name(m->request));
	if (err && (own || !ack || err == -ETIMEDOUT || err == -EPROTO)) {
		vd_vu_msg_fini(&s->reply);
		return err;
	}
	if (err)
		vd_vus_complain(s, "refused");
	if (!own && !ack)
		return 0;
	if (!own)
		s->reply.u64 = err != 0;
	s->reply.flags |= VD_VU_REPLY;
	r = vd_vu_send(&s->conn, &s->reply);
	vd_vu_msg_fini(&s->reply);
	return r;
}

/* Up to BURST messages. Return: 0; -EINPROGRESS: a step is pending; another -errno: the end. */
static int run(struct vd_vus_session *s)
{
	int r = vd_vu_flush(&s->conn);

	for (int i = 0; r == 0 && i < BURST; i++) {
		r = vd_vu_recv(&s->conn, &s->msg);
		if (r != 1)
			return r;
		r = handle(s);
		if (r == -EINPROGRESS)
			return r;
		r = conclude(s, r);
	}
	return r < 0 ? r : 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

static int reset_again(struct vd_vus_session *s);

static void retry_event(struct vd_timer *t)
{
	reset_again(container_of(t, struct vd_vus_session, retry));
}

static int unmapped(struct vd_vus_session *s, int err)
{
	if (err)
		vd_log_warn(s->log, name_of(s), "mappings of a front-end that is gone: %s",
			    vd_err_text());
	if (s->freezing)
		s->owner->frozen(s->owner);
	else
		s->owner->ended(s->owner);
	return -EINPROGRESS;	/* @s may be gone */
}

/* Until then the next front-end waits: what the last one had begun may still write its memory. */
static int closing_reset(struct vd_vus_session *s, int err)
{
	if (err && s->freezing) {
		s->owner->frozen(s->owner);
	} else if (err) {
		vd_log_warn(s->log, name_of(s), "reset after a front-end: %s", vd_err_text());
		vd_timer_set(s->loop, &s->retry, RETRY_MS);
	} else {
		uvdpa_dev_rollback(s->dev);
		vd_dev_set_inflight(s->dev, NULL, 0, 0);
		err = uvdpa_dev_unmap(s->dev, 0, 0, UINT64_MAX);
		if (!err)
			err = uvdpa_dev_commit(s->dev, &s->wait);
		return vd_vus_then(s, err, unmapped);
	}
	return -EINPROGRESS;
}

static int reset_again(struct vd_vus_session *s)
{
	return vd_vus_then(s, uvdpa_dev_reset(s->dev, &s->wait), closing_reset);
}

static void hang_up(struct vd_vus_session *s)
{
	vd_fd_del(&s->watch);
	vd_vu_conn_fini(&s->conn);
	vd_vu_msg_fini(&s->msg);
	vd_vus_back_close(s);
	vd_vus_config_fini(s);
	for (unsigned int i = 0; i < s->nrings; i++)
		vd_vus_ring_fini(&s->rings[i]);
}

static void session_close(struct vd_vus_session *s)
{
	s->closing = true;
	hang_up(s);
	reset_again(s);	/* @s may be gone */
}

static void session_end(struct vd_vus_session *s, int err)
{
	if (err == -ENOTCONN || err == -EPIPE)
		vd_log_info(s->log, name_of(s), "front-end gone: %s", vd_err_text());
	else
		vd_vus_complain(s, "front-end dropped");
	session_close(s);
}

/* ---- events ---------------------------------------------------------------------------------- */

/* Wait for what can be gone on with: a pause takes the descriptor out, since hang-ups come always. */
static void watch(struct vd_vus_session *s)
{
	uint32_t events = vd_list_empty(&s->conn.out) ? EPOLLIN : EPOLLOUT;

	if (s->wait.pending || s->closing || s->freezing)
		vd_fd_del(&s->watch);
	else if (s->watch.loop)
		vd_fd_mod(&s->watch, events);
	else if (vd_fd_add(s->loop, &s->watch, s->conn.fd, events))
		session_end(s, -EIO);
}

static void session_event(struct vd_fd *f, uint32_t events)
{
	struct vd_vus_session *s = container_of(f, struct vd_vus_session, watch);
	int r = run(s);

	(void)events;
	if (r < 0 && r != -EINPROGRESS)
		session_end(s, r);
	else
		watch(s);
}

/* An operation of the gate has ended. */
static void step_event(struct uvdpa_wait *w, int err)
{
	struct vd_vus_session *s = container_of(w, struct vd_vus_session, wait);
	int r = s->step(s, err);

	if (r == -EINPROGRESS)
		return;
	r = conclude(s, r);
	if (s->freezing)
		s->owner->frozen(s->owner);
	else if (r < 0)
		session_end(s, r);
	else
		watch(s);
}

int vd_vus_session_freeze(struct vd_vus_session *s)
{
	s->freezing = true;
	vd_fd_del(&s->watch);
	vd_timer_del(s->loop, &s->retry);
	return s->wait.pending ? -EINPROGRESS : 0;
}

static void session_free(struct vd_vus_session *s)
{
	free(s->mem.regions);
	free(s->next.regions);
	free(s);
}

static void orphan_event(struct uvdpa_wait *w, int err)
{
	(void)err;
	session_free(container_of(w, struct vd_vus_session, wait));
}

void vd_vus_session_destroy(struct vd_vus_session *s)
{
	hang_up(s);
	vd_timer_del(s->loop, &s->retry);
	s->wait.done = orphan_event;
	if (!s->wait.pending)
		session_free(s);
}

int vd_vus_session_start(struct uvdpa_dev *dev, int fd, struct vd_vus_owner *owner,
			 struct vd_vus_session **ret_s)
{
	struct uvdpa *u = uvdpa_dev_context(dev);
	unsigned int n = vd_min(uvdpa_dev_info(dev)->nvqs, VD_VU_QUEUES_MAX);
	struct vd_vus_session *s = calloc(1, sizeof(*s) + n * sizeof(s->rings[0]));
	int e;

	if (!s)
		return vd_err(-ENOMEM, "a session with %u rings: %m", n);
	s->dev = dev;
	s->loop = vd_ctx_loop(u);
	s->log = vd_ctx_log(u);
	s->owner = owner;
	s->nrings = n;
	s->watch.fn = session_event;
	s->retry.fn = retry_event;
	s->wait.done = step_event;
	for (unsigned int i = 0; i < n; i++)
		vd_vus_ring_init(s, i);
	vd_vus_back_init(s);
	vd_vus_config_init(s);
	e = vd_fd_add(s->loop, &s->watch, fd, EPOLLIN);
	if (e) {
		free(s);
		return e;
	}
	vd_vu_conn_init(&s->conn, fd, false);
	s->conn.closing = owner->closing;
	*ret_s = s;
	vd_log_info(s->log, name_of(s), "front-end connected");
	return 0;
}
