/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf.h - a file of devices: what uvdpad.conf(5) says, and what a state file holds
 *
 * Reading it touches nothing: no file of a device is opened, nothing is made. What can be known to
 * be wrong without that is told, line by line.
 */
#ifndef VD_UVDPAD_CONF_H
#define VD_UVDPAD_CONF_H

#include <uvdpa/uvdpa.h>

#include "base/list.h"
#include "control/control.h"

#define CONF_SIZE_MAX   (16u << 20) /* bytes of a configuration; what is of clients has no limit */
#define CONF_FAULTS_MAX 100         /* that are told */

struct conf;
struct provision;

/**
 * struct conf_dev - A device of the file
 * @c: the file
 * @line: where "dev add" stands
 * @name: in @params
 * @params: of dev.add
 *
 * The others are provision.c's:
 * @made: params with which it is on the bus; NULL: it is not, or not by this file
 * @odd: a change of @made has failed half-way
 * @away, @come: calls that are to be made, [METHOD, PARAMS] each, or NULL
 * @counts: what it is counted as when they are made; NULL: there is nothing to do, or it has failed
 * @at: the next of them
 * @busy: a call is under way
 * @wait: the last one found something in use; it will be made again
 * @forgotten: by a client, while a call was under way
 */
struct conf_dev {
	struct vd_list node;
	struct conf *c;
	unsigned int line;
	const char *name;
	struct json_object *params;
	struct json_object *made;
	bool odd;
	struct json_object *away, *come;
	unsigned int *counts;
	size_t at;
	bool busy, wait, forgotten;
	struct vd_call call;
};

/**
 * struct conf - A file; all zero but @path and @fault
 * @path: the file; borrowed
 * @fault: told of each fault; @line is 0 for one of the whole file
 * @p: whose it is, for @fault; or NULL
 * @devs: in the order of the file
 * @n: how many
 * @nfaults: how many were found
 */
struct conf {
	const char *path;
	void (*fault)(struct conf *c, unsigned int line, const char *sentence);
	struct provision *p;
	struct vd_list devs;
	bool clients; /* it has what clients gave, who may have left paths as they were */
	unsigned int n;
	unsigned int nfaults;
};

/**
 * conf_read() - Read a file
 * @c: set on success, and on -EINVAL to what has no fault; conf_fini() frees it
 * @u: what its parents and bus drivers are looked up in
 *
 * Return: 0; -EINVAL there are faults, each was told; -ENOENT and others with a sentence: it could
 * not be read.
 */
int conf_read(struct conf *c, struct uvdpa *u);

/**
 * conf_text() - The first half of it, which may take as long as the disk likes
 * @ret: the text, for free(), in any case; NULL before
 * @ret_len: bytes of it; 0 before
 *
 * Return: 0; -errno with a sentence. Context: any thread.
 */
int conf_text(const struct conf *c, char **ret, size_t *ret_len);

/* The second half. */
int conf_parse(struct conf *c, struct uvdpa *u, const char *text, size_t len);

struct conf_dev *conf_find(const struct conf *c, const char *name);

/* Take one out, and free it. It is not busy. */
void conf_dev_free(struct conf_dev *d);

void conf_fini(struct conf *c);

/* Print what is wrong with a file to standard error. Return: the exit status. */
int conf_check(const char *path);

#endif
