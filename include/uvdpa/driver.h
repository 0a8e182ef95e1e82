/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * driver.h - for who writes a bus driver: something that consumes devices
 *
 * A bus driver is probed with a device that is reset, and drives it with the calls below. Each
 * goes through core's gate: it checks, records, and hands on to the parent. The gate's refusals
 * are those of Linux's vhost-vdpa:
 *
 *	-ENOBUFS	queue index >= info.nvqs
 *	-EINVAL		a status bit cleared, or not the driver's; FEATURES_OK without VERSION_1,
 *			DRIVER_OK without FEATURES_OK; ring size 0, not a power of two (split), or
 *			out of bounds; a ring changed while it runs; a descriptor that is no
 *			eventfd; config offset or length; an address space that is not there
 *	-EBUSY		features after FEATURES_OK; address space of a group after DRIVER_OK; a ring
 *			changed while it is being stopped; mappings while a commit is under way;
 *			status, features, config writes and queues while a reset is
 *	-EOPNOTSUPP	features that are not offered; groups, if the datapath is elsewhere
 *	-EEXIST		a mapping over another
 *	-ENODEV		the device is not ready yet, or going
 *
 * Context: control thread.
 */
#ifndef UVDPA_DRIVER_H
#define UVDPA_DRIVER_H

#include <uvdpa/parent.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct uvdpa_binding;

/**
 * struct uvdpa_driver - Something that consumes devices; no slot but @match and @alias is NULL
 * @name: as in "driver NAME"
 * @help: one line
 * @opts: its options; ends with a NULL key
 * @conf_size: bytes of the configuration that @opts describes
 * @match: whether it can serve the device's type; NULL: any
 * @probe: take the device. On success *ret_b is embedded in the driver's own state. @conf is
 *         core's and lives until remove. On failure nothing is left behind, and
 *         uvdpa_set_error() has said why.
 * @quiesce: let what your consumers have begun come to an end and take no more from them, then
 *           call uvdpa_binding_quiesced(). May be called before returning. A peer that does not
 *           answer must not be waited for. The device still runs.
 * @remove: the device is quiesced and reset, or has been waited for long enough; whatever
 *          struct uvdpa_wait of the driver was pending has ended. Tell the peer, free @b. Cannot
 *          fail. The gate has refused everything with -ENODEV since quiesce was answered.
 * @changed: something of the device changed: status (NEEDS_RESET), configuration, lost, ready.
 *           Told from the loop, never from within a call of the driver's; once for several
 * @describe: tell how to attach, see uvdpa_dev_describe()
 * @alias: what Linux calls the one of its bus drivers that does the same; it is found by that, too. NULL: none
 * @reserved: zeros
 */
struct uvdpa_driver {
	const char *name;
	const char *help;
	const struct uvdpa_opt *opts;
	size_t conf_size;
	bool (*match)(const struct uvdpa_dev_info *info);
	int (*probe)(struct uvdpa_dev *dev, const void *conf, struct uvdpa_binding **ret_b);
	void (*quiesce)(struct uvdpa_binding *b);
	void (*remove)(struct uvdpa_binding *b);
	void (*changed)(struct uvdpa_binding *b, enum uvdpa_event ev);
	void (*describe)(struct uvdpa_binding *b, struct uvdpa_emit *e);
	const char *alias;
	void *reserved[3];
};

/**
 * struct uvdpa_binding - A device in a driver's hands; embedded by the driver
 * @dev: the device
 * @driver: the bus driver
 * @reserved: the library's
 *
 * Filled in by the library after probe.
 */
struct uvdpa_binding {
	struct uvdpa_dev *dev;
	const struct uvdpa_driver *driver;
	void *reserved[2];
};

/**
 * uvdpa_driver_register() - Add a bus driver to a context
 * @u: the context
 * @d: borrowed for the context's life
 *
 * Return: 0; -EEXIST the name is taken; -EINVAL a table is incomplete.
 */
int uvdpa_driver_register(struct uvdpa *u, const struct uvdpa_driver *d);

/**
 * uvdpa_binding_quiesced() - The answer to uvdpa_driver.quiesce: no consumer begins anything any more
 * @b: the binding
 */
void uvdpa_binding_quiesced(struct uvdpa_binding *b);

/**
 * uvdpa_binding_release() - Ask the bus to unbind the device: its consumer is gone for good
 * @b: the binding; remove follows, from the loop
 */
void uvdpa_binding_release(struct uvdpa_binding *b);

/* ---- the gate: status and features ----------------------------------------------------------- */

/**
 * uvdpa_dev_reset() - Status 0: quiesce every queue, forget all but the mappings
 * @dev: the device
 * @w: ends when the device touches nothing any more
 *
 * Return: 0; -EINPROGRESS; -ETIMEDOUT (in @w) after UVDPA_DRAIN_MS: it still may.
 */
int uvdpa_dev_reset(struct uvdpa_dev *dev, struct uvdpa_wait *w);

/**
 * uvdpa_dev_set_status() - Add bits to the status byte (virtio 1.3, 2.1)
 * @dev: the device
 * @status: never 0, never without a bit that is set
 *
 * With FEATURES_OK the device may refuse: the call fails and the bit stays clear. With DRIVER_OK
 * the enabled queues begin to run. uvdpa_dev_status() reads it; NEEDS_RESET may have come in between.
 *
 * Return: 0; what the gate refuses; what the parent said.
 */
int uvdpa_dev_set_status(struct uvdpa_dev *dev, uint8_t status);

/**
 * uvdpa_dev_set_features() - Choose features, before FEATURES_OK
 * @dev: the device
 * @features: of those that uvdpa_dev_info() says are offered
 *
 * Return: 0; -EOPNOTSUPP one is not offered; -EBUSY after FEATURES_OK; -EINVAL the parent does not
 * take this set.
 */
int uvdpa_dev_set_features(struct uvdpa_dev *dev, uint64_t features);

/**
 * uvdpa_dev_driver_features() - What was chosen, FEATURES_OK or not
 * @dev: the device
 *
 * Return: the features of the last uvdpa_dev_set_features(); 0 after a reset.
 */
uint64_t uvdpa_dev_driver_features(const struct uvdpa_dev *dev);

/**
 * uvdpa_dev_get_config() - Read the configuration space
 * uvdpa_dev_set_config() - Write to it
 * @dev: the device
 * @off: first byte
 * @buf: the bytes, as the device has them (little-endian)
 * @len: how many
 *
 * Return: 0; -EINVAL beyond uvdpa_dev_info.config_size; -EOPNOTSUPP it cannot be written; -EBUSY a
 * write while a reset is under way; what the parent found.
 */
int uvdpa_dev_get_config(struct uvdpa_dev *dev, uint32_t off, void *buf, uint32_t len);
int uvdpa_dev_set_config(struct uvdpa_dev *dev, uint32_t off, const void *buf, uint32_t len);

/**
 * uvdpa_dev_generation() - Tells two states of the configuration space apart (virtio 1.3, 2.5)
 * @dev: the device
 *
 * Return: a number that counts on with every change and every reset.
 */
uint32_t uvdpa_dev_generation(const struct uvdpa_dev *dev);

/* ---- the gate: queues ------------------------------------------------------------------------ */

/**
 * uvdpa_dev_set_vq() - Size, addresses and state of a queue; its eventfds
 * @dev: the device
 * @idx: the queue
 * @vq: borrowed; the descriptors are duplicated. kick and call may be -1.
 *
 * Refused while the queue runs, except that a change of nothing but the eventfds and @vq->poll is
 * passed on.
 * A queue whose state could not be read when it was stopped does not run again before this (or a
 * reset) has given it one; uvdpa_dev_get_vq_state() and uvdpa_dev_enable_vq() say so.
 *
 * Return: 0; -ENOBUFS no such queue; -EINVAL what the gate refuses; -EBUSY it is being stopped.
 */
int uvdpa_dev_set_vq(struct uvdpa_dev *dev, unsigned int idx, const struct uvdpa_vq *vq);

/**
 * uvdpa_dev_vq() - What was set, for a driver that sets piece by piece
 * @dev: the device
 * @idx: the queue
 *
 * Return: the gate's, and so are its descriptors; NULL if there is no such queue.
 */
const struct uvdpa_vq *uvdpa_dev_vq(const struct uvdpa_dev *dev, unsigned int idx);

/**
 * uvdpa_dev_set_vq_kick() - The eventfd that the driver writes to, alone
 * uvdpa_dev_set_vq_call() - The eventfd that the device writes to
 * uvdpa_dev_set_vq_err() - The eventfd that is written when the queue breaks
 * @dev: the device
 * @idx: the queue
 * @fd: borrowed; -1 takes it away
 *
 * At any time, also while the queue runs.
 *
 * Return: 0; -ENOBUFS no such queue; -EINVAL @fd is no eventfd; -EMFILE.
 */
int uvdpa_dev_set_vq_kick(struct uvdpa_dev *dev, unsigned int idx, int fd);
int uvdpa_dev_set_vq_call(struct uvdpa_dev *dev, unsigned int idx, int fd);
int uvdpa_dev_set_vq_err(struct uvdpa_dev *dev, unsigned int idx, int fd);

/**
 * uvdpa_dev_enable_vq() - Let a queue run from DRIVER_OK on
 * @dev: the device
 * @idx: the queue
 *
 * Or now, if that is set (ENABLE_AFTER_DRIVER_OK).
 *
 * Return: 0; -ENOBUFS no such queue; -EINVAL it was not set; -EBUSY a reset is under way; -EBADMSG
 * the rings are not in mapped memory, or not aligned.
 */
int uvdpa_dev_enable_vq(struct uvdpa_dev *dev, unsigned int idx);

/**
 * uvdpa_dev_vq_enabled() - Whether a queue was enabled
 * @dev: the device
 * @idx: the queue
 *
 * Return: true from uvdpa_dev_enable_vq() until it is disabled or reset, whether it runs or not.
 */
bool uvdpa_dev_vq_enabled(const struct uvdpa_dev *dev, unsigned int idx);

/**
 * uvdpa_dev_disable_vq() - Stop one queue; returns or ends when its last request is home
 * @dev: the device
 * @idx: the queue
 * @w: ends when it is quiet; may be NULL
 *
 * Also the per-queue reset (virtio 1.3, 2.6.1).
 *
 * Return: 0; -EINPROGRESS; -ENOBUFS no such queue; -ETIMEDOUT (in @w) it is not quiet yet.
 */
int uvdpa_dev_disable_vq(struct uvdpa_dev *dev, unsigned int idx, struct uvdpa_wait *w);

/**
 * uvdpa_dev_get_vq_state() - State of a queue that does not run: next to take (vhost's vring base)
 * @dev: the device
 * @idx: the queue
 * @ret_state: receives it
 *
 * Return: 0; -ENOBUFS no such queue; -EBUSY it runs; what the parent said, if it could not tell.
 */
int uvdpa_dev_get_vq_state(struct uvdpa_dev *dev, unsigned int idx,
			   struct uvdpa_vq_state *ret_state);

/**
 * uvdpa_dev_kick() - Say that something is in a queue, without an eventfd
 * @dev: the device
 * @idx: the queue
 * @data: as uvdpa_dev_ops.kick gets it
 *
 * For in-band notifications, and NOTIFICATION_DATA.
 *
 * Return: 0; -ENOBUFS no such queue; -ENODEV.
 */
int uvdpa_dev_kick(struct uvdpa_dev *dev, unsigned int idx, uint32_t data);

/**
 * uvdpa_dev_suspend() - Stop all queues, keep all state readable
 * @dev: the device
 * @w: ends when all are quiet; may be NULL
 *
 * Before DRIVER_OK it does nothing and succeeds. Kicks in between are looked at on resume.
 *
 * Return: 0; -EINPROGRESS; -ETIMEDOUT (in @w) not all are quiet yet.
 */
int uvdpa_dev_suspend(struct uvdpa_dev *dev, struct uvdpa_wait *w);

/**
 * uvdpa_dev_resume() - Let the enabled queues run again
 * @dev: the device
 *
 * Return: 0; -EBUSY a suspend is under way.
 */
int uvdpa_dev_resume(struct uvdpa_dev *dev);

/* ---- the gate: memory ------------------------------------------------------------------------ */

/**
 * uvdpa_dev_map() - Stage a mapping; it counts from uvdpa_dev_commit()
 * @dev: the device
 * @asid: address space, below info.nas
 * @map: borrowed; the descriptor is duplicated, @map->addr must stay until it is unmapped and
 *       committed. With addr NULL, core maps the file itself if the device needs it.
 *
 * Return: 0; -EINVAL length 0, or outside of the device's range, or the file is shorter, or asid;
 * -EEXIST it overlaps another; -ENOSPC too many; -EBUSY a commit is under way.
 */
int uvdpa_dev_map(struct uvdpa_dev *dev, unsigned int asid, const struct uvdpa_map *map);

/**
 * uvdpa_dev_unmap() - Stage the end of all mappings in a range
 * @dev: the device
 * @asid: address space
 * @iova: first byte
 * @len: bytes
 *
 * Return: 0, also if there are none; -EINVAL one is half inside, or asid; -EBUSY a commit is under
 * way.
 */
int uvdpa_dev_unmap(struct uvdpa_dev *dev, unsigned int asid, uint64_t iova, uint64_t len);

/**
 * uvdpa_dev_commit() - Bring the staged changes of every address space into force
 * @dev: the device
 * @w: running queues are quiesced for the change, so it may take time
 *
 * Return: 0; -EINPROGRESS; what the parent said: then nothing has changed.
 */
int uvdpa_dev_commit(struct uvdpa_dev *dev, struct uvdpa_wait *w);

/**
 * uvdpa_dev_rollback() - Forget what was staged
 * @dev: the device
 */
void uvdpa_dev_rollback(struct uvdpa_dev *dev);

/**
 * uvdpa_dev_set_group_asid() - Which address space a group of queues uses
 * @dev: the device
 * @group: below uvdpa_dev_info.ngroups
 * @asid: below uvdpa_dev_info.nas
 *
 * Return: 0; -EINVAL there is no such group or address space; -EBUSY after DRIVER_OK; -EOPNOTSUPP the
 * datapath is elsewhere.
 */
int uvdpa_dev_set_group_asid(struct uvdpa_dev *dev, unsigned int group, unsigned int asid);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
