/* SPDX-License-Identifier: BSD-2-Clause */
/* utf8.h - text that leaves the process is UTF-8 (RFC 3629): JSON and metrics carry nothing else */
#ifndef VD_BASE_UTF8_H
#define VD_BASE_UTF8_H

#include <stddef.h>

/* Bytes of the character that begins @p, of at most @left, which is not 0; 0: it is none. */
size_t vd_utf8_len(const char *p, size_t left);

/* The first byte of @text that is none of a character; NULL: all of it is UTF-8. */
const char *vd_utf8_bad(const char *text);

/* Put a "?" for each byte that is none of a character. */
void vd_utf8_mend(char *text);

#endif
