/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/size.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *vd_size_text(uint64_t bytes, char text[VD_SIZE_TEXT])
{
	static const char *const units[] = { "", "K", "M", "G", "T" };
	unsigned int unit = 0;

	for (; bytes && !(bytes % 1024) && unit < 4; unit++)
		bytes /= 1024;
	snprintf(text, VD_SIZE_TEXT, "%" PRIu64 "%s", bytes, units[unit]);
	return text;
}

int vd_number_parse(const char *s, bool size, uint64_t *ret)
{
	static const char suffixes[] = "KMGT";
	const char *p;
	char *end;
	int base = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 16 : 10;
	unsigned long long n;
	unsigned int shift = 0;

	if (base == 16 ? !isxdigit((unsigned char)s[2]) : !isdigit((unsigned char)s[0]))
		return -EINVAL;
	errno = 0;
	n = strtoull(s, &end, base);
	if (errno == ERANGE)
		return -ERANGE;
	if (size && *end) {
		p = strchr(suffixes, toupper((unsigned char)*end));
		if (!p)
			return -EINVAL;
		shift = 10 * (unsigned int)(p - suffixes + 1);
		end++;
	}
	if (*end)
		return -EINVAL;
	if (n > UINT64_MAX >> shift)
		return -ERANGE;
	*ret = (uint64_t)n << shift;
	return 0;
}
