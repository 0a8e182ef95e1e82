/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake.h - a parent and bus drivers for the tests of core
 *
 * Both write down what they are asked to do, as words in a line, so a test compares the order of
 * calls with a string. The parent obeys, answers late or never, or fails, as it is told.
 */
#ifndef VD_CORE_FAKE_H
#define VD_CORE_FAKE_H

#include "base/open-fds.h"
#include "core/core.h"

#define FAKE_VQS 4
#define FAKE_NUM_MAX 256
#define FAKE_CONFIG 16
#define FAKE_FEATURES (1ull << 32 | 1ull << 33 | 1ull << 34 | 1ull << 12 | 1ull << 6)

enum fake_quiesce { FAKE_AT_ONCE, FAKE_LATER, FAKE_NEVER };

struct fake_vq {
	struct uvdpa_vq vq;
	struct uvdpa_vq_state at;	/* where it says it stands */
	bool running;
};

struct fake {
	struct uvdpa_dev dev;
	struct vd_loop *loop;
	struct vd_post answer;		/* FAKE_LATER */
	enum fake_quiesce quiesce;
	unsigned int asked;		/* bit idx: quiesce was called, no answer yet */
	bool asked_all;
	const char *fail;		/* the operation that fails, once */
	int fail_err;
	const char *fail_always;
	bool fail_asid1;		/* to map into address space 1 */
	uint64_t features;
	uint8_t status;
	uint8_t config[FAKE_CONFIG];
	struct fake_vq vqs[FAKE_VQS];
	unsigned int maps;		/* that it was told of and not untold */
	char log[4096];
};

static inline struct fake *to_fake(struct uvdpa_dev *dev)
{
	return container_of(dev, struct fake, dev);
}

/* Answer every quiesce that is open. */
void fake_answer(struct fake *f);
/* What was logged since the last time, without a blank at the end. */
const char *fake_log(struct fake *f);

/* Devices of this process that were made and not destroyed, of all contexts. */
extern int fakes;

/* Options: "proxy" on: with mem ops; "late" on: not ready yet; "fail" N: add fails with -N;
 * "id" N: device id; "string" for nothing. */
extern const struct uvdpa_parent fake_parent;

struct fake_binding {
	struct uvdpa_binding b;
	struct uvdpa_dev *dev;
	bool hold;		/* does not answer quiesce */
	unsigned int changed[8];	/* by event */
	struct uvdpa_wait w[4];		/* for a test's use; go with the binding */
	bool quiesced;
};

/* "a" and "b" take any device, "blk" block devices. Options: "fail" N; "hold" on. */
extern const struct uvdpa_driver fake_a, fake_b, fake_blk;
extern int fake_bindings;
/* The last one that was made and not removed. */
extern struct fake_binding *fake_bound;

/* A context with all of the above. */
struct uvdpa *fake_context(void);
/* Add a device, "NAME", with one option or none (NULL), bound to a driver or none (NULL). */
struct fake *fake_add(struct uvdpa *u, const char *name, const char *key, const char *value,
		      const char *driver);
/* Up to DRIVER_OK with queues 0 and 1. */
void fake_run(struct fake *f);

#endif
