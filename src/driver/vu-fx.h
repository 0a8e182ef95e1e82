/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vu-fx.h - for the tests of the vhost-user server: a front-end that follows a script, in the same
 * thread, and a device that is told how to behave
 */
#ifndef VD_DRIVER_VU_FX_H
#define VD_DRIVER_VU_FX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <linux/virtio_config.h>

#include "base/fd.h"
#include "core/fake.h"
#include "wire/vhost-user.h"

#define PF(name) (1ull << VD_VU_PF_##name)
#define ALL_PF (PF(MQ) | PF(REPLY_ACK) | PF(BACKEND_REQ) | PF(CONFIG) | PF(RESET_DEVICE) | \
		PF(CONFIGURE_MEM_SLOTS) | PF(STATUS))
#define NO_STATUS (ALL_PF & ~PF(STATUS))
#define F_PF (1ull << VD_VU_F_PROTOCOL_FEATURES)
#define V1 (1ull << VIRTIO_F_VERSION_1)

#define MEM_SIZE (1u << 20)
#define UVA 0x7f0000000000ull
#define GPA 0x100000ull

struct bed {
	struct uvdpa *u;
	struct fake *f;
	char path[64];
	struct vd_vu_conn c;	/* the front-end's end */
	int mem;
	unsigned int fds;	/* open before a front-end came */
};

int fe_setup(void **state);
int fe_teardown(void **state);
#define FE_TEST(name) cmocka_unit_test_setup_teardown(name, fe_setup, fe_teardown)

/* Until nothing happens any more. */
void fe_pump(struct bed *b);
/* Bind the device again; with one more option if @key. */
void fe_bind(struct bed *b, const char *key, const char *value);

/* A connected socket, of one front-end more. */
int fe_socket(const struct bed *b);
void fe_connect(struct bed *b);
void fe_close(struct bed *b);

/* What a message ends in, seen from the front-end; 1: a reply. */
enum { NONE = 2, GONE = -1 };

int fe_reply(struct bed *b, struct vd_vu_msg *m);
/* Send @m with its descriptors, which stay the caller's; the reply is put into it. */
int fe_ask(struct bed *b, struct vd_vu_msg *m);
/* The same, to be acknowledged. Return: 0 done; 1 refused; NONE; GONE. */
int fe_ack(struct bed *b, struct vd_vu_msg *m);

uint64_t fe_pair(uint32_t index, uint32_t num);
/* A message of one u64, or of two u32, and @fd unless that is -1. Return: as fe_ack(). */
int fe_set(struct bed *b, uint32_t request, uint64_t v, int fd);
/* The same with an eventfd. */
int fe_set_fd(struct bed *b, uint32_t request, uint64_t v);
uint64_t fe_get(struct bed *b, uint32_t request, uint64_t v, uint32_t size);
int fe_set_mem(struct bed *b, uint64_t gpa, uint64_t size, uint64_t uva, uint64_t off);
int fe_slot(struct bed *b, uint32_t request, uint64_t gpa, uint64_t size, uint64_t uva,
	    uint64_t off);
int fe_set_addr(struct bed *b, uint32_t idx, uint64_t desc);

/* Up to agreed features; up to a ring that is set up; up to ring 0 that runs. */
void fe_hello(struct bed *b, uint64_t pf);
void fe_ring(struct bed *b, uint32_t idx, uint32_t base);
void fe_start(struct bed *b, uint64_t pf);

#endif
