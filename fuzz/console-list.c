/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console-list.c - the list of a console's ports; behind a newline, which of them are terminals
 *
 * What must hold: no access outside (the sanitizers); what is taken is between its limits, its
 * names are of the characters that a name has, no two are the same, and its addresses are right.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "parent/console.h"

#define must(cond) ((cond) ? (void)0 : abort())

static void look(const struct vd_con_list *l)
{
	must(l->n >= 1 && l->n <= VD_CONSOLE_PORTS_MAX);
	for (unsigned int i = 0; i < l->n; i++) {
		const char *name = l->items[i].name;

		must(!vd_chan_check(l->items[i].address));
		must(!strchr(l->items[i].address, ','));
		must(!name ||
		     (*name && strlen(name) <= VD_CONSOLE_NAME_MAX && !strpbrk(name, ":=,/ ")));
		for (unsigned int k = 0; name && k < i; k++)
			must(!l->items[k].name || strcmp(name, l->items[k].name) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *ports = malloc(size + 1), *terminals;
	struct vd_con_list l;

	must(ports);
	memcpy(ports, data, size);
	ports[size] = '\0';
	terminals = strchr(ports, '\n');
	if (terminals)
		*terminals++ = '\0';
	if (!vd_con_list_parse(&l, ports, terminals)) {
		look(&l);
		vd_con_list_fini(&l);
	}
	free(ports);
	return 0;
}
