/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fifo-window.c - a FIFO in memory that both sides share, with the registers that a TmFIFO has
 *
 *	0	magic, version, words of each FIFO
 *	0x100	registers from the card to the host		0x200	from the host to the card
 *	0x1000	words from the card to the host, then those from the host to the card
 *
 *	sender's	 put  start  ack  lwm		receiver's	 got  epoch  hwm
 *
 * There is nobody between the two who would take a word from a register, so a FIFO is a ring of
 *words, and the count of a TmFIFO is put - got. The watermarks say when the other side shall ring.
 *The bell is a named pipe beside the file, one for each side, which has it open for reading as long
 *as it lives: so it is known who is there, and when they have gone, however they went.
 *
 * Each begins with another epoch. The sender sees it, drops the message that it is in the middle
 *of, says where the next begins, and for which epoch; the receiver goes on from there.
 *
 * All of this is the other side's to write as well: each of our own counters is kept here, too, and
 *what is read is checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "mem/guest.h"
#include "mem/sigbus.h"
#include "parent/fifo-link.h"

#define MAGIC     "uvdpfifo"
#define VERSION   1u
#define DATA      0x1000u
#define WORDS_MIN 64u
#define WORDS_MAX (1u << 20)
#define RESERVE   16u /* a part of it is not for frames */

struct head {
	char magic[8];
	uint32_t version, words;
};
static_assert(sizeof(struct head) == 16, "the manual says so");

struct regs {
	uint64_t put, start, ack, lwm, none[4];
	uint64_t got, epoch, hwm, more[5];
};
static_assert(offsetof(struct regs, got) == 0x40 && sizeof(struct regs) == 0x80,
	      "the manual says so");

struct vd_fifo_window_map {
	struct vd_fifo_link *l;
	char path[PATH_MAX - 8], own[PATH_MAX], other[PATH_MAX]; /* the file, our bell, theirs */
	int fd;                                                  /* of the file, locked */
	int bell; /* the number stays, and what is behind it changes */
	int own_fd;
	uint8_t vd_guest *map;
	size_t len;
	uint32_t words;

	/* Control's. */
	int other_fd;
	struct vd_fd watch;
	struct vd_timer again;
	struct vd_post nonsense; /* the other side is to be left */

	unsigned int gen; /* atomic: odd: somebody is there */

	/* The link's thread's. */
	struct regs vd_guest *rx;
	unsigned int rx_gen;
	uint64_t epoch, start, got;
	bool live, sleeps;

	/* Of who has the turn. */
	struct regs vd_guest *tx;
	unsigned int tx_gen;
	uint64_t tx_epoch, put;
	bool waits;
};

static struct vd_loop *loop(const struct vd_fifo_window_map *w)
{
	return vd_ctx_loop(w->l->u);
}

static uint8_t vd_guest *data(const struct vd_fifo_window_map *w, bool from_card)
{
	return w->map + DATA + (from_card ? 0 : (size_t)w->words * VD_FIFO_WORD);
}

/* ---- who is there; control thread ----------------------------------------------------------- */

static void look_again(struct vd_fifo_window_map *w)
{
	if (w->l->conf.reconnect_ms)
		vd_timer_set(loop(w), &w->again, w->l->conf.reconnect_ms);
}

/* Return: 0; -ENXIO, -ENOENT nobody is there. */
static int look_for_other(struct vd_fifo_window_map *w)
{
	int fd = open(w->other, O_WRONLY | O_NONBLOCK | O_CLOEXEC), r;

	if (fd < 0)
		return vd_err(-errno, "link %s: open %s: %m", w->l->address, w->other);
	r = vd_fd_add(loop(w), &w->watch, fd, 0);
	if (r) {
		close(fd);
		return r;
	}
	w->other_fd = fd;
	dup3(fd, w->bell, O_CLOEXEC);
	__atomic_fetch_add(&w->gen, 1, __ATOMIC_RELEASE);
	vd_fifo_link_carrier(w->l, true);
	return 0;
}

static void other_gone(struct vd_fifo_window_map *w)
{
	int null;

	if (w->other_fd < 0)
		return;
	vd_fd_del(&w->watch);
	vd_close(&w->other_fd);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup3(null, w->bell, O_CLOEXEC);
	vd_close(&null);
	__atomic_fetch_add(&w->gen, 1, __ATOMIC_RELEASE);
	vd_fifo_link_carrier(w->l, false);
	look_again(w);
}

/* Nobody reads from their bell any more. */
static void watch_event(struct vd_fd *f, uint32_t events)
{
	(void)events;
	other_gone(container_of(f, struct vd_fifo_window_map, watch));
}

static void nonsense_post(struct vd_post *p)
{
	other_gone(container_of(p, struct vd_fifo_window_map, nonsense));
}

/* Who was here may have cut the file off, and it may be whole again: then what is mapped is not it
 * any more. Nobody looks there while nobody is there. */
static int map_again(struct vd_fifo_window_map *w)
{
	struct stat st;

	if (fstat(w->fd, &st) || (uint64_t)st.st_size < w->len)
		return -EINVAL;
	return mmap(vd_guest_expose(w->map), w->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		    w->fd, 0) == MAP_FAILED
		       ? -errno
		       : 0;
}

static void again_fired(struct vd_timer *t)
{
	struct vd_fifo_window_map *w = container_of(t, struct vd_fifo_window_map, again);

	if (map_again(w) || look_for_other(w))
		look_again(w);
}

/* ---- the file ------------------------------------------------------------------------------- */

static size_t size_of(uint32_t words)
{
	return DATA + 2 * (size_t)words * VD_FIFO_WORD;
}

/* It appears whole, or not at all. Return: 0, also if somebody else was first; -errno with a
 * sentence. */
static int make(const struct vd_fifo_window_map *w, uint32_t words, mode_t mode)
{
	const struct head h = { .magic = MAGIC,
				.version = htole32(VERSION),
				.words = htole32(words) };
	char tmp[PATH_MAX + 16];
	int r, fd;

	snprintf(tmp, sizeof(tmp), "%s.%d", w->path, (int)getpid());
	fd = open(tmp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return vd_err(-errno, "make window %s: %m", w->path);
	/* All of it now: a page for which there is no space would be lost later, without a word. */
	r = -posix_fallocate(fd, 0, (off_t)size_of(words));
	if (r)
		vd_err(r, "%s: %zu bytes: %s", w->path, size_of(words), strerror(-r));
	else if (fchmod(fd, mode) || pwrite(fd, &h, sizeof(h), 0) != sizeof(h) ||
		 (link(tmp, w->path) && errno != EEXIST))
		r = vd_err(-errno, "%s: %m", w->path);
	unlink(tmp);
	close(fd);
	return r;
}

static int check(struct vd_fifo_window_map *w)
{
	struct stat st;
	struct head h;

	if (fstat(w->fd, &st) || !S_ISREG(st.st_mode))
		return vd_err(-EINVAL, "%s: it is no file", w->path);
	if (pread(w->fd, &h, sizeof(h), 0) != sizeof(h) ||
	    memcmp(h.magic, MAGIC, sizeof(h.magic)) != 0)
		return vd_err(-EINVAL, "%s: it is no window", w->path);
	if (le32toh(h.version) != VERSION)
		return vd_err(-EINVAL, "%s: version %u of a window, %u is known", w->path,
			      le32toh(h.version), VERSION);
	w->words = le32toh(h.words);
	if (w->words < WORDS_MIN || w->words > WORDS_MAX || w->words & (w->words - 1) ||
	    (uint64_t)st.st_size < size_of(w->words))
		return vd_err(-EINVAL, "%s: %u words in a file of %lld bytes", w->path, w->words,
			      (long long)st.st_size);
	return 0;
}

static int lock_op(const struct vd_fifo_window_map *w, int op, enum vd_fifo_role role,
		   struct flock *ret_lock)
{
	*ret_lock = (struct flock){
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = role, .l_len = 1
	};
	return fcntl(w->fd, op, ret_lock);
}

static int open_file(struct vd_fifo_window_map *w, const struct vd_fifo_link_conf *c)
{
	struct flock lock;
	int r;

	w->fd = open(w->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (w->fd < 0 && errno == ENOENT) {
		r = make(w, c->words, c->mode);
		if (r)
			return r;
		w->fd = open(w->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	}
	if (w->fd < 0)
		return vd_err(-errno, "%s: %m", w->path);
	r = check(w);
	if (r)
		return r;
	if (lock_op(w, F_OFD_SETLK, c->role, &lock))
		return vd_err(-EBUSY, "%s: somebody is the %s already", w->path,
			      c->role == VD_FIFO_CARD ? "card" : "host");
	return 0;
}

static int map_file(struct vd_fifo_window_map *w, bool card)
{
	void *map;

	w->len = size_of(w->words);
	map = mmap(NULL, w->len, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
	if (map == MAP_FAILED)
		return vd_err(-errno, "%s: map %zu bytes: %m", w->path, w->len);
	vd_sigbus_add(map, w->len);
	w->map = vd_guest_wrap(uint8_t, map);
	w->tx = vd_guest_wrap(struct regs, w->map + (card ? 0x100 : 0x200));
	w->rx = vd_guest_wrap(struct regs, w->map + (card ? 0x200 : 0x100));
	w->put = vd_read64(&w->tx->put);
	w->epoch = vd_read64(&w->rx->epoch);
	return 0;
}

static int open_bell(struct vd_fifo_window_map *w, mode_t mode)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = 1 };
	bool made = !mkfifo(w->own, 0600);
	struct stat st;
	int fd;

	if (!made && errno != EEXIST)
		return vd_err(-errno, "%s: %m", w->own);
	/* For writing, too: so it never is at its end. */
	fd = open(w->own, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || !S_ISFIFO(st.st_mode)) {
		vd_close(&fd);
		return vd_err(-EEXIST, "%s: it is no named pipe", w->own);
	}
	w->own_fd = fd; /* and the pipe is ours to remove */
	if (made && fchmod(fd, mode))
		return vd_err(-errno, "%s: mode %03o: %m", w->own, mode);
	w->bell = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (w->bell < 0)
		return vd_err(-errno, "/dev/null: %m");
	if (epoll_ctl(w->l->epfd, EPOLL_CTL_ADD, w->own_fd, &ev))
		return vd_err(-errno, "%s: epoll: %m", w->own);
	return 0;
}

static void window_close(struct vd_fifo_link *l)
{
	struct vd_fifo_window_map *w = l->window;
	bool card = l->role == VD_FIFO_CARD;
	struct flock lock;

	vd_timer_del(loop(w), &w->again);
	vd_post_del(loop(w), &w->nonsense);
	vd_fd_del(&w->watch);
	if (w->own_fd >= 0)
		unlink(w->own);
	/* The last one takes it away. */
	if (w->map && !lock_op(w, F_OFD_GETLK, card ? VD_FIFO_HOST : VD_FIFO_CARD, &lock) &&
	    lock.l_type == F_UNLCK)
		unlink(w->path);
	if (w->map) {
		vd_sigbus_del(vd_guest_expose(w->map));
		munmap(vd_guest_expose(w->map), w->len);
	}
	vd_close(&w->other_fd);
	vd_close(&w->own_fd);
	vd_close(&w->bell);
	vd_close(&w->fd);
	free(w);
	l->window = NULL;
}

static int window_open(struct vd_fifo_link *l, const struct vd_fifo_link_conf *c)
{
	const char *path = c->address + strlen("window:");
	bool card = c->role == VD_FIFO_CARD;
	struct vd_fifo_window_map *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return vd_err(-ENOMEM, "link %s: no memory", c->address);
	l->window = w;
	w->l = l;
	w->fd = w->bell = w->own_fd = w->other_fd = -1;
	w->watch.fn = watch_event;
	w->again.fn = again_fired;
	w->nonsense.fn = nonsense_post;
	r = !*path || strlen(path) >= sizeof(w->path)
		    ? vd_err(-EINVAL, "link %s: window: and a path", c->address)
		    : 0;
	if (!r) {
		snprintf(w->path, sizeof(w->path), "%s", path);
		snprintf(w->own, sizeof(w->own), "%s.%s", w->path, card ? "card" : "host");
		snprintf(w->other, sizeof(w->other), "%s.%s", w->path, card ? "host" : "card");
		r = open_file(w, c);
	}
	if (!r)
		r = map_file(w, card);
	if (!r)
		r = open_bell(w, c->mode);
	if (!r) {
		/* Before anybody can see us: what is in the FIFO is not for us. */
		vd_write64_seq(&w->rx->epoch, ++w->epoch);
		r = look_for_other(w);
		if ((r == -ENOENT || r == -ENXIO) && c->reconnect_ms) {
			look_again(w);
			r = 0;
		}
	}
	if (r)
		window_close(l);
	return r;
}

static const char *window_where(const struct vd_fifo_link *l)
{
	return l->window->path;
}

/* ---- both threads --------------------------------------------------------------------------- */

static void ring(const struct vd_fifo_window_map *w)
{
	ssize_t n;

	do {
		n = write(w->bell, "", 1); /* if it is full they have something to read */
	} while (n < 0 && errno == EINTR);
}

/* Words of the ring from @at on. */
static void copy(struct vd_fifo_window_map *w, uint8_t vd_guest *ring, uint64_t at, uint8_t *b,
		 size_t len, bool in)
{
	size_t size = (size_t)w->words * VD_FIFO_WORD, off = (at & (w->words - 1)) * VD_FIFO_WORD;
	size_t first = vd_min(len, size - off);

	if (in) {
		vd_guest_write(ring + off, b, first);
		vd_guest_write(ring, b + first, len - first);
	} else {
		vd_guest_read(b, ring + off, first);
		vd_guest_read(b + first, ring, len - first);
	}
}

/* ---- the link's thread ---------------------------------------------------------------------- */

static bool is_up(unsigned int gen)
{
	return gen & 1;
}

static bool window_take(struct vd_fifo_link *l)
{
	struct vd_fifo_window_map *w = l->window;
	unsigned int gen = __atomic_load_n(&w->gen, __ATOMIC_ACQUIRE);

	if (gen != w->rx_gen) {
		w->rx_gen = gen;
		w->live = w->sleeps = false;
		vd_write64_seq(&w->rx->epoch, ++w->epoch);
		ring(w);
		return true;
	}
	/* The sender has begun once more, for the same epoch: it is another one. */
	if (w->live && vd_read64(&w->rx->start) != w->start) {
		w->live = false;
		return true;
	}
	return false;
}

static void window_listen(struct vd_fifo_link *l, bool more)
{
	(void)l, (void)more; /* who does not ask is not rung for */
}

static bool window_event(struct vd_fifo_link *l, uint32_t events)
{
	uint8_t junk[256];

	(void)events;
	while (read(l->window->own_fd, junk, sizeof(junk)) == sizeof(junk))
		continue;
	return true;
}

/* So many words are read. */
static void set_got(struct vd_fifo_window_map *w, uint64_t got, uint64_t left)
{
	uint64_t lwm;

	w->got = got;
	/* Sequentially consistent, both: either we see that it waits, or it sees that there is
	 * room. */
	vd_write64_seq(&w->rx->got, got);
	lwm = vd_read64_seq(&w->rx->lwm);
	if (lwm && left <= lwm)
		ring(w);
}

static void sleep_on_it(struct vd_fifo_window_map *w, bool sleeps)
{
	w->sleeps = sleeps;
	vd_write64_seq(&w->rx->hwm, sleeps);
}

static ssize_t window_read(struct vd_fifo_link *l, uint8_t *to, size_t len)
{
	struct vd_fifo_window_map *w = l->window;
	unsigned int missed;
	uint64_t there;

	if (!is_up(w->rx_gen))
		return -EAGAIN;
	if (!w->sleeps)
		sleep_on_it(w, true); /* to be rung for whatever comes from now on */
	if (!w->live) {
		if (vd_read64_acquire(&w->rx->ack) != w->epoch)
			return -EAGAIN;
		w->start = vd_read64(&w->rx->start);
		w->live = true;
		set_got(w, w->start, 0);
	}
	there = vd_read64_seq(&w->rx->put) - w->got;
	if (there > w->words) {
		if (vd_ratelimit_ok(&l->rl, &missed))
			vd_log_warn(vd_ctx_log(l->u), l->address, "%llu words in a FIFO of %u",
				    (unsigned long long)there, w->words);
		return 0;
	}
	if (!there)
		return -EAGAIN;
	sleep_on_it(w, false);
	there = vd_min(there, len / VD_FIFO_WORD);
	copy(w, data(w, l->role == VD_FIFO_HOST), w->got, to, there * VD_FIFO_WORD, false);
	set_got(w, w->got + there, vd_read64(&w->rx->put) - w->got - there);
	return (ssize_t)(there * VD_FIFO_WORD);
}

static void window_hang_up(struct vd_fifo_link *l)
{
	vd_loop_post(loop(l->window), &l->window->nonsense);
}

/* ---- who has the turn ----------------------------------------------------------------------- */

static bool window_tx_changed(struct vd_fifo_link *l)
{
	struct vd_fifo_window_map *w = l->window;

	return __atomic_load_n(&w->gen, __ATOMIC_ACQUIRE) != w->tx_gen ||
	       (is_up(w->tx_gen) && vd_read64(&w->tx->epoch) != w->tx_epoch);
}

static bool window_tx_take(struct vd_fifo_link *l)
{
	struct vd_fifo_window_map *w = l->window;

	w->tx_gen = __atomic_load_n(&w->gen, __ATOMIC_ACQUIRE);
	w->tx_epoch = vd_read64_acquire(&w->tx->epoch);
	w->waits = false;
	if (!is_up(w->tx_gen))
		return false;
	vd_write64(&w->tx->lwm, 0);
	vd_write64(&w->tx->put, w->put);
	vd_write64(&w->tx->start, w->put);
	vd_write64_seq(&w->tx->ack, w->tx_epoch);
	return true;
}

/* Words that there is room for; more than there are at all: nonsense. */
static uint64_t room_for(struct vd_fifo_window_map *w, unsigned int stage)
{
	uint32_t keep = stage == VD_FIFO_DEV_NET ? w->words / RESERVE : 1;
	uint64_t used = w->put - vd_read64_seq(&w->tx->got);

	if (used > w->words)
		return UINT64_MAX;
	return used + keep < w->words ? w->words - keep - used : 0;
}

static ssize_t window_write(struct vd_fifo_link *l, unsigned int stage, const uint8_t *from,
			    size_t len)
{
	struct vd_fifo_window_map *w = l->window;
	uint64_t n = room_for(w, stage), hwm;

	if (!n) {
		vd_write64_seq(&w->tx->lwm, w->words / 2);
		w->waits = true;
		n = room_for(w, stage);
	}
	if (!n)
		return -EAGAIN;
	if (n == UINT64_MAX)
		return vd_err(-EPROTO, "%s: more words in the FIFO than it has", w->path);
	if (w->waits) {
		w->waits = false;
		vd_write64(&w->tx->lwm, 0);
	}
	n = vd_min(n, len / VD_FIFO_WORD);
	copy(w, data(w, l->role == VD_FIFO_CARD), w->put, (uint8_t *)(uintptr_t)from,
	     n * VD_FIFO_WORD, true);
	w->put += n;
	/* Sequentially consistent, both: either we see that it sleeps, or it sees the words. */
	vd_write64_seq(&w->tx->put, w->put);
	hwm = vd_read64_seq(&w->tx->hwm);
	if (hwm && w->put - vd_read64(&w->tx->got) >= hwm)
		ring(w);
	return (ssize_t)(n * VD_FIFO_WORD);
}

const struct vd_fifo_wire vd_fifo_window = {
	.open = window_open,
	.close = window_close,
	.where = window_where,
	.take = window_take,
	.listen = window_listen,
	.event = window_event,
	.read = window_read,
	.hang_up = window_hang_up,
	.tx_take = window_tx_take,
	.tx_changed = window_tx_changed,
	.write = window_write,
};
