/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd.c - an export of an NBD server as a disk
 *
 * What the disk is the server says, so a device becomes ready with its first connection: until then
 * add is in progress, and a server that is not there makes it fail. From then on the device stays,
 * whatever the server does: without it requests wait. See nbd.h for the pieces.
 *
 * A server that comes back must be as able as it was: what a device offers never changes. Only its
 * size may have.
 */
#include "parent/nbd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fd.h"

static const struct vd_blk_ops nbd_ops;

/* ---- what the disk is ------------------------------------------------------------------------ */

static int check_size(const struct vd_nbd *nbd, uint64_t size, uint32_t block)
{
	if (!size)
		return vd_err(-EINVAL, "%s: the export is empty", nbd->where);
	if (size % block)
		return vd_err(-EINVAL, "%s: the export has %" PRIu64 " bytes, not a multiple of %u",
			      nbd->where, size, block);
	return 0;
}

/* The export as a disk, where the user did not say otherwise. */
static int describe(const struct vd_nbd *nbd, struct vd_blk_conf *bc)
{
	const struct vd_nbd_export *x = &nbd->export;
	int r = vd_blk_args(&nbd->conf->blk, nbd->name, bc);

	if (r)
		return r;
	if (!bc->block_size)
		bc->block_size = vd_max(x->block_min, VD_BLK_SECTOR);
	if (bc->block_size < x->block_min)
		return vd_err(-EINVAL,
			      "%s: logical_block_size is %u, the server's blocks are of %u",
			      nbd->where, bc->block_size, x->block_min);
	r = check_size(nbd, x->size, bc->block_size);
	if (r)
		return r;
	if (!bc->phys_block_size && x->block_best <= VD_BLK_BLOCK_SIZE_MAX)
		bc->phys_block_size = x->block_best;
	if (x->block_best > VD_BLK_BLOCK_SIZE_MAX)
		bc->opt_io_size = x->block_best;
	bc->capacity_sectors = x->size / VD_BLK_SECTOR;
	bc->readonly |= x->readonly;
	bc->flush = x->flush;
	bc->writethrough = nbd->conf->cache == VD_NBD_WRITETHROUGH;
	bc->discard = x->trim;
	bc->discard_align = x->block_min;
	bc->write_zeroes = bc->unmap = x->zero;
	bc->soft.workers = nbd->nslots;
	return 0;
}

/* One for a queue at most. */
static unsigned int workers_wanted(const struct vd_nbd *nbd)
{
	return (unsigned int)vd_min(nbd->conf->blk.workers, nbd->conf->blk.num_queues);
}

/* Another connection for each worker is for a server whose flush covers all of them. */
static void choose_workers(struct vd_nbd *nbd)
{
	unsigned int wanted = workers_wanted(nbd);

	nbd->nslots = nbd->export.multi_conn ? wanted : 1;
	if (nbd->nslots < wanted)
		vd_log_info(vd_ctx_log(nbd->u), nbd->name,
			    "%s: no several connections at a time, so one worker", nbd->where);
}

void vd_nbd_found(struct vd_nbd *nbd, const struct vd_nbd_export *export, int err)
{
	struct vd_blk_conf bc = { 0 };

	if (!err) {
		nbd->export = *export;
		choose_workers(nbd);
		err = describe(nbd, &bc);
	}
	if (!err)
		err = vd_blk_init(&nbd->blk, nbd->u, &nbd_ops, &bc);
	nbd->known = !err;
	uvdpa_dev_arrived(&nbd->blk.sd.dev, err);
}

int vd_nbd_same(struct vd_nbd *nbd, const struct vd_nbd_export *x)
{
	const struct vd_nbd_export *was = &nbd->export;
	const struct {
		const char *what;
		bool missing;
	} able[] = {
		{ "writes", x->readonly && !nbd->blk.conf.readonly },
		{ "flushes", was->flush && !x->flush },
		{ "TRIM", was->trim && !x->trim },
		{ "WRITE_ZEROES", was->zero && !x->zero },
		{ "several connections", nbd->nslots > 1 && !x->multi_conn },
	};
	int r;

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(able); i++)
		if (able[i].missing)
			return vd_err(-EPROTO, "%s: came back without %s", nbd->where,
				      able[i].what);
	if (x->block_min > nbd->blk.conf.block_size)
		return vd_err(-EPROTO, "%s: came back with blocks of %u, not %u", nbd->where,
			      x->block_min, nbd->blk.conf.block_size);
	r = check_size(nbd, x->size, nbd->blk.conf.block_size);
	return r ? r : vd_blk_set_capacity(&nbd->blk, x->size / VD_BLK_SECTOR);
}

/* ---- the device ------------------------------------------------------------------------------ */

/* The protocol has no way to change it, and tells it only to who connects. */
static int nbd_resize(struct vd_blk *blk, uint64_t bytes, uint64_t *ret_bytes)
{
	(void)bytes, (void)ret_bytes;
	return vd_err(-EOPNOTSUPP,
		      "%s: an NBD server tells the size when it is connected to, and "
		      "that is all",
		      blk->sd.name);
}

static void nbd_show(struct vd_blk *blk, struct uvdpa_emit *e)
{
	const struct vd_nbd *nbd = vd_nbd(blk);
	unsigned int up = 0;

	for (unsigned int i = 0; i < nbd->nslots; i++)
		up += __atomic_load_n(&nbd->slots[i].up, __ATOMIC_RELAXED);
	e->str(e, "server", nbd->where);
	e->flag(e, "tls", nbd->export.tls);
	e->flag(e, "connected", up == nbd->nslots);
	e->num(e, "connections", up);
	e->num(e, "connections_lost", __atomic_load_n(&nbd->losses, __ATOMIC_RELAXED));
}

static void nbd_reset(struct vd_blk *blk)
{
	__atomic_store_n(&vd_nbd(blk)->used, false, __ATOMIC_RELAXED);
}

static void nbd_free(struct vd_nbd *nbd)
{
	unsigned int n = nbd->slots ? workers_wanted(nbd) : 0;

	for (unsigned int i = 0; i < n; i++) {
		if (nbd->slots[i].h) /* that nobody has taken */
			nbd->lib->nbd_close(nbd->slots[i].h);
		vd_close(&nbd->slots[i].fd);
	}
	vd_nbd_link_close(nbd->link);
	free(nbd->slots);
	free(nbd->where);
	free(nbd);
}

static void nbd_destroy(struct vd_blk *blk)
{
	nbd_free(vd_nbd(blk));
}

static const struct vd_blk_ops nbd_ops = {
	.submit = vd_nbd_submit,
	.worker_start = vd_nbd_worker_start,
	.resize = nbd_resize,
	.show = nbd_show,
	.reset = nbd_reset,
	.destroy = nbd_destroy,
};

/*
 * A URI without what may be a secret: the user's part, and the query, which may name files of
 * keys. Of the query the socket is kept, which says where the server is.
 */
static char *without_secrets(const char *uri)
{
	size_t len = strcspn(uri, "?#");
	const char *host = strstr(uri, "://"), *end = uri + len, *at;
	const char *socket = strstr(end, "socket=");
	char *s = NULL;
	int n;

	host = host && host + 3 <= end ? host + 3 : uri;
	at = memrchr(host, '@', (size_t)(end - host));
	n = asprintf(&s, "%.*s%.*s%s%.*s", (int)(host - uri), uri,
		     (int)(end - (at ? at + 1 : host)), at ? at + 1 : host, socket ? "?" : "",
		     socket ? (int)strcspn(socket, "&#") : 0, socket ? socket : "");
	return n < 0 ? NULL : s;
}

static int check_conf(const char *name, const struct vd_nbd_conf *c)
{
	if (!c->uri == !c->socket)
		return vd_err(-EINVAL, "%s: %s", name,
			      c->uri ? "uri and socket: not both"
				     : "neither uri nor socket says where the server is");
	if (c->uri && c->export)
		return vd_err(-EINVAL, "%s: export goes with socket; a uri has it in its path",
			      name);
	/* Who names keys expects to be encrypted; nbds:// is. */
	if (c->tls == VD_NBD_TLS_OFF && (c->socket || strncasecmp(c->uri, "nbds", 4) != 0) &&
	    (c->tls_certificates || c->tls_username || c->tls_psk_file))
		return vd_err(-EINVAL, "%s: options of TLS, but tls is off", name);
	return 0;
}

static int make_slots(struct vd_nbd *nbd)
{
	unsigned int n = workers_wanted(nbd);
	int r;

	nbd->slots = aligned_alloc(_Alignof(struct vd_nbd_slot), n * sizeof(*nbd->slots));
	if (!nbd->slots)
		return vd_err(-ENOMEM, "%s: no memory", nbd->name);
	memset(nbd->slots, 0, n * sizeof(*nbd->slots));
	for (unsigned int i = 0; i < n; i++)
		nbd->slots[i].fd = -1;
	for (unsigned int i = 0; i < n; i++) {
		r = nbd->slots[i].fd = vd_eventfd();
		if (r < 0)
			return r;
	}
	nbd->nslots = 1;
	return 0;
}

static int nbd_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	struct vd_blk_conf bc = { 0 };
	struct vd_nbd *nbd;
	int r = check_conf(name, conf);

	if (r)
		return r;
	nbd = calloc(1, sizeof(*nbd));
	if (!nbd)
		return vd_err(-ENOMEM, "%s: no memory", name);
	nbd->conf = conf;
	nbd->u = u;
	snprintf(nbd->name, sizeof(nbd->name), "%s", name);
	vd_blk_begin(&nbd->blk, u, &nbd_ops);
	nbd->where = nbd->conf->uri ? without_secrets(nbd->conf->uri) : strdup(nbd->conf->socket);
	r = nbd->where ? vd_blk_args(&nbd->conf->blk, name, &bc)
		       : vd_err(-ENOMEM, "%s: no memory", name);
	if (!r)
		r = make_slots(nbd);
	if (!r)
		r = vd_nbd_link_open(nbd);
	if (r) {
		nbd_free(nbd);
		return r;
	}
	*ret_dev = &nbd->blk.sd.dev;
	return -EINPROGRESS;
}

static const char *const tls_words[] = { "off", "allow", "require", NULL };
static const char *const cache_words[] = { "writeback", "writethrough", NULL };
static const char *const server_words[] = { "lost", "kept", NULL };

#define NBD_OPT(k, t, field, ...) VD_BLK_OPT(k, t, struct vd_nbd_conf, field, __VA_ARGS__)

static const struct uvdpa_opt nbd_opts[] = {
	NBD_OPT("uri", STRING, uri,
		.help = "the server and its export, as nbd://HOST/EXPORT, nbds://HOST/EXPORT or "
			"nbd+unix:///EXPORT?socket=PATH"),
	NBD_OPT("socket", PATH, socket, .help = "or the path of its socket"),
	NBD_OPT("export", STRING, export,
		.help = "then the name of the export; the default one if "
			"not given"),
	NBD_OPT("tls", ENUM, tls, .choices = tls_words, .def = "off",
		.help = "encrypt: off, allow: if the server can, require; nbds:// requires it"),
	NBD_OPT("tls_certificates", PATH, tls_certificates, .help = "directory of certificates"),
	NBD_OPT("tls_username", STRING, tls_username, .help = "who we are, for a pre-shared key"),
	NBD_OPT("tls_psk_file", PATH, tls_psk_file, .help = "file of pre-shared keys"),
	NBD_OPT("tls_verify", BOOL, tls_verify, .def = "on",
		.help = "check that the server is who it says"),
	NBD_OPT("reconnect_ms", UINT, reconnect_ms, .def = "2000", .min = VD_NBD_BACKOFF_MIN_MS,
		.max = 3600000, .help = "longest pause between attempts to connect again"),
	NBD_OPT("cache", ENUM, cache, .choices = cache_words, .def = "writeback",
		.help = "writethrough: each write is durable when it returns"),
	NBD_OPT("server_cache", ENUM, server_cache, .choices = server_words, .def = "lost",
		.help = "what becomes of writes that were not flushed when the server goes: lost, "
			"so "
			"flushes fail after it, or kept"),
	VD_BLK_OPTS(struct vd_nbd_conf, blk, NULL),
	{ 0 },
};

static const uint32_t nbd_ids[] = { VIRTIO_ID_BLOCK, 0 };

extern const struct uvdpa_parent vd_parent_nbd;
const struct uvdpa_parent vd_parent_nbd = {
	.name = "nbd",
	.help = "an export of an NBD server",
	.device_ids = nbd_ids,
	.features = VD_BLK_FEATURES & ~(1ull << VIRTIO_BLK_F_SECURE_ERASE),
	.max_vqs = VD_BLK_QUEUES_MAX,
	.opts = nbd_opts,
	.conf_size = sizeof(struct vd_nbd_conf),
	.add = nbd_add,
};
