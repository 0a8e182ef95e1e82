/* SPDX-License-Identifier: BSD-2-Clause */
/* nbd-fx.h - for tests of the nbd parent: an nbdkit that serves, dies, hangs and comes back */
#ifndef VD_PARENT_NBD_FX_H
#define VD_PARENT_NBD_FX_H

#include <sys/types.h>

#include "softdev/blk-bed.h"

#define FX_DISK    (4u << 20)
#define FX_SECTORS (FX_DISK / 512)

extern char fx_dir[], fx_socket[64], fx_image[64], fx_log[64];

/* Return: 77 without nbdkit, and says so. */
int fx_check(void);
int fx_begin(void **state); /* of a group: the directory */
int fx_end(void **state);
int fx_after(void **state); /* of a test: no server any more */

/* Serve: the words of nbdkit's command line, between spaces; a tab stands for a space in a word,
 * and $LOG for the log's path. Returns when it listens. */
void fx_serve(const char *words);
void fx_signal(int sig);
/* As by a crash. */
void fx_kill(void);
/* The image's file, FX_DISK bytes of zeros. */
void fx_image_make(void);
/* Lines of the log (--filter=log logfile=fx_log) that have @word. */
unsigned int fx_logged(const char *word);

/* A device on fx_socket. @more: "key", "value", ..., NULL. Return: as bed_add(). */
int fx_add(struct bed *b, const char *const *more);
void fx_start(struct bed *b, const char *const *more, const struct bed_conf *c);

void fx_pattern(uint8_t *to, size_t len, unsigned int seed);
/* One request. Return: its status. */
uint8_t fx_write(struct bed *b, uint64_t sector, uint32_t len, unsigned int seed);
/* Likewise; and it is what fx_write() wrote with @seed, or zeros if it is 0. */
uint8_t fx_read(struct bed *b, uint64_t sector, uint32_t len, unsigned int seed);
uint8_t fx_flush(struct bed *b);
uint8_t fx_range(struct bed *b, uint32_t type, uint64_t sector, uint32_t n, uint32_t flags);

/* A write that is begun and not waited for; it has its place @slot. Return: its id. */
int fx_put(struct bed *b, unsigned int slot, uint32_t type, uint64_t sector, uint32_t len,
	   unsigned int seed);
/* The status of one that came back. */
uint8_t fx_status(struct bed *b, unsigned int slot);

#endif
