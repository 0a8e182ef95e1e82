/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net-ctrl.c - the control queue of a network device (virtio 1.3, 5.1.6.5)
 *
 *	out: | class | command | what belongs to it |	in: | ack |
 */
#include "softdev/net.h"

static uint8_t set_pairs(struct vd_net *net, struct vd_sg *sg)
{
	uint16_t le;

	if (!vd_net_has(net, VD_NET_F(MQ)) || vd_sg_read(sg, &le, sizeof(le)) < sizeof(le) ||
	    !le || le16toh(le) > net->conf.max_vqp)
		return VIRTIO_NET_ERR;
	vd_net_use_pairs(net, le16toh(le));
	return VIRTIO_NET_OK;
}

static uint8_t command(struct vd_net *net, struct vd_chain *c)
{
	struct vd_sg sg = vd_sg(c->iov, c->nout);
	struct virtio_net_ctrl_hdr hdr;

	if (vd_sg_read(&sg, &hdr, sizeof(hdr)) < sizeof(hdr))
		return VIRTIO_NET_ERR;
	if (hdr.class == VIRTIO_NET_CTRL_MQ && hdr.cmd == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET)
		return set_pairs(net, &sg);
	return VIRTIO_NET_ERR;
}

void vd_net_ctrl(struct vd_softq *q, struct vd_chain **chains, unsigned int n)
{
	struct vd_net *net = container_of(vd_softq_dev(q), struct vd_net, sd);

	for (unsigned int i = 0; i < n; i++) {
		struct vd_chain *c = chains[i];
		struct vd_sg in = vd_sg(c->iov + c->nout, c->nin);
		uint8_t ack = command(net, c);

		vd_net_count(&net->ctrl.requests, 1);
		vd_net_count(ack == VIRTIO_NET_OK ? &net->ctrl.successes : &net->ctrl.errors, 1);
		vd_softq_done(q, c, (uint32_t)vd_sg_write(&in, &ack, sizeof(ack)),
			      ack == VIRTIO_NET_OK);
	}
}
