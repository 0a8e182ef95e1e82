/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench.h - figures that can be compared on a machine that is never quiet
 *
 * A virtual machine's CPUs are moved by its host: two of them are now the threads of one core,
 * now neighbours, now in different sockets, and a figure of two threads that share memory
 * says more about that than about the code. So:
 *
 *	each sample is short, and between two probes of the time that a cache line takes to the
 *	other CPU and back; it is filed under that distance, and dropped if it was another one after
 *	a sample in which one of the threads was preempted is dropped
 *	all cases run in turn, round after round, so what disturbs one disturbs all
 *	if the other end is a process of its own, its CPU time is taken, and its preemptions count
 *	what is printed is the median, and the quartiles, of the samples of one distance
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_SAMPLES 400 /* of one case and distance at most */

enum bench_distance {
	BENCH_ONE, /* one CPU */
	BENCH_SMT, /* two threads of one core */
	BENCH_NEAR,
	BENCH_FAR,
	BENCH_DISTANCES
};

extern const char *const bench_distance_names[BENCH_DISTANCES];

/**
 * struct bench_case - One thing to measure
 * @begin: called before each sample, not measured; may be NULL
 * @here: on the first CPU: work until bench_over(), return the operations done
 * @there: on the second CPU at the same time, until *@stop (read it atomically); NULL: one CPU
 * @limit: index of the case that this one is compared with; its own: with none
 * @sample_ns: how long a sample takes; 0: 4 ms
 * @pid: a process that does the other half of the work; 0: none
 * @apart: that process, or one that @here starts, is on the second CPU
 * @loose: a sample in which somebody was preempted counts: it is so long that all are
 */
struct bench_case {
	char name[64];
	void (*begin)(void *arg);
	uint64_t (*here)(void *arg, uint64_t until_ns);
	void (*there)(void *arg, const bool *stop);
	void *arg;
	unsigned int limit;
	uint64_t sample_ns;
	pid_t pid;
	bool apart, loose;
	uint64_t took_ns; /* what @here says it took, if it knows better than the clock; else 0 */

	unsigned int n[BENCH_DISTANCES];
	float ns[BENCH_DISTANCES][BENCH_SAMPLES];  /* of one operation */
	float cpu[BENCH_DISTANCES][BENCH_SAMPLES]; /* ns of @pid's CPU time for one */
};

uint64_t bench_now_ns(void);

/* Is it time to end? Looks at the clock now and then; *@count is the caller's, from 0. */
static inline bool bench_over(uint64_t until_ns, unsigned int *count)
{
	return !(++*count & 31) && bench_now_ns() >= until_ns;
}

/* Be scheduled first, as far as we may; what is started afterwards is, too. */
void bench_be_important(void);

/* Number of the @n-th CPU that we may run on; -1 if there is none. */
int bench_cpu(unsigned int n);

/* Run all for @seconds. Return: 0, or -1 with a message (fewer than two CPUs). */
int bench_run(struct bench_case *cases, unsigned int n, double seconds);

/* The same, each @rounds times. One whose samples are dropped is tried again, but not for ever. */
int bench_rounds(struct bench_case *cases, unsigned int n, unsigned int rounds);

/* The @part-th hundredth of the samples; 0 if there are none. */
double bench_part(const struct bench_case *c, enum bench_distance d, unsigned int part);
/* The same of the CPU time. */
double bench_cpu_part(const struct bench_case *c, enum bench_distance d, unsigned int part);

/* One line for each case, and for each distance that was met. */
void bench_print(const struct bench_case *cases, unsigned int n, const char *unit);

#endif
