/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * err.h - an errno and a sentence
 *
 * The sentence is made where the fault is seen and printed where it is handled. It names the
 * thing, the value and the limit, and is UTF-8 whatever it quotes. It is kept for each thread: the
 * one exception to "no globals".
 */
#ifndef VD_BASE_ERR_H
#define VD_BASE_ERR_H

#include "base/util.h"

/**
 * vd_err() - Set the thread's sentence
 * @err: negative errno, handed back so that "return vd_err(...)" reads well
 * @fmt: as printf, with %m for errno as it was before the call; no full stop, no newline
 *
 * Return: @err.
 * Context: any thread; not on the data path.
 */
int vd_err(int err, const char *fmt, ...) vd_printf(2, 3);

/* Put words in front of the sentence that is there: "d0: " + ... Return: @err. */
int vd_err_prefix(int err, const char *fmt, ...) vd_printf(2, 3);

#ifdef __clang_analyzer__	/* does not see from here that @err comes back as it was */
#define vd_err(err, ...) (vd_err((err), __VA_ARGS__), (err))
#define vd_err_prefix(err, ...) (vd_err_prefix((err), __VA_ARGS__), (err))
#endif

/* The thread's sentence, "" if there was none yet. */
const char *vd_err_text(void);

#endif
