/* SPDX-License-Identifier: BSD-2-Clause */
/* size.h - bytes as a user writes them */
#ifndef VD_BASE_SIZE_H
#define VD_BASE_SIZE_H

#include <stdint.h>

#define VD_SIZE_TEXT 24

/* Write @bytes with the largest of K, M, G, T that loses nothing. Return: @text. */
const char *vd_size_text(uint64_t bytes, char text[VD_SIZE_TEXT]);

#endif
