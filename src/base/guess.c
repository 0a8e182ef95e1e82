/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/guess.h"

#include <string.h>

#include "base/err.h"

#define LEN_MAX 63 /* of a word that is known: a device has so many letters */

/*
 * Edits that make one word of the other: a letter more, less, another one, or two that changed
 * places. Words here are short, so three rows on the stack will do.
 */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int rows[3][LEN_MAX + 1], *row = rows[0];
	size_t n = strlen(b);

	if (n > LEN_MAX)
		return ~0u;
	for (unsigned int j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned int i = 1; a[i - 1]; i++) {
		const unsigned int *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];

		row = rows[i % 3];
		row[0] = i;
		for (unsigned int j = 1; j <= n; j++) {
			row[j] = vd_min(vd_min(up[j], row[j - 1]) + 1,
					up[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = vd_min(row[j], up2[j - 2] + 1);
		}
	}
	return row[n];
}

const char *vd_guess(const char *word, const char *best, const char *known)
{
	unsigned int d = distance(word, known);

	if (best && distance(word, best) <= d)
		return best;
	if (strlen(word) > 1 && !strncmp(word, known, strlen(word)))
		return known;
	return d <= 2 && 2 * d <= strlen(known) ? known : best;
}

int vd_err_guess(int err, const char *best)
{
	return best ? vd_err(err, "%s; did you mean \"%s\"?", vd_err_text(), best) : err;
}
