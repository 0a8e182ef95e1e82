/* SPDX-License-Identifier: BSD-2-Clause */
/* net-tap-test.c - a device as an interface, when the device does not do what devices should */
#include "virtio/fake-nic.h"

#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/open-fds.h"
#include "mem/sg.h"

#define NAME "vdtest0"
#define TYPE 0x88b5	/* for experiments */

/* All of it in a namespace of its own, without any packets that are not of the test. */
static int enter(void **state)
{
	static bool can = true;
	int fd;

	if (unshare(CLONE_NEWNET)) {
		print_message("no network namespaces: %s\n", strerror(errno));
		can = false;
	} else if (access("/dev/net/tun", R_OK | W_OK)) {
		print_message("/dev/net/tun cannot be opened\n");
		can = false;
	}
	fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		assert_int_equal(write(fd, "1", 1), 1);
		close(fd);
	}
	*state = &can;
	return 0;
}

static struct nic *begin(void **state, uint64_t without)
{
	static struct vd_virtio_conf conf;
	static char name[IFNAMSIZ] = NAME;
	struct nic *n;

	if (!*(bool *)*state)
		skip();
	conf = (struct vd_virtio_conf){ .tap = name, .queues = 1 };
	n = nic_create();
	n->dev.vdev.offered &= ~without;
	assert_int_equal(vd_virtio_bind(&n->dev.vdev, &conf), 0);
	return n;
}

static void dispatch(struct nic *n)
{
	while (vd_loop_dispatch(&n->dev.loop, 20) > 0)
		;
}

static bool has(const char *name, short flag)
{
	struct ifreq ifr = { 0 };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	strcpy(ifr.ifr_name, name);
	r = ioctl(s, SIOCGIFFLAGS, &ifr);
	close(s);
	return !r && ifr.ifr_flags & flag;
}

/* A socket that sees, and sends, the frames of the test by the interface. */
static int packets(void)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htobe16(TYPE),
				 .sll_ifindex = (int)if_nametoindex(NAME) };
	int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htobe16(TYPE));

	assert_true(s >= 0);
	assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	return s;
}

static ssize_t receive(int s, uint8_t *buf, size_t len, int timeout_ms)
{
	struct pollfd p = { .fd = s, .events = POLLIN };

	return poll(&p, 1, timeout_ms) > 0 ? recv(s, buf, len, 0) : -1;
}

/* The device brings a frame in so many buffers, full ones but for the last, which has @last bytes. */
static void bring(struct nic *n, struct virtio_net_hdr_v1 h, unsigned int bufs, uint32_t last)
{
	struct vd_chain *c[VD_VIRTQ_BURST];
	uint8_t eth[14] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, TYPE >> 8, TYPE & 0xff };

	for (unsigned int done = 0; done < bufs;) {
		int k = vd_virtq_pop(n->dev.dq[0], c, vd_min(bufs - done, VD_VIRTQ_BURST));

		assert_true(k > 0);
		for (int i = 0; i < k; i++, done++) {
			struct vd_sg in = vd_sg(c[i]->iov, c[i]->nin);

			if (!done) {
				vd_sg_write(&in, &h, sizeof(h));
				vd_sg_write(&in, eth, sizeof(eth));
			}
			vd_virtq_push(n->dev.dq[0], c[i], done + 1 < bufs ? c[i]->in_len : last);
		}
	}
	if (vd_virtq_flush(n->dev.dq[0]))
		vd_eventfd_signal(n->dev.vqs[0].call);
}

/* Frames that are none, and one that is after each of them. */
static void test_lies(void **state)
{
	static const struct {
		struct virtio_net_hdr_v1 h;
		unsigned int bufs;
		uint32_t last;
	} cases[] = {
		{ { .num_buffers = 1 }, 1, 11 },
		{ { .num_buffers = 1 }, 1, 20 },
		{ { .num_buffers = 0 }, 1, 100 },
		{ { .flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff, .num_buffers = 1 }, 1, 100 },
		{ { .gso_type = 99, .num_buffers = 1 }, 1, 100 },
		{ { .num_buffers = 64 }, 64, 10 },
		{ { .num_buffers = 65 }, 65, 10 },
		{ { .num_buffers = 200 }, 200, 10 },
	};
	unsigned int before = open_fds();
	struct nic *n = begin(state, 0);
	int s = packets();
	uint8_t buf[2048];

	for (unsigned int i = 0; i < 3 * VD_ARRAY_SIZE(cases); i++) {
		unsigned int c = i / 3;

		bring(n, cases[c].h, cases[c].bufs, cases[c].last);
		bring(n, (struct virtio_net_hdr_v1){ .num_buffers = 1 }, 1, UVDPA_NET_HDR + 60 + i);
		assert_int_equal(receive(s, buf, sizeof(buf), 10000), 60 + i);
		/* Its buffers come back to us: they would be used up soon. */
		while (vd_virtq_inflight(n->dev.dq[0]))
			usleep(100);
	}
	assert_int_equal(receive(s, buf, sizeof(buf), 0), -1);
	close(s);
	n->dev.vdev.bound->driver->quiesce(n->dev.vdev.bound);
	while (!n->dev.quiesced)
		assert_true(vd_loop_dispatch(&n->dev.loop, 10000) > 0);
	assert_int_equal(n->dev.quiesced, 1);
	assert_int_equal(if_nametoindex(NAME), 0);
	nic_destroy(n);
	assert_int_equal(open_fds(), before);
}

/* Without MRG_RXBUF, a frame has one buffer whatever the header says of their number. */
static void test_whole(void **state)
{
	struct nic *n = begin(state, F(VIRTIO_NET_F_MRG_RXBUF));
	int s = packets();
	uint8_t buf[2048];

	for (unsigned int i = 0; i < 600; i++) {
		bring(n, (struct virtio_net_hdr_v1){ .num_buffers = (uint16_t)(7 * i) }, 1,
		      UVDPA_NET_HDR + 60 + i);
		assert_int_equal(receive(s, buf, sizeof(buf), 10000), 60 + i);
	}
	close(s);
	nic_destroy(n);
	assert_int_equal(if_nametoindex(NAME), 0);
}

/* What the kernel sends has a header that a driver may send. */
static void test_send(void **state)
{
	uint8_t frame[100] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, TYPE >> 8, TYPE & 0xff };
	struct nic *n = begin(state, 0);
	struct virtio_net_hdr_v1 zero = { 0 }, h;
	struct pollfd p = { .fd = n->dev.vqs[1].kick, .events = POLLIN };
	uint8_t got[100];
	struct vd_chain *c;
	int s = packets();

	/* More than there are slots: they are used again. */
	for (unsigned int i = 0; i < 1000; i++) {
		struct vd_sg sg;

		frame[20] = (uint8_t)i;
		assert_int_equal(send(s, frame, sizeof(frame), 0), sizeof(frame));
		while (vd_virtq_kicks_on(n->dev.dq[1]) == 0 && poll(&p, 1, 10000) > 0 &&
		       !vd_virtq_pending(n->dev.dq[1]))
			vd_eventfd_drain(n->dev.vqs[1].kick);
		assert_int_equal(vd_virtq_pop(n->dev.dq[1], &c, 1), 1);
		assert_int_equal(c->out_len, UVDPA_NET_HDR + sizeof(frame));
		sg = vd_sg(c->iov, c->nout);
		vd_sg_read(&sg, &h, sizeof(h));
		vd_sg_read(&sg, got, sizeof(got));
		assert_memory_equal(&h, &zero, sizeof(h));
		assert_memory_equal(got, frame, sizeof(frame));
		vd_virtq_push(n->dev.dq[1], c, 0);
		if (vd_virtq_flush(n->dev.dq[1]))
			vd_eventfd_signal(n->dev.vqs[1].call);
	}
	close(s);
	nic_destroy(n);
}

/* A device that takes nothing: it is not waited for, and the interface goes in time. */
static void test_device_hangs(void **state)
{
	uint8_t frame[100] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, TYPE >> 8, TYPE & 0xff };
	struct nic *n = begin(state, 0);
	uint64_t before_ns;
	int s = packets();

	for (unsigned int i = 0; i < 600; i++)	/* more than the ring has, and the kernel keeps */
		(void)send(s, frame, sizeof(frame), MSG_DONTWAIT);
	while (!vd_virtq_pending(n->dev.dq[1]))
		usleep(1000);
	before_ns = vd_now_ns();
	n->dev.vdev.bound->driver->quiesce(n->dev.vdev.bound);
	while (!n->dev.quiesced)
		assert_true(vd_loop_dispatch(&n->dev.loop, 10000) > 0);
	assert_true(vd_now_ns() - before_ns < UVDPA_DRAIN_MS * 1000000ull);
	assert_int_equal(if_nametoindex(NAME), 0);
	close(s);
	nic_destroy(n);
}

/* Words of a ring that no device may write; and a device that says that it is broken. */
static void test_broken(void **state)
{
	uint8_t frame[100] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, TYPE >> 8, TYPE & 0xff };

	for (unsigned int i = 0; i < 3; i++) {
		struct nic *n = begin(state, 0);
		unsigned int side = i & 1;
		int s = packets();

		assert_true(has(NAME, IFF_RUNNING));
		if (i < 2) {
			const struct uvdpa_net *net =
				container_of(n->dev.vdev.bound, struct vd_netdrv, bound)->net;
			uint16_t *used =
				(uint16_t *)(void *)(net->dma.base + n->dev.vqs[side].device -
						     net->dma.iova);

			/* It looks for what it has sent only. */
			assert_int_equal(send(s, frame, sizeof(frame), 0), sizeof(frame));
			while (!vd_virtq_pending(n->dev.dq[1]))
				usleep(100);
			__atomic_store_n(&used[1], htole16(999), __ATOMIC_RELEASE);
			vd_eventfd_signal(n->dev.vqs[0].call);
		} else {
			n->dev.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
			n->dev.vdev.bound->driver->changed(n->dev.vdev.bound, UVDPA_DEV_STATUS);
		}
		for (unsigned int k = 0; k < 200 && has(NAME, IFF_RUNNING); k++)
			dispatch(n);
		assert_false(has(NAME, IFF_RUNNING));
		assert_int_equal(n->dev.released, 0);
		close(s);
		nic_destroy(n);
		assert_int_equal(if_nametoindex(NAME), 0);
	}
}

/* Link, address and MTU follow; so does the answer to who asks to be announced. */
static void test_follows(void **state)
{
	static const uint8_t announced[] = { 3, 0 };
	struct nic *n = begin(state, 0);
	struct ifreq ifr = { .ifr_name = NAME };
	struct vd_chain *c;
	int s = packets();
	uint8_t got[2];
	struct vd_sg sg;

	n->config.status = htole16(VIRTIO_NET_S_ANNOUNCE);
	n->config.mtu = htole16(3000);
	n->config.mac[5] = 9;
	n->dev.vdev.bound->driver->changed(n->dev.vdev.bound, UVDPA_DEV_CONFIG);
	for (unsigned int k = 0; k < 500 && has(NAME, IFF_RUNNING); k++)	/* the kernel's own time */
		usleep(10000);
	assert_false(has(NAME, IFF_RUNNING));
	assert_int_equal(ioctl(s, SIOCGIFMTU, &ifr), 0);
	assert_int_equal(ifr.ifr_mtu, 3000);
	assert_int_equal(ioctl(s, SIOCGIFHWADDR, &ifr), 0);
	assert_memory_equal(ifr.ifr_hwaddr.sa_data, n->config.mac, 6);
	assert_int_equal(vd_virtq_pop(n->dev.dq[CTRL_QUEUE], &c, 1), 1);
	sg = vd_sg(c->iov, c->nout);
	vd_sg_read(&sg, got, sizeof(got));
	assert_memory_equal(got, announced, sizeof(announced));
	close(s);
	nic_destroy(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lies),   cmocka_unit_test(test_whole),
		cmocka_unit_test(test_send),   cmocka_unit_test(test_device_hangs),
		cmocka_unit_test(test_broken), cmocka_unit_test(test_follows),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
