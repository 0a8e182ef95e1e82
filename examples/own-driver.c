/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * own-driver.c - a bus driver from outside of the library: it reads the first sector of a disk
 *
 * usage: own-driver IMAGE
 *
 * What any consumer of a device does: agree on features, read the configuration, give memory, set
 * up a queue in it, let the device run, send a request, and let go when the bus wants the device
 * back. The queue here is of four descriptors, and one request is all that it ever has.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uvdpa/driver.h>

#define IOVA 0x10000u /* where the device sees our memory */
#define NUM  4u

/* All that the device may touch; it has the page at IOVA. */
struct shared {
	_Alignas(4096) char ring[2048];
	struct virtio_blk_outhdr hdr;
	uint8_t data[512];
	uint8_t status;
};

struct reader {
	struct uvdpa_binding b;
	struct uvdpa_poll call;
	int kick_fd, call_fd;
	struct vring vr;
	uint64_t sectors;
	bool done;
	struct shared *shared;
};

/* The one there is; a program with more finds them by what it embeds. */
static struct reader *the_reader;

static uint64_t iova(const struct reader *r, const void *p)
{
	return IOVA + (uint64_t)((const char *)p - (const char *)r->shared);
}

/* Header, data, status: three descriptors, and one entry that says so. */
static void send_read(struct reader *r)
{
	struct shared *s = r->shared;
	const struct {
		void *at;
		uint32_t len;
		uint16_t flags;
	} parts[] = {
		{ &s->hdr, sizeof(s->hdr), VRING_DESC_F_NEXT },
		{ s->data, sizeof(s->data), VRING_DESC_F_NEXT | VRING_DESC_F_WRITE },
		{ &s->status, 1, VRING_DESC_F_WRITE },
	};

	s->hdr = (struct virtio_blk_outhdr){ .type = htole32(VIRTIO_BLK_T_IN) };
	s->status = 0xff;
	for (uint16_t i = 0; i < 3; i++)
		r->vr.desc[i] =
			(struct vring_desc){ htole64(iova(r, parts[i].at)), htole32(parts[i].len),
					     htole16(parts[i].flags), htole16(i + 1) };
	r->vr.avail->ring[0] = htole16(0);
	/* Release: the entry before the index that makes it the device's. */
	__atomic_store_n(&r->vr.avail->idx, htole16(1), __ATOMIC_RELEASE);
	eventfd_write(r->kick_fd, 1);
}

static void called(struct uvdpa_poll *p, uint32_t events)
{
	struct reader *r = (struct reader *)((char *)p - offsetof(struct reader, call));
	eventfd_t n;

	(void)events;
	eventfd_read(r->call_fd, &n);
	/* Acquire: the index before what it says is there. */
	r->done = le16toh(__atomic_load_n(&r->vr.used->idx, __ATOMIC_ACQUIRE)) == 1;
}

static int start(struct reader *r, struct uvdpa_dev *dev)
{
	struct uvdpa_map map = { .iova = IOVA,
				 .len = sizeof(*r->shared),
				 .fd = -1,
				 .addr = r->shared,
				 .prot = UVDPA_MAP_RW };
	struct uvdpa_vq vq = { .num = NUM, .kick = r->kick_fd, .call = r->call_fd };
	const uint8_t driver = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	struct virtio_blk_config config;
	int err = uvdpa_dev_set_status(dev, driver);

	if (!err)
		err = uvdpa_dev_set_features(dev, 1ull << VIRTIO_F_VERSION_1);
	if (!err)
		err = uvdpa_dev_set_status(dev, driver | VIRTIO_CONFIG_S_FEATURES_OK);
	if (!err)
		err = uvdpa_dev_get_config(dev, 0, &config, sizeof(config.capacity));
	if (!err)
		err = uvdpa_dev_map(dev, 0, &map);
	if (!err)
		err = uvdpa_dev_commit(dev, NULL); /* no queue runs: at once */
	if (err)
		return err;
	r->sectors = le64toh(config.capacity);
	vring_init(&r->vr, NUM, r->shared->ring, 4);
	vq.desc = iova(r, r->vr.desc);
	vq.driver = iova(r, r->vr.avail);
	vq.device = iova(r, r->vr.used);
	err = uvdpa_dev_set_vq(dev, 0, &vq);
	if (!err)
		err = uvdpa_dev_enable_vq(dev, 0);
	if (!err)
		err = uvdpa_dev_set_status(dev, driver | VIRTIO_CONFIG_S_FEATURES_OK |
							VIRTIO_CONFIG_S_DRIVER_OK);
	return err;
}

static void reader_free(struct reader *r)
{
	uvdpa_poll_del(&r->call);
	if (r->kick_fd >= 0)
		close(r->kick_fd);
	if (r->call_fd >= 0)
		close(r->call_fd);
	free(r->shared);
	free(r);
	the_reader = NULL;
}

/* ---- what the bus asks of a driver ----------------------------------------------------------- */

static bool reader_match(const struct uvdpa_dev_info *info)
{
	return info->device_id == VIRTIO_ID_BLOCK;
}

static int reader_probe(struct uvdpa_dev *dev, const void *conf, struct uvdpa_binding **ret_b)
{
	struct reader *r = calloc(1, sizeof(*r));
	int err;

	(void)conf;
	if (!r)
		return uvdpa_set_error(-ENOMEM, "%s: no memory", uvdpa_dev_name(dev));
	r->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->shared = aligned_alloc(4096, sizeof(*r->shared));
	r->call.ready = called;
	if (r->shared)
		memset(r->shared, 0, sizeof(*r->shared));
	if (r->kick_fd < 0 || r->call_fd < 0 || !r->shared)
		err = uvdpa_set_error(-ENOMEM, "%s: no memory or descriptors", uvdpa_dev_name(dev));
	else
		err = uvdpa_poll_add(uvdpa_dev_context(dev), &r->call, r->call_fd, EPOLLIN);
	if (!err)
		err = start(r, dev);
	if (err) {
		reader_free(r);
		return err;
	}
	send_read(r);
	the_reader = r;
	*ret_b = &r->b;
	return 0;
}

/* The device does what it has, and that is all we wait for. */
static void reader_quiesce(struct uvdpa_binding *b)
{
	uvdpa_binding_quiesced(b);
}

static void reader_remove(struct uvdpa_binding *b)
{
	reader_free((struct reader *)((char *)b - offsetof(struct reader, b)));
}

static void reader_changed(struct uvdpa_binding *b, enum uvdpa_event ev)
{
	if (ev == UVDPA_DEV_STATUS && (uvdpa_dev_status(b->dev) & VIRTIO_CONFIG_S_NEEDS_RESET))
		uvdpa_binding_release(b);
}

static void reader_describe(struct uvdpa_binding *b, struct uvdpa_emit *e)
{
	e->num(e, "sectors", ((struct reader *)((char *)b - offsetof(struct reader, b)))->sectors);
}

static const struct uvdpa_opt reader_opts[] = { { .key = NULL } };

static const struct uvdpa_driver reader_driver = {
	.name = "reader",
	.help = "reads the first sector",
	.opts = reader_opts,
	.match = reader_match,
	.probe = reader_probe,
	.quiesce = reader_quiesce,
	.remove = reader_remove,
	.changed = reader_changed,
	.describe = reader_describe,
};

/* ---- its use --------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
	struct uvdpa_attr image = { "image", argc > 1 ? argv[1] : "" };
	struct uvdpa_dev_opts o = { .size = sizeof(o),
				    .name = "d0",
				    .mgmtdev = "blk",
				    .attrs = &image,
				    .nattrs = 1,
				    .driver = "reader" };
	struct uvdpa_wait w = { 0 };
	struct uvdpa_dev *dev;
	struct uvdpa *u;
	unsigned int sum = 0;
	int r;

	if (argc != 2) {
		fputs("usage: own-driver IMAGE\n", stderr);
		return 2;
	}
	r = uvdpa_create(&u);
	if (r)
		goto out;
	r = uvdpa_driver_register(u, &reader_driver);
	if (!r)
		r = uvdpa_await(u, &w, uvdpa_dev_add(u, &o, &dev, &w));
	while (!r && the_reader && !the_reader->done)
		uvdpa_dispatch(u, -1);
	if (!r && the_reader && !the_reader->shared->status) {
		for (unsigned int i = 0; i < 512; i++)
			sum += the_reader->shared->data[i];
		printf("%llu sectors, the first one's bytes add up to %u\n",
		       (unsigned long long)the_reader->sectors, sum);
	} else if (!r) {
		r = uvdpa_set_error(-EIO, "the device did not read");
	}
	uvdpa_destroy(u);	/* takes the device back: reader_remove() */
out:
	if (r)
		fprintf(stderr, "own-driver: %s\n", uvdpa_error());
	return r ? 1 : 0;
}
