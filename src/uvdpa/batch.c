/* SPDX-License-Identifier: BSD-2-Clause */
/* batch.c - commands of a file, one in each line (control/line.h), as "dev export" prints them */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "control/line.h"
#include "uvdpa/cmd.h"

#define CHUNK 65536u

/* All of @f. Return: the caller's; NULL with errno. */
static char *read_all(FILE *f, size_t *ret_len)
{
	char *text = NULL, buf[CHUNK];
	FILE *mem = open_memstream(&text, ret_len);
	bool whole;
	size_t n;

	if (!mem)
		return NULL;
	while ((n = fread(buf, 1, sizeof(buf), f)))
		fwrite(buf, 1, n, mem);
	whole = !ferror(f) && !ferror(mem);
	if (!fclose(mem) && whole)
		return text;
	free(text);
	return NULL;
}

static int run_lines(const struct cmd *cmd, const char *path, const char *text, size_t len)
{
	struct vd_lines lines = { .p = text, .end = text + len };
	int found, r = 0;

	while (!r && (found = vd_lines_next(&lines))) {
		struct cmd one = *cmd;

		r = found < 0 ? print_error("%s", vd_err_text())
			      : cmd_words(&one, (int)lines.n, lines.words);
		if (r)
			fprintf(stderr, "Command failed %s:%u\n", path, lines.number);
	}
	vd_lines_fini(&lines);
	return r;
}

int cmd_batch(const struct cmd *cmd, const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	size_t len = 0;
	char *text = f ? read_all(f, &len) : NULL;
	int r = text ? run_lines(cmd, path, text, len)
		     : print_error("%s: %s", path, strerror(errno));

	free(text);
	if (f && f != stdin)
		fclose(f);
	return r;
}
