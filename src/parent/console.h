/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console.h - the parent "console": what its parts share
 *
 *	console.c	options, and the device
 *	console-list.c	the list of ports, as the user writes it
 *	console-port.c	a port and who is at its other end
 *
 * What the driver writes while nobody is there is kept, the newest of it, and is the first that the
 * next one gets. All else goes straight from the ring to the other end, and back.
 */
#ifndef VD_PARENT_CONSOLE_H
#define VD_PARENT_CONSOLE_H

#include "base/chan.h"
#include "base/keep.h"
#include "softdev/console.h"

/* One item of the list. Strings lie in its text. */
struct vd_con_item {
	const char *name; /* NULL: none */
	const char *address;
	bool terminal;
};

struct vd_con_list {
	char *text;
	unsigned int n;
	struct vd_con_item items[VD_CONSOLE_PORTS_MAX];
};

/**
 * vd_con_list_parse() - The ports, and which of them are terminals
 * @ports: [NAME=]ADDRESS,...
 * @terminals: names or numbers, "all", "none"; NULL: the first
 *
 * Return: 0, to be freed by vd_con_list_fini(); -EINVAL, ... with a sentence.
 */
int vd_con_list_parse(struct vd_con_list *list, const char *ports, const char *terminals);
void vd_con_list_fini(struct vd_con_list *list);

struct vd_con_port {
	struct vd_chan chan;
	struct vd_con *con;
	unsigned int idx;

	/* Control's. */
	uint16_t cols, rows;
	char label[UVDPA_NAME_MAX + VD_CONSOLE_NAME_MAX + 16]; /* for messages */

	/* The worker's. */
	bool ended;          /* reading is */
	struct vd_keep kept; /* what nobody was there to hear */
};

struct vd_con {
	struct vd_console dev;
	bool started; /* control's: the device is there, and can be told */
	unsigned int nports;
	struct vd_con_port *ports;
};

struct vd_con_port_conf {
	const char *name;
	size_t keep;
	struct vd_chan_conf chan;
};

/* Control thread. Return: 0; -errno with a sentence, and nothing is left behind. */
int vd_con_port_open(struct vd_con_port *p, struct vd_con *con, struct uvdpa *u,
		     const struct vd_con_port_conf *conf);
/* The worker has ended. */
void vd_con_port_close(struct vd_con_port *p);
void vd_con_port_show(const struct vd_con_port *p, struct uvdpa_emit *e);

/* The worker. */
size_t vd_con_port_send(struct vd_con_port *p, struct vd_iov *iov, unsigned int niov, size_t len);
size_t vd_con_port_receive(struct vd_con_port *p, struct vd_iov *iov, unsigned int niov);
void vd_con_port_woken(struct vd_con_port *p);

#endif
