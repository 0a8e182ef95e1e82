/* SPDX-License-Identifier: BSD-2-Clause */
/* rng-test.c - the entropy driver, with a device that does as told, and lies */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "mem/sg.h"
#include "virtio/fake-dev.h"
#include "virtio/rng.h"

#define OFFERED                                                     \
	(VD_F(VIRTIO_F_VERSION_1) | VD_F(VIRTIO_RING_F_EVENT_IDX) | \
	 VD_F(VIRTIO_RING_F_INDIRECT_DESC) | VD_F(VIRTIO_F_RING_PACKED))
#define HONEST -1

struct fake {
	struct fake_dev dev;
	uint8_t next; /* byte that it gives: it counts */
};

static void fake_begin(struct fake *f)
{
	static const struct vd_virtio_conf none;

	f->next = 0;
	fake_dev_init(&f->dev, (struct vd_virtio_dev){ .name = "r0",
						       .device_id = VIRTIO_ID_RNG,
						       .offered = OFFERED,
						       .nvqs = 1 });
	assert_int_equal(vd_virtio_bind(&f->dev.vdev, &none), 0);
}

/* Taken away from the driver as the gate does it. */
static void fake_take(struct fake *f)
{
	f->dev.vdev.bound->driver->quiesce(f->dev.vdev.bound);
	fake_dev_reset(&f->dev);
	vd_virtio_unbind(&f->dev.vdev);
}

static void fake_end(struct fake *f)
{
	assert_int_equal(f->dev.released, 0);
	if (f->dev.vdev.bound)
		fake_take(f);
	fake_dev_fini(&f->dev);
}

static struct uvdpa_rng *open_rng(struct fake *f, bool packed)
{
	struct uvdpa_rng_opts o = { .size = sizeof(o), .packed = packed };
	struct uvdpa_rng *rng;

	fake_begin(f);
	assert_int_equal(vd_rng_open(f->dev.vdev.bound, &o, &rng), 0);
	return rng;
}

/* Give @n requests @len bytes, but not more than they ask for; and say that it were @says. */
static void serve(struct fake *f, unsigned int n, uint32_t len, int says)
{
	for (unsigned int i = 0; i < n; i++) {
		struct vd_chain *c;
		uint32_t done;

		assert_int_equal(vd_virtq_pop(f->dev.dq[0], &c, 1), 1);
		assert_int_equal(c->out_len, 0);
		assert_int_equal(c->nin, 1);
		for (done = 0; done < vd_min(len, c->in_len); done++)
			vd_guest_fill(c->iov[0].base + done, f->next++, 1);
		vd_virtq_push(f->dev.dq[0], c, says == HONEST ? done : (uint32_t)says);
	}
	if (vd_virtq_flush(f->dev.dq[0]))
		vd_eventfd_signal(f->dev.vqs[0].call);
}

static void check(const uint8_t *p, size_t len, uint8_t from)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(p[i], (uint8_t)(from + i));
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void requests(void **state)
{
	struct uvdpa_rng_req r[4], *p[4], *done[4];
	struct fake f;

	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct uvdpa_rng *rng = open_rng(&f, packed);
		uint8_t *mem = uvdpa_rng_alloc(rng, 4096);

		assert_int_equal(f.dev.features >> VIRTIO_F_RING_PACKED & 1, packed);
		for (unsigned int i = 0; i < 4; i++) {
			r[i] = (struct uvdpa_rng_req){ .buf = mem + 100 * i, .len = 100 };
			p[i] = &r[i];
		}
		assert_int_equal(uvdpa_rng_submit(rng, p, 4), 4);
		assert_true(vd_eventfd_drain(f.dev.vqs[0].kick));
		assert_int_equal(uvdpa_rng_poll(rng, done, 4), 0);
		assert_int_equal(uvdpa_rng_wait(rng, 0), -ETIMEDOUT);
		assert_int_equal(uvdpa_rng_read(rng, mem, 1, 0), -EBUSY);
		serve(&f, 3, 1000, HONEST);
		serve(&f, 1, 7, HONEST);
		assert_int_equal(uvdpa_rng_wait(rng, 0), 0);
		assert_int_equal(uvdpa_rng_poll(rng, done, 4), 4);
		for (unsigned int i = 0; i < 4; i++) {
			assert_ptr_equal(done[i], &r[i]);
			assert_int_equal(r[i].res, i < 3 ? 100 : 7);
			check(r[i].buf, (size_t)r[i].res, (uint8_t)(100 * i));
		}
		uvdpa_rng_close(rng);
		fake_end(&f);
	}
}

static void refused(void **state)
{
	struct fake f;
	struct uvdpa_rng *rng = open_rng(&f, false), *second;
	uint8_t *mem = uvdpa_rng_alloc(rng, 4096), own[8];
	const struct {
		void *buf;
		size_t len;
		int err;
	} bad[] = {
		{ mem, 0, -EINVAL },
		{ mem, 1ull << 32, -EINVAL },
		{ mem, (4 << 20) + 1, -EFAULT },
		{ mem - 1, 2, -EFAULT },
		{ rng->own[0].req.buf, 64, -EFAULT },
		{ own, sizeof(own), -EFAULT },
	};
	struct uvdpa_rng_opts o = { .size = sizeof(o), .queue_size = 3 };

	(void)state;
	for (size_t i = 0; i < VD_ARRAY_SIZE(bad); i++) {
		struct uvdpa_rng_req r = { .buf = bad[i].buf, .len = bad[i].len };

		assert_int_equal(uvdpa_rng_submit(rng, &(struct uvdpa_rng_req *){ &r }, 1),
				 bad[i].err);
	}
	assert_int_equal(vd_rng_open(f.dev.vdev.bound, NULL, &second), -EBUSY);
	assert_null(uvdpa_rng_alloc(rng, 8 << 20));
	uvdpa_rng_close(rng);
	assert_int_equal(vd_rng_open(f.dev.vdev.bound, &o, &second), -EINVAL);
	o.queue_size = 512;
	assert_int_equal(vd_rng_open(f.dev.vdev.bound, &o, &second), -EINVAL);
	o.size = 3;
	assert_int_equal(vd_rng_open(f.dev.vdev.bound, &o, &second), -EINVAL);
	fake_end(&f);
}

/* More than the ring has room for are taken as far as they fit. */
static void full_ring(void **state)
{
	struct uvdpa_rng_req r[80], *p[80], *done[80];
	struct fake f;
	struct uvdpa_rng *rng = open_rng(&f, false);
	uint8_t *mem = uvdpa_rng_alloc(rng, 4096);

	(void)state;
	for (unsigned int i = 0; i < 80; i++) {
		r[i] = (struct uvdpa_rng_req){ .buf = mem + i, .len = 1 };
		p[i] = &r[i];
	}
	assert_int_equal(uvdpa_rng_submit(rng, p, 80), 64);
	assert_int_equal(uvdpa_rng_submit(rng, p + 64, 16), 0);
	serve(&f, 64, 1, HONEST);
	assert_int_equal(uvdpa_rng_poll(rng, done, 80), 64);
	uvdpa_rng_close(rng);
	fake_end(&f);
}

/* The time is over, and what was asked for comes later: it is the next one's. */
static void read_late(void **state)
{
	struct fake f;
	struct uvdpa_rng *rng = open_rng(&f, false);
	struct uvdpa_rng_req r = { .buf = uvdpa_rng_alloc(rng, 64), .len = 64 }, *done;
	uint8_t buf[64];

	(void)state;
	assert_int_equal(uvdpa_rng_read(rng, buf, 0, 0), 0);
	assert_int_equal(uvdpa_rng_read(rng, buf, 16, 0), -ETIMEDOUT);
	assert_int_equal(uvdpa_rng_read(rng, buf, 16, 20), -ETIMEDOUT);
	serve(&f, 1, 16, HONEST);
	assert_int_equal(uvdpa_rng_read(rng, buf, 5, 0), 5);
	check(buf, 5, 0);
	assert_int_equal(uvdpa_rng_read(rng, buf, 64, 0), 11);
	check(buf, 11, 5);
	/* Its request is out; beside it others may be. */
	assert_int_equal(uvdpa_rng_submit(rng, &(struct uvdpa_rng_req *){ &r }, 1), 1);
	assert_int_equal(uvdpa_rng_read(rng, buf, 1, 0), -EBUSY);
	serve(&f, 2, 64, HONEST);
	assert_int_equal(uvdpa_rng_poll(rng, &done, 1), 1);
	assert_ptr_equal(done, &r);
	assert_int_equal(uvdpa_rng_read(rng, buf, 53, 0), 53);
	check(buf, 53, 16);
	check(r.buf, 64, 16 + 53);
	/* Nothing of it stays where the device can see it. */
	for (unsigned int i = 0; i < VD_RNG_OWN * VD_RNG_READ; i++)
		assert_int_equal(((uint8_t *)rng->own[0].req.buf)[i], 0);
	uvdpa_rng_close(rng);
	fake_end(&f);
}

static void *serve_slowly(void *arg)
{
	struct fake *f = arg;

	for (unsigned int left = 5; left;) {
		usleep(1000);
		if (!vd_virtq_pending(f->dev.dq[0]))
			continue;
		serve(f, 1, 20, HONEST);
		left--;
	}
	return NULL;
}

/* A device that gives little at a time is asked until there is enough. */
static void read_slowly(void **state)
{
	struct fake f;
	struct uvdpa_rng *rng = open_rng(&f, true);
	pthread_t thread;
	uint8_t buf[100];

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, serve_slowly, &f), 0);
	assert_int_equal(uvdpa_rng_read(rng, buf, sizeof(buf), -1), sizeof(buf));
	pthread_join(thread, NULL);
	check(buf, sizeof(buf), 0);
	uvdpa_rng_close(rng);
	fake_end(&f);
}

/* Used entry @idx has this length, which our device's end would never say. */
static void say(struct uvdpa_rng *rng, bool packed, unsigned int idx, uint32_t len)
{
	struct vd_vring_layout l = vd_vring_layout(rng->num, packed, 0);
	uint8_t *entry = rng->dma.base + (packed ? l.desc + 16 * idx : l.device + 4 + 8 * idx);

	len = htole32(len);
	memcpy(entry + (packed ? 8 : 4), &len, sizeof(len));
}

/* No byte is an error; more than there was room for breaks the ring, and what is out comes back. */
static void lies(void **state)
{
	struct uvdpa_rng_req r[2], *p[2] = { &r[0], &r[1] }, *done[2];
	uint8_t buf[4];

	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct fake f;
		struct uvdpa_rng *rng = open_rng(&f, packed);
		uint8_t *mem = uvdpa_rng_alloc(rng, 4096);

		r[0] = (struct uvdpa_rng_req){ .buf = mem, .len = 16 };
		r[1] = (struct uvdpa_rng_req){ .buf = mem + 16, .len = 16 };
		assert_int_equal(uvdpa_rng_submit(rng, p, 1), 1);
		serve(&f, 1, 16, 0);
		assert_int_equal(uvdpa_rng_poll(rng, done, 2), 1);
		assert_int_equal(r[0].res, -EIO);
		assert_int_equal(uvdpa_rng_read(rng, buf, 4, 0), -ETIMEDOUT);
		serve(&f, 1, 4, 0);
		assert_int_equal(uvdpa_rng_read(rng, buf, 4, 0), -EIO);

		assert_int_equal(uvdpa_rng_submit(rng, p, 2), 2);
		serve(&f, 1, 16, HONEST);
		say(rng, packed, 2, 17);
		assert_true(uvdpa_rng_arm(rng));
		assert_int_equal(uvdpa_rng_poll(rng, done, 2), 2);
		assert_int_equal(r[0].res, -EIO);
		assert_int_equal(r[1].res, -EIO);
		assert_int_equal(uvdpa_rng_submit(rng, p, 1), -EIO);
		assert_int_equal(uvdpa_rng_read(rng, buf, 4, 0), -EIO);
		uvdpa_rng_close(rng);
		fake_end(&f);
	}
}

/* What was finished before is there; the rest comes back, and the handle lives on. */
static void taken_away(void **state)
{
	struct uvdpa_rng_req r[2], *p[2] = { &r[0], &r[1] }, *done[2];
	struct fake f;
	struct uvdpa_rng *rng = open_rng(&f, false);
	uint8_t *mem = uvdpa_rng_alloc(rng, 4096), buf[4];

	(void)state;
	r[0] = (struct uvdpa_rng_req){ .buf = mem, .len = 16 };
	r[1] = (struct uvdpa_rng_req){ .buf = mem + 16, .len = 16 };
	assert_int_equal(uvdpa_rng_submit(rng, p, 2), 2);
	serve(&f, 1, 16, HONEST);
	fake_take(&f);
	assert_int_equal(f.dev.quiesced, 1);
	assert_int_equal(uvdpa_rng_wait(rng, 0), 0);
	assert_int_equal(uvdpa_rng_submit(rng, p, 1), -ENODEV);
	assert_int_equal(uvdpa_rng_poll(rng, done, 2), 2);
	assert_int_equal(r[0].res, 16);
	assert_int_equal(r[1].res, -ENODEV);
	assert_int_equal(uvdpa_rng_read(rng, buf, 4, -1), -ENODEV);
	assert_int_equal(uvdpa_rng_poll(rng, done, 2), 0);
	uvdpa_rng_close(rng);
	fake_end(&f);
}

/* While one waits for ever. */
static void *take_later(void *arg)
{
	usleep(30000);
	fake_take(arg);
	return NULL;
}

static void taken_from_reader(void **state)
{
	struct fake f;
	struct uvdpa_rng *rng = open_rng(&f, false);
	pthread_t thread;
	uint8_t buf[4];

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, take_later, &f), 0);
	assert_int_equal(uvdpa_rng_read(rng, buf, 4, -1), -ENODEV);
	pthread_join(thread, NULL);
	uvdpa_rng_close(rng);
	fake_end(&f);
}

static void needs_reset(void **state)
{
	struct fake f;
	struct uvdpa_rng *rng = open_rng(&f, false);
	uint8_t buf[4];

	(void)state;
	assert_int_equal(uvdpa_rng_read(rng, buf, 4, 0), -ETIMEDOUT);
	f.dev.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	f.dev.vdev.bound->driver->changed(f.dev.vdev.bound, UVDPA_DEV_STATUS);
	assert_int_equal(uvdpa_rng_read(rng, buf, 4, -1), -EIO);
	uvdpa_rng_close(rng);
	assert_int_equal(vd_rng_open(f.dev.vdev.bound, NULL, &rng), 0);
	serve(&f, 0, 0, HONEST);
	assert_int_equal(uvdpa_rng_read(rng, buf, 4, 0), -ETIMEDOUT);
	serve(&f, 1, 4, HONEST);
	assert_int_equal(uvdpa_rng_read(rng, buf, 4, 0), 4);
	uvdpa_rng_close(rng);
	fake_end(&f);
}

static void options_of_others(void **state)
{
	char word[] = "x";
	const struct vd_virtio_conf confs[] = { { .file = word },
						{ .tap = word },
						{ .netns = word },
						{ .pty = word },
						{ .mode = word } };
	struct fake f;

	(void)state;
	fake_begin(&f);
	vd_virtio_unbind(&f.dev.vdev);
	for (size_t i = 0; i < VD_ARRAY_SIZE(confs); i++)
		assert_int_equal(vd_virtio_bind(&f.dev.vdev, &confs[i]), -EINVAL);
	fake_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),    cmocka_unit_test(refused),
		cmocka_unit_test(full_ring),   cmocka_unit_test(read_late),
		cmocka_unit_test(read_slowly), cmocka_unit_test(lies),
		cmocka_unit_test(taken_away),  cmocka_unit_test(taken_from_reader),
		cmocka_unit_test(needs_reset), cmocka_unit_test(options_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
