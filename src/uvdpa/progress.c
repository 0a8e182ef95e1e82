/* SPDX-License-Identifier: BSD-2-Clause */
/* progress.c - one line on a terminal that is written again and again */
#include "uvdpa/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/loop.h"

#define QUIET_NS   1000000000u /* what ends sooner needs none */
#define SHOW_MS    200u
#define SMOOTH_S   3. /* over which the rate is taken */
#define COLUMNS    80u
#define LINE_MAX   160

const char *progress_bytes(uint64_t bytes, char text[16])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double n = (double)bytes;
	unsigned int unit = 0;

	for (; n >= 1000 && unit < VD_ARRAY_SIZE(units) - 1; unit++)
		n /= 1024;
	snprintf(text, 16, unit && n < 10 ? "%.1f %s" : "%.0f %s", n, units[unit]);
	return text;
}

void progress_begin(struct progress *p, const struct cmd *cmd)
{
	const char *term = getenv("TERM");

	p->on = !cmd->json && !cmd->quiet && isatty(STDERR_FILENO) && term && *term &&
		strcmp(term, "dumb") != 0;
	p->since_ns = p->shown_ns = vd_now_ns();
	p->rate = 0;
}

/* ---- the line ------------------------------------------------------------------------------- */

/* "12 s", "3:05", "2:00:09" */
static void put_time(FILE *f, double seconds)
{
	uint64_t s = seconds < 1e9 ? (uint64_t)(seconds + .5) : 1000000000u;

	if (s < 60)
		fprintf(f, "%" PRIu64 " s", s);
	else if (s < 3600)
		fprintf(f, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
	else
		fprintf(f, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
}

static void put_amount(FILE *f, const struct progress *p, uint64_t amount)
{
	char text[16];

	if (p->is_ms)
		put_time(f, (double)amount / 1e3);
	else
		fputs(progress_bytes(amount, text), f);
}

static void put_line(FILE *f, const struct progress *p, uint64_t now_ns)
{
	uint64_t left = p->total - vd_min(p->at, p->total);
	char text[16];

	if (p->what) {
		fprintf(f, "%s, ", p->what);
		put_time(f, (double)(now_ns - p->since_ns) / 1e9);
		return;
	}
	put_amount(f, p, p->at);
	if (p->total) {
		fputs(" of ", f);
		put_amount(f, p, p->total);
		fprintf(f, ", %.0f %%", 100. * (double)p->at / (double)p->total);
	}
	if (!p->is_ms)
		fprintf(f, ", %s/s", progress_bytes((uint64_t)p->rate, text));
	if (p->total && p->rate > 0) {
		fputs(", ", f);
		put_time(f, (double)left / p->rate);
		fputs(" left", f);
	}
}

/* The average of all time says little once a hole is behind: what is older counts for less. */
static void measure(struct progress *p, uint64_t now_ns)
{
	double seconds = (double)(now_ns - p->shown_ns) / 1e9;
	double rate = (double)(p->at - vd_min(p->shown_at, p->at)) / seconds;
	bool first = p->shown_ns == p->since_ns;

	p->rate += (rate - p->rate) * (first ? 1 : seconds / (seconds + SMOOTH_S));
	p->shown_ns = now_ns;
	p->shown_at = p->at;
}

/* Who is in the background does not write over what is done in the foreground. */
static bool in_front(void)
{
	return tcgetpgrp(STDERR_FILENO) == getpgrp();
}

void progress_show(struct progress *p, uint64_t now_ns)
{
	char line[LINE_MAX] = "";
	struct winsize size;
	size_t width;
	FILE *f;

	if (!p->on || now_ns - p->since_ns < QUIET_NS || now_ns - p->shown_ns < SHOW_MS * 1000000u)
		return;
	measure(p, now_ns);
	f = in_front() ? fmemopen(line, sizeof(line), "w") : NULL;
	if (!f)
		return;
	put_line(f, p, now_ns);
	fclose(f);
	/* What is cut off is better than a line that wraps: that cannot be taken away. */
	width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 2 ? COLUMNS : size.ws_col;
	fprintf(stderr, "\r%.*s\033[K", (int)width - 1, line);
}

int progress_wait_ms(const struct progress *p)
{
	return p->on ? (int)SHOW_MS : -1;
}

void progress_end(struct progress *p)
{
	if (p->on && p->shown_ns != p->since_ns && in_front())
		fputs("\r\033[K", stderr);
	p->on = false;
}
