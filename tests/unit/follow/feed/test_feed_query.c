/* SPDX-License-Identifier: MIT */
/* The query of a feed's request, and its filters. */
#include <stdio.h>
#include <string.h>

#include "follow/feed/query.h"
#include "tests/unit/rig/suite.h"

static flk_feed_query_t query;
static flk_feed_fault_t fault;

/* NULL: it is read; else the parameter that is at fault. */
static const char *parse(const char *text) {
    char target[512];
    memset(&fault, 0, sizeof fault);
    snprintf(target, sizeof target, "/v1/feed%s", text);
    return flk_feed_query_parse(target, &query, &fault) == FLK_OK ? NULL : fault.field;
}

/* Without a query the feed begins at the oldest event, waits for nothing, and gives a thousand. */
START_TEST(test_feed_query_defaults) {
    static const char *const texts[] = {"", "?", "?&"};
    for (size_t i = 0; i < FLK_COUNT_OF(texts); i++) {
        ck_assert_ptr_null(parse(texts[i]));
        ck_assert_int_eq(query.start, FLK_FEED_OLDEST);
        ck_assert_uint_eq(query.limit, FLK_FEED_LIMIT);
        ck_assert_uint_eq(query.wait_s + query.statuses_len + query.reasons, 0);
    }
}
END_TEST

/* Every parameter is read, in any order, with %XX in values. */
START_TEST(test_feed_query_reads_all) {
    ck_assert_ptr_null(parse("?reason=degraded,dead_letter&shard=lab%3A1*&status=200%2c202&wait=60&limit=10000&after="
                             "9223372036854775808"));
    ck_assert_int_eq(query.start, FLK_FEED_AFTER);
    ck_assert_uint_eq(query.after, UINT64_C(1) << 63);
    ck_assert_uint_eq(query.limit, 10000);
    ck_assert_uint_eq(query.wait_s, 60);
    ck_assert_uint_eq(query.statuses_len, 2);
    ck_assert_uint_eq(query.statuses[1], 202);
    ck_assert_str_eq(query.shard, "lab:1");
    ck_assert(query.shard_is_prefix);
    ck_assert_uint_eq(query.reasons, 1u << FLK_REASON_DEGRADED | 1u << FLK_REASON_DEAD_LETTER);
    ck_assert_ptr_null(parse("?after=end"));
    ck_assert_int_eq(query.start, FLK_FEED_END);
}
END_TEST

/* A wrong value is refused under its parameter's name, and nothing of it is repeated. */
START_TEST(test_feed_query_refuses) {
    static const struct {
        const char *text, *field;
    } cases[] = {
        {"?after=", "after"},
        {"?after=-1", "after"},
        {"?after=1.5", "after"},
        {"?after=99999999999999999999", "after"},
        {"?after=1&after=1", "after"},
        {"?after", "after"},
        {"?limit=0", "limit"},
        {"?limit=10001", "limit"},
        {"?limit=%", "limit"},
        {"?limit=%1", "limit"},
        {"?limit=%zz", "limit"},
        {"?limit=1%00", "limit"},
        {"?wait=61", "wait"},
        {"?wait=-0", "wait"},
        {"?status=", "status"},
        {"?status=99", "status"},
        {"?status=600", "status"},
        {"?status=200,", "status"},
        {"?status=200,200,200,200,200,200,200,200,200", "status"},
        {"?shard=", "shard"},
        {"?shard=*", "shard"},
        {"?shard=a*b", "shard"},
        {"?shard=a+b", "shard"},
        {"?reason=", "reason"},
        {"?reason=none", "reason"},
        {"?x=1", ""},
        {"?After=1", ""},
        {"?=1", ""},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        const char *field = parse(cases[i].text);
        ck_assert_msg(field != NULL && strcmp(field, cases[i].field) == 0, "%s: %s", cases[i].text,
                      field != NULL ? field : "read");
        ck_assert_msg(fault.reason[0] != '\0', "%s", cases[i].text);
    }
    char longest[512] = "?shard=";
    memset(longest + strlen(longest), 'a', 300);
    ck_assert_str_eq(parse(longest), "shard");
}
END_TEST

/* An event passes when each filter that is there holds for it. */
START_TEST(test_feed_query_filters) {
    const flk_pcs_t lab = {.shard_id = "lab-1"};
    const flk_event_t escalated = {.status = 202, .reasons = 1u << FLK_REASON_DEGRADED, .pcs = &lab};
    const flk_event_t refused = {.status = 400};
    static const struct {
        const char *text;
        bool escalated, refused;
    } cases[] = {
        {"", true, true},
        {"?status=400", false, true},
        {"?status=200,202", true, false},
        {"?shard=lab-1", true, false},
        {"?shard=lab", false, false},
        {"?shard=lab*", true, false},
        {"?shard=lab-1*", true, false},
        {"?shard=lab-12*", false, false},
        {"?reason=degraded,dead_letter", true, false},
        {"?reason=dead_letter", false, false},
        {"?status=202&shard=x*", false, false},
        {"?status=200&reason=degraded", false, false},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        ck_assert_ptr_null(parse(cases[i].text));
        ck_assert_msg(flk_feed_query_wants(&query, &escalated) == cases[i].escalated, "%s", cases[i].text);
        ck_assert_msg(flk_feed_query_wants(&query, &refused) == cases[i].refused, "%s", cases[i].text);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("feed_query");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_feed_query_defaults);
    tcase_add_test(tcase, test_feed_query_reads_all);
    tcase_add_test(tcase, test_feed_query_refuses);
    tcase_add_test(tcase, test_feed_query_filters);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
