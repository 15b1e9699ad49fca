/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/store_cut.h"

void check_cut_anywhere(const char *name, flk_store_t *direct, flk_store_t *(*open_at)(unsigned port), unsigned port,
                        uint64_t step, cut_direction_t direction) {
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
