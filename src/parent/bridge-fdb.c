/* SPDX-License-Identifier: BSD-2-Clause */
#include "parent/bridge-fdb.h"

#include <time.h>

#include "base/util.h"

static_assert(256 - VD_FDB_AGE > 2 * VD_FDB_SWEEP, "an old entry is gone before it looks young");

static uint64_t make(uint64_t mac, unsigned int port, unsigned int now)
{
	return mac << 16 | port << 8 | (now & 0xff);
}

static uint64_t mac_of(uint64_t entry)
{
	return entry >> 16;
}

static unsigned int port_of(uint64_t entry)
{
	return entry >> 8 & 0xff;
}

static unsigned int age_of(uint64_t entry, unsigned int now)
{
	return (now - (unsigned int)entry) & 0xff;
}

static uint64_t get(const uint64_t *entry)
{
	return __atomic_load_n(entry, __ATOMIC_RELAXED);
}

static void count(struct vd_fdb *fdb, uint64_t entry, int n)
{
	if (entry)
		__atomic_fetch_add(&fdb->learned[port_of(entry)], (unsigned int)n,
				   __ATOMIC_RELAXED);
}

/* Return: whether it was still what we have seen. */
static bool replace(struct vd_fdb *fdb, uint64_t *entry, uint64_t was, uint64_t is)
{
	if (!__atomic_compare_exchange_n(entry, &was, is, false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED))
		return false;
	count(fdb, was, -1);
	count(fdb, is, 1);
	return true;
}

static unsigned int bucket(const struct vd_fdb *fdb, uint64_t mac)
{
	uint64_t h = (mac ^ mac >> 23) * fdb->key;

	return (h >> 40) % VD_FDB_BUCKETS;
}

void vd_fdb_init(struct vd_fdb *fdb, uint64_t key, unsigned int now)
{
	fdb->key = key | 1;
	fdb->swept = now;
}

unsigned int vd_fdb_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (unsigned int)(((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000) /
			      VD_FDB_TICK_MS);
}

/* Remove what is old; all of it, if nobody looked for so long that ages may have gone round. */
static vd_noinline void sweep(struct vd_fdb *fdb, unsigned int swept, unsigned int now)
{
	bool all = now - swept > 2 * VD_FDB_SWEEP;

	if (!__atomic_compare_exchange_n(&fdb->swept, &swept, now, false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED))
		return; /* somebody else does */
	for (unsigned int i = 0; i < VD_FDB_BUCKETS; i++)
		for (unsigned int k = 0; k < VD_FDB_WAYS; k++) {
			uint64_t e = get(&fdb->entries[i][k]);

			if (e && (all || age_of(e, now) > VD_FDB_AGE))
				replace(fdb, &fdb->entries[i][k], e, 0);
		}
}

void vd_fdb_learn(struct vd_fdb *fdb, uint64_t mac, unsigned int port, unsigned int now)
{
	uint64_t *b = fdb->entries[bucket(fdb, mac)], *to = NULL, is = make(mac, port, now),
		 was = 0;
	unsigned int swept = __atomic_load_n(&fdb->swept, __ATOMIC_RELAXED), oldest = 0;

	if (vd_unlikely(now - swept >= VD_FDB_SWEEP && (int)(now - swept) > 0))
		sweep(fdb, swept, now);
	for (unsigned int i = 0; i < VD_FDB_WAYS; i++) {
		uint64_t e = get(&b[i]);
		unsigned int age = e ? age_of(e, now) : UINT8_MAX + 1u;

		if (vd_likely(mac_of(e) == mac)) {
			if (vd_unlikely(e != is))
				replace(fdb, &b[i], e, is);
			return;
		}
		if (!to || age > oldest) {
			to = &b[i];
			was = e;
			oldest = age;
		}
	}
	if (__atomic_load_n(&fdb->learned[port], __ATOMIC_RELAXED) < VD_FDB_SHARE)
		replace(fdb, to, was, is);
}

unsigned int vd_fdb_find(const struct vd_fdb *fdb, uint64_t mac, unsigned int now)
{
	const uint64_t *b = fdb->entries[bucket(fdb, mac)];

	for (unsigned int i = 0; i < VD_FDB_WAYS; i++) {
		uint64_t e = get(&b[i]);

		if (mac_of(e) == mac)
			return age_of(e, now) <= VD_FDB_AGE ? port_of(e) : VD_FDB_NONE;
	}
	return VD_FDB_NONE;
}

void vd_fdb_forget(struct vd_fdb *fdb, unsigned int port)
{
	for (unsigned int i = 0; i < VD_FDB_BUCKETS; i++)
		for (unsigned int k = 0; k < VD_FDB_WAYS; k++) {
			uint64_t e = get(&fdb->entries[i][k]);

			while (e && port_of(e) == port && !replace(fdb, &fdb->entries[i][k], e, 0))
				e = get(&fdb->entries[i][k]);
		}
}

unsigned int vd_fdb_count(const struct vd_fdb *fdb, unsigned int port)
{
	unsigned int n = 0;

	if (port != VD_FDB_NONE)
		return __atomic_load_n(&fdb->learned[port], __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < VD_FDB_PORTS; i++)
		n += __atomic_load_n(&fdb->learned[i], __ATOMIC_RELAXED);
	return n;
}
