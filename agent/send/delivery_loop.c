/* SPDX-License-Identifier: MIT */
#include "agent/send/delivery_loop.h"

#include <stdlib.h>

struct flk_courier {
    flk_sender_t *sender;
    uint32_t tries_max; /* 0 = for ever */
    size_t held, held_max;
    uint64_t retries;
    flk_parcel_t *waiting;    /* by due_ms, equal ones in order of arrival */
    flk_parcel_t **under_way; /* so that destroy finds them; under_way_len of them in any order */
    size_t under_way_len;
    flk_courier_done_fn *on_done;
    void *on_done_arg;
};

uint64_t flk_backoff_ms(uint32_t tries, uint32_t retry_ms, uint64_t random) {
    uint64_t doublings = tries - 1 < 16 ? tries - 1 : 16;
    uint64_t most = (uint64_t)FLK_BACKOFF_MS_FIRST << doublings;
    most = most < FLK_BACKOFF_MS_MAX ? most : FLK_BACKOFF_MS_MAX;
    return retry_ms + random % (most + 1);
}

static void wait_turn(flk_courier_t *courier, flk_parcel_t *parcel) {
    flk_parcel_t **at = &courier->waiting;
    while (*at != NULL && (*at)->due_ms <= parcel->due_ms) {
        at = &(*at)->next;
    }
    parcel->next = *at;
    *at = parcel;
}

static void forget_under_way(flk_courier_t *courier, const flk_parcel_t *parcel) {
    size_t i = 0;
    while (courier->under_way[i] != parcel) {
        i++;
        FLK_ASSERT(i < courier->under_way_len);
    }
    courier->under_way[i] = courier->under_way[--courier->under_way_len];
}

static void finish_try(flk_courier_t *courier, flk_parcel_t *parcel, const flk_reply_t *reply) {
    bool last = courier->tries_max != 0 && parcel->tries >= courier->tries_max;
    if (reply->kind == FLK_REPLY_LATER && !last) {
        parcel->due_ms = flk_mono_ms() + flk_backoff_ms(parcel->tries, reply->retry_ms, flk_random_u64());
        wait_turn(courier, parcel);
        return;
    }
    courier->held--;
    courier->on_done(courier->on_done_arg, parcel, reply);
}

static void on_reply(void *arg, flk_parcel_t *parcel, const flk_reply_t *reply) {
    forget_under_way(arg, parcel);
    finish_try(arg, parcel, reply);
}

flk_err_t flk_courier_new(const flk_sender_options_t *sender, uint32_t tries, flk_courier_done_fn *on_done,
                          void *on_done_arg, flk_courier_t **out, char *errmsg) {
    flk_courier_t *courier = flk_start_alloc(sizeof *courier);
    courier->tries_max = tries;
    courier->held_max = 4 * (size_t)sender->parallel + 64;
    courier->under_way = flk_start_alloc(sender->parallel * sizeof(flk_parcel_t *));
    courier->on_done = on_done;
    courier->on_done_arg = on_done_arg;
    flk_sender_options_t options = *sender;
    options.on_reply = on_reply;
    options.on_reply_arg = courier;
    flk_err_t err = flk_sender_open(&options, &courier->sender, errmsg);
    if (err != FLK_OK) {
        flk_courier_destroy(&courier);
        return err;
    }
    *out = courier;
    return FLK_OK;
}

void flk_courier_destroy(flk_courier_t **courier) {
    if (*courier == NULL) {
        return;
    }
    flk_sender_close(&(*courier)->sender);
    for (size_t i = 0; i < (*courier)->under_way_len; i++) {
        flk_parcel_destroy(&(*courier)->under_way[i]);
    }
    while ((*courier)->waiting != NULL) {
        flk_parcel_t *parcel = (*courier)->waiting;
        (*courier)->waiting = parcel->next;
        flk_parcel_destroy(&parcel);
    }
    free((*courier)->under_way);
    free(*courier);
    *courier = NULL;
}

bool flk_courier_wants(const flk_courier_t *courier) {
    return courier->held < courier->held_max;
}

void flk_courier_take(flk_courier_t *courier, flk_parcel_t *parcel) {
    parcel->due_ms = 0;
    courier->held++;
    wait_turn(courier, parcel);
}

size_t flk_courier_held(const flk_courier_t *courier) {
    return courier->held;
}

uint64_t flk_courier_retries(const flk_courier_t *courier) {
    return courier->retries;
}

/* Starts a try of each parcel that is due while there is room. */
static void start_due(flk_courier_t *courier, uint64_t now_ms) {
    while (courier->waiting != NULL && courier->waiting->due_ms <= now_ms && flk_sender_room(courier->sender) > 0) {
        flk_parcel_t *parcel = courier->waiting;
        courier->waiting = parcel->next;
        if (flk_parcel_begin_try(parcel) != FLK_OK) { /* out of memory: this try is spent */
            flk_reply_t reply = {.kind = FLK_REPLY_LATER};
            flk_reply_say(&reply, "out of memory");
            parcel->tries++;
            finish_try(courier, parcel, &reply);
            continue;
        }
        courier->retries += parcel->tries > 1;
        courier->under_way[courier->under_way_len++] = parcel;
        flk_sender_send(courier->sender, parcel);
    }
}

void flk_courier_turn(flk_courier_t *courier, uint32_t timeout_ms, const int *fds, size_t fds_len) {
    uint64_t now_ms = flk_mono_ms();
    start_due(courier, now_ms);
    const flk_parcel_t *next = courier->waiting;
    if (next != NULL && flk_sender_room(courier->sender) > 0 && next->due_ms - now_ms < timeout_ms) {
        timeout_ms = next->due_ms > now_ms ? (uint32_t)(next->due_ms - now_ms) : 0;
    }
    flk_sender_turn(courier->sender, timeout_ms, fds, fds_len);
    start_due(courier, flk_mono_ms());
}
