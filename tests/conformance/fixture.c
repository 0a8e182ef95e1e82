/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fixture.c - how a device of each parent is made, for the length of one case
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/unix.h"
#include "config.h"
#include "conformance.h"

void cf_attr(struct cf_fixture *f, const char *key, const char *value)
{
	cf_check(f->nattrs < CF_ATTRS);
	f->attrs[f->nattrs++] = (struct uvdpa_attr){ key, value };
}

/* ---- block devices of ours ------------------------------------------------------------------- */

static void block(struct cf_fixture *f)
{
	cf_attr(f, "num_queues", "4");
	cf_attr(f, "queue_size", "512");
	cf_attr(f, "workers", "2");
}

static void sim_blk(struct cf_fixture *f)
{
	block(f);
	cf_attr(f, "capacity", "4M");
	cf_attr(f, "capacity_max", "8M");
}

static void sim_blk_4k(struct cf_fixture *f)
{
	sim_blk(f);
	cf_attr(f, "logical_block_size", "4096");
}

static void sim_blk_polling(struct cf_fixture *f)
{
	sim_blk(f);
	cf_attr(f, "poll_us", "50");
}

static void sim_blk_readonly(struct cf_fixture *f)
{
	sim_blk(f);
	cf_attr(f, "readonly", "on");
}

static void make_image(struct cf_fixture *f)
{
	int fd = open(f->path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	cf_check(fd >= 0);
	cf_is(ftruncate(fd, 4 << 20), 0);
	close(fd);
}

static void image(struct cf_fixture *f)
{
	make_image(f);
	block(f);
	cf_attr(f, "image", f->path);
}

#if HAVE_LIBURING
static void image_uring(struct cf_fixture *f)
{
	image(f);
	cf_attr(f, "engine", "io_uring");
}
#endif

static void image_threads(struct cf_fixture *f)
{
	image(f);
	cf_attr(f, "engine", "threads");
}

static void image_through(struct cf_fixture *f)
{
	image(f);
	cf_attr(f, "cache", "writethrough");
}

/* On a file system that has no direct I/O it is once more the one above. */
static void image_direct(struct cf_fixture *f)
{
	int fd;

	image(f);
	fd = open(f->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	cf_attr(f, "cache", fd < 0 ? "writethrough" : "none");
	if (fd >= 0)
		close(fd);
}

static void image_4k(struct cf_fixture *f)
{
	image(f);
	cf_attr(f, "logical_block_size", "4096");
}

/* What is outside of the library has its options in itself. */
static void own(struct cf_fixture *f)
{
	(void)f;
}

/* ---- network devices ------------------------------------------------------------------------- */

static void network(struct cf_fixture *f)
{
	cf_attr(f, "max_vqp", "2");
	cf_attr(f, "queue_size", "512");
	cf_attr(f, "mac", CF_MAC);
}

static void sim_net(struct cf_fixture *f)
{
	network(f);
	cf_attr(f, "workers", "2");
}

static void sim_net_echo(struct cf_fixture *f)
{
	network(f);
	cf_attr(f, "mode", "echo");
}

static void sim_net_polling(struct cf_fixture *f)
{
	sim_net(f);
	cf_attr(f, "poll_us", "50");
}

static void bridge(struct cf_fixture *f)
{
	network(f);
	cf_attr(f, "workers", "2");
	cf_attr(f, "bridge", "b");
}

static void bridge_join(struct cf *c)
{
	static const struct uvdpa_attr attrs[] = { { "bridge", "b" }, { "queue_size", "512" } };

	cf_peer_open(c, attrs, 2);
}

static const struct cf_wire behind_bridge = { .mac = "52:54:00:00:00:02", .frame_max = 65568,
					      .far = true, .slow = true };
static const struct cf_wire itself = { .frame_max = 65568 };

static void one_pair(struct cf_fixture *f)
{
	cf_attr(f, "queue_size", "512");
	cf_attr(f, "mac", CF_MAC);
}

static void socket_stream(struct cf_fixture *f)
{
	one_pair(f);
	cf_echo_open(f, true);
}

static void socket_dgram(struct cf_fixture *f)
{
	one_pair(f);
	cf_echo_open(f, false);
}

static void fifo_net(struct cf_fixture *f)
{
	one_pair(f);
	cf_echo_fifo(f);
	cf_attr(f, "mtu", "65517");
}

static void fifo_console(struct cf_fixture *f)
{
	cf_fifo_open(f);
	cf_attr(f, "queue_size", "512");
}

/* As much as a message holds. */
static const struct cf_wire by_fifo = { .frame_max = 65535, .keeps = true };
static const struct cf_wire cable = { .frame_max = 65568, .keeps = true };

static void net_tap(struct cf_fixture *f)
{
	cf_tap_open(f);
	sim_net(f);
}

static void net_tap_polling(struct cf_fixture *f)
{
	net_tap(f);
	cf_attr(f, "poll_us", "50");
}

/* As much as a packet socket gives to an interface. */
static const struct cf_wire by_tap = { .frame_max = 65535, .keeps = true, .far = true };

#if HAVE_XDP
static void xdp(struct cf_fixture *f, const char *kind)
{
	cf_veth_open(f);
	one_pair(f);
	cf_attr(f, "xdp", kind);
}

static void xdp_native(struct cf_fixture *f)
{
	xdp(f, "native");
}

static void xdp_generic(struct cf_fixture *f)
{
	xdp(f, "generic");
}

static const struct cf_wire by_veth = { .frame_max = 1514, .keeps = true };
#endif

/* ---- entropy --------------------------------------------------------------------------------- */

static void rng(struct cf_fixture *f)
{
	cf_attr(f, "queue_size", "512");
}

static void rng_polling(struct cf_fixture *f)
{
	rng(f);
	cf_attr(f, "poll_us", "50");
}

static void rng_seed(struct cf_fixture *f)
{
	rng(f);
	cf_attr(f, "seed", "7");
}

static void rng_file(struct cf_fixture *f)
{
	rng(f);
	cf_attr(f, "source", "/dev/random");
}

static void rng_limited(struct cf_fixture *f)
{
	rng(f);
	cf_attr(f, "bps", "64M");
	cf_attr(f, "bps_burst", "4K");
}

#if HAVE_LIBRBD
static void rbd_uncached(struct cf_fixture *f)
{
	cf_rbd_open(f);
	block(f);
	cf_attr(f, "cache", "none");
}

static void rbd_writeback(struct cf_fixture *f)
{
	cf_rbd_open(f);
	block(f);
	cf_attr(f, "cache", "writeback");
}
#endif

/* ---- consoles -------------------------------------------------------------------------------- */

#define CONSOLE_NAMES "boot", "agent"

static void far_path(const struct cf_fixture *f, unsigned int port, char *to, size_t size)
{
	snprintf(to, size, "%s/port%u", f->dir, port);
}

static int far_connect(struct cf_fixture *f, unsigned int port)
{
	char path[sizeof(f->dir) + 16];

	far_path(f, port, path, sizeof(path));
	return vd_unix_connect(path, 0);
}

static const struct cf_far one_port = { .connect = far_connect, .ports = 1 };
static const struct cf_far two_ports = { .connect = far_connect, .ports = 2 };

static void console(struct cf_fixture *f)
{
	static const char *const names[] = { CONSOLE_NAMES };
	char path[sizeof(f->dir) + 16];
	size_t n = 0;

	for (unsigned int i = 0; i < f->variant->far->ports; i++) {
		far_path(f, i, path, sizeof(path));
		n += (size_t)snprintf(f->text + n, sizeof(f->text) - n, "%s%s%sunix-listen:%s",
				      i ? "," : "", f->variant->far->ports > 1 ? names[i] : "",
				      f->variant->far->ports > 1 ? "=" : "", path);
	}
	cf_attr(f, "port", f->text);
	cf_attr(f, "queue_size", "512");
}

/* ---- somebody else's: a second context, in a thread of its own, serves a device -------------- */

struct cf_server {
	pthread_t thread;
	pthread_barrier_t up;
	const char *image, *path;
	int pipe[2];			/* sizes to give to the disk; the thread ends when it is closed */
	int err;
	char error[256];
};

static void *serve(void *arg)
{
	struct uvdpa_attr attrs[] = { { "image", NULL },
				      { "num_queues", "4" },
				      { "queue_size", "512" } };
	struct uvdpa_attr socket = { "socket", NULL };
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "served", .mgmtdev = "blk",
				    .attrs = attrs, .nattrs = 3, .driver = "vhost-user",
				    .driver_attrs = &socket, .ndriver_attrs = 1 };
	struct cf_server *s = arg;
	struct uvdpa_wait w = { 0 };
	struct uvdpa_dev *dev = NULL;
	struct uvdpa *u = NULL;
	char size[32];
	struct uvdpa_attr set[] = { { "size", size }, { "shrink", "on" } };
	ssize_t n;

	attrs[0].value = s->image;
	socket.value = s->path;
	s->err = uvdpa_create(&u);
	if (!s->err)
		s->err = uvdpa_await(u, &w, uvdpa_dev_add(u, &o, &dev, &w));
	if (s->err)
		snprintf(s->error, sizeof(s->error), "%s", uvdpa_error());
	pthread_barrier_wait(&s->up);
	while (!s->err && (n = read(s->pipe[0], size, sizeof(size))) != 0)
		if (n < 0 || uvdpa_dev_set(dev, set, 2))
			uvdpa_dispatch(u, 20);
	uvdpa_destroy(u);
	return NULL;
}

static void served_start(struct cf_fixture *f)
{
	struct cf_server *s = calloc(1, sizeof(*s));

	cf_check(s);
	s->image = f->path;
	s->path = f->socket;
	cf_is(pipe2(s->pipe, O_CLOEXEC | O_NONBLOCK), 0);
	pthread_barrier_init(&s->up, NULL, 2);
	cf_is(pthread_create(&s->thread, NULL, serve, s), 0);
	f->server = s;
	pthread_barrier_wait(&s->up);
	if (s->err)
		cf_fail(__FILE__, __LINE__, "server: %s", s->error);
}

static void served(struct cf_fixture *f)
{
	make_image(f);
	snprintf(f->socket, sizeof(f->socket), "%s/socket", f->dir);
	served_start(f);
	cf_attr(f, "socket", f->socket);
	cf_attr(f, "queue_size", "512");
}

static void served_close(struct cf_fixture *f)
{
	struct cf_server *s = f->server;

	if (!s)
		return;
	close(s->pipe[1]);
	pthread_join(s->thread, NULL);
	close(s->pipe[0]);
	pthread_barrier_destroy(&s->up);
	free(s);
	f->server = NULL;
}

/* Whole: less than PIPE_BUF. */
static void served_resize(struct cf_fixture *f, const char *bytes)
{
	char size[32] = "";

	strncpy(size, bytes, sizeof(size) - 1);
	cf_is(write(f->server->pipe[1], size, sizeof(size)), sizeof(size));
}

static void served_restart(struct cf_fixture *f)
{
	served_close(f);
	served_start(f);
}

/* ---- a foreign program's --------------------------------------------------------------------- */

#define QSD "/usr/bin/qemu-storage-daemon"

bool cf_foreign_installed(void)
{
	return !access(QSD, X_OK);
}

/* Its path is there a moment before it listens. */
static bool listens(const char *path)
{
	vd_cleanup(vd_closep) int fd = vd_unix_connect(path, 0);

	return fd >= 0;
}

static void daemon_start(struct cf_fixture *f)
{
	char drive[192], export[200];

	snprintf(f->socket, sizeof(f->socket), "%s/socket", f->dir);
	snprintf(drive, sizeof(drive), "driver=file,node-name=f,discard=unmap,filename=%s",
		 f->path);
	snprintf(export, sizeof(export), "type=vhost-user-blk,id=e,node-name=f,addr.type=unix,"
		 "addr.path=%s,writable=on,num-queues=4", f->socket);
	f->pid = fork();
	cf_check(f->pid >= 0);
	if (!f->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(QSD, QSD, "--blockdev", drive, "--export", export, NULL);
		_exit(127);
	}
	for (uint64_t due = cf_now_ms() + 10000; !listens(f->socket) && cf_now_ms() < due;)
		usleep(10000);
}

static void storage_daemon(struct cf_fixture *f)
{
	make_image(f);
	daemon_start(f);
	cf_attr(f, "socket", f->socket);
	cf_attr(f, "fresh", "on");
	cf_attr(f, "queue_size", "512");
}

static void daemon_kill(struct cf_fixture *f)
{
	if (f->pid > 0) {
		kill(f->pid, SIGKILL);
		waitpid(f->pid, NULL, 0);
	}
	f->pid = 0;
	unlink(f->socket);
}

static void daemon_restart(struct cf_fixture *f)
{
	daemon_kill(f);
	daemon_start(f);
}

/* ---- an export of nbdkit, which has nothing to do with how our device behaves ---------------- */

static void nbdkit(struct cf_fixture *f, const char *option)
{
	snprintf(f->socket, sizeof(f->socket), "%s/socket", f->dir);
	f->pid = fork();
	cf_check(f->pid >= 0);
	if (!f->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("nbdkit", "nbdkit", "-f", option, "-U", f->socket, "-P", f->path, "memory",
		       "4M", NULL);
		_exit(127);
	}
	/* It listens when its pid is there. */
	for (uint64_t due = cf_now_ms() + 10000; access(f->path, F_OK) && cf_now_ms() < due;) {
		if (waitpid(f->pid, NULL, WNOHANG))
			cf_fail(__FILE__, __LINE__, "nbdkit did not start: is it installed?");
		usleep(2000);
	}
	block(f);
	cf_attr(f, "socket", f->socket);
}

static void nbd(struct cf_fixture *f)
{
	nbdkit(f, "--newstyle");
}

static void nbd_readonly(struct cf_fixture *f)
{
	nbdkit(f, "--readonly");
}

/* ---- the table ------------------------------------------------------------------------------- */

const struct cf_variant cf_variants[] = {
	{ "sim-blk", "", .open = sim_blk },
	{ "sim-blk", "polling", .open = sim_blk_polling },
	{ "sim-blk", "4 KiB blocks", .open = sim_blk_4k },
	{ "sim-blk", "readonly", .open = sim_blk_readonly, .readonly = true },
#if HAVE_LIBURING
	{ "blk", "io_uring", .open = image_uring },
#endif
	{ "blk", "threads", .open = image_threads },
	{ "blk", "writethrough", .open = image_through },
	{ "blk", "direct", .open = image_direct },
	{ "blk", "4 KiB blocks", .open = image_4k },
	{ "nbd", "", .open = nbd, .close = daemon_kill },
	{ "nbd", "readonly", .open = nbd_readonly, .close = daemon_kill, .readonly = true },
#if HAVE_LIBRBD
	{ "rbd", "uncached", .open = rbd_uncached, .close = cf_rbd_close, .lacks = cf_rbd_lacks,
	  .resize = cf_rbd_resize, .keeps_heap = true },
	{ "rbd", "writeback", .open = rbd_writeback, .close = cf_rbd_close, .lacks = cf_rbd_lacks,
	  .resize = cf_rbd_resize, .keeps_heap = true },
#endif
	{ "sim-net", "", .open = sim_net, .wire = &itself },
	{ "sim-net", "echo", .open = sim_net_echo, .wire = &itself },
	{ "sim-net", "polling", .open = sim_net_polling, .wire = &itself },
	{ "net-socket", "stream", .open = socket_stream, .close = cf_echo_close, .wire = &cable },
	{ "net-socket", "dgram", .open = socket_dgram, .close = cf_echo_close, .wire = &cable },
	{ "bridge", "", .open = bridge, .join = bridge_join, .wire = &behind_bridge },
	{ "net-tap", "", .open = net_tap, .close = cf_tap_close, .lacks = cf_tap_lacks, .wire = &by_tap },
	{ "net-tap", "polling", .open = net_tap_polling, .close = cf_tap_close,
	  .lacks = cf_tap_lacks, .wire = &by_tap },
#if HAVE_XDP
	{ "net-xdp", "native", .open = xdp_native, .close = cf_tap_close, .lacks = cf_tap_lacks,
	  .wire = &by_veth },
	{ "net-xdp", "generic", .open = xdp_generic, .close = cf_tap_close, .lacks = cf_tap_lacks,
	  .wire = &by_veth },
#endif
	{ "rng", "", .open = rng },
	{ "rng", "polling", .open = rng_polling },
	{ "rng", "of a file", .open = rng_file },
	{ "rng", "seed", .open = rng_seed, .seed = 7 },
	{ "rng", "limited", .open = rng_limited },
	{ "own", "", .own = &cf_own_parent, .open = own },
	{ "dice", "", .own = &cf_dice_parent, .open = own },
	{ "console", "", .open = console, .far = &one_port },
	{ "console", "many ports", .open = console, .far = &two_ports },
	{ "fifo", "net", .open = fifo_net, .close = cf_echo_close, .wire = &by_fifo },
	{ "fifo", "console", .open = fifo_console, .close = cf_fifo_close, .far = &cf_fifo_far },
	{ "vhost-user", "", .open = served, .close = served_close, .restart = served_restart,
	  .resize = served_resize },
	{ "vhost-user", "of qemu-storage-daemon", .open = storage_daemon, .close = daemon_kill,
	  .restart = daemon_restart, .foreign = true },
};
const unsigned int cf_nvariants = VD_ARRAY_SIZE(cf_variants);

void cf_fixture_open(struct cf_fixture *f, const struct cf_variant *v)
{
	*f = (struct cf_fixture){ .variant = v, .dir = "/tmp/uvdpa-conformance-XXXXXX" };
	for (unsigned int i = 0; i < CF_FAR_MAX; i++)
		f->far[i] = -1;
	if (!mkdtemp(f->dir)) {
		*f->dir = '\0';
		cf_fail(__FILE__, __LINE__, "directory in /tmp: %s", strerror(errno));
	}
	snprintf(f->path, sizeof(f->path), "%s/file", f->dir);
	v->open(f);
}

void cf_fixture_close(struct cf_fixture *f)
{
	if (f->variant && f->variant->close)
		f->variant->close(f);
	for (unsigned int i = 0; f->variant && i < CF_FAR_MAX; i++)
		vd_close(&f->far[i]);
	if (*f->dir) {
		unlink(f->path);
		rmdir(f->dir);
	}
	*f->dir = '\0';
	f->variant = NULL;
}
