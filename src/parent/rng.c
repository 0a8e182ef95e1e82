/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rng.c - the virtio entropy device (virtio 1.3, 5.4)
 *
 * One queue of buffers to be filled. A buffer comes back with at least one byte, and with no byte
 * that was not made for it: what the source does not have now stays in the ring (see rng-source.c).
 *
 *	getrandom	the kernel writes into the driver's memory
 *	PATH		bytes are read ahead, and copied
 *	seed		words that count, mixed: for tests
 *
 * A request gets REQUEST_MAX bytes at most, and with a limit what that has room for: a driver asks
 * for the rest, as it must in any case. So no request takes long, however large it is.
 */
#include "parent/rng.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/noise.h"

#define REQUEST_MAX    65536u
#define QUEUE_SIZE_MAX 1024u
#define PIECES_MAX     128u
#define RATE_MAX       (1ull << 40)
#define NOT_YET_NS     10000000u /* a kernel that has just started has nothing yet */

struct rng_conf {
	char *source;
	uint64_t seed, queue_size, poll_us;
	struct vd_softdev_limits limits;
};

struct rng {
	struct vd_softdev sd;
	const char *path; /* the source, borrowed from the configuration; NULL: another one */
	uint64_t seed;    /* 0: none */
	uint64_t at;      /* bytes of the seed's stream so far; the worker's */
	struct vd_ratelimit told;
};

static struct rng *to_rng(struct vd_softdev *sd)
{
	return container_of(sd, struct rng, sd);
}

/* ---- bytes ---------------------------------------------------------------------------------- */

/* What the kernel cannot write to, since a peer took it away, is for us to touch: see sigbus.h. */
static ssize_t getrandom_copied(struct vd_iov piece)
{
	uint8_t buf[256];
	ssize_t n = getrandom(buf, vd_min(piece.len, sizeof(buf)), GRND_NONBLOCK);

	if (n > 0)
		vd_guest_write(piece.base, buf, (size_t)n);
	explicit_bzero(buf, sizeof(buf));
	return n;
}

static uint32_t from_kernel(struct vd_softq *q, struct vd_iov *iov, uint32_t len)
{
	uint32_t done = 0;

	while (done < len) {
		struct vd_iov piece = { iov->base, vd_min(iov->len, len - done) };
		ssize_t n;

		if (!piece.len) {
			iov++;
			continue;
		}
		n = getrandom(vd_guest_expose(piece.base), piece.len, GRND_NONBLOCK);
		if (n < 0 && errno == EFAULT)
			n = getrandom_copied(piece);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (uint32_t)n;
		iov->base += n;
		iov->len -= (size_t)n;
	}
	if (!done)
		vd_worker_hold(vd_softq_worker(q), vd_now_ns() + NOT_YET_NS);
	return done;
}

static uint32_t from_seed(struct rng *rng, struct vd_sg *to, uint32_t len)
{
	for (uint32_t done = 0, n; done < len; done += n) {
		uint64_t word = htole64(vd_noise(rng->seed, rng->at / sizeof(word)));
		unsigned int off = rng->at % sizeof(word);

		n = vd_min(len - done, (uint32_t)sizeof(word) - off);
		vd_sg_write(to, (uint8_t *)&word + off, n);
		rng->at += n;
	}
	return len;
}

/* How many of @len bytes a request may have now; at least one. */
static uint32_t allowed(const struct rng *rng, uint32_t len)
{
	uint64_t room = REQUEST_MAX, until_ns;

	if (vd_unlikely(__atomic_load_n(&rng->sd.limited, __ATOMIC_RELAXED)))
		room = vd_min(room, vd_limit_room(&rng->sd.bps, vd_now_ns(), &until_ns));
	return vd_min(len, vd_max((uint32_t)room, 1u));
}

/* Return: bytes; 0: there are none now, and the worker holds. */
static uint32_t fill(struct rng *rng, struct vd_softq *q, struct vd_chain *c)
{
	struct vd_sg to = vd_sg(c->iov + c->nout, c->nin);
	uint32_t len = allowed(rng, c->in_len);

	if (rng->path)
		return vd_rng_source_take(vd_worker_engine(vd_softq_worker(q)), &to, len);
	return rng->seed ? from_seed(rng, &to, len) : from_kernel(q, to.iov, len);
}

/*
 * What one request may have is enough for a round: whoever waits for it has it while the next is
 * being filled, and a queue that is to be quiet is so soon.
 */
static void rng_handle(struct vd_softq *q, struct vd_chain **chains, unsigned int n)
{
	struct rng *rng = to_rng(vd_softq_dev(q));
	uint32_t done, sum = 0;
	unsigned int i;

	for (i = 0; i < n && sum < REQUEST_MAX; i++, sum += done) {
		done = 0;
		/* Without room for a byte it is no request (virtio 1.3, 5.4.6.1), and back at once.
		 */
		if (vd_likely(chains[i]->in_len)) {
			done = fill(rng, q, chains[i]);
			if (!done)
				break;
			vd_softq_charge(q, done);
		}
		vd_softq_done(q, chains[i], done, done);
	}
	if (i < n)
		vd_softq_untake(q, chains + i, n - i);
}

/* ---- the device ----------------------------------------------------------------------------- */

static struct vd_engine *engine_of(struct vd_softdev *sd)
{
	return vd_worker_engine(vd_softq_worker(vd_softdev_queue(sd, 0)));
}

static void rng_held(struct vd_softdev *sd, struct vd_worker *w)
{
	if (to_rng(sd)->path)
		vd_rng_source_held(vd_worker_engine(w));
}

static int rng_worker_start(struct vd_softdev *sd, struct vd_worker *w,
			    struct vd_engine **ret_engine)
{
	const char *path = to_rng(sd)->path;

	return path ? vd_rng_source_open(sd, w, path, ret_engine) : 0;
}

/* Whoever has forgotten it shall hear of it, with each driver that comes. */
static void warn_of_seed(struct rng *rng)
{
	unsigned int missed;

	if (rng->seed && vd_ratelimit_ok(&rng->told, &missed))
		vd_log_warn(vd_ctx_log(rng->sd.u), rng->sd.name,
			    "seed %" PRIu64 ": its bytes are not random, but the same each time",
			    rng->seed);
}

static int rng_set_features(struct vd_softdev *sd, uint64_t features)
{
	(void)features;
	warn_of_seed(to_rng(sd));
	return 0;
}

/* There is no configuration space. */
static int rng_get_config(struct vd_softdev *sd, uint32_t off, void *buf, uint32_t len)
{
	(void)sd, (void)off, (void)buf, (void)len;
	return 0;
}

static int rng_set_config(struct vd_softdev *sd, uint32_t off, const void *buf, uint32_t len)
{
	(void)sd, (void)off, (void)buf, (void)len;
	return 0;
}

static void rng_reset(struct vd_softdev *sd)
{
	to_rng(sd)->at = 0;
}

static void rng_destroy(struct vd_softdev *sd)
{
	free(to_rng(sd));
}

static const struct vd_softdev_ops rng_ops = {
	.chain_size = sizeof(struct vd_chain),
	.iov_max = PIECES_MAX,
	.kinds = { "read" },
	.handle = rng_handle,
	.held = rng_held,
	.worker_start = rng_worker_start,
	.stats = vd_softq_emit,
	.set_features = rng_set_features,
	.get_config = rng_get_config,
	.set_config = rng_set_config,
	.reset = rng_reset,
	.destroy = rng_destroy,
};

/* ---- what can be changed, and shown --------------------------------------------------------- */

/* clang-format off */
#define LIMIT_OPT(k, conf, ...)                                                          \
	{ .key = #k, .type = UVDPA_OPT_SIZE, .offset = offsetof(struct conf, limits.k),  \
	  .max = RATE_MAX, .changes = #k, __VA_ARGS__ }
#define LIMIT_OPTS(conf)                                                                 \
	LIMIT_OPT(bps, conf, .help = "bytes in a second at most; 0: any"),               \
	LIMIT_OPT(bps_burst, conf,                                                       \
		  .help = "bytes at once, after a pause; 0: what a tenth of a second has")
/* clang-format on */

struct set_conf {
	struct vd_softdev_limits limits;
};

enum { BPS, BPS_BURST }; /* bits of @given: the places in the table */

static const struct uvdpa_opt set_opts[] = {
	LIMIT_OPTS(set_conf),
	{ 0 },
};

static int rng_set(struct uvdpa_dev *dev, const void *conf, uint64_t given)
{
	struct vd_softdev *sd = container_of(dev, struct vd_softdev, dev);
	const struct set_conf *c = conf;
	struct vd_softdev_limits l = sd->limits;

	l.bps = given >> BPS & 1 ? c->limits.bps : l.bps;
	l.bps_burst = given >> BPS_BURST & 1 ? c->limits.bps_burst : l.bps_burst;
	vd_softdev_set_limits(sd, &l);
	return 0;
}

static const struct uvdpa_set_ops set_ops = {
	.opts = set_opts,
	.conf_size = sizeof(struct set_conf),
	.set = rng_set,
};

static void rng_show(struct uvdpa_dev *dev, struct uvdpa_emit *e)
{
	struct vd_softdev *sd = container_of(dev, struct vd_softdev, dev);
	const struct rng *rng = to_rng(sd);
	const char *trouble = rng->path ? vd_rng_source_trouble(engine_of(sd)) : "";

	e->str(e, "source", rng->path ? rng->path : rng->seed ? "seed" : "getrandom");
	if (rng->seed) {
		e->num(e, "seed", rng->seed);
		e->flag(e, "random", false);
	}
	if (*trouble)
		e->str(e, "waiting", trouble);
	if (sd->limits.bps)
		e->num(e, "bps", sd->limits.bps);
	if (sd->limits.bps_burst)
		e->num(e, "bps_burst", sd->limits.bps_burst);
}

static const struct uvdpa_show_ops show_ops = { .show = rng_show };

/* ---- the parent ----------------------------------------------------------------------------- */

static int check(const struct rng_conf *c, const char *name)
{
	if (c->queue_size & (c->queue_size - 1))
		return vd_err(-EINVAL, "%s: queue_size %" PRIu64 " is not a power of two", name,
			      c->queue_size);
	if (*c->source != '/' && strcmp(c->source, "getrandom") != 0)
		return vd_err(-EINVAL, "%s: source \"%s\": neither \"getrandom\" nor a path from /",
			      name, c->source);
	if (*c->source == '/' && c->seed)
		return vd_err(-EINVAL, "%s: seed and source %s: it has one of them", name,
			      c->source);
	return 0;
}

static int rng_add(struct uvdpa *u, const char *name, const void *conf, struct uvdpa_dev **ret_dev)
{
	const struct rng_conf *c = conf;
	const struct vd_softdev_conf soft = { .name = name,
					      .poll_us = (unsigned int)c->poll_us,
					      .limits = c->limits };
	struct rng *rng;
	int r = check(c, name);

	if (r)
		return r;
	rng = calloc(1, sizeof(*rng));
	if (!rng)
		return vd_err(-ENOMEM, "%s: no memory", name);
	rng->path = *c->source == '/' ? c->source : NULL;
	rng->seed = c->seed;
	rng->sd.dev.info = (struct uvdpa_dev_info){
		.device_id = VIRTIO_ID_RNG,
		.features = VD_SOFTDEV_FEATURES,
		.nvqs = 1,
		.vq_num_max = (uint32_t)c->queue_size,
		.vq_num_min = 1,
		.ngroups = 1,
		.nas = 1,
		.iova_last = UINT64_MAX,
	};
	rng->sd.dev.set = &set_ops;
	rng->sd.dev.show = &show_ops;
	r = vd_softdev_init(&rng->sd, u, &rng_ops, &soft);
	if (r) {
		free(rng);
		return r;
	}
	rng->sd.dev.inflight = false; /* what there are no bytes for is in the ring */
	warn_of_seed(rng);
	*ret_dev = &rng->sd.dev;
	return 0;
}

static const struct uvdpa_opt rng_opts[] = {
	{ .key = "source",
	  .type = UVDPA_OPT_STRING,
	  .offset = offsetof(struct rng_conf, source),
	  .def = "getrandom",
	  .help = "where bytes come from: \"getrandom\", or a file, a pipe or a generator by its "
		  "path" },
	{ .key = "seed",
	  .type = UVDPA_OPT_UINT,
	  .offset = offsetof(struct rng_conf, seed),
	  .min = 1,
	  .help = "for tests: bytes that are not random, but the same each time" },
	{ .key = "queue_size",
	  .type = UVDPA_OPT_UINT,
	  .offset = offsetof(struct rng_conf, queue_size),
	  .def = "64",
	  .min = 1,
	  .max = QUEUE_SIZE_MAX,
	  .help = "largest ring, a power of two" },
	{ .key = "poll_us",
	  .type = UVDPA_OPT_UINT,
	  .offset = offsetof(struct rng_conf, poll_us),
	  .max = 1000000,
	  .help = "longest time to look for requests before sleeping, microseconds" },
	LIMIT_OPTS(rng_conf),
	{ 0 },
};

static const uint32_t rng_ids[] = { VIRTIO_ID_RNG, 0 };

extern const struct uvdpa_parent vd_parent_rng;
const struct uvdpa_parent vd_parent_rng = {
	.name = "rng",
	.help = "random bytes, from the kernel, a file or a hardware generator",
	.device_ids = rng_ids,
	.features = VD_SOFTDEV_FEATURES,
	.max_vqs = 1,
	.opts = rng_opts,
	.conf_size = sizeof(struct rng_conf),
	.add = rng_add,
};
