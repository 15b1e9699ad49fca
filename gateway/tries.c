/* SPDX-License-Identifier: MIT */
#include "gateway/tries.h"

void flk_tries_init(flk_tries_t *tries, uint32_t tries_max, uint64_t age_ms_max, uint64_t now_ms) {
    *tries = (flk_tries_t){.tries_max = tries_max, .age_ms_max = age_ms_max, .since_ms = now_ms};
}

static struct flk_tries_place *place_of(flk_tries_t *tries, uint64_t lsn) {
    return &tries->places[lsn % FLK_TRIES_PLACES];
}

void flk_tries_settled(flk_tries_t *tries, uint64_t lsn) {
    struct flk_tries_place *place = place_of(tries, lsn);
    tries->settled++;
    if (place->lsn == lsn) {
        place->lsn = 0;
    }
}

/* A record from the future was written while the clock was wrong: it is as old as this process at least. */
static bool is_old(const flk_tries_t *tries, int64_t time_ms, uint64_t now_ms) {
    const int64_t age_ms = flk_wall_ms() - time_ms;
    const uint64_t known_ms = age_ms >= 0 ? (uint64_t)age_ms : now_ms - tries->since_ms;
    return known_ms >= tries->age_ms_max;
}

bool flk_tries_failed(flk_tries_t *tries, uint64_t lsn, int64_t time_ms, bool unfit, uint64_t now_ms) {
    struct flk_tries_place *place = place_of(tries, lsn);
    if (!is_old(tries, time_ms, now_ms) || (place->lsn != 0 && place->lsn != lsn)) {
        return false;
    }
    if (place->lsn == 0) {
        *place = (struct flk_tries_place){.lsn = lsn};
    } else if (!unfit && place->settled == tries->settled) {
        return false;
    }
    place->settled = tries->settled;
    place->tries++;
    if (place->tries < tries->tries_max) {
        return false;
    }
    place->lsn = 0;
    return true;
}
