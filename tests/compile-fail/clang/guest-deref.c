/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest memory that is read without an accessor, copied as if it were ours, or made ours. */
#include "mem/guest.h"

uint16_t peek(uint16_t vd_guest *p, void *to);

uint16_t peek(uint16_t vd_guest *p, void *to)
{
#ifndef MISUSE
	vd_guest_read(to, p, sizeof(*p));
	return vd_read16(p + 1);
#elif MISUSE == 1
	(void)to;
	return p[1];
#elif MISUSE == 2
	memcpy(to, p, sizeof(*p));
	return 0;
#else
	uint16_t *q = p;

	(void)to;
	return *q;
#endif
}
