/* SPDX-License-Identifier: MIT */
/* dlq purge, dlq replay on the queue of a gateway that runs: collect the LSNs that match -> leave them as an order
 * beside the log (proto/inbox_format.h) -> wait until the gateway has removed it -> count in the log those that
 * have left the queue. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "gateway/replay/order.h"
#include "proto/inbox_format.h"

enum { LINE_BYTES = 24, LOOK_US = 20000 };

flk_err_t flk_dlq_order_add(flk_dlq_order_t *order, uint64_t lsn) {
    if (order->len == order->capacity) {
        size_t capacity = order->capacity * 2 + 256;
        uint64_t *lsns = realloc(order->lsns, capacity * sizeof *lsns);
        if (lsns == NULL) {
            return FLK_E_NOMEM;
        }
        order->lsns = lsns;
        order->capacity = capacity;
    }
    order->lsns[order->len++] = lsn;
    return FLK_OK;
}

void flk_dlq_order_fini(flk_dlq_order_t *order) {
    free(order->lsns);
    *order = (flk_dlq_order_t){0};
}

/* Made whole under a name of our own, then linked to where the gateway looks: there is one order at a time. */
static flk_err_t leave_order(const flk_dlq_order_t *order, const char *path, bool purge, char *errmsg) {
    char own[4200];
    size_t bytes = 0, text_bytes = 32 + order->len * LINE_BYTES;
    char *text = malloc(text_bytes);
    if (text == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    bytes += (size_t)snprintf(text, text_bytes, "%s\n", purge ? FLK_DLQ_ORDER_PURGE : FLK_DLQ_ORDER_REPLAY);
    for (size_t i = 0; i < order->len; i++) {
        bytes += (size_t)snprintf(text + bytes, text_bytes - bytes, "%" PRIu64 "\n", order->lsns[i]);
    }
    bytes += (size_t)snprintf(text + bytes, text_bytes - bytes, FLK_DLQ_ORDER_END "\n");
    snprintf(own, sizeof own, "%s.%d", path, (int)getpid());
    flk_err_t err = flk_io_replace(own, text, bytes, errmsg);
    free(text);
    if (err == FLK_OK) {
        err = flk_io_link(own, path, errmsg);
        if (err == FLK_E_EXISTS) {
            flk_errmsg(errmsg, "another order is under way: %.200s; the gateway removes it when it is done", path);
        }
        (void)!flk_io_unlink(own, NULL);
    }
    return err;
}

flk_err_t flk_dlq_order_give(const flk_dlq_order_t *order, const char *dir, bool purge, uint64_t wait_ms,
                             char *errmsg) {
    char path[4096];
    if (snprintf(path, sizeof path, "%s/" FLK_DLQ_ORDER_NAME, dir) >= (int)sizeof path) {
        flk_errmsg(errmsg, "%.200s is longer than a path may be", dir);
        return FLK_E_INVALID;
    }
    if (order->len == 0) {
        return FLK_OK;
    }
    flk_err_t err = leave_order(order, path, purge, errmsg);
    for (uint64_t until_ms = flk_mono_ms() + wait_ms; err == FLK_OK && access(path, F_OK) == 0;) {
        if (flk_mono_ms() >= until_ms) {
            flk_errmsg(
                errmsg,
                "%.200s was not carried out yet: a gateway does that when it runs; remove the file to withdraw it",
                path);
            return FLK_E_TIMEOUT;
        }
        usleep(LOOK_US);
    }
    return err;
}
