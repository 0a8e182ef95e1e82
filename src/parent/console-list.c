/* SPDX-License-Identifier: BSD-2-Clause */
/* console-list.c - the list of ports, as the user writes it: [NAME=]ADDRESS,... */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/size.h"
#include "parent/console.h"

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
}

/* Names have no colon, so what is behind one may hold an equals sign. */
static int take_item(struct vd_con_list *list, char *text)
{
	struct vd_con_item *item = &list->items[list->n];
	size_t len = 0;

	while (is_name_char(text[len]))
		len++;
	item->address = text;
	if (text[len] == '=') {
		text[len] = '\0';
		item->name = text;
		item->address = text + len + 1;
		if (!len || len > VD_CONSOLE_NAME_MAX)
			return vd_err(-EINVAL, "port %u: a name of %zu bytes, not 1 to %u", list->n,
				      len, VD_CONSOLE_NAME_MAX);
	}
	for (unsigned int i = 0; item->name && i < list->n; i++)
		if (list->items[i].name && !strcmp(list->items[i].name, item->name))
			return vd_err(-EINVAL, "ports %u and %u are both called %s", i, list->n,
				      item->name);
	list->n++;
	return vd_chan_check(item->address);
}

static int take_items(struct vd_con_list *list)
{
	char *next = list->text, *text;
	int r = 0;

	while (!r && (text = strsep(&next, ","))) {
		if (list->n == VD_CONSOLE_PORTS_MAX)
			return vd_err(-EINVAL, "more than %u ports", VD_CONSOLE_PORTS_MAX);
		r = take_item(list, text);
	}
	return r;
}

static int take_terminal(struct vd_con_list *list, const char *word)
{
	uint64_t idx;

	for (unsigned int i = 0; i < list->n; i++)
		if (list->items[i].name && !strcmp(list->items[i].name, word)) {
			list->items[i].terminal = true;
			return 0;
		}
	if (vd_number_parse(word, false, &idx) || idx >= list->n)
		return vd_err(-EINVAL, "terminals: \"%s\" is none of the %u ports", word, list->n);
	list->items[idx].terminal = true;
	return 0;
}

static int take_terminals(struct vd_con_list *list, const char *words)
{
	char *copy, *next, *word;
	int r = 0;

	for (unsigned int i = 0; i < list->n; i++)
		list->items[i].terminal = words ? !strcmp(words, "all") : !i;
	if (!words || !strcmp(words, "all") || !strcmp(words, "none"))
		return 0;
	copy = next = strdup(words);
	if (!copy)
		return vd_err(-ENOMEM, "no memory");
	while (!r && (word = strsep(&next, ",")))
		r = take_terminal(list, word);
	free(copy);
	return r;
}

int vd_con_list_parse(struct vd_con_list *list, const char *ports, const char *terminals)
{
	int r;

	*list = (struct vd_con_list){ .text = strdup(ports) };
	if (!list->text)
		return vd_err(-ENOMEM, "no memory");
	r = take_items(list);
	if (!r)
		r = take_terminals(list, terminals);
	if (r)
		vd_con_list_fini(list);
	return r;
}

void vd_con_list_fini(struct vd_con_list *list)
{
	free(list->text);
	list->text = NULL;
}
