/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * print.c - results as text or JSON
 *
 * The text is made from the JSON: keys and values in the order they came, as iproute2 has them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "uvdpa/cmd.h"

#define ERROR_MAX 4096

#undef print_error /* for the analyzer, see cmd.h */
int print_error(const char *fmt, ...)
{
	char text[ERROR_MAX];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = strlen(text);
	fflush(stdout);
	fprintf(stderr, "Error: uvdpa: %s%s\n", text, n && text[n - 1] == '?' ? "" : ".");
	return -1;
}

static void print_json(const struct cmd *cmd, struct json_object *o)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE |
		    (cmd->pretty ? JSON_C_TO_STRING_PRETTY : JSON_C_TO_STRING_PLAIN);

	puts(json_object_to_json_string_ext(o, flags));
}

/* The words of a list, or the keys of an object, with @sep between them. */
static void print_list(struct json_object *v, char sep)
{
	bool first = true;

	if (json_object_is_type(v, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(v); i++)
			printf("%c%s", i ? sep : ' ',
			       json_object_get_string(json_object_array_get_idx(v, i)));
		return;
	}
	json_object_object_foreach(v, key, value)
	{
		(void)value;
		printf("%c%s", first ? ' ' : sep, key);
		first = false;
	}
}

static bool is_list(struct json_object *v)
{
	return json_object_is_type(v, json_type_array) || json_object_is_type(v, json_type_object);
}

static bool is_empty(struct json_object *v)
{
	return (json_object_is_type(v, json_type_array) && !json_object_array_length(v)) ||
	       (json_object_is_type(v, json_type_object) && !json_object_object_length(v));
}

static void print_one(const char *name, struct json_object *o, enum print_layout layout)
{
	printf("%s:", name);
	json_object_object_foreach(o, key, value)
	{
		bool list = is_list(value);
		bool line = layout == PRINT_BLOCK || (layout == PRINT_CONFIG && list);

		if (is_empty(value))
			continue;
		printf("%s%s", line ? "\n  " : " ", key);
		if (list)
			print_list(value, line ? ' ' : ',');
		else
			printf(" %s", json_object_get_string(value));
	}
	putchar('\n');
}

void print_result(const struct cmd *cmd, struct json_object *result, enum print_layout layout)
{
	if (cmd->json) {
		print_json(cmd, result);
		json_object_put(result);
		return;
	}
	json_object_object_foreach(result, what, map)
	{
		(void)what;
		json_object_object_foreach(map, name, o)
		{
			struct json_object *queues;

			if (!json_object_object_get_ex(o, "queues", &queues) ||
			    !json_object_is_type(queues, json_type_array)) {
				print_one(name, o, layout);
				continue;
			}
			for (size_t i = 0; i < json_object_array_length(queues); i++)
				print_one(name, json_object_array_get_idx(queues, i), layout);
		}
	}
	json_object_put(result);
}

static const char *member(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : NULL;
}

/* A number; of bytes, as the user writes it. */
static const char *limit(struct json_object *o, const char *key, char text[VD_SIZE_TEXT])
{
	struct json_object *v;

	if (strcmp(member(o, "type"), "size") != 0)
		return member(o, key);
	json_object_object_get_ex(o, key, &v);
	return vd_size_text(json_object_get_uint64(v), text);
}

/* "  image STRING    the file (required)" */
static void print_option(const char *key, struct json_object *o)
{
	const char *type = member(o, "type");
	struct json_object *choices;
	char head[64], first[VD_SIZE_TEXT], last[VD_SIZE_TEXT];

	snprintf(head, sizeof(head), "%s %s", key, type);
	printf("  %-24s %s", head, member(o, "help"));
	if (!strcmp(member(o, "required"), "true"))
		printf("; required");
	if (member(o, "default"))
		printf("; default %s", member(o, "default"));
	if (member(o, "max"))
		printf("; %s to %s", limit(o, "min", first), limit(o, "max", last));
	else if (member(o, "min") && strcmp(member(o, "min"), "0") != 0)
		printf("; at least %s", limit(o, "min", first));
	if (json_object_object_get_ex(o, "choices", &choices)) {
		printf("; one of");
		print_list(choices, ' ');
	}
	putchar('\n');
}

void print_options(const struct cmd *cmd, struct json_object *result)
{
	if (cmd->json) {
		print_json(cmd, result);
		json_object_put(result);
		return;
	}
	json_object_object_foreach(result, what, map)
	{
		(void)what;
		json_object_object_foreach(map, name, o)
		{
			struct json_object *options;

			printf("%s: %s\n", name, member(o, "help"));
			json_object_object_get_ex(o, "options", &options);
			json_object_object_foreach(options, key, opt)
			{
				print_option(key, opt);
			}
		}
	}
	json_object_put(result);
}
