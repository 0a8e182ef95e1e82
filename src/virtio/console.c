/* SPDX-License-Identifier: BSD-2-Clause */
/* console.c - the virtio console driver: what console.h draws, and its life */
#include "virtio/console.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bell.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/thread.h"

#define QUEUE_SIZE_MIN 2u
#define MODE_DEF       0600
/* ".", and a name or the number of a port. */
#define SUFFIX_MAX (1 + VD_HVC_NAME_MAX)

#define F VD_F

#define FEATURES                                                                            \
	(F(VIRTIO_F_VERSION_1) | F(VIRTIO_F_ACCESS_PLATFORM) | F(VIRTIO_RING_F_EVENT_IDX) | \
	 F(VIRTIO_CONSOLE_F_SIZE) | F(VIRTIO_CONSOLE_F_MULTIPORT))

/* Where queues are (virtio 1.3, 5.3.2). */
#define CTRL_RX 2u
#define CTRL_TX 3u

static struct vd_hvc *to_con(struct vd_virtio_bound *b)
{
	return container_of(b, struct vd_hvc, bound);
}

static unsigned int rx_queue(unsigned int port)
{
	return port ? 2 * port + 2 : 0;
}

void vd_hvc_wake(struct vd_hvc *con)
{
	vd_eventfd_signal(con->wake);
}

/* ---- what the device says of itself ---------------------------------------------------------- */

/* Without MULTIPORT; else the size of each port is told by the control queue. */
static int get_size(struct vd_hvc *con)
{
	struct vd_virtio_dev *vdev = con->bound.vdev;
	uint16_t v[2];
	int r;

	if (con->multiport || !vd_virtio_has(vdev, VIRTIO_CONSOLE_F_SIZE))
		return 0;
	r = vd_virtio_get_config(vdev, offsetof(struct virtio_console_config, cols), v, sizeof(v));
	if (!r)
		vd_hvc_port_resized(&con->ports[0], le16toh(v[0]), le16toh(v[1]));
	return r;
}

static int get_ports(struct vd_hvc *con)
{
	struct vd_virtio_dev *vdev = con->bound.vdev;
	uint32_t max;
	int r;

	con->multiport = vd_virtio_has(vdev, VIRTIO_CONSOLE_F_MULTIPORT);
	con->nports = 1;
	if (!con->multiport)
		return 0;
	r = vd_virtio_get_config(vdev, offsetof(struct virtio_console_config, max_nr_ports), &max,
				 sizeof(max));
	if (r)
		return r;
	max = le32toh(max);
	if (!max)
		return vd_err(-EBADMSG, "%s: no ports", vdev->name);
	/* What it has more than that is not there for us. */
	con->nports = vd_min(vd_min(max, vdev->nvqs / 2 - 1), VD_HVC_PORTS);
	return 0;
}

/* ---- queues ---------------------------------------------------------------------------------- */

static int queue_size(const struct vd_virtio_dev *vdev, const struct vd_virtio_conf *conf,
		      uint16_t *ret_num)
{
	uint64_t num =
		conf->queue_size ? conf->queue_size : vd_min(vdev->vq_num_max, VD_HVC_NUM_DEF);

	if (num < QUEUE_SIZE_MIN || num > vdev->vq_num_max)
		return vd_err(-EINVAL, "%s: queue size %llu, not %u to %u", vdev->name,
			      (unsigned long long)num, QUEUE_SIZE_MIN, vdev->vq_num_max);
	if (num & (num - 1) && !vd_virtio_has(vdev, VIRTIO_F_RING_PACKED))
		return vd_err(-EINVAL, "%s: queue size %llu is no power of two", vdev->name,
			      (unsigned long long)num);
	*ret_num = (uint16_t)num;
	return 0;
}

/* Where everything lies. Return: bytes. */
static size_t lay_out(struct vd_hvc *con, uint64_t features, uint16_t num)
{
	size_t off = con->multiport ? vd_hvc_ctrl_size(&con->ctrl, features) : 0;

	for (unsigned int i = 0; i < con->nports; i++) {
		struct vd_hvc_queue *qs[] = { &con->ports[i].rx, &con->ports[i].tx };

		for (unsigned int k = 0; k < VD_ARRAY_SIZE(qs); k++) {
			qs[k]->num = num;
			qs[k]->nbufs = vd_min(num, (uint16_t)VD_HVC_BUFS);
			qs[k]->buf_size = VD_HVC_BUF;
			qs[k]->ring = off;
			off += vd_hvc_queue_size(features, qs[k]);
		}
	}
	return off;
}

static int start_queues(struct vd_hvc *con)
{
	struct vd_virtio_dev *vdev = con->bound.vdev;
	struct uvdpa_vq rx, tx;
	int r = 0;

	for (unsigned int i = 0; i < con->nports && !r; i++) {
		struct vd_hvc_port *p = &con->ports[i];

		r = vd_hvc_queue_init(&p->rx, vdev->features, &con->dma, con->call, &rx);
		if (!r)
			r = vd_hvc_queue_init(&p->tx, vdev->features, &con->dma, con->call, &tx);
		if (r)
			return vd_err_prefix(r, "%s: port %u: ", vdev->name, i);
		r = vdev->config->set_vq(vdev, rx_queue(i), &rx);
		if (!r)
			r = vdev->config->set_vq(vdev, rx_queue(i) + 1, &tx);
	}
	if (r || !con->multiport)
		return r;
	r = vd_hvc_ctrl_init(&con->ctrl, con, &rx, &tx);
	if (r)
		return vd_err_prefix(r, "%s: control queues: ", vdev->name);
	r = vdev->config->set_vq(vdev, CTRL_RX, &rx);
	return r ? r : vdev->config->set_vq(vdev, CTRL_TX, &tx);
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* It has something to say. */
static void said(struct vd_post *post)
{
	struct vd_hvc *con = container_of(post, struct vd_hvc, post);
	bool quiet = __atomic_load_n(&con->quiet, __ATOMIC_ACQUIRE);

	for (unsigned int i = 0; i < con->nports; i++)
		vd_hvc_port_look(&con->ports[i]);
	if (!quiet || con->told)
		return;
	con->told = true;
	vd_hvc_ctrl_stop(&con->ctrl);
	for (unsigned int i = 0; i < con->nports; i++)
		vd_hvc_port_fini(&con->ports[i]);
	con->bound.vdev->config->quiesced(con->bound.vdev);
}

static void stop(struct vd_hvc *con)
{
	__atomic_store_n(&con->stop, true, __ATOMIC_RELEASE);
	if (con->started)
		vd_hvc_wake(con);
}

/* ---- the driver ------------------------------------------------------------------------------ */

static void destroy(struct vd_hvc *con)
{
	stop(con);
	if (con->started)
		pthread_join(con->thread, NULL);
	vd_post_del(con->bound.vdev->loop, &con->post);
	vd_hvc_ctrl_fini(&con->ctrl);
	for (unsigned int i = 0; con->ports && i < con->nports; i++) {
		struct vd_hvc_port *p = &con->ports[i];

		vd_hvc_port_fini(p);
		vd_hvc_queue_fini(&p->rx);
		vd_hvc_queue_fini(&p->tx);
	}
	free(con->ports);
	vd_dma_fini(&con->dma);
	vd_close(&con->wake);
	vd_close(&con->call);
	free(con);
}

/* Up to FEATURES_OK. */
static int negotiate(struct vd_hvc *con, bool packed)
{
	struct vd_virtio_dev *vdev = con->bound.vdev;
	uint64_t wanted = FEATURES;
	int r;

	if (packed)
		wanted |= F(VIRTIO_F_RING_PACKED);
	if (vdev->nvqs <= CTRL_TX)
		wanted &= ~F(VIRTIO_CONSOLE_F_MULTIPORT);
	if (vdev->nvqs < 2)
		return vd_err(-EBADMSG, "%s: one queue is not enough for a console", vdev->name);
	r = vd_virtio_begin(vdev, wanted);
	return r ? r : get_ports(con);
}

static int make_ports(struct vd_hvc *con)
{
	con->ports = calloc(con->nports, sizeof(*con->ports));
	if (!con->ports)
		return vd_err(-ENOMEM, "%s: %u ports: no memory", con->bound.vdev->name,
			      con->nports);
	for (unsigned int i = 0; i < con->nports; i++) {
		con->ports[i].con = con;
		con->ports[i].idx = i;
		vd_hvc_queue_zero(&con->ports[i].rx);
		vd_hvc_queue_zero(&con->ports[i].tx);
	}
	return 0;
}

static int start(struct vd_hvc *con, const struct vd_virtio_conf *conf)
{
	struct vd_virtio_dev *vdev = con->bound.vdev;
	uint16_t num = 0;
	int r;

	r = negotiate(con, conf->packed);
	if (!r)
		r = queue_size(vdev, conf, &num);
	if (!r)
		r = make_ports(con);
	if (!r)
		r = con->wake = vd_eventfd();
	if (r >= 0)
		r = con->call = vd_eventfd();
	if (r >= 0)
		r = vd_dma_create(&con->dma, vdev, lay_out(con, vdev->features, num), 0);
	if (!r)
		r = start_queues(con);
	/* It is there whatever the device says later, so whoever binds finds it. */
	if (!r && (r = vd_hvc_port_begin(&con->ports[0])))
		vd_err_prefix(r, "%s: ", vdev->name);
	if (!r && !con->multiport)
		con->ports[0].state = VD_HVC_PRESENT;
	if (!r)
		r = get_size(con);
	if (!r)
		r = vd_virtio_go(vdev);
	if (!r)
		r = vd_thread_start(&con->thread, vd_hvc_run, con, "uvdpa/console");
	if (r)
		return r;
	con->started = true;
	if (con->multiport)
		vd_hvc_ctrl_begin(&con->ctrl);
	return 0;
}

/* Options that make sense. Return: 0; -EINVAL, -ENAMETOOLONG with a sentence. */
static int check(const struct vd_virtio_dev *vdev, const struct vd_virtio_conf *conf)
{
	const char *other = conf->file ? "file" : conf->tap ? "tap" : conf->netns ? "netns" : NULL;

	if (other)
		return vd_err(-EINVAL, "%s: option %s is not for consoles", vdev->name, other);
	if (conf->mode && !conf->pty)
		return vd_err(-EINVAL, "%s: mode %s without pty", vdev->name, conf->mode);
	if (conf->pty && (!*conf->pty || strlen(conf->pty) >= PATH_MAX - SUFFIX_MAX))
		return vd_err(-ENAMETOOLONG, "%s: pty of %zu bytes, not 1 to %d", vdev->name,
			      strlen(conf->pty), PATH_MAX - (int)SUFFIX_MAX - 1);
	return 0;
}

static int probe(struct vd_virtio_dev *vdev, const struct vd_virtio_conf *conf,
		 struct vd_virtio_bound **ret_b)
{
	mode_t mode = MODE_DEF;
	struct vd_hvc *con;
	int r = check(vdev, conf);

	if (r)
		return r;
	if (conf->mode && (r = vd_unix_mode(conf->mode, &mode)))
		return vd_err_prefix(r, "%s: ", vdev->name);
	con = calloc(1, sizeof(*con));
	if (!con)
		return vd_err(-ENOMEM, "%s: no memory", vdev->name);
	con->bound.vdev = vdev;
	con->path = conf->pty;
	con->mode = mode;
	con->wake = con->call = -1;
	con->post.fn = said;
	vd_dma_init(&con->dma);
	vd_hvc_ctrl_zero(&con->ctrl);
	r = start(con, conf);
	if (r) {
		vdev->config->reset(vdev);
		destroy(con);
		return r;
	}
	*ret_b = &con->bound;
	return 0;
}

static void quiesce(struct vd_virtio_bound *b)
{
	struct vd_hvc *con = to_con(b);

	stop(con);
	vd_hvc_ctrl_stop(&con->ctrl);
}

static void driver_remove(struct vd_virtio_bound *b)
{
	destroy(to_con(b));
}

static void broke(struct vd_hvc *con)
{
	struct vd_virtio_dev *vdev = con->bound.vdev;

	if (con->broken)
		return;
	con->broken = true;
	vd_hvc_ctrl_stop(&con->ctrl);
	for (unsigned int i = 0; i < con->nports; i++) {
		con->ports[i].complained = true;
		__atomic_store_n(&con->ports[i].broken, true, __ATOMIC_RELEASE);
	}
	vd_hvc_wake(con);
	vd_log_warn(vdev->log, vdev->name, "is broken; its terminals wait until it is bound anew");
}

/* A notification may have been lost; and a device that was away may have forgotten what it was
 * told. */
static void nudge(struct vd_hvc *con)
{
	for (unsigned int i = 0; i < con->nports; i++) {
		vd_bell_ring(NULL, con->ports[i].rx.kick);
		vd_bell_ring(NULL, con->ports[i].tx.kick);
	}
	vd_hvc_wake(con);
	if (!con->ctrl.running)
		return;
	vd_bell_ring(NULL, con->ctrl.rx.kick);
	vd_bell_ring(NULL, con->ctrl.tx.kick);
	vd_hvc_ctrl_begin(&con->ctrl);
}

static void changed(struct vd_virtio_bound *b, enum uvdpa_event ev)
{
	struct vd_virtio_dev *vdev = b->vdev;
	struct vd_hvc *con = to_con(b);

	if (con->stop || con->broken)
		return;
	if (ev == UVDPA_DEV_CONFIG) {
		if (get_size(con))
			vd_log_warn(vdev->log, vdev->name, "%s", vd_err_text());
	} else if (ev == UVDPA_DEV_STATUS) {
		/* Nothing can be relied upon any more (virtio 1.3, 2.1.1). */
		if (vdev->config->status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET)
			broke(con);
	} else if (ev == UVDPA_DEV_READY) {
		nudge(con);
	}
}

static void describe(struct vd_virtio_bound *b, struct uvdpa_emit *e)
{
	struct vd_hvc *con = to_con(b);

	for (unsigned int i = 0; i < con->nports; i++)
		vd_hvc_port_describe(&con->ports[i], e);
}

const struct vd_virtio_driver vd_virtio_console_driver = {
	.name = "virtio_console",
	.device_id = VIRTIO_ID_CONSOLE,
	.probe = probe,
	.quiesce = quiesce,
	.remove = driver_remove,
	.changed = changed,
	.describe = describe,
};
