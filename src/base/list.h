/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * list.h - a doubly linked list whose nodes lie in what they link
 *
 * A struct vd_list is a head or a node. A node that is in no list points at itself once it was
 * initialised or deleted, so deleting twice is harmless.
 */
#ifndef VD_BASE_LIST_H
#define VD_BASE_LIST_H

#include <stdbool.h>

#include "base/util.h"

struct vd_list {
	struct vd_list *next, *prev;
};

static inline void vd_list_init(struct vd_list *l)
{
	l->next = l->prev = l;
}

static inline bool vd_list_empty(const struct vd_list *l)
{
	return l->next == l;
}

/* Before @head, so at the end of its list. */
static inline void vd_list_add(struct vd_list *head, struct vd_list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void vd_list_del(struct vd_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	vd_list_init(node);
}

#define vd_list_entry(l, type, m) container_of(l, type, m)

#define vd_list_for_each(pos, head, m)                                             \
	for (pos = vd_list_entry((head)->next, __typeof__(*pos), m); &pos->m != (head); \
	     pos = vd_list_entry(pos->m.next, __typeof__(*pos), m))

/* @pos may be deleted in the loop, @tmp not. */
#define vd_list_for_each_safe(pos, tmp, head, m)                                   \
	for (pos = vd_list_entry((head)->next, __typeof__(*pos), m),               \
	    tmp = vd_list_entry(pos->m.next, __typeof__(*pos), m);                 \
	     &pos->m != (head);                                                    \
	     pos = tmp, tmp = vd_list_entry(tmp->m.next, __typeof__(*tmp), m))

#endif
