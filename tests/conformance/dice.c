/* SPDX-License-Identifier: BSD-2-Clause */
/* dice.c - the parent of examples/dice.c, as it stands there */
#include <uvdpa/parent.h>

int dice_main(int argc, char **argv);
#define main dice_main
#include "../../examples/dice.c"

extern const struct uvdpa_parent cf_dice_parent __attribute__((alias("dice_parent")));
