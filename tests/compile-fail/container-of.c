/* SPDX-License-Identifier: BSD-2-Clause */
/* container_of() with a pointer to something else than the member. */
/* error: pointer type mismatch */
#include "base/util.h"

struct inner {
	int x;
};

struct outer {
	int y;
	struct inner inner;
};

struct outer *to_outer(struct inner *i, long *wrong);

struct outer *to_outer(struct inner *i, long *wrong)
{
#ifdef MISUSE
	return container_of(wrong, struct outer, inner);
#else
	(void)wrong;
	return container_of(i, struct outer, inner);
#endif
}
