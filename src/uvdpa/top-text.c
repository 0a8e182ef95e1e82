/* SPDX-License-Identifier: BSD-2-Clause */
/* top-text.c - columns, cells and numbers, for the screen and for -b */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "uvdpa/top.h"

const struct top_column top_columns[TOP_SORTS] = {
	[TOP_NAME] = { "name", 24, 0, false },
	[TOP_TYPE] = { "type", 8, 9, false },
	[TOP_PARENT] = { "parent", 12, 6, false },
	[TOP_DRIVER] = { "driver", 12, 4, false },
	[TOP_STATE] = { "state", 12, 5, false },
	[TOP_REQUESTS] = { "req/s", 6, 1, true },
	[TOP_IN] = { "in/s", 6, 2, true },
	[TOP_OUT] = { "out/s", 6, 3, true },
	[TOP_P50] = { "p50", 6, 10, true },
	[TOP_P99] = { "p99", 6, 7, true },
	[TOP_ERRORS] = { "err/s", 6, 11, true },
	[TOP_WHERE] = { "where", 12, 8, false },
};

const char *top_number(double n, unsigned int unit, char text[16])
{
	static const char letters[] = " kMGTPE";
	unsigned int i = 0;

	for (; n >= 999.5 && i + 1 < sizeof(letters) - 1; i++)
		n /= unit;
	if (!i)
		snprintf(text, 16, n > 0 && n < 9.95 ? "%.1f" : "%.0f", n);
	else
		snprintf(text, 16, n < 99.95 ? "%.1f%c" : "%.0f%c", n,
			 i == 1 && unit == 1024 ? 'K' : letters[i]);
	return text;
}

const char *top_time(uint64_t ns, char text[16])
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	double n = (double)ns;
	unsigned int i = 0;

	for (; n >= 999.5 && i + 1 < VD_ARRAY_SIZE(units); i++)
		n /= 1000;
	snprintf(text, 16, i && n < 9.95 ? "%.1f%s" : "%.0f%s", n, units[i]);
	return text;
}

/* Names of files may have anything in them. */
int top_plain(char *to, size_t size, const char *text, int width)
{
	mbstate_t state = { 0 };
	int col = 0;

	while (*text && size > 1) {
		wchar_t wc;
		size_t n = mbrtowc(&wc, text, strlen(text), &state);
		bool odd = n == (size_t)-1 || n == (size_t)-2 || wcwidth(wc) < 0;
		int w = odd ? 1 : wcwidth(wc);

		if (n == (size_t)-1 || n == (size_t)-2) {
			n = 1;
			state = (mbstate_t){ 0 };
		}
		if (col + w > width || n >= size)
			break;
		if (odd)
			*to = '?';
		else
			memcpy(to, text, n);
		to += odd ? 1 : n;
		size -= odd ? 1 : n;
		text += n;
		col += w;
	}
	*to = '\0';
	return col;
}

static const char *or_dash(const char *text)
{
	return text ? text : "-";
}

static const char *number(double n, unsigned int unit, bool rates, char text[TOP_CELL])
{
	char t[16];

	snprintf(text, TOP_CELL, "%s", rates ? top_number(n, unit, t) : "-");
	return text;
}

static const char *took(uint64_t ns, char text[TOP_CELL])
{
	char t[16];

	snprintf(text, TOP_CELL, "%s", ns ? top_time(ns, t) : "-");
	return text;
}

const char *top_cell(const struct top_row *row, enum top_sort column, bool rates,
		     char text[TOP_CELL])
{
	switch (column) {
	case TOP_NAME:
		return row->name;
	case TOP_TYPE:
		return or_dash(row->type);
	case TOP_PARENT:
		return or_dash(row->parent);
	case TOP_DRIVER:
		return or_dash(row->driver);
	case TOP_STATE:
		return or_dash(row->state);
	case TOP_WHERE:
		return or_dash(row->where);
	case TOP_REQUESTS:
		return number(row->requests, 1000, rates, text);
	case TOP_IN:
		return number(row->in, 1024, rates, text);
	case TOP_OUT:
		return number(row->out, 1024, rates, text);
	case TOP_P50:
		return took(row->p50_ns, text);
	case TOP_P99:
		return took(row->p99_ns, text);
	case TOP_ERRORS:
		return number(row->errors, 1000, rates, text);
	case TOP_SORTS:
		break;
	}
	return "";
}

/* Words have the room that the longest of them takes; on a screen there is a limit. */
static int natural(const struct top_rows *rows, enum top_sort column, bool limit)
{
	const struct top_column *c = &top_columns[column];
	int width = (int)strlen(c->name), most = limit ? c->width : TOP_CELL - 1;
	char text[TOP_CELL];

	if (c->number)
		return c->width;
	for (size_t i = 0; i < rows->n && width < most; i++)
		width = vd_max(width, (int)strlen(top_cell(&rows->row[i], column, false, text)));
	return vd_min(width, most);
}

static int by_rank(int rank)
{
	int i = 0;

	while (top_columns[i].rank != rank)
		i++;
	return i;
}

void top_fit(const struct top_rows *rows, int width, struct top_layout *ret_layout)
{
	int used = -1;

	*ret_layout = (struct top_layout){ 0 };
	for (int rank = 0; rank < TOP_SORTS; rank++) {
		int i = by_rank(rank), w = i == TOP_WHERE ? top_columns[i].width
							 : natural(rows, (enum top_sort)i, width > 0);

		if (width && used + 1 + w > width && rank)
			continue;
		used += 1 + w;
		ret_layout->width[i] = w;
	}
	if (width && ret_layout->width[TOP_NAME] > width)
		ret_layout->width[TOP_NAME] = width;
	if (ret_layout->width[TOP_WHERE])
		ret_layout->width[TOP_WHERE] += width ? width - used : TOP_CELL;
}

/* Names and paths differ at their ends: of what is too long "<" and the end are shown. */
static int cut(char plain[TOP_CELL], const char *text, int width)
{
	char rest[TOP_CELL] = "";
	int n = top_plain(plain, TOP_CELL, text, TOP_CELL);

	if (n <= width)
		return n;
	while (*text && n > width - 1) {
		mbstate_t state = { 0 };
		size_t len = mbrtowc(NULL, text, strlen(text), &state);

		text += len == (size_t)-1 || len == (size_t)-2 ? 1 : len;
		n = top_plain(rest, sizeof(rest), text, TOP_CELL);
	}
	snprintf(plain, TOP_CELL, "<%.*s", TOP_CELL - 2, rest);
	return n + 1;
}

static void put_cell(FILE *f, const char *text, int width, bool number, bool last)
{
	char plain[TOP_CELL];
	int n = cut(plain, text, width);

	if (number)
		fprintf(f, "%*s%s", width - n, "", plain);
	else
		fprintf(f, "%s%*s", plain, last ? 0 : width - n, "");
}

static const char *capitals(const char *name, char text[16])
{
	size_t i;

	for (i = 0; i < 15 && name[i]; i++)
		text[i] = (char)toupper((unsigned char)name[i]);
	text[i] = '\0';
	return text;
}

void top_line(FILE *f, const struct top_row *row, const struct top_layout *layout, bool rates)
{
	char text[TOP_CELL];

	for (int i = 0; i < TOP_SORTS; i++) {
		const struct top_column *c = &top_columns[i];
		char title[16];

		if (!layout->width[i])
			continue;
		if (i)
			fputc(' ', f);
		put_cell(f, row ? top_cell(row, (enum top_sort)i, rates, text) : capitals(c->name, title),
			 layout->width[i], c->number, i == TOP_WHERE);
	}
}
