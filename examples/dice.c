/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dice.c - a device from outside of the library, as small as one can be: a source of entropy
 *
 * usage: dice [SOCKET]
 *
 * Without an argument the device is used in this process, to throw a die ten times; with one, it is
 * served there to a VM until the program is interrupted.
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <uvdpa/rng.h>
#include <uvdpa/softdev.h>

struct dice {
	struct uvdpa_softdev sd;
	uint64_t most;	/* bytes of a request */
};

static struct dice *to_dice(struct uvdpa_softdev *sd)
{
	return (struct dice *)((char *)sd - offsetof(struct dice, sd));
}

static void dice_handle(struct uvdpa_softdev *sd, unsigned int queue, struct uvdpa_req **reqs,
			unsigned int n)
{
	(void)queue;
	for (unsigned int i = 0; i < n; i++) {
		struct iovec iov;
		ssize_t got = -1;

		if (uvdpa_req_in_iov(reqs[i], to_dice(sd)->most, &iov, 1))
			got = getrandom(iov.iov_base, iov.iov_len, 0);
		if (got > 0)
			uvdpa_req_skip_in(reqs[i], (size_t)got);
		uvdpa_req_done(reqs[i], got > 0 ? 0 : -EIO);
	}
}

static void dice_destroy(struct uvdpa_softdev *sd)
{
	free(to_dice(sd));
}

static const struct uvdpa_softdev_ops dice_ops = {
	.size = sizeof(dice_ops),
	.handle = dice_handle,
	.destroy = dice_destroy,
};

struct dice_conf {
	uint64_t most;
};

static const struct uvdpa_opt dice_opts[] = {
	{ .key = "most", .type = UVDPA_OPT_SIZE, .offset = offsetof(struct dice_conf, most),
	  .def = "64K", .min = 1, .max = 1 << 20, .help = "bytes that a request gets" },
	{ .key = NULL },
};

static int dice_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	const struct dice_conf *c = conf;
	struct uvdpa_softdev_conf sc = {
		.size = sizeof(sc), .name = name, .device_id = VIRTIO_ID_RNG, .nvqs = 1,
	};
	struct dice *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return uvdpa_set_error(-ENOMEM, "%s: out of memory", name);
	d->most = c->most;
	d->sd.ops = &dice_ops;
	r = uvdpa_softdev_init(u, &d->sd, &sc);
	if (r) {
		free(d);
		return r;
	}
	*ret_dev = d->sd.dev;
	return 0;
}

static const uint32_t dice_ids[] = { VIRTIO_ID_RNG, 0 };

static const struct uvdpa_parent dice_parent = {
	.name = "dice",
	.help = "a source of entropy",
	.device_ids = dice_ids,
	.max_vqs = 1,
	.opts = dice_opts,
	.conf_size = sizeof(struct dice_conf),
	.add = dice_add,
};

static int throw_ten(struct uvdpa_dev *dev)
{
	struct uvdpa_rng *rng = NULL;
	int r = uvdpa_rng_open(dev, NULL, &rng);

	for (unsigned int thrown = 0; !r && thrown < 10;) {
		uint8_t byte;

		if (uvdpa_rng_read(rng, &byte, 1, 1000) != 1)
			r = uvdpa_set_error(-EIO, "%s gives no byte", uvdpa_dev_name(dev));
		else if (byte < 252)
			printf("%d%c", byte % 6 + 1, ++thrown < 10 ? ' ' : '\n');
	}
	uvdpa_rng_close(rng);
	return r;
}

int main(int argc, char **argv)
{
	struct uvdpa_attr socket = { "socket", argv[1] };
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "dice0", .mgmtdev = "dice" };
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
	r = uvdpa_parent_register(u, &dice_parent);
	if (!r)
		r = uvdpa_await(u, &w, uvdpa_dev_add(u, &o, &dev, &w));
	if (!r && argc == 1)
		r = throw_ten(dev);
	while (!r && argc > 1)
		uvdpa_dispatch(u, -1);
	uvdpa_destroy(u);
out:
	if (r)
		fprintf(stderr, "dice: %s\n", uvdpa_error());
	return r ? 1 : 0;
}
