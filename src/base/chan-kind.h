/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chan-kind.h - between chan.c and what makes the kinds
 *
 *	chan.c		addresses, who is there, the data thread's calls
 *	chan-socket.c	unix, unix-listen, tcp, tcp-listen
 *	chan-tty.c	pty, tty
 *	chan-file.c	file, null
 *	chan-stdio.c	stdio
 *
 * Context of all: control thread.
 */
#ifndef VD_BASE_CHAN_KIND_H
#define VD_BASE_CHAN_KIND_H

#include "base/chan.h"

/* What the data thread tells. */
#define VD_CHAN_TOLD_EOF    1u /* nothing comes any more */
#define VD_CHAN_TOLD_DEAF   2u /* nothing goes any more */
#define VD_CHAN_TOLD_FULL   4u /* the file does not take all; errno */
#define VD_CHAN_TOLD_ROTATE 8u /* it is as long as it may be */

/* No slot is NULL. */
struct vd_chan_kind {
	const char *name;
	const char *form; /* of the whole address, for messages */
	enum {
		VD_CHAN_SOCKET,
		VD_CHAN_TTY,
		VD_CHAN_FILE
	} how;                /* to write, and what an end looks like */
	unsigned int half_ms; /* who has said all may listen for so long; 0: until it goes */

	/* What is behind the colon, "" if nothing is. Return: 0; -errno with a sentence. */
	int (*parse)(struct vd_chan_addr *a, const char *rest);
	/* Of vd_chan_open(). On failure close follows. */
	int (*open)(struct vd_chan *c);
	/* Look again for who was away, c->again. */
	void (*again)(struct vd_chan *c);
	/* Nothing more comes from who is there: has it gone, or come anew? */
	void (*said_all)(struct vd_chan *c);
	/* Who was there has gone: let the next one in. */
	void (*gone)(struct vd_chan *c);
	/* The file is long enough. */
	void (*rotate)(struct vd_chan *c);
	/* Undo open, or a part of it. */
	void (*close)(struct vd_chan *c);
};

extern const struct vd_chan_kind vd_chan_unix, vd_chan_unix_listen, vd_chan_tcp, vd_chan_tcp_listen;
extern const struct vd_chan_kind vd_chan_pty, vd_chan_tty, vd_chan_file, vd_chan_null,
	vd_chan_stdio;

/* For slots that have nothing to do, and addresses that have nothing behind the name. */
void vd_chan_nothing(struct vd_chan *c);
int vd_chan_no_rest(struct vd_chan_addr *a, const char *rest);

/* A path of @len bytes. Return: 0; -EINVAL, -ENAMETOOLONG with a sentence. */
int vd_chan_path(struct vd_chan_addr *a, const char *path, size_t len);

/**
 * vd_chan_came() - Somebody is there
 * @fd: to reach them; taken, also on failure
 * @events: what of it ends the visit, beside hanging up: EPOLLRDHUP; 0
 * @watch: it can be watched
 *
 * Return: 0; -errno with a sentence.
 */
int vd_chan_came(struct vd_chan *c, int fd, uint32_t events, bool watch);

/* The same as long as somebody is there: another descriptor for them. */
int vd_chan_replace(struct vd_chan *c, int fd);

/* Whoever is there is not any more; kind->gone follows. */
void vd_chan_over(struct vd_chan *c);

/* Look again after conf.reconnect_ms, unless that is 0. */
void vd_chan_look_again(struct vd_chan *c);

/* The thread's sentence as a warning, not too often. */
void vd_chan_warn(struct vd_chan *c);

/* Look at the size of the terminal @fd now, and from time to time while somebody is there. */
void vd_chan_sizes(struct vd_chan *c, int fd);

/* As it is written and read by programs: no echo, no lines, 8 bits. Return: 0; -errno. */
int vd_chan_raw(int fd, speed_t baud);

#endif
