/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd.h - the pieces of the command
 *
 * Words become the parameters of a method (words.c), a method is called in the daemon
 * (client.c) or in this process (run.c), its result is printed (print.c). A function that returns
 * an int returns 0, or a negative number after it has printed why; that of a verb may also return the
 * exit status.
 */
#ifndef VD_UVDPA_CMD_H
#define VD_UVDPA_CMD_H

#include <json-c/json.h>
#include <stdbool.h>

#include "base/util.h"

struct cmd {
	const char *socket; /* of the daemon */
	bool json, pretty;
};

typedef int cmd_fn(const struct cmd *cmd, int argc, char **argv);

/* A word and what it does; a table ends with a NULL name, and its first row is the default. */
struct cmd_verb {
	const char *name;
	cmd_fn *fn;
};

/* ---- words.c ---------------------------------------------------------------------------- */

/* Is @word the beginning of @full, or all of it? */
bool word_is(const char *word, const char *full);

/**
 * word_run() - Do what the first word says
 * @verbs: the first row that the word is a beginning of counts; without words, the first row
 * @what: what the words belong to, for the message
 * @argc, @argv: the words; the function gets those behind the first
 */
int word_run(const struct cmd_verb *verbs, const char *what, const struct cmd *cmd, int argc,
	     char **argv);

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

/* The options of a parent of this library; NULL: there is none of that name. */
struct uvdpa;
const struct uvdpa_opt *words_parent_opts(const struct uvdpa *u, const char *name);

/* An object of one string, or an empty one if @value is NULL. */
struct json_object *words_param(const char *key, const char *value);

/* Exactly @n words, @usage says which. Return: 0. */
int words_count(int argc, int n, const char *usage);

/* ---- client.c --------------------------------------------------------------------------- */

/**
 * client_call() - Call a method of the daemon
 * @params: taken
 * @ret_result: the caller's
 */
int client_call(const struct cmd *cmd, const char *method, struct json_object *params,
		struct json_object **ret_result);

/* Call a method that has nothing to tell but that it succeeded. Takes @params. */
int client_do(const struct cmd *cmd, const char *method, struct json_object *params);

/* ---- print.c ---------------------------------------------------------------------------- */

enum print_layout {
	PRINT_LINE,   /* "NAME: key value key a,b" */
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

/* ---- signals.c -------------------------------------------------------------------------- */

/**
 * signals_catch() - Have SIGINT and SIGTERM as a descriptor, and ignore what else ends a program
 *
 * Before any thread is started. Return: the descriptor, which does not block.
 */
int signals_catch(void);

/* What came, or 0. From then on signals take their usual course: a second one ends the program. */
int signals_take(int fd);

/* ---- one for each first word ------------------------------------------------------------- */

cmd_fn cmd_mgmtdev;
cmd_fn cmd_driver;
cmd_fn cmd_dev;
cmd_fn cmd_run;
cmd_fn cmd_blk;
cmd_fn cmd_rng;

/* Call a method in this process, without a daemon, and print options. Takes @params. */
int local_options(const struct cmd *cmd, const char *method, struct json_object *params);

#endif
