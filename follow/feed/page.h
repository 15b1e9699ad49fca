/* SPDX-License-Identifier: MIT */
/* The body of one answer of the feed: a line an event (NDJSON), or a batch of CloudEvents 1.0. Grows up to its bound.
 * One owner. */
#ifndef FLK_FOLLOW_FEED_PAGE_H
#define FLK_FOLLOW_FEED_PAGE_H

#include "common/err.h"
#include "follow/event.h"
#include "follow/sink.h"

typedef enum flk_feed_form { FLK_FEED_NDJSON, FLK_FEED_CLOUDEVENTS } flk_feed_form_t;

enum { FLK_FEED_PAGE_BYTES_MAX = 1 << 20 };

typedef struct flk_feed_page {
    flk_feed_form_t form;
    uint32_t len; /* events and gaps */
    char *text;   /* heap */
    size_t bytes, room;
} flk_feed_page_t;

/* By an Accept field, which may be NULL. False: it takes neither form. */
FLK_MUST_CHECK bool flk_feed_form_pick(const char *accept, flk_feed_form_t *form);
const char *flk_feed_form_type(flk_feed_form_t form); /* the media type */

void flk_feed_page_init(flk_feed_page_t *page, flk_feed_form_t form);
void flk_feed_page_fini(flk_feed_page_t *page);
bool flk_feed_page_is_full(const flk_feed_page_t *page);
/* The page is not full. Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_feed_page_event(flk_feed_page_t *page, const flk_event_t *event);
FLK_MUST_CHECK flk_err_t flk_feed_page_gap(flk_feed_page_t *page, const flk_gap_t *gap);
/* Nothing more comes: `text` and `bytes` are the body. Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_feed_page_end(flk_feed_page_t *page);

#endif
