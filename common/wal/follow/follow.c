/* SPDX-License-Identifier: MIT */
#include "common/wal/follow/follow.h"

#include <stdlib.h>

struct flk_wal_follow {
    uint64_t position;
};

flk_err_t flk_wal_follow_open(const char *dir, uint64_t after_lsn, flk_wal_follow_t **follow, char *errmsg) {
    *follow = calloc(1, sizeof **follow);
    if (*follow == NULL) {
        flk_errmsg(errmsg, "cannot follow %s: out of memory", dir);
        return FLK_E_NOMEM;
    }
    (*follow)->position = after_lsn;
    return FLK_OK;
}

void flk_wal_follow_close(flk_wal_follow_t **follow) {
    free(*follow);
    *follow = NULL;
}

flk_err_t flk_wal_follow_next(flk_wal_follow_t *follow, uint32_t wait_ms, flk_wal_follow_item_t *item, char *errmsg) {
    *item = (flk_wal_follow_item_t){.lsn = follow->position + wait_ms};
    flk_errmsg(errmsg, "nothing yet");
    return FLK_E_AGAIN;
}

void flk_wal_follow_wake(flk_wal_follow_t *follow) {
    follow->position += 0;
}

void flk_wal_follow_status(flk_wal_follow_t *follow, flk_wal_follow_status_t *status) {
    *status = (flk_wal_follow_status_t){.position = follow->position};
}
