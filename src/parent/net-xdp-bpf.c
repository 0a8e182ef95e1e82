/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-xdp-bpf.c - the program at the interface: what comes in goes to the socket of its queue
 *
 *	return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
 *
 * Six instructions, which need neither a compiler nor a library to load them. A library would also
 * pin what it loads in the file system, for the next one to find: after a crash it would stay. Here
 * nothing is pinned, and the descriptor of the link is all that holds it.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "parent/net-xdp.h"

#define LOG 4096

static int bpf(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static uint64_t pointer(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static int fails(const char *what)
{
	int e = errno;

	return vd_err(-e, "%s: %m%s", what,
		      e == EPERM ? " (it takes CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF)" : "");
}

static int make_map(unsigned int n)
{
	union bpf_attr a;
	int fd;

	memset(&a, 0, sizeof(a));
	a.map_type = BPF_MAP_TYPE_XSKMAP;
	a.key_size = a.value_size = 4;
	a.max_entries = n;
	strcpy(a.map_name, "uvdpa_sockets");
	fd = bpf(BPF_MAP_CREATE, &a);
	return fd < 0 ? fails("map of sockets") : fd;
}

static int load(int map)
{
	const struct bpf_insn insns[] = {
		/* r2 = ctx->rx_queue_index */
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_2, .src_reg = BPF_REG_1,
		  .off = offsetof(struct xdp_md, rx_queue_index) },
		/* r1 = map, in two */
		{ .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = BPF_REG_1,
		  .src_reg = BPF_PSEUDO_MAP_FD, .imm = map },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	char log[LOG] = "";
	union bpf_attr a;
	int fd;

	memset(&a, 0, sizeof(a));
	a.prog_type = BPF_PROG_TYPE_XDP;
	a.expected_attach_type = BPF_XDP;
	a.insns = pointer(insns);
	a.insn_cnt = VD_ARRAY_SIZE(insns);
	a.license = pointer("BSD-2-Clause");
	strcpy(a.prog_name, "uvdpa");
	fd = bpf(BPF_PROG_LOAD, &a);
	if (fd >= 0 || errno == EPERM)
		return fd < 0 ? fails("XDP program") : fd;
	a.log_buf = pointer(log);
	a.log_size = sizeof(log);
	a.log_level = 1;
	fd = bpf(BPF_PROG_LOAD, &a);
	log[strcspn(log, "\n")] = '\0';
	return fd < 0 ? vd_err(-errno, "XDP program: %m: %s", log) : fd;
}

static int make_link(const struct vd_xdp_if *dev, uint32_t mode)
{
	union bpf_attr a;

	memset(&a, 0, sizeof(a));
	a.link_create.prog_fd = (uint32_t)dev->prog;
	a.link_create.target_ifindex = (uint32_t)dev->index;
	a.link_create.attach_type = BPF_XDP;
	a.link_create.flags = mode;
	return bpf(BPF_LINK_CREATE, &a);
}

int vd_xdp_attach(struct vd_xdp_if *dev, unsigned int first, unsigned int how)
{
	dev->map = make_map(first + dev->nqueues);
	if (dev->map < 0)
		return dev->map;
	dev->prog = load(dev->map);
	if (dev->prog < 0)
		return dev->prog;
	dev->native = how != VD_XDP_GENERIC;
	dev->link = make_link(dev, dev->native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	/* A driver cannot at all, or not with this MTU, say. */
	if (dev->link < 0 && how == VD_XDP_AUTO && errno != EBUSY && errno != EPERM) {
		dev->native = false;
		dev->link = make_link(dev, XDP_FLAGS_SKB_MODE);
	}
	if (dev->link >= 0)
		return 0;
	if (errno == EBUSY || errno == EEXIST)
		return vd_err(-EBUSY, "there is an XDP program already");
	return fails(dev->native ? "native XDP" : "generic XDP");
}

int vd_xdp_map(const struct vd_xdp_if *dev, unsigned int queue, int fd)
{
	uint32_t key = queue, value = (uint32_t)fd;
	union bpf_attr a;

	memset(&a, 0, sizeof(a));
	a.map_fd = (uint32_t)dev->map;
	a.key = pointer(&key);
	a.value = pointer(&value);
	return bpf(BPF_MAP_UPDATE_ELEM, &a) ? fails("map of sockets") : 0;
}
