/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server.h - JSON-RPC 2.0 on a unix socket, one object in each line
 *
 * Whoever may open the socket may do everything, so its mode is 0600; what is bounded here is what
 * a broken client could cost: lengths, numbers, time.
 */
#ifndef VD_UVDPAD_SERVER_H
#define VD_UVDPAD_SERVER_H

#include <stdio.h>
#include <uvdpa/uvdpa.h>

#include "base/accept.h"
#include "base/loop.h"
#include "base/unix.h"
#include "control/control.h"
#include "uvdpad/events.h"

#define SERVER_LINE_MAX     (1u << 20) /* bytes of a request, with its newline */
#define SERVER_CLIENTS_MAX  64         /* further ones wait in the listening queue */
#define SERVER_WATCHERS_MAX 48 /* of them, with events: they stay, so others must find a place */
#define SERVER_CALLS_MAX    8          /* calls of one client at a time; the next is not read yet */
#define SERVER_OUT_HIGH     (64u << 10) /* bytes not taken yet; above, no request is read */
#define SERVER_IDLE_MS      300000      /* a client that asks nothing, or takes no answer */
#define SERVER_IDLE_FULL_MS 2000        /* the same while others wait for a place */

/**
 * struct server - A control socket and its clients
 * @listen: the socket; borrowed
 * @levels: of the log, which clients may change; NULL: none. Borrowed
 * @record: every line that comes and goes is written there, too; NULL: nowhere. Borrowed
 * @forget: a client does not want the device of this name; NULL: nobody else needs to know. Return: whether
 *          it was to be made later
 */
struct server {
	struct vd_loop *loop;
	struct vd_log *log;
	struct uvdpa *u;
	const struct vd_unix *listen;
	struct vd_call_levels *levels;
	struct vd_accept accept;
	struct vd_timer tick;
	struct vd_list clients;
	unsigned int nclients;
	unsigned int nwatchers;
	unsigned int naccepted;
	FILE *record;
	bool (*forget)(struct server *s, const char *name);
	struct events events;
	bool stopping;
};

/**
 * server_start() - Serve on a socket that listens
 * @s: all zero but loop, log, u, listen, levels, record and forget
 *
 * Return: 0 or -errno with a sentence.
 */
int server_start(struct server *s);

/* Take no client and no request any more. Harmless, as server_fini(), if it was not started. */
void server_stop(struct server *s);

/* Give every client what it waits for, as far as it takes it, and drop it. Every call has ended. */
void server_fini(struct server *s);

#endif
