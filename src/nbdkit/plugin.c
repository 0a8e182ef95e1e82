/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plugin.c - a disk of the bus to NBD, as a plugin of nbdkit
 *
 * nbdkit has the sockets, TLS, the filters and a thread for each request under way; this has the
 * disk. The context is made after nbdkit has gone into the background, because threads do not survive
 * that. nbdkit has one instance of a plugin and gives it no pointer of its own: what it has is global.
 */
#define NBDKIT_API_VERSION 2
#include <errno.h>
#include <nbdkit-plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "nbdkit/bus.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static struct bus bus;
static unsigned int nopened; /* atomic */

/* ---- what is told on the command line -------------------------------------------------------- */

/* Strings are kept by nbdkit until it ends. */
static int set_attr(const char *key, const char *value)
{
	struct uvdpa_attr *attrs = realloc(bus.attrs, (bus.nattrs + 1) * sizeof(*attrs));

	if (!attrs) {
		nbdkit_error("no memory");
		return -1;
	}
	bus.attrs = attrs;
	attrs += bus.nattrs;
	*attrs = (struct uvdpa_attr){ nbdkit_strdup_intern(key), nbdkit_strdup_intern(value) };
	if (!attrs->key || !attrs->value)
		return -1;
	bus.nattrs++;
	return 0;
}

static const struct uvdpa_attr *get_attr(const char *key)
{
	for (unsigned int i = 0; i < bus.nattrs; i++)
		if (!strcmp(bus.attrs[i].key, key))
			return &bus.attrs[i];
	return NULL;
}

static int plugin_config(const char *key, const char *value)
{
	if (strcmp(key, "mgmtdev") != 0)
		return set_attr(key, value);
	if (bus.mgmtdev) {
		nbdkit_error("mgmtdev is given twice");
		return -1;
	}
	bus.mgmtdev = nbdkit_strdup_intern(value);
	return bus.mgmtdev ? 0 : -1;
}

/* nbdkit goes into the background, and to another directory. */
static int make_absolute(struct uvdpa_attr *a)
{
	char *path = nbdkit_absolute_path(a->value);

	a->value = path ? nbdkit_strdup_intern(path) : NULL;
	free(path);
	return a->value ? 0 : -1;
}

static int check_attrs(const struct uvdpa_opt *table)
{
	for (unsigned int i = 0; i < bus.nattrs; i++) {
		const struct uvdpa_opt *o = table;

		while (o->key && strcmp(o->key, bus.attrs[i].key) != 0)
			o++;
		if (!o->key) {
			nbdkit_error("%s has no option \"%s\"", bus.mgmtdev, bus.attrs[i].key);
			return -1;
		}
		if (o->type == UVDPA_OPT_PATH && make_absolute(&bus.attrs[i]))
			return -1;
	}
	for (const struct uvdpa_opt *o = table; o->key; o++)
		if (o->required && !get_attr(o->key)) {
			nbdkit_error("%s needs %s=...: %s", bus.mgmtdev, o->key, o->help);
			return -1;
		}
	return 0;
}

static int plugin_config_complete(void)
{
	const struct uvdpa_parent *p;
	struct uvdpa *u;
	int r;

	if (!bus.mgmtdev)
		bus.mgmtdev = "vhost-user";
	if (uvdpa_create(&u)) {
		nbdkit_error("%s", uvdpa_error());
		return -1;
	}
	p = uvdpa_parent_find(u, bus.mgmtdev);
	if (p) {
		r = check_attrs(uvdpa_parent_opts(p));
	} else {
		nbdkit_error("mgmtdev \"%s\" is not known", bus.mgmtdev);
		r = -1;
	}
	uvdpa_destroy(u);
	return r;
}

/* What an NBD client shall not wait for without end, if nobody asked for it. */
static int set_reconnect(void)
{
	const struct uvdpa_attr *a = get_attr("reconnect");

	if (strcmp(bus.mgmtdev, "vhost-user") != 0)
		bus.reconnect = true;
	else if (!a)
		return set_attr("reconnect", "off");
	else
		bus.reconnect = nbdkit_parse_bool(a->value) == 1;
	return 0;
}

static int plugin_after_fork(void)
{
	if (set_reconnect())
		return -1;
	if (!bus_start(&bus))
		return 0;
	nbdkit_error("%s", bus.error);
	bus_stop(&bus); /* nbdkit exits now, and no thread may be about */
	return -1;
}

static void plugin_cleanup(void)
{
	bus_stop(&bus);
}

static void plugin_unload(void)
{
	bus_stop(&bus);
	free(bus.attrs);
}

static void plugin_dump(void)
{
	const struct uvdpa_parent *p = NULL;
	struct uvdpa *u;

	printf("uvdpa_version=" UVDPA_VERSION "\n");
	if (uvdpa_create(&u))
		return;
	printf("uvdpa_mgmtdevs=");
	for (const char *sep = ""; (p = uvdpa_parent_next(u, p)); sep = " ")
		printf("%s%s", sep, uvdpa_parent_name(p));
	putchar('\n');
	uvdpa_destroy(u);
}

/* ---- a connection ---------------------------------------------------------------------------- */

/* Each has a queue, as far as there are enough; several may have the same. */
static void *plugin_open(int readonly)
{
	unsigned int n = __atomic_fetch_add(&nopened, 1, __ATOMIC_RELAXED);

	(void)readonly;
	return &bus.lanes[n % bus.nlanes];
}

static int64_t plugin_get_size(void *handle)
{
	(void)handle;
	return (int64_t)(__atomic_load_n(&bus.info->capacity_sectors, __ATOMIC_RELAXED) *
			 UVDPA_BLK_SECTOR);
}

static int plugin_block_size(void *handle, uint32_t *minimum, uint32_t *preferred,
			     uint32_t *maximum)
{
	uint32_t best = bus.info->physical_block_size;

	(void)handle;
	*minimum = bus.info->block_size;
	*preferred = best > 4096 ? best : 4096;
	if (*preferred < *minimum)
		*preferred = *minimum;
	*maximum = UINT32_MAX;
	return 0;
}

static int plugin_can_write(void *handle)
{
	(void)handle;
	return !bus.info->readonly;
}

/* Without a cache to flush, what was written is durable, and a flush is easy. */
static int plugin_can_flush(void *handle)
{
	(void)handle;
	return 1;
}

static int plugin_can_fua(void *handle)
{
	(void)handle;
	return bus.info->flush ? NBDKIT_FUA_EMULATE : NBDKIT_FUA_NATIVE;
}

static int plugin_can_trim(void *handle)
{
	(void)handle;
	return bus.info->discard_max_sectors != 0;
}

/* If not, nbdkit writes zeros. */
static int plugin_can_zero(void *handle)
{
	(void)handle;
	return bus.info->write_zeroes_max_sectors != 0;
}

/* A flush is of the device, whichever queue and connection the writes came by. */
static int plugin_can_multi_conn(void *handle)
{
	(void)handle;
	return 1;
}

/* To read is to have it in the device's cache, if there is one. */
static int plugin_can_cache(void *handle)
{
	(void)handle;
	return NBDKIT_CACHE_EMULATE;
}

/* ---- requests -------------------------------------------------------------------------------- */

static int run(struct lane *lane, const struct lane_op *o)
{
	uint32_t block = bus.info->block_size;
	int r;

	if (o->off % block || o->len % block) {
		nbdkit_error("%llu bytes at %llu are no whole blocks of %u; --filter=blocksize makes them",
			     (unsigned long long)o->len, (unsigned long long)o->off, block);
		nbdkit_set_error(EINVAL);
		return -1;
	}
	r = lane_run(lane, o);
	if (!r)
		return 0;
	if (r == -ENODEV)
		r = -ESHUTDOWN;
	nbdkit_error("request at %llu: %s", (unsigned long long)o->off, strerror(-r));
	nbdkit_set_error(-r);
	return -1;
}

static int plugin_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	(void)flags;
	return run(handle, &(struct lane_op){ UVDPA_BLK_READ, buf, offset, count, false });
}

static int plugin_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
			 uint32_t flags)
{
	(void)flags; /* FUA comes only if every write is durable */
	return run(handle, &(struct lane_op){ UVDPA_BLK_WRITE, (void *)(uintptr_t)buf, offset,
					      count, false });
}

static int plugin_flush(void *handle, uint32_t flags)
{
	(void)flags;
	if (!bus.info->flush)
		return 0;
	return run(handle, &(struct lane_op){ .op = UVDPA_BLK_FLUSH });
}

/* What is not a whole block stays: a trim is a hint. */
static int plugin_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	uint64_t block = bus.info->block_size, first = (offset + block - 1) / block * block;
	uint64_t end = (offset + count) / block * block;

	(void)flags;
	if (first >= end)
		return 0;
	return run(handle, &(struct lane_op){ UVDPA_BLK_DISCARD, NULL, first, end - first, false });
}

static int plugin_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct lane_op o = { UVDPA_BLK_WRITE_ZEROES, NULL, offset, count, false };

	o.unmap = flags & NBDKIT_FLAG_MAY_TRIM && bus.info->write_zeroes_may_unmap;
	return run(handle, &o);
}

static struct nbdkit_plugin plugin = {
	.name = "uvdpa",
	.longname = "nbdkit uvdpa plugin",
	.version = UVDPA_VERSION,
	.description = "a disk of the vDPA bus in userspace",
	.config = plugin_config,
	.config_complete = plugin_config_complete,
	.config_help = "[socket=]<PATH>       The socket of a vhost-user back-end.\n"
		       "mgmtdev=<NAME>        Another parent than vhost-user: blk, nbd, ...\n"
		       "<KEY>=<VALUE>         Its options; see \"uvdpa mgmtdev help NAME\".",
	.magic_config_key = "socket",
	.after_fork = plugin_after_fork,
	.cleanup = plugin_cleanup,
	.unload = plugin_unload,
	.dump_plugin = plugin_dump,
	.open = plugin_open,
	.get_size = plugin_get_size,
	.block_size = plugin_block_size,
	.can_write = plugin_can_write,
	.can_flush = plugin_can_flush,
	.can_fua = plugin_can_fua,
	.can_trim = plugin_can_trim,
	.can_zero = plugin_can_zero,
	.can_multi_conn = plugin_can_multi_conn,
	.can_cache = plugin_can_cache,
	.pread = plugin_pread,
	.pwrite = plugin_pwrite,
	.flush = plugin_flush,
	.trim = plugin_trim,
	.zero = plugin_zero,
	.errno_is_preserved = 0,
};

NBDKIT_DLL_PUBLIC struct nbdkit_plugin *plugin_init(void); /* which nbdkit calls */
NBDKIT_REGISTER_PLUGIN(plugin)
