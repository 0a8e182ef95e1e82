/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/offer.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void vd_offer(const char *begun, const char *word, size_t len, const char *help)
{
	size_t n = strlen(begun);

	if (n <= len && !strncmp(word, begun, n))
		printf("%.*s\t%s\n", (int)len, word, help ? help : "");
}

static bool is(const char *kind, size_t len, const char *word)
{
	return len == strlen(word) && !strncmp(kind, word, len);
}

void vd_offer_kind(const char *begun, const char *kind, size_t len)
{
	const char *end = kind + len;

	if (is(kind, len, "FILE") || is(kind, len, "PATH")) {
		puts(":file");
	} else if (is(kind, len, "DIR")) {
		puts(":dir");
	} else if (memchr(kind, '|', len)) {
		for (size_t n; kind < end; kind += n + 1) {
			n = strcspn(kind, "| ");
			vd_offer(begun, kind, n, NULL);
		}
	}
}
