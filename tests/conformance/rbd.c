/* SPDX-License-Identifier: BSD-2-Clause */
/* rbd.c - fixtures of the rbd parent: images on the cluster that UVDPA_TEST_CEPH names */
#include <rbd/librbd.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"

static rados_ioctx_t pool;		/* NULL: not connected */

/* Once, and left as it is: it has descriptors, and each case has to leave as many as it found. */
static int connect_pool(const char *conf)
{
	rados_t cluster;
	int r = rados_create(&cluster, "admin");

	if (!r)
		r = rados_conf_read_file(cluster, conf);
	if (!r)
		r = rados_connect(cluster);
	if (!r)
		r = rados_ioctx_create(cluster, "rbd", &pool);
	return r;
}

const char *cf_rbd_lacks(void)
{
	const char *conf = getenv("UVDPA_TEST_CEPH");

	if (!conf)
		return "no cluster of Ceph, UVDPA_TEST_CEPH names no configuration";
	if (!pool && connect_pool(conf))
		return "the cluster of UVDPA_TEST_CEPH does not answer";
	return NULL;
}

static const char *name_of(const struct cf_fixture *f)
{
	return strrchr(f->dir, '/') + 1;
}

/* Of many small objects, so that a request may meet several. */
void cf_rbd_open(struct cf_fixture *f)
{
	int order = 14;

	cf_is(rbd_create2(pool, name_of(f), 4 << 20,
			  RBD_FEATURE_LAYERING | RBD_FEATURE_EXCLUSIVE_LOCK, &order), 0);
	cf_attr(f, "image", name_of(f));
	cf_attr(f, "conf", getenv("UVDPA_TEST_CEPH"));
}

/* As another client of Ceph does it, which asks the one that has the lock. */
void cf_rbd_resize(struct cf_fixture *f, const char *bytes)
{
	rbd_image_t image;

	cf_is(rbd_open(pool, name_of(f), &image, NULL), 0);
	cf_is(rbd_resize(image, strtoull(bytes, NULL, 10)), 0);
	cf_is(rbd_close(image), 0);
}

void cf_rbd_close(struct cf_fixture *f)
{
	rbd_remove(pool, name_of(f));
}
