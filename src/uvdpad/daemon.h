/* SPDX-License-Identifier: BSD-2-Clause */
/* daemon.h - the daemon: what its options say, and what it holds while it runs */
#ifndef VD_UVDPAD_DAEMON_H
#define VD_UVDPAD_DAEMON_H

#include <stdio.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/unix.h"
#include "sysfs/sysfs.h"
#include "uvdpad/logger.h"
#include "uvdpad/manager.h"
#include "uvdpad/metrics.h"
#include "uvdpad/provision.h"
#include "uvdpad/server.h"
#include "uvdpad/state.h"

#define DAEMON_CONFIG "/etc/uvdpa/uvdpad.conf"

/**
 * struct daemon - All zero but what options say, log and loop
 * @path: the control socket
 * @fd: it listens already, inherited; -1: it does not
 * @metrics_at: where they are served; ss_family 0: nowhere
 * @sysfs_at: where the bus is shown as files; NULL: nowhere
 * @record: where lines of the control protocol are recorded, too; NULL: nowhere
 * @logger: has its levels
 * @config: the file of devices
 * @config_must: it was asked for, so it must be there
 * @check: look at it only
 * @state.path: where the devices of clients are kept, or NULL
 */
struct daemon {
	const char *path;
	int fd;
	struct sockaddr_storage metrics_at;
	const char *sysfs_at;
	FILE *record;
	struct logger logger;
	struct vd_call_levels levels; /* logger's, for clients */
	const char *config;
	bool config_must, check;
	struct uvdpa *u;
	struct vd_loop loop;
	struct vd_log log;
	struct vd_fd bus; /* uvdpa_fd() */
	struct vd_fd signals;
	struct manager manager;
	struct uvdpa_watch watch;
	struct vd_timer status; /* tell it to the manager */
	struct provision provision;
	struct state state;
	struct vd_sysfs *sysfs;
	struct server server;
	struct metrics metrics;
	struct vd_unix listen;
	bool stop; /* a signal came */
};

/* Start, serve until a signal says stop, and end. Return: the exit status. */
int daemon_run(struct daemon *d);

#endif
