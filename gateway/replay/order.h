/* SPDX-License-Identifier: MIT */
/* An order to the gateway that runs: these dead letters are to go. One thread. */
#ifndef FLK_GATEWAY_REPLAY_ORDER_H
#define FLK_GATEWAY_REPLAY_ORDER_H

#include "common/err.h"

typedef struct flk_dlq_order {
    uint64_t *lsns; /* rising */
    size_t len, capacity;
} flk_dlq_order_t;

/* `lsn` is above those that were added before. FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_dlq_order_add(flk_dlq_order_t *order, uint64_t lsn);
/* Leaves the order in the queue's directory `dir` and waits until the gateway has carried it out. Errors:
 * FLK_E_EXISTS (another one is under way), FLK_E_TIMEOUT (it stands, and is carried out when the gateway comes to
 * it), FLK_E_IO, FLK_E_NO_SPACE. */
FLK_MUST_CHECK flk_err_t flk_dlq_order_give(const flk_dlq_order_t *order, const char *dir, bool purge, uint64_t wait_ms,
                                            char *errmsg);
void flk_dlq_order_fini(flk_dlq_order_t *order);

#endif
