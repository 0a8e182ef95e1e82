/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk-disk.c - a disk by its word, wherever it is
 *
 *	./a.img, /dev/sdb	-> blk:image=...		made in this process
 *	/run/d0.sock		-> vhost-user:socket=...	a back-end's
 *	nbd:uri=..., d0		-> see place.h
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/virtio_ids.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/loop.h"
#include "uvdpa/disk.h"

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

static int disk_end(struct disk *d, bool failed)
{
	int r = place_end(&d->place);

	if (failed && d->created)
		unlink(d->created);
	vd_close(&d->fd);
	free(d->created);
	free(d);
	return r;
}

int session_end(struct session *s, int r)
{
	const bool failed = r < 0;

	for (unsigned int i = 0; i < s->ndisks; i++)
		uvdpa_blk_close(s->disks[i]->blk);
	if (s->u)
		uvdpa_watch_del(&s->watch);
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

static int make_of_path(struct disk *d, const struct disk_want *want)
{
	struct stat st;

	d->place.mgmtdev = "blk";
	if (stat(d->word, &st)) {
		if (errno != ENOENT || !want->create)
			return print_error("%s: %s", d->word, strerror(errno));
		if (create_file(d, want->create))
			return -1;
	} else if (S_ISSOCK(st.st_mode)) {
		return place_of_socket(&d->place, d->word);
	}
	return place_add(&d->place, "image", d->word);
}

/* ---- open ---------------------------------------------------------------------------------- */

static bool takes(const struct uvdpa_opt *table, const char *key)
{
	for (; table && table->key; table++)
		if (!strcmp(table->key, key))
			return true;
	return false;
}

static bool may_write(const struct place *p)
{
	const char *image = place_get(p, "image");

	return !image || !access(image, W_OK);
}

/* What the user did not say, as the use wants it. */
static int fill_in(struct disk *d, const struct disk_want *want)
{
	struct place *p = &d->place;
	const struct uvdpa_opt *table = words_parent_opts(d->s->u, p->mgmtdev);
	bool back_end = !strcmp(p->mgmtdev, "vhost-user");
	int r = 0;

	if (!want->write && takes(table, "readonly") && !place_get(p, "readonly") &&
	    !(want->as_is && may_write(p)))
		r = place_add(p, "readonly", "on");
	/* To fail is better than to wait for a back-end that may never come back. */
	if (!r && back_end && !place_get(p, "reconnect"))
		r = place_add(p, "reconnect", "off");
	if (!r && !back_end && want->queues > 1 && takes(table, "num_queues") &&
	    !place_get(p, "num_queues")) {
		snprintf(d->queues, sizeof(d->queues), "%u", want->queues);
		r = place_add(p, "num_queues", d->queues);
	}
	return r;
}

/* The holes of a regular file say what need not be read or written. */
static void look_at_file(struct disk *d)
{
	const struct place *p = &d->place;
	const char *image = strcmp(p->mgmtdev, "blk") ? NULL : place_get(p, "image");
	struct stat st;

	if (image)
		d->fd = open(image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (d->fd >= 0 && (fstat(d->fd, &st) || !S_ISREG(st.st_mode)))
		vd_close(&d->fd);
}

static int wait_for(struct disk *d)
{
	struct progress progress = { .what = "waiting for the disk" };
	int r = 0;

	progress_begin(&progress, d->s->cmd);
	while (!r && d->wait.pending) {
		progress_show(&progress, vd_now_ns());
		r = session_look(d->s, progress_wait_ms(&progress));
	}
	progress_end(&progress);
	return r;
}

static int add_dev(struct disk *d)
{
	const struct place *p = &d->place;
	char name[UVDPA_NAME_MAX + 1];
	struct uvdpa_dev_opts o = {
		.size = sizeof(o), .name = name, .mgmtdev = p->mgmtdev,
		.attrs = p->attrs, .nattrs = p->n,
	};
	int r;

	snprintf(name, sizeof(name), d->s->ndisks > 1 ? "%s-%u" : "%s", p->mgmtdev, d->s->ndisks);
	r = uvdpa_dev_add(d->s->u, &o, &d->dev, &d->wait);
	if (r && r != -EINPROGRESS)
		return print_error("%s: %s", d->word, uvdpa_error());
	if (wait_for(d))
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

/* Is there one of this word? What is made by options is another each time. */
static bool is_open(const struct session *s, const char *word)
{
	for (unsigned int i = 0; i < s->ndisks; i++)
		if (!strcmp(s->disks[i]->word, word))
			return true;
	return false;
}

int disk_open(struct session *s, const char *word, const struct disk_want *want,
	      struct disk **ret_d)
{
	const char *mark = strpbrk(word, ":/");
	bool made = mark && *mark == ':', twice = !made && is_open(s, word);
	struct disk *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return print_error("no memory");
	d->s = s;
	d->word = word;
	d->place = (struct place){ .cmd = s->cmd, .word = word, .type = "block" };
	d->fd = -1;
	s->disks[s->ndisks++] = d;
	if (twice)
		r = print_error("%s twice is one disk, not two", word);
	else if (!mark)
		r = place_of_name(&d->place);
	else if (made)
		r = place_of_options(&d->place);
	else
		r = make_of_path(d, want);
	if (!r)
		r = fill_in(d, want);
	if (!r)
		r = add_dev(d);
	if (!r)
		r = open_blk(d, want);
	if (!r)
		look_at_file(d);
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
