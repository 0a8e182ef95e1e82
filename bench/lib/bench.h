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
 *	what is printed is the median, and the quartiles, of the samples of one distance
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

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
 */
struct bench_case {
	char name[64];
	void (*begin)(void *arg);
	uint64_t (*here)(void *arg, uint64_t until_ns);
	void (*there)(void *arg, const bool *stop);
	void *arg;
	unsigned int limit;

	unsigned int n[BENCH_DISTANCES];
	float ns[BENCH_DISTANCES][BENCH_SAMPLES]; /* of one operation */
};

uint64_t bench_now_ns(void);

/* Is it time to end? Looks at the clock now and then; *@count is the caller's, from 0. */
static inline bool bench_over(uint64_t until_ns, unsigned int *count)
{
	return !(++*count & 31) && bench_now_ns() >= until_ns;
}

/* Run all for @seconds. Return: 0, or -1 with a message (fewer than two CPUs). */
int bench_run(struct bench_case *cases, unsigned int n, double seconds);

/* The @part-th hundredth of the samples; 0 if there are none. */
double bench_part(const struct bench_case *c, enum bench_distance d, unsigned int part);

/* One line for each case, and for each distance that was met. */
void bench_print(const struct bench_case *cases, unsigned int n, const char *unit);

#endif
