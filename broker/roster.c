/* SPDX-License-Identifier: MIT */
#include "broker/roster.h"

void flk_roster_remove(flk_roster_t *roster, flk_worker_peer_t *worker) {
    if (!worker->listed) {
        return;
    }
    struct flk_roster_list *list = &roster->lists[worker->load];
    *(worker->load_prev == NULL ? &list->head : &worker->load_prev->load_next) = worker->load_next;
    *(worker->load_next == NULL ? &list->tail : &worker->load_next->load_prev) = worker->load_prev;
    worker->listed = false;
}

void flk_roster_update(flk_roster_t *roster, flk_worker_peer_t *worker) {
    flk_roster_remove(roster, worker);
    if (worker->leaving || worker->reserved || worker->hand.count >= worker->credit) {
        return;
    }
    uint32_t load = worker->hand.count < FLK_ROSTER_LOADS ? (uint32_t)worker->hand.count : FLK_ROSTER_LOADS - 1;
    if (worker->credit == 1) { /* its store may fail: workers with more credit come first */
        load = FLK_ROSTER_LOADS - 1;
    }
    struct flk_roster_list *list = &roster->lists[load];
    worker->load = load;
    worker->load_next = NULL;
    worker->load_prev = list->tail;
    *(list->tail == NULL ? &list->head : &list->tail->load_next) = worker;
    list->tail = worker;
    worker->listed = true;
    if (load < roster->least) {
        roster->least = load;
    }
}

flk_worker_peer_t *flk_roster_least(flk_roster_t *roster) {
    while (roster->least < FLK_ROSTER_LOADS - 1 && roster->lists[roster->least].head == NULL) {
        roster->least++;
    }
    return roster->lists[roster->least].head;
}
