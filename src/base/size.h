/* SPDX-License-Identifier: BSD-2-Clause */
/* size.h - numbers, and bytes, as a user writes them */
#ifndef VD_BASE_SIZE_H
#define VD_BASE_SIZE_H

#include <stdbool.h>
#include <stdint.h>

#define VD_SIZE_TEXT 24

/* Write @bytes with the largest of K, M, G, T that loses nothing. Return: @text. */
const char *vd_size_text(uint64_t bytes, char text[VD_SIZE_TEXT]);

/**
 * vd_number_parse() - Read a number: decimal or 0x, no sign, no blanks, no octal
 * @s: the word
 * @size: of bytes: K, M, G or T, in any case, may follow
 * @ret: set on success
 *
 * Return: 0; -EINVAL it is no such number; -ERANGE it does not fit. Sets no sentence.
 */
int vd_number_parse(const char *s, bool size, uint64_t *ret);

#endif
