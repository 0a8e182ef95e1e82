/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disk.h - "uvdpa blk": disks by their words, and work on them
 *
 * A session has one context and up to two disks, and ends them whatever happened. Work is a loop
 * of one thread: feed() puts requests, done() gets each that came back, until there are none.
 *
 *	word -> disk_open() -> disk <- piece_put() <- feed()
 *	                         |                      ^
 *	                         +--> work_run() --> done()
 *
 * A function that returns an int returns 0, or a negative number after it has printed why.
 */
#ifndef VD_UVDPA_DISK_H
#define VD_UVDPA_DISK_H

#include <uvdpa/blk.h>

#include "uvdpa/cmd.h"
#include "uvdpa/place.h"
#include "uvdpa/progress.h"

#define BLK_DISKS_MAX 2u
#define BLK_EXIT_DIFFERENT 1	/* of compare and verify, as cmp(1) */
#define BLK_EXIT_FAILED 2
#define BLK_TODO_MAX 64u	/* pieces of one disk at a time */

/* ---- words: blk-words.c ------------------------------------------------------------------- */

enum blk_opt_type {
	BLK_OPT_NUM,
	BLK_OPT_SIZE,	/* bytes; K, M, G, T may follow */
	BLK_OPT_SWITCH, /* on, off */
	BLK_OPT_ENUM,	/* index into @choices */
	BLK_OPT_WORD,	/* has no value: *to is @min when it is there */
};

/* "KEY VALUE" behind the disks; a table ends with a NULL key. @max 0: no limit. */
struct blk_opt {
	const char *key;
	enum blk_opt_type type;
	uint64_t *to;
	uint64_t min, max;
	const char *const *choices;
};

/* Read all words; what is not there keeps what *to was. */
int blk_opts(const struct blk_opt *table, int argc, char **argv);

/* ---- disks: blk-disk.c -------------------------------------------------------------------- */

struct disk;

/* Zero it but for @cmd. */
struct session {
	const struct cmd *cmd;
	struct uvdpa *u;
	struct uvdpa_watch watch;
	struct disk *disks[BLK_DISKS_MAX];
	unsigned int ndisks;
	int signals;
	int stop;	/* the signal that came */
};

struct piece;

/* A disk in use; of one session. */
struct disk {
	struct session *s;
	const char *word;
	struct place place;
	char queues[16];		/* one of its options */
	char *created;			/* the file that we have made, to be removed if all fails */
	int fd;				/* of a file, to see its holes; -1 */
	struct uvdpa_dev *dev;
	struct uvdpa_wait wait;
	bool lost;
	struct uvdpa_blk *blk;
	const struct uvdpa_blk_info *info;
	struct uvdpa_blkq *q;
	uint64_t size;			/* bytes */
	struct uvdpa_blk_req *todo[BLK_TODO_MAX];
	unsigned int ntodo, busy;	/* busy: put and not back */
};

/**
 * struct disk_want - What a disk is opened for
 * @write: or it is opened read-only, but for
 * @as_is: only if it cannot be written
 * @create: bytes of the file to make if the word is a path and nothing is there; 0: none is made
 * @mem: bytes that requests will need
 * @queues: so many, if the word lets us choose; 0: what it has
 */
struct disk_want {
	bool write, as_is;
	uint64_t create;
	size_t mem;
	unsigned int queues;
};

/* Begin with nothing; signals are caught from here on. */
int session_begin(struct session *s, const struct cmd *cmd);

/**
 * session_end() - Give every disk back, as it was before
 * @r: how the work ended; if negative, a file that was created is removed
 *
 * If a signal had come, the program ends by it here. Return: @r.
 */
int session_end(struct session *s, int r);

/**
 * session_look() - Handle what happened besides requests
 * @timeout_ms: wait so long for it, or for any request to come back; -1: as long as it takes
 *
 * Return: 0; -1 a signal came or a disk is gone.
 */
int session_look(struct session *s, int timeout_ms);

/**
 * disk_open() - Open a disk by its word
 * @word: PATH with a slash: a file, a block device, or the socket of a vhost-user back-end;
 *        MGMTDEV:KEY=VALUE,...: made in this process; NAME: a device of the daemon
 * @ret_d: the session's
 */
int disk_open(struct session *s, const char *word, const struct disk_want *want,
	      struct disk **ret_d);

/* How many bytes from @off on are known to read zeros, because they are a hole of a file. */
uint64_t disk_hole(const struct disk *d, uint64_t off);

/* Memory for requests, freed with the disk; NULL after an error was printed. */
void *disk_alloc(struct disk *d, size_t len);

/* ---- work: blk-work.c --------------------------------------------------------------------- */

/* A request and where it goes. Zero it, embed it, keep it until it is back. */
struct piece {
	struct uvdpa_blk_req r;
	struct iovec iov;
	struct disk *disk;
};

#define WORK_ENOUGH 2	/* what is under way does not matter any more */

/**
 * struct work - What is done, and how far it is
 * @feed: put what can begin now. Return: 0, and if nothing is under way the work is done;
 *        1 to be called again without waiting for a request; WORK_ENOUGH; -1
 * @done: a piece came back well; it may be put again
 * @progress: its total and how far it is, bytes; or what is waited for
 */
struct work {
	struct session *s;
	int (*feed)(struct work *w);
	int (*done)(struct work *w, struct piece *p);
	struct progress progress;
};

/* Do it, and show how far it is. Return: 0, -1. */
int work_run(struct work *w);

/**
 * piece_put() - Put a request on its way
 * @p: its iov.iov_base is memory of disk_alloc() if it has data
 * @off, @len: bytes; of a FLUSH and a GET_ID, what @len says counts only for its data
 *
 * WRITE_ZEROES may take the range's space.
 */
void piece_put(struct piece *p, struct disk *d, enum uvdpa_blk_op op, uint64_t off, uint64_t len);

/* Wait until a piece that was put, alone, is back. */
int piece_run(struct piece *p);

/* All that was written is to be on stable storage. */
int disk_flush(struct disk *d);

/* ---- reading in order: blk-stream.c -------------------------------------------------------- */

#define STREAM_DEPTH 16u
#define STREAM_CHUNK (1u << 20)
#define STREAM_MEM ((size_t)(STREAM_DEPTH + 1) * STREAM_CHUNK)	/* for disk_want.mem */

struct stream_slot {
	struct piece piece;
	uint8_t *buf;
	uint64_t off;
	size_t len;
	bool there;
	bool zero;	/* nobody looked: it is a hole */
};

/* A disk, or a part of it, from the beginning to the end, with many requests under way. */
struct stream {
	struct disk *disk;
	size_t chunk;
	uint64_t next, end;
	uint8_t *zeros;
	struct stream_slot slots[STREAM_DEPTH];
	unsigned int head, n;
};

/* The longest request that @d takes, STREAM_CHUNK at most, a power of two. */
size_t disk_chunk(const struct disk *d);

/* Read [@off, @end) of @d in pieces of @chunk bytes. */
int stream_begin(struct stream *st, struct disk *d, size_t chunk, uint64_t off, uint64_t end);

/* Put what can be put. */
void stream_feed(struct stream *st);

/* Is there room for more than what was put? Then call stream_feed() again. */
bool stream_hungry(const struct stream *st);

/* For work.done: the piece is of a stream. */
int stream_done(struct work *w, struct piece *p);

/* The next one if it is there: @ret_data has its bytes. NULL: not yet, or it was the last. */
const struct stream_slot *stream_get(struct stream *st, const uint8_t **ret_data);

/* It is used up. */
void stream_put(struct stream *st);

/* ---- one for each word of "uvdpa blk" ------------------------------------------------------- */

cmd_fn blk_copy;
cmd_fn blk_compare;
cmd_fn blk_checksum;
cmd_fn blk_fill;
cmd_fn blk_verify;
cmd_fn blk_bench;
cmd_fn blk_discard;
cmd_fn blk_zero;

/* {WHAT: {WORD: O}} as text or JSON. Takes @o. */
void blk_result(const struct cmd *cmd, const char *what, const char *word, struct json_object *o,
		enum print_layout layout);

/* How many bytes of @a and @b are the same, from the first on. */
size_t blk_differs(const uint8_t *a, const uint8_t *b, size_t len);

/* May [@off, +*@len) be worked on? A length of 0 becomes what there is behind @off. */
int blk_range(const struct disk *d, uint64_t off, uint64_t *len);

/* Add "seconds" and "bytes_per_second" to @o. */
void blk_add_rate(struct json_object *o, double seconds, uint64_t bytes);

#endif
