/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#undef vd_err		/* for the analyzer, see err.h */
#undef vd_err_prefix

static _Thread_local char text[512];

int vd_err(int err, const char *fmt, ...)
{
	int saved = errno;
	char line[sizeof(text)];	/* the arguments may contain the former text */
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	vd_utf8_mend(line);	/* what is quoted may be anything, and a long one is cut */
	memcpy(text, line, sizeof(line));
	errno = saved;
	return err;
}

int vd_err_prefix(int err, const char *fmt, ...)
{
	char line[sizeof(text)];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	n = strlen(line);
	snprintf(line + n, sizeof(line) - n, "%s", text);
	vd_utf8_mend(line);
	memcpy(text, line, sizeof(line));
	return err;
}

const char *vd_err_text(void)
{
	return text;
}
