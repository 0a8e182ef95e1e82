/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console.h - the virtio console device (virtio 1.3, 5.3), over whatever takes and brings bytes
 *
 *	transmit:  a burst of the port's ring -> ops->send()
 *	receive:   ops->receive() reads into the driver's buffers
 *
 * A port is a receive and a transmit queue; between those of port 0 and of the others lie the two
 * control queues. One worker serves all. Bytes are never queued here: what send does not take goes
 * back into the ring, and the port remembers how much of its first chain is gone; what finds no
 * buffer stays where it came from. What the driver shall be told by the control queue is state, not
 * messages: so a driver that never gives buffers costs nothing.
 *
 *	console.c	the device, what it offers, counts, and can be told while it is used
 *	console-io.c	transmit and receive, and how the worker serves the ports
 *	console-ctrl.c	the control queues
 */
#ifndef VD_SOFTDEV_CONSOLE_H
#define VD_SOFTDEV_CONSOLE_H

#include <linux/virtio_ids.h>

#include "mem/sg.h"
#include "softdev/softdev.h"
#include "virtq/console-uapi.h"

struct vd_console;
struct vd_console_port;

#define VD_CONSOLE_PORTS_MAX      64u
#define VD_CONSOLE_NAME_MAX       63u
#define VD_CONSOLE_QUEUE_SIZE_MAX 1024
#define VD_CONSOLE_CTRL_RX        2u /* the driver hears of ports */
#define VD_CONSOLE_CTRL_TX        3u /* the driver speaks of them */
#define VD_CONSOLE_VQS_MAX        (2 * VD_CONSOLE_PORTS_MAX + 2)
#define VD_CONSOLE_PIECES         1024  /* of a chain, or of a call of send or receive, at most */
#define VD_CONSOLE_EMERG          1024u /* characters of emergency writes that wait for the worker */

#define VD_CONSOLE_F(bit) (1ull << VIRTIO_CONSOLE_F_##bit)

/* All that vd_console_init() may offer; for uvdpa_parent.features. */
#define VD_CONSOLE_FEATURES                                                   \
	(VD_SOFTDEV_FEATURES | VD_CONSOLE_F(SIZE) | VD_CONSOLE_F(MULTIPORT) | \
	 VD_CONSOLE_F(EMERG_WRITE))

/* What a console parent does; no slot is NULL. */
struct vd_console_ops {
	/* Bytes of the driver, in order: @len in @niov pieces of memory that the driver may change
	 * meanwhile; the array may be changed. Return: how many were taken. With less than all the
	 * port waits until its descriptor is writable, or vd_console_tx_retry(), or
	 * vd_console_wake(). Context: the worker. */
	size_t (*send)(struct vd_console *con, struct vd_console_port *port, struct vd_iov *iov,
		       unsigned int niov, size_t len);

	/* Put bytes into the driver's buffers, @len in @niov pieces. Return: how many; 0: there are
	 * none now. Called when the port is open, has buffers, and its descriptor is readable; a
	 * port without one is asked in each round. A descriptor that stays readable, at its end, is
	 * to be taken away. Context: the worker. */
	size_t (*receive)(struct vd_console *con, struct vd_console_port *port, struct vd_iov *iov,
			  unsigned int niov, size_t len);

	/* The worker begins, or vd_console_wake() was called: descriptors may have changed, see
	 * vd_console_port_set_fd(). The first time is before vd_console_init() returns, or soon
	 * after. Context: the worker. */
	void (*woken)(struct vd_console *con);

	/* The driver has opened the port, or closed it; without MULTIPORT: it runs the queues, or
	 * was reset. Who opens it again at once is seen to have closed it. Control thread, as all
	 * below. */
	void (*opened)(struct vd_console *con, struct vd_console_port *port, bool open);

	/* What uvdpa_dev_show() shall tell beside what every console has. */
	void (*show)(struct vd_console *con, struct uvdpa_emit *e);
	void (*reset)(struct vd_console *con);
	void (*destroy)(struct vd_console *con);
};

/* For a parent to which it makes no difference. */
void vd_console_any_woken(struct vd_console *con);
void vd_console_any_opened(struct vd_console *con, struct vd_console_port *port, bool open);
void vd_console_show_nothing(struct vd_console *con, struct uvdpa_emit *e);
void vd_console_reset_nothing(struct vd_console *con);

struct vd_console_port_conf {
	const char *name;    /* for the driver, VD_CONSOLE_NAME_MAX bytes at most; NULL: none */
	bool console;        /* a terminal (hvcN), not a port for programs (vportNpM) */
	bool connected;      /* somebody is at the other end from the beginning */
	bool absent;         /* not there until vd_console_set_present() */
	uint16_t cols, rows; /* 0: unknown */
};

struct vd_console_conf {
	unsigned int nports;                      /* 1 to VD_CONSOLE_PORTS_MAX; 0: 1 */
	bool multiport;                           /* offer MULTIPORT with one port, too */
	const struct vd_console_port_conf *ports; /* @nports of them, copied; NULL: a terminal */
	unsigned int queue_size;     /* a power of two, 2 to VD_CONSOLE_QUEUE_SIZE_MAX; 0: 256 */
	struct vd_softdev_conf soft; /* but for workers and span */
};

/* Counters of one direction of a port. */
struct vd_console_counts {
	uint64_t bytes;
	uint64_t errors; /* chains that held nothing that could be sent; for a port that is not */
	uint64_t waits;  /* how often the other side took less, or there were no buffers */
};

/* Of a control queue: messages, and of them those that made no sense or found no room. */
struct vd_console_ctrl_counts {
	uint64_t messages, errors;
};

/* What a driver has been told of a port, and is to be told. */
enum vd_console_told {
	VD_CONSOLE_TOLD_CONSOLE = 1u << 0, /* it is a terminal */
	VD_CONSOLE_TOLD_NAME = 1u << 1,
	VD_CONSOLE_TOLD_SIZE = 1u << 2, /* as told_size says */
	VD_CONSOLE_TOLD_OPEN = 1u << 3, /* somebody is at the other end */
};

struct vd_console_port {
	struct vd_console *con;
	unsigned int idx;
	struct vd_softq *rx, *tx;
	char name[VD_CONSOLE_NAME_MAX + 1];
	bool console;

	/* Atomic: control's. */
	bool connected, present;
	uint32_t size;           /* cols << 16 | rows */
	unsigned int opens_seen; /* control's alone: of @opens */

	/* Atomic: the worker's, or control's while no queue runs; how often the driver has opened
	 * and closed it, so it is odd while it is open. */
	unsigned int opens;

	/* The worker's; what the driver knows of it is control's while no queue runs. */
	int fd;           /* -1: none */
	uint32_t watched; /* events of it that the worker waits for */
	bool tx_blocked;
	bool tx_owes;  /* send is to be called even if the ring has nothing */
	bool rx_ended; /* the descriptor brings nothing any more */
	bool added, ready;
	unsigned int told; /* VD_CONSOLE_TOLD_* */
	uint32_t told_size;
	uint32_t tx_gone;     /* bytes of the first chain in the ring that were sent already */
	unsigned int tx_life; /* of that ring, see vd_softq_life() */
	struct vd_console_counts sent;

	struct vd_console_counts received; /* of who has locked the receive queue */
};

/* Embedded, first, in the parent's device. */
struct vd_console {
	struct vd_softdev sd;
	const struct vd_console_ops *ops;
	unsigned int nports;
	struct vd_console_port *ports;
	struct vd_softq *ctrl_rx, *ctrl_tx; /* NULL: there are none */
	struct vd_engine engine;
	struct vd_post post; /* what the worker has to tell control */
	bool multiport;      /* negotiated; constant while queues run */

	bool woken; /* atomic */
	bool tell;  /* atomic: the driver may not know all */

	/* The worker's; control's while no queue runs. */
	bool driver_ready;
	struct vd_console_ctrl_counts told, asked;

	/* Emergency characters from control to the worker: it has taken @emerg_out of @emerg_in. */
	unsigned int emerg_in, emerg_out; /* atomic */
	uint64_t emerg_lost;              /* control's */
	uint8_t emerg[VD_CONSOLE_EMERG];
};

/**
 * vd_console_begin() - A device of which little is known yet: all it can do is to be destroyed
 * @con: zeroed
 *
 * For an add that returns -EINPROGRESS. vd_console_init() follows before uvdpa_dev_arrived().
 */
void vd_console_begin(struct vd_console *con, struct uvdpa *u, const struct vd_console_ops *ops);

/**
 * vd_console_init() - Make the device; starts its worker
 * @con: zeroed, or begun; embedded in the parent's device, which woken may use already
 *
 * Return: 0; -EINVAL a value is out of range; on failure nothing is left behind.
 */
int vd_console_init(struct vd_console *con, struct uvdpa *u, const struct vd_console_ops *ops,
		    const struct vd_console_conf *conf);

/* ---- the worker --------------------------------------------------------------------------- */

/* Another descriptor for the port, or -1; the former, which must be open still, is not watched any
 * more. One that cannot be waited for, a file, is as none. */
void vd_console_port_set_fd(struct vd_console_port *port, int fd);

/* What send did not take may be tried again. */
void vd_console_tx_retry(struct vd_console_port *port);

/* The parent has something of its own to send first, from what it kept: send is called when the
 * descriptor is writable, with no bytes if the ring has none. */
void vd_console_tx_wait(struct vd_console_port *port);

/* Nothing comes from this descriptor any more, though it is readable: it is at its end. What goes
 * may wait for it yet. */
void vd_console_rx_end(struct vd_console_port *port);

/* ---- any thread --------------------------------------------------------------------------- */

/* The worker calls woken, tries all ports again that wait to send, and asks all without a
 * descriptor. */
void vd_console_wake(struct vd_console *con);

/* Has the driver opened it? Only to look: it may be otherwise when this returns. */
static inline bool vd_console_is_open(const struct vd_console_port *port)
{
	return __atomic_load_n(&port->opens, __ATOMIC_RELAXED) & 1;
}

/* ---- control thread; the device was added ------------------------------------------------- */

/* Somebody is at the other end of the port, or not: with MULTIPORT the driver is told. */
void vd_console_set_connected(struct vd_console_port *port, bool connected);

/* The size of what they look at: in the configuration space for port 0 without MULTIPORT. */
void vd_console_set_size(struct vd_console_port *port, uint16_t cols, uint16_t rows);

/* The port comes or goes, with MULTIPORT. Port 0 stays. */
void vd_console_set_present(struct vd_console_port *port, bool present);

/* ---- inside console*.c -------------------------------------------------------------------- */

/* Counters have one writer at a time and are read by control. */
static inline void vd_console_count(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}

/* console-io.c: a burst of the port's transmit queue. The worker. */
void vd_console_transmit(struct vd_console_port *port, struct vd_chain **chains, unsigned int n);
/* As vd_softdev_ops.worker_start. */
int vd_console_worker_start(struct vd_softdev *sd, struct vd_worker *w,
			    struct vd_engine **ret_engine);
/* The driver has opened the port, or closed it: control will know. The worker. */
void vd_console_opens(struct vd_console_port *port, bool open);

/* console-ctrl.c, the worker: what the driver says. */
void vd_console_asked(struct vd_console *con, struct vd_chain **chains, unsigned int n);
/* One message. Return: 0; -EBADMSG it is too short; -EOPNOTSUPP not known, or not the driver's to
 * send; -EINVAL no such port, or a value makes no sense. */
int vd_console_message(struct vd_console *con, const struct vd_chain *chain);
/* Tell the driver what it does not know yet, as far as it has given buffers. Return: of how much.
 */
unsigned int vd_console_tell(struct vd_console *con);
/* One message into a buffer. Return: true; false: there is none. */
bool vd_console_tell_one(struct vd_console *con, struct vd_chain *chain);
/* Nobody knows anything, no port is open. Control, while no queue runs. */
void vd_console_forget(struct vd_console *con);

#endif
