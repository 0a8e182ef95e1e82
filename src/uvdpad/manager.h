/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * manager.h - what a service manager gives, and is told: sd_notify(3), sd_listen_fds(3)
 *
 * The protocols are a datagram and some variables, promised to stay as they are; libsystemd would
 * bring six libraries into the process. Context of everything here: control thread.
 */
#ifndef VD_UVDPAD_MANAGER_H
#define VD_UVDPAD_MANAGER_H

#include <uvdpa/uvdpa.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/unix.h"

/**
 * struct manager - The service manager, if there is one
 * @keeper: for uvdpa_set_keeper(): sockets of devices that outlive the process
 * @notify: connected to it; its fd is -1 if there is nobody to tell
 * @messages: that were not taken yet, in their order
 * @sockets: that listen: what was inherited, and what is in the manager's store
 * @ping: half of what the watchdog allows, milliseconds; 0: there is none
 * @store: it keeps descriptors over a restart
 * @stopping: what is closed now is for the next process, or nobody
 */
struct manager {
	struct uvdpa_keeper keeper;
	struct vd_loop *loop;
	struct vd_log *log;
	struct vd_fd notify;
	struct vd_list messages;
	struct vd_list sockets;
	struct vd_timer watchdog;
	uint64_t ping_ms;
	bool store;
	bool stopping;
};

/**
 * manager_init() - Read what the environment says, and take it out of there
 * @m: set
 * @loop: its timer pings the watchdog: a loop that is stuck does not
 * @log: borrowed
 */
void manager_init(struct manager *m, struct vd_loop *loop, struct vd_log *log);

/* Close what it has. Messages that it did not take are lost. */
void manager_fini(struct manager *m);

/* Tell the state: "READY=1\nSTATUS=..." as sd_notify(3) has it. Nothing if nobody listens. */
void manager_tell(struct manager *m, const char *fmt, ...) vd_printf(2, 3);

/* The configuration is read anew; to be followed by READY=1. */
void manager_reloading(struct manager *m);

/* The daemon ends: sockets of devices stay where they are, if the manager keeps them. */
void manager_stopping(struct manager *m);

/**
 * manager_socket() - A listening socket that the manager gave for something
 * @name: as it is called there (LISTEN_FDNAMES), or
 * @path: where it listens
 * @ret_at: set on success
 *
 * Return: 0, and *ret_at has a duplicate, whose file is not ours; -ENOENT there is none; another
 * -errno with a sentence.
 */
int manager_socket(struct manager *m, const char *name, const char *path, struct vd_unix *ret_at);

/* Drop what an earlier process had put into the store and no device has taken. */
void manager_forget_untaken(struct manager *m);

#endif
