/* SPDX-License-Identifier: BSD-2-Clause */
/* verb.c - from the tree of verbs: what runs, and what help says */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/guess.h"
#include "uvdpa/cmd.h"
#include "uvdpa/usage.h"

#define COLUMNS     80
#define ARGS_COLUMN 20        /* where a usage goes on that is too long for a line */
#define HELP_COLUMN 45        /* where what it does begins */
#define NEXT        "       " /* as long as "Usage: " */

bool word_is(const char *word, const char *full)
{
	return *word && !strncmp(word, full, strlen(word));
}

const struct cmd_verb *verb_first(const struct cmd_verb *table)
{
	while (table && !table->name)
		table = table->sub;
	return table;
}

const struct cmd_verb *verb_next(const struct cmd_verb *v)
{
	return verb_first(v + 1);
}

const struct cmd_verb *verb_find(const struct cmd_verb *table, const char *word)
{
	for (const struct cmd_verb *v = verb_first(table); v; v = verb_next(v))
		if (word_is(word, v->name))
			return v;
	return NULL;
}

/* ---- help ------------------------------------------------------------------------------- */

/* "uvdpa dev config show", the names of @path. */
static char *path_text(const struct cmd_verb *const *path)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fputs((*path)->name, f);
	while (*++path)
		fprintf(f, " %s", (*path)->name);
	fclose(f);
	return text;
}

/* How much of @text stays together: up to the next bracket outside of others. */
static size_t piece_len(const char *text)
{
	size_t n = 0;
	int depth = 0;

	for (; text[n]; n++) {
		if (n && !depth && strchr("[{", text[n]))
			break;
		depth += (strchr("[{", text[n]) ? 1 : 0) - (strchr("]}", text[n]) ? 1 : 0);
	}
	while (n && text[n - 1] == ' ')
		n--;
	return n;
}

/* @text from column @at on, in as many lines as it needs. Return: the column behind it. */
static size_t print_args(FILE *f, const char *text, size_t at)
{
	while (*text) {
		size_t n = piece_len(text);

		if (at + 1 + n > COLUMNS) {
			fprintf(f, "\n%*s", ARGS_COLUMN, "");
			at = ARGS_COLUMN;
		}
		at += (size_t)fprintf(f, " %.*s", (int)n, text);
		text += n + strspn(text + n, " ");
	}
	return at;
}

/* One verb: how it is used, and what it does. */
static void print_verb(FILE *f, const char *head, const char *path, const struct cmd_verb *v)
{
	size_t at = (size_t)fprintf(f, "%s%s", head, path);

	if (v->args)
		at = print_args(f, v->args, at);
	if (at + 2 > HELP_COLUMN) {
		fputc('\n', f);
		at = 0;
	}
	fprintf(f, "%*s%s\n", (int)(HELP_COLUMN - at), "", v->help);
}

/* All that stands below the end of @path. @head: what begins the first line. */
static void print_below(FILE *f, const char **head, const struct cmd_verb **path, unsigned int n)
{
	const struct cmd_verb *table = path[n - 1]->sub;
	char *text;

	for (const struct cmd_verb *v = verb_first(table); v; v = verb_next(v)) {
		if (!v->help)
			continue;
		path[n] = v;
		path[n + 1] = NULL;
		if (v->sub) {
			print_below(f, head, path, n + 1);
			continue;
		}
		text = path_text(path);
		print_verb(f, *head, text ? text : v->name, v);
		free(text);
		*head = NEXT;
	}
}

/* The command as a whole: the words that it begins with, and its options. */
static void print_root(FILE *f)
{
	fputs("Usage: uvdpa [ OPTIONS ] COMMAND ...\nCOMMAND is one of\n", f);
	for (const struct cmd_verb *v = verb_first(cmd_root.sub); v; v = verb_next(v))
		if (v->help)
			fprintf(f, "  %-22s %s\n", v->name, v->help);
	fputs("OPTIONS are\n", f);
	for (const struct cmd_option *o = cmd_options; o->name; o++) {
		char words[64];

		if (!o->help)
			continue;
		snprintf(words, sizeof(words), "-%c, --%s%s%s", o->letter, o->name,
			 o->arg ? " " : "", o->arg ? o->arg : "");
		fprintf(f, "  %-22s %s\n", words, o->help);
	}
	fputs(cmd_root.note, f);
}

static void print_help(FILE *f, const struct cmd_verb *const *at)
{
	const struct cmd_verb *path[CMD_DEPTH];
	const char *head = "Usage: ";
	unsigned int n = 0;
	char *text;

	/* The first is "uvdpa". */
	do
		path[n] = at[n];
	while (at[++n]);
	path[n] = NULL;
	if (n == 1) {
		print_root(f);
		return;
	}
	if (path[n - 1]->sub) {
		print_below(f, &head, path, n);
	} else {
		text = path_text(path);
		print_verb(f, head, text ? text : "", path[n - 1]);
		free(text);
	}
	while (n > 1 && !at[n - 1]->note)
		n--;
	if (n > 1)
		fputs(at[n - 1]->note, f);
}

void verb_print(const struct cmd *cmd, FILE *f)
{
	struct cmd here = *cmd;
	unsigned int n = 0;

	while (here.path[n + 1])
		n++;
	if (n && word_is("help", here.path[n]->name))
		here.path[n] = NULL;
	print_help(f, here.path);
}

int verb_help(const struct cmd *cmd)
{
	verb_print(cmd, stdout);
	return 0;
}

/* "dev vstats" alone does what its verb "show" does: that one, or NULL. */
static const struct cmd_verb *stands_for(const struct cmd_verb *v)
{
	for (const struct cmd_verb *s = v->sub ? verb_first(v->sub) : NULL; s; s = verb_next(s))
		if (s->fn == v->fn)
			return s;
	return NULL;
}

int verb_wrong(const struct cmd *cmd, const char *why)
{
	const struct cmd_verb *const *last = cmd->path, *show;
	const char *args = verb_args(cmd);
	char *text = path_text(cmd->path);

	while (last[1])
		last++;
	show = stands_for(*last);
	if (show)
		args = show->args;
	print_error("%s%susage: %s%s%s%s%s", why ? why : "", why ? "; " : "", text ? text : "",
		    show ? " " : "", show ? show->name : "", args ? " " : "", args ? args : "");
	free(text);
	return -1;
}

const char *verb_args(const struct cmd *cmd)
{
	const struct cmd_verb *const *last = cmd->path;

	while (last[1])
		last++;
	return (*last)->args;
}

/* ---- running ---------------------------------------------------------------------------- */

static int run_below(const struct cmd_verb *v, const struct cmd *cmd, int argc, char **argv);

static bool is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

/* Do the words end with a call for help, where none can have that name? */
static bool asks_help(const struct cmd_verb *v, int argc, char **argv, struct usage_at *ret_at)
{
	if (!argc)
		return false;
	usage_find(v->args, argc - 1, argv, ret_at);
	return is_help(argv[argc - 1]) ||
	       (!strcmp(argv[argc - 1], "help") && (argc == 1 || ret_at->key));
}

static int run_leaf(const struct cmd_verb *v, const struct cmd *cmd, int argc, char **argv)
{
	struct usage_at at;
	int min, max, r;

	if (asks_help(v, argc, argv, &at)) {
		verb_help(cmd);
		return at.options ? words_options(cmd, &at) : 0;
	}
	usage_count(v->args, &min, &max);
	r = argc < min || argc > max ? verb_wrong(cmd, NULL) : v->fn(cmd, argc, argv);
	return r < 0 && v->failed ? v->failed : r;
}

/* The word that nobody knows. */
static int unknown(const struct cmd_verb *v, const struct cmd *cmd, const char *word)
{
	const char *what = v == &cmd_root ? "Object" : "Command", *best = NULL;
	char *text;

	for (const struct cmd_verb *s = verb_first(v->sub); s; s = verb_next(s))
		best = vd_guess(word, best, s->name);
	if (best)
		return print_error("%s \"%s\" not found; did you mean \"%s\"?", what, word, best);
	text = path_text(cmd->path);
	print_error("%s \"%s\" not found; try \"%s help\"", what, word, text ? text : "uvdpa");
	free(text);
	return -1;
}

/* "help dev add" is "dev add --help". */
static int help_of(const struct cmd_verb *v, const struct cmd *cmd, int argc, char **argv)
{
	char last[] = "--help";
	char **words = calloc((size_t)argc + 1, sizeof(*words));
	int r;

	if (!words)
		return print_error("no memory");
	memcpy(words, argv, (size_t)argc * sizeof(*words));
	words[argc] = last;
	r = run_below(v, cmd, argc + 1, words);
	free(words);
	return r;
}

static int run_below(const struct cmd_verb *v, const struct cmd *cmd, int argc, char **argv)
{
	const struct cmd_verb *sub;

	if (!argc)
		return v->fn ? v->fn(cmd, 0, argv) : verb_help(cmd);
	if (is_help(argv[0]))
		return verb_help(cmd);
	sub = verb_find(v->sub, argv[0]);
	if (sub)
		return verb_run(sub, cmd, argc - 1, argv + 1);
	if (word_is(argv[0], "help"))
		return help_of(v, cmd, argc - 1, argv + 1);
	return unknown(v, cmd, argv[0]);
}

int verb_run(const struct cmd_verb *v, const struct cmd *cmd, int argc, char **argv)
{
	struct cmd here = *cmd;
	unsigned int n = 0;

	while (here.path[n])
		n++;
	here.path[n] = v;
	return v->sub ? run_below(v, &here, argc, argv) : run_leaf(v, &here, argc, argv);
}
