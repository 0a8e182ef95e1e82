/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon.c - a context, a control socket, and signals, in one loop
 *
 * It stays in the foreground and logs to standard error, as service managers want it.
 */
#include "uvdpad/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/unix.h"

/* Tell the service manager, if there is one (sd_notify(3) has the protocol). */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	vd_cleanup(vd_closep) int fd = -1;
	size_t len = path ? strlen(path) : 0;

	if (!len || len >= sizeof(addr.sun_path))
		return;
	memcpy(addr.sun_path, path, len);
	if (*path == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
		       (struct sockaddr *)&addr,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

static void on_signal(struct vd_fd *f, uint32_t events)
{
	struct daemon *d = container_of(f, struct daemon, signals);
	struct signalfd_siginfo si;

	(void)events;
	if (read(f->fd, &si, sizeof(si)) != sizeof(si))
		return;
	vd_log_info(&d->log, "uvdpad", "stopping");
	d->stop = true;
}

/* ---- running ---------------------------------------------------------------------------- */

static void on_bus(struct vd_fd *f, uint32_t events)
{
	(void)events;
	uvdpa_dispatch(container_of(f, struct daemon, bus)->u, 0);
}

static void stop_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
}

/* Blocked before any thread is made, so that the data threads have them blocked, too. */
static int watch_signals(struct daemon *d)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* EFBIG of one write instead */
	stop_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return vd_err(-errno, "signalfd: %m");
	d->signals.fn = on_signal;
	return vd_fd_add(&d->loop, &d->signals, fd, EPOLLIN);
}

/* The folder of @path, if it is missing. */
static int make_folder(const char *path)
{
	struct sockaddr_un sa;
	int r = vd_unix_address(path, &sa);
	char *slash = r ? NULL : strrchr(sa.sun_path, '/');

	if (!slash || slash == sa.sun_path)
		return r;
	*slash = '\0';
	if (mkdir(sa.sun_path, 0755) && errno != EEXIST)
		return vd_err(-errno, "make folder %s: %m", sa.sun_path);
	return 0;
}

static int start(struct daemon *d)
{
	int r;

	r = watch_signals(d);
	if (r)
		return r;
	r = uvdpa_sigbus_guard();
	if (!r)
		r = uvdpa_create(&d->u);
	if (r)
		return vd_err(r, "%s", uvdpa_error());
	uvdpa_set_log(d->u, NULL, d->level);
	d->bus.fn = on_bus;
	r = vd_fd_add(&d->loop, &d->bus, uvdpa_fd(d->u), EPOLLIN);
	if (r)
		return r;
	r = make_folder(d->path);
	if (!r)
		r = vd_unix_listen(&d->listen, d->path, 0600, SOMAXCONN);
	if (r)
		return r == -EADDRINUSE ? vd_err(r, "another daemon serves %s", d->path) : r;
	d->server = (struct server){ .loop = &d->loop, .log = &d->log, .u = d->u };
	return server_start(&d->server, d->listen.fd);
}

/* Bounded by UVDPA_DRAIN_MS and a little, unless a second signal makes it shorter. */
static void stop(struct daemon *d)
{
	sigset_t set;

	stop_signals(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	notify("STOPPING=1");
	server_stop(&d->server);
	vd_unix_close(&d->listen);
	vd_fd_del(&d->bus);
	uvdpa_destroy(d->u); /* ends what clients wait for */
	server_fini(&d->server);
	vd_close(&d->signals.fd);
}

int daemon_run(struct daemon *d)
{
	int r = start(d);

	if (r) {
		fprintf(stderr, "uvdpad: %s\n", vd_err_text());
		vd_unix_close(&d->listen);
		vd_fd_del(&d->bus);
		uvdpa_destroy(d->u);
		vd_close(&d->signals.fd);
		return EXIT_FAILURE;
	}
	printf("uvdpad: ready on %s\n", d->path);
	fflush(stdout);
	notify("READY=1");
	while (!d->stop) {
		r = vd_loop_dispatch(&d->loop, -1);
		if (r == -EINTR || r >= 0)
			continue;
		fprintf(stderr, "uvdpad: %s\n", vd_err_text());
		break;
	}
	stop(d);
	return d->stop ? EXIT_SUCCESS : EXIT_FAILURE;
}
