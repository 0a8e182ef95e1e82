/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch.c - observers
 *
 * An observer may remove itself or any other in its callback, and add one: walks that are under
 * way are known to the context and moved on. A new one is told the present state when it is
 * added, so a walk that is under way must not reach it.
 */
#include "core/dev.h"

/* A walk: the next to be told, and where it ends. */
struct vd_watch_iter {
	struct vd_list *next, *stop;
	struct vd_watch_iter *outer;
};

/* reserved[0] and [1] are a list node, [2] is the context. */
static_assert(sizeof(struct vd_list) == 2 * sizeof(void *), "fits uvdpa_watch.reserved");

static struct vd_list *node_of(struct uvdpa_watch *w)
{
	return (struct vd_list *)(void *)&w->reserved[0];
}

static struct uvdpa_watch *watch_of(struct vd_list *node)
{
	return container_of((void **)(void *)node, struct uvdpa_watch, reserved[0]);
}

void vd_watch_tell(struct vd_dev *d, enum uvdpa_event ev)
{
	struct uvdpa *u = d->u;
	struct vd_watch_iter it = { u->watches.next, &u->watches, u->iters };

	u->iters = &it;
	while (it.next != it.stop) {
		struct uvdpa_watch *w = watch_of(it.next);

		it.next = it.next->next;
		w->event(w, ev, d->dev);
	}
	u->iters = it.outer;
}

static const enum uvdpa_event states[] = { UVDPA_DEV_ADDED, UVDPA_DEV_READY, UVDPA_DEV_BOUND };

void uvdpa_watch_add(struct uvdpa *u, struct uvdpa_watch *w)
{
	struct vd_list *node = node_of(w);
	struct vd_dev *d;

	if (!vd_ctx_admits(u, __func__))
		return;
	w->reserved[2] = u;
	vd_list_init(node);
	vd_list_add(&u->watches, node);
	for (struct vd_watch_iter *it = u->iters; it; it = it->outer)
		if (it->stop == &u->watches)
			it->stop = node;
	/* It may remove itself from its callback; then its node is alone. */
	vd_list_for_each(d, &u->devs, node)
		for (unsigned int i = 0; i < VD_ARRAY_SIZE(states); i++)
			if ((d->told & 1u << states[i]) && !vd_list_empty(node))
				w->event(w, states[i], d->dev);
}

void uvdpa_watch_del(struct uvdpa_watch *w)
{
	struct vd_list *node = node_of(w);
	struct uvdpa *u = w->reserved[2];

	if (!u)
		return;		/* never added */
	for (struct vd_watch_iter *it = u->iters; it; it = it->outer) {
		if (it->next == node)
			it->next = node->next;
		if (it->stop == node)
			it->stop = node->next;
	}
	vd_list_del(node);
}
