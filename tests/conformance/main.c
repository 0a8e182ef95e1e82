/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <execinfo.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "conformance.h"
#include "core/core.h"

static const struct cf_type *const types[] = { &cf_block, &cf_console, &cf_net, &cf_rng };

#define INDIRECT CF_F(VIRTIO_RING_F_INDIRECT_DESC)
#define EVENT_IDX CF_F(VIRTIO_RING_F_EVENT_IDX)
#define IN_ORDER CF_F(35)
#define PACKED CF_F(VIRTIO_F_RING_PACKED)
#define ALL (INDIRECT | EVENT_IDX | IN_ORDER)

/* The first two are the default of each layout. ALL is what is offered. A size of 0: the largest. */
static const struct cf_mode modes[] = {
	{ ALL, 64 },	     { ALL | PACKED, 64 },
	{ 0, 4 },	     { PACKED, 4 },
	{ 0, 0 },	     { PACKED, 0 },
	{ INDIRECT, 4 },     { PACKED | INDIRECT, 4 },
	{ INDIRECT, 256 },   { PACKED | INDIRECT, 100 },
	{ EVENT_IDX, 16 },   { PACKED | EVENT_IDX, 17 },
	{ EVENT_IDX, 256 },  { PACKED | EVENT_IDX, 256 },
	{ IN_ORDER, 32 },    { PACKED | IN_ORDER, 33 },
	{ ALL, 0 },	     { ALL | PACKED, 0 },
};

#define CASE_S 180 /* seconds */

static jmp_buf failed;
static char why[512];
static const char *skipped;	/* why the case was left, if that is no failure */
static unsigned int count, failures;
static const char *only, *only_parent;
static bool foreign;

void cf_fail(const char *file, int line, const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	va_list ap;
	int n;

	n = snprintf(why, sizeof(why), "%s:%d: ", base ? base + 1 : file, line);
	va_start(ap, fmt);
	vsnprintf(why + n, sizeof(why) - (size_t)n, fmt, ap);
	va_end(ap);
	longjmp(failed, 1);
}

void cf_skip(const char *lacks)
{
	skipped = lacks;
	longjmp(failed, 1);
}

static void mode_name(const struct cf_mode *m, char *to, size_t size)
{
	if ((m->ring & ALL) == ALL)
		snprintf(to, size, "%s all %u", m->ring & PACKED ? "packed" : "split", m->num);
	else
		snprintf(to, size, "%s%s%s%s %u", m->ring & PACKED ? "packed" : "split",
			 m->ring & INDIRECT ? " indirect" : "",
			 m->ring & EVENT_IDX ? " event_idx" : "",
			 m->ring & IN_ORDER ? " in_order" : "", m->num);
}

/* A case that waits for ever would take all others with it, and say nothing. */
static const char *running;

static void too_long(int sig)
{
	void *frames[32];

	dprintf(STDOUT_FILENO, "not ok - %s\n# not at its end after %d s; it was in\n", running, CASE_S);
	backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
	(void)sig;
	_exit(EXIT_FAILURE);
}

static void tell(bool ok, const char *name, const char *skip)
{
	count++;
	failures += !ok;
	printf("%sok %u - %s%s%s\n", ok ? "" : "not ", count, name, skip ? " # SKIP " : "",
	       skip ? skip : "");
	if (!ok)
		printf("# %s\n", why);
	fflush(stdout);
}

/* Of the fixture's world; static, so that longjmp leaves it alone. */
static struct cf world;

/* One case, or only a look at what a variant makes. */
struct run {
	void (*fn)(struct run *r);
	const struct cf_variant *v;
	const struct cf_case *k;
	const struct cf_mode *m;
	const char *skip;
	uint32_t device_id;
};

/* Return: false if it failed; why[] says it. */
static bool succeeds(struct run *r)
{
	skipped = NULL;
	if (setjmp(failed)) {
		cf_close(&world);
		r->skip = skipped;
		return skipped;
	}
	r->fn(r);
	return true;
}

static void run_case_open(struct run *r)
{
	unsigned int fds = open_fds(), left;

	cf_open(&world, r->v);
	world.mode = *r->m;
	if ((world.mode.ring & ALL) == ALL)
		world.mode.ring &= world.info->features | ~ALL;
	if (!cf_offered(&world, &world.mode))
		r->skip = "not offered";
	else
		r->k->run(&world);
	cf_close(&world);
	left = open_fds();
	if (left != fds)
		cf_fail(__FILE__, __LINE__, "%u descriptors before, %u after", fds, left);
}

static void run_case(const struct cf_variant *v, const struct cf_case *k, const struct cf_mode *m)
{
	struct run r = { .fn = run_case_open, .v = v, .k = k, .m = m };
	char name[256], mode[64] = "";
	bool ok;

	if (k->over & 3)
		mode_name(m, mode, sizeof(mode));
	snprintf(name, sizeof(name), "%s%s%s: %s%s%s", v->parent, *v->name ? " " : "", v->name,
		 k->name, *mode ? ", " : "", mode);
	if (only && !strstr(name, only))
		return;
	running = name;
	alarm(CASE_S);
	ok = succeeds(&r);
	alarm(0);
	tell(ok, name, r.skip);
}

static void run_cases(const struct cf_variant *v, const struct cf_case *k)
{
	static const size_t nmodes[] = { [CF_ONCE] = 1, [CF_LAYOUTS] = 2,
					 [CF_MODES] = VD_ARRAY_SIZE(modes) };

	for (; k->name; k++) {
		if ((v->foreign && k->over & CF_OURS) || (!v->restart && k->over & CF_SERVED))
			continue;
		for (size_t i = 0; i < nmodes[k->over & 3]; i++)
			run_case(v, k, &modes[i]);
	}
}

static void look(struct run *r)
{
	cf_open(&world, r->v);
	r->device_id = world.info->device_id;
	cf_close(&world);
}

/* What is it? Known from a first device of it. */
static const struct cf_type *type_of(const struct cf_variant *v)
{
	struct run r = { .fn = look, .v = v };

	if (!succeeds(&r))
		return NULL;
	for (size_t i = 0; i < VD_ARRAY_SIZE(types); i++)
		if (types[i]->device_id == r.device_id)
			return types[i];
	snprintf(why, sizeof(why), "no cases for device id %u", r.device_id);
	return NULL;
}

static bool run_parent(const char *parent)
{
	bool any = false;

	if (only_parent && strcmp(parent, only_parent))
		return true;
	for (unsigned int i = 0; i < cf_nvariants; i++) {
		const struct cf_variant *v = &cf_variants[i];
		const struct cf_type *type;

		if (strcmp(v->parent, parent) || v->foreign != foreign)
			continue;
		any = true;
		if (v->lacks && v->lacks()) {
			tell(true, v->parent, v->lacks());
			continue;
		}
		type = type_of(v);
		if (!type) {
			tell(false, parent, NULL);
			continue;
		}
		world.type = type;
		run_cases(v, cf_generic);
		run_cases(v, type->cases);
	}
	return any;
}

/*
 * Arguments: --foreign for devices that other programs serve, in place of our own; --parent NAME for
 * those of one; and a text, for cases whose names contain it.
 */
int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--foreign"))
			foreign = true;
		else if (!strcmp(argv[i], "--parent") && i + 1 < argc)
			only_parent = argv[++i];
		else
			only = argv[i];
	}
	if (foreign && !cf_foreign_installed()) {
		printf("1..0 # SKIP no qemu-storage-daemon\n");
		return 0;
	}
	signal(SIGALRM, too_long);
	printf("TAP version 13\n");
	fflush(stdout); /* before a fixture forks: a child may have it to say, too */
	for (unsigned int i = 0; vd_parents[i]; i++) {
		if (run_parent(vd_parents[i]->name) || foreign)
			continue;
		snprintf(why, sizeof(why), "parent %s has no fixture", vd_parents[i]->name);
		tell(false, vd_parents[i]->name, NULL);
	}
	for (unsigned int i = 0; i < cf_nvariants; i++)
		if (cf_variants[i].own)
			run_parent(cf_variants[i].parent);
	printf("1..%u\n", count);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
