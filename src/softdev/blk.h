/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk.h - the virtio block device (virtio 1.3, 5.2), over any store
 *
 * Decodes and checks requests once for every block parent. A parent says what the disk is
 * (struct vd_blk_conf) and moves bytes (struct vd_blk_ops).
 */
#ifndef VD_SOFTDEV_BLK_H
#define VD_SOFTDEV_BLK_H

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "mem/sg.h"
#include "softdev/softdev.h"

struct vd_blk;

#define VD_BLK_QUEUES_MAX 256
#define VD_BLK_QUEUE_SIZE_MAX 1024
#define VD_BLK_SEG_MAX 254
#define VD_BLK_RANGES_MAX     32 /* segments of a DISCARD, WRITE_ZEROES or SECURE_ERASE */
#define VD_BLK_RANGE_SECTORS_MAX \
	(1u << 22) /* 2 GiB: one request does not keep a disk for minutes */
#define VD_BLK_BLOCK_SIZE_MAX 65536u
#define VD_BLK_RATE_MAX (1ull << 40)
#define VD_BLK_SECTOR 512u	/* unit of sector numbers (virtio 1.3, 5.2.4) */

/* All that vd_blk_init() may offer; for uvdpa_parent.features. */
#define VD_BLK_FEATURES                                                                         \
	(VD_SOFTDEV_FEATURES | 1ull << VIRTIO_BLK_F_SIZE_MAX | 1ull << VIRTIO_BLK_F_SEG_MAX |   \
	 1ull << VIRTIO_BLK_F_RO | 1ull << VIRTIO_BLK_F_BLK_SIZE | 1ull << VIRTIO_BLK_F_FLUSH | \
	 1ull << VIRTIO_BLK_F_TOPOLOGY | 1ull << VIRTIO_BLK_F_MQ |                              \
	 1ull << VIRTIO_BLK_F_CONFIG_WCE | 1ull << VIRTIO_BLK_F_DISCARD |                       \
	 1ull << VIRTIO_BLK_F_WRITE_ZEROES | 1ull << VIRTIO_BLK_F_SECURE_ERASE)

enum vd_blk_op {
	VD_BLK_READ,
	VD_BLK_WRITE,
	VD_BLK_FLUSH,
	VD_BLK_DISCARD,
	VD_BLK_WRITE_ZEROES,
	VD_BLK_SECURE_ERASE,
};

/**
 * struct vd_blk_req - One request, decoded; lies in the queue
 * @chain: the ring's part
 * @q: the queue it came from
 * @op: what to do
 * @off: bytes from the start of the disk; @off + @len is within the capacity
 * @len: bytes, as @off a multiple of the block size, perhaps 0; 0 for FLUSH
 * @unmap: WRITE_ZEROES: the range may lose its space
 * @durable: WRITE, WRITE_ZEROES: on stable storage when it is done, as if a flush had followed
 * @iov: the data's pieces of READ and WRITE, @len bytes in all, laid out for the kernel by
 *       vd_iov_kernel()
 * @niov: how many
 *
 * Below: for the parent's own use while it has the request.
 */
struct vd_blk_req {
	struct vd_chain chain;
	struct vd_softq *q;
	enum vd_blk_op op;
	uint64_t off;
	uint64_t len;
	bool unmap, durable;
	struct vd_iov *iov;
	unsigned int niov;

	/* blk.c's: */
	size_t filled;		/* in bytes that were written already */
	struct vd_iov status;	/* where the status byte goes; len 0: it has none */
	uint8_t range, nranges;	/* of DISCARD and its like: which is being done, of how many */
	bool parked;		/* waits for space, or did and is not done */

	struct vd_list node;		/* or next */
	struct vd_blk_req *next;
	uint64_t done;			/* bytes so far */
	unsigned int step;              /* what it is at, of several calls that it may take */
	void *bounce; /* where its data is meanwhile; NULL: in the driver's memory */
	int err;
	unsigned int parts;		/* that are not home */
};

struct vd_blk_ops {
	/* Requests of one burst, in order. Each ends in vd_blk_done(), now or later, same thread.
	 * One that ended with -ENOSPC may come again, from where it was: see @done.
	 * DISCARD and its like come only if the parent said that it can. */
	void (*submit)(struct vd_blk *blk, struct vd_worker *w, struct vd_blk_req **reqs,
		       unsigned int n);
	/* As vd_softdev_ops.worker_start. */
	int (*worker_start)(struct vd_blk *blk, struct vd_worker *w, struct vd_engine **ret_engine);
	/* The store shall have @bytes (0: whatever it has now), more or fewer. *ret_bytes: what it
	 * has then. Return: 0; -EOPNOTSUPP; -errno and it is as it was. Control thread; may be
	 * while queues run. */
	int (*resize)(struct vd_blk *blk, uint64_t bytes, uint64_t *ret_bytes);
	/* What uvdpa_dev_show() shall tell beside what every disk has. Control thread. */
	void (*show)(struct vd_blk *blk, struct uvdpa_emit *e);
	void (*reset)(struct vd_blk *blk);
	void (*destroy)(struct vd_blk *blk);
};

/* For a parent that can do neither. */
int vd_blk_no_resize(struct vd_blk *blk, uint64_t bytes, uint64_t *ret_bytes);
void vd_blk_show_nothing(struct vd_blk *blk, struct uvdpa_emit *e);

struct vd_blk_conf {
	uint64_t capacity_sectors;
	char serial[VIRTIO_BLK_ID_BYTES + 1];
	bool readonly;
	bool flush;        /* there is a volatile cache: offer FLUSH and CONFIG_WCE */
	bool writethrough; /* that cache is off at the start, and after each reset */
	bool pause_on_enospc;	/* a write without space waits for some */
	bool discard, write_zeroes, secure_erase; /* the parent can: offer it */
	bool unmap;                               /* WRITE_ZEROES may give space back */
	bool keep_space;        /* offer no DISCARD, and let no WRITE_ZEROES unmap */
	uint32_t discard_align; /* bytes, what DISCARD had best be aligned to; 0: block_size */
	uint32_t block_size;	/* bytes; 0: 512 */
	uint32_t phys_block_size; /* bytes, what writes should be multiples of; 0: block_size */
	uint32_t opt_io_size;     /* bytes of the best request; 0: not known */
	uint32_t size_max;	/* bytes of a segment; 0: not offered */
	uint32_t seg_max;	/* 0: 126, or what fits into queue_size; at most VD_BLK_SEG_MAX */
	unsigned int queues;	/* 1 to VD_BLK_QUEUES_MAX; 0: 1 */
	unsigned int queue_size; /* a power of two; 0: 256 */
	uint64_t features_off;	/* ring features not to offer */
	struct vd_softdev_conf soft;
};

/* What a worker has parked; the worker's. */
struct vd_blk_parking {
	struct vd_blk_req *first, *last;
	unsigned int waiting;	/* with those that are being tried again */
};

/* Embedded, first, in the parent's device. */
struct vd_blk {
	struct vd_softdev sd;
	const struct vd_blk_ops *ops;
	struct vd_blk_conf conf;
	struct virtio_blk_config config; /* little-endian; control's */
	uint64_t capacity_sectors;       /* atomic */
	/* No volatile cache as far as the driver knows (FLUSH not negotiated, or writeback off): a
	 * write that is done must be durable (virtio 1.3, 5.2.6.2). Atomic. */
	bool writethrough;
	bool writes_lost;               /* atomic: see vd_blk_writes_lost() */
	struct vd_blk_parking *parking;	/* one for each worker */
	unsigned int paused;		/* atomic: requests that wait for space */
};

/* The options that every block parent has; embedded in its configuration. */
struct vd_blk_args {
	uint64_t num_queues, queue_size, workers, poll_us;
	uint64_t logical_block_size, physical_block_size, size_max, seg_max;
	char *serial;
	bool readonly, discard;
	unsigned int on_enospc;	/* 0: report; 1: pause */
	struct vd_softdev_limits limits;
};

extern const char *const vd_blk_on_enospc[];

#define VD_BLK_OPT(k, t, conf, field, ...) \
	{ .key = k, .type = UVDPA_OPT_##t, .offset = offsetof(conf, field), __VA_ARGS__ }

/* clang-format off */
/* For the parent's table; @member: the struct vd_blk_args in @conf; @id: default of serial. */
#define VD_BLK_OPTS(conf, member, id)                                                           \
	VD_BLK_OPT("readonly", BOOL, conf, member.readonly, .help = "refuse to write"),         \
	VD_BLK_OPT("serial", STRING, conf, member.serial, .def = id,                            \
		   .help = "what GET_ID answers, at most 20 bytes; or the device's name"),      \
	VD_BLK_OPT("num_queues", UINT, conf, member.num_queues, .def = "1", .min = 1,           \
		   .max = VD_BLK_QUEUES_MAX, .help = "virtqueues"),                             \
	VD_BLK_OPT("queue_size", UINT, conf, member.queue_size, .def = "256", .min = 4,         \
		   .max = VD_BLK_QUEUE_SIZE_MAX, .help = "largest ring, a power of two"),       \
	VD_BLK_OPT("workers", UINT, conf, member.workers, .def = "1", .min = 1,                 \
		   .max = VD_BLK_QUEUES_MAX, .help = "data threads, at most one for a queue"),  \
	VD_BLK_OPT("poll_us", UINT, conf, member.poll_us, .max = 1000000,                       \
		   .help = "longest time to look for requests before sleeping, microseconds"),  \
	VD_BLK_OPT("logical_block_size", SIZE, conf, member.logical_block_size,                 \
		   .max = VD_BLK_BLOCK_SIZE_MAX,                                                \
		   .help = "what requests are multiples of, bytes; 0: what the store has"),     \
	VD_BLK_OPT("physical_block_size", SIZE, conf, member.physical_block_size,               \
		   .max = VD_BLK_BLOCK_SIZE_MAX,                                                \
		   .help = "what requests had best be multiples of; 0: what the store has"),    \
	VD_BLK_OPT("size_max", SIZE, conf, member.size_max, .max = UINT32_MAX,                  \
		   .help = "largest segment of a request, bytes; 0: no limit"),                 \
	VD_BLK_OPT("seg_max", UINT, conf, member.seg_max, .max = VD_BLK_SEG_MAX,                \
		   .help = "most segments of a request; 0: 126, or what a queue has room for"), \
	VD_BLK_OPT("discard", BOOL, conf, member.discard, .def = "on",                          \
		   .help = "what is discarded, or zeroed, gives its space back, if it can"),    \
	VD_BLK_OPT("on_enospc", ENUM, conf, member.on_enospc, .choices = vd_blk_on_enospc,      \
		   .help = "a write without space: report it, or pause until there is some"),   \
	VD_BLK_LIMIT_OPTS(conf, member.limits)

/* Rate limits, as options of a disk and as what can be set; @member: struct vd_softdev_limits. */
#define VD_BLK_LIMIT_OPTS(conf, member)                                                         \
	VD_BLK_LIMIT_OPT("iops", UINT, conf, member.iops,                                       \
			 .help = "requests in a second at most; 0: any"),                       \
	VD_BLK_LIMIT_OPT("iops_burst", UINT, conf, member.iops_burst,                           \
			 .help = "requests at once, after a pause; 0: what a tenth of a second has"), \
	VD_BLK_LIMIT_OPT("bps", SIZE, conf, member.bps,                                         \
			 .help = "bytes in a second at most; 0: any"),                          \
	VD_BLK_LIMIT_OPT("bps_burst", SIZE, conf, member.bps_burst,                             \
			 .help = "bytes at once, after a pause; 0: what a tenth of a second has")
#define VD_BLK_LIMIT_OPT(k, t, conf, field, ...) \
	VD_BLK_OPT(k, t, conf, field, .max = VD_BLK_RATE_MAX, .changes = (k), __VA_ARGS__)
/* clang-format on */

/**
 * vd_blk_args() - Put the common options into a configuration
 * @name: the device's; borrowed as long as @conf is used; it is the serial if none was given
 *
 * Before the parent says what its store is like: what was given wins, see vd_blk_init().
 *
 * Return: 0; -EINVAL the serial is too long.
 */
int vd_blk_args(const struct vd_blk_args *args, const char *name, struct vd_blk_conf *conf);

/**
 * vd_blk_begin() - A disk that is not known yet; all it can do is to be destroyed
 * @blk: zeroed, embedded in the parent's device
 *
 * For an add that has to ask a server first, and returns -EINPROGRESS. vd_blk_init() follows, and
 * then uvdpa_dev_arrived().
 */
void vd_blk_begin(struct vd_blk *blk, struct uvdpa *u, const struct vd_blk_ops *ops);

/**
 * vd_blk_init() - Make the device; starts its workers
 * @blk: zeroed or begun, embedded in the parent's device, which worker_start may use already
 * @conf: copied
 *
 * Return: 0; -EINVAL a value is out of range; on failure nothing is left behind, and a device that
 * was begun is as it was.
 */
int vd_blk_init(struct vd_blk *blk, struct uvdpa *u, const struct vd_blk_ops *ops,
		const struct vd_blk_conf *conf);

/**
 * vd_blk_done() - A request has ended, with all of its data or with an error
 * @err: 0; -EOPNOTSUPP gives UNSUPP, any other -errno IOERR
 *
 * Context: the queue's worker.
 */
void vd_blk_done(struct vd_blk_req *req, int err);

/**
 * vd_blk_set_capacity() - The disk has another size; the driver is told
 * @sectors: of 512 bytes
 *
 * Requests that were taken before may still reach the former size. Return: 0; -EINVAL too large.
 * Context: control thread.
 */
int vd_blk_set_capacity(struct vd_blk *blk, uint64_t sectors);

/**
 * vd_blk_writes_lost() - What was answered may never reach stable storage
 *
 * So flushes fail from now on, until reset: a file system shall stop in place of believing that
 * its journal is there. A FLUSH that ends with an error says so by itself, for most stores tell of
 * what they lost only once; a parent says it when it finds out in another way.
 *
 * Return: whether that is news. Any thread.
 */
bool vd_blk_writes_lost(struct vd_blk *blk);

/**
 * vd_blk_tell() - Before vd_blk_done(): log that the store failed a request
 * @where: the store
 * @log: the worker's
 *
 * What will be tried again is no news. Context: the queue's worker.
 */
void vd_blk_tell(const struct vd_blk_req *req, int err, const char *where,
		 struct vd_ratelimit *log);

/* ---- inside blk*.c --------------------------------------------------------------------------- */

static inline struct vd_blk *vd_blk_of(const struct vd_blk_req *req)
{
	return container_of(vd_softq_dev(req->q), struct vd_blk, sd);
}

/* blk-conf.c: replace the zeros that mean a default, and check the rest. Return: 0; -EINVAL. */
int vd_blk_complete(struct vd_blk_conf *c);
/* What is offered; and what is said of it: what is not offered reads as zero. */
uint64_t vd_blk_features(const struct vd_blk_conf *c);
void vd_blk_fill_config(struct vd_blk *blk, uint64_t features);

/* blk-pause.c, in the worker: will a request that failed so be tried again? */
bool vd_blk_waits(const struct vd_blk_req *req, int err);
/* Keep it, to try it again. Return: whether. */
bool vd_blk_park(struct vd_blk_req *req, int err);
/* One that was parked has ended. */
void vd_blk_unpark(struct vd_blk_req *req);
/* Submit what is parked; the hold of the worker has ended. */
void vd_blk_try_again(struct vd_blk *blk, struct vd_worker *w);

/* What every disk can be set and shows; for vd_blk_init(). */
extern const struct uvdpa_set_ops vd_blk_set_ops;
extern const struct uvdpa_show_ops vd_blk_show_ops;

#endif
