/* SPDX-License-Identifier: MIT */
#include "follow/feed/page.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ROOM_FIRST = 16384, FRAME_BYTES = 640, ITEM_BYTES = FLK_EVENT_JSON_BYTES + FRAME_BYTES };

static const char ndjson[] = "application/x-ndjson", cloudevents[] = "application/cloudevents-batch+json";

const char *flk_feed_form_type(flk_feed_form_t form) {
    return form == FLK_FEED_CLOUDEVENTS ? cloudevents : ndjson;
}

/* ---- Accept ---- */

/* One range of the list, without its parameters. */
static bool is_range(const char *item, size_t bytes, const char *type) {
    return strlen(type) == bytes && strncasecmp(item, type, bytes) == 0;
}

bool flk_feed_form_pick(const char *accept, flk_feed_form_t *form) {
    bool any = accept == NULL || accept[0] == '\0';
    *form = FLK_FEED_NDJSON;
    for (const char *at = accept; at != NULL;) {
        at += strspn(at, " \t,");
        size_t bytes = strcspn(at, ",; \t");
        if (is_range(at, bytes, cloudevents)) {
            *form = FLK_FEED_CLOUDEVENTS;
            return true;
        }
        any |= is_range(at, bytes, ndjson) || is_range(at, bytes, "*/*") || is_range(at, bytes, "application/*");
        at = strchr(at, ',');
    }
    return any;
}

/* ---- the body ---- */

void flk_feed_page_init(flk_feed_page_t *page, flk_feed_form_t form) {
    *page = (flk_feed_page_t){.form = form};
}

void flk_feed_page_fini(flk_feed_page_t *page) {
    free(page->text);
    page->text = NULL;
}

bool flk_feed_page_is_full(const flk_feed_page_t *page) {
    return page->bytes + ITEM_BYTES > FLK_FEED_PAGE_BYTES_MAX;
}

static flk_err_t make_room(flk_feed_page_t *page) {
    if (page->room - page->bytes >= ITEM_BYTES) {
        return FLK_OK;
    }
    size_t room = page->room == 0 ? ROOM_FIRST : page->room * 2;
    char *text = realloc(page->text, room);
    if (text == NULL) {
        return FLK_E_NOMEM;
    }
    page->text = text;
    page->room = room;
    return FLK_OK;
}

static void put(flk_feed_page_t *page, const char *text) {
    size_t bytes = strlen(text);
    memcpy(page->text + page->bytes, text, bytes);
    page->bytes += bytes;
}

static void put_between(flk_feed_page_t *page) {
    if (page->form == FLK_FEED_CLOUDEVENTS) {
        put(page, page->len == 0 ? "[" : ",");
    }
    page->len++;
}

/* The attributes of CloudEvents around an event: source and id name it for ever. */
static void put_envelope(flk_feed_page_t *page, const flk_event_t *event) {
    char text[FRAME_BYTES], time[FLK_EVENT_TIME_BYTES], id[FLK_PCS_ID_HEX + 1] = "";
    flk_event_print_time(event->time_ms, time);
    if (event->pcs_id != NULL) {
        sodium_bin2hex(id, sizeof id, event->pcs_id, FLK_PCS_ID_BYTES);
    }
    snprintf(text, sizeof text,
             "{\"specversion\":\"1.0\",\"type\":\"flk.outcome.v1\",\"source\":\"flk/%016llx\",\"id\":\"%llu\","
             "\"time\":\"%.*s\",%s%s%s\"datacontenttype\":\"application/json\",\"dataschema\":\"urn:flk:event:1\","
             "\"data\":",
             (unsigned long long)event->log_id, (unsigned long long)event->lsn, FLK_EVENT_TIME_BYTES, time,
             id[0] != '\0' ? "\"subject\":\"" : "", id, id[0] != '\0' ? "\"," : "");
    put(page, text);
}

flk_err_t flk_feed_page_event(flk_feed_page_t *page, const flk_event_t *event) {
    if (make_room(page) != FLK_OK) {
        return FLK_E_NOMEM;
    }
    put_between(page);
    if (page->form == FLK_FEED_CLOUDEVENTS) {
        put_envelope(page, event);
    }
    page->bytes += flk_event_print(event, page->text + page->bytes);
    put(page, page->form == FLK_FEED_CLOUDEVENTS ? "}" : "\n");
    return FLK_OK;
}

flk_err_t flk_feed_page_gap(flk_feed_page_t *page, const flk_gap_t *gap) {
    char data[FRAME_BYTES], text[FRAME_BYTES * 2];
    unsigned long long lineage = gap->lineage, first = gap->first_lsn, last = gap->last_lsn;
    if (make_room(page) != FLK_OK) {
        return FLK_E_NOMEM;
    }
    put_between(page);
    snprintf(data, sizeof data, "{\"log\":\"%016llx\",\"gap\":{\"first_lsn\":%llu,\"last_lsn\":%llu,\"why\":\"%s\"}}",
             lineage, first, last, gap->why);
    snprintf(text, sizeof text,
             "{\"specversion\":\"1.0\",\"type\":\"flk.gap.v1\",\"source\":\"flk/%016llx\",\"id\":\"gap-%llu-%llu\","
             "\"datacontenttype\":\"application/json\",\"data\":%s}",
             lineage, first, last, data);
    put(page, page->form == FLK_FEED_CLOUDEVENTS ? text : data);
    put(page, page->form == FLK_FEED_CLOUDEVENTS ? "" : "\n");
    return FLK_OK;
}

flk_err_t flk_feed_page_end(flk_feed_page_t *page) {
    if (make_room(page) != FLK_OK) {
        return FLK_E_NOMEM;
    }
    if (page->form == FLK_FEED_CLOUDEVENTS) {
        put(page, page->len == 0 ? "[]" : "]");
    }
    return FLK_OK;
}
