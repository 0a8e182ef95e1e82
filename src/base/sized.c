/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/sized.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"

int vd_sized_take(const char *what, const void *from, void *to, size_t known, size_t least)
{
	const uint8_t *byte = from;
	size_t size;

	memcpy(&size, from, sizeof(size));
	if (size < least)
		return vd_err(-EINVAL, "%s: size is %zu, not %zu at least", what, size, least);
	for (size_t i = known; i < size; i++)
		if (byte[i])
			return vd_err(-EINVAL, "%s: byte %zu is set, of a later version than this",
				      what, i);
	memset(to, 0, known);
	memcpy(to, from, vd_min(size, known));
	return 0;
}
