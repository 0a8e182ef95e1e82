/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link.h - a connection to the daemon, for one request or for many
 *
 * It prints nothing: failures are -errno with a sentence in vd_err_text().
 */
#ifndef VD_UVDPA_LINK_H
#define VD_UVDPA_LINK_H

#include <json-c/json.h>
#include <stdbool.h>

/* @fd: -1: there is none; poll it for POLLIN. The rest is link.c's. */
struct link {
	int fd;
	struct json_tokener *tok;
	char *buf;
	size_t at, len;
};

/**
 * link_open() - Connect
 * @l: set in any case, so that it may be closed
 * @path: of the daemon's socket
 * @block: wait for a place in the daemon's queue, and for room to send
 */
int link_open(struct link *l, const char *path, bool block);

/* Ask for @method; the answer has @id. Takes @params, which may be NULL. */
int link_send(struct link *l, const char *method, struct json_object *params, int id);

/**
 * link_next() - What the daemon sent next
 * @ret_o: an object in the shape of JSON-RPC, the caller's
 *
 * Never waits. Return: 1; 0 there is none yet; -ECONNRESET the daemon closed it; another -errno.
 */
int link_next(struct link *l, struct json_object **ret_o);

/* Harmless if it is closed. */
void link_close(struct link *l);

/* The sentence of an answer that is an error; NULL: it is none. Borrowed from @o. */
const char *link_error(struct json_object *o);

#endif
