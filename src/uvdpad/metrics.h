/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics.h - what there is to measure, for Prometheus, over HTTP on a loopback address
 *
 * In the control loop, without a thread of its own; off unless asked for. Context: control thread.
 */
#ifndef VD_UVDPAD_METRICS_H
#define VD_UVDPAD_METRICS_H

#include <netinet/in.h>
#include <stddef.h>
#include <uvdpa/uvdpa.h>

#include "base/accept.h"
#include "base/log.h"
#include "base/loop.h"
#include "uvdpad/server.h"

#define METRICS_EVENTS (UVDPA_DEV_ATTRS + 1)
#define METRICS_WHERE  64 /* [ADDRESS]:PORT */

struct MHD_Daemon;
struct metrics_lib;

/**
 * struct metrics - Who answers a scrape; all zero but u, log and server
 * @u: whose devices
 * @server: whose clients
 * @events: of devices, by kind, since the start
 */
struct metrics {
	struct uvdpa *u;
	struct vd_log *log;
	const struct server *server;
	struct uvdpa_watch watch;
	uint64_t events[METRICS_EVENTS];
	struct MHD_Daemon *http;
	struct metrics_lib *lib; /* functions of libmicrohttpd */
	int listen;              /* on http's behalf */
	char where[METRICS_WHERE];
	struct vd_accept accept;
	struct vd_fd fd;         /* its epoll descriptor */
	struct vd_timer timer;
};

/**
 * metrics_address() - Read "[ADDRESS:]PORT"
 * @text: 9100, 127.0.0.1:9100, [::1]:9100, localhost:9100
 *
 * Return: 0; -EINVAL with a sentence, also for an address that others can reach.
 */
int metrics_address(const char *text, struct sockaddr_storage *ret_sa);

/* Serve. Return: 0; -EOPNOTSUPP built without it; another -errno with a sentence. */
int metrics_start(struct metrics *m, struct vd_loop *loop, const struct sockaddr_storage *sa);

/* Harmless if it was not started. */
void metrics_stop(struct metrics *m);

/**
 * metrics_text() - All of it at this moment, in Prometheus's text format 0.0.4
 * @ret_len: bytes, without the terminating NUL
 *
 * Return: the text, to be freed; NULL without memory.
 */
char *metrics_text(const struct metrics *m, size_t *ret_len);

#endif
