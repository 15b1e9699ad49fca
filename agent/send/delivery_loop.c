/* SPDX-License-Identifier: MIT */
#include "agent/send/delivery_loop.h"

#include <stdlib.h>

struct flk_delivery_loop {
    flk_transport_t *transport;
    uint32_t tries_max; /* 0 = for ever */
    size_t held, held_max;
    uint64_t retries;
    flk_parcel_t *waiting;    /* by due_ms, equal ones in order of arrival */
    flk_parcel_t **under_way; /* so that destroy finds them; under_way_len of them in any order */
    size_t under_way_len;
    flk_delivery_done_fn *on_done;
    void *on_done_arg;
};

uint64_t flk_backoff_ms(uint32_t tries, uint32_t retry_ms, uint64_t random) {
    uint64_t doublings = tries - 1 < 16 ? tries - 1 : 16;
    uint64_t most = (uint64_t)FLK_BACKOFF_MS_FIRST << doublings;
    most = most < FLK_BACKOFF_MS_MAX ? most : FLK_BACKOFF_MS_MAX;
    return retry_ms + random % (most + 1);
}

static void wait_turn(flk_delivery_loop_t *loop, flk_parcel_t *parcel) {
    flk_parcel_t **at = &loop->waiting;
    while (*at != NULL && (*at)->due_ms <= parcel->due_ms) {
        at = &(*at)->next;
    }
    parcel->next = *at;
    *at = parcel;
}

static void forget_under_way(flk_delivery_loop_t *loop, const flk_parcel_t *parcel) {
    size_t i = 0;
    while (loop->under_way[i] != parcel) {
        i++;
        FLK_ASSERT(i < loop->under_way_len);
    }
    loop->under_way[i] = loop->under_way[--loop->under_way_len];
}

static void finish_try(flk_delivery_loop_t *loop, flk_parcel_t *parcel, const flk_reply_t *reply) {
    bool last = loop->tries_max != 0 && parcel->tries >= loop->tries_max;
    if (reply->kind == FLK_REPLY_LATER && !last) {
        parcel->due_ms = flk_mono_ms() + flk_backoff_ms(parcel->tries, reply->retry_ms, flk_random_u64());
        wait_turn(loop, parcel);
        return;
    }
    loop->held--;
    loop->on_done(loop->on_done_arg, parcel, reply);
}

static void on_reply(void *arg, flk_parcel_t *parcel, const flk_reply_t *reply) {
    forget_under_way(arg, parcel);
    finish_try(arg, parcel, reply);
}

flk_err_t flk_delivery_loop_new(const flk_transport_options_t *transport, uint32_t tries, flk_delivery_done_fn *on_done,
                                void *on_done_arg, flk_delivery_loop_t **out, char *errmsg) {
    flk_delivery_loop_t *loop = flk_start_alloc(sizeof *loop);
    loop->tries_max = tries;
    loop->held_max = 4 * (size_t)transport->parallel + 64;
    loop->under_way = flk_start_alloc(transport->parallel * sizeof(flk_parcel_t *));
    loop->on_done = on_done;
    loop->on_done_arg = on_done_arg;
    flk_transport_options_t options = *transport;
    options.on_reply = on_reply;
    options.on_reply_arg = loop;
    flk_err_t err = flk_transport_open(&options, &loop->transport, errmsg);
    if (err != FLK_OK) {
        flk_delivery_loop_destroy(&loop);
        return err;
    }
    *out = loop;
    return FLK_OK;
}

void flk_delivery_loop_destroy(flk_delivery_loop_t **loop) {
    if (*loop == NULL) {
        return;
    }
    flk_transport_close(&(*loop)->transport);
    for (size_t i = 0; i < (*loop)->under_way_len; i++) {
        flk_parcel_destroy(&(*loop)->under_way[i]);
    }
    while ((*loop)->waiting != NULL) {
        flk_parcel_t *parcel = (*loop)->waiting;
        (*loop)->waiting = parcel->next;
        flk_parcel_destroy(&parcel);
    }
    free((*loop)->under_way);
    free(*loop);
    *loop = NULL;
}

bool flk_delivery_loop_wants(const flk_delivery_loop_t *loop) {
    return loop->held < loop->held_max;
}

void flk_delivery_loop_take(flk_delivery_loop_t *loop, flk_parcel_t *parcel) {
    parcel->due_ms = 0;
    loop->held++;
    wait_turn(loop, parcel);
}

size_t flk_delivery_loop_held(const flk_delivery_loop_t *loop) {
    return loop->held;
}

uint64_t flk_delivery_loop_retries(const flk_delivery_loop_t *loop) {
    return loop->retries;
}

/* Starts a try of each parcel that is due while there is room. */
static void start_due(flk_delivery_loop_t *loop, uint64_t now_ms) {
    while (loop->waiting != NULL && loop->waiting->due_ms <= now_ms && flk_transport_room(loop->transport) > 0) {
        flk_parcel_t *parcel = loop->waiting;
        loop->waiting = parcel->next;
        if (flk_parcel_begin_try(parcel) != FLK_OK) { /* out of memory: this try is spent */
            flk_reply_t reply = {.kind = FLK_REPLY_LATER};
            flk_reply_say(&reply, "out of memory");
            parcel->tries++;
            finish_try(loop, parcel, &reply);
            continue;
        }
        loop->retries += parcel->tries > 1;
        loop->under_way[loop->under_way_len++] = parcel;
        flk_transport_send(loop->transport, parcel);
    }
}

void flk_delivery_loop_turn(flk_delivery_loop_t *loop, uint32_t timeout_ms, const int *fds, size_t fds_len) {
    uint64_t now_ms = flk_mono_ms();
    start_due(loop, now_ms);
    const flk_parcel_t *next = loop->waiting;
    if (next != NULL && flk_transport_room(loop->transport) > 0 && next->due_ms - now_ms < timeout_ms) {
        timeout_ms = next->due_ms > now_ms ? (uint32_t)(next->due_ms - now_ms) : 0;
    }
    flk_transport_turn(loop->transport, timeout_ms, fds, fds_len);
    start_due(loop, flk_mono_ms());
}
