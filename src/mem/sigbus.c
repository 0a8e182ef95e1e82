/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/sigbus.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uvdpa/uvdpa.h>

#include "base/err.h"

#define RANGES_MAX 8192

/*
 * Read by the handler in whatever thread faulted, so it can take no lock. A range is in use when
 * addr is set; the faulting thread is inside the range, so nobody unmaps it meanwhile.
 */
static struct range {
	uintptr_t addr;	/* written last, atomically */
	size_t len;
} ranges[RANGES_MAX];

static struct sigaction former;
static long page;	/* sysconf() is not for handlers */

void vd_sigbus_add(void *addr, size_t len)
{
	for (unsigned int i = 0; i < RANGES_MAX; i++) {
		uintptr_t none = 0;

		/* 1 is no mapping's address: it keeps the slot while len is written. */
		if (__atomic_load_n(&ranges[i].addr, __ATOMIC_RELAXED) ||
		    !__atomic_compare_exchange_n(&ranges[i].addr, &none, 1, false, __ATOMIC_RELAXED,
						 __ATOMIC_RELAXED))
			continue;
		__atomic_store_n(&ranges[i].len, len, __ATOMIC_RELAXED);
		/* Release: len before addr. Pairs with A in on_sigbus(). */
		__atomic_store_n(&ranges[i].addr, (uintptr_t)addr, __ATOMIC_RELEASE);
		return;
	}
}

void vd_sigbus_del(void *addr)
{
	for (unsigned int i = 0; i < RANGES_MAX; i++)
		if (__atomic_load_n(&ranges[i].addr, __ATOMIC_RELAXED) == (uintptr_t)addr) {
			__atomic_store_n(&ranges[i].addr, 0, __ATOMIC_RELAXED);
			return;
		}
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	int saved = errno;

	for (unsigned int i = 0; i < RANGES_MAX; i++) {
		/* A */
		uintptr_t addr = __atomic_load_n(&ranges[i].addr, __ATOMIC_ACQUIRE);

		if (addr <= 1 || at < addr ||
		    at - addr >= __atomic_load_n(&ranges[i].len, __ATOMIC_RELAXED))
			continue;
		/* The page; all of the mapping where a page cannot be replaced alone (hugetlb). */
		if (mmap((void *)(at & ~((uintptr_t)page - 1)), (size_t)page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED ||
		    mmap((void *)addr, __atomic_load_n(&ranges[i].len, __ATOMIC_RELAXED),
			 PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED) {
			errno = saved;
			return;
		}
	}
	/* Not ours: as if we had not been here. */
	if (former.sa_flags & SA_SIGINFO)
		former.sa_sigaction(sig, info, context);
	else if (former.sa_handler != SIG_DFL && former.sa_handler != SIG_IGN)
		former.sa_handler(sig);
	else
		sigaction(SIGBUS, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	errno = saved;
}

int uvdpa_sigbus_guard(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct sigaction now;

	page = sysconf(_SC_PAGESIZE);
	if (sigaction(SIGBUS, NULL, &now))
		return vd_err(-errno, "handler of SIGBUS: %m");
	if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_sigbus)
		return 0;
	former = now;
	if (sigaction(SIGBUS, &sa, NULL))
		return vd_err(-errno, "handler of SIGBUS: %m");
	return 0;
}
