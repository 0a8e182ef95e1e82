/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rng.c - "uvdpa rng": bytes of an entropy device, to standard output or to the kernel
 *
 * The device is used in this process, as "uvdpa blk" uses a disk: one of the daemon is bound to
 * vhost-user for us by then (see place.h), so its bytes come by a ring and not through the daemon.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/random.h>
#include <linux/virtio_ids.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uvdpa/rng.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/size.h"
#include "uvdpa/disk.h"

#define DEPTH    4u
#define CHUNK    65536u
#define FEED_MAX 4096u /* bytes that the kernel gets at once */
#define RATE_DEF 1024u
#define RATE_MAX (1u << 20)
#define POOL     "/dev/random"

struct user {
	struct place place;
	struct uvdpa *u;
	struct uvdpa_watch watch;
	struct uvdpa_dev *dev;
	struct uvdpa_wait wait;
	struct uvdpa_rng *rng;
	struct uvdpa_rng_req reqs[DEPTH];
	unsigned int out; /* of these, that are with the device */
	uint64_t left;    /* bytes that are still to be asked for */
	struct progress progress;
	int signals;
	int stop; /* the signal that came */
	bool lost;
};

/* ---- the device ----------------------------------------------------------------------------- */

static void event(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	struct user *s = container_of(w, struct user, watch);

	if (dev == s->dev &&
	    (ev == UVDPA_DEV_LOST || ev == UVDPA_DEV_REMOVED || ev == UVDPA_DEV_UNBOUND))
		s->lost = true;
}

/* Wait for something to happen. Return: 1 at @fd, too; 0 not there; -1 it was a signal. */
static int turn(struct user *s, int fd, short events, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = uvdpa_fd(s->u), .events = POLLIN },
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = fd, .events = events },
	};

	progress_show(&s->progress, vd_now_ns());
	if (timeout_ms < 0)
		timeout_ms = progress_wait_ms(&s->progress);
	if (poll(fds, VD_ARRAY_SIZE(fds), timeout_ms) < 0 && errno != EINTR)
		return print_error("poll: %s", strerror(errno));
	if (fds[0].revents)
		uvdpa_dispatch(s->u, 0);
	if (fds[1].revents && !s->stop)
		s->stop = signals_take(s->signals);
	return s->stop ? -1 : fds[2].revents != 0;
}

/* The same for whoever cannot go on without the device. */
static int look(struct user *s, int fd, short events, int timeout_ms)
{
	if (turn(s, fd, events, timeout_ms) < 0)
		return -1;
	return s->lost ? print_error("%s: the device is gone", s->place.word) : 0;
}

/* A file, a pipe or a generator of this host is the source of a device of ours. */
static int of_path(struct place *p)
{
	char *path = realpath(p->word, NULL);
	struct stat st;

	p->text = path;
	if (!path || stat(path, &st))
		return print_error("%s: %s", p->word, strerror(errno));
	if (S_ISSOCK(st.st_mode))
		return place_of_socket(p, path);
	p->mgmtdev = "rng";
	return place_add(p, "source", path);
}

static int find(struct place *p)
{
	const char *mark = strpbrk(p->word, ":/");
	bool far;
	int r;

	r = !mark ? place_of_name(p) : *mark == ':' ? place_of_options(p) : of_path(p);
	if (r)
		return r;
	far = !strcmp(p->mgmtdev, "vhost-user");
	if (far && !place_get(p, "device_id"))
		r = place_add(p, "device_id", p->type);
	/* To fail is better than to wait for a back-end that may never come back. */
	if (!r && far && !place_get(p, "reconnect"))
		r = place_add(p, "reconnect", "off");
	return r;
}

static int open_dev(struct user *s)
{
	struct place *p = &s->place;
	struct uvdpa_dev_opts o = { .size = sizeof(o) };
	int r = find(p);

	if (r)
		return r;
	o.name = o.mgmtdev = p->mgmtdev;
	o.attrs = p->attrs;
	o.nattrs = p->n;
	r = uvdpa_dev_add(s->u, &o, &s->dev, &s->wait);
	if (r && r != -EINPROGRESS)
		return print_error("%s: %s", p->word, uvdpa_error());
	while (s->wait.pending)
		if (look(s, -1, 0, -1))
			return -1;
	if (r && s->wait.err)
		return print_error("%s: %s", p->word, uvdpa_error());
	if (uvdpa_dev_info(s->dev)->device_id != VIRTIO_ID_RNG)
		return print_error("%s is no rng device", p->word);
	if (uvdpa_rng_open(s->dev, NULL, &s->rng))
		return print_error("%s: %s", p->word, uvdpa_error());
	return 0;
}

static int begin(struct user *s, const struct cmd *cmd, const char *word)
{
	*s = (struct user){
		.place = { .cmd = cmd, .word = word, .type = "rng" },
		.watch.event = event,
		.signals = signals_catch(),
	};
	if (s->signals < 0)
		return -1;
	s->progress.what = "waiting for the device";
	progress_begin(&s->progress, cmd);
	if (uvdpa_sigbus_guard() || uvdpa_create(&s->u))
		return print_error("%s", uvdpa_error());
	uvdpa_watch_add(s->u, &s->watch);
	return open_dev(s);
}

/* From here on there is an amount to tell. */
static void amount(struct user *s, uint64_t bytes)
{
	s->left = bytes;
	s->progress.what = NULL;
	s->progress.total = bytes == UINT64_MAX ? 0 : bytes;
}

/* The device is given back, whatever happened. */
static int end(struct user *s, int r)
{
	progress_end(&s->progress);
	uvdpa_rng_close(s->rng);
	if (s->u)
		uvdpa_watch_del(&s->watch);
	uvdpa_destroy(s->u);
	if (place_end(&s->place) && !r)
		r = -1;
	vd_close(&s->signals);
	return r;
}

/* Ask for @len bytes, at most; not if the ring is full of what was asked for before. */
static int ask(struct user *s, struct uvdpa_rng_req *req, size_t len)
{
	int r;

	req->len = vd_min(len, s->left);
	if (!req->len)
		return 0;
	r = uvdpa_rng_submit(s->rng, &req, 1);
	if (!r && s->out)
		return 0;
	if (r < 1)
		return print_error("%s: %s", s->place.word, strerror(r ? -r : ENOBUFS));
	s->left -= req->len;
	s->out++;
	return 0;
}

/* The next that is back, its bytes in res; NULL: it is over. */
static struct uvdpa_rng_req *answer(struct user *s)
{
	struct uvdpa_rng_req *req;

	while (!uvdpa_rng_poll(s->rng, &req, 1))
		if (look(s, uvdpa_rng_fd(s->rng), POLLIN, uvdpa_rng_arm(s->rng) ? 0 : -1))
			return NULL;
	s->out--;
	if (req->res < 0) {
		print_error("%s: %s", s->place.word, strerror((int)-req->res));
		return NULL;
	}
	s->left += req->len - (size_t)req->res;
	return req;
}

/* "BYTES", if the word is one. Return: whether. */
static bool is_number(const char *word)
{
	return word && *word >= '0' && *word <= '9';
}

static int read_bytes(const char *word, uint64_t *ret)
{
	if (vd_number_parse(word, true, ret) || !*ret || *ret == UINT64_MAX)
		return print_error("\"%s\" is not a number of bytes", word);
	return 0;
}

/* ---- read ----------------------------------------------------------------------------------- */

/* A pipe with room for a page takes that without blocking, so a signal is never kept waiting. */
static int write_out(struct user *s, const char *p, size_t len)
{
	while (len) {
		ssize_t n;
		int r = turn(s, STDOUT_FILENO, POLLOUT, -1);

		if (r < 0)
			return -1;
		if (!r)
			continue;
		n = write(STDOUT_FILENO, p, vd_min(len, 4096u));
		if (n < 0 && errno == EPIPE) {
			s->stop = SIGPIPE; /* as other programs end */
			return -1;
		}
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return print_error("standard output: %s", strerror(errno));
		p += vd_max(n, 0);
		len -= (size_t)vd_max(n, 0);
	}
	return 0;
}

static int read_on(struct user *s)
{
	char *mem = uvdpa_rng_alloc(s->rng, (size_t)DEPTH * CHUNK);
	struct uvdpa_rng_req *req;

	if (!mem)
		return print_error("%s: %s", s->place.word, uvdpa_error());
	for (unsigned int i = 0; i < DEPTH; i++) {
		s->reqs[i].buf = mem + (size_t)i * CHUNK;
		if (ask(s, &s->reqs[i], CHUNK))
			return -1;
	}
	while (s->out) {
		req = answer(s);
		if (!req || write_out(s, req->buf, (size_t)req->res) || ask(s, req, CHUNK))
			return -1;
		s->progress.at += (uint64_t)req->res;
	}
	return 0;
}

static int rng_read(const struct cmd *cmd, int argc, char **argv)
{
	uint64_t bytes = UINT64_MAX;
	struct user s;
	int r;

	if (argc == 2 && read_bytes(argv[1], &bytes))
		return -1;
	r = begin(&s, cmd, argv[0]);
	amount(&s, bytes);
	if (isatty(STDOUT_FILENO)) /* it would stand between the bytes */
		s.progress.on = false;
	if (!r)
		r = read_on(&s);
	r = end(&s, r);
	if (s.stop == SIGPIPE)
		signal(SIGPIPE, SIG_DFL);
	if (s.stop) /* a shell wants to see it, to end its own loop */
		raise(s.stop);
	return r;
}

/* ---- feed ----------------------------------------------------------------------------------- */

struct feed {
	uint64_t credit, rate; /* bits of each byte; bytes in a second */
	uint64_t bytes;        /* so far */
	int pool;
};

/* Without credit anybody may: it is mixed in, and counts for nothing. */
static int give(struct user *s, struct feed *f, const void *bytes, size_t len)
{
	uint32_t words[sizeof(struct rand_pool_info) / 4 + FEED_MAX / 4];
	struct rand_pool_info *info = (struct rand_pool_info *)words;
	ssize_t r;

	memcpy(info->buf, bytes, len);
	info->buf_size = (int)len;
	info->entropy_count = (int)(len * f->credit);
	if (f->credit)
		r = ioctl(f->pool, RNDADDENTROPY, info);
	else
		r = write(f->pool, info->buf, len) == (ssize_t)len ? 0 : -1;
	explicit_bzero(words, sizeof(words));
	if (r && errno == EPERM)
		return print_error(POOL ": credit is for who has CAP_SYS_ADMIN; without \"credit\" "
					"bytes are mixed in and count for nothing");
	if (r)
		return print_error(POOL ": %s", strerror(errno));
	f->bytes += len;
	s->progress.at = f->bytes;
	return 0;
}

static int pause_until(struct user *s, uint64_t due_ns)
{
	for (;;) {
		uint64_t now = vd_now_ns();

		if (now >= due_ns)
			return 0;
		if (look(s, -1, 0, (int)vd_min((due_ns - now + 999999) / 1000000, 1000u)))
			return -1;
	}
}

static int feed_on(struct user *s, struct feed *f)
{
	size_t step = vd_min(vd_min(vd_max(f->rate / 100, 64u), f->rate), FEED_MAX);
	struct uvdpa_rng_req *req = &s->reqs[0];
	uint64_t due_ns = vd_now_ns();

	req->buf = uvdpa_rng_alloc(s->rng, FEED_MAX);
	if (!req->buf)
		return print_error("%s: %s", s->place.word, uvdpa_error());
	while (s->left) {
		if (ask(s, req, step) || !answer(s) || give(s, f, req->buf, (size_t)req->res))
			return -1;
		/* A source that was slow has used its time up. */
		due_ns = vd_max(due_ns, vd_now_ns()) + (uint64_t)req->res * 1000000000u / f->rate;
		if (s->left && pause_until(s, due_ns))
			return -1;
	}
	return 0;
}

static int feed_begin(struct user *s, struct feed *f)
{
	if (f->credit && (s->place.fixed || place_get(&s->place, "seed")))
		return print_error("%s: its bytes are not random, and worth no credit",
				   s->place.word);
	f->pool = open(POOL, O_WRONLY | O_CLOEXEC);
	return f->pool < 0 ? print_error(POOL ": %s", strerror(errno)) : 0;
}

static int rng_feed(const struct cmd *cmd, int argc, char **argv)
{
	struct feed f = { .rate = RATE_DEF, .pool = -1 };
	const struct blk_opt table[] = {
		{ .key = "credit", .type = BLK_OPT_NUM, .to = &f.credit, .max = 8 },
		{ .key = "rate", .type = BLK_OPT_SIZE, .to = &f.rate, .min = 1, .max = RATE_MAX },
		{ 0 },
	};
	uint64_t bytes = UINT64_MAX;
	struct json_object *o;
	int counted, r;
	struct user s;

	counted = argc > 1 && is_number(argv[1]);
	if ((counted && read_bytes(argv[1], &bytes)) ||
	    blk_opts(table, argc - 1 - counted, argv + 1 + counted))
		return -1;
	r = begin(&s, cmd, argv[0]);
	amount(&s, bytes);
	if (!r)
		r = feed_begin(&s, &f);
	if (!r)
		r = feed_on(&s, &f);
	vd_close(&f.pool);
	if (s.stop && f.bytes) /* that is how it ends */
		r = 0;
	r = end(&s, r);
	if (r)
		return r;
	o = json_object_new_object();
	json_object_object_add(o, "bytes", json_object_new_uint64(f.bytes));
	json_object_object_add(o, "credited_bits", json_object_new_uint64(f.bytes * f.credit));
	blk_result(cmd, "fed", argv[0], o, PRINT_LINE);
	return 0;
}

/* ---- the words ------------------------------------------------------------------------------ */

const struct cmd_verb rng_verbs[] = {
	{ .name = "read",
	  .args = "DEV [ BYTES ]",
	  .help = "random bytes to standard output",
	  .fn = rng_read },
	{ .name = "feed",
	  .args = "DEV [ BYTES ] [ credit BITS ] [ rate SIZE ]",
	  .help = "random bytes to the kernel",
	  .fn = rng_feed },
	{ 0 },
};

const char rng_note[] =
	"DEV is  NAME                           a device of the daemon\n"
	"        PATH, with a slash             the socket of a back-end, a file, a generator\n"
	"        MGMTDEV:KEY=VALUE,...          made here; \"uvdpa mgmtdev help MGMTDEV\"\n";
