/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chan-file.c - a file that grows, and may be rotated; see chan-kind.h
 *
 * The data thread fills it to the last byte and waits; then PATH becomes PATH.1, PATH.1 becomes
 * PATH.2, the last of them is gone, and it gets the next file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/chan-kind.h"
#include "base/err.h"
#include "base/fd.h"

static int parse_file(struct vd_chan_addr *a, const char *rest)
{
	return vd_chan_path(a, rest, strlen(rest));
}

/* Return: the descriptor; -errno with a sentence. */
static int open_path(const struct vd_chan *c)
{
	const char *path = c->addr.path;
	/* Not blocking: a pipe that nobody reads is refused at once. */
	int r, fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
			 c->conf.mode);
	struct stat st;

	if (fd < 0)
		return vd_err(-errno, "%s: %m", path);
	if (fstat(fd, &st))
		r = vd_err(-errno, "%s: %m", path);
	else if (!S_ISREG(st.st_mode))
		r = vd_err(-EINVAL, "%s is no file", path);
	else
		return fd;
	close(fd);
	return r;
}

static int file_open(struct vd_chan *c)
{
	int fd = open_path(c);

	return fd < 0 ? fd : vd_chan_came(c, fd, 0, false);
}

static int rename_one(const struct vd_chan *c, unsigned int from)
{
	char old[PATH_MAX + 16], new[PATH_MAX + 16];

	snprintf(old, sizeof(old), from ? "%s.%u" : "%s", c->addr.path, from);
	snprintf(new, sizeof(new), "%s.%u", c->addr.path, from + 1);
	if (rename(old, new) && errno != ENOENT)
		return vd_err(-errno, "rename %s: %m", old);
	return 0;
}

/* If it cannot be done, the file goes on to grow, until the next time. */
static void file_rotate(struct vd_chan *c)
{
	int r = 0, fd = -1;

	for (unsigned int i = c->conf.rotate_keep; !r && i > 0; i--)
		r = rename_one(c, i - 1);
	if (!r && !c->conf.rotate_keep && unlink(c->addr.path) && errno != ENOENT)
		r = vd_err(-errno, "remove %s: %m", c->addr.path);
	if (!r)
		r = fd = open_path(c);
	if (r < 0) {
		vd_chan_warn(c);
		r = fd = vd_dup(c->fd);
	}
	if (r >= 0)
		r = vd_chan_replace(c, fd);
	if (r < 0)
		vd_chan_warn(c);
}

const struct vd_chan_kind vd_chan_file = {
	.name = "file",
	.form = "file:PATH",
	.how = VD_CHAN_FILE,
	.parse = parse_file,
	.open = file_open,
	.again = vd_chan_nothing,
	.said_all = vd_chan_nothing,
	.gone = vd_chan_nothing,
	.rotate = file_rotate,
	.close = vd_chan_nothing,
};

static int null_open(struct vd_chan *c)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	snprintf(c->where, sizeof(c->where), "null");
	return fd < 0 ? vd_err(-errno, "/dev/null: %m") : vd_chan_came(c, fd, 0, false);
}

const struct vd_chan_kind vd_chan_null = {
	.name = "null",
	.form = "null",
	.how = VD_CHAN_FILE,
	.parse = vd_chan_no_rest,
	.open = null_open,
	.again = vd_chan_nothing,
	.said_all = vd_chan_nothing,
	.gone = vd_chan_nothing,
	.rotate = vd_chan_nothing,
	.close = vd_chan_nothing,
};
