/* SPDX-License-Identifier: MIT */
/* One token bucket an event, in a table that only grows. Buckets are found by the text of the event, since the same
 * literal may lie at several addresses. */
#include "common/log_limit.h"

#include <pthread.h>
#include <string.h>

enum { REFILL_MS = 1000 };

typedef struct bucket {
    const char *event;
    uint64_t tokens, refilled_ms, left_out;
} bucket_t;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bucket_t buckets[FLK_LOG_EVENTS_MAX];
static size_t buckets_len;

static bucket_t *bucket_of(const char *event, uint64_t now_ms) {
    for (size_t i = 0; i < buckets_len; i++) {
        if (buckets[i].event == event || strcmp(buckets[i].event, event) == 0) {
            return &buckets[i];
        }
    }
    if (buckets_len == FLK_LOG_EVENTS_MAX) {
        return &buckets[FLK_LOG_EVENTS_MAX - 1];
    }
    buckets[buckets_len] = (bucket_t){.event = event, .tokens = FLK_LOG_BURST, .refilled_ms = now_ms};
    return &buckets[buckets_len++];
}

static void refill(bucket_t *bucket, uint64_t now_ms) {
    uint64_t more = now_ms > bucket->refilled_ms ? (now_ms - bucket->refilled_ms) / REFILL_MS : 0;
    bucket->refilled_ms += more * REFILL_MS;
    bucket->tokens = bucket->tokens + more < FLK_LOG_BURST ? bucket->tokens + more : FLK_LOG_BURST;
}

bool flk_log_limit_take(const char *event, uint64_t now_ms, flk_log_left_out_t *left_out) {
    *left_out = (flk_log_left_out_t){0};
    pthread_mutex_lock(&mutex);
    bucket_t *bucket = bucket_of(event, now_ms);
    refill(bucket, now_ms);
    bool allowed = bucket->tokens > 0;
    if (!allowed) {
        bucket->left_out++;
    } else {
        bucket->tokens--;
        if (bucket->left_out > 0) {
            *left_out = (flk_log_left_out_t){.event = bucket->event, .lines = bucket->left_out};
            bucket->left_out = 0;
        }
    }
    pthread_mutex_unlock(&mutex);
    return allowed;
}
