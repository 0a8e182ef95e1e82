/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parent.h - for who writes a parent: something that makes devices
 *
 * A parent embeds struct uvdpa_dev in its own device and fills in what the device is (info) and
 * what it does (ops, and further tables for further capabilities). All calls come from core's
 * gate, in the control thread, already checked: the index is in range, the status machine is
 * legal, features are a subset of what is offered. So a parent holds no such checks.
 *
 * Life of a device, as its parent sees it ([] can repeat, in any order that the lines allow):
 *
 *	add
 *	 [ set_features  set_status(...FEATURES_OK)
 *	    [ set_vq  enable_vq ]...  set_status(...DRIVER_OK)
 *	    [ kick  set_call  get_config  set_config
 *	      quiesce -> uvdpa_dev_quiesced -> get_vq, set_vq, enable_vq ]...
 *	   quiesce(all) -> uvdpa_dev_quiesced -> reset ]...
 *	destroy
 *
 * Every operation but quiesce is immediate. quiesce alone may take time, and it alone stands
 * between a running queue and anything that changes what the queue uses: its addresses, the
 * memory behind them, its life.
 *
 * Context: control thread.
 */
#ifndef UVDPA_PARENT_H
#define UVDPA_PARENT_H

#include <uvdpa/uvdpa.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* UVDPA_VQ_ALL - quiesce: every queue */
#define UVDPA_VQ_ALL (~0u)

/**
 * struct uvdpa_vq_state - Where a queue stands (vhost's vring base)
 * @avail: split: next available index; packed: index in bits 0-14, wrap counter in bit 15
 * @used: packed only, the same for the used side; split: the device reads it from the ring
 */
struct uvdpa_vq_state {
	uint16_t avail;
	uint16_t used;
};

/**
 * struct uvdpa_vq - All that a queue needs to run
 * @num: size; a power of two for split rings
 * @desc: descriptor area, I/O virtual (virtio 1.3, 2.6)
 * @driver: driver area (available ring)
 * @device: device area (used ring)
 * @state: where to begin
 * @kick: eventfd the driver writes, for the device to watch from enable_vq until it is quiet, by
 *        uvdpa_poll_add() or in a thread of its own; -1: the driver calls kick instead
 * @call: eventfd the device writes; -1 for none. The gate keeps the number the same while the
 *        driver changes the eventfd behind it, so a software device just writes to it.
 * @poll: the driver gives no notifications at all: look by yourself (vhost-user: no kick fd)
 * @inflight: where to note which requests the device has, so that another process can go on after
 *            a crash of this one: the queue's region as vhost-user's specification lays it out,
 *            writable by a peer; NULL: nowhere. If the region is in use, it and not @state says
 *            where to begin. The gate fills both in, for a device with the capability.
 * @inflight_num: for so many descriptors
 * @reserved: zeros
 *
 * The descriptors belong to the gate and stay open until the queue is quiesced and set anew.
 */
struct uvdpa_vq {
	uint16_t num;
	uint64_t desc, driver, device;
	struct uvdpa_vq_state state;
	int kick, call;
	bool poll;
	void *inflight;
	uint16_t inflight_num;
	uint64_t reserved[2];
};

/* UVDPA_MAP_RO, UVDPA_MAP_WO, UVDPA_MAP_RW - What a device may do with memory */
#define UVDPA_MAP_RO 1u	/* the device may read */
#define UVDPA_MAP_WO 2u	/* the device may write */
#define UVDPA_MAP_RW 3u

/**
 * struct uvdpa_map - A piece of memory that the device may use
 * @iova: first byte, I/O virtual
 * @len: bytes
 * @fd: file it lies in, -1 if it is in none; whoever takes it keeps a duplicate
 * @offset: into @fd
 * @addr: where it is in this process; NULL: not mapped here
 * @prot: UVDPA_MAP_RO, _WO, _RW
 * @reserved: zeros
 */
struct uvdpa_map {
	uint64_t iova;
	uint64_t len;
	int fd;
	uint64_t offset;
	void *addr;
	unsigned int prot;
	uint64_t reserved[2];
};

/**
 * struct uvdpa_dev_ops - What every device does; no slot is NULL
 *
 * Context of all: control thread.
 */
struct uvdpa_dev_ops {
	/* Back to the state after add, mappings kept. Every queue is quiesced. Cannot fail. */
	void (*reset)(struct uvdpa_dev *dev);

	/* The driver's choice, a subset of what is offered. Return: 0; -EINVAL: not this set
	 * (FEATURES_OK will read back clear; virtio 1.3, 2.2.2). */
	int (*set_features)(struct uvdpa_dev *dev, uint64_t features);

	/* The status byte after a legal change, never 0 (that is reset). Return: 0; -errno refuses
	 * FEATURES_OK or DRIVER_OK. */
	int (*set_status)(struct uvdpa_dev *dev, uint8_t status);

	/* @off + @len <= info.config_size. Return: 0; -EOPNOTSUPP: not writable. */
	int (*get_config)(struct uvdpa_dev *dev, uint32_t off, void *buf, uint32_t len);
	int (*set_config)(struct uvdpa_dev *dev, uint32_t off, const void *buf, uint32_t len);

	/* A queue that is not enabled shall use this. Called after each change, so it replaces. */
	int (*set_vq)(struct uvdpa_dev *dev, unsigned int idx, const struct uvdpa_vq *vq);

	/* The eventfd behind vq->call is another one now; @call is the same number, or the first
	 * or no descriptor. A proxy passes it on; the gate has written to it once already. */
	int (*set_call)(struct uvdpa_dev *dev, unsigned int idx, int call);

	/* Run. As DRIVER_OK is being set, before set_status() says so, and from then on until
	 * reset. Return: 0; -EBADMSG: the rings are not in mapped memory or not aligned. */
	int (*enable_vq)(struct uvdpa_dev *dev, unsigned int idx);

	/* Take no new work; call uvdpa_dev_quiesced(dev, idx) when the last request is home and
	 * nothing will touch the memory or the eventfds again. @idx may be UVDPA_VQ_ALL. May
	 * call it before returning. Never refuses; a queue that is not enabled is quiet. */
	void (*quiesce)(struct uvdpa_dev *dev, unsigned int idx);

	/* Where a quiesced queue stands. */
	int (*get_vq)(struct uvdpa_dev *dev, unsigned int idx, struct uvdpa_vq_state *ret_state);

	/* The driver has put something into the queue; @data is the queue's index, and with
	 * NOTIFICATION_DATA the next offset and wrap counter above it (virtio 1.3, 2.9). */
	void (*kick)(struct uvdpa_dev *dev, unsigned int idx, uint32_t data);

	/* Free. Not bound, quiesced, reset; nobody will call again. A device that could not be
	 * quiesced in time is not destroyed until it is. */
	void (*destroy)(struct uvdpa_dev *dev);
};

/**
 * struct uvdpa_mem_ops - For a device whose datapath is elsewhere: it is told of all memory
 * @map: as uvdpa_dev_map() was given it. Return: 0; -errno
 * @unmap: the end of what lies in the range; what the driver mapped as one is unmapped as one.
 *         Return: 0; -errno
 * @commit: what was mapped and unmapped counts from now on. Return: 0; -errno
 *
 * Without this table the device lives in this process and core keeps the table for it. All
 * queues are quiesced when map or unmap is called, or none was enabled yet. Changes count from
 * commit; one that fails leaves the former table in force and forgets the changes. After a map
 * or unmap that fails, the ones before it are taken back one by one, and committed.
 */
struct uvdpa_mem_ops {
	int (*map)(struct uvdpa_dev *dev, unsigned int asid, const struct uvdpa_map *map);
	int (*unmap)(struct uvdpa_dev *dev, unsigned int asid, uint64_t iova, uint64_t len);
	int (*commit)(struct uvdpa_dev *dev, unsigned int asid);
};

/**
 * struct uvdpa_stats_ops - For a device that counts
 * @get: tell the counters of a queue, names as Linux's where it has them. Return: 0; -errno
 */
struct uvdpa_stats_ops {
	int (*get)(struct uvdpa_dev *dev, unsigned int idx, struct uvdpa_emit *e);
};

/**
 * struct uvdpa_set_ops - Attributes that may change while the device is there
 * @opts: as a parent's, but that none is required or has a default; at most 64
 * @conf_size: bytes of the configuration that @opts describes
 * @set: change it. Bit i of its given is set if opts[i] was given; the rest of its conf is zero.
 *       Return: 0; -errno and nothing has changed
 */
struct uvdpa_set_ops {
	const struct uvdpa_opt *opts;
	size_t conf_size;
	int (*set)(struct uvdpa_dev *dev, const void *conf, uint64_t given);
};

/**
 * struct uvdpa_show_ops - For a device that has something to tell
 * @show: tell what there is beside what it is on the bus: its engine, say
 */
struct uvdpa_show_ops {
	void (*show)(struct uvdpa_dev *dev, struct uvdpa_emit *e);
};

/**
 * struct uvdpa_dev - A device; embedded by its parent
 * @info: filled in by the parent before it is ready, constant then
 * @ops: what it does
 * @mem: capability: the datapath is elsewhere; NULL if not
 * @stats: capability: it counts; NULL if not
 * @set: capability: it can be changed; NULL if not
 * @show: capability: it has something to tell; NULL if not
 * @inflight: capability: it heeds uvdpa_vq.inflight
 * @starting: queues that were enabled do not run yet, and it takes a turn of the loop until they
 *            do; the parent's, may change at any time
 * @vq_groups: the group of each queue; NULL: all are in group 0
 * @core: the bus's part; set between add's return and destroy, not the parent's business
 * @reserved: zeros
 */
struct uvdpa_dev {
	struct uvdpa_dev_info info;
	const struct uvdpa_dev_ops *ops;
	const struct uvdpa_mem_ops *mem;
	const struct uvdpa_stats_ops *stats;
	const struct uvdpa_set_ops *set;
	const struct uvdpa_show_ops *show;
	bool inflight;
	bool starting;
	const uint32_t *vq_groups;
	struct vd_dev *core;
	void *reserved[4];
};

/**
 * struct uvdpa_parent - Something that makes devices
 * @name: as in "mgmtdev NAME"
 * @help: one line
 * @device_ids: virtio ids of what it makes, zero-terminated; empty: known only by looking
 * @features: all it can offer; 0: known only by looking
 * @max_vqs: queues of a device at most
 * @opts: its options; ends with a NULL key
 * @conf_size: bytes of the configuration that @opts describes
 * @add: make a device
 * @reserved: zeros
 *
 * @add gets the context and the configuration; core owns the latter and keeps it until destroy.
 * It returns 0 with *ret_dev set and ready; or -EINPROGRESS with *ret_dev set, and the parent
 * calls uvdpa_dev_arrived() later; or another -errno, having freed what it made. Here as in
 * every operation that fails, uvdpa_set_error() says why; without it uvdpa_error() is stale.
 * uvdpa_dev_* may be called on the device only after add has returned.
 */
struct uvdpa_parent {
	const char *name;
	const char *help;
	const uint32_t *device_ids;
	uint64_t features;
	unsigned int max_vqs;
	const struct uvdpa_opt *opts;
	size_t conf_size;
	int (*add)(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev);
	void *reserved[4];
};

/**
 * uvdpa_parent_register() - Add a parent to a context
 * @u: the context
 * @p: borrowed for the context's life
 *
 * Return: 0; -EEXIST the name is taken; -EINVAL a table is incomplete.
 */
int uvdpa_parent_register(struct uvdpa *u, const struct uvdpa_parent *p);

/* ---- what parents and bus drivers need of the context; control thread ---------------------- */

/**
 * uvdpa_dev_context() - The context of a device
 * @dev: the device; from add's return, or from probe, until destroy
 *
 * Return: the context.
 */
struct uvdpa *uvdpa_dev_context(const struct uvdpa_dev *dev);

/**
 * uvdpa_set_error() - Say why something fails, for uvdpa_error()
 * @err: negative errno, handed back so that "return uvdpa_set_error(...)" reads well
 * @fmt: as printf; the thing, the value and the limit; no full stop, no newline
 *
 * Return: @err. Context: any thread; the sentence is that thread's.
 */
int uvdpa_set_error(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * struct uvdpa_poll - A descriptor that the context's loop waits for
 * @ready: called from uvdpa_dispatch() as long as one of the events is there (level-triggered)
 * @reserved: the library's
 *
 * Zero it, set @ready, embed it, and keep it until uvdpa_poll_del(). A thread of your own that has
 * something to say to the control thread writes to an eventfd that is watched so.
 */
struct uvdpa_poll {
	void (*ready)(struct uvdpa_poll *p, uint32_t events);
	void *reserved[4];
};

/**
 * uvdpa_poll_add() - Have the context's loop wait for a descriptor
 * @u: the context
 * @p: the caller's, kept until uvdpa_poll_del()
 * @fd: borrowed
 * @events: EPOLLIN, EPOLLOUT
 *
 * Return: 0; what epoll_ctl(2) said: -EPERM a file that needs no waiting, -EEXIST, -EBADF.
 */
int uvdpa_poll_add(struct uvdpa *u, struct uvdpa_poll *p, int fd, uint32_t events);

/**
 * uvdpa_poll_del() - Wait for it no more
 * @p: the caller's again; its ready is not called any more. Harmless if it was not added
 *
 * Before the descriptor is closed.
 */
void uvdpa_poll_del(struct uvdpa_poll *p);

/* ---- what a parent tells core; context: control thread ------------------------------------ */

/**
 * uvdpa_dev_arrived() - A device that was in progress, or lost, is there now
 * @dev: the device; info is complete if it is the first time
 * @err: 0; -errno: it will not come, core removes it (first time), or stays lost
 *
 * When it was lost before, the gate replays features, mappings and queues into it first.
 */
void uvdpa_dev_arrived(struct uvdpa_dev *dev, int err);

/**
 * uvdpa_dev_lost() - The datapath's other side went away
 * @dev: the device; operations still come and must not fail for it
 */
void uvdpa_dev_lost(struct uvdpa_dev *dev);

/**
 * uvdpa_dev_quiesced() - The answer to uvdpa_dev_ops.quiesce
 * @dev: the device
 * @idx: the queue, or UVDPA_VQ_ALL
 */
void uvdpa_dev_quiesced(struct uvdpa_dev *dev, unsigned int idx);

/**
 * uvdpa_dev_config_changed() - The configuration space has changed (virtio 1.3, 2.3)
 * @dev: the device; its generation counts on, and its driver is told
 */
void uvdpa_dev_config_changed(struct uvdpa_dev *dev);

/**
 * uvdpa_dev_vq_broken() - The driver's ring made no sense, as uvdpa_error() says
 * @dev: the device, which has stopped the queue; NEEDS_RESET is set
 * @idx: the queue
 */
void uvdpa_dev_vq_broken(struct uvdpa_dev *dev, unsigned int idx);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
