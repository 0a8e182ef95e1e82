/* SPDX-License-Identifier: BSD-2-Clause */
/* keeper.c - sockets at which devices listen, and who keeps them over a restart */
#include <errno.h>

#include "base/fd.h"
#include "core/context.h"

void uvdpa_set_keeper(struct uvdpa *u, struct uvdpa_keeper *keeper)
{
	u->keeper = keeper;
}

/* Return: 0; -ENOENT nobody kept one; another -errno with a sentence. */
static int take(struct uvdpa_keeper *k, struct vd_unix *s, const char *path, mode_t mode)
{
	bool made = false;
	int r;

	*s = (struct vd_unix){ .fd = -1 };
	r = vd_unix_address(path, &s->sa);
	if (!r)
		r = k->take(k, path, &made);
	if (r < 0)
		return r;
	s->fd = r;
	r = made ? vd_unix_adopt(s, mode) : 0;
	if (r) {
		k->drop(k, path);
		vd_close(&s->fd);
	}
	return r;
}

int vd_dev_listen(struct uvdpa_dev *dev, struct vd_unix *s, const char *path, mode_t mode,
		  int backlog)
{
	struct uvdpa_keeper *k = uvdpa_dev_context(dev)->keeper;
	int r = k ? take(k, s, path, mode) : -ENOENT;

	if (r != -ENOENT)
		return r;
	r = vd_unix_listen(s, path, mode, backlog);
	if (!r && k)
		k->keep(k, uvdpa_dev_name(dev), path, s->fd);
	return r;
}

void vd_dev_unlisten(struct uvdpa_dev *dev, struct vd_unix *s)
{
	struct uvdpa_keeper *k = uvdpa_dev_context(dev)->keeper;

	if (s->fd >= 0 && k && k->drop(k, s->sa.sun_path))
		s->ino = 0; /* its file stays with it */
	vd_unix_close(s);
}
