/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon.c - a context, a control socket, and signals, in one loop
 *
 * It stays in the foreground and logs to standard error, as service managers want it.
 */
#include "uvdpad/daemon.h"

#include <errno.h>
#include <fcntl.h>
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

#define STATUS_MS 500 /* from a change until the service manager is told */

static void on_signal(struct vd_fd *f, uint32_t events)
{
	struct daemon *d = container_of(f, struct daemon, signals);
	struct signalfd_siginfo si;

	(void)events;
	if (read(f->fd, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGHUP) {
		manager_reloading(&d->manager);
		provision_reload(&d->provision);
		return;
	}
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
	sigaddset(&set, SIGHUP);
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

/* From a service manager, or made here. */
static int open_control(struct daemon *d)
{
	int r;

	if (d->fd >= 0) {
		r = vd_unix_inherit(&d->listen, d->fd);
		if (!r)
			close(d->fd); /* there is a duplicate, whose number no client can use */
		return r;
	}
	r = manager_socket(&d->manager, "control", d->path, &d->listen);
	if (r != -ENOENT)
		return r;
	r = make_folder(d->path);
	if (!r)
		r = vd_unix_listen(&d->listen, d->path, 0600, SOMAXCONN);
	return r == -EADDRINUSE ? vd_err(r, "another daemon serves %s", d->path) : r;
}

static void loaded(struct provision *p);

/* A state file with faults is kept as it was, beside the one that will be written. */
static int keep_faulty(const char *path)
{
	char *kept;
	int r;

	if (asprintf(&kept, "%s.bad", path) < 0)
		return vd_err(-ENOMEM, "no memory");
	unlink(kept);
	r = linkat(AT_FDCWD, path, AT_FDCWD, kept, AT_SYMLINK_FOLLOW) ? vd_err(-errno, "%s: %m", kept) : 0;
	free(kept);
	return r;
}

/* Make what files ask for. */
static int load(struct daemon *d)
{
	struct state *s = &d->state;
	int r = 0;

	d->provision = (struct provision){
		.loop = &d->loop, .log = &d->log, .u = d->u, .done = loaded
	};
	provision_init(&d->provision, d->config);
	if (s->path)
		r = state_check(s->path, d->config);
	if (!r && s->path && state_lock(s) == -EBUSY)
		r = -EBUSY;
	if (r)
		return r;
	if (s->path)
		r = provision_restore(&d->provision, s->path);
	if (r == -EINVAL)
		r = keep_faulty(s->path);
	if (!r)
		r = provision_load(&d->provision, d->config_must);
	if (r || !s->path)
		return r;
	s->loop = &d->loop;
	s->log = &d->log;
	s->u = d->u;
	s->provision = &d->provision;
	return state_start(s);
}

/* Files that a bus driver needs, and nobody says where, are beside the control socket. */
static int start_sysfs(struct daemon *d)
{
	char *folder = strdup(d->listen.sa.sun_path);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	struct vd_sysfs_opts o = {
		.loop = &d->loop, .log = &d->log, .u = d->u, .dir = d->sysfs_at, .folder = folder
	};
	int r;

	if (!folder)
		return vd_err(-ENOMEM, "no memory");
	if (slash)
		*slash = '\0';
	else
		o.folder = ".";
	r = vd_sysfs_start(&o, &d->sysfs);
	free(folder);
	return r;
}

/* What a client takes away does not come back from the state file. */
static bool forget(struct server *s, const char *name)
{
	struct daemon *d = container_of(s, struct daemon, server);
	bool was = provision_forget(&d->provision, name);

	if (was)
		state_changed(&d->state);
	return was;
}

/* Of the context, and of the daemon itself. */
static void set_levels(struct vd_call_levels *l, const struct vd_levels *levels)
{
	struct daemon *d = container_of(l, struct daemon, levels);
	enum uvdpa_log_level max = vd_levels_max(levels);

	logger_set(&d->logger, levels);
	logger_watch(&d->logger, d->u);
	vd_log_set(&d->log, &d->logger.log, max);
	uvdpa_set_log(d->u, &d->logger.log, max);
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
	d->levels = (struct vd_call_levels){ .now = &d->logger.levels, .set = set_levels };
	set_levels(&d->levels, d->levels.now);
	d->bus.fn = on_bus;
	r = vd_fd_add(&d->loop, &d->bus, uvdpa_fd(d->u), EPOLLIN);
	if (r)
		return r;
	uvdpa_set_keeper(d->u, &d->manager.keeper);
	r = open_control(d);
	if (!r)
		r = load(d);
	if (r)
		return r;
	d->server = (struct server){ .loop = &d->loop,
				     .log = &d->log,
				     .u = d->u,
				     .listen = &d->listen,
				     .levels = &d->levels,
				     .record = d->record,
				     .forget = forget };
	r = server_start(&d->server);
	if (!r && d->sysfs_at)
		r = start_sysfs(d);
	if (r || !d->metrics_at.ss_family)
		return r;
	d->metrics = (struct metrics){ .u = d->u, .log = &d->log, .server = &d->server };
	return metrics_start(&d->metrics, &d->loop, &d->metrics_at);
}

/* ---- what the service manager shows --------------------------------------------------------- */

static void tell_status(struct daemon *d, const char *first)
{
	unsigned int n = 0, bound = 0, lost = 0;

	for (struct uvdpa_dev *dev = uvdpa_dev_next(d->u, NULL); dev;
	     dev = uvdpa_dev_next(d->u, dev)) {
		n++;
		bound += uvdpa_dev_driver(dev) != NULL;
		lost += !uvdpa_dev_ready(dev);
	}
	manager_tell(&d->manager, "%sSTATUS=%u devices, %u bound, %u not ready", first, n, bound,
		     lost);
}

static void on_status(struct vd_timer *t)
{
	tell_status(container_of(t, struct daemon, status), "");
}

/* A thousand changes are one message. */
static void on_change(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev)
{
	struct daemon *d = container_of(w, struct daemon, watch);

	(void)dev;
	if (ev != UVDPA_DEV_STATUS && ev != UVDPA_DEV_CONFIG && !d->status.armed)
		vd_timer_set(&d->loop, &d->status, STATUS_MS);
}

/* All that files ask for is there, or was told to be missing. */
static void loaded(struct provision *p)
{
	struct daemon *d = container_of(p, struct daemon, provision);

	if (d->state.path)
		manager_forget_untaken(&d->manager);
	if (d->watch.event) /* else it is not ready yet */
		tell_status(d, "READY=1\n");
}

static void ready(struct daemon *d)
{
	d->status.fn = on_status;
	d->watch.event = on_change;
	uvdpa_watch_add(d->u, &d->watch);
	tell_status(d, "READY=1\n");
}

/* ---- the end ------------------------------------------------------------------------------ */

static void end_context(struct daemon *d)
{
	state_stop(&d->state);
	provision_stop(&d->provision);
	uvdpa_destroy(d->u);
	state_fini(&d->state);
	provision_fini(&d->provision);
}

/*
 * Undo start(), or what there is of it. Within UVDPA_DRAIN_MS, unless a second signal makes it
 * shorter.
 */
static void stop(struct daemon *d)
{
	sigset_t set;

	stop_signals(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	vd_timer_del(&d->loop, &d->status);
	uvdpa_watch_del(&d->watch);
	manager_stopping(&d->manager);
	metrics_stop(&d->metrics);
	vd_sysfs_stop(d->sysfs);
	server_stop(&d->server);
	vd_unix_close(&d->listen);
	vd_fd_del(&d->bus);
	logger_unwatch(&d->logger);
	end_context(d); /* ends what clients wait for */
	vd_sysfs_fini(d->sysfs);
	server_fini(&d->server);
	manager_fini(&d->manager);
	vd_close(&d->signals.fd);
}

static int serve(struct daemon *d)
{
	int r = 0;

	printf("uvdpad: ready on %s\n", d->listen.sa.sun_path);
	fflush(stdout);
	ready(d);
	while (!d->stop && (r >= 0 || r == -EINTR))
		r = vd_loop_dispatch(&d->loop, -1);
	return d->stop ? 0 : r;
}

int daemon_run(struct daemon *d)
{
	int r;

	manager_init(&d->manager, &d->loop, &d->log);
	r = start(d);
	if (!r)
		r = serve(d);
	if (r)
		fprintf(stderr, "uvdpad: %s\n", vd_err_text());
	stop(d);
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
