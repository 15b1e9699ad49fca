/* SPDX-License-Identifier: MIT */
/* Intrusive doubly linked lists: no allocation, nothing fails, every operation O(1), no locks. A node knows the list
 * that it is on, so that the holder of an object can take it off without knowing where it is. */
#ifndef FLK_COMMON_LIST_H
#define FLK_COMMON_LIST_H

#include "common/base.h"

typedef struct flk_node {
    struct flk_node *prev, *next;
    struct flk_list *list; /* NULL: on none */
} flk_node_t;              /* all zero: on no list */

typedef struct flk_list {
    flk_node_t *first, *last;
    size_t len;
} flk_list_t; /* all zero: empty */

/* Both take the node off the list that it is on. */
void flk_list_push(flk_list_t *list, flk_node_t *node);       /* behind the last */
void flk_list_push_front(flk_list_t *list, flk_node_t *node); /* before the first */
void flk_list_remove(flk_node_t *node);                       /* from the one that it is on, if any */

/* The object whose `member` the node is. */
#define FLK_CONTAINER_OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

#endif
