/* SPDX-License-Identifier: BSD-2-Clause */
/* nic.h - sends and receives small frames, by <uvdpa/net.h> over a sim-net of this process */
#ifndef BENCH_NIC_H
#define BENCH_NIC_H

#include <stdbool.h>
#include <stdint.h>
#include <uvdpa/net.h>

#define NIC_BUFS  512
#define NIC_BURST 32

struct nic {
	struct uvdpa *u;
	struct uvdpa_net *net;
	struct uvdpa_netq *q;
	struct uvdpa_net_buf bufs[NIC_BUFS]; /* that are here */
	unsigned int nbufs;
	unsigned int away; /* frames that go round */
	uint64_t errors;
};

/* What nic_run() does. */
enum nic_way { NIC_TX, NIC_RX, NIC_LOOP };

/*
 * Make the device: @mode, and how long it polls, of sim-net; its data thread is on the CPU that the
 * caller is on now. Return: 0; -1 with a message.
 */
int nic_open(struct nic *c, const char *mode, const char *poll_us, bool packed);
void nic_close(struct nic *c);

/* Send, take in, or have @frames go round, until it is time. Return: frames that were sent; that
 * came. */
uint64_t nic_run(struct nic *c, enum nic_way way, unsigned int frames, uint64_t until_ns);

#endif
