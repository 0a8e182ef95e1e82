/* SPDX-License-Identifier: BSD-2-Clause */
/* top-none.c - no screen */
#include "uvdpa/top.h"

int top_screen(struct top *t)
{
	(void)t;
	return print_error("built without ncurses, which the screen needs; \"uvdpa top -b\" does not");
}
