/* SPDX-License-Identifier: MIT */
/* Linked into flk-worker-failing, a worker as it is but for this: it ends by SIGKILL at the point that CHAOS_FAILPOINT
 * names, when it comes there for the N-th time: "put N" before a batch of outcomes is put, "stored N" when it was,
 * "reply N" before a verdict leaves. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/link.h"
#include "worker/store/store.h"

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's --wrap names them so */
flk_err_t __real_flk_store_put(flk_store_t *store, flk_store_item_t *const *items, size_t items_len, char *errmsg);
flk_err_t __wrap_flk_store_put(flk_store_t *store, flk_store_item_t *const *items, size_t items_len, char *errmsg);
flk_err_t __real_flk_link_send_copy(void *socket, const flk_route_t *route, const flk_frame_t *frame, const void *body,
                                    size_t body_bytes);
flk_err_t __wrap_flk_link_send_copy(void *socket, const flk_route_t *route, const flk_frame_t *frame, const void *body,
                                    size_t body_bytes);
/* NOLINTEND(bugprone-reserved-identifier) */

static void pass(const char *point) {
    static atomic_int times;
    char name[16];
    int last;
    const char *failpoint = getenv("CHAOS_FAILPOINT");
    if (failpoint != NULL && sscanf(failpoint, "%15s %d", name, &last) == 2 && strcmp(name, point) == 0 &&
        atomic_fetch_add(&times, 1) + 1 >= last) {
        raise(SIGKILL);
    }
}

flk_err_t __wrap_flk_store_put(flk_store_t *store, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    pass("put");
    flk_err_t err = __real_flk_store_put(store, items, items_len, errmsg);
    pass("stored");
    return err;
}

flk_err_t __wrap_flk_link_send_copy(void *socket, const flk_route_t *route, const flk_frame_t *frame, const void *body,
                                    size_t body_bytes) {
    if (frame->kind == FLK_VERDICT) {
        pass("reply");
    }
    return __real_flk_link_send_copy(socket, route, frame, body, body_bytes);
}
