/* SPDX-License-Identifier: BSD-2-Clause */
#include "uvdpad/state.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "uvdpad/provision.h"

/* ---- the file; in a thread of its own ------------------------------------------------------- */

static int write_all(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left) {
		ssize_t n = write(fd, text, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		text += n;
		left -= (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

/* The name of a file is in its folder. */
static int sync_folder(const char *path)
{
	char *copy = strdup(path);
	vd_cleanup(vd_closep) int fd =
		copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int r = fd < 0 || fsync(fd) ? -errno : 0;

	free(copy);
	return r;
}

/* Return: what @path leads to, for free(): a link stays a link. */
static char *file_of(const char *path)
{
	char *file = realpath(path, NULL);

	return file ? file : strdup(path);
}

static int replace(const char *path, const char *text)
{
	char *temporary;
	int fd, r;

	if (asprintf(&temporary, "%s.new", path) < 0)
		return vd_err(-ENOMEM, "no memory");
	unlink(temporary); /* a killed daemon's */
	/* Options may hold what others shall not read. */
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : write_all(fd, text);
	if (fd >= 0 && close(fd) && !r)
		r = -errno;
	if (!r && rename(temporary, path))
		r = -errno;
	if (r && fd >= 0)
		unlink(temporary);
	if (!r)
		r = sync_folder(path);
	free(temporary);
	errno = -r;
	return r ? vd_err(r, "%s: %m", path) : 0;
}

/* Lock @fd, for @path. */
static int take(const char *path, int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (!fcntl(fd, F_SETLK, &l))
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return vd_err(-errno, "%s: lock: %m", path);
	if (!fcntl(fd, F_GETLK, &l) && l.l_type != F_UNLCK && l.l_pid > 0)
		return vd_err(-EBUSY, "%s: another daemon keeps its state there, process %d", path,
			      (int)l.l_pid);
	return vd_err(-EBUSY, "%s: another daemon keeps its state there", path);
}

int state_lock(struct state *s)
{
	char *file, *name = NULL;
	int fd, r;

	if (s->lock_fd)
		return 0;
	file = file_of(s->path);
	r = file ? asprintf(&name, "%s.lock", file) : -1;
	free(file);
	if (r < 0)
		return vd_err(-ENOMEM, "no memory");
	fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = fd < 0 ? vd_err(-errno, "%s: %m", name) : take(s->path, fd);
	free(name);
	if (r)
		vd_close(&fd);
	else
		s->lock_fd = fd;
	return r;
}

static int write_file(struct state *s)
{
	char *file;
	int r = state_lock(s);

	if (r)
		return r;
	file = file_of(s->path);
	r = file ? replace(file, s->text) : vd_err(-ENOMEM, "no memory");
	free(file);
	return r;
}

static void *thread(void *arg)
{
	struct state *s = arg;

	s->result = write_file(s);
	snprintf(s->sentence, sizeof(s->sentence), "%s", s->result ? vd_err_text() : "");
	vd_loop_post(s->loop, &s->post);
	eventfd_write(s->end_fd, 1);
	return NULL;
}

/* ---- control thread ------------------------------------------------------------------------- */

static char *text_now(struct state *s)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	bool failed;

	if (!f)
		return NULL;
	fputs("# The devices that clients of uvdpad have made. Written at each change: edit it "
	      "while no daemon runs.\n", f);
	provision_put(s->provision, f);
	failed = ferror(f);
	if (fclose(f) || failed) {
		free(text);
		return NULL;
	}
	return text;
}

static void again(struct state *s, uint64_t ms)
{
	s->dirty = true;
	if (!s->timer.armed)
		vd_timer_set(s->loop, &s->timer, ms);
}

/* Say it once, until it is another or over. */
static void ended(struct state *s)
{
	eventfd_t n;

	pthread_join(s->thread, NULL);
	eventfd_read(s->end_fd, &n);
	s->busy = false;
	if (s->result && s->result != s->err)
		vd_log_error(s->log, NULL, "the state is not written: %s", s->sentence);
	else if (!s->result && s->err)
		vd_log_warn(s->log, NULL, "%s: the state is written again", s->path);
	s->err = s->result;
	if (!s->err)
		return;
	free(s->text); /* which is nowhere */
	s->text = NULL;
}

static void write_now(struct state *s)
{
	char *text = text_now(s);
	int r;

	if (text && s->text && !strcmp(text, s->text)) {
		free(text);
		s->dirty = false;
		return;
	}
	if (text) {
		free(s->text);
		s->text = text;
	}
	r = text ? pthread_create(&s->thread, NULL, thread, s) : ENOMEM;
	if (!r) {
		s->busy = true;
		s->dirty = false;
		return;
	}
	vd_log_error(s->log, NULL, "the state is not written: %s", strerror(r));
	free(s->text);
	s->text = NULL;
	again(s, STATE_RETRY_MS);
}

static void on_timer(struct vd_timer *t)
{
	struct state *s = container_of(t, struct state, timer);

	if (!s->busy && s->dirty)
		write_now(s);
}

static void on_end(struct vd_post *p)
{
	struct state *s = container_of(p, struct state, post);

	if (!s->busy)
		return;
	ended(s);
	if (s->err)
		again(s, STATE_RETRY_MS);
	else if (s->dirty)
		again(s, STATE_MS);
}

static void on_event(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	(void)dev;
	if (ev != UVDPA_DEV_STATUS && ev != UVDPA_DEV_CONFIG && ev != UVDPA_DEV_LOST)
		again(container_of(w, struct state, watch), STATE_MS);
}

void state_changed(struct state *s)
{
	again(s, STATE_MS);
}

int state_check(const char *path, const char *config)
{
	struct stat st, other;

	if (stat(path, &st)) {
		if (errno == ENOENT && !lstat(path, &st))
			return vd_err(-EINVAL, "%s: a link to a file that is not there", path);
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return vd_err(-EINVAL, "%s: not a regular file, as the state is", path);
	if (!stat(config, &other) && other.st_dev == st.st_dev && other.st_ino == st.st_ino)
		return vd_err(-EINVAL, "%s: the configuration cannot be the state, too", path);
	return 0;
}

int state_start(struct state *s)
{
	s->end_fd = vd_eventfd();
	if (s->end_fd < 0)
		return s->end_fd;
	s->post.fn = on_end;
	s->timer.fn = on_timer;
	s->watch.event = on_event;
	uvdpa_watch_add(s->u, &s->watch);
	again(s, STATE_MS); /* so that who cannot write it hears so at once */
	return 0;
}

/* Return: whether the thread has ended. */
static bool wait_end(struct state *s)
{
	struct pollfd p = { .fd = s->end_fd, .events = POLLIN };

	if (s->busy && poll(&p, 1, STATE_END_MS) > 0)
		ended(s);
	return !s->busy;
}

void state_stop(struct state *s)
{
	if (!s->watch.event)
		return;
	uvdpa_watch_del(&s->watch);
	vd_timer_del(s->loop, &s->timer);
	if ((s->dirty || s->busy) && wait_end(s))
		write_now(s);
}

static void unlock(struct state *s)
{
	if (s->lock_fd)
		vd_close(&s->lock_fd);
}

void state_fini(struct state *s)
{
	if (!s->watch.event) {
		unlock(s);
		return;
	}
	if (!wait_end(s)) {
		vd_log_error(s->log, NULL, "%s: the last changes are not written after %d ms",
			     s->path, STATE_END_MS);
		return; /* the thread may still use all of it */
	}
	vd_post_del(s->loop, &s->post);
	vd_close(&s->end_fd);
	free(s->text);
	unlock(s);
}
