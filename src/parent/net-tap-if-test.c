/* SPDX-License-Identifier: BSD-2-Clause */
/* net-tap-if-test.c - the interface of a net-tap: how it is made and used, and what others do to it
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/netlink.h"
#include "parent/net-tap-fx.h"

#define CVQ (2u * PAIRS)

static uint8_t frame[PKT_MAX], got[TF_MAX];

static struct vd_link link_of(const char *ifname)
{
	struct vd_link l;
	int nl = vd_netlink();

	assert_true(nl >= 0);
	assert_int_equal(vd_link_get(nl, ifname, &l), 0);
	close(nl);
	return l;
}

/* What was asked for is what the interface is. */
static void test_made(void **state)
{
	static const char *const attrs[] = { "ifname", "vm1",  "host_mac", "52:54:00:00:00:99",
					     "mtu",    "9000", "address",  "10.1.2.3/24",
					     NULL };
	struct ifreq req = { .ifr_name = "vm1" };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct vd_link l;
	struct bed b;

	(void)state;
	tf_add(&b, attrs);
	assert_string_equal(bed_shown(&b, "ifname"), "vm1");
	assert_string_equal(bed_shown(&b, "queues"), "1");
	l = link_of("vm1");
	assert_string_equal(l.kind, "tun");
	assert_true(l.tap);
	assert_memory_equal(l.mac, "\x52\x54\0\0\0\x99", 6);
	assert_int_equal(l.mtu, 9000);
	assert_true(l.flags & IFF_UP);
	assert_int_equal(ioctl(s, SIOCGIFADDR, &req), 0);
	assert_memory_equal(req.ifr_addr.sa_data + 2, "\x0a\1\2\3", 4);
	bed_end(&b);
	tf_until_gone("vm1");
	close(s);
}

static void test_pattern(void **state)
{
	static const char *const attrs[] = { "ifname", "q%d", "max_vqp", "3", "up", "off", NULL };
	struct bed b;

	(void)state;
	tf_add(&b, attrs);
	assert_string_equal(bed_shown(&b, "ifname"), "q0");
	assert_false(link_of("q0").flags & IFF_UP);
	assert_false(tf_link_is_up(&b));
	bed_end(&b);
}

/* It stays, and is used again, also by a device with other queues than the first. */
static void test_persist(void **state)
{
	static const char *const stays[] = {
		"ifname", "p0", "max_vqp", "2", "persist", "on", NULL
	};
	static const char *const again[] = { "ifname", "p0", "max_vqp", "1", NULL };
	unsigned int index;
	struct bed b;

	(void)state;
	tf_add(&b, stays);
	bed_end(&b);
	index = if_nametoindex("p0");
	assert_true(index > 0);
	tf_add(&b, again);
	assert_int_equal(if_nametoindex("p0"), index);
	bed_end(&b);
	assert_int_equal(if_nametoindex("p0"), index);
	tf_delete("p0");
}

static void test_refused(void **state)
{
	static const struct {
		const char *key, *value;
		int err;
		const char *says;
	} cases[] = {
		{ "ifname", "0123456789abcdef", -EINVAL, "16 bytes, an interface's has 1 to 15" },
		{ "ifname", "a/b", -EINVAL, "\"/\" is in no interface's name" },
		{ "ifname", "..", -EINVAL, "is no interface's name" },
		{ "ifname", "lo", -EEXIST, "interface lo is there, and no TAP" },
		{ "ifname", "other", -EBUSY, "interface other is used by another program" },
		{ "ifname", "one", -EINVAL, "interface one has one queue, max_vqp is 2" },
		{ "netns", "no-such-one", -ENOENT, "/run/netns/no-such-one" },
		{ "netns", "/dev/null", -EINVAL, "d1: namespace /dev/null" },
		{ "host_mac", "52:54:00:00:00", -EINVAL, "host_mac \"52:54:00:00:00\"" },
		{ "host_mac", "53:54:00:00:00:01", -EINVAL, "host_mac \"53:" },
		{ "host_mac", "00:00:00:00:00:00", -EINVAL, "host_mac \"00:" },
		{ "host_mac", "52:54:00:00:00:01", -EINVAL, "is the driver's side's" },
		{ "address", "10.0.0.1", -EINVAL, "not like 10.0.0.1/24" },
		{ "address", "10.0.0.1/33", -EINVAL, "not like" },
		{ "address", "10.0.0/8", -EINVAL, "not like" },
		{ "address", "fd00::1/129", -EINVAL, "not like" },
		{ "address", "fd00::1/64x", -EINVAL, "not like" },
		{ "bridge", "br-none", -ENODEV, "bridge br-none is not there" },
		{ "bridge", "lo", -EINVAL, "bridge lo is none, but" },
		{ "mtu", "65522", -EINVAL, "mtu 65522, a TAP has at most 65521" },
	};
	static const char *const other[] = { "ifname", "other", "max_vqp", "2", NULL };
	static const char *const one[] = { "ifname", "one", "persist", "on", NULL };
	struct bed taken, b;
	struct uvdpa *u;

	(void)state;
	tf_add(&b, one);
	bed_end(&b);
	tf_add(&taken, other);
	assert_int_equal(uvdpa_create(&u), 0);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct uvdpa_attr a[] = { { "mac", "52:54:00:00:00:01" },
					  { "max_vqp", "2" },
					  { cases[i].key, cases[i].value } };
		struct uvdpa_dev_opts o = { .size = sizeof(o),
					    .name = "d1",
					    .mgmtdev = "net-tap",
					    .attrs = a,
					    .nattrs = 3 };
		struct uvdpa_wait w = { 0 };
		struct uvdpa_dev *dev;
		int r = uvdpa_await(u, &w, uvdpa_dev_add(u, &o, &dev, &w));

		if (r != cases[i].err || !strstr(uvdpa_error(), cases[i].says))
			fail_msg("case %u: %d, %s", i, r, uvdpa_error());
		tf_until_gone("d1");
	}
	uvdpa_destroy(u);
	bed_end(&taken);
	tf_delete("one");
}

/* A device that is deleted while its interface is being made. */
static void test_not_wanted(void **state)
{
	struct uvdpa_dev_opts o = { .size = sizeof(o), .name = "d1", .mgmtdev = "net-tap" };
	struct uvdpa_wait w = { 0 }, w2 = { 0 };
	struct uvdpa_dev *dev;
	struct uvdpa *u;

	(void)state;
	assert_int_equal(uvdpa_create(&u), 0);
	assert_int_equal(uvdpa_dev_add(u, &o, &dev, &w), -EINPROGRESS);
	assert_int_equal(uvdpa_await(u, &w2, uvdpa_dev_del(dev, &w2)), 0);
	uvdpa_destroy(u);
	tf_until_gone("d1");
}

/* ---- another namespace ---------------------------------------------------------------------- */

struct elsewhere {
	pthread_barrier_t there, done;
	char path[64];
};

static void *be_elsewhere(void *arg)
{
	struct elsewhere *e = arg;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	snprintf(e->path, sizeof(e->path), "/proc/self/task/%d/ns/net", gettid());
	pthread_barrier_wait(&e->there);
	pthread_barrier_wait(&e->done);
	tf_until_gone("d0");
	return NULL;
}

static void test_netns(void **state)
{
	const char *attrs[] = { "netns", NULL, NULL };
	char here[64], there[64];
	struct elsewhere e;
	struct vd_net_hdr hdr;
	struct bed_conf c = { .queues = 3 };
	struct bed b;
	pthread_t t;
	int host, ns, home;

	(void)state;
	pthread_barrier_init(&e.there, NULL, 2);
	pthread_barrier_init(&e.done, NULL, 2);
	assert_int_equal(pthread_create(&t, NULL, be_elsewhere, &e), 0);
	pthread_barrier_wait(&e.there);
	attrs[1] = e.path;
	home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	here[readlink("/proc/thread-self/ns/net", here, sizeof(here) - 1)] = 0;
	tf_add(&b, attrs);
	there[readlink("/proc/thread-self/ns/net", there, sizeof(there) - 1)] = 0;
	assert_int_equal(strncmp(here, there, 12), 0);
	assert_int_equal(if_nametoindex("d0"), 0);
	assert_string_equal(bed_shown(&b, "netns"), e.path);

	ns = open(e.path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
	assert_true(if_nametoindex("d0") > 0);
	host = tf_open("d0");
	tf_set_up("d0", false);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	tf_until_link(&b, false); /* it is heard of from there */
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
	tf_set_up("d0", true);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	tf_until_link(&b, true);

	bed_start(&b, &c);
	tf_fill(frame, 100, 1);
	nb_send(&b, 1, NULL, frame, 100, 0);
	assert_int_equal(tf_take(host, &hdr, got, TF_SOON_MS), 100);
	bed_end(&b);
	pthread_barrier_wait(&e.done);
	pthread_join(t, NULL);
	close(host);
	close(ns);
	close(home);
}

/* ---- what others do ------------------------------------------------------------------------- */

static void test_down_and_up(void **state)
{
	struct bed_conf c = { .queues = 3, .num = 64 };
	struct virtio_net_hdr_v1 hdr;
	struct vd_net_hdr h;
	uint32_t generation;
	struct bed b;
	int host;

	(void)state;
	tf_add(&b, NULL);
	host = tf_open("d0");
	bed_start(&b, &c);
	tf_post(&b, 0, 8, 2048);
	assert_true(tf_link_is_up(&b));
	generation = uvdpa_dev_generation(b.dev);
	tf_set_up("d0", false);
	tf_rename("d0", "e0");
	tf_until_link(&b, false);
	assert_true(uvdpa_dev_generation(b.dev) != generation);
	tf_until(&b, "ifname", "e0");
	tf_fill(frame, 99, 1);
	nb_send(&b, 1, NULL, frame, 99, 0); /* lost */
	assert_int_equal(bed_stat(&b, 1, "tx drops"), 1);
	tf_set_up("e0", true);
	tf_until_link(&b, true);
	close(host);
	host = tf_open("e0");
	tf_fill(frame, 100, 2);
	nb_send(&b, 1, NULL, frame, 100, 0);
	assert_int_equal(tf_take(host, &h, got, TF_SOON_MS), 100);
	assert_memory_equal(got, frame, 100);
	assert_true(tf_give(host, NULL, frame, 100));
	assert_int_equal(tf_receive(&b, 0, &hdr, got, TF_SOON_MS), 100);
	bed_end(&b);
	close(host);
}

/* Is a worker asleep, rather than looking at something again and again? */
static long ticks(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void test_deleted(void **state)
{
	static const char *const attrs[] = { "max_vqp", "2", "workers", "2", NULL };
	struct bed_conf c = { .queues = 5, .num = 64 };
	struct bed b;
	long before;

	(void)state;
	tf_add(&b, attrs);
	bed_start(&b, &c);
	tf_post(&b, 0, 8, 2048);
	tf_post(&b, 2, 8, 2048);
	tf_dispatch(&b, 10);
	tf_delete("d0");
	tf_until_link(&b, false);
	before = ticks();
	usleep(300000);
	assert_in_range(ticks() - before, 0, 60);
	tf_fill(frame, 100, 1);
	nb_send(&b, 1, NULL, frame, 100, 0);
	nb_send(&b, 3, NULL, frame, 100, 0);
	assert_int_equal(bed_stat(&b, 1, "tx drops"), 1);
	bed_reset(&b);
	tf_forget();
	bed_start(&b, &c);
	tf_post(&b, 0, 8, 2048);
	nb_send(&b, 1, NULL, frame, 100, 0);
	assert_false(tf_link_is_up(&b));
	bed_end(&b);
}

/* ---- several queues ------------------------------------------------------------------------- */

#define PAIRS 3u /* and the control queue: the bed has eight queues */
#define FLOWS 64u

static struct pkt flow(unsigned int i)
{
	return (struct pkt){ .src = "10.0.0.1",
			     .dst = "10.0.0.2",
			     .proto = IPPROTO_UDP,
			     .sport = (uint16_t)(1000 + i),
			     .dport = 2000,
			     .payload = 100 };
}

static void give_flow(int host, unsigned int i)
{
	struct pkt p = flow(i);
	struct pkt_at at = pkt_make(&p, frame);

	assert_true(tf_give(host, NULL, frame, at.len));
}

/* Return: the pair that it came to. */
static unsigned int where(struct bed *b)
{
	for (unsigned int turn = 0; turn < 200; turn++)
		for (unsigned int p = 0; p < PAIRS; p++) {
			struct virtio_net_hdr_v1 hdr;

			if (2 * p < b->nq && tf_receive(b, 2 * p, &hdr, got, 2)) {
				tf_post(b, 2 * p, 1, 2048);
				return p;
			}
		}
	fail_msg("a frame came nowhere");
	return 0;
}

static void use(struct bed *b, uint16_t pairs)
{
	char text[16];

	assert_int_equal(nb_command(b, CVQ, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
				    &pairs, 2, 0),
			 VIRTIO_NET_OK);
	snprintf(text, sizeof(text), "%u", pairs);
	tf_until(b, "queues", text);
}

static const char *const three[] = { "max_vqp", "3", "workers", "2", NULL };

static void begin(struct bed *b, unsigned int pairs, uint64_t off)
{
	struct bed_conf c = { .queues = 2 * pairs, .num = 64, .features_off = off };

	if (!off)
		c.queues = CVQ + 1;
	tf_forget();
	bed_start(b, &c);
	for (unsigned int p = 0; p < pairs; p++)
		tf_post(b, 2 * p, 32, 2048);
}

/* The kernel spreads flows among the pairs that are used, and one comes back where it went. */
static void test_pairs(void **state)
{
	unsigned int seen[PAIRS] = { 0 };
	struct vd_net_hdr h;
	struct bed b;
	int host;

	(void)state;
	tf_add(&b, three);
	host = tf_open("d0");
	begin(&b, PAIRS, 0);
	assert_string_equal(bed_shown(&b, "queues"), "1");
	for (unsigned int i = 0; i < 16; i++) {
		give_flow(host, i);
		assert_int_equal(where(&b), 0);
	}
	use(&b, PAIRS);
	for (unsigned int i = 0; i < FLOWS; i++) {
		give_flow(host, i);
		seen[where(&b)]++;
	}
	for (unsigned int p = 0; p < PAIRS; p++)
		assert_true(seen[p] > 0);
	for (unsigned int i = 0; i < 12; i++) {
		struct pkt p = flow(100 + i);
		struct pkt_at at;

		p = (struct pkt){ .src = p.dst,
				  .dst = p.src,
				  .proto = p.proto,
				  .sport = p.dport,
				  .dport = p.sport,
				  .payload = 10 };
		at = pkt_make(&p, frame);
		nb_send(&b, 2 * (i % PAIRS) + 1, NULL, frame, (uint32_t)at.len, 0);
		assert_int_equal(tf_take(host, &h, got, TF_SOON_MS), at.len);
		give_flow(host, 100 + i);
		assert_int_equal(where(&b), i % PAIRS);
	}
	/* What is sent by a pair that is not used any more goes its way all the same. */
	use(&b, 1);
	for (unsigned int i = 0; i < FLOWS; i++) {
		give_flow(host, i);
		assert_int_equal(where(&b), 0);
	}
	tf_fill(frame, 100, 7);
	nb_send(&b, 5, NULL, frame, 100, 0);
	assert_int_equal(tf_take(host, &h, got, TF_SOON_MS), 100);
	bed_end(&b);
	close(host);
}

/* Without a control queue those are used that run. */
static void test_pairs_that_run(void **state)
{
	struct bed b;
	int host;

	(void)state;
	tf_add(&b, three);
	host = tf_open("d0");
	for (unsigned int pairs = PAIRS; pairs; pairs--) {
		char text[16];

		begin(&b, pairs, VD_NET_F(CTRL_VQ));
		snprintf(text, sizeof(text), "%u", pairs);
		tf_until(&b, "queues", text);
		for (unsigned int i = 0; i < FLOWS; i++) {
			give_flow(host, i);
			assert_in_range(where(&b), 0, pairs - 1);
		}
		bed_reset(&b);
	}
	bed_end(&b);
	close(host);
}

/* The control queue of a driver with one pair is where its predecessor had a receive queue. */
static void test_pairs_of_another_driver(void **state)
{
	struct bed_conf c = { .queues = 3, .num = 64, .features_off = VD_NET_F(MQ) };
	struct virtio_net_hdr_v1 h;
	struct bed b;
	int host;

	(void)state;
	tf_add(&b, three);
	host = tf_open("d0");
	begin(&b, PAIRS, 0);
	use(&b, PAIRS);
	bed_reset(&b);
	tf_forget();
	bed_start(&b, &c);
	tf_until(&b, "queues", "1");
	tf_post(&b, 0, 32, 2048);
	for (unsigned int i = 0; i < 16; i++) {
		give_flow(host, i);
		assert_int_equal(nb_command(&b, 2, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC,
					    "\1", 1, 0),
				 VIRTIO_NET_OK);
		assert_true(tf_receive(&b, 0, &h, got, TF_SOON_MS) > 0);
	}
	bed_end(&b);
	close(host);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made),        cmocka_unit_test(test_pattern),
		cmocka_unit_test(test_persist),     cmocka_unit_test(test_refused),
		cmocka_unit_test(test_not_wanted),  cmocka_unit_test(test_netns),
		cmocka_unit_test(test_down_and_up), cmocka_unit_test(test_deleted),
		cmocka_unit_test(test_pairs),       cmocka_unit_test(test_pairs_that_run),
		cmocka_unit_test(test_pairs_of_another_driver),
	};

	if (!tf_alone())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
