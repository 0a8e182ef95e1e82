/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf.c - the daemon's configuration file, and its state
 *
 * What must hold: no access outside (the sanitizers); nothing is made; a device that is taken has a
 * name that no other has, and its lines, as they are written, are read as the same device again.
 */
#include <stdlib.h>
#include <string.h>

#include "control/words.h"
#include "fuzz.h"
#include "uvdpad/conf.h"

#define must(cond) ((cond) ? (void)0 : abort())

static void fault(struct conf *c, unsigned int line, const char *sentence)
{
	(void)c, (void)line;
	must(*sentence);
}

static void again(struct uvdpa *u, const struct conf_dev *d)
{
	struct conf c = { .path = "again", .fault = fault, .clients = d->c->clients };
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	must(f);
	vd_words_put_dev(f, d->params);
	fclose(f);
	must(!conf_parse(&c, u, text, len) && c.n == 1);
	must(json_object_equal(conf_find(&c, d->name)->params, d->params));
	conf_fini(&c);
	free(text);
}

static void parse(struct uvdpa *u, const char *text, size_t len, bool clients)
{
	struct conf c = { .path = "fuzz", .fault = fault, .clients = clients };
	struct conf_dev *d;

	must(!conf_parse(&c, u, text, len) == !c.nfaults);
	vd_list_for_each(d, &c.devs, node) {
		must(conf_find(&c, d->name) == d);
		again(u, d);
	}
	must(!uvdpa_dev_next(u, NULL));
	conf_fini(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct uvdpa *u;

	if (!u)
		must(!uvdpa_create(&u));
	parse(u, (const char *)data, size, false);
	parse(u, (const char *)data, size, true);
	return 0;
}
