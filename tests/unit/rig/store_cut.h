/* SPDX-License-Identifier: MIT */
/* A put whose connection to the server is cut, for the tests of every store that has a server. */
#ifndef FLK_TESTS_STORE_CUT_H
#define FLK_TESTS_STORE_CUT_H

#include "tests/unit/rig/cut_proxy.h"
#include "tests/unit/rig/store_contract.h"
#include "tests/unit/rig/store_probe.h"

/* Cuts behind each `step`-th byte in turn, until a put comes through whole. Wherever the connection breaks, the batch is answered
 * in time as unknown or with the truth, and asking again, by `direct`, gives what the server at `port` kept if it kept the first,
 * and the second otherwise. */
static inline void check_cut_anywhere(const char *name, flk_store_t *direct, flk_store_t *(*open_at)(unsigned port),
                                      unsigned port, uint64_t step, cut_direction_t direction) {
    unsigned kept = 0, lost = 0;
    bool was_cut = true;
    for (uint64_t n = 0; was_cut; n += step) {
        cut_proxy_t proxy;
        cut_proxy_start(&proxy, port);
        flk_store_t *store = open_at(proxy.port);
        flk_store_item_t item;
        wait_until(try_lookup(store, n) == FLK_OK);
        cut_proxy_arm(&proxy, direction, (long)n);
        flk_err_t err = try_put(store, n, "first");
        was_cut = atomic_load(&proxy.was_cut);
        ck_assert(err == FLK_OK || (was_cut && err == FLK_E_UNAVAILABLE));
        flk_store_close(&store);
        cut_proxy_stop(&proxy);
        bool is_first = put_one(direct, n, "second", &item);
        ck_assert(err != FLK_OK || !is_first);
        ck_assert(item_is(&item, is_first ? "second" : "first"));
        ck_assert(lookup_one(direct, n, &item) && item_is(&item, is_first ? "second" : "first"));
        kept += err != FLK_OK && !is_first;
        lost += is_first;
    }
    printf("%s, %s cut: %u unknown puts were kept, %u were not\n", name, direction == CUT_REQUEST ? "request" : "reply",
           kept, lost);
    ck_assert(direction == CUT_REQUEST ? lost > 0 : kept > 0);
}

#endif
