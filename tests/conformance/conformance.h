/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conformance.h - what every parent's devices must do, tested through the gate
 *
 *	main.c		runs every case on every row of the parents' table
 *	fixture.c	how a device of each parent is made; a parent that is not there fails
 *	rbd.c		the same, for what needs a cluster of Ceph
 *	echo.c		the same, for what has a socket at the other end
 *	fifo.c		the same, for a console at a FIFO
 *	peer.c		another network device, which sends back what it gets
 *	tap.c		the same, for what needs somebody at the other end of a TAP interface
 *	own.c		a parent that is not in the table, as one from outside of the library
 *	dice.c		the same, from the examples
 *	rig.c		one device in a driver's hands: memory, queues, waiting
 *	generic.c	cases for devices of any type
 *	block.c		cases for block devices, and what generic.c needs to try one; see block.h
 *	net.c		the same for network devices; see net.h
 *	console.c	the same for consoles; see console.h
 *	rng.c		the same for entropy devices
 *
 * A device type that is not known here yet needs one more file as block.c. A case that fails, or
 * for which the device lacks something, leaves by longjmp; its context is destroyed and the next case has a new one. So each case is a
 * leak check as well: no descriptor may be left.
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <stdbool.h>
#include <sys/types.h>
#include <uvdpa/driver.h>

#include "base/open-fds.h"
#include "virtq/virtq.h"

#define CF_F(bit) (1ull << (bit))
#define CF_QUEUES 6u			/* of a device, that are used at most */

/* The memory: two mappings that touch in the device's view, and do not in the file. */
#define CF_RINGS_IOVA 0x100000u
#define CF_RINGS_LEN 0x100000u
#define CF_DATA_IOVA 0x200000u		/* CF_RINGS_IOVA + CF_RINGS_LEN */
#define CF_DATA_LEN 0x500000u
#define CF_DATA_SHARE (CF_DATA_LEN / CF_QUEUES & ~0xfffu)	/* of a queue */
#define CF_DATA_OFFSET 0x300000u
#define CF_FILE_LEN (CF_DATA_OFFSET + CF_DATA_LEN)
#define CF_TAIL 0x8000u			/* of the rings' mapping: in nobody's ring */

struct cf;

/* ---- fixtures -------------------------------------------------------------------------------- */

#define CF_ATTRS 8
#define CF_FAR_MAX 2u

/* How to make a device, for one case. */
struct cf_fixture {
	char dir[64];			/* for its files; removed afterwards */
	char path[96], socket[96], text[256];
	struct uvdpa_attr attrs[CF_ATTRS];
	unsigned int nattrs;
	const struct cf_variant *variant;
	struct cf_server *server;
	struct cf_echo *echo;
	struct cf_fifo *fifo;
	int far[CF_FAR_MAX];		/* -1: not connected; closed with it */
	pid_t pid;
};

/* The other end of a console's ports: a stream of what the driver sends, and for it. */
struct cf_far {
	int (*connect)(struct cf_fixture *f, unsigned int port);
	unsigned int ports;
	uint32_t room;		/* bytes that may be under way to the driver; 0: any */
};

/* What becomes of the frames of a network device: they come back, from @mac. */
struct cf_wire {
	const char *mac;		/* NULL: its own */
	uint32_t frame_max;
	bool keeps;			/* what finds no buffer waits for one */
	bool far;			/* they come back later; until both sides know all, perhaps not */
	bool slow;
};

struct cf_variant {
	const char *parent;
	const char *name;		/* what is special; "" for nothing */
	const struct uvdpa_parent *own;	/* not in the table: to be registered; or NULL */
	bool readonly;
	bool foreign;			/* not ours: what it makes of nonsense is its own business */
	bool keeps_heap;		/* a library is in it that keeps memory for later */
	void (*open)(struct cf_fixture *f);
	void (*close)(struct cf_fixture *f);	/* or NULL */
	const char *(*lacks)(void);	/* why it cannot be tried here, NULL if it can; or NULL */
	void (*restart)(struct cf_fixture *f);	/* its server dies and comes back; or NULL */
	/* Its server gives it another size, which may be less; NULL: it is ours to set. */
	void (*resize)(struct cf_fixture *f, const char *bytes);
	const struct cf_wire *wire;	/* of a network device */
	const struct cf_far *far;	/* of a console */
	uint64_t seed;			/* of an entropy device; 0: it has none */
	void (*join)(struct cf *c);	/* what else is in the context, before the device; or NULL */
};

extern const struct cf_variant cf_variants[];
extern const unsigned int cf_nvariants;

/* Of every network device here. */
#define CF_MAC "52:54:00:12:34:56"

void cf_attr(struct cf_fixture *f, const char *key, const char *value);

/* rbd.c: an image of 4 MiB, and its end. */
const char *cf_rbd_lacks(void);
void cf_rbd_open(struct cf_fixture *f);
void cf_rbd_resize(struct cf_fixture *f, const char *bytes);
void cf_rbd_close(struct cf_fixture *f);
const char *cf_tap_lacks(void);
void cf_tap_open(struct cf_fixture *f);
void cf_veth_open(struct cf_fixture *f); /* closed as that */
void cf_tap_close(struct cf_fixture *f);

/* own.c, dice.c */
extern const struct uvdpa_parent cf_own_parent, cf_dice_parent;

/* echo.c: what it gets comes back, as a stream or as datagrams; its attributes, and its end. */
void cf_echo_open(struct cf_fixture *f, bool stream);
/* The same for a FIFO, whose messages are of one type. */
void cf_echo_fifo(struct cf_fixture *f);
void cf_echo_close(struct cf_fixture *f);

/* fifo.c: the other end of a FIFO with a console; its attributes, and its end. */
void cf_fifo_open(struct cf_fixture *f);
void cf_fifo_close(struct cf_fixture *f);
extern const struct cf_far cf_fifo_far;

/* Is the program there that serves foreign devices? */
bool cf_foreign_installed(void);
void cf_fixture_open(struct cf_fixture *f, const struct cf_variant *v);
void cf_fixture_close(struct cf_fixture *f);

/* ---- the rig --------------------------------------------------------------------------------- */

/* Ring features and size of one walk. */
struct cf_mode {
	uint64_t ring;			/* of INDIRECT_DESC, EVENT_IDX, IN_ORDER, RING_PACKED */
	uint16_t num;
};

struct cf_queue {
	struct cf *c;
	unsigned int idx;
	uint16_t num;
	struct vd_virtq_drv *drv;	/* NULL: not started */
	struct vd_vring_layout layout;
	uint8_t *ring;
	uint64_t ring_iova, data_iova;	/* a share of the memory each */
	uint32_t data_len;
	int kick, call;
	bool off;			/* a case has stopped it */
	void *io;			/* of the type's file; freed by the rig */
};

struct cf {
	struct cf_fixture f;
	const struct cf_type *type;
	struct uvdpa *u;
	struct uvdpa_dev *dev;
	const struct uvdpa_dev_info *info;
	struct cf_mode mode;
	uint64_t features_off;		/* not to be negotiated */
	uint64_t features;		/* negotiated */
	unsigned int indirect_max;	/* buffers of a request in a table; 0: 8 */
	int memfd;
	uint8_t *mem;
	unsigned int nq;		/* used */
	struct cf_queue q[CF_QUEUES];
	struct uvdpa_wait w;
	void *model;			/* of the type's file; freed by the rig */
	struct cf_peer *peer;		/* or NULL */
	unsigned int lives;		/* how often features were negotiated */
	unsigned int changed[UVDPA_DEV_ATTRS + 1];
};

/* peer.c: a device of the variant's parent, with these attributes; its end in two steps. */
void cf_peer_open(struct cf *c, const struct uvdpa_attr *attrs, unsigned int nattrs);
void cf_peer_stop(struct cf *c);	/* before the context goes */
void cf_peer_free(struct cf *c);

void cf_open(struct cf *c, const struct cf_variant *v);
void cf_close(struct cf *c);

_Noreturn void cf_fail(const char *file, int line, const char *fmt, ...) vd_printf(3, 4);
/* The device lacks what the case is about. */
_Noreturn void cf_skip(const char *lacks);
#define cf_check(cond) ((cond) ? (void)0 : cf_fail(__FILE__, __LINE__, "%s", #cond))
#define cf_is(a, b)                                                                             \
	do {                                                                                    \
		long long a_ = (long long)(a), b_ = (long long)(b);                             \
		if (a_ != b_)                                                                   \
			cf_fail(__FILE__, __LINE__, "%s is %lld, not %lld (%s)", #a, a_, b_,    \
				uvdpa_error());                                                 \
	} while (0)
/* What returned 0 or -EINPROGRESS with c->w has succeeded. */
#define cf_ok(c, call) cf_is(cf_ended(c, call), 0)

/* The end of an operation that was given &c->w. */
int cf_ended(struct cf *c, int r);
/* A turn of the loop, at most @ms. */
void cf_turn(struct cf *c, int ms);
#define cf_until(c, cond)                                                                       \
	do {                                                                                    \
		uint64_t due_ = cf_now_ms() + 10000;                                            \
		while (!(cond)) {                                                               \
			if (cf_now_ms() > due_)                                                 \
				cf_fail(__FILE__, __LINE__, "never: %s", #cond);                \
			cf_turn(c, 5);                                                          \
		}                                                                               \
	} while (0)
uint64_t cf_now_ms(void);

void *cf_at(struct cf *c, uint64_t iova);
void cf_map(struct cf *c);

/* Status up to FEATURES_OK, queues set and enabled, DRIVER_OK; all as @m says. */
void cf_start(struct cf *c, const struct cf_mode *m);
/* The parts of it. */
void cf_negotiate(struct cf *c, const struct cf_mode *m);
void cf_queue_init(struct cf *c, unsigned int idx);	/* new rings */
void cf_queue_set(struct cf_queue *q, struct uvdpa_vq_state state);
void cf_reset(struct cf *c);
bool cf_offered(const struct cf *c, const struct cf_mode *m);

void cf_publish(struct cf_queue *q);
/* Wait for requests by notification. Return: how many, at least 1. */
unsigned int cf_get(struct cf_queue *q, struct vd_done *done, unsigned int max);

/* ---- types and cases ------------------------------------------------------------------------- */

#define CF_ONCE 0u
#define CF_LAYOUTS 1u
#define CF_MODES 2u
#define CF_SERVED 8u			/* only with variant->restart */
#define CF_OURS 4u			/* nonsense, which a foreign device takes as it likes */

struct cf_case {
	const char *name;
	/* With CF_ONCE c->mode is the default. */
	void (*run)(struct cf *c);
	unsigned int over;		/* CF_ONCE, _LAYOUTS or _MODES, and perhaps more */
};

struct cf_type {
	uint32_t device_id;
	const struct cf_case *cases;	/* ends with a NULL name */
	unsigned int eager;		/* a queue of which the device takes what is there */
	/* One small operation of the device works, on this queue, while others may be off. */
	void (*ping)(struct cf_queue *q);
	/* Many at once, begun and not waited for; and the end of all of them. */
	void (*begin)(struct cf_queue *q);
	void (*end)(struct cf_queue *q);
	/* Nothing has moved for seconds: take what holds others up; NULL: nothing does. */
	void (*idle)(struct cf *c);
};

extern const struct cf_case cf_generic[];
extern const struct cf_type cf_block;
extern const struct cf_type cf_console;
extern const struct cf_type cf_net;
extern const struct cf_type cf_rng;

#endif
