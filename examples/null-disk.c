/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * null-disk.c - a parent from outside of the library: a disk that reads as zeros
 *
 * usage: null-disk [SOCKET]
 *
 * Without an argument the disk is read in this process; with one, it is served there to a VM until
 * the program is interrupted.
 *
 * Everything happens in the control thread, so there is nothing to lock, and a queue is quiet as
 * soon as nobody calls. A parent with threads of its own wakes the loop by an eventfd.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <uvdpa/blk.h>
#include <uvdpa/parent.h>

#define MAPS 64
#define RING 256

struct piece {
	struct uvdpa_map map;
	char *addr;
};

struct null_disk {
	struct uvdpa_dev dev;
	struct uvdpa *u;
	struct piece pieces[MAPS];	/* the driver's memory */
	unsigned int npieces;
	struct virtio_blk_config config;

	/* the queue */
	struct uvdpa_vq vq;
	struct uvdpa_poll poll;
	uint16_t next;			/* to take */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
};

static struct null_disk *to_disk(struct uvdpa_dev *dev)
{
	return (struct null_disk *)((char *)dev - offsetof(struct null_disk, dev));
}

/* ---- the driver's memory ----------------------------------------------------------------------- */

static void *at(struct null_disk *d, uint64_t iova, uint64_t len)
{
	for (unsigned int i = 0; i < d->npieces; i++) {
		const struct uvdpa_map *m = &d->pieces[i].map;

		if (iova >= m->iova && iova - m->iova <= m->len && len <= m->len - (iova - m->iova))
			return d->pieces[i].addr + (iova - m->iova);
	}
	return NULL;
}

/* No queue runs now, so a change may count at once. */
static int disk_map(struct uvdpa_dev *dev, unsigned int asid, const struct uvdpa_map *map)
{
	struct null_disk *d = to_disk(dev);
	struct piece *p = &d->pieces[d->npieces];

	(void)asid;
	if (d->npieces == MAPS)
		return uvdpa_set_error(-ENOSPC, "null: %d pieces of memory at most", MAPS);
	p->map = *map;
	p->addr = mmap(NULL, map->len, PROT_READ | PROT_WRITE, MAP_SHARED, map->fd,
		       (off_t)map->offset);
	if (p->addr == MAP_FAILED)
		return uvdpa_set_error(-errno, "null: map: %m");
	d->npieces++;
	return 0;
}

static int disk_unmap(struct uvdpa_dev *dev, unsigned int asid, uint64_t iova, uint64_t len)
{
	struct null_disk *d = to_disk(dev);

	(void)asid;
	for (unsigned int i = 0; i < d->npieces;) {
		struct piece *p = &d->pieces[i];

		if (p->map.iova < iova || p->map.iova - iova >= len) {
			i++;
			continue;
		}
		munmap(p->addr, p->map.len);
		*p = d->pieces[--d->npieces];
	}
	return 0;
}

static int disk_commit(struct uvdpa_dev *dev, unsigned int asid)
{
	(void)dev, (void)asid;
	return 0;
}

/* ---- requests ------------------------------------------------------------------------------------ */

/* A chain: header, data, a byte of status. What the driver may change is read once. */
static int request(struct null_disk *d, uint16_t head, uint32_t *ret_written)
{
	uint32_t written = 0;
	uint16_t i = head;

	for (unsigned int n = 0; n < d->vq.num && i < d->vq.num; n++) {
		struct vring_desc desc = d->desc[i];
		uint32_t len = le32toh(desc.len);
		uint16_t flags = le16toh(desc.flags);
		char *buf = at(d, le64toh(desc.addr), len);

		if (!buf)
			return uvdpa_set_error(-EBADMSG, "descriptor %u: not in mapped memory", i);
		if (flags & VRING_DESC_F_WRITE) {
			memset(buf, 0, len);	/* zeros; the last byte is VIRTIO_BLK_S_OK */
			written += len;
		}
		if (!(flags & VRING_DESC_F_NEXT)) {
			*ret_written = written;
			return 0;
		}
		i = le16toh(desc.next);
	}
	return uvdpa_set_error(-EBADMSG, "chain of descriptor %u: beyond %u", head, d->vq.num);
}

static int take_all(struct null_disk *d)
{
	uint16_t end = le16toh(__atomic_load_n(&d->avail->idx, __ATOMIC_ACQUIRE));
	uint16_t done = le16toh(d->used->idx);
	int r;

	if ((uint16_t)(end - d->next) > d->vq.num)
		return uvdpa_set_error(-EBADMSG, "index %u after %u of %u", end, d->next, d->vq.num);
	for (; d->next != end; d->next++) {
		uint16_t head = le16toh(d->avail->ring[d->next % d->vq.num]);
		struct vring_used_elem *e = &d->used->ring[done % d->vq.num];
		uint32_t written = 0;

		r = request(d, head, &written);
		if (r)
			return r;
		e->id = htole32(head);
		e->len = htole32(written);
		__atomic_store_n(&d->used->idx, htole16(++done), __ATOMIC_RELEASE);
	}
	if (d->vq.call >= 0)
		eventfd_write(d->vq.call, 1);
	return 0;
}

static void disk_kick(struct uvdpa_dev *dev, unsigned int idx, uint32_t data)
{
	struct null_disk *d = to_disk(dev);

	(void)data;
	if (!d->used || !take_all(d))
		return;
	uvdpa_poll_del(&d->poll);
	d->used = NULL;
	uvdpa_dev_vq_broken(dev, idx);
}

static void kicked(struct uvdpa_poll *p, uint32_t events)
{
	struct null_disk *d = (struct null_disk *)((char *)p - offsetof(struct null_disk, poll));
	eventfd_t n;

	(void)events;
	if (!eventfd_read(d->vq.kick, &n))
		disk_kick(&d->dev, 0, 0);
}

/* ---- the device ------------------------------------------------------------------------------------ */

static int disk_set_vq(struct uvdpa_dev *dev, unsigned int idx, const struct uvdpa_vq *vq)
{
	(void)idx;
	to_disk(dev)->vq = *vq;
	to_disk(dev)->next = vq->state.avail;
	return 0;
}

static int disk_set_call(struct uvdpa_dev *dev, unsigned int idx, int call)
{
	(void)idx;
	to_disk(dev)->vq.call = call;
	return 0;
}

static int disk_enable_vq(struct uvdpa_dev *dev, unsigned int idx)
{
	struct null_disk *d = to_disk(dev);
	const struct uvdpa_vq *vq = &d->vq;

	if (vq->poll)
		return uvdpa_set_error(-EOPNOTSUPP, "null: queue %u needs a kick", idx);
	d->desc = at(d, vq->desc, sizeof(*d->desc) * vq->num);
	d->avail = at(d, vq->driver, sizeof(*d->avail) + 2u * vq->num);
	d->used = at(d, vq->device, sizeof(*d->used) + sizeof(struct vring_used_elem) * vq->num);
	if (!d->desc || !d->avail || !d->used) {
		d->used = NULL;
		return uvdpa_set_error(-EBADMSG, "null: rings of queue %u: not in mapped memory", idx);
	}
	if (vq->kick < 0)
		return 0;
	eventfd_write(vq->kick, 1);	/* look once, at what is there already */
	return uvdpa_poll_add(d->u, &d->poll, vq->kick, EPOLLIN);
}

static void disk_quiesce(struct uvdpa_dev *dev, unsigned int idx)
{
	uvdpa_poll_del(&to_disk(dev)->poll);
	to_disk(dev)->used = NULL;
	uvdpa_dev_quiesced(dev, idx);
}

static int disk_get_vq(struct uvdpa_dev *dev, unsigned int idx, struct uvdpa_vq_state *ret_state)
{
	(void)idx;
	*ret_state = (struct uvdpa_vq_state){ .avail = to_disk(dev)->next };
	return 0;
}

static void disk_reset(struct uvdpa_dev *dev)
{
	to_disk(dev)->next = 0;
}

static int disk_set_features(struct uvdpa_dev *dev, uint64_t features)
{
	(void)dev, (void)features;
	return 0;
}

static int disk_set_status(struct uvdpa_dev *dev, uint8_t status)
{
	(void)dev, (void)status;
	return 0;
}

static int disk_get_config(struct uvdpa_dev *dev, uint32_t off, void *buf, uint32_t len)
{
	memcpy(buf, (char *)&to_disk(dev)->config + off, len);
	return 0;
}

static int disk_set_config(struct uvdpa_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	(void)dev, (void)off, (void)buf, (void)len;
	return uvdpa_set_error(-EOPNOTSUPP, "null: nothing can be configured");
}

static void disk_destroy(struct uvdpa_dev *dev)
{
	struct null_disk *d = to_disk(dev);

	disk_unmap(dev, 0, 0, UINT64_MAX);
	free(d);
}

static const struct uvdpa_dev_ops disk_ops = {
	.reset = disk_reset,
	.set_features = disk_set_features,
	.set_status = disk_set_status,
	.get_config = disk_get_config,
	.set_config = disk_set_config,
	.set_vq = disk_set_vq,
	.set_call = disk_set_call,
	.enable_vq = disk_enable_vq,
	.quiesce = disk_quiesce,
	.get_vq = disk_get_vq,
	.kick = disk_kick,
	.destroy = disk_destroy,
};

static const struct uvdpa_mem_ops disk_mem_ops = {
	.map = disk_map,
	.unmap = disk_unmap,
	.commit = disk_commit,
};

/* ---- the parent ------------------------------------------------------------------------------------- */

struct null_conf {
	uint64_t capacity;
};

static const struct uvdpa_opt null_opts[] = {
	{ .key = "capacity", .type = UVDPA_OPT_SIZE, .offset = offsetof(struct null_conf, capacity),
	  .def = "1M", .min = 512, .help = "bytes of the disk" },
	{ .key = NULL },
};

static int null_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	const struct null_conf *c = conf;
	struct null_disk *d = calloc(1, sizeof(*d));

	if (!d)
		return uvdpa_set_error(-ENOMEM, "%s: out of memory", name);
	d->u = u;
	d->poll.ready = kicked;
	d->config.capacity = htole64(c->capacity / 512);
	d->dev.ops = &disk_ops;
	d->dev.mem = &disk_mem_ops;
	d->dev.info = (struct uvdpa_dev_info){
		.device_id = VIRTIO_ID_BLOCK,
		.features = 1ull << VIRTIO_F_VERSION_1,
		.nvqs = 1,
		.vq_num_max = RING,
		.config_size = sizeof(d->config),
	};
	*ret_dev = &d->dev;
	return 0;
}

static const uint32_t null_ids[] = { VIRTIO_ID_BLOCK, 0 };

static const struct uvdpa_parent null_parent = {
	.name = "null",
	.help = "a disk that reads as zeros",
	.device_ids = null_ids,
	.features = 1ull << VIRTIO_F_VERSION_1,
	.max_vqs = 1,
	.opts = null_opts,
	.conf_size = sizeof(struct null_conf),
	.add = null_add,
};

/* ---- its use ------------------------------------------------------------------------------------------ */

static int read_first(struct uvdpa_dev *dev)
{
	struct uvdpa_blk *blk;
	struct iovec iov = { .iov_len = 4096 };
	struct uvdpa_blk_req req = { .op = UVDPA_BLK_READ, .iov = &iov, .niov = 1 }, *p = &req;
	struct uvdpa_blkq *q;
	size_t n = 0;
	int r = uvdpa_blk_open(dev, NULL, &blk);

	if (r)
		return r;
	q = uvdpa_blk_queue(blk, 0);
	iov.iov_base = memset(uvdpa_blk_alloc(blk, iov.iov_len), 1, iov.iov_len);
	uvdpa_blkq_submit(q, &p, 1);
	/* The device lives in this thread's loop: let it work. */
	while (!uvdpa_blkq_poll(q, &p, 1))
		uvdpa_dispatch(uvdpa_dev_context(dev), 10);
	while (n < iov.iov_len && !((char *)iov.iov_base)[n])
		n++;
	printf("%zu zeros of %llu bytes\n", n,
	       (unsigned long long)uvdpa_blk_info(blk)->capacity_sectors * UVDPA_BLK_SECTOR);
	uvdpa_blk_close(blk);
	return req.res;
}

int main(int argc, char **argv)
{
	struct uvdpa_attr socket = { "socket", argv[1] };
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "n0", .mgmtdev = "null" };
	struct uvdpa_wait w = { 0 };
	struct uvdpa_dev *dev = NULL;
	struct uvdpa *u;
	int r;

	if (argc > 1) {
		o.driver = "vhost-user";
		o.driver_attrs = &socket;
		o.ndriver_attrs = 1;
	}
	r = uvdpa_create(&u);
	if (r)
		goto out;
	r = uvdpa_parent_register(u, &null_parent);
	if (!r)
		r = uvdpa_await(u, &w, uvdpa_dev_add(u, &o, &dev, &w));
	if (!r && argc == 1)
		r = read_first(dev);
	while (!r && argc > 1)
		uvdpa_dispatch(u, -1);
	uvdpa_destroy(u);
out:
	if (r)
		fprintf(stderr, "null-disk: %s\n", uvdpa_error());
	return r ? 1 : 0;
}
