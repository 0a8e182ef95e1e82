/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd.h - the pieces of the command
 *
 * A tree of verbs is all there is to know of its grammar (verb.c, usage.c): what runs, what help
 * says and what completion offers come from it. Words become the parameters of a method
 * (words.c), a method is called in the daemon (client.c) or in this process (run.c), its result is
 * printed (print.c). A function that returns an int returns 0, or a negative number after it has
 * printed why; that of a verb may also return the exit status.
 */
#ifndef VD_UVDPA_CMD_H
#define VD_UVDPA_CMD_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/util.h"

#define CMD_DEPTH 5 /* "uvdpa", two verbs, one to spare, and NULL */

struct cmd {
	const char *socket; /* of the daemon */
	bool json, pretty;
	bool quiet;	    /* no progress */
	int timeout_ms;	    /* for an answer; 0: any */
	const struct cmd_verb *path[CMD_DEPTH]; /* the verbs up to the one that runs */
};

typedef int cmd_fn(const struct cmd *cmd, int argc, char **argv);

/**
 * struct cmd_verb - A word, and what it does
 * @name: any beginning of it will do; the first row of a table that begins so counts
 * @args: what follows, as the usage has it (usage.h); NULL: nothing
 * @help: a line without full stop; NULL: another word for the row before, not listed
 * @fn: does it. With @sub: does what is done without words; NULL: the usage is printed
 * @sub: the words that follow. A table ends with a NULL name; where that row has a @sub, it goes
 *       on there
 * @note: lines that its help ends with, or NULL
 * @failed: exit status of a failure; 0: EXIT_FAILURE
 */
struct cmd_verb {
	const char *name, *args, *help;
	cmd_fn *fn;
	const struct cmd_verb *sub;
	const char *note;
	int failed;
};

/* ---- main.c ----------------------------------------------------------------------------- */

/* "uvdpa" itself. */
extern const struct cmd_verb cmd_root;

/* Do what the words say, among which may be -j and -p. */
int cmd_words(struct cmd *cmd, int argc, char **argv);

/* An option of the command's own. Without @help it is another word for the row before. */
struct cmd_option {
	char letter;
	const char *name, *arg, *help;
};

/* Ends with a NULL name. */
extern const struct cmd_option cmd_options[];

/* ---- verb.c ----------------------------------------------------------------------------- */

/* Is @word the beginning of @full, or all of it? */
bool word_is(const char *word, const char *full);

/* The row that comes first, or the one behind @v; NULL at the end. */
const struct cmd_verb *verb_first(const struct cmd_verb *table);
const struct cmd_verb *verb_next(const struct cmd_verb *v);

/* The row that @word means, or NULL. */
const struct cmd_verb *verb_find(const struct cmd_verb *table, const char *word);

/**
 * verb_run() - Do what the words say
 * @v: the verb that they follow
 * @cmd: has the path up to @v, without it
 */
int verb_run(const struct cmd_verb *v, const struct cmd *cmd, int argc, char **argv);

/* Print how the verb that runs is used; of a verb that is "help", what stands beside it. */
void verb_print(const struct cmd *cmd, FILE *f);

/* The same, on standard output. Return: 0. */
int verb_help(const struct cmd *cmd);

/* Print how the verb that runs is used, as an error; before that @why, unless it is NULL. Return: -1. */
int verb_wrong(const struct cmd *cmd, const char *why);

/* What may follow the verb that runs. */
const char *verb_args(const struct cmd *cmd);

/* ---- words.c ---------------------------------------------------------------------------- */

/**
 * words_dev() - Read "name NAME mgmtdev MGMTDEV ... driver DRIVER ..."
 * @ret_params: the parameters of dev.add, the caller's
 */
int words_dev(int argc, char **argv, struct json_object **ret_params);

/* Read "KEY VALUE ..." into an object. */
int words_attrs(int argc, char **argv, struct json_object **ret_attrs);

/**
 * words_paths() - Make paths absolute, for a daemon with another working directory
 * @params: of dev.add or dev.bind
 * @attrs: the parameter that holds the parent's options; NULL: none does
 * @driver_attrs: the one that holds the bus driver's
 */
int words_paths(struct json_object *params, const char *attrs, const char *driver_attrs);

/**
 * words_known() - Look for a word of the verb's own among the options, where it was misspelt
 * @params: of dev.add
 *
 * What is not known is the daemon's to say, but it does not know what this command's words are.
 */
int words_known(const struct cmd *cmd, struct json_object *params);

/* The options of a parent, of a bus driver of this library; NULL: there is none of that name. */
struct uvdpa;
const struct uvdpa_opt *words_parent_opts(const struct uvdpa *u, const char *name);
const struct uvdpa_opt *words_driver_opts(const struct uvdpa *u, const char *name);

/* Print the options that may stand at @at. */
struct usage_at;
int words_options(const struct cmd *cmd, const struct usage_at *at);

/* An object of one string, or an empty one if @value is NULL. */
struct json_object *words_param(const char *key, const char *value);

/* ---- print.c ---------------------------------------------------------------------------- */

enum print_layout {
	PRINT_LINE,   /* "NAME: key value key a,b" */
	PRINT_DEV,    /* "NAME: key value" as iproute2, what we have beyond it below */
	PRINT_CONFIG, /* "NAME: key value", each list in a line of its own */
	PRINT_BLOCK,  /* "NAME:", each key in a line of its own */
	PRINT_STATS,  /* "NAME: key value", a line for each kind of request, no histogram */
};

/* "Error: uvdpa: SENTENCE." Return: -1, so that "return print_error(...)" reads well. */
int print_error(const char *fmt, ...) vd_printf(1, 2);

#ifdef __clang_analyzer__	/* does not see from here that it is -1 */
#define print_error(...) (print_error(__VA_ARGS__), -1)
#endif

/* Print {"WHAT": {"NAME": {...}, ...}}. Takes @result. */
void print_result(const struct cmd *cmd, struct json_object *result, enum print_layout layout);

/* Print the options of what mgmtdev.show or driver.show told. Takes @result. */
void print_options(const struct cmd *cmd, struct json_object *result);

/* ---- client.c --------------------------------------------------------------------------- */

#define CLIENT_REFUSED (-2)

/**
 * client_call() - Call a method of the daemon
 * @params: taken
 * @ret_result: the caller's
 *
 * Return: 0; CLIENT_REFUSED: that is what it answered; another negative number: there is no answer.
 */
int client_call(const struct cmd *cmd, const char *method, struct json_object *params,
		struct json_object **ret_result);

/* The same of a method that answers with {"WHAT": {"NAME": {...}, ...}}: and so it has. */
int client_list(const struct cmd *cmd, const char *method, struct json_object *params,
		struct json_object **ret_result);

/* Call a method that has nothing to tell but that it succeeded. Takes @params. */
int client_do(const struct cmd *cmd, const char *method, struct json_object *params);

/* Print what client_list() made of @method; JSON has a shape when it was refused, too. Takes
 * @result. Return: @r. */
int client_print(const struct cmd *cmd, const char *method, int r, struct json_object *result,
		 enum print_layout layout);

/* Call a method of what is called @name, of all if that is NULL, and print what it tells. */
int client_tell(const struct cmd *cmd, const char *method, const char *name,
		enum print_layout layout);

/* ---- signals.c -------------------------------------------------------------------------- */

/**
 * signals_catch() - Have SIGINT and SIGTERM as a descriptor, and ignore what else ends a program
 *
 * Before any thread is started. Return: the descriptor, which does not block.
 */
int signals_catch(void);

/* What came, or 0. From then on signals take their usual course: a second one ends the program. */
int signals_take(int fd);

/* ---- batch.c ---------------------------------------------------------------------------- */

/* Do what the lines of a file say, "-" is standard input; the first that fails ends it. */
int cmd_batch(const struct cmd *cmd, const char *path);

/* ---- one for each first word ------------------------------------------------------------- */

extern const struct cmd_verb mgmtdev_verbs[], driver_verbs[], dev_verbs[], bind_verbs[];
extern const struct cmd_verb blk_verbs[], rng_verbs[], log_verbs[];
extern const char add_note[], blk_note[], rng_note[];
cmd_fn dev_show, mgmtdev_show, driver_show, log_show, cmd_run, cmd_monitor, cmd_top, cmd_complete;

/* Call a method in this process, without a daemon, and print options. Takes @params. */
int local_options(const struct cmd *cmd, const char *method, struct json_object *params);

#endif
