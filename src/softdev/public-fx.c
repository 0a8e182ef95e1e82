/* SPDX-License-Identifier: BSD-2-Clause */
#include "softdev/public-fx.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

struct own *the_own;
unsigned int own_destroyed;
bool own_fail_add;

/* A request with something of the author's own. */
struct own_req {
	struct uvdpa_req req;
	uint64_t mark;
};

/* In any thread: an assertion of cmocka's is for the main one. */
static void must(bool ok)
{
	if (!ok)
		abort();
}

static struct own *to_own(struct uvdpa_softdev *sd)
{
	return container_of(sd, struct own, sd);
}

static void answer(struct uvdpa_req *req)
{
	char buf[64];
	size_t n;

	while ((n = uvdpa_req_read(req, buf, sizeof(buf))))
		must(uvdpa_req_write(req, buf, n) == n);
}

/* By hand, as the kernel would. */
static void answer_in_place(struct uvdpa_req *req)
{
	struct iovec out[8], in[8];
	uint32_t len = vd_min(req->out_left, req->in_left);
	unsigned int nout = uvdpa_req_out_iov(req, len, out, 8),
		     nin = uvdpa_req_in_iov(req, len, in, 8);
	unsigned int o = 0, i = 0;
	size_t at = 0, to = 0;

	for (uint32_t k = 0; k < len; k++) {
		must(o < nout && i < nin);
		((char *)in[i].iov_base)[to] = ((char *)out[o].iov_base)[at];
		if (++at == out[o].iov_len)
			o++, at = 0;
		if (++to == in[i].iov_len)
			i++, to = 0;
	}
	must(o == nout);
	must(i == nin);
	must(uvdpa_req_skip_out(req, len) == len);
	must(uvdpa_req_skip_in(req, len) == len);
}

static void keep(struct own *o, struct uvdpa_req *req)
{
	pthread_mutex_lock(&o->lock);
	must(o->nkept < OWN_KEPT);
	o->kept[o->nkept++] = req;
	pthread_cond_signal(&o->cond);
	pthread_mutex_unlock(&o->lock);
}

static void own_handle(struct uvdpa_softdev *sd, unsigned int queue, struct uvdpa_req **reqs,
		       unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct own_req *r = container_of(reqs[i], struct own_req, req);
		struct iovec iov;
		char what = 0;

		must(r->req.queue == queue);
		must(r->mark == 0 || r->mark == 42);
		r->mark = 42;
		uvdpa_req_read(&r->req, &what, 1);
		switch (what) {
		case 'a':
			answer(&r->req);
			break;
		case 'p':
			answer_in_place(&r->req);
			break;
		case 'f':
			uvdpa_req_fill(&r->req, '.', 3);
			break;
		case 's':
			must(uvdpa_req_skip_out(&r->req, SIZE_MAX) == 5);
			must(uvdpa_req_skip_in(&r->req, SIZE_MAX) == 30);
			must(!r->req.out_left && !r->req.in_left);
			must(!uvdpa_req_in_iov(&r->req, 1, &iov, 1));
			must(!uvdpa_req_write(&r->req, "x", 1));
			break;
		case 'l':
			keep(to_own(sd), &r->req);
			continue;
		}
		uvdpa_req_done(&r->req, what == 'e' ? -EIO : 0);
	}
}

static void own_stop(struct uvdpa_softdev *sd, unsigned int queue)
{
	struct own *o = to_own(sd);

	(void)queue;
	pthread_mutex_lock(&o->lock);
	o->stops++;
	o->slow = false;
	pthread_cond_signal(&o->cond);
	pthread_mutex_unlock(&o->lock);
}

static void own_fed(struct uvdpa_softdev *sd, unsigned int queue)
{
	must(queue == OWN_RX);
	__atomic_fetch_add(&to_own(sd)->feds, 1, __ATOMIC_RELAXED);
}

static void *help(void *arg)
{
	struct own *o = arg;

	pthread_mutex_lock(&o->lock);
	while (!o->end || o->nkept) {
		struct uvdpa_req *req;

		if (!o->nkept || o->slow) {
			pthread_cond_wait(&o->cond, &o->lock);
			continue;
		}
		req = o->kept[--o->nkept];
		pthread_mutex_unlock(&o->lock);
		answer(req);
		uvdpa_req_done(req, 0);
		pthread_mutex_lock(&o->lock);
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

static int own_set_features(struct uvdpa_softdev *sd, uint64_t features)
{
	if (features >> 3 & 1)
		return uvdpa_set_error(-EINVAL, "not with bit 3");
	to_own(sd)->features = features;
	return 0;
}

static int own_set_config(struct uvdpa_softdev *sd, uint32_t off, const void *buf, uint32_t len)
{
	if (off < 4)
		return uvdpa_set_error(-EOPNOTSUPP, "byte %u cannot be written", off);
	for (uint32_t i = 0; i < len; i++)
		to_own(sd)->written[off + i] = ((const uint8_t *)buf)[i];
	return 0;
}

static void own_reset(struct uvdpa_softdev *sd)
{
	to_own(sd)->resets++;
}

static void own_end(struct own *o)
{
	pthread_mutex_lock(&o->lock);
	o->end = true;
	pthread_cond_signal(&o->cond);
	pthread_mutex_unlock(&o->lock);
	pthread_join(o->helper, NULL);
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->cond);
	free(o);
}

static void own_destroy(struct uvdpa_softdev *sd)
{
	own_destroyed++;
	own_end(to_own(sd));
}

const struct uvdpa_softdev_ops own_ops = {
	.size = sizeof(own_ops),
	.handle = own_handle,
	.stop = own_stop,
	.fed = own_fed,
	.set_features = own_set_features,
	.set_config = own_set_config,
	.reset = own_reset,
	.destroy = own_destroy,
};

const struct uvdpa_softdev_conf own_conf = {
	.size = sizeof(own_conf),
	.name = "d0",
	.device_id = VIRTIO_ID_CRYPTO,
	.features = 1u << 0 | 1u << 3,
	.nvqs = 3,
	.receive = 1u << OWN_RX,
	.config = "12345678",
	.config_size = 8,
	.req_size = sizeof(struct own_req),
	.threads = 3,
};

static int own_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	struct own *o = calloc(1, sizeof(*o));
	struct uvdpa_softdev_conf c = own_conf;

	(void)conf;
	must(o);
	c.name = name;
	o->sd.ops = &own_ops;
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->cond, NULL);
	must(!pthread_create(&o->helper, NULL, help, o));
	must(!uvdpa_softdev_init(u, &o->sd, &c));
	if (own_fail_add) {
		uvdpa_softdev_fini(&o->sd);
		own_end(o);
		return uvdpa_set_error(-ENXIO, "%s: does not want to", name);
	}
	must(uvdpa_softdev_of(o->sd.dev) == &o->sd);
	the_own = o;
	*ret_dev = o->sd.dev;
	return 0;
}

static const uint32_t own_ids[] = { VIRTIO_ID_CRYPTO, 0 };
static const struct uvdpa_opt own_opts[] = { { 0 } };
const struct uvdpa_parent own_parent = {
	.name = "own",
	.help = "for a test",
	.device_ids = own_ids,
	.max_vqs = 3,
	.opts = own_opts,
	.add = own_add,
};
