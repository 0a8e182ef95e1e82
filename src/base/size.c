/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/size.h"

#include <inttypes.h>
#include <stdio.h>

const char *vd_size_text(uint64_t bytes, char text[VD_SIZE_TEXT])
{
	static const char *const units[] = { "", "K", "M", "G", "T" };
	unsigned int unit = 0;

	for (; bytes && !(bytes % 1024) && unit < 4; unit++)
		bytes /= 1024;
	snprintf(text, VD_SIZE_TEXT, "%" PRIu64 "%s", bytes, units[unit]);
	return text;
}
