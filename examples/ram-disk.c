/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ram-disk.c - a disk in a hundred lines of code: in memory, served to a VM
 *
 * usage: ram-disk SOCKET
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <uvdpa/softdev.h>

#define SIZE (64u << 20)

struct disk {
	struct uvdpa_softdev sd; /* its first member */
	char data[SIZE];
};

/* A header says what and where; then data, either way; at the end there is a byte for the status.
 */
static uint8_t request(struct disk *d, struct uvdpa_req *req)
{
	struct virtio_blk_outhdr hdr;
	uint64_t at, len;

	if (uvdpa_req_read(req, &hdr, sizeof(hdr)) != sizeof(hdr))
		return VIRTIO_BLK_S_IOERR;
	len = le32toh(hdr.type) == VIRTIO_BLK_T_IN ? req->in_left - 1 : req->out_left;
	if (le64toh(hdr.sector) > SIZE / 512)
		return VIRTIO_BLK_S_IOERR;
	at = le64toh(hdr.sector) * 512;
	if (len > SIZE - at)
		return VIRTIO_BLK_S_IOERR;
	switch (le32toh(hdr.type)) {
	case VIRTIO_BLK_T_IN:
		uvdpa_req_write(req, d->data + at, len);
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_OUT:
		uvdpa_req_read(req, d->data + at, len);
		return VIRTIO_BLK_S_OK;
	}
	return VIRTIO_BLK_S_UNSUPP;
}

static void handle(struct uvdpa_softdev *sd, unsigned int queue, struct uvdpa_req **reqs,
		   unsigned int n)
{
	(void)queue;
	for (unsigned int i = 0; i < n; i++) {
		uint8_t status = VIRTIO_BLK_S_IOERR;

		if (reqs[i]->in_left) {
			status = request((struct disk *)sd, reqs[i]);
			uvdpa_req_skip_in(reqs[i], reqs[i]->in_left - 1);
			uvdpa_req_write(reqs[i], &status, 1);
		}
		uvdpa_req_done(reqs[i], status);
	}
}

static void destroy(struct uvdpa_softdev *sd)
{
	free(sd);
}

static const struct uvdpa_softdev_ops ops = { .size = sizeof(ops),
					      .handle = handle,
					      .destroy = destroy };

static int add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	struct virtio_blk_config config = { .capacity = htole64(SIZE / 512) };
	struct uvdpa_softdev_conf c = { .size = sizeof(c),
					.name = name,
					.device_id = VIRTIO_ID_BLOCK,
					.nvqs = 1,
					.config = &config,
					.config_size = sizeof(config) };
	struct disk *d = calloc(1, sizeof(*d));
	int r;

	(void)conf;
	if (!d)
		return uvdpa_set_error(-ENOMEM, "%s: no memory", name);
	d->sd.ops = &ops;
	r = uvdpa_softdev_init(u, &d->sd, &c);
	if (r)
		free(d);
	else
		*ret_dev = d->sd.dev;
	return r;
}

static const struct uvdpa_opt no_opts[] = { { .key = NULL } };
static const uint32_t ids[] = { VIRTIO_ID_BLOCK, 0 };
static const struct uvdpa_parent ram = {
	.name = "ram",
	.help = "a disk in memory",
	.device_ids = ids,
	.max_vqs = 1,
	.opts = no_opts,
	.add = add,
};

int main(int argc, char **argv)
{
	struct uvdpa_attr socket = { "socket", argc > 1 ? argv[1] : "" };
	struct uvdpa_dev_opts o = {
		.size = sizeof(o),
		.name = "d0",
		.mgmtdev = "ram",
		.driver = "vhost-user",
		.driver_attrs = &socket,
		.ndriver_attrs = 1,
	};
	struct uvdpa_wait w = { 0 };
	struct uvdpa_dev *dev;
	struct uvdpa *u;

	if (uvdpa_sigbus_guard() || uvdpa_create(&u) || uvdpa_parent_register(u, &ram) ||
	    uvdpa_await(u, &w, uvdpa_dev_add(u, &o, &dev, &w))) {
		fprintf(stderr, "ram-disk: %s\n", uvdpa_error());
		return 1;
	}
	for (;;)
		uvdpa_dispatch(u, -1);
}
