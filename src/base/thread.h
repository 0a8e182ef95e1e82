/* SPDX-License-Identifier: BSD-2-Clause */
/* thread.h - threads of the library in somebody else's process */
#ifndef VD_BASE_THREAD_H
#define VD_BASE_THREAD_H

#include <pthread.h>

#define VD_THREAD_NAME_MAX 15	/* bytes, without the terminating NUL; Linux has no more */

/**
 * vd_thread_start() - Start a thread that takes no signal from the application
 * @ret_thread: to be joined
 * @fn: what it runs
 * @arg: handed to @fn
 * @name: VD_THREAD_NAME_MAX bytes at most
 *
 * Signals are the application's, so all are blocked but those that a fault of the thread itself
 * raises: the kernel ends a process that has these blocked, whatever handler it has (sigbus.h).
 *
 * Return: 0; -EAGAIN, ... with a sentence.
 */
int vd_thread_start(pthread_t *ret_thread, void *(*fn)(void *arg), void *arg, const char *name);

#endif
