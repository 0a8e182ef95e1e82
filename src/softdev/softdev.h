/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * softdev.h - what every software device shares
 *
 * The author of a device writes handle(queue, burst) and a configuration space; this layer has
 * the operations table, the workers, the notification rules, statistics, quiesce and resume.
 *
 *	control thread			worker (a data thread; serves some queues of one device)
 *	--------------			-----------------------------------------------------
 *	enable_vq  -- queue ------->	run: pop a burst -> handle -> engine submits once
 *	quiesce    -- stop -------->	     engine reaps -> done -> push -> flush -> call once
 *	           <-- quiet -------	     nothing to do: poll for a bounded, adapting time,
 *	get_vq, set_vq ...		     then ask for kicks and sleep in one wait
 *
 * Between a kick and a ring there is no core code, no lock, no allocation, no log line. Commands
 * reach a worker through one word of each queue, and it looks there only when told to.
 */
#ifndef VD_SOFTDEV_SOFTDEV_H
#define VD_SOFTDEV_SOFTDEV_H

#include "core/core.h"
#include "softdev/hist.h"
#include "softdev/limit.h"
#include "virtq/virtq.h"

struct vd_softdev;
struct vd_softq;
struct vd_worker;

/* What a software device offers on its own account, whatever its type. */
#define VD_SOFTDEV_FEATURES VD_VIRTQ_FEATURES

#define VD_SOFTQ_BURST 32	/* requests that handle gets at most */
#define VD_SOFTQ_KINDS 4	/* sorts of requests, whose times are told apart */

/* Counters of a queue. Written by its worker (relaxed atomics), read by control. */
struct vd_softq_stats {
	uint64_t requests, bytes_in, bytes_out;	/* in: written into guest memory */
	uint64_t errors;			/* requests that ended in an error */
	uint64_t kicks, calls;			/* kicks: eventfd reads that found something */
	uint64_t bursts, sleeps;
	struct vd_hist took[VD_SOFTQ_KINDS];	/* from pop to flush, by vd_chain.kind */
};

/**
 * struct vd_engine - Completes requests later; at most one for each worker: io_uring, threads...
 * @ops: what it does; all in the worker's thread
 * @fd: readable when completions wait, after arm; -1: none ever wait
 */
struct vd_engine {
	const struct vd_engine_ops *ops;
	int fd;
};

struct vd_engine_ops {
	/* The burst is over: hand all that was queued to the kernel, with one call. */
	void (*submit)(struct vd_engine *e);
	/* Handle completions (vd_softq_done() for each). Return: how many. */
	unsigned int (*reap)(struct vd_engine *e);
	/* The worker is about to sleep. Return: true if something is there already. */
	bool (*arm)(struct vd_engine *e);
	/* The worker has ended, nothing is in flight. Control thread. */
	void (*destroy)(struct vd_engine *e);
};

/**
 * struct vd_softdev_ops - What the author writes
 *
 * Context: handle and held in the worker, the rest in the control thread.
 */
struct vd_softdev_ops {
	size_t chain_size;	/* of a request; begins with struct vd_chain */
	unsigned int iov_max;	/* pieces of a request at most */
	/* "read", ...; NULL: there is none. Without any, no times are taken. */
	const char *kinds[VD_SOFTQ_KINDS];

	/* A burst of requests. Each is given back by vd_softq_done(), now or later. */
	void (*handle)(struct vd_softq *q, struct vd_chain **chains, unsigned int n);

	/* The time of a vd_worker_hold() has come, or a queue of the worker is to become quiet. */
	void (*held)(struct vd_softdev *sd, struct vd_worker *w);

	/* A worker is being started. *ret_engine may stay NULL. Return: 0 or -errno. */
	int (*worker_start)(struct vd_softdev *sd, struct vd_worker *w,
			    struct vd_engine **ret_engine);

	/* Counters of a queue; vd_softq_emit() has those that every one has. */
	int (*stats)(struct vd_softdev *sd, unsigned int idx, struct uvdpa_emit *e);

	/* As in uvdpa_dev_ops. */
	int (*set_features)(struct vd_softdev *sd, uint64_t features);
	int (*get_config)(struct vd_softdev *sd, uint32_t off, void *buf, uint32_t len);
	int (*set_config)(struct vd_softdev *sd, uint32_t off, const void *buf, uint32_t len);
	void (*reset)(struct vd_softdev *sd);
	void (*destroy)(struct vd_softdev *sd);
};

/* What a device may take for each second, and at once; 0: any, and what 100 ms are worth. */
struct vd_softdev_limits {
	uint64_t iops, iops_burst;	/* requests */
	uint64_t bps, bps_burst;	/* bytes of vd_softq_charge() */
};

/* Embedded, first, in the device of the author. */
struct vd_softdev {
	struct uvdpa_dev dev;
	const struct vd_softdev_ops *ops;
	struct uvdpa *u;
	char name[UVDPA_NAME_MAX + 1];	/* for threads and messages */
	uint64_t features;		/* negotiated */
	struct vd_softdev_limits limits;	/* control's */
	bool limited;			/* atomic: one of the two has a rate */
	struct vd_limit iops, bps;
	unsigned int nworkers;
	struct vd_worker *workers;
	struct vd_softq *queues;	/* dev.info.nvqs of them */
	bool answer_all;		/* uvdpa_dev_quiesced(UVDPA_VQ_ALL) is owed */
};

struct vd_softdev_conf {
	const char *name;		/* the device's, as add got it; copied */
	unsigned int workers;		/* data threads; at most one for each queue; 0: 1 */
	unsigned int poll_us;		/* longest time to poll before sleeping; 0: never poll */
	unsigned int span;		/* so many queues in a row have the same worker; 0: 1 */
	struct vd_softdev_limits limits;
};

/**
 * vd_softdev_begin() - A device of which little is known yet: all it can do is to be destroyed
 * @sd: zeroed
 *
 * For an add that returns -EINPROGRESS. vd_softdev_init() follows before uvdpa_dev_arrived().
 */
void vd_softdev_begin(struct vd_softdev *sd, struct uvdpa *u, const struct vd_softdev_ops *ops);

/**
 * vd_softdev_init() - Prepare the shared part; starts the workers
 * @sd: dev.info filled in (nvqs, vq_num_max, features, ...)
 *
 * Return: 0; on failure nothing is left behind, and a device that was begun is as it was.
 */
int vd_softdev_init(struct vd_softdev *sd, struct uvdpa *u, const struct vd_softdev_ops *ops,
		    const struct vd_softdev_conf *conf);

/* Ends the workers. For an author's add that fails after init; destroy does it otherwise. */
void vd_softdev_fini(struct vd_softdev *sd);

/* What every queue counts. Control thread. */
int vd_softq_emit(struct vd_softdev *sd, unsigned int idx, struct uvdpa_emit *e);

/* Other limits, from now on. Control thread. */
void vd_softdev_set_limits(struct vd_softdev *sd, const struct vd_softdev_limits *limits);

/* Requests of handle move so many bytes, which the limit of bytes is about. The worker. */
void vd_softq_charge(struct vd_softq *q, uint64_t bytes);

/**
 * vd_worker_hold() - Take no new work
 * @until_ns: vd_now_ns() of when ops->held is asked what now; 0: go on
 *
 * Context: the worker. What is in flight goes on, and kicks are not looked at.
 */
void vd_worker_hold(struct vd_worker *w, uint64_t until_ns);

/**
 * vd_softq_done() - Give a request back
 * @chain: from handle
 * @written: bytes written into its in pieces
 * @ok: false counts it as an error
 *
 * Context: the queue's worker. Published at the end of the worker's round.
 */
void vd_softq_done(struct vd_softq *q, struct vd_chain *chain, uint32_t written, bool ok);

/**
 * vd_softq_give() - Give requests back, many at once
 * @chains: @n of them, each with its written set
 *
 * Context: the queue's worker; of a queue that is pulled, who has locked it.
 */
void vd_softq_give(struct vd_softq *q, struct vd_chain *const *chains, unsigned int n);

/* The last @n that were handled or taken stay in the ring after all; see vd_virtq_unpop(). Likewise. */
void vd_softq_untake(struct vd_softq *q, struct vd_chain *const *chains, unsigned int n);

/* Handle no more of this queue until told otherwise. The queue's worker. */
void vd_softq_pause(struct vd_softq *q, bool pause);

/* ---- queues of buffers that wait for something to come --------------------------------------- */

/*
 * Such a queue is pulled: its worker handles nothing of it. Whoever brings something, in whatever data
 * thread, locks it, takes what it needs, gives it back or unpops it, publishes and unlocks; a burst at
 * a time. So nothing of it is in flight for longer, and it is quiet as soon as it shall be. Only the
 * queue's own worker writes its call eventfd, and without the lock, as that may block for as long as
 * the peer likes.
 */

/* Control thread, while the queue does not run. */
void vd_softq_set_pulled(struct vd_softdev *sd, unsigned int idx, bool pulled);

/*
 * Return: true, locked; false: it does not run, or who has locked it does not come back: a peer can
 * make access to memory that it shares take as long as it likes, and that shall be its own and the
 * queue's misfortune, not ours.
 */
bool vd_softq_lock(struct vd_softq *q);
/* The same whether it runs or not: keeps others out, and is good for nothing else. */
bool vd_softq_lock_out(struct vd_softq *q);
void vd_softq_unlock(struct vd_softq *q);

/* Locked. Return: how many, at most VD_VIRTQ_BURST; with none the queue is starved: its worker asks
 * for kicks before it sleeps, and is woken by the next. */
unsigned int vd_softq_take(struct vd_softq *q, struct vd_chain **chains, unsigned int max);

/**
 * vd_softq_short() - What was taken does not do, and there is no more
 *
 * To be untaken; but the driver shall kick for the next that comes. The worker looks again soon in
 * any case. Locked, the queue's worker.
 */
void vd_softq_short(struct vd_softq *q);

/* Locked; @by: the worker whose thread this is, of any device; NULL: none. */
void vd_softq_publish(struct vd_softq *q, const struct vd_worker *by);

/* Of a queue that is pulled: does it run, and has it buffers as far as is known? The queue's worker. */
bool vd_softq_fed(struct vd_softq *q);

/* Likewise: does it run? */
bool vd_softq_runs(const struct vd_softq *q);

/* Make a worker look at all that it has. Any thread. */
void vd_worker_wake(struct vd_worker *w);

/**
 * vd_softq_life() - For devices that remember something of what is in the ring
 *
 * Another one when the queue does not go on where it stood: after a reset, or as the driver says.
 * Constant while it runs.
 */
unsigned int vd_softq_life(const struct vd_softq *q);

struct vd_softdev *vd_softq_dev(struct vd_softq *q);
unsigned int vd_softq_index(const struct vd_softq *q);
struct vd_softq *vd_softdev_queue(struct vd_softdev *sd, unsigned int idx);
struct vd_worker *vd_softq_worker(struct vd_softq *q);
struct vd_engine *vd_worker_engine(struct vd_worker *w);
unsigned int vd_worker_index(const struct vd_worker *w);

/* The guest's memory as the queue uses it; the same for all queues that a worker serves. */
const struct vd_mem *vd_softq_mem(const struct vd_softq *q);

/**
 * vd_worker_epoch() - For engines that keep something of the guest's memory
 *
 * The memory changes only while no queue runs; another epoch begins with the first that runs then.
 * Who is idle had best let go. Context: the worker.
 */
unsigned int vd_worker_epoch(const struct vd_worker *w);
bool vd_worker_idle(const struct vd_worker *w);

/**
 * vd_softq_stopping() - Is the queue to become quiet?
 *
 * Then what cannot come home for now, because a server is away, say, had best end soon. The second
 * asks it of all that a worker serves, and is cheap. Context: the worker.
 */
bool vd_softq_stopping(const struct vd_softq *q);
bool vd_worker_stopping(const struct vd_worker *w);

#endif
