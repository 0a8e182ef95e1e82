/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe.h - places at which a tracer can look on: USDT, as <sys/sdt.h> has it
 *
 * Where none is attached each is one instruction that does nothing. What there is:
 *
 *	request_take(device, queue, request)		taken from the ring
 *	request_submit(device, request)			handed to the parent; of disks
 *	request_done(device, queue, request, ok)	the parent has done it
 *	request_give(device, queue, request, written)	given back to the ring
 *	queue_notify(device, queue)			the driver is called
 *	gate(device, operation, value, value)		a call of the parent by the gate
 *
 * Devices and operations are strings; a request is a number, its own until it is given back.
 */
#ifndef VD_BASE_PROBE_H
#define VD_BASE_PROBE_H

#ifdef VD_PROBES
#define SDT_USE_VARIADIC
#include <sys/sdt.h>

#define vd_probe(name, ...) STAP_PROBEV(uvdpa, name, __VA_ARGS__)
#else
#define vd_probe(name, ...) ((void)0)
#endif

#endif
