/* SPDX-License-Identifier: BSD-2-Clause */
#include "parent/vhost-user-fx.h"

#include <stdio.h>
#include <sys/mman.h>

void be_listen(struct be *b)
{
	struct vd_unix u;

	assert_int_equal(vd_unix_listen(&u, b->path, 0600, 0), 0);
	b->listener = u.fd;
}

void be_hangup(struct be *b)
{
	if (b->connected)
		vd_vu_conn_fini(&b->c);
	b->connected = false;
	for (unsigned int i = 0; i < NQ; i++) {
		vd_close(&b->kick[i]);
		vd_close(&b->call[i]);
		vd_close(&b->err[i]);
	}
	vd_close(&b->back);
	vd_close(&b->inflight);
}

void be_forget(struct be *b)
{
	memset(b->n, 0, sizeof(b->n));
	memset(b->last, 0, sizeof(b->last));
	b->norder = 0;
}

static void be_keep_fd(struct be *b, struct vd_vu_msg *m)
{
	unsigned int idx = m->u64 & VD_VU_VRING_IDX_MASK;
	int *to = NULL;

	if (m->request == VD_VU_SET_BACKEND_REQ_FD)
		to = &b->back;
	else if (m->request == VD_VU_SET_INFLIGHT_FD)
		to = &b->inflight;
	else if (idx >= NQ)
		return;
	else if (m->request == VD_VU_SET_VRING_KICK)
		to = &b->kick[idx];
	else if (m->request == VD_VU_SET_VRING_CALL)
		to = &b->call[idx];
	else if (m->request == VD_VU_SET_VRING_ERR)
		to = &b->err[idx];
	if (!to)
		return;
	vd_close(to);
	*to = vd_vu_msg_take_fd(m, 0);
}

/* What a good one would answer. Return: whether there is an answer. */
static bool be_answer_of(struct be *b, const struct vd_vu_msg *m, struct vd_vu_msg *a)
{
	vd_vu_msg_init(a, m->request, sizeof(a->u64));
	a->flags |= VD_VU_REPLY;
	switch (m->request) {
	case VD_VU_GET_FEATURES:
		a->u64 = b->features;
		return true;
	case VD_VU_GET_PROTOCOL_FEATURES:
		a->u64 = b->protocol;
		return true;
	case VD_VU_GET_QUEUE_NUM:
		a->u64 = b->queue_num;
		return true;
	case VD_VU_GET_MAX_MEM_SLOTS:
		a->u64 = b->slots;
		return true;
	case VD_VU_GET_VRING_BASE:
		a->state.index = m->state.index;
		a->state.num = m->state.index < NQ ? b->base[m->state.index] : 0;
		return true;
	case VD_VU_GET_INFLIGHT_FD:
		a->size = m->size;
		a->inflight = m->inflight;
		a->inflight.size = b->region_size;
		if (b->region >= 0)
			a->fds[a->nfds++] = b->region;
		return true;
	case VD_VU_GET_CONFIG:
		a->size = m->size;
		a->config = m->config;
		if (m->config.size > b->config_size)
			a->config.size = 0;
		else
			memcpy(a->config.data, b->config + m->config.offset, m->config.size);
		return true;
	default:
		a->u64 = b->how == NACK && b->at == m->request;
		if (m->request == VD_VU_SET_CONFIG && !a->u64)
			memcpy(b->config + m->config.offset, m->config.data, m->config.size);
		return m->flags & VD_VU_NEED_REPLY;
	}
}

static void be_answer(struct be *b, const struct vd_vu_msg *m)
{
	enum how how = b->at == m->request ? b->how : WELL;
	struct vd_vu_msg a;
	bool answers = be_answer_of(b, m, &a);

	if (how == CLOSE) {
		be_hangup(b);
		return;
	}
	if (how == SILENT || !answers)
		return;
	switch (how) {
	case WRONG_ID:
		a.request = VD_VU_GET_STATUS;
		a.size = 8;
		break;
	case WRONG_SIZE:
		a.size = a.size == 8 ? 4 : a.size - 4;
		break;
	case NOT_A_REPLY:
		a.flags &= ~VD_VU_REPLY;
		break;
	case WRONG_VERSION:
		a.flags = VD_VU_REPLY | 2;
		break;
	case TWICE:
		vd_vu_send(&b->c, &a);
		break;
	case HALF:
		assert_int_equal(send(b->c.fd, &a, 7, MSG_NOSIGNAL), 7);
		be_hangup(b);
		return;
	default:
		break;
	}
	vd_vu_send(&b->c, &a);
}

/* Take what is there and answer it. */
static void be_turn(struct be *b)
{
	struct vd_vu_msg m;
	int r = 1;

	if (!b->connected && !b->deaf) {
		int fd = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		vd_vu_conn_init(&b->c, fd, false);
		b->connected = true;
		b->connections++;
	}
	while (b->connected && (r = vd_vu_recv(&b->c, &m)) > 0) {
		b->n[m.request]++;
		if (b->norder < VD_ARRAY_SIZE(b->order))
			b->order[b->norder++] = m.request;
		be_keep_fd(b, &m);
		be_answer(b, &m);
		vd_vu_msg_fini(&m);
		b->last[m.request] = m;
	}
	if (b->connected && (r < 0 || vd_vu_flush(&b->c) < 0))
		be_hangup(b);
}

/* ---- the front-end's user: a bus driver that only holds the device --------------------------- */

static struct uvdpa_binding held;	/* one device at a time */
unsigned int changed[UVDPA_DEV_ATTRS + 1];

static int hold_probe(struct uvdpa_dev *dev, const void *conf, struct uvdpa_binding **ret_b)
{
	(void)dev, (void)conf;
	*ret_b = &held;
	return 0;
}

static void hold_quiesce(struct uvdpa_binding *b)
{
	uvdpa_binding_quiesced(b);
}

static void hold_remove(struct uvdpa_binding *b)
{
	(void)b;
}

static void hold_changed(struct uvdpa_binding *b, enum uvdpa_event ev)
{
	(void)b;
	changed[ev]++;
}

static void hold_describe(struct uvdpa_binding *b, struct uvdpa_emit *e)
{
	(void)b, (void)e;
}

static bool hold_match(const struct uvdpa_dev_info *info)
{
	(void)info;
	return true;
}

static const struct uvdpa_opt no_opts[] = { { 0 } };

static const struct uvdpa_driver hold = {
	.name = "hold", .help = "holds a device", .opts = no_opts, .match = hold_match,
	.probe = hold_probe, .quiesce = hold_quiesce, .remove = hold_remove,
	.changed = hold_changed, .describe = hold_describe,
};

void turn(struct fx *t)
{
	uvdpa_dispatch(t->u, 1);
	be_turn(&t->be);
}

static void quiet_log(struct uvdpa_log *l, enum uvdpa_log_level level, const char *line)
{
	(void)l;
	if (getenv("VERBOSE"))
		print_message("%d %s\n", level, line);
}

static struct uvdpa_log log_if_verbose = { .line = quiet_log };

int setup(void **state)
{
	struct fx *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	strcpy(t->dir, "/tmp/vuf-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	t->be = (struct be){ .features = F_V1 | F_PROTOCOL, .protocol = PROTOCOL_ALL,
			     .queue_num = NQ, .slots = 32, .config_size = 60, .back = -1, .region = -1,
			     .inflight = -1 };
	for (unsigned int i = 0; i < NQ; i++)
		t->be.kick[i] = t->be.call[i] = t->be.err[i] = -1;
	snprintf(t->be.path, sizeof(t->be.path), "%s/s", t->dir);
	be_listen(&t->be);
	assert_int_equal(uvdpa_create(&t->u), 0);
	uvdpa_set_log(t->u, &log_if_verbose, UVDPA_LOG_DEBUG);
	assert_int_equal(uvdpa_driver_register(t->u, &hold), 0);
	t->memfd = memfd_create("vuf", MFD_CLOEXEC);
	assert_int_equal(ftruncate(t->memfd, MEM_LEN), 0);
	t->mem = mmap(NULL, MEM_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, t->memfd, 0);
	assert_true(t->mem != MAP_FAILED);
	t->kick = vd_eventfd();
	t->call = vd_eventfd();
	memset(changed, 0, sizeof(changed));
	*state = t;
	return 0;
}

int teardown(void **state)
{
	struct fx *t = *state;

	be_hangup(&t->be);
	uvdpa_destroy(t->u);
	vd_close(&t->be.listener);
	unlink(t->be.path);
	rmdir(t->dir);
	munmap(t->mem, MEM_LEN);
	vd_close(&t->memfd);
	vd_close(&t->kick);
	vd_close(&t->call);
	free(t);
	return 0;
}

static void keep_error(struct uvdpa_wait *w, int err)
{
	struct fx *t = container_of(w, struct fx, w);

	(void)err;
	snprintf(t->error, sizeof(t->error), "%s", uvdpa_error());
}

int add(struct fx *t, const char *key, const char *value)
{
	struct uvdpa_attr attrs[] = { { "socket", t->be.path }, { key, value } };
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "d0", .mgmtdev = "vhost-user",
				    .attrs = attrs, .nattrs = key ? 2 : 1, .driver = "hold" };
	int r;

	t->w = (struct uvdpa_wait){ .done = keep_error };
	t->mapped = false;
	r = uvdpa_dev_add(t->u, &o, &t->dev, &t->w);
	if (r != -EINPROGRESS)
		return r;
	wait_until(t, !t->w.pending);
	return t->w.err;
}

int ended(struct fx *t, int r)
{
	if (r != -EINPROGRESS)
		return r;
	wait_until(t, !t->w.pending);
	return t->w.err;
}

void map_all(struct fx *t)
{
	struct uvdpa_map map = { .iova = IOVA, .len = MEM_LEN, .fd = t->memfd, .addr = t->mem,
				 .prot = UVDPA_MAP_RW };

	if (t->mapped)
		return;
	t->mapped = true;
	assert_int_equal(uvdpa_dev_map(t->dev, 0, &map), 0);
	assert_int_equal(ended(t, uvdpa_dev_commit(t->dev, &t->w)), 0);
}

void start(struct fx *t, uint64_t features)
{
	struct uvdpa_vq vq = { .num = 64, .desc = DESC, .driver = DRIVER, .device = DEVICE,
			       .kick = t->kick, .call = t->call };

	if (features & F_PACKED)
		vq.state = (struct uvdpa_vq_state){ 0x8000, 0x8000 };
	map_all(t);
	assert_int_equal(uvdpa_dev_set_status(t->dev, 1), 0);
	assert_int_equal(uvdpa_dev_set_status(t->dev, 3), 0);
	assert_int_equal(uvdpa_dev_set_features(t->dev, features), 0);
	assert_int_equal(uvdpa_dev_set_status(t->dev, 11), 0);
	assert_int_equal(uvdpa_dev_set_vq(t->dev, 0, &vq), 0);
	assert_int_equal(uvdpa_dev_enable_vq(t->dev, 0), 0);
	assert_int_equal(uvdpa_dev_set_status(t->dev, 15), 0);
	wait_until(t, t->be.n[VD_VU_SET_VRING_ENABLE] &&
		      (!(t->be.protocol & PF(STATUS)) || t->be.last[VD_VU_SET_STATUS].u64 == 15));
}

void set_idx(struct fx *t, uint64_t area, uint16_t idx)
{
	uint16_t v = htole16(idx);

	memcpy(t->mem + (area - IOVA) + 2, &v, sizeof(v));
}
