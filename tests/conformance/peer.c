/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer.c - a second network device in the same context, whose driver sends back what it gets
 *
 * Its two queues are a thread's, which exchanges the addresses of each frame and puts it into the
 * transmit queue where it lies.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "conformance.h"

#define NUM  512u
#define SLOT 0x11000u /* the largest frame, and its header */
#define RING 0x10000u
#define HDR  12u
#define LEN  (2 * RING + NUM * SLOT)

struct cf_peer {
	struct uvdpa_binding b;
	struct uvdpa_dev *dev;
	int memfd, stop;
	uint8_t *mem;
	struct vd_virtq_drv *rx, *tx;
	int kick[2], call[2];
	uint16_t slot_rx[NUM], slot_tx[NUM]; /* by the ring's id */
	pthread_t thread;
	bool runs;
};

/* ---- its driver ---------------------------------------------------------------------------- */

static struct cf_peer *the_peer; /* there is one at a time */

static int peer_probe(struct uvdpa_dev *dev, const void *conf, struct uvdpa_binding **ret_b)
{
	(void)dev, (void)conf;
	*ret_b = &the_peer->b;
	return 0;
}

static void peer_quiesce(struct uvdpa_binding *b)
{
	uvdpa_binding_quiesced(b);
}

static void peer_remove(struct uvdpa_binding *b)
{
	(void)b;
}

static void peer_changed(struct uvdpa_binding *b, enum uvdpa_event ev)
{
	(void)b, (void)ev;
}

static void peer_describe(struct uvdpa_binding *b, struct uvdpa_emit *e)
{
	(void)b, (void)e;
}

static const struct uvdpa_opt no_opts[] = { { 0 } };
static const struct uvdpa_driver peer_driver = {
	.name = "peer",
	.help = "sends back what it gets",
	.opts = no_opts,
	.probe = peer_probe,
	.quiesce = peer_quiesce,
	.remove = peer_remove,
	.changed = peer_changed,
	.describe = peer_describe,
};

/* ---- the thread ---------------------------------------------------------------------------- */

static void publish(struct vd_virtq_drv *drv, int kick)
{
	if (vd_virtq_drv_publish(drv))
		vd_eventfd_signal(kick);
}

static void post(struct cf_peer *p, uint16_t slot)
{
	struct vd_buf b = { 2 * RING + slot * SLOT, SLOT };
	int id = vd_virtq_drv_add(p->rx, &b, 0, 1);

	if (id >= 0) /* there are as many slots as places */
		p->slot_rx[id] = slot;
}

static void send_back(struct cf_peer *p, uint16_t slot, uint32_t len)
{
	struct vd_buf b = { 2 * RING + slot * SLOT, len };
	uint8_t *f = p->mem + b.iova, mac[6];
	int id;

	memset(f, 0, HDR);
	memcpy(mac, f + HDR, 6);
	memcpy(f + HDR, f + HDR + 6, 6);
	memcpy(f + HDR + 6, mac, 6);
	if (mac[0] & 1) /* who asked all hears from us */
		f[HDR + 6] &= 0xfe;
	id = vd_virtq_drv_add(p->tx, &b, 1, 0);
	if (id >= 0)
		p->slot_tx[id] = slot;
}

static void *echo(void *arg)
{
	struct cf_peer *p = arg;
	struct pollfd fds[] = { { p->call[0], POLLIN, 0 },
				{ p->call[1], POLLIN, 0 },
				{ p->stop, POLLIN, 0 } };
	struct vd_done d[32];
	int n, m;

	do {
		while ((n = vd_virtq_drv_get(p->rx, d, 32)) > 0) {
			for (int i = 0; i < n; i++)
				send_back(p, p->slot_rx[d[i].id], d[i].len);
			publish(p->tx, p->kick[1]);
		}
		while ((m = vd_virtq_drv_get(p->tx, d, 32)) > 0) {
			for (int i = 0; i < m; i++)
				post(p, p->slot_tx[d[i].id]);
			publish(p->rx, p->kick[0]);
		}
		if (n < 0 || m < 0 ||
		    (!vd_virtq_drv_calls_on(p->rx) && !vd_virtq_drv_calls_on(p->tx)))
			poll(fds, 3, -1);
		vd_eventfd_drain(p->call[0]);
		vd_eventfd_drain(p->call[1]);
	} while (!fds[2].revents);
	return NULL;
}

/* ---- there and away ------------------------------------------------------------------------ */

static void start_queue(struct cf_peer *p, unsigned int i, uint64_t features,
			struct vd_virtq_drv **ret_drv)
{
	struct vd_vring_layout l = vd_vring_layout(NUM, false, 0);
	struct vd_virtq_drv_conf conf = {
		.features = features, .num = NUM, .ring = p->mem + i * RING, .ring_iova = i * RING
	};
	struct uvdpa_vq vq = { .num = NUM,
			       .desc = i * RING + l.desc,
			       .driver = i * RING + l.driver,
			       .device = i * RING + l.device };

	cf_check(l.size <= RING);
	p->kick[i] = vq.kick = vd_eventfd();
	p->call[i] = vq.call = vd_eventfd();
	cf_check(vq.kick >= 0 && vq.call >= 0);
	cf_is(vd_virtq_drv_create(&conf, ret_drv), 0);
	vq.state = vd_virtq_drv_state(*ret_drv);
	cf_is(uvdpa_dev_set_vq(p->dev, i, &vq), 0);
	cf_is(uvdpa_dev_enable_vq(p->dev, i), 0);
}

/* As net_settle(). */
static void settle(struct cf *c, struct cf_peer *p)
{
	struct vd_buf b = { 2 * RING, 1 };
	struct vd_done d;

	for (unsigned int i = 0; i < 2; i++) {
		cf_check(vd_virtq_drv_add(p->tx, &b, 1, 0) >= 0);
		publish(p->tx, p->kick[1]);
		cf_until(c, vd_virtq_drv_get(p->tx, &d, 1) == 1);
	}
}

void cf_peer_open(struct cf *c, const struct uvdpa_attr *attrs, unsigned int nattrs)
{
	struct uvdpa_dev_opts o = { .size = sizeof(o),
				    .name = "peer",
				    .mgmtdev = c->f.variant->parent,
				    .driver = "peer",
				    .attrs = attrs,
				    .nattrs = nattrs };
	struct cf_peer *p = calloc(1, sizeof(*p));
	uint64_t features = CF_F(VIRTIO_F_VERSION_1) | CF_F(VIRTIO_RING_F_EVENT_IDX);
	struct uvdpa_map map = { .len = LEN, .prot = UVDPA_MAP_RW };

	cf_check(p);
	c->peer = the_peer = p;
	p->mem = MAP_FAILED;
	p->kick[0] = p->kick[1] = p->call[0] = p->call[1] = -1;
	p->memfd = memfd_create("peer", MFD_CLOEXEC);
	p->stop = vd_eventfd();
	cf_check(p->memfd >= 0 && p->stop >= 0);
	cf_is(ftruncate(p->memfd, LEN), 0);
	p->mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, p->memfd, 0);
	cf_check(p->mem != MAP_FAILED);
	/* At one address for both sides: what orders them is seen by ThreadSanitizer. */
	map.fd = p->memfd;
	map.addr = p->mem;
	cf_is(uvdpa_driver_register(c->u, &peer_driver), 0);
	cf_ok(c, uvdpa_dev_add(c->u, &o, &p->dev, &c->w));
	cf_is(uvdpa_dev_map(p->dev, 0, &map), 0);
	cf_ok(c, uvdpa_dev_commit(p->dev, &c->w));
	cf_is(uvdpa_dev_set_status(p->dev, 3), 0);
	cf_is(uvdpa_dev_set_features(p->dev, features), 0);
	cf_is(uvdpa_dev_set_status(p->dev, 11), 0);
	start_queue(p, 0, features, &p->rx);
	start_queue(p, 1, features, &p->tx);
	cf_is(uvdpa_dev_set_status(p->dev, 15), 0);
	settle(c, p);
	for (uint16_t i = 0; i < NUM; i++)
		post(p, i);
	publish(p->rx, p->kick[0]);
	p->runs = !pthread_create(&p->thread, NULL, echo, p);
	cf_check(p->runs);
}

void cf_peer_stop(struct cf *c)
{
	struct cf_peer *p = c->peer;

	if (!p || !p->runs)
		return;
	vd_eventfd_signal(p->stop);
	pthread_join(p->thread, NULL);
	p->runs = false;
}

void cf_peer_free(struct cf *c)
{
	struct cf_peer *p = c->peer;

	if (!p)
		return;
	vd_virtq_drv_destroy(p->rx);
	vd_virtq_drv_destroy(p->tx);
	for (unsigned int i = 0; i < 2; i++) {
		vd_close(&p->kick[i]);
		vd_close(&p->call[i]);
	}
	vd_close(&p->stop);
	vd_close(&p->memfd);
	if (p->mem != MAP_FAILED)
		munmap(p->mem, LEN);
	free(p);
	c->peer = NULL;
}
