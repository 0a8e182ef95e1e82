/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/guess.h"

#include <string.h>

#include "base/err.h"

/* Edits that make one word of the other; words here are short, so a row on the stack will do. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[32], diag, up;
	size_t n = strlen(b);

	if (n >= VD_ARRAY_SIZE(row))
		return ~0u;
	for (unsigned int j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned int i = 1; a[i - 1]; i++) {
		diag = row[0];
		row[0] = i;
		for (unsigned int j = 1; j <= n; j++) {
			up = row[j];
			row[j] = vd_min(vd_min(up, row[j - 1]) + 1, diag + (a[i - 1] != b[j - 1]));
			diag = up;
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
