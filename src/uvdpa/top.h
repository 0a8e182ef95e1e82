/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top.h - "uvdpa top": what the devices do
 *
 *	daemon -> sample, and the one before -> rows -> screen, or a text for each interval
 *
 * A sample is what the daemon told at one moment, as it told it; rates, latencies and which devices
 * there are follow from two of them, so nothing is to be kept up to date when devices come and go.
 */
#ifndef VD_UVDPA_TOP_H
#define VD_UVDPA_TOP_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "uvdpa/cmd.h"
#include "uvdpa/link.h"

#define TOP_HIST 112u /* buckets that a histogram may have */

/* ---- two samples, and what follows from them: top-rows.c ---------------------------------- */

/* @at_ns: when the answer came; 0: there is no sample. The maps are {NAME: {...}}. */
struct top_sample {
	uint64_t at_ns;
	struct json_object *dev, *stats, *describe;
};

void top_sample_free(struct top_sample *s);

/* Times of requests, as the daemon counts them: n[i] took less than end_ns[i]. */
struct top_hist {
	unsigned int len;
	uint64_t end_ns[TOP_HIST], n[TOP_HIST];
};

/* Add a text as dev.vstats.show has it, "<256:3 <320:10", or take it away (@sign -1). */
void top_hist_add(struct top_hist *h, const char *text, int sign);

/* So many of a hundred took less, ns; 0: there are none. */
uint64_t top_hist_part(const struct top_hist *h, double part);

/* Of one queue or of all, between two samples, in each second. */
struct top_rates {
	double requests, in, out; /* requests or packets; bytes to the driver, and from it */
	double errors, kicks, calls, sleeps;
	struct top_hist took; /* not a rate: how many */
};

/* @before may be NULL: all is 0 then. @disk: it counts the headers of requests, and we do not. */
void top_queue_rates(struct json_object *now, struct json_object *before, double seconds, bool disk,
		     struct top_rates *r);

/**
 * struct top_row - A device; what it borrows is of the samples
 * @state: the furthest status bit, or what is wrong
 * @wrong: @state is something to look after
 * @p50_ns, @p99_ns: of the requests between the samples; 0: none is known
 */
struct top_row {
	const char *name, *type, *parent, *driver, *where, *state;
	bool wrong;
	struct json_object *dev, *queues, *queues_before;
	double requests, in, out, errors;
	uint64_t p50_ns, p99_ns;
};

bool top_is_disk(const struct top_row *row);

struct top_rows {
	struct top_row *row;
	size_t n, cap;
	size_t all, bound, away; /* devices, whether shown or not */
	double requests, in, out;
};

enum top_sort {
	TOP_NAME,
	TOP_TYPE,
	TOP_PARENT,
	TOP_DRIVER,
	TOP_STATE,
	TOP_REQUESTS,
	TOP_IN,
	TOP_OUT,
	TOP_P50,
	TOP_P99,
	TOP_ERRORS,
	TOP_WHERE,
	TOP_SORTS,
};

/**
 * struct top_view - Which devices, and in which order
 * @filter: a part of the name, type, parent, driver, state or end point; "": any
 * @names: only these; NULL: any. @nnames of them
 * @reverse: the other way round; numbers come largest first, words in the order of the alphabet
 */
struct top_view {
	const char *filter;
	char *const *names;
	int nnames;
	bool busy_only;
	enum top_sort sort;
	bool reverse;
};

/* Return: 0; -ENOMEM, and the rows are none. */
int top_rows_make(struct top_rows *rows, const struct top_sample *now,
		  const struct top_sample *before, const struct top_view *view);

void top_rows_free(struct top_rows *rows);

/* ---- columns and numbers: top-text.c --------------------------------------------------------- */

/**
 * struct top_column - One column of the table of devices
 * @name: what "-o" calls it; its title in capitals
 * @width: of it; of words, the most that it takes; of the last one, the least that is of use
 * @rank: those of a higher one go first where the terminal is narrow
 * @number: its cells end at the right
 */
struct top_column {
	const char *name;
	int width, rank;
	bool number;
};

/* By enum top_sort, which is the order on the screen, too. */
extern const struct top_column top_columns[TOP_SORTS];

#define TOP_CELL 256

/* One cell. Return: @text, or what the row has. */
const char *top_cell(const struct top_row *row, enum top_sort column, bool rates,
		     char text[TOP_CELL]);

/* How wide each column is; 0: it is not shown. */
struct top_layout {
	int width[TOP_SORTS];
};

/* What a line of @width has room for; 0: for everything. The last column takes what is left. */
void top_fit(const struct top_rows *rows, int width, struct top_layout *ret_layout);

/* One line, without a newline; @row NULL: of titles. */
void top_line(FILE *f, const struct top_row *row, const struct top_layout *layout, bool rates);

/* "999", "12.3k", "1.2G": at most 5 columns. @unit: 1000 or 1024. */
const char *top_number(double n, unsigned int unit, char text[16]);

/* "850ns", "1.2ms": at most 6 columns. */
const char *top_time(uint64_t ns, char text[16]);

/* @text for a terminal: no control characters, cut to @width columns. Return: its width. */
int top_plain(char *to, size_t size, const char *text, int width);

/* ---- the daemon: top-feed.c ---------------------------------------------------------------- */

/**
 * struct top_feed - Where samples come from; it connects again when the daemon is back
 * @path: of its socket
 * @now, @before: the last two samples
 * @trouble: why there is none; "": there is one
 */
struct top_feed {
	const char *path;
	struct link link;
	struct top_sample now, before, next;
	unsigned int waits; /* for so many answers */
	uint64_t asked_ns, tried_ns;
	char trouble[256];
};

void top_feed_begin(struct top_feed *f, const char *path);
void top_feed_end(struct top_feed *f);

/* Ask for the next sample, unless one is under way. Connects. */
void top_feed_ask(struct top_feed *f);

/* The descriptor is readable. Return: true: there is a new sample, or new trouble. */
bool top_feed_take(struct top_feed *f);

/* Seconds between the samples; 0: there is one only. */
double top_feed_seconds(const struct top_feed *f);

/* ---- the whole: top.c ------------------------------------------------------------------------- */

/* @interval_ms: between samples; @rounds: 0: until the user ends it */
struct top {
	const struct cmd *cmd;
	struct top_feed feed;
	struct top_view view;
	unsigned int interval_ms;
	uint64_t rounds;
	int signals;
};

/* The first two lines, without a newline. */
void top_head(FILE *f, const struct top *t, const struct top_rows *rows);
void top_totals(FILE *f, const struct top_rows *rows);

/* Seconds as the user writes them. Return: 0; -ERANGE, quietly. */
int top_read_interval(const char *word, unsigned int *ret_ms);

/* ---- one device: top-detail.c ------------------------------------------------------------------ */

/* All that there is to tell of it, in lines. */
void top_detail(FILE *f, const struct top_feed *feed, const struct top_row *row);

/* ---- the screen: top-screen.c, without ncurses top-none.c -------------------------------------- */

/* Show it on the terminal until the user or a signal ends it. Return: 0; -1 after an error. */
int top_screen(struct top *t);

#endif
