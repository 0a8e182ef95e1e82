/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/fake-console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "mem/sg.h"

#define CTRL_RX     2u
#define CTRL_TX     3u
#define PATIENCE_NS 20000000000ull

struct fake *fake_create(uint64_t features)
{
	struct fake *f = calloc(1, sizeof(*f));
	bool multi = features & F(VIRTIO_CONSOLE_F_MULTIPORT);

	fake_dev_init(&f->dev, (struct vd_virtio_dev){ .name = "c0",
						       .device_id = VIRTIO_ID_CONSOLE,
						       .offered = features | F(VIRTIO_F_VERSION_1),
						       .nvqs = multi ? QUEUES : 2 });
	f->config.max_nr_ports = htole32(PORTS);
	f->dev.config = &f->config;
	f->dev.config_size = sizeof(f->config);
	return f;
}

void fake_destroy(struct fake *f)
{
	fake_dev_fini(&f->dev);
	free(f);
}

void fake_dispatch(struct fake *f)
{
	while (vd_loop_dispatch(&f->dev.loop, 20) > 0)
		;
}

void fake_quiesce(struct fake *f)
{
	uint64_t before_ns = vd_now_ns();

	f->dev.vdev.bound->driver->quiesce(f->dev.vdev.bound);
	while (!f->dev.quiesced)
		assert_true(vd_loop_dispatch(&f->dev.loop, 10000) > 0);
	assert_int_equal(f->dev.quiesced, 1);
	assert_true(vd_now_ns() - before_ns < UVDPA_DRAIN_MS * 1000000ull);
}

/* ---- its queues ------------------------------------------------------------------------------ */

static unsigned int rx(unsigned int port)
{
	return port ? 2 * port + 2 : 0;
}

static void flush(struct fake *f, unsigned int idx)
{
	if (vd_virtq_flush(f->dev.dq[idx]))
		vd_eventfd_signal(f->dev.vqs[idx].call);
}

/* One chain; NULL if there is none. */
static struct vd_chain *pop(struct fake *f, unsigned int idx)
{
	struct vd_chain *c;
	int n = vd_virtq_pop(f->dev.dq[idx], &c, 1);

	assert_true(n >= 0);
	return n ? c : NULL;
}

/* The driver's control thread runs in between. */
static void rest(struct fake *f, uint64_t since_ns)
{
	assert_true(vd_now_ns() - since_ns < PATIENCE_NS);
	vd_loop_dispatch(&f->dev.loop, 1);
}

size_t fake_send(struct fake *f, unsigned int idx, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	size_t done = 0;

	while (done < len) {
		struct vd_chain *c = pop(f, rx(idx));
		uint32_t n;
		struct vd_sg sg;

		if (!c)
			break;
		n = (uint32_t)vd_min(len - done, c->in_len);
		sg = vd_sg(c->iov, c->nin);
		vd_sg_write(&sg, p + done, n);
		vd_virtq_push(f->dev.dq[rx(idx)], c, n);
		done += n;
	}
	flush(f, rx(idx));
	return done;
}

void fake_send_empty(struct fake *f, unsigned int idx, unsigned int n)
{
	while (n--) {
		struct vd_chain *c = pop(f, rx(idx));

		assert_non_null(c);
		vd_virtq_push(f->dev.dq[rx(idx)], c, 0);
	}
	flush(f, rx(idx));
}

void fake_send_all(struct fake *f, unsigned int idx, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	uint64_t since_ns = vd_now_ns();

	for (;;) {
		size_t n = fake_send(f, idx, p, len);

		p += n;
		len -= n;
		if (!len)
			return;
		rest(f, since_ns);
	}
}

void fake_receive(struct fake *f, unsigned int idx, void *buf, size_t len)
{
	uint64_t since_ns = vd_now_ns();
	uint8_t *p = buf;

	while (len) {
		struct vd_chain *c = pop(f, rx(idx) + 1);
		struct vd_sg sg;
		uint32_t n;

		if (!c) {
			rest(f, since_ns);
			continue;
		}
		n = c->out_len;
		assert_true(n <= len);
		sg = vd_sg(c->iov, c->nout);
		vd_sg_read(&sg, p, n);
		vd_virtq_push(f->dev.dq[rx(idx) + 1], c, 0);
		flush(f, rx(idx) + 1);
		p += n;
		len -= n;
	}
}

void fake_message(struct fake *f, const void *msg, size_t len)
{
	uint64_t since_ns = vd_now_ns();
	struct vd_chain *c;
	struct vd_sg sg;

	while (!(c = pop(f, CTRL_RX)))
		rest(f, since_ns);
	len = vd_min(len, c->in_len);
	sg = vd_sg(c->iov, c->nin);
	vd_sg_write(&sg, msg, len);
	vd_virtq_push(f->dev.dq[CTRL_RX], c, (uint32_t)len);
	flush(f, CTRL_RX);
}

void fake_control(struct fake *f, uint32_t id, uint16_t event, uint16_t value, const void *more,
		  size_t len)
{
	struct virtio_console_control m = { htole32(id), htole16(event), htole16(value) };
	uint8_t msg[sizeof(m) + 1024];

	assert_true(len <= 1024);
	memcpy(msg, &m, sizeof(m));
	if (len)
		memcpy(msg + sizeof(m), more, len);
	fake_message(f, msg, sizeof(m) + len);
}

struct said fake_said(struct fake *f)
{
	uint64_t since_ns = vd_now_ns();
	struct virtio_console_control m;
	struct vd_chain *c;
	struct vd_sg sg;

	while (!(c = pop(f, CTRL_TX)))
		rest(f, since_ns);
	assert_int_equal(c->out_len, sizeof(m));
	sg = vd_sg(c->iov, c->nout);
	vd_sg_read(&sg, &m, sizeof(m));
	vd_virtq_push(f->dev.dq[CTRL_TX], c, 0);
	flush(f, CTRL_TX);
	return (struct said){ le32toh(m.id), le16toh(m.event), le16toh(m.value) };
}

bool fake_says(struct fake *f)
{
	fake_dispatch(f);
	return vd_virtq_pending(f->dev.dq[CTRL_TX]);
}

/* ---- its user -------------------------------------------------------------------------------- */

static char dir[] = "/tmp/console-test-XXXXXX";
char fake_link[64];

int fake_enter(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(fake_link, sizeof(fake_link), "%s/c0", dir);
	return 0;
}

int fake_leave(void **state)
{
	(void)state;
	return rmdir(dir);
}

const char *fake_path(const char *suffix)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s%s", fake_link, suffix);
	return text;
}

struct fake *fake_begin_with(uint64_t features, struct vd_virtio_conf conf)
{
	static struct vd_virtio_conf kept;
	struct fake *f = fake_create(features);

	kept = conf;
	kept.pty = fake_link;
	assert_int_equal(vd_virtio_bind(&f->dev.vdev, &kept), 0);
	return f;
}

struct fake *fake_begin(uint64_t features)
{
	return fake_begin_with(features, (struct vd_virtio_conf){ 0 });
}

void fake_end(struct fake *f)
{
	fake_quiesce(f);
	assert_int_equal(access(fake_link, F_OK), -1);
	fake_destroy(f);
}

int fake_open(struct fake *f, const char *suffix)
{
	uint64_t since_ns = vd_now_ns();
	int fd;

	while ((fd = open(fake_path(suffix), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)) < 0)
		rest(f, since_ns);
	fake_dispatch(f);
	return fd;
}

void fake_read(struct fake *f, int fd, void *buf, size_t len)
{
	uint64_t since_ns = vd_now_ns();
	uint8_t *p = buf;

	while (len) {
		ssize_t n = read(fd, p, len);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		assert_true(n < 0 && errno == EAGAIN);
		rest(f, since_ns);
	}
}

void fake_write(struct fake *f, int fd, const void *buf, size_t len)
{
	uint64_t since_ns = vd_now_ns();
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		assert_true(n < 0 && errno == EAGAIN);
		rest(f, since_ns);
	}
}

void fake_silent(struct fake *f, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	fake_dispatch(f);
	assert_int_equal(poll(&p, 1, 50), 0);
}

void fake_hung_up(struct fake *f, int fd)
{
	uint64_t since_ns = vd_now_ns();
	char buf[64];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0 || (n < 0 && errno == EAGAIN))
		rest(f, since_ns);
}

void fake_wait_link(struct fake *f, const char *suffix, bool there)
{
	uint64_t since_ns = vd_now_ns();

	while ((access(fake_path(suffix), F_OK) == 0) != there)
		rest(f, since_ns);
}

void fake_fill(uint8_t *buf, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)((i * 7 + i / 251 + seed) & 0xff);
}

/* ---- ports ----------------------------------------------------------------------------------- */

void fake_hears(struct fake *f, uint32_t id, uint16_t event, uint16_t value)
{
	struct said s = fake_said(f);

	assert_int_equal(s.id, id);
	assert_int_equal(s.event, event);
	assert_int_equal(s.value, value);
}

void fake_add_port(struct fake *f, uint32_t id)
{
	fake_control(f, id, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 0);
	fake_hears(f, id, VIRTIO_CONSOLE_PORT_READY, 1);
}

struct fake *fake_begin_ports(unsigned int n)
{
	struct fake *f = fake_begin(MULTI);

	fake_hears(f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (unsigned int i = 0; i < n; i++)
		fake_add_port(f, i);
	return f;
}
