/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/utf8.h"

#include <string.h>

size_t vd_utf8_len(const char *text, size_t left)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned int min = 0x80, max = 0xbf; /* of the second byte */
	size_t n;

	if (*p < 0x80)
		return 1;
	if (*p < 0xc2 || *p > 0xf4)
		return 0;
	n = *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
	if (*p == 0xe0)
		min = 0xa0;
	else if (*p == 0xed)
		max = 0x9f;
	else if (*p == 0xf0)
		min = 0x90;
	else if (*p == 0xf4)
		max = 0x8f;
	if (left < n || p[1] < min || p[1] > max)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

const char *vd_utf8_bad(const char *text)
{
	size_t left = strlen(text), n;

	for (; left; text += n, left -= n) {
		n = vd_utf8_len(text, left);
		if (!n)
			return text;
	}
	return NULL;
}

void vd_utf8_mend(char *text)
{
	for (const char *bad = text; (bad = vd_utf8_bad(bad));)
		text[bad - text] = '?';
}
