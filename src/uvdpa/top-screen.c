/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top-screen.c - the devices on a terminal
 *
 *	0	time, how many devices
 *	1	what all of them do
 *	2	what the user has chosen, is asked, or has to know
 *	3	titles
 *	4...	devices; or instead, from 3 on, a page to read: one device, or the keys
 *
 * Everything is drawn anew each time, ncurses finds what has changed.
 */
#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <time.h>
#include <unistd.h>
#include <uvdpa/uvdpa.h>

#include "base/loop.h"
#include "uvdpa/top.h"

#define HEAD 4
#define INPUT_MAX 64
#define ESCAPE 27
#define LATE_NS 2000000000u /* for an answer */

enum page { TABLE, DETAIL, HELP };
enum prompt { NO_PROMPT, FILTER, INTERVAL };

struct screen {
	struct top *t;
	struct top_rows rows;
	bool dirty;  /* the rows are to be made anew */
	enum page page;
	enum prompt prompt;
	char input[INPUT_MAX], filter[INPUT_MAX];
	const char *says; /* an answer to a key */
	char selected[UVDPA_NAME_MAX + 1];
	size_t at, first; /* the row that is selected, and the topmost one */
	int scroll;       /* of a page */
	bool paused, quit, colours;
	uint64_t due_ns;
};

static const char help_text[] =
	"up, down, PgUp, PgDn, Home, End  move\n"
	"Enter           look at one device\n"
	"< >             by another column\n"
	"r               the other way round\n"
	"/               what has a text in it\n"
	"i               only who does something\n"
	"p               pause\n"
	"d               set the interval\n"
	"+ -             longer, shorter\n"
	"space           look now\n"
	"Esc             back; no filter\n"
	"q               leave\n"
	"\n"
	"REQ/S   requests in a second; frames of a network device\n"
	"IN/S    bytes in a second to the driver: read from a disk, received by a network card\n"
	"OUT/S   bytes in a second from the driver: written, sent\n"
	"P50     half of the requests since the last look took less\n"
	"P99     99 of 100 did\n"
	"ERR/S   requests that failed\n"
	"STATE   how far its driver is; or away: what is behind it is not there;\n"
	"        paused: writes wait for space; writes_lost\n"
	"WHERE   the end point, where the driver offers the device\n";

/* ---- rows ------------------------------------------------------------------------------------- */

/* The selection stays with the device; where that is gone, with the line. */
static void find_selected(struct screen *s)
{
	for (size_t i = 0; i < s->rows.n; i++)
		if (!strcmp(s->rows.row[i].name, s->selected)) {
			s->at = i;
			return;
		}
}

static void select_row(struct screen *s, size_t at)
{
	s->at = s->rows.n ? vd_min(at, s->rows.n - 1) : 0;
	if (s->rows.n)
		snprintf(s->selected, sizeof(s->selected), "%s", s->rows.row[s->at].name);
}

static int make_rows(struct screen *s)
{
	struct top *t = s->t;

	if (!s->dirty)
		return 0;
	s->dirty = false;
	t->view.filter = s->filter;
	if (top_rows_make(&s->rows, &t->feed.now, &t->feed.before, &t->view))
		return -1;
	find_selected(s);
	if (s->page != DETAIL)
		select_row(s, s->at);
	return 0;
}

static const struct top_row *selected(const struct screen *s)
{
	return s->at < s->rows.n && !strcmp(s->rows.row[s->at].name, s->selected)
		       ? &s->rows.row[s->at]
		       : NULL;
}

/* ---- drawing ------------------------------------------------------------------------------------ */

/* What is written to the stream is a line of the screen, or more. */
struct memo {
	char *text;
	size_t len;
	FILE *f;
};

static bool memo_begin(struct memo *m)
{
	m->f = open_memstream(&m->text, &m->len);
	return m->f != NULL;
}

static void put(int y, const char *text)
{
	char plain[1024];

	top_plain(plain, sizeof(plain), text, COLS);
	mvaddstr(y, 0, plain);
}

static void memo_put(struct memo *m, int y)
{
	fclose(m->f);
	put(y, m->text);
	free(m->text);
}

/* Lines @m has, from @skip on, down to the end of the screen. Return: how many there are. */
static int memo_page(struct memo *m, int y, int skip)
{
	int n = 0;
	char *rest;

	fclose(m->f);
	rest = m->text;
	for (char *line; (line = strsep(&rest, "\n")); n++) {
		if (!rest && !*line)
			break;
		if (n >= skip && y + n - skip < LINES)
			put(y + n - skip, line);
	}
	free(m->text);
	return n;
}

static void draw_totals(const struct screen *s)
{
	struct memo m;

	if (memo_begin(&m)) {
		top_head(m.f, s->t, &s->rows);
		memo_put(&m, 0);
	}
	if (s->t->feed.now.at_ns && memo_begin(&m)) {
		if (s->t->feed.before.at_ns)
			top_totals(m.f, &s->rows);
		memo_put(&m, 1);
	}
}

static void paint(int y, int x, int width, attr_t attr, short pair)
{
	mvchgat(y, x, width, attr, pair, NULL);
}

/* What the user must know comes before what the user has chosen. */
static void draw_line(const struct screen *s)
{
	const struct top_feed *feed = &s->t->feed;
	uint64_t now = vd_now_ns();
	bool late = feed->waits && now - feed->asked_ns > LATE_NS, trouble = feed->trouble[0] || late;
	struct memo m;

	if (!memo_begin(&m))
		return;
	if (s->prompt == FILTER)
		fprintf(m.f, "show what has: %s_", s->filter);
	else if (s->prompt == INTERVAL)
		fprintf(m.f, "seconds between looks, 0.1 to 100: %s_", s->input);
	else if (feed->trouble[0])
		fprintf(m.f, "%s", feed->trouble);
	else if (late)
		fprintf(m.f, "uvdpad has not answered for %u s",
			(unsigned int)((now - feed->asked_ns) / 1000000000u));
	else if (s->says)
		fprintf(m.f, "%s", s->says);
	else
		fprintf(m.f, "%sby %s%s%s%s%s; h: keys, q: leave", s->paused ? "paused; " : "",
			top_columns[s->t->view.sort].name, s->t->view.reverse ? " reversed" : "",
			s->t->view.busy_only ? "; only busy ones" : "",
			s->filter[0] ? "; only with " : "", s->filter);
	memo_put(&m, 2);
	if (trouble && !s->prompt)
		paint(2, 0, -1, A_BOLD, s->colours ? 1 : 0);
}

static void draw_titles(const struct screen *s, const struct top_layout *layout)
{
	struct memo m;
	int x = 0;

	if (!memo_begin(&m))
		return;
	top_line(m.f, NULL, layout, true);
	memo_put(&m, HEAD - 1);
	paint(HEAD - 1, 0, -1, A_REVERSE, 0);
	for (int i = 0; i < (int)s->t->view.sort; i++)
		x += layout->width[i] ? layout->width[i] + 1 : 0;
	if (layout->width[s->t->view.sort] && x < COLS)
		paint(HEAD - 1, x, vd_min(layout->width[s->t->view.sort], COLS - x), A_BOLD, 0);
}

static size_t room(void)
{
	return (size_t)vd_max(LINES - HEAD, 1);
}

static void draw_row(const struct screen *s, size_t i, int y, const struct top_layout *layout)
{
	const struct top_row *row = &s->rows.row[i];
	attr_t attr = (i == s->at ? A_REVERSE : 0) | (row->wrong ? A_BOLD : 0);
	struct memo m;

	if (!memo_begin(&m))
		return;
	top_line(m.f, row, layout, s->t->feed.before.at_ns != 0);
	memo_put(&m, y);
	if (attr)
		paint(y, 0, -1, attr, row->wrong && s->colours ? 1 : 0);
}

static void draw_table(struct screen *s)
{
	struct top_layout layout;

	top_fit(&s->rows, COLS, &layout);
	draw_titles(s, &layout);
	if (s->at < s->first)
		s->first = s->at;
	if (s->at >= s->first + room())
		s->first = s->at - room() + 1;
	if (s->first + room() > s->rows.n)
		s->first = s->rows.n - vd_min(s->rows.n, room());
	for (size_t i = s->first; i < s->rows.n && i - s->first < room(); i++)
		draw_row(s, i, HEAD + (int)(i - s->first), &layout);
	if (!s->rows.n && s->t->feed.now.at_ns)
		put(HEAD, s->rows.all ? "no device of these" : "no devices");
}

static void draw_page(struct screen *s)
{
	const struct top_row *row = selected(s);
	struct memo m;
	int n;

	if (!memo_begin(&m))
		return;
	if (s->page == HELP)
		fputs(help_text, m.f);
	else if (row)
		top_detail(m.f, &s->t->feed, row);
	else
		fprintf(m.f, "%s: not there", s->selected);
	n = memo_page(&m, HEAD - 1, s->scroll);
	/* It may have become shorter. */
	s->scroll = vd_min(s->scroll, vd_max(n - 1, 0));
}

static void draw(struct screen *s)
{
	erase();
	draw_totals(s);
	draw_line(s);
	if (s->page == TABLE)
		draw_table(s);
	else
		draw_page(s);
	refresh();
}

/* ---- keys -------------------------------------------------------------------------------------- */

static void sort_by(struct screen *s, int step)
{
	int sort = (int)s->t->view.sort + step;

	s->t->view.sort = (enum top_sort)((sort + TOP_SORTS) % TOP_SORTS);
	s->dirty = true;
}

static void set_interval(struct screen *s, unsigned int ms)
{
	s->t->interval_ms = vd_min(vd_max(ms, 100u), 100000u);
	s->due_ns = 0;
}

static void open_page(struct screen *s, enum page page)
{
	s->page = page;
	s->scroll = 0;
	s->dirty = true;
}

static void prompt_end(struct screen *s)
{
	unsigned int ms;

	if (s->prompt == INTERVAL && s->input[0]) {
		if (top_read_interval(s->input, &ms))
			s->says = "that is not from 0.1 to 100 seconds";
		else
			set_interval(s, ms);
	}
	s->prompt = NO_PROMPT;
}

/* A key while something is asked. */
static void prompt_key(struct screen *s, int key)
{
	char *text = s->prompt == FILTER ? s->filter : s->input;
	size_t n = strlen(text);

	if (key == '\n' || key == '\r' || key == KEY_ENTER) {
		prompt_end(s);
	} else if (key == ESCAPE) {
		*text = '\0';
		s->prompt = NO_PROMPT;
	} else if (key == KEY_BACKSPACE || key == 127 || key == '\b') {
		if (n)
			text[n - 1] = '\0';
	} else if (key >= ' ' && key < 127 && n + 1 < INPUT_MAX) {
		text[n] = (char)key;
		text[n + 1] = '\0';
	}
	s->dirty = true;
}

/* Up and down, on the table and on a page. Return: false: it is no such key. */
static bool move_key(struct screen *s, int key)
{
	int page = (int)room(), last = s->page == TABLE ? (int)s->rows.n : 10000, step;

	switch (key) {
	case KEY_UP:
	case 'k':
		step = -1;
		break;
	case KEY_DOWN:
	case 'j':
		step = 1;
		break;
	case KEY_PPAGE:
		step = -page;
		break;
	case KEY_NPAGE:
		step = page;
		break;
	case KEY_HOME:
	case 'g':
		step = -last;
		break;
	case KEY_END:
	case 'G':
		step = last;
		break;
	default:
		return false;
	}
	if (s->page == TABLE)
		select_row(s, (size_t)vd_max((int)s->at + step, 0));
	else
		s->scroll = vd_max(s->scroll + step, 0);
	return true;
}

static void go_back(struct screen *s)
{
	if (s->page != TABLE)
		open_page(s, TABLE);
	else
		s->filter[0] = '\0';
	s->dirty = true;
}

/* What changes which devices there are, and in which order. Return: false: it is no such key. */
static bool view_key(struct screen *s, int key)
{
	struct top_view *view = &s->t->view;

	switch (key) {
	case '<':
	case KEY_LEFT:
		sort_by(s, -1);
		break;
	case '>':
	case KEY_RIGHT:
		sort_by(s, 1);
		break;
	case 'r':
	case 'R':
		view->reverse = !view->reverse;
		break;
	case 'i':
		view->busy_only = !view->busy_only;
		break;
	case '/':
		s->prompt = FILTER;
		s->filter[0] = '\0';
		break;
	default:
		return false;
	}
	s->dirty = true;
	return true;
}

static void key_pressed(struct screen *s, int key)
{
	s->says = NULL;
	if (key == KEY_RESIZE)
		return;
	if (s->prompt) {
		prompt_key(s, key);
		return;
	}
	if (move_key(s, key) || (s->page == TABLE && view_key(s, key)))
		return;
	switch (key) {
	case 'q':
	case 'Q':
		if (s->page == TABLE)
			s->quit = true;
		else
			open_page(s, TABLE);
		break;
	case '\n':
	case '\r':
	case KEY_ENTER:
		if (s->page == TABLE && s->rows.n)
			open_page(s, DETAIL);
		break;
	case 'h':
	case '?':
	case KEY_F(1):
		open_page(s, HELP);
		break;
	case ESCAPE:
	case KEY_BACKSPACE:
	case 127:
		go_back(s);
		break;
	case 'p':
		s->paused = !s->paused;
		break;
	case ' ':
		s->due_ns = 0;
		s->dirty = true; /* if that fails, nothing of before is there any more */
		top_feed_ask(&s->t->feed);
		break;
	case 'd':
	case 's':
		s->prompt = INTERVAL;
		s->input[0] = '\0';
		break;
	case '+':
		set_interval(s, s->t->interval_ms * 2);
		break;
	case '-':
		set_interval(s, s->t->interval_ms / 2);
		break;
	default:
		s->says = "no such key; h tells which there are";
	}
}

/* ---- the loop ------------------------------------------------------------------------------------ */

static void ask(struct screen *s)
{
	uint64_t now = vd_now_ns();

	if (s->paused || s->t->feed.waits || now < s->due_ns)
		return;
	top_feed_ask(&s->t->feed);
	s->due_ns = now + s->t->interval_ms * UINT64_C(1000000);
	s->dirty |= s->t->feed.trouble[0] != '\0';
}

/* The signal of a new size is let in here alone, so none is missed. */
static int turn(struct screen *s)
{
	struct pollfd fds[] = {
		{ .fd = s->t->signals, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = s->t->feed.link.fd, .events = POLLIN },
	};
	uint64_t now = vd_now_ns(), due_ns = s->t->feed.waits ? now + 1000000000u : s->due_ns;
	uint64_t wait_ns = vd_max(due_ns, now) - now;
	struct timespec ts = { (time_t)(wait_ns / 1000000000u), (long)(wait_ns % 1000000000u) };
	sigset_t set;
	int key;

	sigprocmask(SIG_BLOCK, NULL, &set);
	sigdelset(&set, SIGWINCH);
	if (ppoll(fds, VD_ARRAY_SIZE(fds), s->paused ? NULL : &ts, &set) < 0 && errno != EINTR)
		return -errno;
	if ((fds[0].revents && signals_take(s->t->signals)) || (fds[1].revents & (POLLERR | POLLHUP)))
		s->quit = true;
	while (!s->quit && (key = getch()) != ERR)
		key_pressed(s, key);
	/* A key may have closed the one that was waited for. */
	if (fds[2].revents && fds[2].fd == s->t->feed.link.fd)
		s->dirty |= top_feed_take(&s->t->feed);
	return 0;
}

static int loop(struct screen *s)
{
	int r = 0;

	while (!r && !s->quit) {
		ask(s);
		r = make_rows(s);
		if (!r) {
			draw(s);
			r = turn(s);
		}
	}
	return r;
}

static void begin_colours(struct screen *s)
{
	const char *no = getenv("NO_COLOR");

	if ((no && *no) || !has_colors() || start_color() == ERR)
		return;
	use_default_colors();
	init_pair(1, COLOR_RED, -1);
	s->colours = true;
}

/* Asked first: a screen that cannot be made leaves memory behind in the library. */
static bool has_screen(void)
{
	int err;
	bool has = setupterm(NULL, STDOUT_FILENO, &err) == OK && cursor_address;

	del_curterm(cur_term); /* NULL does no harm */
	return has;
}

int top_screen(struct top *t)
{
	struct screen s = { .t = t, .dirty = true };
	const char *term = getenv("TERM");
	SCREEN *screen;
	sigset_t set;
	int r;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return print_error("not on a terminal; \"uvdpa top -b\" needs none");
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	screen = has_screen() ? newterm(NULL, stdout, stdin) : NULL;
	if (!screen)
		return print_error("a terminal \"%s\" has no screen to write on; \"uvdpa top -b\" needs "
				   "none", term ? term : "");
	cbreak();
	noecho();
	keypad(stdscr, true);
	nodelay(stdscr, true);
	set_escdelay(25);
	curs_set(0);
	begin_colours(&s);
	r = loop(&s);
	endwin();
	delscreen(screen);
	top_rows_free(&s.rows);
	return r < 0 && r != -1 ? print_error("poll: %s", strerror(-r)) : r;
}
