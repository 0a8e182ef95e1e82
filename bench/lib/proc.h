/* SPDX-License-Identifier: BSD-2-Clause */
/* proc.h - processes to measure: started, pinned, looked at, ended */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stdint.h>
#include <sys/types.h>

/* Put all threads of @pid (0: the caller alone) on one CPU. Return: 0 or -1. */
int proc_pin(pid_t pid, int cpu);

/* CPU time of all its threads so far, exact to the moment. */
uint64_t proc_cpu_ns(pid_t pid);

/* How often one of its threads was preempted. */
long proc_preemptions(pid_t pid);

/* KiB that are the process's alone and in memory: what it would give back. */
long proc_private_kib(pid_t pid);

/**
 * proc_start() - Start a program on one CPU
 * @argv: its words; the last is NULL
 * @cpu: where
 * @path: what is there once it is ready; messages of the program go to @path with ".log"
 *
 * Return: its pid; -1 with a message.
 */
pid_t proc_start(const char *const *argv, int cpu, const char *path);

/* The same, without waiting; @fd is its input and output. Return: its pid; -1. */
pid_t proc_spawn(const char *const *argv, int cpu, int fd);

/* End it. 0 is fine. */
void proc_stop(pid_t pid);

/* Run a program on one CPU to its end. Return: the standard output, to be freed; NULL with a
 * message. */
char *proc_output(const char *const *argv, int cpu);

/* Connect to uvdpad. Return: a descriptor; -1 with a message. */
int ctl_open(const char *path);

/* One call, and wait for its end. @text: from "method" on. Return: 0; -1 with a message. */
int ctl_call(int fd, const char *text, ...) __attribute__((format(printf, 2, 3)));

#endif
