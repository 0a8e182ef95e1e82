/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user.c - the bus driver "vhost-user": the device as a vhost-user back-end
 *
 * A socket for as long as the device is bound; one front-end at a time. The next one waits in the
 * socket's backlog and is served, without anybody's help, when the last has gone and what it had
 * begun is home. With connect=on the roles of the sockets change: the front-end listens, and is
 * tried again and again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/accept.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/foreign.h"
#include "base/unix.h"
#include "driver/vu.h"

#define BACKLOG 16
#define RETRY_MS 200

struct vu_conf {
	char *socket;
	uint64_t fd;
	bool connect;
	char *mode;
	bool inband;
};

static const struct uvdpa_opt vu_opts[] = {
	{ .key = "socket", .type = UVDPA_OPT_PATH, .offset = offsetof(struct vu_conf, socket),
	  .help = "path of the socket" },
	{ .key = "fd", .type = UVDPA_OPT_UINT, .offset = offsetof(struct vu_conf, fd), .min = 3,
	  .max = INT32_MAX, .help = "a listening socket instead, inherited from a service manager" },
	{ .key = "connect", .type = UVDPA_OPT_BOOL, .offset = offsetof(struct vu_conf, connect),
	  .help = "the front-end listens, connect to it" },
	{ .key = "mode", .type = UVDPA_OPT_STRING, .offset = offsetof(struct vu_conf, mode),
	  .def = "0600", .help = "permissions of the socket, octal, up to 0777" },
	{ .key = "inband", .type = UVDPA_OPT_BOOL, .offset = offsetof(struct vu_conf, inband),
	  .help = "offer notifications as messages, for simulated time; slow" },
	{ .key = NULL },
};

struct vu_server {
	struct uvdpa_binding b;
	struct vd_vus_owner owner;
	struct uvdpa_dev *dev;
	const struct vu_conf *conf;
	struct vd_loop *loop;
	struct vd_log *log;
	struct vd_unix listen;		/* its fd is -1 with connect=on */
	struct vd_accept accept;	/* there, while there is no session */
	struct vd_timer retry;		/* connect, or a session, again */
	struct vd_vus_session *session;	/* NULL: no front-end */
};

static struct vu_server *to_server(struct uvdpa_binding *b)
{
	return container_of(b, struct vu_server, b);
}

/* ---- front-ends ------------------------------------------------------------------------------ */

static void begin(struct vu_server *v, int fd)
{
	vd_accept_stop(&v->accept);
	if (!vd_vus_session_start(v->dev, fd, &v->owner, &v->session))
		return;
	vd_log_error(v->log, uvdpa_dev_name(v->dev), "%s", vd_err_text());
	vd_foreign_drop(v->owner.closing, &fd);
	vd_timer_set(v->loop, &v->retry, RETRY_MS);
}

/*
 * Wait for the next one; not before what the last ones brought is closed, so that a device never
 * has more of it than one of them can bring.
 */
static void next(struct vu_server *v)
{
	int fd;

	if (vd_foreign_closing(v->owner.closing)) {
		vd_timer_set(v->loop, &v->retry, RETRY_MS);
		return;
	}
	if (v->listen.fd < 0) {
		fd = vd_unix_connect(v->conf->socket, SOCK_NONBLOCK);
		if (fd < 0)
			vd_timer_set(v->loop, &v->retry, RETRY_MS);
		else
			begin(v, fd);
	} else {
		vd_accept_start(&v->accept, v->loop, v->listen.fd);
	}
}

static void retry_event(struct vd_timer *t)
{
	next(container_of(t, struct vu_server, retry));
}

static void came(struct vd_accept *a, int fd)
{
	begin(container_of(a, struct vu_server, accept), fd);
}

static void session_ended(struct vd_vus_owner *o)
{
	struct vu_server *v = container_of(o, struct vu_server, owner);

	vd_vus_session_destroy(v->session);
	v->session = NULL;
	if (v->listen.fd < 0)	/* it closes at once, perhaps: do not be the one who spins */
		vd_timer_set(v->loop, &v->retry, RETRY_MS);
	else
		next(v);
}

static void session_frozen(struct vd_vus_owner *o)
{
	uvdpa_binding_quiesced(&container_of(o, struct vu_server, owner)->b);
}

/* ---- the bus driver -------------------------------------------------------------------------- */

static int open_socket(struct vu_server *v)
{
	const struct vu_conf *c = v->conf;
	struct sockaddr_un sa;
	mode_t mode;
	int e;

	if (!c->socket == !c->fd)
		return vd_err(-EINVAL, "vhost-user: either socket PATH or fd NUMBER");
	if (c->connect)
		return c->fd ? vd_err(-EINVAL, "vhost-user: connect=on with fd=N") :
			       vd_unix_address(c->socket, &sa);
	if (c->fd)
		return vd_unix_inherit(&v->listen, (int)c->fd);
	e = vd_unix_mode(c->mode, &mode);
	return e ? e : vd_dev_listen(v->dev, &v->listen, c->socket, mode, BACKLOG);
}

static int vu_probe(struct uvdpa_dev *dev, const void *conf, struct uvdpa_binding **ret_b)
{
	struct vu_server *v = calloc(1, sizeof(*v));
	int e;

	if (!v)
		return vd_err(-ENOMEM, "vhost-user: %m");
	v->dev = dev;
	v->conf = conf;
	v->loop = vd_ctx_loop(uvdpa_dev_context(dev));
	v->log = vd_ctx_log(uvdpa_dev_context(dev));
	v->listen.fd = -1;
	v->retry.fn = retry_event;
	v->owner.ended = session_ended;
	v->owner.frozen = session_frozen;
	v->owner.inband = v->conf->inband;
	v->owner.closing = vd_foreign_create();
	e = v->owner.closing ? open_socket(v) : vd_err(-ENOMEM, "vhost-user: %m");
	if (e) {
		vd_foreign_destroy(v->owner.closing);
		free(v);
		return e;
	}
	v->accept.came = came;
	v->accept.log = v->log;
	v->accept.who = uvdpa_dev_name(dev);
	v->accept.where = v->listen.sa.sun_path;
	next(v);
	*ret_b = &v->b;
	return 0;
}

/* The connection stays open until the core has drained the device: remove ends it. */
static void vu_quiesce(struct uvdpa_binding *b)
{
	struct vu_server *v = to_server(b);

	vd_accept_stop(&v->accept);
	vd_timer_del(v->loop, &v->retry);
	if (!v->session || !vd_vus_session_freeze(v->session))
		uvdpa_binding_quiesced(b);
}

static void vu_remove(struct uvdpa_binding *b)
{
	struct vu_server *v = to_server(b);

	vd_accept_stop(&v->accept);
	vd_timer_del(v->loop, &v->retry);
	if (v->session)
		vd_vus_session_destroy(v->session);
	vd_dev_unlisten(v->dev, &v->listen);
	vd_foreign_destroy(v->owner.closing);
	free(v);
}

static void vu_changed(struct uvdpa_binding *b, enum uvdpa_event ev)
{
	struct vu_server *v = to_server(b);
	bool broken = ev == UVDPA_DEV_STATUS &&
		      uvdpa_dev_status(v->dev) & VIRTIO_CONFIG_S_NEEDS_RESET;

	if (v->session && (ev == UVDPA_DEV_CONFIG || broken))
		vd_vus_back_config_changed(v->session);
}

/* ---- how to attach --------------------------------------------------------------------------- */

/* QEMU's front-ends by type; a type that has none goes by the generic one. */
static const struct {
	uint32_t id;
	const char *device;
	bool num_queues;
	const char *more;
} qemu_devices[] = {
	{ VIRTIO_ID_BLOCK, "vhost-user-blk-pci", true, "" },
	{ VIRTIO_ID_RNG, "vhost-user-rng-pci", false, "" },
	{ VIRTIO_ID_SCSI, "vhost-user-scsi-pci", false, "" },
	{ VIRTIO_ID_INPUT, "vhost-user-input-pci", false, "" },
	{ VIRTIO_ID_VSOCK, "vhost-user-vsock-pci", false, "" },
	{ VIRTIO_ID_SOUND, "vhost-user-snd-pci", false, "" },
	{ VIRTIO_ID_FS, "vhost-user-fs-pci", false, ",tag=uvdpa" },
	{ VIRTIO_ID_I2C_ADAPTER, "vhost-user-i2c-pci", false, "" },
	{ VIRTIO_ID_GPIO, "vhost-user-gpio-pci", false, "" },
};

/* What follows -device. @id names the chardev, or the netdev. */
static void qemu_device(const struct uvdpa_dev_info *info, const char *id, char *to, size_t len)
{
	if (info->device_id == VIRTIO_ID_NET) {
		snprintf(to, len, "virtio-net-pci,netdev=%s-net", id);
		return;
	}
	for (size_t i = 0; i < VD_ARRAY_SIZE(qemu_devices); i++) {
		char queues[32] = "";

		if (qemu_devices[i].id != info->device_id)
			continue;
		if (qemu_devices[i].num_queues)
			snprintf(queues, sizeof(queues), ",num-queues=%u", info->nvqs);
		snprintf(to, len, "%s,chardev=%s%s%s", qemu_devices[i].device, id, queues,
			 qemu_devices[i].more);
		return;
	}
	snprintf(to, len, "vhost-user-test-device-pci,chardev=%s,virtio-id=%u,num_vqs=%u,config_size=%u",
		 id, info->device_id, info->nvqs, info->config_size);
}

/* A comma is doubled in QEMU's options. */
static void qemu_escape(const char *from, char *to, size_t len)
{
	size_t n = 0;

	for (; *from && n + 2 < len; from++) {
		if (*from == ',')
			to[n++] = ',';
		to[n++] = *from;
	}
	to[n] = '\0';
}

static void vu_describe(struct uvdpa_binding *b, struct uvdpa_emit *e)
{
	struct vu_server *v = to_server(b);
	const struct uvdpa_dev_info *info = uvdpa_dev_info(v->dev);
	struct sockaddr_un sa = { 0 };
	char id[UVDPA_NAME_MAX + 8], path[2 * sizeof(sa.sun_path)], device[256], text[1024];
	char netdev[256] = "";

	if (v->conf->socket)
		vd_unix_address(v->conf->socket, &sa);
	else
		sa = v->listen.sa;
	e->str(e, "socket", sa.sun_path);

	snprintf(id, sizeof(id), "uvdpa-%s", uvdpa_dev_name(v->dev));	/* begins with a letter */
	qemu_escape(sa.sun_path, path, sizeof(path));
	qemu_device(info, id, device, sizeof(device));
	if (info->device_id == VIRTIO_ID_NET)
		snprintf(netdev, sizeof(netdev), " -netdev vhost-user,id=%s-net,chardev=%s,queues=%u",
			 id, id, vd_max(info->nvqs / 2, 1u));
	snprintf(text, sizeof(text),
		 "-object memory-backend-memfd,id=mem,size=1G,share=on -machine memory-backend=mem "
		 "-m 1G -chardev socket,id=%s,path=%s%s%s -device %s",
		 id, path, v->conf->connect ? ",server=on,wait=off" : "", netdev, device);
	e->str(e, "qemu", text);
	if (!v->conf->connect) {
		snprintf(text, sizeof(text), "virtio_uml.device=%s:%u", sa.sun_path,
			 info->device_id);
		e->str(e, "uml", text);
	}
}

/**
 * vd_driver_vhost_user - Serve a device to a virtual machine, or to any other vhost-user front-end
 */
extern const struct uvdpa_driver vd_driver_vhost_user;
const struct uvdpa_driver vd_driver_vhost_user = {
	.name = "vhost-user",
	.alias = "vhost_vdpa",
	.help = "a vhost-user back-end on a unix socket, for virtual machines",
	.opts = vu_opts,
	.conf_size = sizeof(struct vu_conf),
	.probe = vu_probe,
	.quiesce = vu_quiesce,
	.remove = vu_remove,
	.changed = vu_changed,
	.describe = vu_describe,
};
