/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf.c - the daemon's configuration file
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
	struct conf c = { .path = "again", .fault = fault };
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct uvdpa *u;
	struct conf c = { .path = "fuzz", .fault = fault };
	struct conf_dev *d;

	if (!u)
		must(!uvdpa_create(&u));
	must(!conf_parse(&c, u, (const char *)data, size) == !c.nfaults);
	vd_list_for_each(d, &c.devs, node) {
		must(conf_find(&c, d->name) == d);
		again(u, d);
	}
	must(!uvdpa_dev_next(u, NULL));
	conf_fini(&c);
	return 0;
}
