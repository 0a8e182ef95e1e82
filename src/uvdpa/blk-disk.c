/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-disk.c - a disk by its word, wherever it is
 *
 *	./a.img, /dev/sdb	-> blk:image=...		made in this process
 *	/run/d0.sock		-> vhost-user:socket=...	a back-end's
 *	nbd:uri=...		-> as it says
 *	d0			-> bound to vhost-user by the daemon on a socket of ours, which is
 *				   vhost-user:socket=... then; unbound at the end
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <linux/virtio_ids.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "uvdpa/disk.h"

#define ATTRS_MAX 32u

/* What is told to a parent. The strings are in @text, or those of who filled it. */
struct make {
	const char *mgmtdev;
	struct uvdpa_attr attrs[ATTRS_MAX];
	unsigned int n;
	char *text;
	char queues[16];
};

/* ---- the session -------------------------------------------------------------------------- */

static void event(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	struct session *s = container_of(w, struct session, watch);

	for (unsigned int i = 0; i < s->ndisks; i++)
		if (s->disks[i]->dev == dev && (ev == UVDPA_DEV_LOST || ev == UVDPA_DEV_REMOVED ||
						ev == UVDPA_DEV_UNBOUND))
			s->disks[i]->lost = true;
}

int session_begin(struct session *s, const struct cmd *cmd)
{
	*s = (struct session){ .cmd = cmd, .signals = signals_catch(), .watch.event = event };
	if (s->signals < 0)
		return -1;
	if (uvdpa_sigbus_guard() || uvdpa_create(&s->u))
		return print_error("%s", uvdpa_error());
	uvdpa_watch_add(s->u, &s->watch);
	return 0;
}

/* {WHAT: {NAME: O}}. Return: a string of O, or NULL. */
static const char *find_str(struct json_object *result, const char *what, const char *name,
			    const char *key)
{
	struct json_object *o;

	return json_object_object_get_ex(result, what, &o) &&
			       json_object_object_get_ex(o, name, &o) &&
			       json_object_object_get_ex(o, key, &o)
		       ? json_object_get_string(o)
		       : NULL;
}

/*
 * Somebody may have bound it to something else meanwhile: that stays. A daemon that is gone may have
 * left its socket.
 */
static int unbind(struct disk *d)
{
	struct json_object *result;
	const char *path;
	int r = client_call(d->s->cmd, "dev.describe", words_param("name", d->word), &result);

	if (!r) {
		path = find_str(result, "describe", d->word, "socket");
		if (path && !strcmp(path, d->bound))
			r = client_do(d->s->cmd, "dev.unbind", words_param("name", d->word));
		json_object_put(result);
	}
	if (r)
		unlink(d->bound);
	return r;
}

static int disk_end(struct disk *d, bool failed)
{
	int r = d->bound ? unbind(d) : 0;

	if (failed && d->created)
		unlink(d->created);
	vd_close(&d->fd);
	free(d->created);
	free(d->bound);
	free(d);
	return r;
}

int session_end(struct session *s, int r)
{
	const bool failed = r < 0;

	for (unsigned int i = 0; i < s->ndisks; i++)
		uvdpa_blk_close(s->disks[i]->blk);
	if (s->u)
		uvdpa_watch_del(s->u, &s->watch);
	uvdpa_destroy(s->u);
	/* What was done before counts as done, whatever becomes of this. */
	for (unsigned int i = 0; i < s->ndisks; i++)
		if (disk_end(s->disks[i], failed) && !r)
			r = -1;
	vd_close(&s->signals);
	if (s->stop)	/* a shell wants to see it, to end its own loop */
		raise(s->stop);
	return r;
}

int session_look(struct session *s, int timeout_ms)
{
	struct pollfd fds[2 + BLK_DISKS_MAX] = {
		{ .fd = uvdpa_fd(s->u), .events = POLLIN },
		{ .fd = s->signals, .events = POLLIN },
	};
	nfds_t n = 2;

	for (unsigned int i = 0; i < s->ndisks && timeout_ms; i++) {
		struct disk *d = s->disks[i];

		if (!d->busy)
			continue;
		if (uvdpa_blkq_arm(d->q))
			timeout_ms = 0;
		fds[n++] = (struct pollfd){ .fd = uvdpa_blkq_fd(d->q), .events = POLLIN };
	}
	if (poll(fds, n, timeout_ms) < 0 && errno != EINTR)
		return print_error("poll: %s", strerror(errno));
	if (fds[0].revents)
		uvdpa_dispatch(s->u, 0);
	if (fds[1].revents && !s->stop)
		s->stop = signals_take(s->signals);
	if (s->stop)
		return print_error("interrupted");
	for (unsigned int i = 0; i < s->ndisks; i++)
		if (s->disks[i]->lost)
			return print_error("%s: the device is gone", s->disks[i]->word);
	return 0;
}

/* ---- from a word to what a parent is told --------------------------------------------------- */

static int add_attr(struct make *m, const char *word, const char *key, const char *value)
{
	if (m->n == ATTRS_MAX)
		return print_error("%s: more than %u options", word, ATTRS_MAX);
	m->attrs[m->n++] = (struct uvdpa_attr){ key, value };
	return 0;
}

/* NULL: it was not given. */
static const char *get_attr(const struct make *m, const char *key)
{
	for (unsigned int i = 0; i < m->n; i++)
		if (!strcmp(m->attrs[i].key, key))
			return m->attrs[i].value;
	return NULL;
}

/* Cut at the next comma; two are one that belongs to the value. Return: what follows, or NULL. */
static char *cut(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == ',' && *++s != ',') {
			*to = '\0';
			return s;
		}
		*to++ = *s;
	}
	*to = '\0';
	return NULL;
}

/* MGMTDEV:KEY=VALUE,... */
static int make_of_options(struct disk *d, struct make *m)
{
	char *s, *next, *eq;

	m->text = strdup(d->word);
	if (!m->text)
		return print_error("no memory");
	m->mgmtdev = m->text;
	s = strchr(m->text, ':');
	for (*s++ = '\0'; s && *s; s = next) {
		next = cut(s);
		eq = strchr(s, '=');
		if (!eq || eq == s)
			return print_error("%s: \"%s\" is not KEY=VALUE", d->word, s);
		*eq = '\0';
		if (add_attr(m, d->word, s, eq + 1))
			return -1;
	}
	return 0;
}

static int create_file(struct disk *d, uint64_t size)
{
	vd_cleanup(vd_closep) int fd = -1;

	if (size > INT64_MAX)
		return print_error("%s: a file of %" PRIu64 " bytes", d->word, size);
	d->created = strdup(d->word);
	if (!d->created)
		return print_error("no memory");
	fd = open(d->word, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0) {
		free(d->created);
		d->created = NULL;
		return print_error("%s: %s", d->word, strerror(errno));
	}
	return ftruncate(fd, (off_t)size) ? print_error("%s: %s", d->word, strerror(errno)) : 0;
}

static int make_of_path(struct disk *d, const struct disk_want *want, struct make *m)
{
	struct stat st;

	m->mgmtdev = "blk";
	if (stat(d->word, &st)) {
		if (errno != ENOENT || !want->create)
			return print_error("%s: %s", d->word, strerror(errno));
		if (create_file(d, want->create))
			return -1;
	} else if (S_ISSOCK(st.st_mode)) {
		m->mgmtdev = "vhost-user";
		return add_attr(m, d->word, "socket", d->word);
	}
	return add_attr(m, d->word, "image", d->word);
}

/* ---- a device of the daemon ------------------------------------------------------------------ */

/* Beside the daemon's own socket: that folder is the same for both. The caller's. */
static char *socket_path(struct disk *d)
{
	char *control = realpath(d->s->cmd->socket, NULL), *path;

	if (!control || asprintf(&path, "%s/%s.%d.sock", dirname(control), d->word,
				 (int)getpid()) < 0)
		path = NULL;
	free(control);
	return path;
}

static int bind_it(struct disk *d, const char *path)
{
	struct json_object *params = words_param("name", d->word);

	json_object_object_add(params, "driver", json_object_new_string("vhost-user"));
	json_object_object_add(params, "attrs", words_param("socket", path));
	if (client_do(d->s->cmd, "dev.bind", params))
		return -1;
	d->bound = strdup(path);
	return d->bound ? 0 : print_error("no memory");
}

/* It waits for a virtual machine, say; while none is there we can be its front-end. */
static int attach_to(struct disk *d, struct make *m)
{
	struct json_object *result;
	const char *path;

	if (client_call(d->s->cmd, "dev.describe", words_param("name", d->word), &result))
		return -1;
	path = find_str(result, "describe", d->word, "socket");
	m->text = path ? strdup(path) : NULL;
	json_object_put(result);
	return m->text ? 0 : print_error("%s: the daemon does not tell its socket", d->word);
}

static int has_it(struct disk *d, struct json_object *shown, struct make *m)
{
	const char *type = find_str(shown, "dev", d->word, "type");
	const char *driver = find_str(shown, "dev", d->word, "driver");
	const char *status = find_str(shown, "dev", d->word, "status");

	if (!type || strcmp(type, "block") != 0)
		return print_error("%s is no block device", d->word);
	if (!driver) {
		m->text = socket_path(d);
		return m->text ? bind_it(d, m->text) : print_error("%s: no memory", d->word);
	}
	if (strcmp(driver, "vhost-user") != 0)
		return print_error("%s is bound to %s; \"uvdpa dev unbind %s\" first", d->word,
				   driver, d->word);
	if (!status || strcmp(status, "[ ]") != 0)
		return print_error("%s is bound to vhost-user and in use by a front-end; end that "
				   "one, or \"uvdpa dev unbind %s\" first", d->word, d->word);
	return attach_to(d, m);
}

static int make_of_name(struct disk *d, struct make *m)
{
	struct json_object *shown;
	int r = client_call(d->s->cmd, "dev.show", words_param("name", d->word), &shown);

	if (r) {
		if (!access(d->word, F_OK))
			print_error("%s is a file here: a path has a slash, ./%s", d->word,
				    d->word);
		return r;
	}
	r = has_it(d, shown, m);
	json_object_put(shown);
	m->mgmtdev = "vhost-user";
	return r ? r : add_attr(m, d->word, "socket", m->text);
}

/* ---- open ---------------------------------------------------------------------------------- */

static bool takes(const struct uvdpa_opt *table, const char *key)
{
	for (; table && table->key; table++)
		if (!strcmp(table->key, key))
			return true;
	return false;
}

static bool may_write(const struct make *m)
{
	const char *image = get_attr(m, "image");

	return !image || !access(image, W_OK);
}

/* What the user did not say, as the use wants it. */
static int fill_in(struct disk *d, const struct disk_want *want, struct make *m)
{
	const struct uvdpa_opt *table = words_parent_opts(d->s->u, m->mgmtdev);
	bool back_end = !strcmp(m->mgmtdev, "vhost-user");
	int r = 0;

	if (!want->write && takes(table, "readonly") && !get_attr(m, "readonly") &&
	    !(want->as_is && may_write(m)))
		r = add_attr(m, d->word, "readonly", "on");
	/* To fail is better than to wait for a back-end that may never come back. */
	if (!r && back_end && !get_attr(m, "reconnect"))
		r = add_attr(m, d->word, "reconnect", "off");
	if (!r && !back_end && want->queues > 1 && takes(table, "num_queues") &&
	    !get_attr(m, "num_queues")) {
		snprintf(m->queues, sizeof(m->queues), "%u", want->queues);
		r = add_attr(m, d->word, "num_queues", m->queues);
	}
	return r;
}

/* The holes of a regular file say what need not be read or written. */
static void look_at_file(struct disk *d, const struct make *m)
{
	const char *image = strcmp(m->mgmtdev, "blk") ? NULL : get_attr(m, "image");
	struct stat st;

	if (image)
		d->fd = open(image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (d->fd >= 0 && (fstat(d->fd, &st) || !S_ISREG(st.st_mode)))
		vd_close(&d->fd);
}

static int add_dev(struct disk *d, const struct make *m)
{
	char name[UVDPA_NAME_MAX + 1];
	struct uvdpa_dev_opts o = {
		.size = sizeof(o), .name = name, .mgmtdev = m->mgmtdev,
		.attrs = m->attrs, .nattrs = m->n,
	};
	int r;

	snprintf(name, sizeof(name), d->s->ndisks > 1 ? "%s-%u" : "%s", m->mgmtdev, d->s->ndisks);
	r = uvdpa_dev_add(d->s->u, &o, &d->dev, &d->wait);
	if (r && r != -EINPROGRESS)
		return print_error("%s: %s", d->word, uvdpa_error());
	while (d->wait.pending)
		if (session_look(d->s, -1))
			return -1;
	if (r && d->wait.err)
		return print_error("%s: %s", d->word, uvdpa_error());
	if (uvdpa_dev_info(d->dev)->device_id != VIRTIO_ID_BLOCK)
		return print_error("%s is no block device", d->word);
	return 0;
}

static int open_blk(struct disk *d, const struct disk_want *want)
{
	struct uvdpa_blk_opts o = { .size = sizeof(o), .mem = want->mem, .queues = want->queues };

	if (uvdpa_blk_open(d->dev, &o, &d->blk))
		return print_error("%s: %s", d->word, uvdpa_error());
	d->info = uvdpa_blk_info(d->blk);
	d->q = uvdpa_blk_queue(d->blk, 0);
	d->size = d->info->capacity_sectors * UVDPA_BLK_SECTOR;
	if (want->write && d->info->readonly)
		return print_error("%s is read-only", d->word);
	return 0;
}

int disk_open(struct session *s, const char *word, const struct disk_want *want,
	      struct disk **ret_d)
{
	const char *mark = strpbrk(word, ":/");
	struct disk *d = calloc(1, sizeof(*d));
	struct make m = { 0 };
	int r;

	if (!d)
		return print_error("no memory");
	d->s = s;
	d->word = word;
	d->fd = -1;
	s->disks[s->ndisks++] = d;
	if (!mark)
		r = make_of_name(d, &m);
	else if (*mark == ':')
		r = make_of_options(d, &m);
	else
		r = make_of_path(d, want, &m);
	if (!r)
		r = fill_in(d, want, &m);
	if (!r)
		r = add_dev(d, &m);
	if (!r)
		r = open_blk(d, want);
	if (!r)
		look_at_file(d, &m);
	free(m.text);
	if (!r)
		*ret_d = d;
	return r;
}

uint64_t disk_hole(const struct disk *d, uint64_t off)
{
	off_t data;

	if (d->fd < 0 || off >= d->size)
		return 0;
	data = lseek(d->fd, (off_t)off, SEEK_DATA);
	if (data < 0)
		return errno == ENXIO ? d->size - off : 0;
	return vd_min((uint64_t)data, d->size) - off;
}

void *disk_alloc(struct disk *d, size_t len)
{
	void *p = uvdpa_blk_alloc(d->blk, len);

	if (!p)
		print_error("%s: %s", d->word, uvdpa_error());
	return p;
}
