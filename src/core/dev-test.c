/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of options, registries, names, and of what a device tells about itself. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/fake.h"
#include "core/opt.h"

/* ---- options --------------------------------------------------------------------------------- */

struct conf {
	char *image;
	bool readonly;
	uint64_t queues;
	uint64_t capacity;
	unsigned int io;
};

static const char *const io_choices[] = { "threads", "uring", NULL };

static const struct uvdpa_opt table[] = {
	{ .key = "image", .type = UVDPA_OPT_STRING, .required = true,
	  .offset = offsetof(struct conf, image), .help = "file" },
	{ .key = "readonly", .type = UVDPA_OPT_BOOL, .offset = offsetof(struct conf, readonly),
	  .help = "refuse writes" },
	{ .key = "queues", .type = UVDPA_OPT_UINT, .offset = offsetof(struct conf, queues),
	  .def = "1", .min = 1, .max = 256, .help = "queues" },
	{ .key = "capacity", .type = UVDPA_OPT_SIZE, .offset = offsetof(struct conf, capacity),
	  .help = "bytes" },
	{ .key = "io", .type = UVDPA_OPT_ENUM, .offset = offsetof(struct conf, io),
	  .def = "uring", .choices = io_choices, .help = "engine" },
	{ 0 },
};

#define NUM(k, v) { { "image", "x" }, { k, v } }, 2

static void options(void **state)
{
	static const struct {
		struct uvdpa_attr attrs[2];
		unsigned int n;
		const char *error;	/* NULL: fine */
		uint64_t queues, capacity;
	} cases[] = {
		{ { { "image", "x" } }, 1, NULL, 1, 0 },
		{ { { NULL, NULL } }, 0, "blk: image is missing", 0, 0 },
		{ { { "image", "" } }, 1, "blk: image is empty", 0, 0 },
		{ { { "image", NULL } }, 1, "blk: option 0 has no value", 0, 0 },
		{ { { NULL, "x" } }, 1, "blk: option 0 has no key", 0, 0 },
		{ { { "image", "x" }, { "image", "x" } }, 2, "blk: image is given twice", 0, 0 },
		{ { { "imge", "x" } }, 1, "blk: Unknown option \"imge\"; did you mean \"image\"?", 0, 0 },
		{ { { "quit", "x" } }, 1, "blk: Unknown option \"quit\"", 0, 0 },
		{ { { "o", "x" } }, 1, "blk: Unknown option \"o\"; did you mean \"io\"?", 0, 0 },
		{ NUM("queues", "256"), NULL, 256, 0 },
		{ NUM("queues", "0x10"), NULL, 16, 0 },
		{ NUM("queues", "0"), "blk: queues is 0, not from 1 to 256", 0, 0 },
		{ NUM("queues", "257"), "blk: queues is 257, not from 1 to 256", 0, 0 },
		{ NUM("queues", "99999999999999999999"),
		  "blk: queues is 99999999999999999999, not from 1 to 256", 0, 0 },
		{ NUM("queues", "-1"), "blk: queues is \"-1\", not a number", 0, 0 },
		{ NUM("queues", " 1"), "blk: queues is \" 1\", not a number", 0, 0 },
		{ NUM("queues", "1x"), "blk: queues is \"1x\", not a number", 0, 0 },
		{ NUM("queues", "1K"), "blk: queues is \"1K\", not a number", 0, 0 },
		{ NUM("queues", "0x"), "blk: queues is \"0x\", not a number", 0, 0 },
		{ NUM("queues", ""), "blk: queues is \"\", not a number", 0, 0 },
		{ NUM("queues", "010"), NULL, 10, 0 },
		{ NUM("capacity", "10"), NULL, 1, 10 },
		{ NUM("capacity", "3k"), NULL, 1, 3072 },
		{ NUM("capacity", "5G"), NULL, 1, 5ull << 30 },
		{ NUM("capacity", "16777215T"), NULL, 1, 16777215ull << 40 },
		{ NUM("capacity", "16777216T"),
		  "blk: capacity is 16777216T, not from 0 to 18446744073709551615", 0, 0 },
		{ NUM("capacity", "1MB"), "blk: capacity is \"1MB\", not a number of bytes", 0, 0 },
		{ NUM("capacity", "G"), "blk: capacity is \"G\", not a number of bytes", 0, 0 },
		{ NUM("io", "aio"), "blk: io is \"aio\", not one of threads, uring", 0, 0 },
		{ { { "image", "\xc3\xa4\xff" } }, 1,
		  "blk: image has byte 0xff, which is not UTF-8", 0, 0 },
		{ NUM("queues", "\xe4"), "blk: queues has byte 0xe4, which is not UTF-8", 0, 0 },
		{ { { "im\xe4ge", "x" } }, 1,
		  "blk: Unknown option \"im?ge\"; did you mean \"image\"?", 0, 0 },
		{ NUM("readonly", "maybe"), "blk: readonly is \"maybe\", not on or off", 0, 0 },
	};
	void *p;

	(void)state;
	assert_int_equal(vd_opts_check("blk", table, sizeof(struct conf)), 0);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		int r = vd_opts_parse("blk", table, sizeof(struct conf), cases[i].attrs, cases[i].n,
				      &p);
		struct conf *c = p;

		if (cases[i].error) {
			assert_int_equal(r, -EINVAL);
			assert_string_equal(vd_err_text(), cases[i].error);
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(c->image, "x");
		assert_int_equal(c->queues, cases[i].queues);
		assert_int_equal(c->capacity, cases[i].capacity);
		assert_int_equal(c->io, 1);
		vd_opts_free(table, p);
	}
	vd_opts_free(table, NULL);
}

static void option_words(void **state)
{
	static const char *const words[] = { "on", "true", "yes", "1", "off", "false", "no", "0" };
	void *p;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(words); i++) {
		struct uvdpa_attr a[] = { { "readonly", words[i] }, { "io", "threads" },
					  { "image", "i" } };

		assert_int_equal(vd_opts_parse("blk", table, sizeof(struct conf), a, 3, &p), 0);
		assert_int_equal(((struct conf *)p)->readonly, i < 4);
		assert_int_equal(((struct conf *)p)->io, 0);
		vd_opts_free(table, p);
	}
}

static void options_need_features(void **state)
{
	static const struct uvdpa_opt opts[] = {
		{ .key = "any", .type = UVDPA_OPT_UINT, .help = "any" },
		{ .key = "mac", .type = UVDPA_OPT_UINT, .needs = 1u << 5, .help = "one" },
		{ .key = "pairs", .type = UVDPA_OPT_UINT, .needs = 6, .def = "1", .help = "two" },
		{ 0 },
	};
	static const struct {
		struct uvdpa_attr attr;
		uint64_t features;
		int err;
	} cases[] = {
		{ { "any", "1" }, 1, 0 },	   { { "mac", "1" }, 1, -EINVAL },
		{ { "mac", "1" }, 33, 0 },	   { { "pairs", "2" }, 1, -EINVAL },
		{ { "pairs", "2" }, 2, 0 },	   { { "pairs", "2" }, 5, 0 },
		{ { "pairs", "1" }, 1, 0 },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++)
		assert_int_equal(vd_opts_allow("net", opts, &cases[i].attr, 1, cases[i].features),
				 cases[i].err);
	vd_opts_allow("net", opts, &cases[1].attr, 1, 1);
	assert_string_equal(vd_err_text(), "net: Missing features 0x20 for provided attributes: mac");
}

/* ---- registries ------------------------------------------------------------------------------ */

static void tables_are_checked_once(void **state)
{
	static const struct uvdpa_opt beyond[] = {
		{ .key = "x", .type = UVDPA_OPT_UINT, .offset = 4, .help = "h" }, { 0 } };
	static const struct uvdpa_opt twice[] = {
		{ .key = "x", .type = UVDPA_OPT_BOOL, .help = "h" },
		{ .key = "x", .type = UVDPA_OPT_BOOL, .help = "h" }, { 0 } };
	static const struct uvdpa_opt no_choices[] = {
		{ .key = "x", .type = UVDPA_OPT_ENUM, .help = "h" }, { 0 } };
	static const struct uvdpa_opt no_help[] = {
		{ .key = "x", .type = UVDPA_OPT_BOOL }, { 0 } };
	struct uvdpa *u = fake_context();
	struct uvdpa_parent p = fake_parent;
	struct uvdpa_driver d = fake_a;
	unsigned int n = 0;

	(void)state;
	assert_int_equal(uvdpa_parent_register(u, &fake_parent), -EEXIST);
	assert_int_equal(uvdpa_driver_register(u, &fake_a), -EEXIST);
	p.name = "p";
	p.add = NULL;
	assert_int_equal(uvdpa_parent_register(u, &p), -EINVAL);
	p = fake_parent;
	p.name = NULL;
	assert_int_equal(uvdpa_parent_register(u, &p), -EINVAL);
	p.name = "p";
	p.conf_size = 8;
	p.opts = beyond;
	assert_int_equal(uvdpa_parent_register(u, &p), -EINVAL);
	p.opts = twice;
	assert_int_equal(uvdpa_parent_register(u, &p), -EINVAL);
	p.opts = no_choices;
	assert_int_equal(uvdpa_parent_register(u, &p), -EINVAL);
	p.opts = no_help;
	assert_int_equal(uvdpa_parent_register(u, &p), -EINVAL);
	d.name = "d";
	d.changed = NULL;
	assert_int_equal(uvdpa_driver_register(u, &d), -EINVAL);
	d = fake_a;
	d.name = "d";
	assert_int_equal(uvdpa_driver_register(u, &d), -EEXIST);	/* its alias */
	d.remove = NULL;
	assert_int_equal(uvdpa_driver_register(u, &d), -EINVAL);
	assert_string_equal(uvdpa_driver_alias(uvdpa_driver_find(u, "a")), "a_vdpa");
	assert_ptr_equal(uvdpa_driver_find(u, "a_vdpa"), &fake_a);
	assert_null(uvdpa_driver_find(u, "d"));
	assert_ptr_equal(uvdpa_parent_find(u, fake_parent.name), &fake_parent);
	assert_null(uvdpa_parent_find(u, ""));

	for (const struct uvdpa_parent *i = NULL; (i = uvdpa_parent_next(u, i));) {
		assert_non_null(uvdpa_parent_name(i));
		assert_non_null(uvdpa_parent_help(i));
		assert_non_null(uvdpa_parent_opts(i));
		assert_non_null(uvdpa_parent_device_ids(i));
		n += i == &fake_parent;
	}
	assert_int_equal(n, 1);
	assert_int_equal(uvdpa_parent_max_vqs(&fake_parent), FAKE_VQS);
	assert_int_equal(uvdpa_parent_features(&fake_parent), FAKE_FEATURES);
	n = 0;
	for (const struct uvdpa_driver *i = NULL; (i = uvdpa_driver_next(u, i));) {
		assert_non_null(uvdpa_driver_name(i));
		assert_non_null(uvdpa_driver_help(i));
		assert_non_null(uvdpa_driver_opts(i));
		n++;
	}
	assert_true(n >= 3);
	uvdpa_destroy(u);
}

/* ---- adding ---------------------------------------------------------------------------------- */

static struct uvdpa_dev_opts base(const char *name)
{
	return (struct uvdpa_dev_opts){ .size = sizeof(struct uvdpa_dev_opts), .name = name,
					.mgmtdev = "fake" };
}

static void names(void **state)
{
	static const struct {
		const char *name;
		int err;
	} cases[] = {
		{ "a", 0 }, { "A-z_0.9", 0 }, { "_x", 0 }, { "0", 0 },
		{ "", -EINVAL }, { NULL, -EINVAL }, { ".x", -EINVAL }, { "-x", -EINVAL },
		{ "a/b", -EINVAL }, { "a b", -EINVAL }, { "a\n", -EINVAL }, { "\xc3\xa4", -EINVAL },
		{ "123456789012345678901234567890123456789012345678901234567890123", 0 },
		{ "1234567890123456789012345678901234567890123456789012345678901234", -EINVAL },
	};
	struct uvdpa *u = fake_context();
	struct uvdpa_dev *dev;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct uvdpa_dev_opts o = base(cases[i].name);

		assert_int_equal(uvdpa_dev_add(u, &o, &dev, NULL), cases[i].err);
		if (cases[i].err)
			continue;
		assert_string_equal(uvdpa_dev_name(dev), cases[i].name);
		assert_ptr_equal(uvdpa_dev_find(u, cases[i].name), dev);
		assert_int_equal(uvdpa_dev_add(u, &o, &dev, NULL), -EEXIST);
	}
	assert_null(uvdpa_dev_find(u, "b"));
	assert_string_equal(uvdpa_dev_name(uvdpa_dev_next(u, NULL)), "a");
	assert_null(uvdpa_dev_next(u, uvdpa_dev_find(u, cases[12].name)));
	uvdpa_destroy(u);
	assert_int_equal(fakes, 0);
}

static void what_add_refuses(void **state)
{
	struct uvdpa_attr fail = { "fail", "21" }, bad = { "x", "y" };
	struct uvdpa *u = fake_context();
	struct uvdpa_dev *dev = NULL;
	struct uvdpa_dev_opts o;
	struct {
		struct uvdpa_dev_opts o;
		uint64_t more;
	} newer = { .o = base("n") };

	(void)state;
	o = base("x");
	o.size = sizeof(o) - 8;
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, NULL), -EINVAL);
	newer.o.size = sizeof(newer);
	newer.more = 1;
	assert_int_equal(uvdpa_dev_add(u, &newer.o, &dev, NULL), -EINVAL);
	newer.more = 0;
	assert_int_equal(uvdpa_dev_add(u, &newer.o, &dev, NULL), 0);
	dev = NULL;

	o = base("x");
	o.mgmtdev = NULL;
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, NULL), -EINVAL);
	o.mgmtdev = "nothing";
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, NULL), -ENODEV);
	assert_string_equal(uvdpa_error(), "x: Fail to find the specified management device: \"nothing\"");
	o = base("x");
	o.driver = "nothing";
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, NULL), -ENODEV);
	o = base("x");
	o.driver_attrs = &bad;
	o.ndriver_attrs = 1;
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, NULL), -EINVAL);
	o.driver = "a";
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, NULL), -EINVAL);
	o = base("x");
	o.attrs = &bad;
	o.nattrs = 1;
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, NULL), -EINVAL);
	o.attrs = &fail;
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, NULL), -21);
	assert_string_equal(uvdpa_error(), "fake add x");
	assert_null(dev);
	assert_int_equal(fakes, 1);
	uvdpa_destroy(u);
}

static void features_mask(void **state)
{
	static const struct {
		uint64_t mask;
		int err;
		uint64_t left;
	} cases[] = {
		{ 0, 0, FAKE_FEATURES },
		{ FAKE_FEATURES, 0, FAKE_FEATURES },
		{ 1ull << 32, 0, 1ull << 32 },			/* even ACCESS_PLATFORM goes */
		{ 1ull << 33, -EINVAL, 0 },			/* but not VERSION_1 */
		{ 1ull << 32 | 1, -EOPNOTSUPP, 0 },
	};
	struct uvdpa *u = fake_context();
	struct uvdpa_dev *dev;

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct uvdpa_dev_opts o = base((const char *[]){ "a", "b", "c", "d", "e" }[i]);

		o.features = cases[i].mask;
		assert_int_equal(uvdpa_dev_add(u, &o, &dev, NULL), cases[i].err);
		if (!cases[i].err)
			assert_int_equal(uvdpa_dev_info(dev)->features, cases[i].left);
	}
	assert_int_equal(fakes, 3);
	uvdpa_destroy(u);
}

/* ---- what it tells --------------------------------------------------------------------------- */

struct text {
	struct uvdpa_emit e;
	char text[512];
};

static void emit_str(struct uvdpa_emit *e, const char *key, const char *value)
{
	struct text *t = container_of(e, struct text, e);
	size_t n = strlen(t->text);

	snprintf(t->text + n, sizeof(t->text) - n, "%s%s=%s", n ? " " : "", key, value);
}

static void emit_num(struct uvdpa_emit *e, const char *key, uint64_t value)
{
	char s[24];

	snprintf(s, sizeof(s), "%llu", (unsigned long long)value);
	emit_str(e, key, s);
}

static void emit_flag(struct uvdpa_emit *e, const char *key, bool value)
{
	emit_str(e, key, value ? "true" : "false");
}

static void a_device_tells(void **state)
{
	struct uvdpa *u = fake_context();
	struct fake *blk = fake_add(u, "d0", NULL, NULL, "a"), *odd = fake_add(u, "d1", "id", "5", NULL);
	struct fake *net = fake_add(u, "d2", "id", "1", NULL);
	struct fake *proxy = fake_add(u, "d3", "proxy", "on", NULL);
	struct text t = { .e = { .str = emit_str, .num = emit_num, .flag = emit_flag } };

	(void)state;
	blk->config[0] = 8;
	blk->config[12] = 126;
	assert_int_equal(uvdpa_dev_config_show(&blk->dev, &t.e), 0);
	/* blk_size is offered, but the space is too short for it (CVE-2022-2308). */
	assert_string_equal(t.text, "capacity=8 read_only=false flush=false");
	assert_int_equal(uvdpa_dev_config_show(&odd->dev, &t.e), -EOPNOTSUPP);
	t.text[0] = '\0';
	assert_int_equal(uvdpa_dev_config_show(&net->dev, &t.e), 0);
	assert_string_equal(t.text, "");	/* offers neither mac nor status nor mtu */

	assert_int_equal(uvdpa_dev_describe(&blk->dev, &t.e), 0);
	assert_string_equal(t.text, "driver=a");
	assert_int_equal(uvdpa_dev_describe(&odd->dev, &t.e), -ENODEV);
	t.text[0] = '\0';
	assert_int_equal(uvdpa_dev_stats(&blk->dev, 3, &t.e), 0);
	assert_string_equal(t.text, "requests=3");
	assert_int_equal(uvdpa_dev_stats(&blk->dev, 4, &t.e), -EINVAL);
	assert_int_equal(uvdpa_dev_stats(&proxy->dev, 0, &t.e), -EOPNOTSUPP);
	assert_ptr_equal(uvdpa_dev_parent(&blk->dev), &fake_parent);
	assert_true(uvdpa_dev_ready(&blk->dev));
	uvdpa_destroy(u);
}

static void what_can_be_set(void **state)
{
	struct uvdpa *u = fake_context();
	struct fake *f = fake_add(u, "d0", NULL, NULL, NULL),
		    *proxy = fake_add(u, "d1", "proxy", "on", NULL);
	struct fake *late = fake_add(u, "d2", "late", "on", NULL);
	struct uvdpa_attr a[] = { { "size", "4K" },
				  { "word", "x" },
				  { "word", "y" },
				  { "wird", "z" },
				  { "size", "2M" } };
	struct text t = { .e = { .str = emit_str, .num = emit_num, .flag = emit_flag } };

	(void)state;
	fake_log(f);
	assert_int_equal(uvdpa_dev_set(&f->dev, a, 1), 0);
	assert_string_equal(fake_log(f), "set1 4096 -");
	assert_int_equal(uvdpa_dev_set(&f->dev, a + 1, 1), 0);
	assert_string_equal(fake_log(f), "set2 0 x");
	assert_int_equal(uvdpa_dev_set(&f->dev, a, 2), 0);
	assert_string_equal(fake_log(f), "set3 4096 x");

	assert_int_equal(uvdpa_dev_set(&f->dev, a, 0), -EINVAL);
	assert_string_equal(uvdpa_error(), "d0: nothing to set");
	assert_int_equal(uvdpa_dev_set(&f->dev, a + 1, 2), -EINVAL);
	assert_string_equal(uvdpa_error(), "d0: word is given twice");
	assert_int_equal(uvdpa_dev_set(&f->dev, a + 3, 1), -EINVAL);
	assert_string_equal(uvdpa_error(), "d0: Unknown option \"wird\"; did you mean \"word\"?");
	assert_int_equal(uvdpa_dev_set(&f->dev, a + 4, 1), -EINVAL);
	assert_string_equal(uvdpa_error(), "d0: size is 2M, not from 0 to 1M");
	assert_string_equal(fake_log(f), "");
	assert_int_equal(uvdpa_dev_set(&proxy->dev, a, 1), -EOPNOTSUPP);
	assert_int_equal(uvdpa_dev_set(&late->dev, a, 1), -ENODEV);
	assert_string_equal(uvdpa_dev_settable(&f->dev)[1].key, "word");
	assert_null(uvdpa_dev_settable(&proxy->dev)[0].key);

	uvdpa_dev_show(&f->dev, &t.e);
	uvdpa_dev_show(&proxy->dev, &t.e);
	assert_string_equal(t.text, "maps=0");
	uvdpa_destroy(u);
}

/* "OPTIONS driver OPTIONS" */
static const char *read_back(struct fake *f, struct text *t)
{
	const struct uvdpa_driver *d;

	*t = (struct text){ .e = { .str = emit_str, .num = emit_num, .flag = emit_flag } };
	uvdpa_dev_attrs(&f->dev, &t->e);
	t->e.str(&t->e, "features", uvdpa_dev_features_mask(&f->dev) ? "some" : "all");
	d = uvdpa_dev_driver_attrs(&f->dev, &t->e);
	t->e.str(&t->e, "driver", d ? uvdpa_driver_name(d) : "-");
	return t->text;
}

static void what_is_read_back(void **state)
{
	const struct uvdpa_attr given[] = { { "id", "0x2" }, { "string", "as it was" } };
	const struct uvdpa_attr hold[] = { { "hold", "off" } };
	const struct uvdpa_attr set[] = { { "word", "changed" }, { "size", "4K" }, { "size", "2M" } };
	struct uvdpa_dev_opts o = {
		.size = sizeof(o), .name = "d0", .mgmtdev = "fake", .attrs = given, .nattrs = 2,
		.driver = "a", .driver_attrs = hold, .ndriver_attrs = 1, .driver_override = "b",
		.features = 1ull << 32,
	};
	struct uvdpa *u = fake_context();
	struct fake *f, *plain = fake_add(u, "d1", NULL, NULL, NULL),
			*late = fake_add(u, "d2", "late", "yes", "b");
	struct uvdpa_dev *dev;
	struct uvdpa_wait w = { 0 };
	struct text t;

	(void)state;
	/* As it was written; the driver was chosen before the override. */
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, NULL), 0);
	f = to_fake(dev);
	assert_string_equal(read_back(f, &t),
			    "id=0x2 string=as it was features=some hold=off driver=a");
	assert_string_equal(uvdpa_dev_override(dev), "b");
	assert_string_equal(read_back(plain, &t), "features=all driver=-");
	assert_string_equal(read_back(late, &t), "late=yes features=all driver=b");

	/* What was set is what it is made of, if the parent has an option for it; or nothing is. */
	assert_int_equal(uvdpa_dev_set(dev, set, 2), 0);
	assert_int_equal(uvdpa_dev_set(&plain->dev, set, 1), 0);
	assert_string_equal(read_back(f, &t),
			    "id=0x2 string=changed features=some hold=off driver=a");
	assert_string_equal(read_back(plain, &t), "string=changed features=all driver=-");
	assert_int_equal(uvdpa_dev_set(&plain->dev, set + 2, 1), -EINVAL);
	plain->fail = "set";
	plain->fail_err = -EIO;
	assert_int_equal(uvdpa_dev_set(&plain->dev, &(struct uvdpa_attr){ "word", "no" }, 1), -EIO);
	assert_string_equal(read_back(plain, &t), "string=changed features=all driver=-");

	/* On its way to a driver it is that driver's; then nobody's. */
	assert_int_equal(uvdpa_dev_bind(dev, "a", NULL, 0, &w), -ENODEV);
	assert_int_equal(uvdpa_dev_bind(dev, "b", NULL, 0, &w), -EINPROGRESS);
	assert_string_equal(read_back(f, &t), "id=0x2 string=changed features=some driver=b");
	assert_int_equal(uvdpa_await(u, &w, -EINPROGRESS), 0);
	assert_string_equal(read_back(f, &t), "id=0x2 string=changed features=some driver=b");
	assert_int_equal(uvdpa_await(u, &w, uvdpa_dev_unbind(dev, &w)), 0);
	assert_string_equal(read_back(f, &t), "id=0x2 string=changed features=some driver=-");
	uvdpa_destroy(u);
}

static void names_of_types_and_features(void **state)
{
	(void)state;
	assert_string_equal(uvdpa_type_name(1), "network");
	assert_string_equal(uvdpa_type_name(2), "block");
	assert_string_equal(uvdpa_type_name(3), "console");
	assert_null(uvdpa_type_name(0));
	assert_null(uvdpa_type_name(UINT32_MAX));
	assert_string_equal(uvdpa_class_name(1), "net");
	assert_string_equal(uvdpa_class_name(2), "block");
	assert_null(uvdpa_class_name(63));
	assert_string_equal(uvdpa_feature_name(2, 6), "BLK_SIZE");
	assert_string_equal(uvdpa_feature_name(2, 9), "FLUSH");
	assert_string_equal(uvdpa_feature_name(2, 12), "MQ");
	assert_string_equal(uvdpa_feature_name(1, 22), "MQ");
	assert_string_equal(uvdpa_feature_name(2, 32), "VERSION_1");
	assert_string_equal(uvdpa_feature_name(77, 33), "ACCESS_PLATFORM");
	assert_null(uvdpa_feature_name(2, 22));
	assert_null(uvdpa_feature_name(2, 64));
}

static void names_of_status_bits(void **state)
{
	static const struct {
		uint8_t status;
		const char *names;
	} cases[] = {
		{ 0, "" },
		{ 0x01, "ACKNOWLEDGE " },
		{ 0x0f, "ACKNOWLEDGE DRIVER FEATURES_OK DRIVER_OK " },
		{ 0xff, "ACKNOWLEDGE DRIVER FEATURES_OK DRIVER_OK NEEDS_RESET FAILED " },
		{ 0xb0, "FAILED " },
		{ 0x30, "" },
	};

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		char all[128] = "";
		const char *name;

		for (unsigned int n = 0; (name = uvdpa_status_name(cases[i].status, n)); n++)
			strcat(strcat(all, name), " ");
		assert_string_equal(all, cases[i].names);
	}
	assert_null(uvdpa_status_name(0xff, UINT_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options),
		cmocka_unit_test(options_need_features),
		cmocka_unit_test(option_words),
		cmocka_unit_test(tables_are_checked_once),
		cmocka_unit_test(names),
		cmocka_unit_test(what_add_refuses),
		cmocka_unit_test(features_mask),
		cmocka_unit_test(a_device_tells),
		cmocka_unit_test(what_can_be_set),
		cmocka_unit_test(what_is_read_back),
		cmocka_unit_test(names_of_types_and_features),
		cmocka_unit_test(names_of_status_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
