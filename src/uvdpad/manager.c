/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * manager.c - what a service manager gives, and is told
 *
 *	uvdpad  -- READY=1, STATUS=, WATCHDOG=1, FDSTORE=1 + descriptor -->  $NOTIFY_SOCKET
 *	uvdpad  <-- descriptors from 3 on, named by $LISTEN_FDNAMES, when it starts
 *
 * What is kept over a restart are the sockets at which devices listen for vhost-user front-ends:
 * who reconnects meanwhile waits in the backlog. They are known again by their path; their name in
 * the store, DEVICE@INODE, says that we made the file there, and which one. Nothing else is worth
 * it: a front-end's connection is a conversation that only this process remembers, and the front-
 * end has all that the next one needs (its memory, its rings, its requests in flight).
 */
#include "uvdpad/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uvdpa/parent.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/unix.h"

#define FIRST_FD 3

struct message {
	struct vd_list node;
	int fd; /* goes with it, or -1 */
	size_t len;
	char text[];
};

struct stored {
	struct vd_list node;
	char *name; /* as the manager has it */
	struct vd_unix at;
	bool ours; /* made for a device, by this process or an earlier one */
	bool taken;
};

/* ---- messages ---------------------------------------------------------------------------- */

static void message_free(struct message *msg)
{
	vd_list_del(&msg->node);
	vd_close(&msg->fd);
	free(msg);
}

/* Return: false if it takes no more now. */
static bool message_send(struct manager *m, struct message *msg)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .h = { .cmsg_len = CMSG_LEN(sizeof(int)),
			     .cmsg_level = SOL_SOCKET,
			     .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = msg->text, .iov_len = msg->len };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (msg->fd >= 0) {
		memcpy(CMSG_DATA(&control.h), &msg->fd, sizeof(int));
		h.msg_control = &control;
		h.msg_controllen = sizeof(control.room);
	}
	if (sendmsg(m->notify.fd, &h, MSG_NOSIGNAL) >= 0)
		return true;
	if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ETOOMANYREFS)
		return false;
	vd_log_info(m->log, "manager", "%.*s: %m", (int)strcspn(msg->text, "\n"), msg->text);
	return true; /* nobody is there, or it is not as it should be: go on without */
}

static void flush(struct manager *m)
{
	struct message *msg, *tmp;

	vd_list_for_each_safe(msg, tmp, &m->messages, node) {
		if (!message_send(m, msg))
			break;
		message_free(msg);
	}
	vd_fd_mod(&m->notify, vd_list_empty(&m->messages) ? 0 : EPOLLOUT);
}

static void on_room(struct vd_fd *f, uint32_t events)
{
	struct manager *m = container_of(f, struct manager, notify);

	if (!(events & (EPOLLERR | EPOLLHUP))) {
		flush(m);
		return;
	}
	vd_fd_del(f); /* it has gone: what is told later goes to nobody */
	vd_close(&f->fd);
}

/* @fd: borrowed, or -1. The manager is never waited for: what it does not take now comes later. */
static void send_message(struct manager *m, int fd, const char *text)
{
	size_t len = strlen(text);
	struct message *msg;

	if (m->notify.fd < 0)
		return;
	msg = malloc(sizeof(*msg) + len + 1);
	if (!msg)
		return;
	msg->fd = fd < 0 ? -1 : vd_dup(fd);
	msg->len = len;
	memcpy(msg->text, text, len + 1);
	vd_list_add(&m->messages, &msg->node);
	flush(m);
}

void manager_tell(struct manager *m, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	send_message(m, -1, text);
}

void manager_reloading(struct manager *m)
{
	manager_tell(m, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, vd_now_ns() / 1000);
}

void manager_stopping(struct manager *m)
{
	m->stopping = true;
	vd_timer_del(m->loop, &m->watchdog);
	manager_tell(m, "STOPPING=1");
}

static void on_watchdog(struct vd_timer *t)
{
	struct manager *m = container_of(t, struct manager, watchdog);

	if (vd_list_empty(&m->messages)) /* else it is the manager who is stuck */
		manager_tell(m, "WATCHDOG=1");
	vd_timer_set(m->loop, t, m->ping_ms);
}

/* ---- the store --------------------------------------------------------------------------- */

static struct stored *find(struct manager *m, const char *path)
{
	struct stored *s;

	vd_list_for_each(s, &m->sockets, node)
		if (!strcmp(s->at.sa.sun_path, path))
			return s;
	return NULL;
}

static void stored_free(struct stored *s)
{
	vd_list_del(&s->node);
	vd_close(&s->at.fd);
	free(s->name);
	free(s);
}

/* The manager has it no longer, and so have we. */
static void forget(struct manager *m, struct stored *s)
{
	manager_tell(m, "FDSTOREREMOVE=1\nFDNAME=%s", s->name);
	stored_free(s);
}

static struct manager *to_manager(struct uvdpa_keeper *k)
{
	return container_of(k, struct manager, keeper);
}

static int keeper_take(struct uvdpa_keeper *k, const char *path, bool *ret_made)
{
	struct manager *m = to_manager(k);
	struct stored *s = find(m, path);
	struct stat st;
	int fd;

	if (!s)
		return -ENOENT;
	if (s->taken)
		return uvdpa_set_error(-EADDRINUSE, "socket %s: somebody else listens there", path);
	/* Who removed or replaced the file took away the way to our socket. */
	if (s->ours && (lstat(path, &st) || st.st_dev != s->at.dev || st.st_ino != s->at.ino)) {
		forget(m, s);
		return -ENOENT;
	}
	fd = vd_dup(s->at.fd);
	s->taken = fd >= 0;
	*ret_made = s->ours;
	return fd;
}

static void keeper_keep(struct uvdpa_keeper *k, const char *who, const char *path, int fd)
{
	struct manager *m = to_manager(k);
	struct stored *s = find(m, path);
	char text[512];
	struct stat st;

	if (!m->store || s || lstat(path, &st))
		return;
	s = calloc(1, sizeof(*s));
	if (!s)
		return;
	s->at.fd = vd_dup(fd);
	if (s->at.fd < 0 || vd_unix_address(path, &s->at.sa) ||
	    asprintf(&s->name, "%s@%ju", who, (uintmax_t)st.st_ino) < 0) {
		vd_close(&s->at.fd);
		free(s);
		return;
	}
	s->at.dev = st.st_dev;
	s->at.ino = st.st_ino;
	s->ours = s->taken = true;
	vd_list_add(&m->sockets, &s->node);
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", s->name);
	send_message(m, fd, text);
}

static bool keeper_drop(struct uvdpa_keeper *k, const char *path)
{
	struct manager *m = to_manager(k);
	struct stored *s = find(m, path);

	if (!s)
		return false;
	s->taken = false;
	if (!s->ours || m->stopping)
		return true;
	forget(m, s);
	return false;
}

void manager_forget_untaken(struct manager *m)
{
	struct stored *s, *tmp;

	vd_list_for_each_safe(s, tmp, &m->sockets, node) {
		if (!s->ours || s->taken)
			continue;
		vd_unix_close(&s->at); /* and its file */
		forget(m, s);
	}
}

int manager_socket(struct manager *m, const char *name, const char *path, struct vd_unix *ret_at)
{
	struct stored *s, *found = NULL;
	int fd;

	vd_list_for_each(s, &m->sockets, node)
		if (!strcmp(s->name, name))
			found = s;
	if (!found)
		found = find(m, path);
	if (!found || found->ours)
		return -ENOENT;
	fd = vd_dup(found->at.fd);
	if (fd < 0)
		return fd;
	found->taken = true;
	*ret_at = (struct vd_unix){ .fd = fd, .sa = found->at.sa };
	return 0;
}

/* ---- the beginning ------------------------------------------------------------------------ */

/* The next of the names, which colons divide; "" when there are no more. */
static char *next_name(const char **names)
{
	size_t len = strcspn(*names, ":");
	char *name = strndup(*names, len);

	*names += len + ((*names)[len] == ':');
	return name;
}

/* The file at which one of our stored sockets listens, if it is still there. */
static void find_file(struct stored *s, const char *ino)
{
	struct stat st;

	s->ours = true;
	if (lstat(s->at.sa.sun_path, &st) || st.st_ino != strtoull(ino, NULL, 10))
		return;
	s->at.dev = st.st_dev;
	s->at.ino = st.st_ino;
}

/* Takes @name. What is no listening stream may be meant for "fd N" of a driver: it stays. */
static void inherit(struct manager *m, int fd, char *name)
{
	struct stored *s = name ? calloc(1, sizeof(*s)) : NULL;
	const char *at;

	if (!s || vd_unix_inherit(&s->at, fd)) {
		if (s)
			vd_log_info(m->log, "manager", "\"%s\": %s", name, vd_err_text());
		free(name);
		free(s);
		return;
	}
	close(fd); /* there is a duplicate, whose number no client can guess: it closes on exec */
	s->name = name;
	vd_list_add(&m->sockets, &s->node);
	at = strchr(name, '@');
	if (at)
		find_file(s, at + 1);
}

/* A variable that counts for us alone. */
static bool is_ours(const char *pid)
{
	return pid && strtol(pid, NULL, 10) == getpid();
}

static void inherit_all(struct manager *m)
{
	const char *count = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
	long n = count && is_ours(getenv("LISTEN_PID")) ? strtol(count, NULL, 10) : 0;
	int fd;

	if (!names)
		names = "";
	for (fd = FIRST_FD; fd - FIRST_FD < n && fcntl(fd, F_GETFD) >= 0; fd++)
		inherit(m, fd, next_name(&names));
	if (fd - FIRST_FD < n)
		vd_log_warn(m->log, "manager", "LISTEN_FDS=%s: descriptor %d is not open", count, fd);
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
}

static void connect_notify(struct manager *m)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (!len || len >= sizeof(addr.sun_path))
		return;
	memcpy(addr.sun_path, path, len);
	if (*path == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && (connect(fd, (struct sockaddr *)&addr,
				(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) ||
			vd_fd_add(m->loop, &m->notify, fd, 0))) {
		vd_log_warn(m->log, "manager", "NOTIFY_SOCKET %s: %m", path);
		vd_close(&fd);
	}
	m->notify.fd = fd;
}

static void start_watchdog(struct manager *m)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (m->notify.fd < 0 || !usec || (pid && !is_ours(pid)))
		return;
	m->ping_ms = strtoull(usec, NULL, 10) / 2000;
	if (m->ping_ms)
		on_watchdog(&m->watchdog);
}

void manager_init(struct manager *m, struct vd_loop *loop, struct vd_log *log)
{
	const char *store = getenv("FDSTORE");

	*m = (struct manager){
		.keeper = { .take = keeper_take, .keep = keeper_keep, .drop = keeper_drop },
		.loop = loop,
		.log = log,
		.notify = { .fn = on_room, .fd = -1 },
		.watchdog = { .fn = on_watchdog },
	};
	vd_list_init(&m->messages);
	vd_list_init(&m->sockets);
	connect_notify(m);
	m->store = m->notify.fd >= 0 && store && strtol(store, NULL, 10) > 0;
	start_watchdog(m);
	inherit_all(m);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	unsetenv("FDSTORE");
}

void manager_fini(struct manager *m)
{
	struct message *msg, *tmp;
	struct stored *s, *next;

	vd_list_for_each_safe(msg, tmp, &m->messages, node)
		message_free(msg);
	vd_list_for_each_safe(s, next, &m->sockets, node)
		stored_free(s);
	vd_timer_del(m->loop, &m->watchdog);
	vd_fd_del(&m->notify);
	vd_close(&m->notify.fd);
}
