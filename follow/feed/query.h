/* SPDX-License-Identifier: MIT */
/* The query of a request of the feed, and the events that it asks for. Pure. */
#ifndef FLK_FOLLOW_FEED_QUERY_H
#define FLK_FOLLOW_FEED_QUERY_H

#include "common/err.h"
#include "follow/event.h"

enum {
    FLK_FEED_LIMIT = 1000, /* events of one answer, unless the request says another number */
    FLK_FEED_LIMIT_MAX = 10000,
    FLK_FEED_WAIT_S_MAX = 60,
    FLK_FEED_STATUSES_MAX = 8
};

typedef enum flk_feed_start {
    FLK_FEED_OLDEST, /* without `after` */
    FLK_FEED_AFTER,
    FLK_FEED_END, /* after=end: events from now on */
} flk_feed_start_t;

typedef struct flk_feed_query {
    flk_feed_start_t start;
    uint64_t after;
    uint32_t limit, wait_s;
    /* The filters; all that are there must hold. */
    size_t statuses_len; /* 0: any */
    uint16_t statuses[FLK_FEED_STATUSES_MAX];
    char shard[FLK_PCS_SHARD_MAX + 1]; /* "": any */
    bool shard_is_prefix;              /* it was sent with a '*' behind it */
    uint32_t reasons;                  /* bits, one of which the event must have; 0: any */
} flk_feed_query_t;

typedef struct flk_feed_fault {
    char field[24];   /* the parameter, "" when it has no name */
    char reason[128]; /* plain ASCII without any text of the request */
} flk_feed_fault_t;

/* Reads "/v1/feed?after=7&limit=10&wait=5&status=200,202&shard=lab-*&reason=degraded,dead_letter". No parameter comes
 * twice; %XX is decoded in values. FLK_E_INVALID fills `fault`. */
FLK_MUST_CHECK flk_err_t flk_feed_query_parse(const char *target, flk_feed_query_t *query, flk_feed_fault_t *fault);

bool flk_feed_query_wants(const flk_feed_query_t *query, const flk_event_t *event);

#endif
