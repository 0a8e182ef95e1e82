/* SPDX-License-Identifier: BSD-2-Clause */
/* signals.c - SIGINT and SIGTERM as a descriptor */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "uvdpa/cmd.h"

static void set_of_ends(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
}

int signals_catch(void)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* EFBIG of one write instead */
	set_of_ends(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? print_error("signalfd: %s", strerror(errno)) : fd;
}

int signals_take(int fd)
{
	struct signalfd_siginfo si;
	sigset_t set;

	if (read(fd, &si, sizeof(si)) != sizeof(si))
		return 0;
	set_of_ends(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return (int)si.ssi_signo;
}
