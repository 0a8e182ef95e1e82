/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fifo-link.h - one FIFO, and the devices of this context that share it
 *
 *	net's worker	 -- frames --> stage --+			      +--> into the driver's
 *buffers console's worker -- bytes ---> stage --+--> the wire ... the wire --> link's thread |
 *+--> inbox --> console's worker who has the turn writes
 *
 *	fifo.c		the parent: its options, and which devices share a link
 *	fifo-net.c, fifo-console.c	the devices
 *	fifo-link.c	links come and go; control thread
 *	fifo-tx.c	what is sent, by whoever has something to send
 *	fifo-rx.c	what is received; the link's thread
 *	fifo-stream.c, fifo-window.c	the wires
 *	fifo-msg.c	messages
 *
 * What a worker sends it copies into the stage of its device, if that is empty, and so its driver
 *has the memory back at once; the stage then belongs to whoever has the turn, until all of it is on
 *the wire. The turn is taken by the first who wants to write; who comes meanwhile leaves a note,
 *and the first writes for him. So nobody waits for anybody. Between messages the console goes
 *first.
 *
 * What is received is decoded where it was read to, and copied once. Frames for which there are no
 *buffers stay there, and the console's bytes behind them are found all the same; if there is no
 *more room they are dropped after a moment, as the driver of the card does at once.
 */
#ifndef VD_PARENT_FIFO_LINK_H
#define VD_PARENT_FIFO_LINK_H

#include "base/chan.h"
#include "core/core.h"
#include "parent/fifo-msg.h"

#define VD_FIFO_STAGE (128u << 10) /* bytes of frames that are sent at once */
#define VD_FIFO_CHUNK 2032u        /* console bytes in a message: a TmFIFO has room for it */
#define VD_FIFO_SYNC  256u         /* words that end what the other side may be in the middle of */
#define VD_FIFO_RX    (256u << 10) /* bytes that were read, and are not delivered yet */
#define VD_FIFO_READ  (64u << 10)  /* of them with one call */
#define VD_FIFO_HELD  1024u        /* frames among them */
#define VD_FIFO_INBOX (32u << 10)  /* console bytes that wait for their driver; a power of two */
#define VD_FIFO_STALL_NS \
	2000000000ull /* nothing goes: what is sent is dropped. As the card does it */
#define VD_FIFO_HOLD_NS    20000000ull /* that frames wait for buffers while others cannot be read */
#define VD_FIFO_CRAMPED_NS 100000000ull /* that one waits for more buffers than there are */

enum vd_fifo_role { VD_FIFO_CARD, VD_FIFO_HOST };
enum { VD_FIFO_DEV_NET, VD_FIFO_DEV_CONSOLE, VD_FIFO_DEVS };

struct vd_fifo_link;
struct vd_fifo_port;

/* A frame that was received; where it is stays as it is until deliver returns. */
struct vd_fifo_frame {
	const uint8_t *data;
	uint32_t len;
};

/* What a link does with a device. */
struct vd_fifo_port_ops {
	/* Frames for its driver. Return: how many are done with; the others wait for buffers.
	 * Context: the link's thread. Never called for a console. */
	unsigned int (*deliver)(struct vd_fifo_port *p, const struct vd_fifo_frame *frames,
				unsigned int n);
	/* Its worker shall look: at the stage, and the inbox. Any thread. */
	void (*wake)(struct vd_fifo_port *p);
	/* Somebody is at the other end, or not. Control thread. */
	void (*carrier)(struct vd_fifo_port *p, bool up);
};

/* A device's end; embedded in it. */
struct vd_fifo_port {
	const struct vd_fifo_port_ops *ops;
	struct vd_fifo_link *link;
	unsigned int idx; /* VD_FIFO_DEV_* */
	bool attached;    /* control's */
};

/* A device, as the link sees it. */
struct vd_fifo_slot {
	struct vd_fifo_port *port;  /* atomic; NULL: there is no driver */
	unsigned int users;         /* atomic: threads that may be using it */
	struct vd_fifo_port *owner; /* control's: the device that is there, driver or not */
};

/* Messages that are to be sent; see above. */
struct vd_fifo_stage {
	uint8_t *buf;
	size_t room;
	size_t len;   /* atomic; 0: the worker's */
	bool waiting; /* atomic: who fills it wants to know when it is empty */
	/* Of who has the turn. */
	size_t at;    /* bytes that went */
	size_t bound; /* where the message that is under way ends */
};

enum { VD_FIFO_STAGE_CTRL = VD_FIFO_DEVS, VD_FIFO_STAGE_SYNC, VD_FIFO_STAGES };

struct vd_fifo_tx {
	unsigned int turns;  /* atomic */
	bool room;           /* atomic: the wire takes more again */
	bool stalled;        /* atomic: it has not for long */
	bool broken;         /* atomic: the wire is, and the link's thread does not know yet */
	uint64_t blocked_ns; /* atomic: since when nothing goes; 0: it does */
	bool syncs;          /* a connection begins with words that say nothing; does not change */
	struct vd_fifo_stage stages[VD_FIFO_STAGES];
	bool open;   /* atomic: there is somebody at the other end */
	bool coming; /* atomic: there is, and the link's thread has yet to see it */
	/* Of who has the turn. */
	bool blocked;
	int part; /* the stage of which a message was sent in part; or -1 */
	/* Counters. */
	uint64_t messages[VD_FIFO_DEVS];
	uint64_t writes, waits;
	uint64_t dropped[VD_FIFO_DEVS]; /* messages that were staged, and the connection ended */
};

struct vd_fifo_rx {
	uint8_t *buf;
	size_t at, end; /* bytes that are not decoded */
	struct vd_fifo_decoder decoder;
	struct vd_fifo_frame *held; /* VD_FIFO_HELD of them */
	unsigned int first, n;
	bool starved;  /* atomic: frames wait for buffers */
	bool cramped;  /* there are some, and too few for one frame */
	bool dropping; /* as they have waited for long */
	bool more;     /* it was not read to its end */
	bool paused;   /* there is no room to read on */
	bool tainted; /* the frame that is under way stopped in the middle: its end may be a padding
		       */
	uint64_t held_ns; /* since when no frame got in */
	uint64_t came_ns; /* when the last bytes came */
	uint8_t *inbox;
	uint32_t inbox_put, inbox_got; /* atomic: the link's thread's, the console worker's */
	/* Counters. */
	uint64_t reads, stalls;
	uint64_t no_driver[VD_FIFO_DEVS]; /* frames, bytes that nobody was there for */
	uint64_t full[VD_FIFO_DEVS];      /* likewise, for which there was no room */
};

/* What a link is made of. */
struct vd_fifo_link_conf {
	const char *address;
	enum vd_fifo_role role;
	mode_t mode;
	unsigned int reconnect_ms;
	unsigned int words; /* of a window that is made */
};

/* How bytes get to the other side. */
struct vd_fifo_wire {
	/* Control thread; the link's thread does not run yet, or does not run any more. */
	int (*open)(struct vd_fifo_link *l, const struct vd_fifo_link_conf *c);
	void (*close)(struct vd_fifo_link *l);
	const char *(*where)(const struct vd_fifo_link *l);
	/* Is the connection another now? Then have it: link's thread. Return: false: nothing has
	 * changed. */
	bool (*take)(struct vd_fifo_link *l);
	/* Link's thread: wait for more to come, or not. */
	void (*listen)(struct vd_fifo_link *l, bool more);
	/* Something that was waited for is there: look at what it is. Return: whether the wire may
	 * take more again. Link's thread. */
	bool (*event)(struct vd_fifo_link *l, uint32_t events);
	/* Return: how many bytes; -EAGAIN none now; 0: it is over. Link's thread. */
	ssize_t (*read)(struct vd_fifo_link *l, uint8_t *to, size_t len);
	/* Link's thread: leave the connection. */
	void (*hang_up)(struct vd_fifo_link *l);
	/* What follows is of who has the turn. Have the connection. Return: whether there is one.
	 */
	bool (*tx_take)(struct vd_fifo_link *l);
	/* Has the connection changed since? */
	bool (*tx_changed)(struct vd_fifo_link *l);
	/* Return: how many bytes went; -EAGAIN none now, and event() will come; another -errno. */
	ssize_t (*write)(struct vd_fifo_link *l, unsigned int stage, const uint8_t *from,
			 size_t len);
};

extern const struct vd_fifo_wire vd_fifo_stream, vd_fifo_window;

/* The stream's own. */
struct vd_fifo_stream {
	struct vd_chan chan;
	bool lossy;  /* it is a line; nobody says that the other side began anew */
	int fd;      /* that is read from, and watched; the link's thread's */
	int tx_next; /* atomic: for who has the turn; -1: nothing new, -2: there is none any more */
	int tx_fd;   /* his */
	bool tx_socket;
};

struct vd_fifo_window_map;

struct vd_fifo_link {
	struct uvdpa *u;
	char *address;
	enum vd_fifo_role role;
	struct vd_fifo_link_conf conf; /* without address */
	unsigned int refs;             /* control's */
	bool up;                       /* control's */
	uint64_t visits;
	const struct vd_fifo_wire *wire;
	struct vd_fifo_slot slots[VD_FIFO_DEVS];
	uint32_t mtu;               /* atomic: of the net device */
	uint64_t mac;               /* atomic: likewise */
	struct vd_ratelimit rl;     /* the link's thread's */
	struct vd_fifo_counts said; /* what was said of them; likewise */

	pthread_t thread;
	bool stop; /* atomic */
	int epfd, wakefd;
	struct vd_fifo_tx tx;
	struct vd_fifo_rx rx;
	struct vd_fifo_stream stream;
	struct vd_fifo_window_map *window;
};

/* ---- fifo-link.c; control thread ------------------------------------------------------------ */

/* Open the link, with one reference. Return: 0; -errno with a sentence. */
int vd_fifo_link_open(struct uvdpa *u, const struct vd_fifo_link_conf *c,
		      struct vd_fifo_link **ret_link);
void vd_fifo_link_put(struct vd_fifo_link *l);
/* Somebody is at the other end, or not; the wire says it. */
void vd_fifo_link_carrier(struct vd_fifo_link *l, bool up);
void vd_fifo_link_show(struct vd_fifo_link *l, unsigned int idx, struct uvdpa_emit *e);

/* A device has its place at the link. Return: 0; -EEXIST there is one already. */
int vd_fifo_port_add(struct vd_fifo_port *p, struct vd_fifo_link *l, unsigned int idx,
		     const char *name);
void vd_fifo_port_del(struct vd_fifo_port *p);
/* A driver has it: the link may call it; until detach returns. */
void vd_fifo_port_attach(struct vd_fifo_port *p);
void vd_fifo_port_detach(struct vd_fifo_port *p);

/* Any data thread: who is there, between get and put; NULL: there is no driver. */
struct vd_fifo_port *vd_fifo_slot_get(struct vd_fifo_link *l, unsigned int idx);
void vd_fifo_slot_put(struct vd_fifo_link *l, unsigned int idx);

/* The link's thread shall look at all that it has. Any thread. */
void vd_fifo_link_wake(struct vd_fifo_link *l);

/* ---- fifo-tx.c; any data thread ------------------------------------------------------------- */

int vd_fifo_tx_init(struct vd_fifo_link *l);
void vd_fifo_tx_fini(struct vd_fifo_link *l);

/* Can the stage be filled? If not, its port is woken when it can. Who fills it. */
bool vd_fifo_stage_ready(struct vd_fifo_link *l, unsigned int idx);

/* Bytes of a message in the stage, from @at on. Return: where its payload goes; NULL: there is no
 * room. */
static inline uint8_t *vd_fifo_stage_put(struct vd_fifo_stage *s, size_t *at, uint8_t type,
					 uint16_t len)
{
	size_t size = vd_fifo_size(len);
	uint8_t *to = s->buf + *at;

	if (s->room - *at < size)
		return NULL;
	memset(to + size - VD_FIFO_WORD, 0, VD_FIFO_WORD); /* the padding */
	vd_fifo_header(to, type, len, NULL);
	*at += size;
	return to + VD_FIFO_WORD;
}

/* It holds so many bytes: send them. */
void vd_fifo_stage_send(struct vd_fifo_link *l, unsigned int idx, size_t len);

/* Write what there is; or who does so already goes on. */
void vd_fifo_tx_push(struct vd_fifo_link *l);

/* ---- fifo-rx.c; the link's thread ----------------------------------------------------------- */

int vd_fifo_rx_init(struct vd_fifo_link *l);
void vd_fifo_rx_fini(struct vd_fifo_link *l);
void *vd_fifo_main(void *arg);

/* The console's worker: what has come. Return: how many bytes, and where; the rest may be at the
 * beginning. */
size_t vd_fifo_inbox_peek(struct vd_fifo_link *l, const uint8_t **ret_at);
void vd_fifo_inbox_take(struct vd_fifo_link *l, size_t len);

/* Counters have one writer at a time and are read by control. */
static inline void vd_fifo_count(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}

#endif
