/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.h - the control protocol: what can be asked, and the shape of each answer
 *
 * uvdpad offers the methods over a socket, "uvdpa run" calls them in its own process; neither
 * knows what they do. A method takes and gives JSON as doc/control-protocol.md describes it.
 */
#ifndef VD_CONTROL_CONTROL_H
#define VD_CONTROL_CONTROL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <uvdpa/uvdpa.h>

#include "control/levels.h"

/* The version of the methods' meaning, not of the program. */
#define VD_CONTROL_VERSION 1

#define VD_CONTROL_SOCKET "/run/uvdpa/uvdpad.sock"

/* JSON-RPC 2.0, 5.1 */
enum {
	VD_RPC_PARSE = -32700,
	VD_RPC_INVALID = -32600,
	VD_RPC_NO_METHOD = -32601,
	VD_RPC_BAD_PARAMS = -32602,
	VD_RPC_FAILED = -32000, /* ours: the operation failed, data has the errno */
};

/**
 * struct vd_call_levels - Levels of a log, for the methods that show and set them
 * @now: as they are
 * @set: others from now on; copied
 */
struct vd_call_levels {
	const struct vd_levels *now;
	void (*set)(struct vd_call_levels *l, const struct vd_levels *levels);
};

/**
 * struct vd_call - One call of a method; zero it, set @done, embed it
 * @done: the call has ended; only when vd_call_start() returned false
 * @result: what it answered; whoever started the call puts it
 * @error: why it failed; likewise. One of the two is set.
 * @levels: of the log of whom is asked; NULL: it has none. Borrowed
 * @wait: the method's
 * @watch: the method wants events for whoever asked, from after number @since on; UINT64_MAX: new ones
 */
struct vd_call {
	void (*done)(struct vd_call *call);
	struct json_object *result;
	struct json_object *error;
	struct vd_call_levels *levels;
	struct uvdpa_wait wait;
	bool watch;
	uint64_t since;
};

/**
 * vd_call_start() - Call a method
 * @u: what it works on
 * @method: its name
 * @params: its parameters, an object, or NULL for none; borrowed for the call
 * @call: keep it until the call has ended
 *
 * Return: true if it has ended; false if call->done will come, from uvdpa_dispatch().
 * Context: control thread.
 */
bool vd_call_start(struct uvdpa *u, const char *method, struct json_object *params,
		   struct vd_call *call);

/**
 * vd_control_check() - Could dev.add be called with these parameters?
 *
 * As far as can be known without trying; the name may be taken. Return: 0; -errno with a sentence.
 */
int vd_control_check(struct uvdpa *u, struct json_object *params);

/**
 * vd_rpc_error() - An error as JSON-RPC has it
 * @code: VD_RPC_...
 * @err: -errno, or 0 for none
 * @text: the sentence
 *
 * Return: the object, the caller's.
 */
struct json_object *vd_rpc_error(int code, int err, const char *text);

/* What a device, a parent, a driver is. Return: an object, the caller's. */
struct json_object *vd_show_dev(struct uvdpa_dev *dev);
struct json_object *vd_show_parent(const struct uvdpa_parent *p);
struct json_object *vd_show_driver(const struct uvdpa_driver *d);

/**
 * vd_show_provision() - What a device is made of
 *
 * Return: parameters of dev.add that make the same device again; the caller's.
 */
struct json_object *vd_show_provision(struct uvdpa_dev *dev);

/* A table of options. */
struct json_object *vd_show_opts(const struct uvdpa_opt *opts);

/* Names of the feature bits of @features, "bit_N" for one without. */
struct json_object *vd_show_features(uint32_t device_id, uint64_t features);

/* Names of the bits of a status byte. */
struct json_object *vd_show_status(uint8_t status);

/* Puts what it receives into a JSON object. */
struct vd_emit_json {
	struct uvdpa_emit emit;
	struct json_object *obj;
};

void vd_emit_json_init(struct vd_emit_json *e, struct json_object *obj);

#endif
