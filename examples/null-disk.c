/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * null-disk.c - a parent from outside of the library: a disk that reads as zeros
 *
 * usage: null-disk [SOCKET]
 *
 * Without an argument the disk is read in this process; with one, it is served there to a VM until
 * the program is interrupted.
 *
 * What a device with a configuration space looks like, and with requests of parts: a header, data, a
 * byte of status.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uvdpa/blk.h>
#include <uvdpa/softdev.h>

struct null_disk {
	struct uvdpa_softdev sd;
	uint64_t sectors;
};

static struct null_disk *to_disk(struct uvdpa_softdev *sd)
{
	return (struct null_disk *)((char *)sd - offsetof(struct null_disk, sd));
}

/* ---- requests -------------------------------------------------------------------------------- */

/* The byte of status is the last that there is room for, the data is before it. */
static uint8_t request(struct null_disk *d, struct uvdpa_req *req)
{
	struct virtio_blk_outhdr hdr;
	uint32_t len = req->in_left - 1;
	uint64_t sector;

	if (uvdpa_req_read(req, &hdr, sizeof(hdr)) != sizeof(hdr))
		return VIRTIO_BLK_S_IOERR;
	if (le32toh(hdr.type) != VIRTIO_BLK_T_IN)
		return VIRTIO_BLK_S_UNSUPP;
	sector = le64toh(hdr.sector);
	if (len % 512 || sector > d->sectors || len / 512 > d->sectors - sector)
		return VIRTIO_BLK_S_IOERR;
	uvdpa_req_fill(req, 0, len);
	return VIRTIO_BLK_S_OK;
}

static void disk_handle(struct uvdpa_softdev *sd, unsigned int queue, struct uvdpa_req **reqs,
			unsigned int n)
{
	(void)queue;
	for (unsigned int i = 0; i < n; i++) {
		uint8_t status = VIRTIO_BLK_S_IOERR;

		if (reqs[i]->in_left) {
			status = request(to_disk(sd), reqs[i]);
			uvdpa_req_skip_in(reqs[i], reqs[i]->in_left - 1);
			uvdpa_req_write(reqs[i], &status, 1);
		}
		uvdpa_req_done(reqs[i], status ? -EIO : 0);
	}
}

static void disk_destroy(struct uvdpa_softdev *sd)
{
	free(to_disk(sd));
}

static const struct uvdpa_softdev_ops disk_ops = {
	.size = sizeof(disk_ops),
	.handle = disk_handle,
	.destroy = disk_destroy,
};

/* ---- the parent ------------------------------------------------------------------------------ */

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
	struct virtio_blk_config config = { .capacity = htole64(c->capacity / 512) };
	struct uvdpa_softdev_conf sc = {
		.size = sizeof(sc), .name = name, .device_id = VIRTIO_ID_BLOCK,
		.features = 1u << VIRTIO_BLK_F_RO, .nvqs = 1,
		.config = &config, .config_size = sizeof(config),
	};
	struct null_disk *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return uvdpa_set_error(-ENOMEM, "%s: out of memory", name);
	d->sectors = c->capacity / 512;
	d->sd.ops = &disk_ops;
	r = uvdpa_softdev_init(u, &d->sd, &sc);
	if (r) {
		free(d);
		return r;
	}
	*ret_dev = d->sd.dev;
	return 0;
}

static const uint32_t null_ids[] = { VIRTIO_ID_BLOCK, 0 };

static const struct uvdpa_parent null_parent = {
	.name = "null",
	.help = "a disk that reads as zeros",
	.device_ids = null_ids,
	.max_vqs = 1,
	.opts = null_opts,
	.conf_size = sizeof(struct null_conf),
	.add = null_add,
};

/* ---- its use --------------------------------------------------------------------------------- */

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
	while (!uvdpa_blkq_poll(q, &p, 1))
		uvdpa_blkq_wait(q, -1);
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
	struct uvdpa *u = NULL;
	int r = 0;

	if (argc > 1) {
		o.driver = "vhost-user";
		o.driver_attrs = &socket;
		o.ndriver_attrs = 1;
		r = uvdpa_sigbus_guard();
	}
	if (!r)
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
