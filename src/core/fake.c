/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/fake.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

int fakes, fake_bindings;
struct fake_binding *fake_bound;

static int note(struct fake *f, const char *op, const char *fmt, ...) vd_printf(3, 4);

/* Return: 0, or how @op shall fail. */
static int note(struct fake *f, const char *op, const char *fmt, ...)
{
	size_t n = strlen(f->log);
	va_list ap;

	if (n < sizeof(f->log) / 2) {	/* a test that looks at it has emptied it before */
		n += (size_t)snprintf(f->log + n, sizeof(f->log) - n, "%s%s", n ? " " : "", op);
		va_start(ap, fmt);
		vsnprintf(f->log + n, sizeof(f->log) - n, fmt, ap);
		va_end(ap);
	}
	if (f->fail_always && !strcmp(f->fail_always, op))
		return vd_err(f->fail_err, "fake %s", op);
	if (!f->fail || strcmp(f->fail, op))
		return 0;
	f->fail = NULL;
	return vd_err(f->fail_err, "fake %s", op);
}

const char *fake_log(struct fake *f)
{
	static char copy[sizeof(f->log)];

	memcpy(copy, f->log, sizeof(copy));
	f->log[0] = '\0';
	return copy;
}

static void reset(struct uvdpa_dev *dev)
{
	struct fake *f = to_fake(dev);

	note(f, "reset", "%s", "");
	for (unsigned int i = 0; i < FAKE_VQS; i++)
		assert_false(f->vqs[i].running);
	f->features = 0;
	f->status = 0;
	memset(f->vqs, 0, sizeof(f->vqs));
}

static int set_features(struct uvdpa_dev *dev, uint64_t features)
{
	struct fake *f = to_fake(dev);
	int r = note(f, "features", "=%llx", (unsigned long long)features);

	assert_false(features & ~dev->info.features);
	if (!r)
		f->features = features;
	return r;
}

static int set_status(struct uvdpa_dev *dev, uint8_t status)
{
	struct fake *f = to_fake(dev);
	int r = note(f, "status", "=%x", status);

	assert_int_not_equal(status, 0);
	if (!r)
		f->status = status;
	return r;
}

static int get_config(struct uvdpa_dev *dev, uint32_t off, void *buf, uint32_t len)
{
	struct fake *f = to_fake(dev);

	assert_true(off <= FAKE_CONFIG && len <= FAKE_CONFIG - off);
	memcpy(buf, f->config + off, len);
	return note(f, "get_config", "=%u+%u", off, len);
}

static int set_config(struct uvdpa_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	struct fake *f = to_fake(dev);

	assert_true(off <= FAKE_CONFIG && len <= FAKE_CONFIG - off);
	memcpy(f->config + off, buf, len);
	return note(f, "set_config", "=%u+%u", off, len);
}

static int set_vq(struct uvdpa_dev *dev, unsigned int idx, const struct uvdpa_vq *vq)
{
	struct fake *f = to_fake(dev);

	assert_true(idx < FAKE_VQS);
	assert_false(f->vqs[idx].running);
	f->vqs[idx].vq = *vq;
	f->vqs[idx].at = vq->state;
	return note(f, "set_vq", "%u", idx);
}

static int set_call(struct uvdpa_dev *dev, unsigned int idx, int call)
{
	struct fake *f = to_fake(dev);

	assert_true(f->vqs[idx].running);
	f->vqs[idx].vq.call = call;
	return note(f, "call", "%u%s", idx, call < 0 ? "=none" : "");
}

static int enable_vq(struct uvdpa_dev *dev, unsigned int idx)
{
	struct fake *f = to_fake(dev);
	int r = note(f, "enable", "%u", idx);

	assert_false(f->vqs[idx].running);
	f->vqs[idx].running = !r;
	return r;
}

void fake_answer(struct fake *f)
{
	unsigned int asked = f->asked;

	f->asked = 0;
	if (f->asked_all) {
		f->asked_all = false;
		for (unsigned int i = 0; i < FAKE_VQS; i++)
			f->vqs[i].running = false;
		uvdpa_dev_quiesced(&f->dev, UVDPA_VQ_ALL);
		return;
	}
	for (unsigned int i = 0; i < FAKE_VQS; i++) {
		if (!(asked & 1u << i))
			continue;
		f->vqs[i].running = false;
		uvdpa_dev_quiesced(&f->dev, i);
	}
}

static void answer_later(struct vd_post *p)
{
	fake_answer(container_of(p, struct fake, answer));
}

static void quiesce(struct uvdpa_dev *dev, unsigned int idx)
{
	struct fake *f = to_fake(dev);

	if (idx == UVDPA_VQ_ALL) {
		note(f, "quiesce", "%s", "*");
		f->asked_all = true;
	} else {
		note(f, "quiesce", "%u", idx);
		f->asked |= 1u << idx;
	}
	if (f->quiesce == FAKE_AT_ONCE)
		fake_answer(f);
	else if (f->quiesce == FAKE_LATER)
		vd_loop_post(f->loop, &f->answer);
}

static int get_vq(struct uvdpa_dev *dev, unsigned int idx, struct uvdpa_vq_state *ret_state)
{
	struct fake *f = to_fake(dev);
	int r = note(f, "get", "%u", idx);

	if (!r)
		*ret_state = f->vqs[idx].at;
	return r;
}

static void kick(struct uvdpa_dev *dev, unsigned int idx, uint32_t data)
{
	struct fake *f = to_fake(dev);

	assert_true(f->vqs[idx].running);
	note(f, "kick", "%u=%x", idx, data);
}

static void destroy(struct uvdpa_dev *dev)
{
	struct fake *f = to_fake(dev);

	for (unsigned int i = 0; i < FAKE_VQS; i++)
		assert_false(f->vqs[i].running);
	vd_post_del(f->loop, &f->answer);
	fakes--;
	free(f);
}

static const struct uvdpa_dev_ops ops = {
	.reset = reset,
	.set_features = set_features,
	.set_status = set_status,
	.get_config = get_config,
	.set_config = set_config,
	.set_vq = set_vq,
	.set_call = set_call,
	.enable_vq = enable_vq,
	.quiesce = quiesce,
	.get_vq = get_vq,
	.kick = kick,
	.destroy = destroy,
};

static void assert_quiet(const struct fake *f)
{
	for (unsigned int i = 0; i < FAKE_VQS; i++)
		assert_false(f->vqs[i].running);
}

static int mem_map(struct uvdpa_dev *dev, unsigned int asid, const struct uvdpa_map *map)
{
	struct fake *f = to_fake(dev);
	int r = note(f, "map", "%u=%llx", asid, (unsigned long long)map->iova);

	assert_quiet(f);
	if (asid == 1 && f->fail_asid1)
		r = f->fail_err;
	f->maps += !r;
	return r;
}

static int mem_unmap(struct uvdpa_dev *dev, unsigned int asid, uint64_t iova, uint64_t len)
{
	struct fake *f = to_fake(dev);
	int r = note(f, "unmap", "%u=%llx", asid, (unsigned long long)iova);

	assert_quiet(f);
	assert_true(len > 0);
	f->maps -= !r;
	return r;
}

static int mem_commit(struct uvdpa_dev *dev, unsigned int asid)
{
	return note(to_fake(dev), "commit", "%u", asid);
}

static const struct uvdpa_mem_ops mem_ops = { mem_map, mem_unmap, mem_commit };

static int stats_get(struct uvdpa_dev *dev, unsigned int idx, struct uvdpa_emit *e)
{
	(void)dev;
	e->num(e, "requests", idx);
	return 0;
}

static const struct uvdpa_stats_ops stats_ops = { stats_get };

struct set_conf {
	uint64_t size;
	char *word;
};

static const struct uvdpa_opt set_opts[] = {
	{ .key = "size",
	  .type = UVDPA_OPT_SIZE,
	  .offset = offsetof(struct set_conf, size),
	  .max = 1 << 20,
	  .help = "bytes" },
	{ .key = "word",
	  .type = UVDPA_OPT_STRING,
	  .offset = offsetof(struct set_conf, word),
	  .changes = "string",
	  .help = "anything" },
	{ 0 },
};

static int set(struct uvdpa_dev *dev, const void *conf, uint64_t given)
{
	const struct set_conf *c = conf;

	return note(to_fake(dev), "set", "%llx %llu %s", (unsigned long long)given,
		    (unsigned long long)c->size, c->word ? c->word : "-");
}

static const struct uvdpa_set_ops set_ops = { set_opts, sizeof(struct set_conf), set };

static void show(struct uvdpa_dev *dev, struct uvdpa_emit *e)
{
	e->num(e, "maps", to_fake(dev)->maps);
}

static const struct uvdpa_show_ops show_ops = { show };

struct conf {
	char *string;
	bool proxy, late;
	uint64_t fail, id;
};

static const struct uvdpa_opt opts[] = {
	{ .key = "string", .type = UVDPA_OPT_STRING, .offset = offsetof(struct conf, string),
	  .def = "given by default", .help = "nothing" },
	{ .key = "proxy", .type = UVDPA_OPT_BOOL, .offset = offsetof(struct conf, proxy),
	  .help = "be told of memory" },
	{ .key = "late", .type = UVDPA_OPT_BOOL, .offset = offsetof(struct conf, late),
	  .help = "not ready yet" },
	{ .key = "fail", .type = UVDPA_OPT_UINT, .offset = offsetof(struct conf, fail),
	  .help = "error of add" },
	{ .key = "id", .type = UVDPA_OPT_UINT, .offset = offsetof(struct conf, id), .def = "2",
	  .max = 63, .help = "virtio device id" },
	{ 0 },
};

static const uint32_t groups[FAKE_VQS] = { 0, 0, 0, 1 };

static int add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	const struct conf *c = conf;
	struct fake *f;

	if (c->fail)
		return vd_err(-(int)c->fail, "fake add %s", name);
	f = calloc(1, sizeof(*f));
	if (!f)
		return vd_err(-ENOMEM, "%s: out of memory", name);
	fakes++;
	f->loop = vd_ctx_loop(u);
	f->answer.fn = answer_later;
	f->dev.ops = &ops;
	f->dev.mem = c->proxy ? &mem_ops : NULL;
	f->dev.stats = c->proxy ? NULL : &stats_ops;
	f->dev.set = c->proxy ? NULL : &set_ops;
	f->dev.show = c->proxy ? NULL : &show_ops;
	f->dev.vq_groups = groups;
	f->dev.info = (struct uvdpa_dev_info){
		.device_id = (uint32_t)c->id,
		.features = FAKE_FEATURES,
		.nvqs = FAKE_VQS,
		.vq_num_max = FAKE_NUM_MAX,
		.vq_num_min = 2,
		.config_size = FAKE_CONFIG,
		.ngroups = 2,
		.nas = 2,
		.iova_first = 0x1000,
		.iova_last = c->proxy ? 0xffffffff : 0,
	};
	*ret_dev = &f->dev;
	return c->late ? -EINPROGRESS : 0;
}

static const uint32_t ids[] = { 2, 0 };

const struct uvdpa_parent fake_parent = {
	.name = "fake",
	.help = "a device for tests",
	.device_ids = ids,
	.features = FAKE_FEATURES,
	.max_vqs = FAKE_VQS,
	.opts = opts,
	.conf_size = sizeof(struct conf),
	.add = add,
};

/* ---- drivers ------------------------------------------------------------------------------- */

struct driver_conf {
	char *string;
	uint64_t fail;
	bool hold;
};

static const struct uvdpa_opt driver_opts[] = {
	{ .key = "string", .type = UVDPA_OPT_STRING, .offset = offsetof(struct driver_conf, string),
	  .def = "given by default", .help = "nothing" },
	{ .key = "fail", .type = UVDPA_OPT_UINT, .offset = offsetof(struct driver_conf, fail),
	  .help = "error of probe" },
	{ .key = "hold", .type = UVDPA_OPT_BOOL, .offset = offsetof(struct driver_conf, hold),
	  .help = "do not answer quiesce" },
	{ 0 },
};

static struct fake_binding *to_binding(struct uvdpa_binding *b)
{
	return container_of(b, struct fake_binding, b);
}

static int driver_probe(struct uvdpa_dev *dev, const void *conf, struct uvdpa_binding **ret_b)
{
	const struct driver_conf *c = conf;
	struct fake_binding *fb;

	assert_string_equal(c->string, "given by default");
	assert_int_equal(uvdpa_dev_status(dev), 0);
	if (c->fail)
		return vd_err(-(int)c->fail, "fake probe");
	fb = calloc(1, sizeof(*fb));
	if (!fb)
		return vd_err(-ENOMEM, "probe: out of memory");
	fake_bindings++;
	fb->dev = dev;
	fb->hold = c->hold;
	fake_bound = fb;
	*ret_b = &fb->b;
	return 0;
}

static void driver_quiesce(struct uvdpa_binding *b)
{
	struct fake_binding *fb = to_binding(b);

	fb->quiesced = true;
	if (!fb->hold)
		uvdpa_binding_quiesced(b);
}

static void driver_remove(struct uvdpa_binding *b)
{
	struct fake_binding *fb = to_binding(b);

	assert_true(fb->quiesced);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(fb->w); i++)
		assert_false(fb->w[i].pending);
	fake_bindings--;
	if (fake_bound == fb)
		fake_bound = NULL;
	free(fb);
}

static void driver_changed(struct uvdpa_binding *b, enum uvdpa_event ev)
{
	to_binding(b)->changed[ev]++;
}

static void driver_describe(struct uvdpa_binding *b, struct uvdpa_emit *e)
{
	e->str(e, "driver", b->driver->name);
}

static bool is_blk(const struct uvdpa_dev_info *info)
{
	return info->device_id == 2;
}

#define DRIVER(id, text, fn)                                                              \
	const struct uvdpa_driver id = {                                                  \
		.name = text,                                                             \
		.alias = text "_vdpa",                                                    \
		.help = "a driver for tests",                                             \
		.opts = driver_opts,                                                      \
		.conf_size = sizeof(struct driver_conf),                                  \
		.match = fn,                                                              \
		.probe = driver_probe,                                                    \
		.quiesce = driver_quiesce,                                                \
		.remove = driver_remove,                                                  \
		.changed = driver_changed,                                                \
		.describe = driver_describe,                                              \
	}

DRIVER(fake_a, "a", NULL);
DRIVER(fake_b, "b", NULL);
DRIVER(fake_blk, "blk", is_blk);

/* ---- what tests do often ------------------------------------------------------------------- */

struct uvdpa *fake_context(void)
{
	struct uvdpa *u;

	assert_int_equal(uvdpa_create(&u), 0);
	assert_int_equal(uvdpa_parent_register(u, &fake_parent), 0);
	assert_int_equal(uvdpa_driver_register(u, &fake_a), 0);
	assert_int_equal(uvdpa_driver_register(u, &fake_b), 0);
	assert_int_equal(uvdpa_driver_register(u, &fake_blk), 0);
	return u;
}

struct fake *fake_add(struct uvdpa *u, const char *name, const char *key, const char *value,
		      const char *driver)
{
	struct uvdpa_attr attr = { key, value };
	struct uvdpa_dev *dev;
	int r = uvdpa_dev_add(u,
			      &(struct uvdpa_dev_opts){ .size = sizeof(struct uvdpa_dev_opts),
							.name = name,
							.mgmtdev = "fake",
							.attrs = &attr,
							.nattrs = key ? 1 : 0,
							.driver = driver },
			      &dev, NULL);

	assert_true(r == 0 || r == -EINPROGRESS);
	return to_fake(dev);
}

void fake_run(struct fake *f)
{
	struct uvdpa_dev *dev = &f->dev;
	struct uvdpa_vq vq = { .num = 16, .desc = 0x1000, .driver = 0x2000, .device = 0x3000,
			       .kick = -1, .call = -1 };

	assert_int_equal(uvdpa_dev_set_status(dev, 1), 0);
	assert_int_equal(uvdpa_dev_set_status(dev, 3), 0);
	assert_int_equal(uvdpa_dev_set_features(dev, 1ull << 32), 0);
	assert_int_equal(uvdpa_dev_set_status(dev, 11), 0);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(uvdpa_dev_set_vq(dev, i, &vq), 0);
		assert_int_equal(uvdpa_dev_enable_vq(dev, i), 0);
	}
	assert_int_equal(uvdpa_dev_set_status(dev, 15), 0);
	fake_log(f);
}
