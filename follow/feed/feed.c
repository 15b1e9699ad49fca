/* SPDX-License-Identifier: MIT */
/* A request: let in -> query and Accept -> a reader at its position -> items into a page until that is full, the limit
 * is reached, or the head of the log is; at the head an empty page waits -> answer with the position behind it.
 *
 * Failures: a position that is gone is 410 with the first LSN that is left; one ahead of the log is 400; a log that is
 * not there yet, or cannot be read now, 503. A page that has events goes out, and a failure behind them is told by the
 * next one. A filter that finds nothing answers an empty page after SCAN_MS, with the position that it came to. */
#include "follow/feed/feed.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "follow/feed/page.h"
#include "follow/feed/query.h"
#include "follow/feed/readers.h"

enum { SLICE_MS = 100, SCAN_MS = 2000, SCAN_ITEMS = 256 };

struct flk_feed {
    flk_feed_options_t options;
    flk_feed_readers_t *readers;
    atomic_uint running;
    atomic_bool draining;
    flk_counter_t *events, *refused, *gaps, *open_failures, *read_failures;
    flk_gauge_t *requests;
};

flk_feed_t *flk_feed_new(const flk_feed_options_t *options) {
    static const char sink[] = "sink=\"feed\"";
    flk_metrics_t *metrics = options->metrics;
    flk_feed_t *feed = flk_start_alloc(sizeof *feed);
    feed->options = *options;
    feed->readers = flk_feed_readers_new(options->log_dir);
    feed->events = flk_metrics_counter(metrics, "flk_feed_events_total", NULL, "Events and gaps given to readers.");
    feed->refused = flk_metrics_counter(metrics, "flk_feed_refused_total", NULL,
                                        "Requests answered 503, because FLK_FEED_READERS others were running.");
    feed->requests = flk_metrics_gauge(metrics, "flk_feed_requests", NULL, "Requests that run, waiting ones included.");
    feed->gaps = flk_metrics_counter(metrics, "flk_follow_gaps_total", sink,
                                     "Ranges of the log that were gone or damaged before they were read.");
    static const char failures[] = "flk_follow_failures_total";
    static const char help[] = "Calls that failed and are tried again after a back-off.";
    feed->open_failures = flk_metrics_counter(metrics, failures, "sink=\"feed\",step=\"open\"", help);
    feed->read_failures = flk_metrics_counter(metrics, failures, "sink=\"feed\",step=\"read\"", help);
    return feed;
}

void flk_feed_destroy(flk_feed_t **out) {
    flk_feed_t *feed = *out;
    *out = NULL;
    if (feed != NULL) {
        flk_feed_readers_destroy(&feed->readers);
        free(feed);
    }
}

void flk_feed_drain(flk_feed_t *feed) {
    atomic_store(&feed->draining, true);
}

/* ---- refusals ---- */

static void refuse(flk_http_request_t *request, int status, const char *detail, const char *field) {
    const flk_http_answer_t answer = {.status = status, .retry_after_s = status == 503 ? 1 : 0};
    flk_http_send_problem(request, &answer, detail, field);
}

static void refuse_gone(flk_http_request_t *request, uint64_t first_lsn) {
    char body[FLK_HTTP_PROBLEM_BYTES], after[24];
    snprintf(after, sizeof after, "%" PRIu64, first_lsn - 1);
    int bytes =
        snprintf(body, sizeof body,
                 "{\"type\":\"about:blank\",\"status\":410,\"title\":\"Gone\",\"detail\":\"the log begins at LSN "
                 "%" PRIu64 " now: go on with after=%s\",\"field\":\"after\",\"first_lsn\":%" PRIu64 "}",
                 first_lsn, after, first_lsn);
    flk_http_send(request, &(flk_http_answer_t){.status = 410,
                                                .content_type = flk_http_problem_type,
                                                .body = body,
                                                .body_bytes = (size_t)bytes,
                                                .after = after});
}

/* ---- the position ---- */

static flk_err_t take_at(flk_feed_t *feed, uint64_t after, flk_feed_reader_t *reader, flk_wal_follow_status_t *status,
                         char *errmsg) {
    flk_err_t err = flk_feed_readers_take(feed->readers, after, reader, errmsg);
    if (err == FLK_OK) {
        flk_wal_follow_status(reader->follow, status);
    }
    return err;
}

/* Where the request begins: FLK_OK with a reader there. FLK_E_CLOSED: that is gone, *first_lsn is left. */
static flk_err_t find_start(flk_feed_t *feed, const flk_feed_query_t *query, flk_feed_reader_t *reader,
                            uint64_t *first_lsn, char *errmsg) {
    flk_wal_follow_status_t status;
    flk_err_t err = take_at(feed, query->start == FLK_FEED_AFTER ? query->after : 0, reader, &status, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    *first_lsn = status.first_lsn;
    bool gone = status.first_lsn > 0 && query->after + 1 < status.first_lsn;
    uint64_t after = query->start == FLK_FEED_END ? status.durable_lsn : status.first_lsn - 1;
    if (query->start == FLK_FEED_AFTER) {
        return gone ? FLK_E_CLOSED : FLK_OK;
    }
    if ((query->start == FLK_FEED_OLDEST && !gone) || after == 0) {
        return FLK_OK;
    }
    flk_feed_reader_drop(reader);
    return take_at(feed, after, reader, &status, errmsg);
}

/* ---- the page ---- */

static flk_err_t put_item(flk_feed_t *feed, const flk_feed_query_t *query, flk_feed_reader_t *reader,
                          const flk_wal_follow_item_t *item, flk_feed_page_t *page, char *errmsg) {
    flk_event_t event;
    if (item->is_gap) {
        flk_wal_follow_status_t status;
        flk_wal_follow_status(reader->follow, &status);
        const flk_gap_t gap = {.lineage = status.lineage,
                               .first_lsn = item->gap_from_lsn,
                               .last_lsn = item->lsn,
                               .why = flk_decoder_gap_name(item->gap)};
        flk_counter_add(feed->gaps, 1);
        return flk_feed_page_gap(page, &gap);
    }
    flk_err_t err = flk_decoder_read(reader->decoder, item, &event, errmsg);
    if (err != FLK_OK || !flk_feed_query_wants(query, &event)) {
        return err;
    }
    return flk_feed_page_event(page, &event);
}

/* Until the page is full, the limit or the head is reached, or the time is over. */
static flk_err_t fill(flk_feed_t *feed, const flk_feed_query_t *query, flk_feed_reader_t *reader, flk_feed_page_t *page,
                      char *errmsg) {
    uint64_t began_ms = flk_mono_ms(), until_ms = began_ms + (uint64_t)query->wait_s * 1000, items = 0;
    while (page->len < query->limit && !flk_feed_page_is_full(page)) {
        flk_wal_follow_item_t item;
        uint64_t now_ms = items++ % SCAN_ITEMS == 0 ? flk_mono_ms() : began_ms;
        bool waits = page->len == 0 && query->wait_s > 0;
        flk_err_t err = flk_wal_follow_next(reader->follow, waits ? SLICE_MS : 0, &item, errmsg);
        if (err == FLK_E_AGAIN && waits && flk_mono_ms() < until_ms && !atomic_load(&feed->draining)) {
            began_ms = flk_mono_ms(); /* the time of a scan, not of waits, is bounded */
            continue;
        }
        if (err == FLK_E_AGAIN) {
            return FLK_OK;
        }
        err = err != FLK_OK ? err : put_item(feed, query, reader, &item, page, errmsg);
        if (err != FLK_OK) {
            flk_counter_add(feed->read_failures, 1);
            return page->len > 0 ? FLK_OK : err;
        }
        reader->position = item.lsn;
        if (now_ms > began_ms + SCAN_MS) {
            return FLK_OK;
        }
    }
    return FLK_OK;
}

static void send_page(flk_http_request_t *request, flk_feed_page_t *page, uint64_t position) {
    char after[24];
    snprintf(after, sizeof after, "%" PRIu64, position);
    flk_http_send(request, &(flk_http_answer_t){.status = 200,
                                                .content_type = flk_feed_form_type(page->form),
                                                .body = page->text,
                                                .body_bytes = page->bytes,
                                                .after = after});
}

static void serve(flk_feed_t *feed, flk_http_request_t *request, const flk_feed_query_t *query, flk_feed_form_t form) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    uint64_t first_lsn = 0;
    flk_feed_reader_t reader;
    flk_feed_page_t page;
    flk_err_t err = find_start(feed, query, &reader, &first_lsn, errmsg);
    if (err == FLK_E_CLOSED) {
        refuse_gone(request, first_lsn);
        flk_feed_reader_drop(&reader);
        return;
    }
    if (err == FLK_E_INVALID) {
        refuse(request, 400, "is ahead of the log, which was replaced or rolled back", "after");
        return;
    }
    if (err != FLK_OK) {
        flk_counter_add(feed->open_failures, 1);
        refuse(request, 503, err == FLK_E_NOT_FOUND ? "there is no log yet" : errmsg, NULL);
        return;
    }
    flk_feed_page_init(&page, form);
    err = fill(feed, query, &reader, &page, errmsg);
    err = err != FLK_OK ? err : flk_feed_page_end(&page);
    if (err == FLK_OK) {
        flk_counter_add(feed->events, page.len);
        send_page(request, &page, reader.position);
        flk_feed_readers_give(feed->readers, &reader);
    } else {
        flk_log(FLK_LOG_WARN, "feed_failed", FLK_S("error", errmsg));
        refuse(request, 503, "the log cannot be read now", NULL);
        flk_feed_reader_drop(&reader);
    }
    flk_feed_page_fini(&page);
}

static void on_feed(flk_http_request_t *request, void *arg) {
    flk_feed_t *feed = arg;
    const flk_http_head_t *head = flk_http_request_head(request);
    flk_feed_query_t query;
    flk_feed_fault_t fault;
    flk_feed_form_t form;
    if (feed->options.closed_why != NULL) {
        refuse(request, 403, feed->options.closed_why, NULL);
    } else if (!flk_admin_let_in(feed->options.admin, request)) {
        return; /* it is answered */
    } else if (flk_feed_query_parse(head->path, &query, &fault) != FLK_OK) {
        refuse(request, 400, fault.reason, fault.field);
    } else if (!flk_feed_form_pick(flk_http_head_field(head, "Accept"), &form)) {
        refuse(request, 406, "the feed is application/x-ndjson or application/cloudevents-batch+json", NULL);
    } else if (atomic_fetch_add(&feed->running, 1) >= feed->options.readers_max) {
        atomic_fetch_sub(&feed->running, 1);
        flk_counter_add(feed->refused, 1);
        refuse(request, 503, "too many readers at once", NULL);
    } else {
        flk_gauge_add(feed->requests, 1);
        serve(feed, request, &query, form);
        flk_gauge_add(feed->requests, -1);
        atomic_fetch_sub(&feed->running, 1);
    }
}

flk_http_route_t flk_feed_route(flk_feed_t *feed) {
    return (flk_http_route_t){"/v1/feed", "GET", on_feed, feed, FLK_HTTP_QUERY};
}
