/* SPDX-License-Identifier: MIT */
#include "agent/send/delivery_loop.h"

#include <stdio.h>
#include <stdlib.h>

struct flk_delivery_loop {
    flk_transport_t *transport;
    flk_delivery_limits_t limits;
    size_t held, held_max;
    size_t stubborn; /* of those held, the waiting and under way that have had FLK_STUBBORN_TRIES tries */
    uint64_t retries;
    char why[FLK_REPLY_TEXT_BYTES];
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
    return (retry_ms < FLK_REPLY_RETRY_MS_MAX ? retry_ms : FLK_REPLY_RETRY_MS_MAX) + random % (most + 1);
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

static bool is_expired(const flk_delivery_loop_t *loop, const flk_parcel_t *parcel) {
    int64_t age_ms = flk_wall_ms() - parcel->made_ms;
    return loop->limits.age_ms != 0 && parcel->made_ms != 0 && age_ms > 0 && (uint64_t)age_ms >= loop->limits.age_ms;
}

static void end_parcel(flk_delivery_loop_t *loop, flk_parcel_t *parcel, const flk_reply_t *reply) {
    loop->held--;
    loop->stubborn -= parcel->stubborn;
    loop->on_done(loop->on_done_arg, parcel, reply);
}

static void finish_try(flk_delivery_loop_t *loop, flk_parcel_t *parcel, const flk_reply_t *reply) {
    bool later = reply->kind == FLK_REPLY_LATER;
    snprintf(loop->why, sizeof loop->why, "%s", later ? reply->text : "");
    if (later && is_expired(loop, parcel)) {
        flk_reply_t expired = *reply;
        expired.kind = FLK_REPLY_EXPIRED;
        flk_reply_say(&expired, "no answer for %llu s: %.200s", (unsigned long long)(loop->limits.age_ms / 1000),
                      reply->text);
        end_parcel(loop, parcel, &expired);
        return;
    }
    if (!later || (loop->limits.tries != 0 && parcel->tries >= loop->limits.tries)) {
        end_parcel(loop, parcel, reply);
        return;
    }
    bool was_stubborn = parcel->stubborn;
    parcel->stubborn = parcel->tries >= FLK_STUBBORN_TRIES;
    loop->stubborn += parcel->stubborn && !was_stubborn;
    parcel->due_ms = flk_mono_ms() + flk_backoff_ms(parcel->tries, reply->retry_ms, flk_random_u64());
    wait_turn(loop, parcel);
}

static void on_reply(void *arg, flk_parcel_t *parcel, const flk_reply_t *reply) {
    forget_under_way(arg, parcel);
    finish_try(arg, parcel, reply);
}

flk_err_t flk_delivery_loop_new(const flk_transport_options_t *transport, flk_delivery_limits_t limits,
                                flk_delivery_done_fn *on_done, void *on_done_arg, flk_delivery_loop_t **out,
                                char *errmsg) {
    flk_delivery_loop_t *loop = flk_start_alloc(sizeof *loop);
    loop->limits = limits;
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
    return loop->held - loop->stubborn < loop->held_max && loop->stubborn < FLK_STUBBORN_MAX;
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

const char *flk_delivery_loop_why(const flk_delivery_loop_t *loop) {
    return loop->why;
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
