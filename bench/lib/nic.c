/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/nic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bench.h"

#define ROOM   2048u
#define AT     64u /* frames begin with a line of the cache, and the header ends the one before */
#define LEN    64u
#define OPTION 3

static void put(struct nic *c, uint8_t *mem)
{
	c->bufs[c->nbufs++] = (struct uvdpa_net_buf){ .mem = mem, .len = ROOM - AT };
}

int nic_open(struct nic *c, const char *mode, const char *poll_us, bool packed)
{
	const struct uvdpa_attr attrs[OPTION] = { { "mode", mode },
						  { "poll_us", poll_us },
						  { "queue_size", "256" } };
	struct uvdpa_dev_opts o = { .size = sizeof(o),
				    .name = "own",
				    .mgmtdev = "sim-net",
				    .attrs = attrs,
				    .nattrs = OPTION };
	struct uvdpa_net_opts no = { .size = sizeof(no),
				     .mem = (size_t)NIC_BUFS * ROOM,
				     .packed = packed };
	struct uvdpa_wait w = { 0 };
	struct uvdpa_dev *dev;
	uint8_t *mem;

	if (uvdpa_create(&c->u))
		goto err;
	uvdpa_set_log(c->u, NULL, UVDPA_LOG_ERR);
	if (uvdpa_await(c->u, &w, uvdpa_dev_add(c->u, &o, &dev, &w)) ||
	    uvdpa_net_open(dev, &no, &c->net))
		goto err;
	mem = uvdpa_net_alloc(c->net, no.mem);
	if (!mem)
		goto err;
	memset(mem, 0xff, no.mem); /* not the first time that it is used; frames for all */
	c->q = uvdpa_net_queue(c->net, 0);
	for (unsigned int i = 0; i < NIC_BUFS; i++)
		put(c, mem + (size_t)i * ROOM + AT - UVDPA_NET_HDR);
	return 0;

err:
	fprintf(stderr, "own: %s\n", uvdpa_error());
	return -1;
}

void nic_close(struct nic *c)
{
	if (!c->u)
		return;
	uvdpa_net_close(c->net);
	uvdpa_destroy(c->u);
	c->net = NULL;
	c->u = NULL;
}

/* Return: what a call of ours says, or 0. */
static unsigned int checked(struct nic *c, int r)
{
	c->errors += r < 0;
	return r < 0 ? 0 : (unsigned int)r;
}

static void post(struct nic *c)
{
	unsigned int n = c->nbufs < NIC_BURST ? c->nbufs : NIC_BURST, done;
	struct uvdpa_net_buf bufs[NIC_BURST];

	c->nbufs -= n;
	memcpy(bufs, c->bufs + c->nbufs, n * sizeof(*bufs));
	done = n ? checked(c, uvdpa_netq_rx_post(c->q, bufs, n)) : 0;
	while (done < n)
		c->bufs[c->nbufs++] = bufs[done++];
}

/* A new frame in each. Return: how many were taken; the caller has the others. */
static unsigned int send_new(struct nic *c, struct uvdpa_net_buf *bufs, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		bufs[i] = (struct uvdpa_net_buf){ .mem = bufs[i].mem,
						  .off = UVDPA_NET_HDR,
						  .len = LEN };
		memset(bufs[i].mem + UVDPA_NET_HDR, 0xff, LEN);
	}
	return n ? checked(c, uvdpa_netq_tx(c->q, bufs, n)) : 0;
}

static void collect(struct nic *c)
{
	uint8_t *done[NIC_BURST];
	unsigned int n = checked(c, uvdpa_netq_tx_done(c->q, done, NIC_BURST));

	for (unsigned int i = 0; i < n; i++)
		put(c, done[i]);
}

static uint64_t send_some(struct nic *c, unsigned int most)
{
	unsigned int n = c->nbufs < most ? c->nbufs : most, sent;
	struct uvdpa_net_buf bufs[NIC_BURST];

	c->nbufs -= n;
	memcpy(bufs, c->bufs + c->nbufs, n * sizeof(*bufs));
	sent = send_new(c, bufs, n);
	for (unsigned int i = sent; i < n; i++)
		put(c, bufs[i].mem);
	collect(c);
	return sent;
}

/* Send what came back where it came from, or keep it. */
static uint64_t recv_some(struct nic *c, bool back)
{
	struct uvdpa_net_buf bufs[NIC_BURST];
	unsigned int n = checked(c, uvdpa_netq_rx(c->q, bufs, NIC_BURST)), sent = 0;

	if (back && n) {
		sent = checked(c, uvdpa_netq_tx(c->q, bufs, n));
		collect(c);
	}
	for (unsigned int i = sent; i < n; i++)
		put(c, bufs[i].mem);
	c->errors += back && sent < n;
	post(c);
	return n;
}

uint64_t nic_run(struct nic *c, enum nic_way way, unsigned int frames, uint64_t until_ns)
{
	unsigned int count = 0;
	uint64_t ops = 0;

	if (way == NIC_LOOP)
		while (c->away < frames)
			c->away += (unsigned int)send_some(
				c, frames - c->away < NIC_BURST ? frames - c->away : NIC_BURST);
	while (!bench_over(until_ns, &count))
		ops += way == NIC_TX ? send_some(c, NIC_BURST) : recv_some(c, way == NIC_LOOP);
	return ops;
}
