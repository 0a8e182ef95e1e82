/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user-fx.h - for the tests of the front-end: a back-end that follows a script, in the same
 * thread, says whatever a case wants it to say and keeps what it was told; and a bus driver that
 * only holds the device
 */
#ifndef VD_PARENT_VHOST_USER_FX_H
#define VD_PARENT_VHOST_USER_FX_H

#include <errno.h>
#include <linux/virtio_config.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/open-fds.h"
#include "base/unix.h"
#include "core/core.h"
#include "parent/vhost-user.h"

#define PF(bit) (1ull << VD_VU_PF_##bit)
#define PROTOCOL_ALL                                                                        \
	(PF(MQ) | PF(REPLY_ACK) | PF(BACKEND_REQ) | PF(CONFIG) | PF(RESET_DEVICE) |         \
	 PF(CONFIGURE_MEM_SLOTS) | PF(STATUS))
#define F_PROTOCOL VD_BIT(VD_VU_F_PROTOCOL_FEATURES)
#define F_V1 VD_BIT(VIRTIO_F_VERSION_1)
#define F_PACKED VD_BIT(VIRTIO_F_RING_PACKED)
#define F_IN_ORDER VD_BIT(VIRTIO_F_IN_ORDER)
#define NQ 4u

enum how { WELL, WRONG_ID, WRONG_SIZE, NOT_A_REPLY, WRONG_VERSION, TWICE, HALF, CLOSE, SILENT, NACK };

struct be {
	char path[108];
	int listener;
	struct vd_vu_conn c;
	bool connected;
	bool deaf;			/* does not accept */
	/* the script */
	uint64_t features, protocol, queue_num, slots;
	uint32_t config_size;		/* it answers only up to this */
	uint8_t config[VD_VU_CONFIG_MAX];
	uint32_t base[NQ];
	int region;			/* what it hands out as an in-flight region; -1: none */
	uint64_t region_size;		/* what it says of that */
	uint32_t at;			/* the request that is treated so: */
	enum how how;
	/* what it was told */
	unsigned int connections, n[VD_VU_REQUEST_MAX];
	struct vd_vu_msg last[VD_VU_REQUEST_MAX];	/* without descriptors */
	uint32_t order[512];
	unsigned int norder;
	int kick[NQ], call[NQ], err[NQ];
	int back;
	int inflight;			/* what SET_INFLIGHT_FD brought; -1: nothing */
};

struct fx {
	struct uvdpa *u;
	struct uvdpa_dev *dev;
	struct be be;
	char dir[32];
	uint8_t *mem;			/* 64 KiB at iova 0x10000: 16 pages, as the rings need */
	int memfd, kick, call;
	struct uvdpa_wait w;
	char error[256];		/* with which w ended */
	bool mapped;
};

#define IOVA 0x10000u
#define MEM_LEN 0x10000u
#define DESC (IOVA)
#define DRIVER (IOVA + 0x1000)
#define DEVICE (IOVA + 0x2000)

/* What the driver was told, by enum uvdpa_event; of the current test. */
extern unsigned int changed[UVDPA_DEV_ATTRS + 1];

void be_listen(struct be *b);
void be_hangup(struct be *b);
void be_forget(struct be *b);	/* what it was told so far */

int setup(void **state);
int teardown(void **state);
/* One turn of the loop and of the back-end. */
void turn(struct fx *t);

#define wait_until(t, cond)                                              \
	do {                                                             \
		uint64_t due_ns_ = vd_now_ns() + 6000000000ull;          \
		while (!(cond)) {                                        \
			if (vd_now_ns() > due_ns_)                       \
				fail_msg("never: %s", #cond);            \
			turn(t);                                         \
		}                                                        \
	} while (0)

/* As the back-end is now. @key and @value: one more option, or NULL. Return: as uvdpa_await(). */
int add(struct fx *t, const char *key, const char *value);
/* The end of what returned @r with &t->w. */
int ended(struct fx *t, int r);
void map_all(struct fx *t);	/* unless it is */
/* A device with queue 0 running. */
void start(struct fx *t, uint64_t features);
/* The index of a ring's area, as its writer would set it. */
void set_idx(struct fx *t, uint64_t area, uint16_t idx);

int run_tests_of_running(void);

#endif
