/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/line.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/utf8.h"

/* ---- reading -------------------------------------------------------------------------------- */

/* Where words go; there is always room, as they are no longer than what they are read from. */
struct out {
	char *p;
	bool open; /* in a word */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next byte as it stands; the end of a line is counted. Return: 0; -EINVAL. */
static int take(struct vd_lines *l, struct out *out)
{
	size_t n = vd_utf8_len(l->p, (size_t)(l->end - l->p));

	if (!n)
		return vd_err(-EINVAL, "byte 0x%02x is not UTF-8", (unsigned char)*l->p);
	if (!*l->p)
		return vd_err(-EINVAL, "there is a NUL byte");
	l->next += *l->p == '\n';
	memcpy(out->p, l->p, n);
	out->p += n;
	l->p += n;
	return 0;
}

/* Up to the quote that fits the one that was taken. If nothing good leads there, that one is what is wrong. */
static int quoted(struct vd_lines *l, struct out *out, char quote)
{
	const char *from = l->p;
	unsigned int line = l->next;
	int r = 0;

	while (!r && l->p != l->end && *l->p != quote) {
		if (quote == '"' && *l->p == '\\' && l->p + 1 != l->end) {
			if (l->p[1] == '\n') {
				l->p += 2;
				l->next++;
				continue;
			}
			l->p += strchr("\"\\$`", l->p[1]) && l->p[1];
		}
		r = take(l, out);
	}
	if (!r && l->p == l->end)
		r = vd_err(-EINVAL, "a quote %c is not closed", quote);
	else if (r && l->next != line)
		r = vd_err_prefix(r, "behind a quote %c: ", quote);
	if (r) {
		l->p = from;
		l->next = line;
		return r;
	}
	l->p++;
	return 0;
}

/* What is outside of quotes. Return: 0; 1 the command ends here; -EINVAL. */
static int plain(struct vd_lines *l, struct out *out)
{
	char c = *l->p;

	if (is_blank(c) || c == '\n') {
		if (out->open)
			*out->p++ = '\0';
		out->open = false;
		l->p++;
		l->next += c == '\n';
		return c == '\n';
	}
	if (c == '#' && !out->open) {
		while (l->p != l->end && *l->p != '\n')
			l->p++;
		return 0;
	}
	if (c == '\\' && l->p + 1 != l->end && l->p[1] == '\n') {
		l->p += 2;
		l->next++;
		return 0;
	}
	out->open = true;
	if (c == '\'' || c == '"') {
		l->p++;
		return quoted(l, out, c);
	}
	if (c == '\\' && ++l->p == l->end)
		return vd_err(-EINVAL, "\\ at the end of the file");
	return take(l, out);
}

/* Behind the line in which the fault is, and those in which that goes on. Never back to lines that were
 * looked at, so a file is read in one go; but for a quote that leads to no end, of which there are two kinds. */
static void skip(struct vd_lines *l)
{
	bool more = true;

	l->number = l->next;
	while (more && l->p != l->end) {
		const char *nl = memchr(l->p, '\n', (size_t)(l->end - l->p));

		more = nl && nl != l->p && nl[-1] == '\\';
		l->p = nl ? nl + 1 : l->end;
		l->next++;
	}
}

/* Return: 1 there are words; 0 there are none. */
static int split(struct vd_lines *l, const char *text_end)
{
	unsigned int at = 0;

	for (const char *p = l->text; p != text_end; p++)
		l->n += !*p;
	if (!l->n)
		return 0;
	l->words = calloc(l->n + 1, sizeof(*l->words));
	if (!l->words)
		return vd_err(-ENOMEM, "no memory");
	for (char *p = l->text; at < l->n; p += strlen(p) + 1)
		l->words[at++] = p;
	return 1;
}

static int command(struct vd_lines *l)
{
	struct out out;
	int r = 0;

	free(l->words);
	l->words = NULL;
	l->n = 0;
	l->number = l->next;
	if (!l->text)
		l->text = malloc((size_t)(l->end - l->p) + 1);
	if (!l->text)
		return vd_err(-ENOMEM, "no memory");
	out = (struct out){ .p = l->text };
	while (!r && l->p != l->end)
		r = plain(l, &out);
	if (r < 0) {
		skip(l);
		return r;
	}
	if (out.open)
		*out.p++ = '\0';
	return split(l, out.p);
}

int vd_lines_next(struct vd_lines *l)
{
	int r = 0;

	if (!l->next)
		l->next = 1;
	while (!r && l->p != l->end)
		r = command(l);
	return r;
}

void vd_lines_fini(struct vd_lines *l)
{
	free(l->words);
	free(l->text);
	l->words = NULL;
	l->text = NULL;
	l->n = 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

void vd_line_put(FILE *f, const char *word)
{
	static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789@%_+=:,./-";

	if (*word && !word[strspn(word, safe)]) {
		fputs(word, f);
		return;
	}
	putc('\'', f);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", f);
		else
			putc(*word, f);
	}
	putc('\'', f);
}
