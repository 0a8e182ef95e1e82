/* SPDX-License-Identifier: BSD-2-Clause */
/* net-tap.c - the device as a network interface: the interface, and the life of its threads */
#include "virtio/net-tap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/thread.h"

/* The command that brings further pairs into use; on its own, as it may outlive the interface. */
struct tap_mq {
	struct uvdpa_wait w;
	struct vd_net_tap *tap; /* NULL: that is no more */
};

static void warn(struct vd_net_tap *t, const char *what)
{
	vd_log_warn(t->vdev->log, t->vdev->name, "%s%s", what, vd_err_text());
}

/* ---- what follows the device ----------------------------------------------------------------- */

void vd_net_tap_changed(struct vd_net_tap *t)
{
	const struct uvdpa_net_info *info = uvdpa_net_info(t->net);
	static const uint8_t none[6];

	if (t->fd < 0 || t->complained)
		return;
	if (memcmp(t->mac, info->mac, sizeof(t->mac)) && memcmp(info->mac, none, sizeof(none))) {
		memcpy(t->mac, info->mac, sizeof(t->mac));
		if (vd_tun_set_mac(t->fd, t->mac))
			warn(t, "");
	}
	if (t->mtu != info->mtu) {
		t->mtu = info->mtu;
		if (vd_tun_set_mtu(&t->tun, t->fd, t->mtu))
			warn(t, "");
	}
	if (t->carrier != info->link_up) {
		t->carrier = info->link_up;
		if (vd_tun_set_carrier(t->fd, t->carrier))
			warn(t, "");
	}
	/* That neighbours are told is the kernel's business: see arp_notify in ip-sysctl. */
	if (info->announce && uvdpa_net_announced(t->net, NULL) != -EINPROGRESS)
		warn(t, "");
}

void vd_net_tap_describe(struct vd_net_tap *t, struct uvdpa_emit *e)
{
	char name[IFNAMSIZ];

	if (t->fd < 0 || vd_tun_name(t->fd, name))
		return;
	e->str(e, "interface", name);
	if (t->netns)
		e->str(e, "netns", t->netns);
}

/* ---- threads --------------------------------------------------------------------------------- */

/* A thread has ended. */
static void said(struct vd_post *post)
{
	struct vd_net_tap *t = container_of(post, struct vd_net_tap, post);
	struct vd_virtio_dev *vdev = t->vdev;

	if (__atomic_load_n(&t->lost, __ATOMIC_ACQUIRE) && !t->released) {
		t->released = true;
		vd_log_warn(vdev->log, vdev->name, "its interface was removed");
		vdev->config->release(vdev);
	}
	if (__atomic_load_n(&t->broken, __ATOMIC_ACQUIRE) && !t->complained) {
		t->complained = true;
		vd_log_warn(vdev->log, vdev->name, "is broken; its interface waits until it is bound anew");
		if (t->fd >= 0 && t->carrier && vd_tun_set_carrier(t->fd, false))
			warn(t, "");
		t->carrier = false;
	}
	if (!t->stop || t->told)
		return;
	for (unsigned int i = 0; i < t->npairs; i++)
		if (!__atomic_load_n(&t->pairs[i].quiet, __ATOMIC_ACQUIRE))
			return;
	t->told = true;
	vdev->config->quiesced(vdev);
}

static void stop(struct vd_net_tap *t)
{
	vd_close(&t->fd);
	__atomic_store_n(&t->stop, true, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < t->npairs; i++)
		if (t->pairs[i].started)
			vd_eventfd_signal(t->pairs[i].wake);
}

void vd_net_tap_quiesce(struct vd_net_tap *t)
{
	stop(t);
	/* All threads may have ended before, with the interface. */
	vd_loop_post(t->vdev->loop, &t->post);
}

static void forget(struct vd_net_tap *t)
{
	for (unsigned int i = 0; i < t->npairs; i++) {
		vd_close(&t->pairs[i].fd);
		vd_close(&t->pairs[i].wake);
	}
	free(t->pairs);
	vd_close(&t->fd);
	vd_tun_close(&t->tun);
	uvdpa_net_close(t->net);
	if (t->mq)
		t->mq->tap = NULL;
	free(t->netns);
	free(t);
}

void vd_net_tap_destroy(struct vd_net_tap *t)
{
	stop(t);
	for (unsigned int i = 0; i < t->npairs; i++)
		if (t->pairs[i].started)
			pthread_join(t->pairs[i].thread, NULL);
	vd_post_del(t->vdev->loop, &t->post);
	forget(t);
}

/* ---- making it ------------------------------------------------------------------------------- */

/* Bytes that a pair needs. *ret_size: of a receive buffer, *ret_n: how many. */
static size_t pair_mem(const struct uvdpa_net_info *info, uint32_t *ret_size, unsigned int *ret_n)
{
	*ret_size = info->rx_merge ? RX_PIECE : (uint32_t)vd_align_up(info->rx_buf_min, 64);
	*ret_n = info->rx_merge ? info->queue_size : vd_min(info->queue_size, RX_WHOLE);
	return *ret_n * (size_t)*ret_size;
}

static int fill_pair(struct vd_net_tap *t, unsigned int idx)
{
	const struct uvdpa_net_info *info = uvdpa_net_info(t->net);
	struct tap_pair *p = &t->pairs[idx];
	unsigned int n;
	uint8_t *mem;

	p->q = uvdpa_net_queue(t->net, idx);
	mem = uvdpa_net_alloc(t->net, pair_mem(info, &p->rx_size, &n));
	if (!mem)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++) {
		struct uvdpa_net_buf b = { .mem = mem + i * (size_t)p->rx_size, .len = p->rx_size };

		if (uvdpa_netq_rx_post(p->q, &b, 1) != 1)
			return vd_err(-EIO, "%s: takes no buffers", t->vdev->name);
	}
	p->nslots = vd_min(info->queue_size, TX_SLOTS);
	mem = uvdpa_net_alloc(t->net, p->nslots * (size_t)TX_SLOT);
	if (!mem)
		return -ENOMEM;
	/* The first to be used is the last one put here: low addresses first. */
	while (p->nfree < p->nslots) {
		p->free[p->nfree] = mem + (p->nslots - 1 - p->nfree) * (size_t)TX_SLOT;
		p->nfree++;
	}
	return 0;
}

static int open_device(struct vd_net_tap *t, struct vd_netdrv *drv,
		       const struct vd_virtio_conf *conf)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct uvdpa_net_opts o = {
		.size = sizeof(o),
		.queue_size = (unsigned int)conf->queue_size,
		.packed = conf->packed,
		.offloads = VD_NET_GUEST_OFFLOADS,
	};
	size_t per_pair;

	/* More threads than CPUs are of no use. */
	o.pairs = conf->queues ? (unsigned int)conf->queues : cpus > 0 ? (unsigned int)cpus : 1;
	o.pairs = vd_min(o.pairs, t->vdev->nvqs / 2);
	o.pairs = vd_max(vd_min(o.pairs, VD_TUN_QUEUES_MAX), 1u);
	/* What buffers will be like is known when it is open; that much at most. Pages are used
	 * only when touched. */
	per_pair = vd_max(RX_WHOLE * (size_t)TX_SLOT, t->vdev->vq_num_max * (size_t)RX_PIECE) +
		   TX_SLOTS * (size_t)TX_SLOT;
	o.mem = o.pairs * per_pair;
	return vd_net_open(&drv->bound, &o, &t->net);
}

/* The kernel shall use the further queues once the device does. */
static void pairs_set(struct uvdpa_wait *w, int err)
{
	struct tap_mq *mq = container_of(w, struct tap_mq, w);
	struct vd_net_tap *t = mq->tap;

	if (t) {
		t->mq = NULL;
		if (err)
			warn(t, "uses one pair of queues: ");
		for (unsigned int i = 1; !err && !t->stop && i < t->npairs; i++)
			if (vd_tun_attach(t->pairs[i].fd, true))
				warn(t, "");
	}
	free(mq);
}

static int set_pairs(struct vd_net_tap *t)
{
	int r;

	if (t->npairs == 1)
		return 0;
	t->mq = calloc(1, sizeof(*t->mq));
	if (!t->mq)
		return vd_err(-ENOMEM, "%s: no memory", t->vdev->name);
	t->mq->tap = t;
	t->mq->w.done = pairs_set;
	r = uvdpa_net_set_pairs(t->net, t->npairs, &t->mq->w);
	if (r == -EINPROGRESS)
		return 0;
	free(t->mq);
	t->mq = NULL;
	return r;
}

static int make_interface(struct vd_net_tap *t, const struct vd_virtio_conf *conf)
{
	const struct uvdpa_net_info *info = uvdpa_net_info(t->net);
	int fds[VD_TUN_QUEUES_MAX];
	int r;

	r = vd_tun_open(&t->tun, conf->tap, conf->netns, UVDPA_NET_HDR, fds, t->npairs);
	if (r)
		return r;
	for (unsigned int i = 0; i < t->npairs; i++)
		t->pairs[i].fd = fds[i];
	r = t->fd = vd_dup(fds[0]);
	if (r < 0)
		return r;
	for (unsigned int i = 1; i < t->npairs; i++) {
		r = vd_tun_attach(fds[i], false);
		if (r)
			return r;
	}
	t->mtu = 0;
	t->carrier = !info->link_up;
	vd_net_tap_changed(t);
	r = vd_tun_set_offloads(t->fd, info->features);
	return r ? r : vd_tun_set_up(&t->tun, t->fd);
}

static int start_threads(struct vd_net_tap *t)
{
	for (unsigned int i = 0; i < t->npairs; i++) {
		int r = vd_thread_start(&t->pairs[i].thread, vd_net_tap_run, &t->pairs[i],
					"uvdpa/tap");

		if (r)
			return vd_err_prefix(r, "%s: ", t->vdev->name);
		t->pairs[i].started = true;
	}
	return 0;
}

static int start(struct vd_net_tap *t, const struct vd_virtio_conf *conf)
{
	int r = 0;

	t->pairs = calloc(t->net->npairs, sizeof(*t->pairs));
	if (!t->pairs)
		return vd_err(-ENOMEM, "%s: no memory", t->vdev->name);
	t->npairs = t->net->npairs;
	for (unsigned int i = 0; i < t->npairs; i++) {
		t->pairs[i].tap = t;
		t->pairs[i].fd = t->pairs[i].wake = -1;
	}
	for (unsigned int i = 0; i < t->npairs; i++) {
		r = t->pairs[i].wake = vd_eventfd();
		if (r < 0)
			return r;
		r = fill_pair(t, i);
		if (r)
			return r;
	}
	r = make_interface(t, conf);
	if (!r)
		r = set_pairs(t);
	return r ? r : start_threads(t);
}

int vd_net_tap_create(struct vd_netdrv *drv, const struct vd_virtio_conf *conf,
		      struct vd_net_tap **ret_tap)
{
	struct vd_net_tap *t;
	int r = vd_tun_check_name(conf->tap);	/* before the device runs */

	if (r)
		return r;
	t = calloc(1, sizeof(*t));
	if (!t)
		return vd_err(-ENOMEM, "%s: no memory", drv->bound.vdev->name);
	t->vdev = drv->bound.vdev;
	t->tun.sock = t->fd = -1;
	t->post.fn = said;
	t->netns = conf->netns ? strdup(conf->netns) : NULL;
	r = open_device(t, drv, conf);
	if (!r)
		r = start(t, conf);
	if (r) {
		vd_net_tap_destroy(t);
		return r;
	}
	*ret_tap = t;
	return 0;
}
