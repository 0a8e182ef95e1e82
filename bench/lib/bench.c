/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/bench.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "lib/proc.h"

#define SAMPLE_NS   4000000u
#define PROBES      8 /* the least of them counts */
#define PROBE_TRIPS 60
#define TRIES	    4	    /* until a sample counts */
#define IDLE_US	    1000    /* until a process that polls has gone to sleep */

const char *const bench_distance_names[BENCH_DISTANCES] = { "one cpu", "smt", "near", "far" };

/* The second CPU's thread, asleep unless it has something to do. */
struct peer {
	pthread_t thread;
	sem_t start, ended;
	const struct bench_case *work; /* NULL: the probe */
	bool exit;
	bool running; /* atomic */
	bool stop;    /* atomic */
	bool preempted;
};

/* Each on its own pair of lines. */
static struct {
	_Alignas(128) uint64_t ping;
	_Alignas(128) uint64_t pong;
	_Alignas(128) struct peer peer;
} shared;

uint64_t bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static long preemptions(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return u.ru_nivcsw;
}

int bench_cpu(unsigned int n)
{
	static cpu_set_t all; /* before anybody was pinned */

	if (!CPU_COUNT(&all))
		sched_getaffinity(0, sizeof(all), &all);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && !n--)
			return cpu;
	return -1;
}

/* Go to the @n-th CPU. Return: false if there is none. */
static bool pin(unsigned int n)
{
	int cpu = bench_cpu(n);

	return cpu >= 0 && !proc_pin(0, cpu);
}

static void answer_pings(const bool *stop)
{
	uint64_t n = 0, p;

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		p = __atomic_load_n(&shared.ping, __ATOMIC_ACQUIRE);
		if (p != n)
			__atomic_store_n(&shared.pong, n = p, __ATOMIC_RELEASE);
	}
}

static void *peer_thread(void *arg)
{
	struct peer *peer = arg;
	long before;

	pin(1);
	for (;;) {
		sem_wait(&peer->start);
		if (peer->exit)
			return NULL;
		before = preemptions();
		__atomic_store_n(&peer->running, true, __ATOMIC_RELEASE);
		if (peer->work)
			peer->work->there(peer->work->arg, &peer->stop);
		else
			answer_pings(&peer->stop);
		peer->preempted = preemptions() != before;
		sem_post(&peer->ended);
	}
}

static void peer_begin(const struct bench_case *work)
{
	struct peer *peer = &shared.peer;

	peer->work = work;
	peer->running = peer->stop = false;
	sem_post(&peer->start);
	while (!__atomic_load_n(&peer->running, __ATOMIC_ACQUIRE))
		;
}

static void peer_end(void)
{
	__atomic_store_n(&shared.peer.stop, true, __ATOMIC_RELAXED);
	while (sem_wait(&shared.peer.ended))
		;
}

/* How far is the other CPU? */
static enum bench_distance probe(void)
{
	static uint64_t n;
	uint64_t best = UINT64_MAX;

	peer_begin(NULL);
	for (unsigned int i = 0; i < PROBES; i++) {
		uint64_t ns = bench_now_ns();

		for (unsigned int k = 0; k < PROBE_TRIPS; k++) {
			__atomic_store_n(&shared.ping, ++n, __ATOMIC_RELEASE);
			while (__atomic_load_n(&shared.pong, __ATOMIC_ACQUIRE) != n)
				;
		}
		ns = (bench_now_ns() - ns) / PROBE_TRIPS;
		best = ns < best ? ns : best;
	}
	peer_end();
	return best < 80 ? BENCH_SMT : best < 250 ? BENCH_NEAR : BENCH_FAR;
}

/* All that could have disturbed a sample. */
static long disturbed(const struct bench_case *c)
{
	return preemptions() + (c->pid ? proc_preemptions(c->pid) : 0);
}

/* Return: whether it counts. */
static bool sample(struct bench_case *c)
{
	bool two = c->there || c->apart;
	enum bench_distance d = two ? probe() : BENCH_ONE;
	uint64_t ns, ops, cpu_ns = 0;
	long before;

	if (c->begin)
		c->begin(c->arg);
	if (c->there)
		peer_begin(c);
	before = disturbed(c);
	if (c->pid)
		cpu_ns = proc_cpu_ns(c->pid);
	ns = bench_now_ns();
	ops = c->here(c->arg, ns + (c->sample_ns ? c->sample_ns : SAMPLE_NS));
	ns = bench_now_ns() - ns;
	if (c->pid)
		cpu_ns = proc_cpu_ns(c->pid) - cpu_ns;
	if (c->there)
		peer_end();
	if (!ops ||
	    (!c->loose && (disturbed(c) != before || (c->there && shared.peer.preempted))))
		return false;
	if (c->apart)
		usleep(IDLE_US);
	if ((two && probe() != d) || c->n[d] == BENCH_SAMPLES)
		return false;
	c->ns[d][c->n[d]] = (float)(c->took_ns ? c->took_ns : ns) / (float)ops;
	c->cpu[d][c->n[d]++] = (float)cpu_ns / (float)ops;
	return true;
}

static int order(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* First in our session's scheduling group, and first among the groups. */
void bench_be_important(void)
{
	FILE *f;

	setsid();
	f = fopen("/proc/self/autogroup", "w");
	if (f) {
		fputs("-20", f);
		fclose(f);
	}
	setpriority(PRIO_PROCESS, 0, -20);
}

static int start(void)
{
	bench_be_important();
	if (!pin(1) || !pin(0)) {
		fprintf(stderr, "there are not two CPUs to run on\n");
		return -1;
	}
	sem_init(&shared.peer.start, 0, 0);
	sem_init(&shared.peer.ended, 0, 0);
	shared.peer.exit = false;
	if (pthread_create(&shared.peer.thread, NULL, peer_thread, &shared.peer)) {
		fprintf(stderr, "no second thread\n");
		return -1;
	}
	return 0;
}

static void end(struct bench_case *cases, unsigned int n)
{
	shared.peer.exit = true;
	sem_post(&shared.peer.start);
	pthread_join(shared.peer.thread, NULL);
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int d = 0; d < BENCH_DISTANCES; d++) {
			qsort(cases[i].ns[d], cases[i].n[d], sizeof(float), order);
			qsort(cases[i].cpu[d], cases[i].n[d], sizeof(float), order);
		}
}

int bench_run(struct bench_case *cases, unsigned int n, double seconds)
{
	uint64_t until = bench_now_ns() + (uint64_t)(seconds * 1e9);

	if (start())
		return -1;
	do {
		for (unsigned int i = 0; i < n; i++)
			sample(&cases[i]);
	} while (bench_now_ns() < until);
	end(cases, n);
	return 0;
}

int bench_rounds(struct bench_case *cases, unsigned int n, unsigned int rounds)
{
	if (start())
		return -1;
	for (unsigned int k = 0; k < rounds; k++)
		for (unsigned int i = 0; i < n; i++)
			for (unsigned int try = 0; try < TRIES && !sample(&cases[i]); try++)
				;
	end(cases, n);
	return 0;
}

double bench_part(const struct bench_case *c, enum bench_distance d, unsigned int part)
{
	return c->n[d] ? (double)c->ns[d][(c->n[d] - 1) * part / 100] : 0;
}

double bench_cpu_part(const struct bench_case *c, enum bench_distance d, unsigned int part)
{
	return c->n[d] ? (double)c->cpu[d][(c->n[d] - 1) * part / 100] : 0;
}

void bench_print(const struct bench_case *cases, unsigned int n, const char *unit)
{
	printf("%-40s %-8s %8s  [%s %s]  %-7s %s\n", unit, "distance", "median", "quarter",
	       "quarter", "samples", "of the limit");
	for (unsigned int d = 0; d < BENCH_DISTANCES; d++)
		for (unsigned int i = 0; i < n; i++) {
			const struct bench_case *c = &cases[i];

			if (!c->n[d])
				continue;
			printf("%-40s %-8s %8.1f  [%7.1f %7.1f]  %-7u", c->name,
			       bench_distance_names[d], bench_part(c, d, 50), bench_part(c, d, 25),
			       bench_part(c, d, 75), c->n[d]);
			if (c->limit != i && cases[c->limit].n[d])
				printf(" %.2f",
				       bench_part(c, d, 50) / bench_part(&cases[c->limit], d, 50));
			printf("\n");
		}
}
