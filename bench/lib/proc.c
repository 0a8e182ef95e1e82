/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS 10000
#define STOP_MS  5000

/* Call @fn for each thread of @pid. */
static void each_thread(pid_t pid, void (*fn)(pid_t pid, pid_t tid, void *arg), void *arg)
{
	char path[64];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			fn(pid, atoi(e->d_name), arg);
	if (dir)
		closedir(dir);
}

static void pin_thread(pid_t pid, pid_t tid, void *arg)
{
	(void)pid;
	sched_setaffinity(tid, sizeof(cpu_set_t), arg);
}

int proc_pin(pid_t pid, int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (!pid)
		return sched_setaffinity(0, sizeof(one), &one);
	each_thread(pid, pin_thread, &one);
	return 0;
}

uint64_t proc_cpu_ns(pid_t pid)
{
	struct timespec t;
	clockid_t id;

	if (clock_getcpuclockid(pid, &id) || clock_gettime(id, &t))
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The number behind @key in a file of lines. */
static long number(const char *path, const char *key)
{
	FILE *f = fopen(path, "re");
	char line[256];
	long sum = 0;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			sum += atol(line + strlen(key));
	if (f)
		fclose(f);
	return sum;
}

static void add_preemptions(pid_t pid, pid_t tid, void *arg)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	*(long *)arg += number(path, "nonvoluntary_ctxt_switches:");
}

long proc_preemptions(pid_t pid)
{
	long sum = 0;

	each_thread(pid, add_preemptions, &sum);
	return sum;
}

long proc_private_kib(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	return number(path, "Private_Clean:") + number(path, "Private_Dirty:");
}

/* In the child: become the program. */
static void become(const char *const *argv, int cpu, int out, int err)
{
	struct rlimit files;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	proc_pin(0, cpu);
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	dup2(out, 1);
	dup2(err, 2);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

pid_t proc_spawn(const char *const *argv, int cpu, int fd)
{
	pid_t pid = fork();

	if (!pid) {
		dup2(fd, 0);
		become(argv, cpu, fd, fd);
	}
	return pid;
}

static void sleep_ms(unsigned int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000l }, NULL);
}

static void show_log(const char *path)
{
	char line[512];
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		fprintf(stderr, "  %s", line);
	if (f)
		fclose(f);
}

pid_t proc_start(const char *const *argv, int cpu, const char *path)
{
	char log[256];
	pid_t pid;
	int fd;

	snprintf(log, sizeof(log), "%s.log", path);
	fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	pid = fork();
	if (!pid)
		become(argv, cpu, fd, fd);
	close(fd);
	for (unsigned int ms = 0; pid > 0 && access(path, F_OK); ms += 10) {
		if (ms >= START_MS || waitpid(pid, NULL, WNOHANG)) {
			fprintf(stderr, "%s does not start\n", argv[0]);
			show_log(log);
			proc_stop(pid);
			return -1;
		}
		sleep_ms(10);
	}
	return pid;
}

void proc_stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGTERM);
	for (unsigned int ms = 0; !waitpid(pid, NULL, WNOHANG); ms += 10) {
		if (ms == STOP_MS)
			kill(pid, SIGKILL);
		sleep_ms(10);
	}
}

char *proc_output(const char *const *argv, int cpu)
{
	size_t len = 0, room = 1 << 20;
	char *text = malloc(room);
	int fds[2], status = -1;
	ssize_t n;
	pid_t pid;

	if (!text || pipe2(fds, O_CLOEXEC)) {
		free(text);
		return NULL;
	}
	pid = fork();
	if (!pid)
		become(argv, cpu, fds[1], 2);
	close(fds[1]);
	while (len + 1 < room && (n = read(fds[0], text + len, room - len - 1)) > 0)
		len += (size_t)n;
	text[len] = 0;
	close(fds[0]);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && !status)
		return text;
	fprintf(stderr, "%s failed: %s\n", argv[0], text);
	free(text);
	return NULL;
}

int ctl_open(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	fprintf(stderr, "%s: cannot connect: %m\n", path);
	if (fd >= 0)
		close(fd);
	return -1;
}

int ctl_call(int fd, const char *text, ...)
{
	char line[2048];
	size_t len;
	va_list ap;
	ssize_t n;

	len = (size_t)sprintf(line, "{\"jsonrpc\":\"2.0\",\"id\":1,");
	va_start(ap, text);
	len += (size_t)vsnprintf(line + len, sizeof(line) - len, text, ap);
	va_end(ap);
	len += (size_t)snprintf(line + len, sizeof(line) - len, "}\n");
	if (send(fd, line, len, MSG_NOSIGNAL) != (ssize_t)len)
		return -1;
	for (len = 0; !len || line[len - 1] != '\n'; len += (size_t)n) {
		n = recv(fd, line + len, sizeof(line) - len - 1, 0);
		if (n <= 0) {
			fprintf(stderr, "uvdpad: no answer\n");
			return -1;
		}
	}
	line[len] = 0;
	if (!strstr(line, "\"error\""))
		return 0;
	fprintf(stderr, "uvdpad: %s", line);
	return -1;
}
