/* SPDX-License-Identifier: MIT */
/* FIFO of deliveries with room at the front for those that come back: those that wait for one gateway, the suspects,
 * those in a worker's hand. Intrusive: no allocation, nothing fails, every operation O(1). A delivery is in at most
 * one. */
#ifndef FLK_BROKER_QUEUE_H
#define FLK_BROKER_QUEUE_H

#include "common/base.h"

struct flk_delivery;

typedef struct flk_queue {
    struct flk_delivery *head, *tail;
    uint64_t count;
} flk_queue_t; /* all zero: empty */

void flk_queue_push(flk_queue_t *queue, struct flk_delivery *delivery);       /* behind the last */
void flk_queue_push_front(flk_queue_t *queue, struct flk_delivery *delivery); /* before the first */
void flk_queue_remove(flk_queue_t *queue, struct flk_delivery *delivery);     /* must be in this queue */
struct flk_delivery *flk_queue_pop(flk_queue_t *queue);                       /* the first; NULL: empty */
struct flk_delivery *flk_queue_pop_last(flk_queue_t *queue);                  /* the last; NULL: empty */

#endif
