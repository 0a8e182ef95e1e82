/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chan-tty.c - a pseudo terminal of our own, or a terminal that is there; see chan-kind.h
 *
 * Of a pseudo terminal we hold the master. The kernel says by EPOLLHUP that nobody has the other
 * end open, for as long as it is so; so that is waited for only while somebody has. That they open
 * it is told by inotify. What they set the terminal to is undone when they have gone: one that
 * echoes would send the guest its own words.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/chan-kind.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/size.h"

#define SLAVE_MAX 64 /* "/dev/pts/N" */

int vd_chan_raw(int fd, speed_t baud)
{
	struct termios t;

	if (tcgetattr(fd, &t))
		return -errno;
	cfmakeraw(&t);
	t.c_cflag |= CREAD | CLOCAL;
	t.c_cflag &= ~(tcflag_t)(CSTOPB | HUPCL);
	if (baud != B0)
		cfsetspeed(&t, baud);
	return tcsetattr(fd, TCSANOW, &t) ? -errno : 0;
}

/* ---- the link to a pseudo terminal ----------------------------------------------------------- */

/*
 * A link that somebody left who was killed: what it leads to is no more, or is a pseudo terminal
 * that was made after the link.
 */
static bool is_left_over(const char *link, const struct stat *at)
{
	char target[SLAVE_MAX];
	ssize_t len = readlink(link, target, sizeof(target));
	struct stat to;

	if (stat(link, &to))
		return errno == ENOENT;
	if (len < 9 || memcmp(target, "/dev/pts/", 9) != 0)
		return false;
	return to.st_ctim.tv_sec != at->st_ctim.tv_sec ? to.st_ctim.tv_sec > at->st_ctim.tv_sec
						       : to.st_ctim.tv_nsec > at->st_ctim.tv_nsec;
}

static int make_link(struct vd_chan *c, const char *slave)
{
	const char *link = c->addr.path;
	vd_cleanup(vd_closep) int lock = vd_unix_lock_folder(link);
	struct stat st;

	if (lock < 0)
		return lock;
	if (!lstat(link, &st)) {
		if (!S_ISLNK(st.st_mode))
			return vd_err(-EEXIST, "%s exists and is no symbolic link", link);
		if (!is_left_over(link, &st))
			return vd_err(-EEXIST, "%s leads to something that is there", link);
		if (unlink(link) && errno != ENOENT)
			return vd_err(-errno, "remove %s, which leads nowhere: %m", link);
	}
	if (symlink(slave, link))
		return vd_err(-errno, "symbolic link %s: %m", link);
	c->linked = true;
	return 0;
}

/* Unless it is somebody else's by now. */
static void remove_link(const char *link, const char *slave)
{
	char target[SLAVE_MAX];
	ssize_t len = readlink(link, target, sizeof(target));

	if (len == (ssize_t)strlen(slave) && !memcmp(target, slave, (size_t)len))
		unlink(link);
}

/* ---- pty ------------------------------------------------------------------------------------- */

static int parse_pty(struct vd_chan_addr *a, const char *rest)
{
	return *rest ? vd_chan_path(a, rest, strlen(rest)) : 0;
}

/* Has somebody the other end open? */
static bool is_opened(const struct vd_chan *c)
{
	struct pollfd p = { .fd = c->own.fd };

	return poll(&p, 1, 0) == 0 || !(p.revents & POLLHUP);
}

static void pty_came(struct vd_chan *c)
{
	int fd = vd_dup(c->own.fd);

	if (fd < 0 || vd_chan_came(c, fd, 0, true))
		vd_chan_warn(c);
	else
		vd_chan_sizes(c, c->own.fd);
}

/* Before anybody reads or writes it again. */
static void pty_gone(struct vd_chan *c)
{
	vd_chan_raw(c->own.fd, B0);
	if (is_opened(c))
		pty_came(c);
}

/* They closed it, and somebody has opened it since; or the kernel is about to say that nobody has.
 */
static void pty_said_all(struct vd_chan *c)
{
	if (is_opened(c))
		vd_chan_over(c);
}

static void pty_opened(struct vd_notice *n)
{
	struct vd_chan *c = container_of(n, struct vd_chan, opened);

	/* Who has opened and closed it by now may have said something. */
	if (c->state == VD_CHAN_LEAVING)
		vd_chan_over(c);
	if (c->state == VD_CHAN_AWAY)
		pty_came(c);
}

/* Once it has been opened and closed, the kernel says whether somebody has it open. */
static int open_once(struct vd_chan *c, const char *slave)
{
	vd_cleanup(vd_closep) int fd = open(slave, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return vd_err(-errno, "%s: %m", slave);
	if (fchmod(fd, c->conf.mode))
		return vd_err(-errno, "%s: mode %03o: %m", slave, c->conf.mode);
	c->opened.fn = pty_opened;
	return vd_notice_add(c->loop, &c->opened, fd, IN_OPEN);
}

static int pty_open(struct vd_chan *c)
{
	struct winsize ws = { .ws_col = c->conf.cols, .ws_row = c->conf.rows };
	char slave[SLAVE_MAX];
	int r, unlock = 0;

	c->own.fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (c->own.fd < 0)
		return vd_err(-errno, "/dev/ptmx: %m");
	if (ioctl(c->own.fd, TIOCSPTLCK, &unlock) || ptsname_r(c->own.fd, slave, sizeof(slave)) ||
	    ioctl(c->own.fd, TIOCSWINSZ, &ws))
		return vd_err(-errno, "pseudo terminal: %m");
	r = vd_chan_raw(c->own.fd, B0);
	if (r)
		return vd_err(r, "%s: %s", slave, strerror(-r));
	c->cols = c->conf.cols;
	c->rows = c->conf.rows;
	snprintf(c->where, sizeof(c->where), "%s", slave);
	r = open_once(c, slave);
	if (!r && c->addr.path[0])
		r = make_link(c, slave);
	return r;
}

int vd_chan_move_link(struct vd_chan *c, const char *link)
{
	char old[PATH_MAX];
	int r;

	assert(c->open && c->linked);
	memcpy(old, c->addr.path, sizeof(old));
	r = vd_chan_path(&c->addr, link, strlen(link));
	if (!r)
		r = make_link(c, c->where);
	if (r)
		memcpy(c->addr.path, old, sizeof(old));
	else
		remove_link(old, c->where);
	return r;
}

static void pty_close(struct vd_chan *c)
{
	if (c->linked)
		remove_link(c->addr.path, c->where);
	c->linked = false;
}

const struct vd_chan_kind vd_chan_pty = {
	.name = "pty",
	.form = "pty[:LINK]",
	.how = VD_CHAN_TTY,
	.parse = parse_pty,
	.open = pty_open,
	.again = vd_chan_nothing,
	.said_all = pty_said_all,
	.gone = pty_gone,
	.rotate = vd_chan_nothing,
	.close = pty_close,
};

/* ---- tty ------------------------------------------------------------------------------------- */

static const struct {
	uint32_t baud;
	speed_t speed;
} bauds[] = {
	{ 1200, B1200 },       { 2400, B2400 },       { 4800, B4800 },       { 9600, B9600 },
	{ 19200, B19200 },     { 38400, B38400 },     { 57600, B57600 },     { 115200, B115200 },
	{ 230400, B230400 },   { 460800, B460800 },   { 921600, B921600 },   { 1000000, B1000000 },
	{ 1500000, B1500000 }, { 2000000, B2000000 }, { 3000000, B3000000 }, { 4000000, B4000000 },
};

static int parse_baud(struct vd_chan_addr *a, const char *text)
{
	uint64_t baud;

	if (!vd_number_parse(text, false, &baud))
		for (unsigned int i = 0; i < VD_ARRAY_SIZE(bauds); i++)
			if (bauds[i].baud == baud)
				a->baud = bauds[i].speed;
	return a->baud != B0
		       ? 0
		       : vd_err(-EINVAL, "address %s: \"%s\" is no usual speed, 1200 to 4000000",
				a->kind->form, text);
}

static int parse_tty(struct vd_chan_addr *a, const char *rest)
{
	size_t len = strcspn(rest, ":");
	int r = vd_chan_path(a, rest, len);

	return !r && rest[len] ? parse_baud(a, rest + len + 1) : r;
}

/* Somebody who comes and goes, as a plug does. Return: 0; -errno with a sentence. */
static int tty_try(struct vd_chan *c)
{
	const char *path = c->addr.path;
	int r, fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return vd_err(-errno, "%s: %m", path);
	if (!isatty(fd)) {
		r = vd_err(-ENOTTY, "%s is no terminal", path);
		goto err_close;
	}
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		r = vd_err(-EBUSY, "%s is used by somebody else", path);
		goto err_close;
	}
	c->restore = !tcgetattr(fd, &c->saved);
	r = vd_chan_raw(fd, c->addr.baud);
	if (r) {
		vd_err(r, "%s: %s", path, strerror(-r));
		goto err_close;
	}
	return vd_chan_came(c, fd, 0, true);

err_close:
	close(fd);
	return r;
}

static bool tty_may_come(const struct vd_chan *c, int err)
{
	return c->conf.reconnect_ms &&
	       (err == -ENOENT || err == -ENXIO || err == -ENODEV || err == -EIO);
}

static int tty_open(struct vd_chan *c)
{
	int r = tty_try(c);

	if (!r || !tty_may_come(c, r))
		return r;
	vd_chan_look_again(c);
	return 0;
}

static void tty_again(struct vd_chan *c)
{
	int r = tty_try(c);

	if (r && !tty_may_come(c, r))
		vd_chan_warn(c);
	if (r)
		vd_chan_look_again(c);
}

static void tty_close(struct vd_chan *c)
{
	if (c->fd >= 0 && c->restore)
		tcsetattr(c->fd, TCSANOW, &c->saved);
}

const struct vd_chan_kind vd_chan_tty = {
	.name = "tty",
	.form = "tty:PATH[:BAUD]",
	.how = VD_CHAN_TTY,
	.parse = parse_tty,
	.open = tty_open,
	.again = tty_again,
	.said_all = vd_chan_over,
	.gone = vd_chan_look_again,
	.rotate = vd_chan_nothing,
	.close = tty_close,
};
