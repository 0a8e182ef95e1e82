/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * public-fx.h - for tests: a device on <uvdpa/softdev.h>, as an author outside of the library
 * writes it
 *
 * The first byte of a request says what the device does with it, on the first two queues, each with
 * a data thread; the third receives. What is to be done later a helper does, a thread of the
 * author's.
 */
#ifndef VD_SOFTDEV_PUBLIC_FX_H
#define VD_SOFTDEV_PUBLIC_FX_H

#include <pthread.h>
#include <uvdpa/softdev.h>

#include "base/util.h"

#define OWN_LATER 1u
#define OWN_RX	  2u
#define OWN_KEPT  64

struct own {
	struct uvdpa_softdev sd;
	uint64_t features;
	uint8_t written[8];	/* by the driver */
	unsigned int resets;

	pthread_t helper;
	pthread_mutex_t lock;	/* protects what follows */
	pthread_cond_t cond;
	bool end;
	bool slow;		/* the helper does nothing before a stop */
	unsigned int nkept, stops;
	struct uvdpa_req *kept[OWN_KEPT];

	unsigned int feds;	/* atomic */
};

extern const struct uvdpa_softdev_ops own_ops;
extern const struct uvdpa_softdev_conf own_conf;
extern const struct uvdpa_parent own_parent;

extern struct own *the_own;		/* that was made last */
extern unsigned int own_destroyed;	/* devices, so far */
extern bool own_fail_add;

#endif
