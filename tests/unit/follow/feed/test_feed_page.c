/* SPDX-License-Identifier: MIT */
/* Pages of the feed, in both forms. */
#include <jansson.h>
#include <string.h>

#include "follow/feed/page.h"
#include "tests/unit/rig/suite.h"

static const uint8_t pcs_id[FLK_PCS_ID_BYTES] = {0xab};
static const flk_event_t event = {
    .log_id = 0xabc, .lsn = 9, .record_lsn = 8, .time_ms = 1000, .status = 200, .pcs_id = pcs_id};
static const flk_gap_t gap = {.lineage = 0xdef, .first_lsn = 3, .last_lsn = 7, .why = "retired"};

static flk_feed_form_t pick(const char *accept) {
    flk_feed_form_t form;
    ck_assert(flk_feed_form_pick(accept, &form));
    return form;
}

/* The form goes by Accept, and NDJSON is the form of clients that have no wish. */
START_TEST(test_feed_form_by_accept) {
    flk_feed_form_t form;
    ck_assert_int_eq(pick(NULL), FLK_FEED_NDJSON);
    ck_assert_int_eq(pick(""), FLK_FEED_NDJSON);
    ck_assert_int_eq(pick("*/*"), FLK_FEED_NDJSON);
    ck_assert_int_eq(pick("text/html, application/*;q=0.5"), FLK_FEED_NDJSON);
    ck_assert_int_eq(pick("Application/X-NDJSON"), FLK_FEED_NDJSON);
    ck_assert_int_eq(pick("application/cloudevents-batch+json"), FLK_FEED_CLOUDEVENTS);
    ck_assert_int_eq(pick("application/x-ndjson;q=0.1,\tapplication/cloudevents-batch+json ;q=1"),
                     FLK_FEED_CLOUDEVENTS);
    ck_assert(!flk_feed_form_pick("text/html", &form));
    ck_assert(!flk_feed_form_pick("application/cloudevents+json", &form));
}
END_TEST

static json_t *load(const char *text, size_t bytes) {
    json_error_t error;
    json_t *value = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(value != NULL, "%s in %.*s", error.text, (int)bytes, text);
    return value;
}

/* NDJSON is a line an event, and a gap is a line that names its LSNs. */
START_TEST(test_feed_page_ndjson) {
    flk_feed_page_t page;
    flk_feed_page_init(&page, FLK_FEED_NDJSON);
    ck_assert_int_eq(flk_feed_page_gap(&page, &gap), FLK_OK);
    ck_assert_int_eq(flk_feed_page_event(&page, &event), FLK_OK);
    ck_assert_int_eq(flk_feed_page_end(&page), FLK_OK);
    static const char first[] =
        "{\"log\":\"0000000000000def\",\"gap\":{\"first_lsn\":3,\"last_lsn\":7,\"why\":\"retired\"}}\n";
    ck_assert_int_eq(strncmp(page.text, first, strlen(first)), 0);
    ck_assert_int_eq(page.text[page.bytes - 1], '\n');
    json_t *line = load(page.text + strlen(first), page.bytes - strlen(first));
    ck_assert_int_eq(json_integer_value(json_object_get(line, "lsn")), 9);
    json_decref(line);
    flk_feed_page_fini(&page);
}
END_TEST

static const char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "(none)";
}

/* A batch of CloudEvents names each event by its log and LSN, and has the event as its data; an empty one is a batch
 * too. */
START_TEST(test_feed_page_cloudevents) {
    flk_feed_page_t page;
    flk_feed_page_init(&page, FLK_FEED_CLOUDEVENTS);
    ck_assert_int_eq(flk_feed_page_event(&page, &event), FLK_OK);
    ck_assert_int_eq(flk_feed_page_gap(&page, &gap), FLK_OK);
    ck_assert_int_eq(flk_feed_page_end(&page), FLK_OK);
    json_t *batch = load(page.text, page.bytes);
    const json_t *first = json_array_get(batch, 0), *second = json_array_get(batch, 1);
    ck_assert_str_eq(text_of(first, "specversion"), "1.0");
    ck_assert_str_eq(text_of(first, "source"), "flk/0000000000000abc");
    ck_assert_str_eq(text_of(first, "id"), "9");
    ck_assert_str_eq(text_of(first, "type"), "flk.outcome.v1");
    ck_assert_str_eq(text_of(first, "subject"), text_of(json_object_get(first, "data"), "pcs_id"));
    ck_assert_str_eq(text_of(first, "time"), "1970-01-01T00:00:01.000Z");
    ck_assert_str_eq(text_of(second, "type"), "flk.gap.v1");
    ck_assert_str_eq(text_of(second, "id"), "gap-3-7");
    json_decref(batch);
    flk_feed_page_fini(&page);
    flk_feed_page_init(&page, FLK_FEED_CLOUDEVENTS);
    ck_assert_int_eq(flk_feed_page_end(&page), FLK_OK);
    ck_assert_int_eq(strncmp(page.text, "[]", page.bytes), 0);
    flk_feed_page_fini(&page);
}
END_TEST

/* A page is full before it outgrows its bound. */
START_TEST(test_feed_page_is_bounded) {
    for (int form = FLK_FEED_NDJSON; form <= FLK_FEED_CLOUDEVENTS; form++) {
        flk_feed_page_t page;
        flk_feed_page_init(&page, (flk_feed_form_t)form);
        while (!flk_feed_page_is_full(&page)) {
            ck_assert_int_eq(flk_feed_page_event(&page, &event), FLK_OK);
        }
        ck_assert_int_eq(flk_feed_page_end(&page), FLK_OK);
        ck_assert_uint_le(page.bytes, FLK_FEED_PAGE_BYTES_MAX);
        ck_assert_uint_gt(page.len, 1000);
        flk_feed_page_fini(&page);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("feed_page");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_feed_form_by_accept);
    tcase_add_test(tcase, test_feed_page_ndjson);
    tcase_add_test(tcase, test_feed_page_cloudevents);
    tcase_add_test(tcase, test_feed_page_is_bounded);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
