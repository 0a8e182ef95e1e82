/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * print.c - results as text or JSON
 *
 * The text is made from the JSON: keys and values in the order they came, as iproute2 has them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/size.h"
#include "control/line.h"
#include "uvdpa/cmd.h"

#define ERROR_MAX 4096
#define OPTION_COLUMN 27 /* where the text of an option begins */

#undef print_error /* for the analyzer, see cmd.h */
int print_error(const char *fmt, ...)
{
	char text[ERROR_MAX];
	va_list ap;
	size_t n;
	bool open; /* a sentence without its full stop */

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = strlen(text);
	open = !n || (text[n - 1] != '?' && text[n - 1] != '.' && !strstr(text, "usage: "));
	fflush(stdout);
	if (isatty(STDERR_FILENO))	/* progress may stand in the line */
		fputs("\r\033[K", stderr);
	fprintf(stderr, "Error: uvdpa: %s%s\n", text, open ? "." : "");
	return -1;
}

static void print_json(const struct cmd *cmd, struct json_object *o)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE |
		    (cmd->pretty ? JSON_C_TO_STRING_PRETTY : JSON_C_TO_STRING_PLAIN);

	puts(json_object_to_json_string_ext(o, flags));
}

/* The words of a list, or the keys of an object, with @sep between them. */
static void print_list(FILE *f, struct json_object *v, char sep)
{
	bool first = true;

	if (json_object_is_type(v, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(v); i++)
			fprintf(f, "%c%s", i ? sep : ' ',
				json_object_get_string(json_object_array_get_idx(v, i)));
		return;
	}
	json_object_object_foreach(v, key, value)
	{
		(void)value;
		fprintf(f, "%c%s", first ? ' ' : sep, key);
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

static bool ends_with(const char *word, const char *end)
{
	size_t n = strlen(word), m = strlen(end);

	return n >= m && !strcmp(word + n - m, end);
}

/* Does @key begin a line? */
static bool is_line(enum print_layout layout, const char *key, struct json_object *value)
{
	switch (layout) {
	case PRINT_CONFIG:
		return is_list(value);
	case PRINT_STATS:
		return ends_with(key, "_requests");
	default:
		return layout == PRINT_BLOCK;
	}
}

/* "key value key value", words as they would be written. */
static void print_pairs(struct json_object *o)
{
	json_object_object_foreach(o, key, value)
	{
		printf(" %s ", key);
		vd_line_put(stdout, json_object_get_string(value));
	}
}

/*
 * A device: the line that iproute2 has, which ends with the largest queue; then what has one value;
 * then, in a line each, what has several.
 */
static void print_dev(const char *name, struct json_object *o)
{
	bool first = false; /* of those beyond iproute2 */

	printf("%s:", name);
	json_object_object_foreach(o, key, value)
	{
		if (is_list(value))
			continue;
		printf("%s%s %s", first ? "\n  " : " ", key, json_object_get_string(value));
		first = !strcmp(key, "max_vq_size");
	}
	json_object_object_foreach(o, list, values)
	{
		if (!is_list(values) || is_empty(values))
			continue;
		printf("\n  %s", list);
		if (json_object_is_type(values, json_type_object))
			print_pairs(values);
		else
			print_list(stdout, values, ' ');
	}
	putchar('\n');
}

static void print_one(const char *name, struct json_object *o, enum print_layout layout)
{
	if (layout == PRINT_DEV) {
		print_dev(name, o);
		return;
	}
	printf("%s:", name);
	json_object_object_foreach(o, key, value)
	{
		bool list = is_list(value);
		bool line = is_line(layout, key, value);

		if (is_empty(value) || (layout == PRINT_STATS && ends_with(key, "_took_ns")))
			continue;
		printf("%s%s", line ? "\n  " : " ", key);
		if (list)
			print_list(stdout, value, line ? ' ' : ',');
		else
			printf(" %s", json_object_get_string(value));
	}
	putchar('\n');
}

static void print_queue(const char *name, struct json_object *o, enum print_layout layout)
{
	if (json_object_is_type(o, json_type_object))
		print_one(name, o, layout);
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
				print_queue(name, json_object_array_get_idx(queues, i), layout);
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

/* Columns of the terminal, 0 if it is none. */
static size_t columns(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) ? 0 : size.ws_col;
}

/* The words of @text from column @at on, in as many lines as they need where there are @width. */
static void print_words(const char *text, size_t at, size_t width)
{
	size_t col = at;

	while (*text) {
		size_t n = strcspn(text, " ");

		if (width > at && col > at && col + 1 + n > width) {
			printf("\n%*s", (int)at, "");
			col = at;
		}
		col += (size_t)printf("%s%.*s", col > at ? " " : "", (int)n, text);
		text += n + strspn(text + n, " ");
	}
}

/* "what it is; default 128M; 512 to 64T" */
static void write_option(FILE *f, struct json_object *o)
{
	char first[VD_SIZE_TEXT], last[VD_SIZE_TEXT];
	struct json_object *choices;

	fputs(member(o, "help"), f);
	if (!strcmp(member(o, "required"), "true"))
		fputs("; required", f);
	if (member(o, "default"))
		fprintf(f, "; default %s", member(o, "default"));
	if (member(o, "max"))
		fprintf(f, "; %s to %s", limit(o, "min", first), limit(o, "max", last));
	else if (member(o, "min") && strcmp(member(o, "min"), "0") != 0)
		fprintf(f, "; at least %s", limit(o, "min", first));
	if (json_object_object_get_ex(o, "choices", &choices)) {
		fputs("; one of", f);
		print_list(f, choices, ' ');
	}
}

static void print_option(const char *key, struct json_object *o)
{
	char *text = NULL, head[64];
	size_t len;
	FILE *f;

	if (!member(o, "type") || !member(o, "help"))
		return; /* of a daemon that speaks otherwise */
	f = open_memstream(&text, &len);
	if (f) {
		write_option(f, o);
		fclose(f);
	}
	snprintf(head, sizeof(head), "%s %s", key, member(o, "type"));
	printf("  %-*s ", OPTION_COLUMN - 3, head);
	print_words(text ? text : "", OPTION_COLUMN, columns());
	putchar('\n');
	free(text);
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

			printf("%s:%s%s\n", name, member(o, "help") ? " " : "",
			       member(o, "help") ? member(o, "help") : "");
			if (!json_object_object_get_ex(o, "options", &options) ||
			    !json_object_is_type(options, json_type_object))
				continue;
			json_object_object_foreach(options, key, opt)
			{
				print_option(key, opt);
			}
		}
	}
	json_object_put(result);
}
