/* SPDX-License-Identifier: BSD-2-Clause */
/* net-filter-test.c - which frames come in, command by command */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "softdev/net-filter.h"

#define RX(m)  VIRTIO_NET_CTRL_RX_##m
#define VLANS  (1ull << VIRTIO_NET_F_CTRL_VLAN)
#define OWN    "\x52\x54\x00\x00\x00\x01"
#define OTHER  "\x52\x54\x00\x00\x00\x02"
#define THIRD  "\x52\x54\x00\x00\x00\x03"
#define GROUP  "\x01\x00\x5e\x00\x00\x01"
#define GROUP2 "\x33\x33\x00\x00\x00\x01"
#define ALL    "\xff\xff\xff\xff\xff\xff"

static const char *const dests[] = { OWN, OTHER, THIRD, GROUP, GROUP2, ALL };

static uint64_t own;

static bool wants(const struct vd_net_filter *f, const char *dst, int vid)
{
	uint8_t b[VD_NET_FILTER_BYTES] = { 0 };

	memcpy(b, dst, 6);
	b[12] = 8;
	if (vid >= 0) {
		b[12] = 0x81;
		b[14] = (uint8_t)(0xe0 | vid >> 8); /* with a priority */
		b[15] = (uint8_t)vid;
	}
	return vd_net_filter_wants(f, own, b, sizeof(b));
}

static void begin(struct vd_net_filter *f, uint64_t features, const char *mac)
{
	own = vd_net_mac_number((const uint8_t *)mac);
	vd_net_filter_reset(f, features);
}

/* Which of dests come in, as a bit each. */
static unsigned int seen(const struct vd_net_filter *f)
{
	unsigned int bits = 0;

	for (unsigned int i = 0; i < VD_ARRAY_SIZE(dests); i++)
		bits |= (unsigned int)wants(f, dests[i], -1) << i;
	return bits;
}

static struct vd_sg piece(struct vd_iov *iov, const void *p, size_t len)
{
	*iov = (struct vd_iov){ vd_guest_wrap(uint8_t, p), len };
	return vd_sg(iov, 1);
}

static int rx(struct vd_net_filter *f, uint8_t mode, uint8_t on)
{
	struct vd_iov iov;
	struct vd_sg sg = piece(&iov, &on, 1);

	return vd_net_filter_rx(f, mode, &sg);
}

static int vlan(struct vd_net_filter *f, bool add, unsigned int vid)
{
	struct vd_iov iov;
	uint16_t le = htole16(vid);
	struct vd_sg sg = piece(&iov, &le, 2);

	return vd_net_filter_vlan(f, add, &sg);
}

static size_t put_list(uint8_t *b, uint32_t says, const char *const *macs, unsigned int n)
{
	says = htole32(says);
	memcpy(b, &says, 4);
	for (unsigned int i = 0; i < n; i++)
		memcpy(b + 4 + 6 * i, macs[i], 6);
	return 4 + 6 * n;
}

static void test_modes(void **state)
{
	enum { mine = 1, other = 2, third = 4, group = 8, group2 = 16, all = 32, any = 63 };
	static const struct {
		uint8_t mode, on;
		unsigned int seen;
	} steps[] = {
		{ RX(ALLMULTI), 0, mine | all }, /* the first word ends promiscuity */
		{ RX(PROMISC), 0, mine | all },
		{ RX(PROMISC), 1, any },
		{ RX(PROMISC), 0, mine | all },
		{ RX(ALLMULTI), 1, mine | group | group2 | all },
		{ RX(ALLUNI), 1, any },
		{ RX(ALLMULTI), 0, mine | other | third | all },
		{ RX(ALLUNI), 0, mine | all },
		{ RX(NOBCAST), 1, mine },
		{ RX(NOUNI), 1, 0 },
		{ RX(ALLUNI), 1, 0 },
		{ RX(ALLMULTI), 1, group | group2 },
		{ RX(NOMULTI), 1, 0 },
		{ RX(PROMISC), 1, any },
		{ RX(PROMISC), 0, 0 },
		{ RX(NOMULTI), 0, group | group2 },
		{ RX(NOBCAST), 0, group | group2 | all },
		{ RX(NOUNI), 0, any },
		{ RX(ALLUNI), 255, any },
	};
	struct vd_net_filter f;

	(void)state;
	begin(&f, 0, OWN);
	assert_int_equal(seen(&f), any);
	assert_int_equal(rx(&f, 6, 1), -EINVAL);
	assert_int_equal(rx(&f, 255, 1), -EINVAL);
	assert_int_equal(seen(&f), any);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(steps); i++) {
		assert_int_equal(rx(&f, steps[i].mode, steps[i].on), 0);
		if (seen(&f) != steps[i].seen)
			fail_msg("step %u: %#x, not %#x", i, seen(&f), steps[i].seen);
	}
	begin(&f, 0, OTHER);
	assert_int_equal(seen(&f), any);
	rx(&f, RX(PROMISC), 0);
	assert_int_equal(seen(&f), other | all);
	own = vd_net_mac_number((const uint8_t *)THIRD);
	assert_int_equal(seen(&f), third | all);
}

static void test_lengths(void **state)
{
	static const uint8_t zeros[16];
	struct vd_net_filter f, was;
	struct vd_iov iov;
	struct vd_sg sg;

	(void)state;
	begin(&f, VLANS, OWN);
	was = f;
	for (size_t len = 0; len < sizeof(zeros); len++) {
		sg = piece(&iov, zeros, len);
		if (len != 1)
			assert_int_equal(vd_net_filter_rx(&f, 0, &sg), -EINVAL);
		sg = piece(&iov, zeros, len);
		if (len != 2)
			assert_int_equal(vd_net_filter_vlan(&f, true, &sg), -EINVAL);
		sg = piece(&iov, zeros, len);
		if (len != 8)
			assert_int_equal(vd_net_filter_macs(&f, &sg), -EINVAL);
	}
	assert_memory_equal(&f, &was, sizeof(f));
}

/* CVE-2014-0150: the table's numbers are a guest's; what is there is counted by us. */
static void test_cve_2014_0150(void **state)
{
	static const char *const uni[] = { OTHER }, *const multi[] = { GROUP, GROUP2 };
	static const struct {
		uint32_t nuni, nmulti;
		size_t cut, more;
		bool ok;
	} cases[] = {
		{ 1, 2, 0, 0, true },
		{ 1, 2, 1, 0, false },
		{ 1, 2, 12, 0, false },
		{ 1, 2, 16, 0, false },
		{ 1, 2, 17, 0, false },
		{ 1, 2, 0, 1, false },
		{ 1, 2, 0, 6, false },
		{ 1, 1, 0, 0, false },
		{ 0, 2, 0, 0, false },
		{ UINT32_MAX, 2, 0, 0, false },
		{ 1, UINT32_MAX, 0, 0, false },
		{ 0x80000000u, 0, 0, 0, false },
		{ 0x2aaaaaabu, 2, 0, 0, false }, /* times 6 it is 2 in 32 bits */
		{ 1, 0x2aaaaaadu, 0, 0, false },
		{ 0xaaaaaaabu, 0xaaaaaaabu, 0, 0, false },
	};
	uint8_t b[64] = { 0 };
	struct vd_iov iov[64];

	(void)state;
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(cases); i++)
		for (size_t each = 1; each <= 40; each++) {
			struct vd_net_filter f, was;
			size_t len = put_list(b, cases[i].nuni, uni, 1), n = 0;

			len += put_list(b + len, cases[i].nmulti, multi, 2);
			len += cases[i].more - cases[i].cut;
			for (size_t at = 0; at < len; at += each)
				iov[n++] = (struct vd_iov){ vd_guest_wrap(uint8_t, b + at),
							    vd_min(each, len - at) };
			begin(&f, 0, OWN);
			was = f;
			if (vd_net_filter_macs(&f, &(struct vd_sg){ iov, (unsigned int)n, 0 }) !=
			    (cases[i].ok ? 0 : -EINVAL))
				fail_msg("case %u in pieces of %zu", i, each);
			if (cases[i].ok)
				assert_int_equal(seen(&f), 1 | 2 | 8 | 16 | 32);
			else
				assert_memory_equal(&f, &was, sizeof(f));
		}
}

/* More addresses than are told apart: all of that sort come in, until there are fewer again. */
static void test_overflow(void **state)
{
	static uint8_t b[8 + 6 * 2 * (VD_NET_MACS_MAX + 2)];
	struct vd_net_filter f;

	(void)state;
	begin(&f, 0, OWN);
	for (unsigned int uni = VD_NET_MACS_MAX - 1; uni < VD_NET_MACS_MAX + 3; uni++)
		for (unsigned int multi = VD_NET_MACS_MAX - 1; multi < VD_NET_MACS_MAX + 3;
		     multi++) {
			const char *macs[VD_NET_MACS_MAX + 2];
			struct vd_iov iov;
			struct vd_sg sg;
			size_t len;

			if (uni == VD_NET_MACS_MAX + 2 || multi == VD_NET_MACS_MAX + 2)
				continue;
			for (unsigned int i = 0; i < VD_ARRAY_SIZE(macs); i++)
				macs[i] = OTHER;
			len = put_list(b, uni, macs, uni);
			for (unsigned int i = 0; i < VD_ARRAY_SIZE(macs); i++)
				macs[i] = GROUP;
			macs[multi - 1] = GROUP2; /* the last counts too */
			len += put_list(b + len, multi, macs, multi);
			sg = piece(&iov, b, len);
			assert_int_equal(vd_net_filter_macs(&f, &sg), 0);
			assert_int_equal(wants(&f, THIRD, -1), uni > VD_NET_MACS_MAX);
			assert_int_equal(wants(&f, "\x01\x00\x5e\x00\x00\x99", -1),
					 multi > VD_NET_MACS_MAX);
			assert_true(wants(&f, OTHER, -1) && wants(&f, GROUP, -1) &&
				    wants(&f, GROUP2, -1));
		}
}

static void test_vlans(void **state)
{
	struct vd_net_filter f;

	(void)state;
	begin(&f, VLANS, OWN);
	assert_true(wants(&f, OWN, 5)); /* promiscuous */
	rx(&f, RX(PROMISC), 0);
	for (int vid = 1; vid < 4095; vid += 13) {
		assert_false(wants(&f, OWN, vid));
		assert_int_equal(vlan(&f, true, (unsigned int)vid), 0);
		assert_true(wants(&f, OWN, vid));
		assert_true(wants(&f, ALL, vid));
		assert_false(wants(&f, OTHER, vid));
		assert_false(wants(&f, OWN, vid + 1));
	}
	for (int vid = 1; vid < 4095; vid += 13) {
		assert_true(wants(&f, OWN, vid));
		assert_int_equal(vlan(&f, false, (unsigned int)vid), 0);
		assert_false(wants(&f, OWN, vid));
	}
	assert_true(wants(&f, OWN, 0) && wants(&f, OWN, -1));
	assert_int_equal(vlan(&f, true, 4095), 0);
	assert_true(wants(&f, OWN, 4095));
	assert_int_equal(vlan(&f, true, 4096), -EINVAL);
	assert_int_equal(vlan(&f, false, 65535), -EINVAL);
	/* Not negotiated: the driver sees to it. */
	begin(&f, 0, OWN);
	rx(&f, RX(PROMISC), 0);
	assert_true(wants(&f, OWN, 7));
}

/* CVE-2026-63320: what is too short to be a frame is nobody's, and is not read past its end. */
static void test_short(void **state)
{
	struct vd_net_filter f;

	(void)state;
	begin(&f, VLANS, OWN);
	rx(&f, RX(ALLUNI), 1);
	for (size_t len = 0; len <= VD_NET_FILTER_BYTES; len++) {
		uint8_t *exact = calloc(1, len + !len);

		if (len > 13)
			exact[12] = 0x81;
		assert_int_equal(vd_net_filter_wants(&f, own, exact, len), len >= 14);
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),         cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_cve_2014_0150), cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_vlans),         cmocka_unit_test(test_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
