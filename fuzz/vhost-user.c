/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user.c - a front-end that sends what the input says, to the server with a RAM disk
 *
 * The input is records: one byte says how many bytes of the stream follow (its low 6 bits are the
 * length; 0: a whole message is made of the next bytes, right in size and version, or the guest
 * writes them into its memory, or waits) and which descriptor goes with them: none, an eventfd, the
 * guest's memory, a socket. After each record the server runs. At the end the front-end goes, and the device must be as it was: reset, without
 * mappings, and no descriptor more open than before.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/open-fds.h"
#include "core/core.h"
#include "fuzz.h"
#include "wire/vhost-user.h"

#define MEM_SIZE (1u << 16)
/* In place of a request: */
#define GUEST_WRITES 0xff	/* where, 2 bytes; how many, 1; and they */
#define GUEST_WAITS 0xfe	/* for the disk's thread, as far as that can be known */
#define WAITS_MAX 4		/* of one input */

#define must(cond) ((cond) ? (void)0 : abort())

static struct uvdpa *u;		/* made once: a process is for one input after another */
static struct uvdpa_dev *dev;
static struct sockaddr_un sa = { .sun_family = AF_UNIX };
static int fds[4];		/* 0: none */
static uint8_t *memory;		/* the guest's */
static unsigned int waits;

static void quiet(struct uvdpa_log *l, enum uvdpa_log_level level, const char *line)
{
	(void)l, (void)level, (void)line;
}

static struct uvdpa_log nowhere = { .line = quiet };

static void begin(void)
{
	struct uvdpa_attr disk[] = { { "capacity", "64K" }, { "num_queues", "2" } };
	struct uvdpa_attr sock[] = { { "socket", sa.sun_path }, { "inband", "on" } };
	int sv[2];

	snprintf(sa.sun_path, sizeof(sa.sun_path), "/tmp/uvdpa-fuzz.%d", (int)getpid());
	must(!uvdpa_create(&u));
	uvdpa_set_log(u, &nowhere, UVDPA_LOG_ERR);
	must(!uvdpa_dev_add(u, &(struct uvdpa_dev_opts){ .size = sizeof(struct uvdpa_dev_opts),
			    .name = "d0", .mgmtdev = "sim-blk", .attrs = disk, .nattrs = 2,
			    .driver = "vhost-user", .driver_attrs = sock, .ndriver_attrs = 2 },
			    &dev, NULL));
	fds[1] = vd_eventfd();
	fds[2] = memfd_create("guest", MFD_CLOEXEC);
	must(!ftruncate(fds[2], MEM_SIZE));
	memory = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[2], 0);
	must(memory != MAP_FAILED);
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv));
	fds[3] = sv[0];	/* the other end stays open: it never reads */
}

static void end(void)
{
	uvdpa_destroy(u);	/* the socket's file with it */
	munmap(memory, MEM_SIZE);
}

static void put(int s, const void *p, size_t len, unsigned int with, unsigned int nfds)
{
	uint8_t copy[VD_VU_HDR_SIZE + sizeof(struct vd_vu_config)];
	struct iovec iov = { copy, len };
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(8 * sizeof(int))];
	} ctl = { 0 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	memcpy(copy, p, len);
	if (with && nfds) {
		ctl.h.cmsg_level = SOL_SOCKET;
		ctl.h.cmsg_type = SCM_RIGHTS;
		ctl.h.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		for (unsigned int i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(&ctl.h) + i * sizeof(int), &fds[with], sizeof(int));
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
	}
	if (sendmsg(s, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;	/* it was dropped, or does not read */
}

/* Sizes that pass, so that the input need not find them. */
static uint32_t size_of(uint32_t request)
{
	switch (request) {
	case VD_VU_SET_MEM_TABLE:
		return 8 + 2 * 32;
	case VD_VU_SET_VRING_ADDR:
	case VD_VU_ADD_MEM_REG:
	case VD_VU_REM_MEM_REG:
		return 40;
	case VD_VU_GET_CONFIG:
	case VD_VU_SET_CONFIG:
		return 12 + 32;
	case VD_VU_GET_INFLIGHT_FD:
	case VD_VU_SET_INFLIGHT_FD:
		return 24;
	case VD_VU_GET_FEATURES:
	case VD_VU_SET_OWNER:
	case VD_VU_RESET_OWNER:
	case VD_VU_GET_PROTOCOL_FEATURES:
	case VD_VU_GET_QUEUE_NUM:
	case VD_VU_GET_MAX_MEM_SLOTS:
	case VD_VU_GET_STATUS:
	case VD_VU_RESET_DEVICE:
	case VD_VU_SET_BACKEND_REQ_FD:
		return 0;
	default:
		return 8;
	}
}

/* Return: bytes of the input that it took. */
static size_t guest_writes(const uint8_t *data, size_t size)
{
	size_t at, len;

	if (size < 3)
		return size;
	at = data[0] | data[1] << 8;
	len = vd_min((size_t)data[2], size - 3);
	memcpy(memory + at, data + 3, vd_min(len, MEM_SIZE - at));
	return 3 + len;
}

static void run(void)
{
	for (int idle = 0; idle < 2;)
		idle = uvdpa_dispatch(u, 0) > 0 ? 0 : idle + 1;
}

/* One record. Return: bytes of the input that it took. */
static size_t record(int s, const uint8_t *data, size_t size)
{
	unsigned int how = data[0] & 0x3f, with = data[0] >> 6;
	size_t len = vd_min((size_t)how, size - 1);
	struct {
		uint32_t hdr[3];
		uint8_t payload[sizeof(struct vd_vu_config)];
	} m = { 0 };

	if (how) {
		put(s, data + 1, len, with, 1);
		return 1 + len;
	}
	if (size < 2)
		return size;
	if (data[1] == GUEST_WRITES)
		return 2 + guest_writes(data + 2, size - 2);
	if (data[1] == GUEST_WAITS) {
		if (waits++ < WAITS_MAX)
			usleep(300);
		return 2;
	}
	m.hdr[0] = data[1] % VD_VU_REQUEST_MAX;
	m.hdr[1] = VD_VU_VERSION | (data[1] & 0x80 ? VD_VU_NEED_REPLY : 0);
	m.hdr[2] = size_of(m.hdr[0]);
	len = vd_min((size_t)m.hdr[2], size - 2);
	memcpy(m.payload, data + 2, len);
	put(s, &m, VD_VU_HDR_SIZE + m.hdr[2], with,
	    m.hdr[0] == VD_VU_SET_MEM_TABLE ? m.payload[0] & 7 : 1);
	return 2 + len;
}

static void drain(int s)
{
	char buf[4096];

	while (recv(s, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int before;
	int s;

	if (!u) {
		begin();
		atexit(end);
	}
	run();
	memset(memory, 0, MEM_SIZE);
	waits = 0;
	before = open_fds();
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(!connect(s, (struct sockaddr *)&sa, sizeof(sa)));
	run();
	while (size) {
		size_t n = record(s, data, size);

		data += n;
		size -= n;
		run();
		drain(s);
	}
	close(s);
	for (int i = 0; i < 3000; i++) {
		run();
		if (!uvdpa_dev_status(dev) && open_fds() == before)
			break;
		uvdpa_dispatch(u, 1);
	}
	must(!uvdpa_dev_status(dev));
	must(!vd_dev_mem(dev, 0)->n);
	must(open_fds() == before);
	return 0;
}
