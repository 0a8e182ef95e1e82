/* SPDX-License-Identifier: BSD-2-Clause */
/* plan.h - what is to be done so that a device is as its line says: rows of calls. Control thread. */
#ifndef VD_UVDPAD_PLAN_H
#define VD_UVDPAD_PLAN_H

#include "uvdpad/provision.h"

/* It is not there yet. */
void plan_new(struct conf_dev *d);

/* It is made, and shall not be there any more. */
void plan_gone(struct conf_dev *d);

/* Whatever it is now, by the least that does it. What can be set in place is set at once. */
void plan_dev(struct provision *p, struct conf_dev *d);

#endif
