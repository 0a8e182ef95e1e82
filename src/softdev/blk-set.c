/* SPDX-License-Identifier: BSD-2-Clause */
/* blk-set.c - what can be changed of a disk while it is used, and what it shows of itself */
#include <errno.h>

#include "base/err.h"
#include "base/size.h"
#include "softdev/blk.h"

struct set_conf {
	uint64_t size;
	bool shrink;
	struct vd_softdev_limits limits;
};

/* Bits of @given: the places in the table. */
enum { SIZE, SHRINK, IOPS, IOPS_BURST, BPS, BPS_BURST };

static const struct uvdpa_opt set_opts[] = {
	[SIZE] = { .key = "size",
		   .type = UVDPA_OPT_SIZE,
		   .offset = offsetof(struct set_conf, size),
		   .max = INT64_MAX,
		   .changes = "capacity",
		   .help = "bytes; 0: look what the store has now" },
	[SHRINK] = { .key = "shrink",
		     .type = UVDPA_OPT_BOOL,
		     .offset = offsetof(struct set_conf, shrink),
		     .help = "with size: it may be less than now, and what is beyond is lost" },
	VD_BLK_LIMIT_OPTS(struct set_conf, limits),
	{ 0 },
};

static struct vd_blk *to_blk(struct uvdpa_dev *dev)
{
	return container_of(container_of(dev, struct vd_softdev, dev), struct vd_blk, sd);
}

int vd_blk_no_resize(struct vd_blk *blk, uint64_t bytes, uint64_t *ret_bytes)
{
	(void)bytes, (void)ret_bytes;
	return vd_err(-EOPNOTSUPP, "%s: its size does not change", blk->sd.name);
}

void vd_blk_show_nothing(struct vd_blk *blk, struct uvdpa_emit *e)
{
	(void)blk, (void)e;
}

static int resize(struct vd_blk *blk, const struct set_conf *c)
{
	uint64_t sectors = blk->capacity_sectors, now = sectors * VD_BLK_SECTOR, bytes = 0;
	bool less = c->size && c->size < now;
	char has[VD_SIZE_TEXT], wanted[VD_SIZE_TEXT];
	int r;

	if (c->size % blk->conf.block_size)
		return vd_err(-EINVAL, "%s: size %llu is no whole number of blocks of %u bytes",
			      blk->sd.name, (unsigned long long)c->size, blk->conf.block_size);
	if (less && !c->shrink)
		return vd_err(-EINVAL,
			      "%s: size %s, and it has %s: what is beyond would be lost; "
			      "shrink on if it shall",
			      blk->sd.name, vd_size_text(c->size, wanted), vd_size_text(now, has));
	/* Nobody may begin to use what is about to go. */
	if (less)
		vd_blk_set_capacity(blk, c->size / VD_BLK_SECTOR);
	r = blk->ops->resize(blk, c->size, &bytes);
	if (!r)
		return vd_blk_set_capacity(blk, bytes / VD_BLK_SECTOR);
	if (less)
		vd_blk_set_capacity(blk, sectors);
	return r;
}

static void set_limits(struct vd_blk *blk, const struct vd_softdev_limits *to, uint64_t given)
{
	struct vd_softdev_limits l = blk->sd.limits;

	l.iops = given >> IOPS & 1 ? to->iops : l.iops;
	l.iops_burst = given >> IOPS_BURST & 1 ? to->iops_burst : l.iops_burst;
	l.bps = given >> BPS & 1 ? to->bps : l.bps;
	l.bps_burst = given >> BPS_BURST & 1 ? to->bps_burst : l.bps_burst;
	vd_softdev_set_limits(&blk->sd, &l);
}

static int blk_set(struct uvdpa_dev *dev, const void *conf, uint64_t given)
{
	struct vd_blk *blk = to_blk(dev);
	const struct set_conf *c = conf;
	int r;

	if (given & 1u << SHRINK && !(given & 1u << SIZE))
		return vd_err(-EINVAL, "%s: shrink without size", blk->sd.name);
	if (given & 1u << SIZE) {
		r = resize(blk, c);
		if (r)
			return r;
	}
	if (given >> IOPS)
		set_limits(blk, &c->limits, given);
	return 0;
}

const struct uvdpa_set_ops vd_blk_set_ops = {
	.opts = set_opts,
	.conf_size = sizeof(struct set_conf),
	.set = blk_set,
};

static void blk_show(struct uvdpa_dev *dev, struct uvdpa_emit *e)
{
	struct vd_blk *blk = to_blk(dev);
	const struct vd_softdev_limits *l = &blk->sd.limits;
	const struct {
		const char *key;
		uint64_t value;
	} limits[] = {
		{ "iops", l->iops }, { "iops_burst", l->iops_burst },
		{ "bps", l->bps }, { "bps_burst", l->bps_burst },
	};

	e->num(e, "size", blk->capacity_sectors * VD_BLK_SECTOR);
	if (blk->conf.readonly)
		e->flag(e, "readonly", true);
	blk->ops->show(blk, e);
	for (unsigned int i = 0; i < VD_ARRAY_SIZE(limits); i++)
		if (limits[i].value)
			e->num(e, limits[i].key, limits[i].value);
	if (__atomic_load_n(&blk->paused, __ATOMIC_RELAXED))
		e->str(e, "paused", "no space");
	if (__atomic_load_n(&blk->writes_lost, __ATOMIC_RELAXED))
		e->flag(e, "writes_lost", true);
}

const struct uvdpa_show_ops vd_blk_show_ops = { .show = blk_show };
