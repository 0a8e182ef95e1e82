/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * offer.h - what shells are told when they complete a word
 *
 * Both programs have "complete -- WORD...", where the last word may be empty. They answer with a
 * line for each candidate: the word, a tab, and what it is. A line ":file" or ":dir" says that
 * the shell's own names will do as well.
 */
#ifndef VD_CONTROL_OFFER_H
#define VD_CONTROL_OFFER_H

#include <stddef.h>

/* Offer @word, @len bytes of it, if it begins with @begun. @help: a line, or NULL. */
void vd_offer(const char *begun, const char *word, size_t len, const char *help);

/* Offer what a usage calls @kind, if that says it: "FILE", "PATH", "DIR", or "this|that". */
void vd_offer_kind(const char *begun, const char *kind, size_t len);

#endif
