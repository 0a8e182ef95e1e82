/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rbd-image.c - images and clients of the rbd parent: how they come and go
 *
 * An image is opened by one job and closed by another, never by both at a time:
 *
 *	open job --opened--> the device has it --close job--> freed
 *	         --failed, or nobody wants it--> close job of what there is --> freed
 *
 * While a job runs, what it uses is its own; it never looks at the device. A job that hangs, as the
 * cluster does not answer, keeps the image and its client until it does.
 */
#include "parent/rbd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

const char *const vd_rbd_caches[] = {
	[VD_RBD_CACHE_AUTO] = "auto",
	[VD_RBD_CACHE_NONE] = "none",
	[VD_RBD_CACHE_WRITETHROUGH] = "writethrough",
	[VD_RBD_CACHE_WRITEAROUND] = "writearound",
	[VD_RBD_CACHE_WRITEBACK] = "writeback",
	NULL,
};

/* ---- clients -------------------------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool vd_rbd_client_fits(const struct vd_rbd_client *cl, const struct vd_rbd_conf *c)
{
	const struct vd_rbd_who *who = &cl->who;

	return cl->share && c->share && !__atomic_load_n(&cl->shut_out, __ATOMIC_RELAXED) &&
	       same(who->conf, c->conf) && same(who->user, c->user) &&
	       same(who->mon_host, c->mon_host) && same(who->keyring, c->keyring) &&
	       who->cache == c->cache;
}

struct vd_rbd_client *vd_rbd_client_get(struct vd_rbd_client *cl)
{
	__atomic_fetch_add(&cl->refs, 1, __ATOMIC_RELAXED);
	return cl;
}

static void client_free(struct vd_rbd_client *cl)
{
	pthread_mutex_destroy(&cl->lock);
	free(cl->who.conf);
	free(cl->who.user);
	free(cl->who.mon_host);
	free(cl->who.keyring);
	free(cl);
}

void vd_rbd_client_shut_out(struct vd_rbd_client *cl)
{
	__atomic_store_n(&cl->shut_out, true, __ATOMIC_RELAXED);
}

/* A copy of what may not be there. Return: false if there is no memory. */
static bool copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return !from || *to;
}

struct vd_rbd_client *vd_rbd_client_create(const struct vd_rbd_conf *c)
{
	struct vd_rbd_client *cl = calloc(1, sizeof(*cl));

	if (!cl)
		return NULL;
	cl->refs = 1;
	cl->share = c->share;
	pthread_mutex_init(&cl->lock, NULL);
	cl->who.cache = c->cache;
	cl->who.timeout_ms = (unsigned int)c->timeout_ms;
	if (!copy(&cl->who.conf, c->conf) || !copy(&cl->who.user, c->user) ||
	    !copy(&cl->who.mon_host, c->mon_host) || !copy(&cl->who.keyring, c->keyring)) {
		client_free(cl);
		return NULL;
	}
	return cl;
}

/* The end of a connection may wait; of one that was never made it does not. */
void vd_rbd_client_put(struct vd_rbd_client *cl)
{
	/* Release, acquire: what the others did with it. */
	if (__atomic_sub_fetch(&cl->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (cl->connected)
		cl->lib.rados_shutdown(cl->rados);
	client_free(cl);
}

static int set(const struct vd_rbd_image *img, rados_t r, const char *key, const char *value)
{
	int e = value ? img->lib->rados_conf_set(r, key, value) : 0;

	return e ? vd_err(e, "%s: %s \"%s\": %s", img->name, key, value, strerror(-e)) : 0;
}

static int set_cache(const struct vd_rbd_image *img, rados_t r, enum vd_rbd_cache cache)
{
	int e;

	if (cache == VD_RBD_CACHE_AUTO)
		return 0;
	e = set(img, r, "rbd_cache", cache == VD_RBD_CACHE_NONE ? "false" : "true");
	if (!e && cache != VD_RBD_CACHE_NONE)
		e = set(img, r, "rbd_cache_policy", vd_rbd_caches[cache]);
	return e;
}

static int configure(const struct vd_rbd_image *img, const struct vd_rbd_who *who, rados_t r)
{
	char seconds[16];
	int e = 0;

	/* With the monitors given no file is needed; there may be one all the same. */
	if (who->conf || !who->mon_host)
		e = img->lib->rados_conf_read_file(r, who->conf);
	if (e)
		return vd_err(e, "%s: configuration %s: %s", img->name,
			      who->conf ? who->conf : "of Ceph", strerror(-e));
	e = set(img, r, "mon_host", who->mon_host);
	if (!e)
		e = set(img, r, "keyring", who->keyring);
	if (!e)
		e = set_cache(img, r, who->cache);
	/* A guest may write to what it has given to be written; what is sent has a checksum. */
	if (!e)
		e = set(img, r, "rbd_disable_zero_copy_writes", "true");
	/* Later than the device gives up, so that nobody is in there for ever. */
	snprintf(seconds, sizeof(seconds), "%u", who->timeout_ms / 1000 + 1);
	if (!e)
		e = set(img, r, "client_mount_timeout", seconds);
	return e;
}

static void enter(struct vd_rbd_image *img, enum vd_rbd_step step)
{
	/* Release: img->mons. Pairs with vd_rbd_image_late(). */
	__atomic_store_n(&img->step, step, __ATOMIC_RELEASE);
}

/* Whom it asks, for messages. */
static void note_mons(struct vd_rbd_image *img, rados_t r)
{
	if (img->lib->rados_conf_get(r, "mon_host", img->mons, sizeof(img->mons)) || !*img->mons)
		snprintf(img->mons, sizeof(img->mons), "none configured");
}

static int client_connect(struct vd_rbd_image *img)
{
	struct vd_rbd_client *cl = img->client;
	char *user;
	rados_t r;
	int e;

	e = vd_rbd_lib_load(&cl->lib);
	if (e)
		return vd_err_prefix(e, "%s: ", img->name);
	if (asprintf(&user, "client.%s", cl->who.user) < 0)
		return vd_err(-ENOMEM, "%s: no memory", img->name);
	/* The name of the cluster is a part of default paths; Ceph has but this one today. */
	e = img->lib->rados_create2(&r, "ceph", user, 0);
	free(user);
	if (e)
		return vd_err(e, "%s: client of Ceph: %s", img->name, strerror(-e));
	e = configure(img, &cl->who, r);
	if (!e) {
		note_mons(img, r);
		enter(img, VD_RBD_CONNECT);
		e = img->lib->rados_connect(r);
		if (e)
			e = vd_err(e, "%s: connect to the monitors (%s) as client.%s: %s",
				   img->name, img->mons, cl->who.user, strerror(-e));
	}
	if (e) {
		img->lib->rados_shutdown(r);
		return e;
	}
	cl->rados = r;
	cl->connected = true;
	return 0;
}

/* ---- opening; in the job -------------------------------------------------------------------- */

static int connect_client(struct vd_rbd_image *img)
{
	struct vd_rbd_client *cl = img->client;
	int e = 0;

	pthread_mutex_lock(&cl->lock);
	if (!cl->connected)
		e = client_connect(img);
	pthread_mutex_unlock(&cl->lock);
	return e;
}

static int open_pool(struct vd_rbd_image *img)
{
	int e = img->lib->rados_ioctx_create(img->client->rados, img->pool, &img->io);

	if (e == -ENOENT)
		return vd_err(e, "%s: there is no pool %s", img->name, img->pool);
	if (e)
		return vd_err(e, "%s: pool %s: %s", img->name, img->pool, strerror(-e));
	img->has_io = true;
	if (img->namespace)
		img->lib->rados_ioctx_set_namespace(img->io, img->namespace);
	return 0;
}

static int open_rbd(struct vd_rbd_image *img)
{
	int e;

	e = img->readonly ? img->lib->rbd_open_read_only(img->io, img->image, &img->rbd, NULL) :
			    img->lib->rbd_open(img->io, img->image, &img->rbd, NULL);
	if (e == -ENOENT)
		return vd_err(e, "%s: there is no such image", img->name);
	if (e)
		return vd_err(e, "%s: open: %s", img->name, strerror(-e));
	img->has_rbd = true;
	if (!img->snapshot)
		return 0;
	e = img->lib->rbd_snap_set(img->rbd, img->snapshot);
	if (e == -ENOENT)
		return vd_err(e, "%s: there is no such snapshot", img->name);
	return e ? vd_err(e, "%s: snapshot: %s", img->name, strerror(-e)) : 0;
}

/* Who has the lock, if that can be told. */
static void owner(const struct vd_rbd_image *img, char *to, size_t size)
{
	rbd_lock_mode_t mode;
	char *owners[4];
	size_t n = VD_ARRAY_SIZE(owners);

	snprintf(to, size, "another");
	if (img->lib->rbd_lock_get_owners(img->rbd, &mode, owners, &n))
		return;
	if (n)
		snprintf(to, size, "%s", owners[0]);
	img->lib->rbd_lock_get_owners_cleanup(owners, n);
}

/* From here on nobody else writes: librbd gives a lock that was asked for to no other. */
static int lock_rbd(struct vd_rbd_image *img)
{
	uint64_t features = 0;
	char who[96];
	int e;

	if (img->readonly || !img->want_lock)
		return 0;
	e = img->lib->rbd_get_features(img->rbd, &features);
	if (e)
		return vd_err(e, "%s: features: %s", img->name, strerror(-e));
	if (!(features & RBD_FEATURE_EXCLUSIVE_LOCK))
		return vd_err(-EOPNOTSUPP, "%s: the image has no feature exclusive-lock, so that "
			      "another may write to it; lock=off does without", img->name);
	e = img->lib->rbd_lock_acquire(img->rbd, RBD_LOCK_MODE_EXCLUSIVE);
	if (e == -EROFS || e == -EBUSY || e == -EAGAIN) {
		owner(img, who, sizeof(who));
		return vd_err(-EBUSY, "%s: in use: %s has the lock", img->name, who);
	}
	return e ? vd_err(e, "%s: lock: %s", img->name, strerror(-e)) : 0;
}

/* What librbd does for this image; each image and pool may have a configuration of its own. */
static const char *find(const rbd_config_option_t *o, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(o[i].name, name))
			return o[i].value;
	return "";
}

static enum vd_rbd_cache cache_of(const rbd_config_option_t *o, int n)
{
	const char *kept = find(o, n, "rbd_persistent_cache_mode");
	const char *policy = find(o, n, "rbd_cache_policy");

	if (*kept && strcmp(kept, "disabled"))
		return VD_RBD_CACHE_WRITEBACK;
	if (strcmp(find(o, n, "rbd_cache"), "true"))
		return VD_RBD_CACHE_NONE;
	if (!strcmp(policy, "writethrough") || !strcmp(find(o, n, "rbd_cache_max_dirty"), "0"))
		return VD_RBD_CACHE_WRITETHROUGH;
	return strcmp(policy, "writeback") ? VD_RBD_CACHE_WRITEAROUND : VD_RBD_CACHE_WRITEBACK;
}

static int read_config(struct vd_rbd_image *img)
{
	enum vd_rbd_cache want = img->client->who.cache;
	rbd_config_option_t *o = NULL;
	int n = 0, e;

	while ((e = img->lib->rbd_config_image_list(img->rbd, o, &n)) == -ERANGE) {
		free(o);
		o = calloc((size_t)n, sizeof(*o));
		if (!o)
			return vd_err(-ENOMEM, "%s: no memory", img->name);
	}
	if (e) {
		free(o);
		return vd_err(e, "%s: configuration: %s", img->name, strerror(-e));
	}
	if (!o)
		n = 0;
	img->cache = cache_of(o, n);
	img->discard_align = strtoull(find(o, n, "rbd_discard_granularity_bytes"), NULL, 10);
	img->lib->rbd_config_image_list_cleanup(o, n);
	free(o);
	if (want != VD_RBD_CACHE_AUTO && want != img->cache)
		return vd_err(-EINVAL, "%s: cache=%s, but the configuration of the image or its pool "
			      "makes it %s", img->name, vd_rbd_caches[want],
			      vd_rbd_caches[img->cache]);
	return 0;
}

static int update_size(struct vd_rbd_image *img)
{
	uint64_t size = 0;
	int e = img->lib->rbd_get_size(img->rbd, &size);

	if (!e)
		__atomic_store_n(&img->size, size, __ATOMIC_RELAXED);
	return e;
}

/* Context: a thread of librbd. It may wait here: nothing else needs it. */
static void image_changed(void *arg)
{
	struct vd_rbd_image *img = arg;

	if (!update_size(img))
		vd_loop_post(vd_ctx_loop(img->u), &img->resize_post);
}

static int measure(struct vd_rbd_image *img)
{
	uint64_t unit = 0, count = 0;
	rbd_image_info_t info;
	int e;

	/* Watched first: so no change is missed. A snapshot has none. */
	if (!img->snapshot) {
		e = img->lib->rbd_update_watch(img->rbd, &img->watch, image_changed, img);
		if (e)
			return vd_err(e, "%s: watch: %s", img->name, strerror(-e));
		img->watched = true;
	}
	e = img->lib->rbd_stat(img->rbd, &info, sizeof(info));
	if (!e)
		e = img->lib->rbd_get_stripe_unit(img->rbd, &unit);
	if (!e)
		e = img->lib->rbd_get_stripe_count(img->rbd, &count);
	if (!e)
		e = update_size(img);
	if (e)
		return vd_err(e, "%s: size: %s", img->name, strerror(-e));
	if (img->size < VD_BLK_SECTOR)
		return vd_err(-EINVAL, "%s: the image is empty", img->name);
	/* All objects of a set at once, where it is striped; else one object. */
	img->opt_io_size = count > 1 ? unit * count : info.obj_size;
	img->discard_align = vd_min(img->discard_align, info.obj_size);
	return 0;
}

static int open_run(struct vd_job *j)
{
	static const struct {
		enum vd_rbd_step step;
		int (*fn)(struct vd_rbd_image *img);
	} steps[] = {
		{ VD_RBD_CLIENT, connect_client }, { VD_RBD_POOL, open_pool },
		{ VD_RBD_IMAGE, open_rbd }, { VD_RBD_LOCK, lock_rbd },
		{ VD_RBD_IMAGE, read_config }, { VD_RBD_IMAGE, measure },
	};
	struct vd_rbd_image *img = container_of(j, struct vd_rbd_image, job);
	int e = 0;

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(steps) && !e; i++) {
		enter(img, steps[i].step);
		e = steps[i].fn(img);
	}
	if (e == -ESHUTDOWN)
		vd_rbd_client_shut_out(img->client);
	return e;
}

/* ---- closing; in the job -------------------------------------------------------------------- */

static int close_run(struct vd_job *j)
{
	struct vd_rbd_image *img = container_of(j, struct vd_rbd_image, job);

	/* No image_changed() after it. */
	if (img->watched)
		img->lib->rbd_update_unwatch(img->rbd, img->watch);
	if (img->has_rbd)
		img->lib->rbd_close(img->rbd);	/* the lock goes with it */
	if (img->has_io)
		img->lib->rados_ioctx_destroy(img->io);
	vd_rbd_client_put(img->client);
	return 0;
}

static void image_free(struct vd_rbd_image *img)
{
	free(img->name);
	free(img->pool);
	free(img->namespace);
	free(img->image);
	free(img->snapshot);
	free(img);
}

static void closed(struct vd_job *j, int err)
{
	struct vd_rbd_image *img = container_of(j, struct vd_rbd_image, job);

	(void)err;
	vd_post_del(vd_ctx_loop(img->u), &img->resize_post);
	image_free(img);
}

static void start_closing(struct vd_rbd_image *img)
{
	img->job.run = close_run;
	img->job.done = closed;
	if (vd_job_start(&img->job, img->u, "uvdpa/rbd-close"))
		vd_log_error(vd_ctx_log(img->u), NULL, "%s: left open: %s", img->name,
			     vd_err_text());
}

/* ---- control thread -------------------------------------------------------------------------- */

static void open_done(struct vd_job *j, int err)
{
	struct vd_rbd_image *img = container_of(j, struct vd_rbd_image, job);
	bool wanted = img->dev;

	img->opening = false;
	if (wanted)
		img->opened(img, err);
	if (!wanted || err)
		start_closing(img);
}

void vd_rbd_image_close(struct vd_rbd_image *img)
{
	img->dev = NULL;
	if (!img->opening)
		start_closing(img);
}

int vd_rbd_image_late(const struct vd_rbd_image *img, unsigned int ms)
{
	/* Acquire: img->mons. Pairs with enter(). */
	switch (__atomic_load_n(&img->step, __ATOMIC_ACQUIRE)) {
	case VD_RBD_CLIENT:
		return vd_err(-ETIMEDOUT, "%s: no connection within %u ms", img->name, ms);
	case VD_RBD_CONNECT:
		return vd_err(-ETIMEDOUT, "%s: no answer from the monitors (%s) within %u ms",
			      img->name, img->mons, ms);
	case VD_RBD_POOL:
		return vd_err(-ETIMEDOUT, "%s: pool %s: no answer within %u ms", img->name,
			      img->pool, ms);
	case VD_RBD_LOCK:
		return vd_err(-ETIMEDOUT, "%s: its lock was not given within %u ms", img->name, ms);
	case VD_RBD_IMAGE:
		break;
	}
	return vd_err(-ETIMEDOUT, "%s: no answer from the OSDs of pool %s within %u ms", img->name,
		      img->pool, ms);
}

static void resize_posted(struct vd_post *p)
{
	struct vd_rbd_image *img = container_of(p, struct vd_rbd_image, resize_post);

	if (img->dev)
		img->resized(img);
}

/* "rbd:POOL/NAMESPACE/IMAGE@SNAPSHOT" */
static char *describe(const struct vd_rbd_conf *c)
{
	char *s;

	if (asprintf(&s, "rbd:%s/%s%s%s%s%s", c->pool, c->namespace ? c->namespace : "",
		     c->namespace ? "/" : "", c->image, c->snapshot ? "@" : "",
		     c->snapshot ? c->snapshot : "") < 0)
		return NULL;
	return s;
}

int vd_rbd_image_open(struct vd_rbd *d, struct uvdpa *u, const char *name, struct vd_rbd_client *cl,
		      void (*opened)(struct vd_rbd_image *img, int err),
		      void (*resized)(struct vd_rbd_image *img), struct vd_rbd_image **ret_img)
{
	const struct vd_rbd_conf *c = d->conf;
	struct vd_rbd_image *img = calloc(1, sizeof(*img));
	int r;

	if (!img)
		return vd_err(-ENOMEM, "%s: no memory", name);
	img->u = u;
	img->client = cl;
	img->lib = &cl->lib;
	img->dev = d;
	img->opened = opened;
	img->resized = resized;
	img->readonly = c->blk.readonly || c->snapshot;
	img->want_lock = c->lock;
	img->resize_post.fn = resize_posted;
	img->opening = true;
	img->job.run = open_run;
	img->job.done = open_done;
	img->name = describe(c);
	if (!img->name || !copy(&img->pool, c->pool) || !copy(&img->namespace, c->namespace) ||
	    !copy(&img->image, c->image) || !copy(&img->snapshot, c->snapshot))
		r = vd_err(-ENOMEM, "%s: no memory", name);
	else
		r = vd_job_start(&img->job, u, "uvdpa/rbd-open");
	if (r) {
		image_free(img);
		return r;
	}
	*ret_img = img;
	return 0;
}
