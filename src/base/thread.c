/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/thread.h"

#include <signal.h>
#include <string.h>

#include "base/err.h"

int vd_thread_start(pthread_t *ret_thread, void *(*fn)(void *arg), void *arg, const char *name)
{
	static const int faults[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL };
	sigset_t block, old;
	int r;

	sigfillset(&block);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(faults); i++)
		sigdelset(&block, faults[i]);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	r = pthread_create(ret_thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		return vd_err(-r, "thread %s: %s", name, strerror(r));
	pthread_setname_np(*ret_thread, name);
	return 0;
}
