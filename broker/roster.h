/* SPDX-License-Identifier: MIT */
/* Which worker gets the next delivery: the one with the least in hand, and of those the one that waited longest. So
 * work is spread, and a lost worker takes few deliveries with it. Every operation O(1). Owned by the loop's thread. */
#ifndef FLK_BROKER_ROSTER_H
#define FLK_BROKER_ROSTER_H

#include "broker/peers.h"

enum { FLK_ROSTER_LOADS = 256 }; /* with more than this in hand, workers count as equally loaded */

typedef struct flk_roster {
    struct flk_roster_list {
        flk_worker_peer_t *head, *tail;
    } lists[FLK_ROSTER_LOADS]; /* by deliveries in hand */
    uint32_t least;            /* no list below this one has a worker */
} flk_roster_t;                /* all zero: empty */

/* To be called whenever credit, hand, leaving or reserved of a worker changed: lists it by its load when it may take
 * more, and not otherwise. */
void flk_roster_update(flk_roster_t *roster, flk_worker_peer_t *worker);
/* Takes it off the list, before it is freed. */
void flk_roster_remove(flk_roster_t *roster, flk_worker_peer_t *worker);
flk_worker_peer_t *flk_roster_least(flk_roster_t *roster); /* NULL: nobody may take more */

#endif
