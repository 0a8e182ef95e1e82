/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chan.h - a stream of bytes to somebody who comes and goes
 *
 *	pty[:LINK]		a pseudo terminal; LINK becomes a symbolic link to it
 *	tty:PATH[:BAUD]		a terminal that is there, a serial line say
 *	unix:PATH		connect, again and again	unix-listen:PATH
 *	tcp:HOST:PORT		likewise			tcp-listen:[HOST:]PORT
 *	file:PATH		append; it may be rotated
 *	stdio			of this process; one user at a time
 *	null			takes all, brings nothing
 *
 * HOST is numeric, an IPv6 address in brackets, and on the loopback if it is not given. Who listens
 * takes one at a time. All waiting is in the control thread; one data thread reads and writes, and
 * may be the control thread. Each of the two has a descriptor of its own and closes it.
 *
 *	control thread					data thread
 *	--------------					-----------
 *	accept, connect, open --- next, ops->up ---->	vd_chan_changed(), vd_chan_take(): watch it
 *	the other end has gone				vd_chan_readv(), vd_chan_writev()
 *	look for the next     <-- told, by a post ---	the end of what comes; nothing goes any more
 *	ops->down             --- next ------------->	vd_chan_take(): -1
 *
 * The other end may have said all and still listen: then reading is over, and writing goes on.
 * What it said before it went is read: the next one is let in when that is done, or after a second.
 */
#ifndef VD_BASE_CHAN_H
#define VD_BASE_CHAN_H

#include <limits.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <termios.h>

#include "base/accept.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/notice.h"
#include "base/unix.h"

struct vd_chan;
struct vd_chan_kind;

/* Control thread. None may close the channel. */
struct vd_chan_ops {
	/* Somebody is there, or the descriptor is another now: wake the data thread. */
	void (*up)(struct vd_chan *c);
	/* Nobody any more; likewise. */
	void (*down)(struct vd_chan *c);
	/* What is at the other end is a terminal of this size; after up, and when it has changed.
	 */
	void (*resized)(struct vd_chan *c, uint16_t cols, uint16_t rows);
};

/* resized, for whom a size means nothing. */
void vd_chan_any_size(struct vd_chan *c, uint16_t cols, uint16_t rows);

/**
 * struct vd_chan_conf - How to open one
 * @address: as above; copied
 * @mode: permissions of what is made
 * @reconnect_ms: look for who is away so often; 0: never, and they must be there at first
 * @rotate: bytes of a file, at which it becomes PATH.1; 0: never
 * @rotate_keep: so many of these are kept
 * @cols, @rows: of a pseudo terminal, until somebody changes it; 0: unknown
 */
struct vd_chan_conf {
	const char *address;
	mode_t mode;
	unsigned int reconnect_ms;
	uint64_t rotate;
	unsigned int rotate_keep;
	uint16_t cols, rows;
};

/* An address that was parsed. */
struct vd_chan_addr {
	const struct vd_chan_kind *kind;
	char path[PATH_MAX]; /* "" if it has none */
	speed_t baud;        /* B0: as it is */
	struct sockaddr_storage sa;
	socklen_t sa_len;
};

struct vd_chan_relay;

/* Embedded; zero it. All is chan*.c's. */
struct vd_chan {
	const struct vd_chan_ops *ops;
	struct vd_loop *loop;
	struct vd_log *log;
	const char *name;
	struct vd_chan_addr addr;
	struct vd_chan_conf conf; /* without address */
	char where[PATH_MAX + 64];

	/* Control's. */
	bool open;
	enum { VD_CHAN_AWAY, VD_CHAN_TRYING, VD_CHAN_UP, VD_CHAN_LEAVING } state;
	uint32_t gen; /* of the descriptor in @next */
	int fd;       /* of who is there; or -1 */
	struct vd_fd peer_fd;
	struct vd_unix own; /* what listens; @fd also a pseudo terminal's */
	struct vd_fd own_fd;
	struct vd_accept accept;
	struct vd_notice opened; /* of a pseudo terminal */
	bool linked; /* addr.path is a link of ours */
	struct vd_timer again, linger, tick;
	struct vd_post post;
	struct vd_ratelimit rl;
	struct termios saved; /* of a terminal that is not ours */
	bool restore;
	int lock;
	uint16_t cols, rows;
	bool full; /* it was said that the file takes no more */
	struct vd_chan_relay *relay;
	uint64_t visits;

	/* Between both; atomic. */
	uint64_t next; /* gen << 32 | descriptor, or a word of chan.c */
	uint64_t told; /* gen << 32 | errno << 8 | VD_CHAN_TOLD_* */
	uint64_t lost; /* bytes for which there was no space */

	/* The data thread's. */
	int conn;
	uint32_t conn_gen, conn_told;
	bool conn_eof, conn_broken;
	int conn_err;  /* why the file did not take all */
	uint64_t room; /* bytes until the file is to be rotated */
};

/* Parse, and look at nothing else. Return: 0; -EINVAL, -ENAMETOOLONG with a sentence. */
int vd_chan_check(const char *address);

/**
 * vd_chan_open() - Open, listen, or begin to look for who is there
 * @c: zeroed, or closed; stays where it is until vd_chan_close()
 * @loop: whose thread is the control thread
 * @name: for messages; borrowed
 *
 * ops->up may be called before it returns.
 *
 * Return: 0; -errno with a sentence, and @c is as if closed: -EINVAL the address; -EEXIST a path is
 * taken by what is not ours; -EADDRINUSE somebody listens there; -EBUSY a terminal that somebody
 * has, or standard input in the background; who is not there is none if conf->reconnect_ms.
 */
int vd_chan_open(struct vd_chan *c, struct vd_loop *loop, struct vd_log *log, const char *name,
		 const struct vd_chan_ops *ops, const struct vd_chan_conf *conf);

/* Undo it, and remove what was made but a file. No op is called. The data thread has ended, or does
 * not use it any more. Harmless if it is not open. */
void vd_chan_close(struct vd_chan *c);

/* Control thread: is somebody there? */
bool vd_chan_is_up(const struct vd_chan *c);

/* Control thread: where somebody finds it: "/dev/pts/7", a path, "127.0.0.1:2001". */
const char *vd_chan_where(const struct vd_chan *c);

/* Control thread: how often somebody has come; for files and the like 1. */
uint64_t vd_chan_visits(const struct vd_chan *c);

/* Control thread: what a terminal's users see as its size; nothing for what is no pseudo terminal.
 */
void vd_chan_set_size(struct vd_chan *c, uint16_t cols, uint16_t rows);

/**
 * vd_chan_move_link() - A pseudo terminal is to be found at another path
 * @c: open, with a link
 *
 * Who has the terminal open does not notice. Context: control thread.
 *
 * Return: 0; -errno as vd_chan_open() of the new path, and the link is where it was.
 */
int vd_chan_move_link(struct vd_chan *c, const char *link);

/* Any thread: bytes that were dropped because a disk is full, or fails. */
uint64_t vd_chan_lost(const struct vd_chan *c);

/* ---- the data thread ------------------------------------------------------------------------- */

/* Another descriptor waits. Who does not look never notices that somebody went. */
bool vd_chan_changed(const struct vd_chan *c);

/**
 * vd_chan_take() - Have the descriptor that waits
 *
 * Closes the former, which must not be watched any more. Return: vd_chan_fd().
 */
int vd_chan_take(struct vd_chan *c);

/*
 * What to watch: readable while vd_chan_brings(), writable when vd_chan_takes() and a write took
 * less than all. -1: nothing, because nobody is there, all is over, or it never makes anybody wait.
 * To be asked after each call that reads or writes.
 */
int vd_chan_fd(const struct vd_chan *c);
bool vd_chan_brings(const struct vd_chan *c); /* something may come yet */
bool vd_chan_takes(const struct vd_chan *c);  /* somebody is there to write to */

/* Return: bytes that were read; 0: none now, or it is over: ask vd_chan_brings(). Never waits. */
size_t vd_chan_readv(struct vd_chan *c, const struct iovec *iov, unsigned int n);

/* Return: bytes that were taken, 0 if nobody is there. Waits for nothing but a file's disk. */
size_t vd_chan_writev(struct vd_chan *c, const struct iovec *iov, unsigned int n);

/* The other end broke a rule: end it. */
void vd_chan_hang_up(struct vd_chan *c);

#endif
