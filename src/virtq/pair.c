/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtq/pair.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "virtq/ring.h"

struct vd_virtq_conf pair_conf(const struct pair *p)
{
	return (struct vd_virtq_conf){
		.features = p->features,
		.mem = p->mem,
		.num = p->num,
		.desc = PAIR_IOVA + p->layout.desc,
		.driver = PAIR_IOVA + p->layout.driver,
		.device = PAIR_IOVA + p->layout.device,
		.state = vd_virtq_drv_state(p->drv),
		.inflight = p->inflight,
		.inflight_num = p->num,
		.chain_size = sizeof(struct pair_req),
		.iov_max = p->iov_max,
	};
}

int pair_init(struct pair *p)
{
	bool packed = p->features & VD_F(VIRTIO_F_RING_PACKED);
	struct uvdpa_map map = { .iova = PAIR_IOVA, .fd = -1, .prot = UVDPA_MAP_RW };
	struct vd_virtq_drv_conf conf = {
		.features = p->features,
		.num = p->num,
		.ring_iova = PAIR_IOVA,
		.indirect_max = p->indirect_max,
	};
	struct vd_virtq_conf dev;
	int r;

	if (!p->iov_max)
		p->iov_max = 64;
	p->layout = vd_vring_layout(p->num, packed, p->indirect_max);
	p->data_size = vd_align_up(p->data_size, 4096);
	p->size = vd_align_up(p->layout.size, 4096) + p->data_size;
	p->memory = p->shared ? mmap(NULL, p->size + p->inflight_size, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0) :
				aligned_alloc(4096, p->size + vd_align_up(p->inflight_size, 4096));
	p->mem = vd_mem_create();
	if (!p->memory || p->memory == MAP_FAILED || !p->mem)
		return -ENOMEM;
	memset(p->memory, 0xee, p->size);
	if (p->inflight_size) {
		memset(p->memory + p->size, 0, p->inflight_size);
		p->inflight = vd_guest_wrap(void, p->memory + p->size);
	}
	p->data = p->memory + p->size - p->data_size;
	p->data_iova = PAIR_IOVA + (uint64_t)(p->data - p->memory);
	map.addr = p->memory;
	map.len = p->size;
	conf.ring = p->memory;
	r = vd_mem_map(&p->mem, &map, true);
	if (r)
		return r;
	r = vd_virtq_drv_create(&conf, &p->drv);
	if (r)
		return r;
	dev = pair_conf(p);
	return vd_virtq_create(&dev, &p->dev);
}

int pair_restart(struct pair *p)
{
	struct vd_virtq_conf conf = pair_conf(p);

	conf.state = vd_virtq_state(p->dev);
	vd_virtq_destroy(p->dev);
	p->dev = NULL;
	return vd_virtq_create(&conf, &p->dev);
}

void pair_fini(struct pair *p)
{
	vd_virtq_destroy(p->dev);
	vd_virtq_drv_destroy(p->drv);
	vd_mem_destroy(p->mem);
	if (p->shared)
		munmap(p->memory, p->size + p->inflight_size);
	else
		free(p->memory);
}
