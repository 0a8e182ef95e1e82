/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uvdpa.h - for applications: a context, its devices, and which bus driver has each
 *
 * A context (struct uvdpa) holds everything; two of them live side by side in one process.
 * One thread, the context's control thread, makes every call here: the one that calls
 * uvdpa_dispatch(). While a thread is in that, what would change something fails with -EPERM in any
 * other; a call that returns nothing does nothing, and the log says so. Waiting is done on one file
 * descriptor, so any event loop will do:
 *
 *	uvdpa_create(&u);
 *	uvdpa_dev_add(u, &(struct uvdpa_dev_opts){ .size = sizeof(struct uvdpa_dev_opts),
 *		.name = "d0", .mgmtdev = "blk", .attrs = attrs, .nattrs = 1,
 *		.driver = "vhost-user", .driver_attrs = socket, .ndriver_attrs = 1 }, &dev, NULL);
 *	for (;;)
 *		uvdpa_dispatch(u, -1);
 *
 * Functions return 0 or a count on success and -errno on failure; the sentence that goes with
 * a failure is uvdpa_error(). What takes time returns -EINPROGRESS and ends in a struct
 * uvdpa_wait. One meaning for each errno: see uvdpa(3).
 *
 * Context: control thread.
 */
#ifndef UVDPA_UVDPA_H
#define UVDPA_UVDPA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct uvdpa;
struct uvdpa_dev;
struct uvdpa_driver;
struct uvdpa_parent;

/* UVDPA_NAME_MAX - Length of a device's name, without the terminating NUL */
#define UVDPA_NAME_MAX 63

/* ---- context --------------------------------------------------------------------------- */

/**
 * uvdpa_create() - Make a context with the built-in parents and bus drivers
 * @ret_u: the context, owned by the caller
 *
 * It belongs to the process that made it. A child by fork(2) has its memory and its descriptors,
 * but none of its threads: there calls fail with -EPERM, uvdpa_destroy() does nothing, and what was
 * opened may only be closed. execve(2) closes the descriptors.
 *
 * Return: 0; -ENOMEM, -EMFILE.
 * Context: any thread; the caller becomes the control thread.
 */
int uvdpa_create(struct uvdpa **ret_u);

/**
 * uvdpa_destroy() - Take every device away and free the context
 * @u: the context, or NULL
 *
 * Drains what is in flight, and returns within UVDPA_DRAIN_MS (see uvdpa_dev_del()). Callbacks come
 * meanwhile; they can add no device. Not from within a callback: that is logged, and nothing done.
 */
void uvdpa_destroy(struct uvdpa *u);

/**
 * uvdpa_fd() - The descriptor to wait on
 * @u: the context; keeps the descriptor
 *
 * Readable whenever uvdpa_dispatch() has something to do. Timers included. It is an epoll descriptor,
 * which fits into poll(2), another epoll(7), and the loop of any library.
 *
 * Return: the descriptor, the same for the context's life.
 */
int uvdpa_fd(const struct uvdpa *u);

/**
 * uvdpa_dispatch() - Wait for events and handle them
 * @u: the context
 * @timeout_ms: longest wait in milliseconds; 0 does not wait, -1 waits for ever
 *
 * Return: number of events handled, 0 at the timeout; -EINTR a signal came; -EDEADLK it was called
 * from a callback; -EPERM another thread is in it, or this is a child of the process.
 * Context: the thread that waits is the control thread. It may be another one later, if what one did
 * is visible to the other.
 */
int uvdpa_dispatch(struct uvdpa *u, int timeout_ms);

/**
 * uvdpa_version() - The version of the library that runs: "0.1.0"
 *
 * Return: the text, for ever. Context: any thread.
 */
const char *uvdpa_version(void);

/**
 * uvdpa_error() - The sentence of this thread's last failure
 *
 * Return: text valid until the next failing call of this thread; "" if there was none.
 * Context: any thread.
 */
const char *uvdpa_error(void);

/* enum uvdpa_log_level - How much a message matters */
enum uvdpa_log_level {
	UVDPA_LOG_ERR,		/* something does not work as it was asked for */
	UVDPA_LOG_WARN,		/* it works, but somebody had better look */
	UVDPA_LOG_INFO,		/* devices come, are bound and go */
	UVDPA_LOG_DEBUG,	/* what guests and peers say */
};

/**
 * struct uvdpa_log - Who receives messages
 * @line: called with each, which has no newline; by any thread of the context, never by two at once.
 *        It makes no call of this library
 * @reserved: zeros
 *
 * Zero it, set @line, embed it, and keep it until another is set or the context is gone.
 */
struct uvdpa_log {
	void (*line)(struct uvdpa_log *l, enum uvdpa_log_level level, const char *line);
	void *reserved[2];
};

/**
 * uvdpa_set_log() - Choose where messages go and how many
 * @u: the context
 * @log: receives them; NULL for standard error
 * @level: the highest level passed on; UVDPA_LOG_WARN at the start
 */
void uvdpa_set_log(struct uvdpa *u, struct uvdpa_log *log, enum uvdpa_log_level level);

/**
 * uvdpa_sigbus_guard() - Survive a peer that truncates the memory it shares
 *
 * Installs a handler of SIGBUS for the whole process: a page of a peer's memory that is gone reads
 * as zeros, and anything else goes to the handler that was there before. Only for programs that
 * have the process to themselves; the library never touches a signal otherwise.
 *
 * Return: 0, also if it is installed already; what sigaction(2) said.
 * Context: any thread.
 */
int uvdpa_sigbus_guard(void);

/**
 * struct uvdpa_keeper - Who keeps the sockets of devices for longer than the process lives
 * @take: a device shall listen at @path. Return: a descriptor that listens there already, and is
 *        the caller's, *ret_made is set to whether an earlier keep() was told of it, so that its
 *        file is to be removed with the device; -ENOENT there is none; another -errno, which fails
 *        the bind
 * @keep: a socket listens at @path now, for the device @name; @fd is borrowed for the call
 * @drop: nobody listens at @path any more. Return: true if the socket, and so its file, shall stay
 *        all the same
 * @reserved: zeros
 *
 * A service manager with a store of descriptors, say: peers that connect while the process is
 * restarted wait in the backlog instead of being refused. Zero it, set all three.
 * Context: control thread, within calls of ours; they make none.
 */
struct uvdpa_keeper {
	int (*take)(struct uvdpa_keeper *k, const char *path, bool *ret_made);
	void (*keep)(struct uvdpa_keeper *k, const char *name, const char *path, int fd);
	bool (*drop)(struct uvdpa_keeper *k, const char *path);
	void *reserved[2];
};

/**
 * uvdpa_set_keeper() - Have sockets at which devices listen kept
 * @u: the context, without devices yet
 * @keeper: kept by the caller until the context is destroyed; NULL for none
 */
void uvdpa_set_keeper(struct uvdpa *u, struct uvdpa_keeper *keeper);

/* ---- operations that take time --------------------------------------------------------- */

/**
 * struct uvdpa_wait - The end of an operation that returned -EINPROGRESS
 * @done: called once, from uvdpa_dispatch(), @err 0 or -errno with uvdpa_error() set; may be
 *        NULL, then only @pending and @err are set
 * @pending: true from the call until the operation has ended
 * @err: how it ended
 * @reserved: the library's
 *
 * Zero it, embed it in what waits, and keep it until @pending is false. An operation that
 * returns anything but -EINPROGRESS has ended and never calls @done.
 */
struct uvdpa_wait {
	void (*done)(struct uvdpa_wait *w, int err);
	bool pending;
	int err;
	void *reserved[3];
};

/**
 * uvdpa_await() - Dispatch until an operation has ended; not from within a callback
 * @u: the context
 * @w: was given to the operation
 * @r: what the operation returned
 *
 * Return: @r unless it is -EINPROGRESS, else the operation's result; if @w->pending is still set,
 * why dispatching failed.
 */
int uvdpa_await(struct uvdpa *u, struct uvdpa_wait *w, int r);

/* ---- options --------------------------------------------------------------------------- */

/**
 * struct uvdpa_attr - One option as it was written: "image" "/srv/a.img"
 * @key: its name
 * @value: its value, UTF-8: also that of a path, or nobody could be told of it in JSON
 *
 * Arrays of them are borrowed for the call.
 */
struct uvdpa_attr {
	const char *key;
	const char *value;
};

/* enum uvdpa_opt_type - How the value of an option is read, and the type of its field */
enum uvdpa_opt_type {
	UVDPA_OPT_STRING,	/* char *, a copy that core owns; NULL if not given */
	UVDPA_OPT_BOOL,		/* bool; on, off, true, false, yes, no, 1, 0 */
	UVDPA_OPT_UINT,		/* uint64_t; decimal or 0x */
	UVDPA_OPT_SIZE,		/* uint64_t bytes; with K, M, G, T for powers of 1024 */
	UVDPA_OPT_ENUM,		/* unsigned int, the index into @choices */
	UVDPA_OPT_PATH,		/* as STRING; of a file. uvdpa(1) makes it absolute */
};

/**
 * struct uvdpa_opt - One option that a parent or a bus driver takes
 * @key: as the user writes it
 * @type: how the value is read, and the C type at @offset
 * @required: refuse the device without it
 * @offset: of the field in the parent's or driver's configuration
 * @def: the default, as the user would write it; NULL leaves the field zero
 * @min: smallest value, of UINT and SIZE
 * @max: largest value; 0 for no limit
 * @choices: of ENUM, NULL-terminated
 * @help: one line, no full stop
 * @needs: features; it makes no sense for a device that may offer none of them. 0: for any
 * @changes: of what can be set while the device is there: the parent's option that has this value
 *           from then on, see uvdpa_dev_attrs(). NULL, or one that the parent has not: none
 * @reserved: zeros
 *
 * A table of them ends with a NULL @key.
 */
struct uvdpa_opt {
	const char *key;
	enum uvdpa_opt_type type;
	bool required;
	size_t offset;
	const char *def;
	uint64_t min, max;
	const char *const *choices;
	const char *help;
	uint64_t needs;
	const char *changes;
	const void *reserved[1];
};

/**
 * struct uvdpa_emit - Receives pairs of key and value, in the order they shall be shown
 * @str: a text, borrowed for the call
 * @num: a number
 * @flag: yes or no
 * @reserved: zeros
 *
 * Zero it, set the slots, all of them, and embed it.
 */
struct uvdpa_emit {
	void (*str)(struct uvdpa_emit *e, const char *key, const char *value);
	void (*num)(struct uvdpa_emit *e, const char *key, uint64_t value);
	void (*flag)(struct uvdpa_emit *e, const char *key, bool value);
	void *reserved[2];
};

/* ---- parents and bus drivers ------------------------------------------------------------ */

/**
 * uvdpa_parent_next() - Walk the parents (iproute2: mgmtdev)
 * @u: the context
 * @prev: the one before; NULL for the first
 *
 * Return: the next; NULL after the last.
 */
const struct uvdpa_parent *uvdpa_parent_next(const struct uvdpa *u,
					     const struct uvdpa_parent *prev);

/**
 * uvdpa_parent_find() - The parent of a name
 * @u: the context
 * @name: the name
 *
 * Return: the parent, the context's; NULL without a sentence if there is none.
 */
const struct uvdpa_parent *uvdpa_parent_find(const struct uvdpa *u, const char *name);

/**
 * uvdpa_parent_name() - The name of a parent, as in "mgmtdev NAME"
 * uvdpa_parent_help() - What it makes, in a line
 * uvdpa_parent_opts() - The options it takes
 * @p: the parent
 *
 * Return: the parent's for the context's life; the options end with a NULL key.
 */
const char *uvdpa_parent_name(const struct uvdpa_parent *p);
const char *uvdpa_parent_help(const struct uvdpa_parent *p);
const struct uvdpa_opt *uvdpa_parent_opts(const struct uvdpa_parent *p);

/**
 * uvdpa_parent_device_ids() - Which types of device a parent makes
 * uvdpa_parent_features() - All features that it can offer
 * uvdpa_parent_max_vqs() - How many queues a device of it can have
 * @p: the parent
 *
 * Return: virtio device ids, zero-terminated, the parent's for the context's life; a mask; a number.
 * No ids and a mask of 0 if it must look at what it is asked for first.
 */
const uint32_t *uvdpa_parent_device_ids(const struct uvdpa_parent *p);
uint64_t uvdpa_parent_features(const struct uvdpa_parent *p);
unsigned int uvdpa_parent_max_vqs(const struct uvdpa_parent *p);

/**
 * uvdpa_driver_next() - Walk the bus drivers
 * @u: the context
 * @prev: the one before; NULL for the first
 *
 * Return: the next; NULL after the last.
 */
const struct uvdpa_driver *uvdpa_driver_next(const struct uvdpa *u,
					     const struct uvdpa_driver *prev);

/**
 * uvdpa_driver_find() - The bus driver of a name
 * @u: the context
 * @name: the name, or Linux's, as uvdpa_driver_alias() has it
 *
 * Return: the bus driver, the context's; NULL without a sentence if there is none.
 */
const struct uvdpa_driver *uvdpa_driver_find(const struct uvdpa *u, const char *name);

/**
 * uvdpa_driver_name() - The name of a bus driver
 * uvdpa_driver_alias() - What Linux calls the one of its own that does the same: "vhost_vdpa", "virtio_vdpa"
 * uvdpa_driver_help() - What becomes of a device in its hands, in a line
 * uvdpa_driver_opts() - The options it takes
 * @d: the bus driver
 *
 * Wherever a bus driver is named, the other name will do.
 *
 * Return: the bus driver's for the context's life; the options end with a NULL key; no alias is NULL.
 */
const char *uvdpa_driver_name(const struct uvdpa_driver *d);
const char *uvdpa_driver_alias(const struct uvdpa_driver *d);
const char *uvdpa_driver_help(const struct uvdpa_driver *d);
const struct uvdpa_opt *uvdpa_driver_opts(const struct uvdpa_driver *d);

/* ---- devices ----------------------------------------------------------------------------- */

/**
 * struct uvdpa_dev_info - What a device is; constant from the moment it is ready
 * @device_id: virtio device id: 1 network, 2 block, ... (virtio 1.3, 5)
 * @vendor_id: 0 for software devices
 * @features: offered (virtio 1.3, 6)
 * @nvqs: number of virtqueues
 * @vq_num_max: largest size of a queue, a power of two
 * @vq_num_min: smallest
 * @config_size: bytes of the configuration space
 * @ngroups: groups of queues; queues of one group share an address space
 * @nas: address spaces
 * @iova_first: first usable I/O virtual address
 * @iova_last: last one, inclusive
 * @reserved: zeros
 */
struct uvdpa_dev_info {
	uint32_t device_id;
	uint32_t vendor_id;
	uint64_t features;
	uint32_t nvqs;
	uint32_t vq_num_max;
	uint32_t vq_num_min;
	uint32_t config_size;
	uint32_t ngroups;
	uint32_t nas;
	uint64_t iova_first;
	uint64_t iova_last;
	uint64_t reserved[4];
};

/**
 * struct uvdpa_dev_opts - What to make, and who shall have it
 * @size: sizeof(struct uvdpa_dev_opts)
 * @name: 1 to UVDPA_NAME_MAX of A-Z a-z 0-9 . _ - and not beginning with a dot or dash
 * @mgmtdev: name of the parent, by iproute2's word for it
 * @features: mask over what the device would offer; 0 for all (iproute2: device_features). Any
 *            bit may be masked but VERSION_1: nothing here speaks the legacy interface
 * @attrs: the parent's options
 * @nattrs: how many
 * @driver: name of the bus driver that shall have it; NULL for none yet
 * @driver_attrs: that driver's options
 * @ndriver_attrs: how many
 * @driver_override: as uvdpa_dev_set_override(), once @driver was chosen; NULL or "" for none
 */
struct uvdpa_dev_opts {
	size_t size;
	const char *name;
	const char *mgmtdev;
	uint64_t features;
	const struct uvdpa_attr *attrs;
	unsigned int nattrs;
	const char *driver;
	const struct uvdpa_attr *driver_attrs;
	unsigned int ndriver_attrs;
	const char *driver_override;
};

/**
 * uvdpa_dev_add() - Make a device and bind it
 * @u: the context
 * @o: borrowed for the call
 * @ret_dev: the device, owned by the context; valid until UVDPA_DEV_REMOVED
 * @w: ends when the device is ready and bound; may be NULL
 *
 * Return: 0; -EINPROGRESS, *ret_dev is set (if it fails later, the device is removed again);
 * -EEXIST the name is taken; -ENODEV no such parent or driver; -EINVAL an option, the name, or
 * features without VERSION_1;
 * -EOPNOTSUPP features that are not offered; what the parent found (-ENOENT, -EISDIR, -EBUSY...).
 * -ENODEV also while the context is destroyed.
 */
int uvdpa_dev_add(struct uvdpa *u, const struct uvdpa_dev_opts *o, struct uvdpa_dev **ret_dev,
		  struct uvdpa_wait *w);

/**
 * uvdpa_dev_del() - Take a device away from whoever has it, and end it
 * @dev: the device
 * @w: ends when it is gone; may be NULL
 *
 * No peer can block this: what is in flight is waited for UVDPA_DRAIN_MS; then the peer is
 * told and the name is free, while requests that will not come home keep the memory they use
 * until they do. A bind that is under way ends with -ENODEV. It ends from the loop, so it may be
 * called in any callback.
 *
 * Return: 0, -EINPROGRESS, -EALREADY it is being removed.
 */
int uvdpa_dev_del(struct uvdpa_dev *dev, struct uvdpa_wait *w);

/**
 * uvdpa_dev_check() - Could this be added, as far as can be known without trying?
 * @u: the context
 * @o: borrowed for the call
 *
 * Looks at names, options and their values; that the name is free is not asked, and nothing that the
 * options name is touched.
 *
 * Return: 0; -errno as uvdpa_dev_add().
 * Context: control thread.
 */
int uvdpa_dev_check(struct uvdpa *u, const struct uvdpa_dev_opts *o);

/* UVDPA_DRAIN_MS - The longest a device in use is waited for when it is moved or removed, milliseconds */
#define UVDPA_DRAIN_MS 2000

/**
 * uvdpa_dev_bind() - Hand a device to a bus driver, away from the one that has it
 * @dev: the device
 * @driver: name of the bus driver
 * @attrs: its options, borrowed for the call
 * @nattrs: how many
 * @w: ends when it is bound; may be NULL
 *
 * Options are checked before the present driver loses the device. If the new driver cannot
 * have it after all (its socket's path is taken, say), the device is left unbound. So it is if
 * the last requests are not home after UVDPA_DRAIN_MS: -ETIMEDOUT, and -EBUSY until they are.
 *
 * Return: 0; -EINPROGRESS; -ENODEV no such driver, or driver_override names another, or the
 * device is going; -EINVAL an option; -EBUSY a bind or unbind is under way; -EOPNOTSUPP the
 * driver does not serve this type.
 */
int uvdpa_dev_bind(struct uvdpa_dev *dev, const char *driver, const struct uvdpa_attr *attrs,
		   unsigned int nattrs, struct uvdpa_wait *w);

/**
 * uvdpa_dev_unbind() - Take a device from its bus driver
 * @dev: the device
 * @w: ends when it is unbound; may be NULL
 *
 * Return: 0; -EINPROGRESS; -ENODEV it has none; -EBUSY a bind or unbind is under way; -ETIMEDOUT
 * (in @w) it is unbound, but not every request is home: its memory is kept until they are.
 */
int uvdpa_dev_unbind(struct uvdpa_dev *dev, struct uvdpa_wait *w);

/**
 * uvdpa_dev_set_override() - Say which bus driver alone may have the device
 * @dev: the device
 * @driver: its name; a name that no driver has opts out of all; NULL or "" clears
 *
 * Does not bind or unbind, as driver_override in Linux.
 *
 * Return: 0; -EINVAL it is longer than 255 bytes, or not of printable ASCII; -ENOMEM.
 */
int uvdpa_dev_set_override(struct uvdpa_dev *dev, const char *driver);

/**
 * uvdpa_dev_find() - The device of a name
 * @u: the context
 * @name: the name
 *
 * Return: the device, the context's; NULL without a sentence if there is none.
 */
struct uvdpa_dev *uvdpa_dev_find(const struct uvdpa *u, const char *name);

/**
 * uvdpa_dev_next() - Walk the devices, in the order they were added
 * @u: the context
 * @prev: the one before, which must still be there; NULL for the first
 *
 * Return: the next, the context's; NULL after the last.
 */
struct uvdpa_dev *uvdpa_dev_next(const struct uvdpa *u, const struct uvdpa_dev *prev);

/**
 * uvdpa_dev_name() - The name of a device
 * uvdpa_dev_info() - What it is
 * uvdpa_dev_parent() - Which parent made it
 * @dev: the device
 *
 * Return: the device's, for its life.
 */
const char *uvdpa_dev_name(const struct uvdpa_dev *dev);
const struct uvdpa_dev_info *uvdpa_dev_info(const struct uvdpa_dev *dev);
const struct uvdpa_parent *uvdpa_dev_parent(const struct uvdpa_dev *dev);

/**
 * uvdpa_dev_driver() - Which bus driver has a device
 * uvdpa_dev_override() - Which alone may have it, as uvdpa_dev_set_override() said
 * @dev: the device
 *
 * Return: the bus driver, the context's; the name, valid until it is set anew. NULL for none.
 */
const struct uvdpa_driver *uvdpa_dev_driver(const struct uvdpa_dev *dev);
const char *uvdpa_dev_override(const struct uvdpa_dev *dev);

/**
 * uvdpa_dev_ready() - Whether a device can be used
 * @dev: the device
 *
 * Return: false as long as it is being made, and while a proxy's peer is away.
 */
bool uvdpa_dev_ready(const struct uvdpa_dev *dev);

/**
 * uvdpa_dev_status() - The status byte of a device (virtio 1.3, 2.1)
 * uvdpa_dev_features() - The features that its driver has agreed to
 * @dev: the device
 *
 * Return: the bits; no features before FEATURES_OK.
 */
uint8_t uvdpa_dev_status(const struct uvdpa_dev *dev);
uint64_t uvdpa_dev_features(const struct uvdpa_dev *dev);

/**
 * uvdpa_dev_set() - Change attributes of a device, whoever has it and whatever it does
 * @dev: the device
 * @attrs: borrowed for the call; which there are, uvdpa_dev_settable() says
 * @nattrs: how many, at least one
 *
 * Return: 0; -EINVAL an attribute or its value; -EOPNOTSUPP nothing of it can be changed, or not
 * this; -ENODEV it is not ready yet; what the parent found. On failure nothing has changed.
 */
int uvdpa_dev_set(struct uvdpa_dev *dev, const struct uvdpa_attr *attrs, unsigned int nattrs);

/**
 * uvdpa_dev_settable() - The attributes that uvdpa_dev_set() can change
 * @dev: the device
 *
 * Return: a table that ends with a NULL key, perhaps empty; the device's, for its life.
 */
const struct uvdpa_opt *uvdpa_dev_settable(const struct uvdpa_dev *dev);

/**
 * uvdpa_dev_attrs() - What the device was made with, as it is now
 * @dev: the device
 * @e: receives strings: the parent's options as they were written, in that order, and with the
 *     values that uvdpa_dev_set() gave them since
 *
 * With uvdpa_dev_features_mask(), uvdpa_dev_driver_attrs() and uvdpa_dev_override() it is all that
 * uvdpa_dev_add() needs to make the same device again.
 */
void uvdpa_dev_attrs(const struct uvdpa_dev *dev, struct uvdpa_emit *e);

/**
 * uvdpa_dev_driver_attrs() - Who shall have the device, and with which options
 * @dev: the device
 * @e: receives strings: the bus driver's options as they were written
 *
 * Return: the bus driver that it is on its way to, or else that has it; NULL: none.
 */
const struct uvdpa_driver *uvdpa_dev_driver_attrs(const struct uvdpa_dev *dev,
						  struct uvdpa_emit *e);

/**
 * uvdpa_dev_features_mask() - Which features were left to the device when it was made
 * @dev: the device
 *
 * Return: uvdpa_dev_opts.features, as it was given; 0: all that the device can offer.
 */
uint64_t uvdpa_dev_features_mask(const struct uvdpa_dev *dev);

/**
 * uvdpa_dev_show() - What the parent has to tell of a device now: "engine", "paused", ...
 * @dev: the device
 * @e: receives it, if there is anything
 */
void uvdpa_dev_show(struct uvdpa_dev *dev, struct uvdpa_emit *e);

/**
 * uvdpa_dev_describe() - How to attach to the device where it is now
 * @dev: the device
 * @e: receives what the bus driver offers: "socket", "qemu", "uml", "file", ...
 *
 * Return: 0; -ENODEV not bound.
 */
int uvdpa_dev_describe(struct uvdpa_dev *dev, struct uvdpa_emit *e);

/**
 * uvdpa_dev_config_show() - The configuration space in words
 * @dev: the device
 * @e: receives them; keys as in iproute2 where it has them
 *
 * Return: 0; -EOPNOTSUPP types without any; -ENODEV the device is not ready yet, or going.
 */
int uvdpa_dev_config_show(struct uvdpa_dev *dev, struct uvdpa_emit *e);

/**
 * uvdpa_dev_stats() - Counters of one queue
 * @dev: the device
 * @idx: the queue
 * @e: receives them
 *
 * Return: 0; -EOPNOTSUPP the parent counts nothing; -EINVAL no such queue.
 */
int uvdpa_dev_stats(struct uvdpa_dev *dev, unsigned int idx, struct uvdpa_emit *e);

/* ---- observers ----------------------------------------------------------------------------- */

/* enum uvdpa_event - What happened to a device */
enum uvdpa_event {
	UVDPA_DEV_ADDED,	/* listed; perhaps not ready yet */
	UVDPA_DEV_READY,	/* ready, or back again */
	UVDPA_DEV_LOST,		/* its proxy's peer went; the driver keeps it */
	UVDPA_DEV_BOUND,	/* a bus driver has it */
	UVDPA_DEV_UNBOUND,	/* none has it any more */
	UVDPA_DEV_STATUS,	/* the status byte changed, perhaps more than once */
	UVDPA_DEV_CONFIG,	/* the configuration space changed */
	UVDPA_DEV_REMOVED,	/* the last one; the pointer is invalid afterwards */
	UVDPA_DEV_ATTRS,	/* what it is made of changed: see uvdpa_dev_attrs(), _override() */
};

/**
 * struct uvdpa_watch - An observer, as the clients of an RDMA device class
 * @event: called from the loop, so never within a call of ours but uvdpa_watch_add(); it may
 *         add, move and remove devices and observers, but not destroy the context
 * @reserved: the library's
 *
 * Zero it, set @event, embed it, and keep it until uvdpa_watch_del().
 */
struct uvdpa_watch {
	void (*event)(struct uvdpa_watch *w, enum uvdpa_event ev, struct uvdpa_dev *dev);
	void *reserved[4];
};

/**
 * uvdpa_watch_add() - Be told of devices that come, change and go
 * @u: the context
 * @w: the caller's, kept until uvdpa_watch_del()
 *
 * Every device that is there is told at once as UVDPA_DEV_ADDED, and READY and BOUND if it is so.
 */
void uvdpa_watch_add(struct uvdpa *u, struct uvdpa_watch *w);

/**
 * uvdpa_watch_del() - Be told no more
 * @w: the observer, the caller's again; harmless if it was not added
 *
 * Before the context is destroyed.
 */
void uvdpa_watch_del(struct uvdpa_watch *w);

/* ---- names ----------------------------------------------------------------------------------- */

/**
 * uvdpa_type_name() - The name of a device type: "block", "network", ... (iproute2: type)
 * uvdpa_class_name() - Of a parent's: "block", "net", ... (iproute2: supported_classes)
 * @device_id: virtio device id
 *
 * Return: the name, for ever; NULL for an id without one.
 * Context: any thread.
 */
const char *uvdpa_type_name(uint32_t device_id);
const char *uvdpa_class_name(uint32_t device_id);

/**
 * uvdpa_feature_name() - The name of a feature: "VERSION_1", "MQ", ... as iproute2 writes them
 * @device_id: virtio device id of the type
 * @bit: 0 to 63
 *
 * Return: the name, for ever; NULL for a bit without one.
 * Context: any thread.
 */
const char *uvdpa_feature_name(uint32_t device_id, unsigned int bit);

/**
 * uvdpa_status_name() - The names of what a status byte says, one by one: "ACKNOWLEDGE", "DRIVER",
 * "FEATURES_OK", "DRIVER_OK", "NEEDS_RESET", "FAILED"
 * @status: the bits (virtio 1.3, 2.1)
 * @n: 0 for the first that is set, in this order, which is a driver's
 *
 * Return: the name, for ever; NULL: not so many of those that have a name are set.
 * Context: any thread.
 */
const char *uvdpa_status_name(uint8_t status, unsigned int n);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
