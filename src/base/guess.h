/* SPDX-License-Identifier: BSD-2-Clause */
/* guess.h - which word was meant by one that nobody knows */
#ifndef VD_BASE_GUESS_H
#define VD_BASE_GUESS_H

#include "base/util.h"

/**
 * vd_guess() - Go through the words that are known, one by one
 * @word: as it was written
 * @best: the nearest so far, NULL at first
 * @known: the next one
 *
 * Return: the nearer of @best and @known; NULL if @word is like neither, nor their beginning.
 * Borrowed from them.
 */
const char *vd_guess(const char *word, const char *best, const char *known);

/* Put "; did you mean "@best"?" behind the thread's sentence, unless @best is NULL. Return: @err. */
int vd_err_guess(int err, const char *best);

#endif
