/* SPDX-License-Identifier: MIT */
#include "common/pcs/pcs.h"
#include "tests/unit/rig/pcs_vectors.h"

#include "tests/unit/rig/suite.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>

/* ---- a valid PCS, broken in one member ---- */

typedef struct part {
    const char *key, *raw; /* raw: the value as JSON text */
} part_t;

static const part_t valid[] = {
    {"pcs_id", NULL}, /* valid_id */
    {"schema", "\"fractal-lba-kakeya\""},
    {"version", "\"0.1\""},
    {"shard_id", "\"shard-001\""},
    {"epoch", "1"},
    {"attempt", "1"},
    {"sent_at", "\"2025-01-01T00:00:00Z\""},
    {"seed", "42"},
    {"scales", "[2,4,8,16,32]"},
    {"N_j", "{\"2\":3,\"4\":5,\"8\":9,\"16\":17,\"32\":31}"},
    {"coh_star", "0.73"},
    {"v_star", "[0.12,0.98,-0.05]"},
    {"D_hat", "1.41"},
    {"r", "0.87"},
    {"regime", "\"sticky\""},
    {"budget", "0.42"},
    {"merkle_root", "\"00ff\""},
    {"sig", "\"c2ln\""},
    {"ft", "{\"outbox_seq\":123,\"degraded\":false,\"fallbacks\":[],\"clock_skew_ms\":0}"},
};

enum { BODY_BYTES = 1 << 18 };
static char valid_id[FLK_PCS_ID_HEX + 3];

/* The valid PCS with `key` set to `raw` (NULL: left out; a new key: added at the end). */
static const char *body_with(const char *key, const char *raw) {
    static char body[BODY_BYTES];
    size_t len = 0;
    bool found = false;
    for (size_t i = 0; i < FLK_COUNT_OF(valid); i++) {
        const char *value = i == 0 ? valid_id : valid[i].raw;
        if (strcmp(valid[i].key, key) == 0) {
            value = raw;
            found = true;
        }
        if (value != NULL) {
            len += (size_t)snprintf(body + len, sizeof body - len, "%s\"%s\":%s", len == 0 ? "{" : ",", valid[i].key,
                                    value);
        }
    }
    if (!found) {
        len += (size_t)snprintf(body + len, sizeof body - len, ",\"%s\":%s", key, raw);
    }
    len += (size_t)snprintf(body + len, sizeof body - len, "}");
    ck_assert_uint_lt(len, sizeof body);
    return body;
}

static void make_valid_id(void) {
    flk_pcs_t pcs;
    flk_pcs_init(&pcs);
    strcpy(pcs.merkle_root, "00ff");
    strcpy(pcs.shard_id, "shard-001");
    pcs.epoch = 1;
    flk_pcs_set_id(&pcs);
    snprintf(valid_id, sizeof valid_id, "\"%s\"", pcs.id);
}

static flk_err_t read_text(const char *body, flk_pcs_fault_t *fault) {
    flk_pcs_t pcs;
    flk_err_t err = flk_pcs_from_json(body, strlen(body), &pcs, fault);
    if (err == FLK_OK) {
        flk_pcs_fini(&pcs);
    }
    return err;
}

static void expect_valid(const char *body) {
    flk_pcs_fault_t fault;
    flk_err_t err = read_text(body, &fault);
    ck_assert_msg(err == FLK_OK, "%s: %s: %s in %.300s", flk_err_text(err), fault.field, fault.reason, body);
}

/* `reason_part` NULL: any reason. */
static void expect_fault(const char *body, const char *field, const char *reason_part) {
    flk_pcs_fault_t fault;
    flk_err_t err = read_text(body, &fault);
    ck_assert_msg(err == FLK_E_INVALID, "%s for %.300s", flk_err_text(err), body);
    ck_assert_msg(strcmp(fault.field, field) == 0, "field '%s' (%s), not '%s', for %.300s", fault.field, fault.reason,
                  field, body);
    ck_assert_msg(fault.reason[0] != '\0' && (reason_part == NULL || strstr(fault.reason, reason_part) != NULL),
                  "reason '%s' for %.300s", fault.reason, body);
}

/* ---- reading ---- */

/* Every member arrives where it belongs. */
START_TEST(test_pcs_reads_every_member) {
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    const char *body = body_with("ft", "{\"outbox_seq\":9007199254740991,\"degraded\":true,\"fallbacks\":[\"no depth\","
                                       "\"x\"],\"clock_skew_ms\":-12}");
    ck_assert_int_eq(flk_pcs_from_json(body, strlen(body), &pcs, &fault), FLK_OK);
    ck_assert_mem_eq(pcs.id, valid_id + 1, FLK_PCS_ID_HEX);
    ck_assert_str_eq(pcs.version, "0.1");
    ck_assert_str_eq(pcs.shard_id, "shard-001");
    ck_assert_str_eq(pcs.merkle_root, "00ff");
    ck_assert_str_eq(pcs.sig, "c2ln");
    ck_assert_str_eq(pcs.sent_at, "2025-01-01T00:00:00Z");
    ck_assert_uint_eq(pcs.epoch, 1);
    ck_assert(pcs.has_attempt && pcs.attempt == 1 && pcs.has_seed && pcs.seed == 42);
    ck_assert_uint_eq(pcs.scales_len, 5);
    ck_assert_uint_eq(pcs.scales[4], 32);
    ck_assert_uint_eq(pcs.counts_len, 5);
    ck_assert(pcs.counts[4].scale == 32 && pcs.counts[4].cells == 31);
    ck_assert(pcs.d_hat == 1.41 && pcs.coh_star == 0.73 && pcs.r == 0.87 && pcs.budget == 0.42);
    ck_assert_int_eq(pcs.regime, FLK_REGIME_STICKY);
    ck_assert_uint_eq(pcs.v_star_len, 3);
    ck_assert_double_eq(pcs.v_star[2], -0.05);
    ck_assert(pcs.has_ft && pcs.degraded && pcs.has_outbox_seq && pcs.has_clock_skew);
    ck_assert_uint_eq(pcs.outbox_seq, FLK_PCS_INTEGER_MAX);
    ck_assert_int_eq(pcs.clock_skew_ms, -12);
    ck_assert_uint_eq(pcs.fallbacks_len, 2);
    ck_assert_str_eq(pcs.fallbacks[0], "no depth");
    flk_pcs_fini(&pcs);
    ck_assert_ptr_null(pcs.v_star);
}
END_TEST

/* Each optional member may be absent, each required one may not and is named; the first missing one in schema order. */
START_TEST(test_pcs_required_members) {
    static const char *const optional[] = {"attempt", "sent_at", "seed", "v_star", "sig", "ft"};
    for (size_t i = 0; i < FLK_COUNT_OF(valid); i++) {
        bool is_optional = false;
        for (size_t j = 0; j < FLK_COUNT_OF(optional); j++) {
            is_optional |= strcmp(valid[i].key, optional[j]) == 0;
        }
        if (is_optional) {
            expect_valid(body_with(valid[i].key, NULL));
        } else {
            expect_fault(body_with(valid[i].key, NULL), valid[i].key, "required");
        }
    }
    expect_fault("{}", "pcs_id", "required");
    expect_fault("{\"pcs_id\":\"0000000000000000000000000000000000000000000000000000000000000000\"}", "schema",
                 "required");
}
END_TEST

/* The order of the members does not matter. */
START_TEST(test_pcs_members_in_any_order) {
    char body[4096];
    for (size_t first = 0; first < FLK_COUNT_OF(valid); first++) {
        size_t len = 0;
        for (size_t i = 0; i < FLK_COUNT_OF(valid); i++) { /* rotated, then reversed */
            size_t at = (first + i) % FLK_COUNT_OF(valid);
            at = first % 2 == 0 ? at : FLK_COUNT_OF(valid) - 1 - at;
            len += (size_t)snprintf(body + len, sizeof body - len, "%s\"%s\":%s", len == 0 ? "{" : ",", valid[at].key,
                                    at == 0 ? valid_id : valid[at].raw);
        }
        snprintf(body + len, sizeof body - len, "}");
        expect_valid(body);
    }
    expect_valid(body_with("ft", "{\"clock_skew_ms\":1,\"fallbacks\":[],\"degraded\":false,\"outbox_seq\":1}"));
}
END_TEST

/* Absent optional members are told apart from zeros. */
START_TEST(test_pcs_absent_members) {
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    const char *body = body_with("seed", NULL);
    ck_assert_int_eq(flk_pcs_from_json(body, strlen(body), &pcs, &fault), FLK_OK);
    ck_assert(!pcs.has_seed && pcs.has_attempt);
    flk_pcs_fini(&pcs);
    body = body_with("ft", NULL);
    ck_assert_int_eq(flk_pcs_from_json(body, strlen(body), &pcs, &fault), FLK_OK);
    ck_assert(!pcs.has_ft && !pcs.has_outbox_seq && !pcs.degraded && !pcs.has_clock_skew);
    flk_pcs_fini(&pcs);
}
END_TEST

/* A text of `count` times `item` between `open` and `close`; "%zu" in the item is the index plus `first`. */
static const char *repeated(const char *open, const char *item, size_t count, size_t first, const char *close) {
    static char text[BODY_BYTES];
    size_t len = (size_t)snprintf(text, sizeof text, "%s", open);
    for (size_t i = 0; i < count; i++) {
        const char *number = strstr(item, "%zu");
        len += (size_t)snprintf(text + len, sizeof text - len, "%s", i == 0 ? "" : ",");
        if (number == NULL) {
            len += (size_t)snprintf(text + len, sizeof text - len, "%s", item);
        } else {
            len += (size_t)snprintf(text + len, sizeof text - len, "%.*s%zu%s", (int)(number - item), item, i + first,
                                    number + 3);
        }
    }
    snprintf(text + len, sizeof text - len, "%s", close);
    return text;
}

static const char *long_string(size_t bytes, char c) {
    static char text[1024];
    text[0] = '"';
    memset(text + 1, c, bytes);
    memcpy(text + 1 + bytes, "\"", 2);
    return text;
}

/* Every length and count may be as large as its limit and no larger. */
START_TEST(test_pcs_limits) {
    expect_valid(body_with("scales", repeated("[", "%zu", 64, 2, "]")));
    expect_fault(body_with("scales", repeated("[", "%zu", 65, 2, "]")), "scales", "64");
    expect_valid(body_with("N_j", repeated("{", "\"%zu\":1", 128, 2, "}")));
    expect_fault(body_with("N_j", repeated("{", "\"%zu\":1", 129, 2, "}")), "N_j", "128");
    expect_valid(body_with("v_star", repeated("[", "0.5", 4096, 0, "]")));
    expect_fault(body_with("v_star", repeated("[", "0.5", 4097, 0, "]")), "v_star", "4096");
    expect_valid(body_with("ft", repeated("{\"fallbacks\":[", "\"x\"", 16, 0, "]}")));
    expect_fault(body_with("ft", repeated("{\"fallbacks\":[", "\"x\"", 17, 0, "]}")), "ft.fallbacks", "16");
    expect_valid(body_with("later", repeated("{", "\"%zu\":1", 256, 0, "}")));
    expect_fault(body_with("later", repeated("{", "\"%zu\":1", 257, 0, "}")), "", "256");
    expect_valid(body_with("later", repeated("[", "1", 16000, 0, "]")));
    expect_fault(body_with("later", repeated("[", "1", 16384, 0, "]")), "", "16384");
    expect_fault(body_with("later", repeated("[", "[]", 60000, 0, "]")), "", "16384");
    expect_fault(body_with("v_star", repeated("[", "[]", 60000, 0, "]")), "v_star[0]", "finite");
    expect_valid(body_with("sig", long_string(128, 'A')));
    expect_fault(body_with("sig", long_string(129, 'A')), "sig", "128");
    expect_fault(body_with("shard_id", long_string(129, 'A')), "shard_id", "128");
    expect_fault(body_with("shard_id", long_string(128, 'A')), "pcs_id", "SHA-256");
    expect_fault(body_with("merkle_root", long_string(129, 'a')), "merkle_root", "128");
    expect_fault(body_with("merkle_root", long_string(128, 'A')), "pcs_id", "SHA-256");
}
END_TEST

/* Maps and arrays may nest 16 deep, in unknown members too; much deeper nesting costs no stack. */
START_TEST(test_pcs_depth) {
    char nested[64], inside[96];
    for (int depth = 3; depth <= 20; depth++) {
        int inner = depth - 1; /* the PCS itself is the first */
        memset(nested, '[', (size_t)inner);
        memset(nested + inner, ']', (size_t)inner);
        nested[2 * inner] = '\0';
        snprintf(inside, sizeof inside, "{\"later\":%.*s}", 2 * (inner - 1), nested + 1);
        if (depth <= FLK_PCS_DEPTH_MAX) {
            expect_valid(body_with("later", nested));
        } else {
            expect_fault(body_with("later", nested), "", "deeper than 16");
            expect_fault(body_with("ft", inside), "ft", "deeper than 16");
        }
    }
    static char deep[200001];
    for (size_t i = 0; i < 100000; i++) {
        deep[i] = '[';
        deep[100000 + i] = ']';
    }
    expect_fault(deep, "", "one object");
    expect_fault(body_with("later", deep), "", "deeper than 16");
}
END_TEST

/* A key that occurs twice is refused at every level, in unknown members too, and however it is escaped. */
START_TEST(test_pcs_duplicate_keys) {
    expect_fault(body_with("later\":1,\"epoch", "1"), "epoch", "twice");
    expect_fault(body_with("later\":1,\"\\u0065poch", "1"), "epoch", "twice"); /* escaped */
    expect_fault(body_with("later\":1,\"later", "1"), "", "twice");
    expect_fault(body_with("N_j", "{\"2\":1,\"4\":2,\"2\":1}"), "N_j", "twice");
    expect_fault(body_with("ft", "{\"degraded\":true,\"degraded\":false}"), "ft", "twice");
    expect_fault(body_with("later", "{\"a\":{\"b\":[{\"c\":1,\"c\":2}]}}"), "", "twice");
    expect_valid(body_with("later", "{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]},\"epoch\":1}"));
}
END_TEST

/* JSON as RFC 8259 has it: a forbidden form is refused anywhere, an allowed one passes in an unknown member. */
START_TEST(test_pcs_json_grammar) {
    static const char *const good[] = {
        "0",
        "-0",
        "-1",
        "1.5",
        "1e5",
        "1E+5",
        "1e-5",
        "1.5e300",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        "[[]]",
        " [ 1 ] ",
        "\"\"",
        "\"a\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\\\ud83d\"",
        "\"\\uD83D\\uDE00\\u0041\"",
        "\"\xc3\xa9\"",
        "\"\xf0\x9f\x98\x80\"",
        "\"\xef\xbf\xbf\"",
        "\"\x7f\"",
        "\t\r\n1",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999999999",
        "{\"\":1}",
        "{\"a\":[]}",
        "123456789.123456789123456789",
        "0.0000000000000000000000000000000000000000001",
    };
    static const char *const bad[] = {
        "",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1",
        "1]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1",
        "'a'",
        "NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "+1",
        "01",
        "-01",
        "1.",
        ".1",
        "-.1",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "--1",
        "-",
        "1.2.3",
        "tru",
        "True",
        "nul",
        "\"a",
        "\"\\x41\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\\"",
        "\"\n\"",
        "\"\t\"",
        "\"\x1f\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\\ude00\\ud83d\"",
        "\"\\ud83d\\ud83d\"",
        "\"\\ud83d",
        "\"\\ud83d\\n\"",
        "{\"\\ud83d\":1}",
        "[1,\v2]",
        "\f1",
        "\"\\u0000\"",
        "{\"\\u0000\":1}",
        "/*c*/1",
        "1//c",
        "#",
        "1,",
        "[1]x",
        "\"a\" \"b\"",
        "1e999",
        "-1e999",
        "[1e400]",
        "\"\xff\"",
        "\"\x80\"",
        "\"\xc0\xaf\"",
        "\"\xc1\x81\"",
        "\"\xe0\x80\xaf\"",
        "\"\xed\xa0\x80\"",
        "\"\xed\xbf\xbf\"",
        "\"\xf0\x80\x80\xaf\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xf8\x88\x80\x80\x80\"",
        "\"\xc3\"",
        "\"\xe2\x82\"",
        "\"\xf0\x9f\x98\"",
        "{\"\xff\":1}",
        "\xc3\xa9",
    };
    for (size_t i = 0; i < FLK_COUNT_OF(good); i++) {
        expect_valid(body_with("later", good[i]));
    }
    for (size_t i = 0; i < FLK_COUNT_OF(bad); i++) {
        expect_fault(body_with("later", bad[i]), "", NULL);
    }
    for (size_t i = 0; i < FLK_COUNT_OF(good); i++) {
        flk_pcs_fault_t fault;
        ck_assert_int_eq(read_text(good[i], &fault), FLK_E_INVALID); /* none is a PCS */
    }
}
END_TEST

/* A fault of the text is laid at the member in which it stands. */
START_TEST(test_pcs_json_faults_name_the_member) {
    expect_fault(body_with("seed", "1e999"), "seed", "out of range");
    expect_fault(body_with("seed", "1e400"), "seed", "out of range");
    expect_fault(body_with("shard_id", "\"\xff\""), "shard_id", "UTF-8");
    expect_fault(body_with("shard_id", "\"\\u0000\""), "shard_id", "U+0000");
    expect_fault(body_with("ft", "{\"fallbacks\":[\"\xc0\"]}"), "ft", "UTF-8");
    expect_fault(body_with("scales", "[2,,4]"), "scales", "not valid JSON at line 1");
    expect_fault(body_with("D_hat", "NaN"), "D_hat", "not valid JSON");
    expect_fault(body_with("budget", "0.5,"), "", "not valid JSON"); /* between two members */
}
END_TEST

static void expect_bytes(const char *body, size_t body_bytes, flk_err_t expected, const char *reason_part) {
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    flk_err_t err = flk_pcs_from_json(body, body_bytes, &pcs, &fault);
    ck_assert_msg(err == expected, "%s: %s", flk_err_text(err), fault.reason);
    ck_assert_msg(strstr(fault.reason, reason_part) != NULL, "'%s'", fault.reason);
    if (err == FLK_OK) {
        flk_pcs_fini(&pcs);
    }
}

/* The body is one JSON text and nothing before or after it but white space. */
START_TEST(test_pcs_body) {
    char body[8192];
    const char *plain = body_with("seed", "42");
    size_t bytes = strlen(plain);
    snprintf(body, sizeof body, " \n%s\r\n\t ", plain);
    expect_valid(body);
    snprintf(body, sizeof body, "%s{}", plain);
    expect_fault(body, "", "end after the PCS");
    snprintf(body, sizeof body, "%s]", plain);
    expect_fault(body, "", "end after the PCS");
    static const char *const behind[] = {"\"abc", "\"", "-", "tru", "/", "\f", "\v"}; /* to yajl the end, or white */
    for (size_t i = 0; i < FLK_COUNT_OF(behind); i++) {
        snprintf(body, sizeof body, "%s %s", plain, behind[i]);
        expect_fault(body, "", NULL);
    }
    snprintf(body, sizeof body, "\xef\xbb\xbf%s", plain);
    expect_fault(body, "", "not valid JSON");
    expect_bytes(plain, bytes + 1, FLK_E_INVALID, ""); /* with its NUL */
    expect_bytes(plain, bytes - 1, FLK_E_INVALID, "too early");
    expect_bytes("", 0, FLK_E_INVALID, "");
    expect_bytes("\0", 1, FLK_E_INVALID, "");
    expect_fault("[]", "", "one object");
    expect_fault("null", "", "one object");
    expect_fault("3", "", "one object");
    expect_fault("\"a\"", "", "one object");
    for (size_t cut = 0; cut < bytes; cut++) { /* every prefix */
        expect_bytes(plain, cut, FLK_E_INVALID, "");
    }
}
END_TEST

/* A body of 1 MiB is read, one byte more is FLK_E_TOO_LARGE. */
START_TEST(test_pcs_body_size) {
    const char *plain = body_with("seed", "42");
    size_t bytes = strlen(plain);
    char *body = malloc(FLK_PCS_BODY_BYTES_MAX + 1);
    memset(body, ' ', FLK_PCS_BODY_BYTES_MAX + 1);
    memcpy(body, plain, bytes);
    expect_bytes(body, FLK_PCS_BODY_BYTES_MAX, FLK_OK, "");
    expect_bytes(body, FLK_PCS_BODY_BYTES_MAX + 1, FLK_E_TOO_LARGE, "1048576");
    free(body);
}
END_TEST

/* However long a string with escapes is, and wherever it is cut, yajl has the memory for it. */
START_TEST(test_pcs_long_strings) {
    const char *plain = body_with("later", "\"\\n\"");
    const char *string = strstr(plain, "\"\\n\"");
    size_t before = (size_t)(string - plain);
    char *body = malloc(FLK_PCS_BODY_BYTES_MAX);
    static const size_t sizes[] = {2040, 2050, 4090, 4100, 65536, 500000, FLK_PCS_BODY_BYTES_MAX - 2048};
    for (size_t i = 0; i < FLK_COUNT_OF(sizes); i++) {
        memcpy(body, plain, before + 1);
        memset(body + before + 1, 'a', sizes[i]);
        memcpy(body + before + 1 + sizes[i], string + 1, strlen(string)); /* \n, and the text behind it */
        size_t bytes = before + sizes[i] + strlen(string);
        expect_bytes(body, bytes, FLK_OK, "");
        expect_bytes(body, before + sizes[i], FLK_E_INVALID, "too early");
        memmove(body + before + 3, body + before + 1, bytes - before - 3);
        memcpy(body + before + 1, "\\n", 2);
        expect_bytes(body, before + sizes[i], FLK_E_INVALID, "too early");
    }
    free(body);
}
END_TEST

/* Nothing that the sender chose is in a fault: it may be echoed. */
START_TEST(test_pcs_faults_echo_nothing) {
    static const part_t rows[] = {
        {"XYZZY", "[1,]"},        {"XYZZY", "{\"XYZZY\":1,\"XYZZY\":1}"},
        {"N_j", "{\"XYZZY\":1}"}, {"ft", "{\"fallbacks\":[\"XYZZY\\n\"]}"},
        {"schema", "\"XYZZY\""},  {"version", "\"XYZZY\""},
        {"regime", "\"XYZZY\""},  {"shard_id", "\"XYZZY \""},
        {"D_hat", "XYZZY"},       {"r", "\"XYZZY\""},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(rows); i++) {
        flk_pcs_fault_t fault;
        ck_assert_int_eq(read_text(body_with(rows[i].key, rows[i].raw), &fault), FLK_E_INVALID);
        ck_assert_ptr_null(strstr(fault.field, "XYZZY"));
        ck_assert_ptr_null(strstr(fault.reason, "XYZZY"));
    }
}
END_TEST

/* ---- the id ---- */

/* The id is the SHA-256 of merkle_root|epoch|shard_id as sent: case counts, and each of the three does. */
START_TEST(test_pcs_id) {
    flk_pcs_t pcs;
    flk_pcs_init(&pcs);
    strcpy(pcs.merkle_root, "1c0e6c799f5af8d301e11d203eb46723821a32b28d215838bceec4387e428ec1");
    strcpy(pcs.shard_id, "shard-646");
    pcs.epoch = 388973288;
    flk_pcs_set_id(&pcs);
    ck_assert_str_eq(pcs.id, "c864e919e91e121d505f36652bb06d8500b4d63828f04ff2ad149dc58127b502");
    ck_assert_uint_eq(pcs.id_raw[0], 0xc8);
    ck_assert_uint_eq(pcs.id_raw[31], 0x02);
    expect_fault(body_with("merkle_root", "\"00FF\""), "pcs_id", NULL);
    expect_fault(body_with("epoch", "2"), "pcs_id", NULL);
    expect_fault(body_with("shard_id", "\"shard-002\""), "pcs_id", NULL);

    memset(pcs.merkle_root, 'f', FLK_PCS_MERKLE_MAX); /* the longest */
    memset(pcs.shard_id, 's', FLK_PCS_SHARD_MAX);
    pcs.epoch = FLK_PCS_INTEGER_MAX;
    flk_pcs_set_id(&pcs);
}
END_TEST

/* ---- the printer ---- */

static void expect_same(const flk_pcs_t *a, const flk_pcs_t *b) {
    flk_pcs_t left = *a, right = *b;
    ck_assert_uint_eq(left.v_star_len, right.v_star_len);
    if (left.v_star_len > 0) {
        ck_assert_mem_eq(left.v_star, right.v_star, left.v_star_len * sizeof *left.v_star);
    }
    left.v_star = right.v_star = NULL;
    ck_assert_mem_eq(&left, &right, sizeof left);
}

static void expect_round_trip(const flk_pcs_t *pcs) {
    char *text;
    size_t text_bytes;
    ck_assert_int_eq(flk_pcs_to_json(pcs, &text, &text_bytes), FLK_OK);
    ck_assert_uint_eq(strlen(text), text_bytes);
    flk_pcs_t again;
    flk_pcs_fault_t fault;
    flk_err_t err = flk_pcs_from_json(text, text_bytes, &again, &fault);
    ck_assert_msg(err == FLK_OK, "%s: %s in %.300s", fault.field, fault.reason, text);
    expect_same(pcs, &again);
    flk_pcs_fini(&again);
    free(text);
}

/* A printed PCS reads back the same: all vectors, and a PCS with every member at its longest. */
START_TEST(test_pcs_print_round_trip) {
    json_t *root = vectors_load("verdicts.json");
    json_t *cases = json_object_get(root, "cases");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        flk_pcs_t pcs;
        vectors_read_pcs(json_object_get(json_array_get(cases, i), "pcs"), &pcs);
        expect_round_trip(&pcs);
        flk_pcs_fini(&pcs);
    }
    json_decref(root);

    static flk_pcs_t full;
    flk_pcs_init(&full);
    strcpy(full.version, "0.9999999999999999999999999999.1");
    memset(full.shard_id, 's', FLK_PCS_SHARD_MAX);
    memset(full.merkle_root, 'F', FLK_PCS_MERKLE_MAX);
    memset(full.sig, '\x01', FLK_PCS_SIG_MAX); /* escaped: six bytes each */
    strcpy(full.sent_at, "2025-01-01T00:00:00.00000000000000+00:00");
    full.epoch = full.attempt = full.seed = full.outbox_seq = FLK_PCS_INTEGER_MAX;
    full.clock_skew_ms = -(int64_t)FLK_PCS_INTEGER_MAX;
    full.has_attempt = full.has_seed = full.has_ft = full.has_outbox_seq = full.has_clock_skew = full.degraded = true;
    full.d_hat = full.coh_star = full.r = full.budget = -2.2250738585072014e-308;
    full.regime = FLK_REGIME_NON_STICKY;
    full.scales_len = FLK_PCS_SCALES_MAX;
    full.counts_len = FLK_PCS_COUNTS_MAX;
    for (uint32_t i = 0; i < FLK_PCS_COUNTS_MAX; i++) {
        full.scales[i % FLK_PCS_SCALES_MAX] = FLK_PCS_INTEGER_MAX - i;
        full.counts[i] = (flk_pcs_count_t){FLK_PCS_INTEGER_MAX - i, FLK_PCS_INTEGER_MAX};
    }
    full.fallbacks_len = FLK_PCS_FALLBACKS_MAX;
    for (uint32_t i = 0; i < FLK_PCS_FALLBACKS_MAX; i++) {
        memset(full.fallbacks[i], 'b', FLK_PCS_FALLBACK_MAX);
    }
    full.v_star_len = FLK_PCS_V_STAR_MAX;
    full.v_star = malloc(full.v_star_len * sizeof *full.v_star);
    for (uint32_t i = 0; i < full.v_star_len; i++) {
        full.v_star[i] = -1.2345678901234567e-300 * (i + 1);
    }
    flk_pcs_set_id(&full);
    expect_round_trip(&full);
    memset(full.sig, 0, sizeof full.sig);
    strcpy(full.sig, "\"\\\n\x7f\xc3\xa9/");
    expect_round_trip(&full);
    flk_pcs_fini(&full);
}
END_TEST

/* A PCS with required members only is printed without the others. */
START_TEST(test_pcs_print_minimal) {
    flk_pcs_t pcs;
    flk_pcs_init(&pcs);
    strcpy(pcs.version, "0.1");
    strcpy(pcs.shard_id, "s");
    strcpy(pcs.merkle_root, "00");
    pcs.scales_len = 1;
    pcs.scales[0] = 2;
    flk_pcs_set_id(&pcs);
    char *text, expected[512];
    size_t text_bytes;
    ck_assert_int_eq(flk_pcs_to_json(&pcs, &text, &text_bytes), FLK_OK);
    snprintf(expected, sizeof expected,
             "{\"pcs_id\":\"%s\",\"schema\":\"fractal-lba-kakeya\",\"version\":\"0.1\",\"shard_id\":\"s\",\"epoch\":0,"
             "\"scales\":[2],\"N_j\":{},\"coh_star\":0.0,\"D_hat\":0.0,\"r\":0.0,\"regime\":\"sticky\",\"budget\":0.0,"
             "\"merkle_root\":\"00\"}",
             pcs.id);
    ck_assert_str_eq(text, expected);
    free(text);
}
END_TEST

/* ---- the reader by itself: events that only another encoding can send ---- */

static flk_err_t feed_one(flk_pcs_event_t event, flk_pcs_value_t value, const char *key, flk_pcs_fault_t *fault) {
    flk_pcs_reader_t *reader = flk_pcs_reader_new();
    flk_pcs_t pcs;
    flk_pcs_reader_begin(reader, &pcs, fault);
    ck_assert_int_eq(flk_pcs_reader_event(reader, FLK_PCS_MAP, NULL), FLK_OK);
    flk_err_t err =
        flk_pcs_reader_event(reader, FLK_PCS_KEY, &(flk_pcs_value_t){.text = key, .text_bytes = strlen(key)});
    if (err == FLK_OK) {
        err = flk_pcs_reader_event(reader, event, &value);
    }
    if (err == FLK_OK) {
        err = flk_pcs_reader_event(reader, FLK_PCS_MAP_END, NULL);
        ck_assert_int_eq(err, FLK_OK);
        ck_assert_int_eq(flk_pcs_reader_finish(reader), FLK_E_INVALID); /* much is missing */
    } else {
        ck_assert_int_eq(flk_pcs_reader_event(reader, FLK_PCS_MAP_END, NULL), err); /* sticks */
        ck_assert_int_eq(flk_pcs_reader_finish(reader), err);
    }
    flk_pcs_reader_destroy(&reader);
    ck_assert_ptr_null(reader);
    return err;
}

/* NaN, infinities and bad text are refused in known and unknown members alike. */
START_TEST(test_pcs_reader_refuses_what_json_cannot_say) {
    static const char *const keys[] = {"D_hat", "later"};
    static const char *const fields[] = {"D_hat", ""};
    for (size_t i = 0; i < 2; i++) {
        flk_pcs_fault_t fault;
        ck_assert_int_eq(feed_one(FLK_PCS_REAL, (flk_pcs_value_t){.real = NAN}, keys[i], &fault), FLK_E_INVALID);
        ck_assert_str_eq(fault.field, fields[i]);
        ck_assert_int_eq(feed_one(FLK_PCS_REAL, (flk_pcs_value_t){.real = -INFINITY}, keys[i], &fault), FLK_E_INVALID);
        ck_assert_str_eq(fault.reason, FLK_PCS_WHY_RANGE);
        ck_assert_int_eq(feed_one(FLK_PCS_INTEGER, (flk_pcs_value_t){.integer = INT64_MIN}, keys[i], &fault), FLK_OK);
    }
    flk_pcs_fault_t fault;
    ck_assert_int_eq(feed_one(FLK_PCS_STRING, (flk_pcs_value_t){.text = "a\0b", .text_bytes = 3}, "later", &fault),
                     FLK_E_INVALID);
    ck_assert_str_eq(fault.reason, FLK_PCS_WHY_UTF8);
    ck_assert_int_eq(feed_one(FLK_PCS_STRING, (flk_pcs_value_t){.text = "0123456\0", .text_bytes = 8}, "later", &fault),
                     FLK_E_INVALID); /* eight bytes, looked at together */
    ck_assert_str_eq(fault.reason, FLK_PCS_WHY_UTF8);
    ck_assert_int_eq(
        feed_one(FLK_PCS_STRING, (flk_pcs_value_t){.text = "\xed\xa0\x80", .text_bytes = 3}, "sig", &fault),
        FLK_E_INVALID);
    ck_assert_str_eq(fault.field, "sig");
    ck_assert_int_eq(feed_one(FLK_PCS_NULL, (flk_pcs_value_t){0}, "\xc0\x80", &fault), FLK_E_INVALID);
    ck_assert_str_eq(fault.reason, FLK_PCS_WHY_UTF8);
}
END_TEST

/* The reader refuses duplicate keys by itself: other encodings have no parser that would. */
START_TEST(test_pcs_reader_refuses_duplicate_keys) {
    static const char *const keys[] = {"epoch", "later"};
    static const char *const fields[] = {"epoch", ""};
    for (size_t i = 0; i < 2; i++) {
        flk_pcs_reader_t *reader = flk_pcs_reader_new();
        flk_pcs_t pcs;
        flk_pcs_fault_t fault;
        flk_pcs_value_t key = {.text = keys[i], .text_bytes = strlen(keys[i])};
        flk_pcs_reader_begin(reader, &pcs, &fault);
        ck_assert_int_eq(flk_pcs_reader_event(reader, FLK_PCS_MAP, NULL), FLK_OK);
        ck_assert_int_eq(flk_pcs_reader_event(reader, FLK_PCS_KEY, &key), FLK_OK);
        ck_assert_int_eq(flk_pcs_reader_event(reader, FLK_PCS_INTEGER, &(flk_pcs_value_t){.integer = 1}), FLK_OK);
        ck_assert_int_eq(flk_pcs_reader_event(reader, FLK_PCS_KEY, &key), FLK_E_INVALID);
        ck_assert_str_eq(fault.field, fields[i]);
        ck_assert_str_eq(fault.reason, FLK_PCS_WHY_TWICE);
        flk_pcs_reader_destroy(&reader);
    }
}
END_TEST

/* A record that stops early or goes on after its end is refused, and the reader serves the next one. */
START_TEST(test_pcs_reader_is_reused) {
    flk_pcs_reader_t *reader = flk_pcs_reader_new();
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    flk_pcs_reader_begin(reader, &pcs, &fault);
    ck_assert_int_eq(flk_pcs_reader_finish(reader), FLK_E_INVALID);
    ck_assert_str_eq(fault.reason, FLK_PCS_WHY_SHORT);
    flk_pcs_reader_begin(reader, &pcs, &fault);
    ck_assert_str_eq(fault.reason, "");
    ck_assert_int_eq(flk_pcs_reader_event(reader, FLK_PCS_MAP, NULL), FLK_OK);
    ck_assert_int_eq(flk_pcs_reader_finish(reader), FLK_E_INVALID);
    ck_assert_str_eq(fault.reason, FLK_PCS_WHY_SHORT);
    flk_pcs_reader_begin(reader, &pcs, &fault);
    ck_assert_int_eq(flk_pcs_reader_event(reader, FLK_PCS_MAP, NULL), FLK_OK);
    ck_assert_int_eq(flk_pcs_reader_event(reader, FLK_PCS_MAP_END, NULL), FLK_OK);
    ck_assert_int_eq(flk_pcs_reader_event(reader, FLK_PCS_MAP, NULL), FLK_E_INVALID);
    ck_assert_str_eq(fault.reason, FLK_PCS_WHY_TRAILING);
    flk_pcs_reader_destroy(&reader);
    flk_pcs_reader_destroy(&reader);
}
END_TEST

/* ---- faults of the machine ---- */

static _Thread_local long allocations_left = -1; /* -1: no limit */
/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's --wrap names them so */
void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
/* NOLINTEND(bugprone-reserved-identifier) */
void *__wrap_malloc(size_t bytes) { /* the linker gives it all calls of our own code */
    if (allocations_left == 0) {
        return NULL;
    }
    allocations_left -= allocations_left > 0;
    return __real_malloc(bytes);
}

/* Whichever allocation fails, the answer is "out of memory", never "the sender is wrong", and nothing leaks. */
START_TEST(test_pcs_json_every_allocation_fails) {
    const char *body =
        body_with("later", "[{\"\\u00e9 a long text of more than sixteen bytes\":[1,2.5,null,true,\"x\"]}]");
    long allowed = 0;
    for (;; allowed++) {
        flk_pcs_t pcs;
        flk_pcs_fault_t fault;
        allocations_left = allowed;
        flk_err_t err = flk_pcs_from_json(body, strlen(body), &pcs, &fault);
        allocations_left = -1;
        if (err == FLK_OK) {
            flk_pcs_fini(&pcs);
            break;
        }
        ck_assert_msg(err == FLK_E_NOMEM, "allocation %ld: %s: %s", allowed, flk_err_text(err), fault.reason);
    }
    ck_assert_int_eq(allowed, 3); /* yajl's memory, the reader, v_star */
}
END_TEST

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Random damage to a valid body is answered, never crashes, and one that is still accepted reads back as itself. We and
 * jansson accept the same JSON. */
START_TEST(test_pcs_json_random_damage) {
    uint64_t seed = 20260104, state = seed;
    char plain[4096], body[4096] = "";
    strcpy(plain, body_with("later", "{\"a\":[1,2,{\"b\":\"\\u00e9\"}]}"));
    size_t bytes = strlen(plain), accepted = 0;
    static const char interesting[] = "{}[],:\"\\0123456789.eE+-truefalsn \xff\xc3\xa9";
    for (int round = 0; round < 40000; round++) {
        memcpy(body, plain, bytes);
        for (uint64_t damage = 1 + next_random(&state) % 3; damage > 0; damage--) {
            body[next_random(&state) % bytes] = interesting[next_random(&state) % sizeof interesting];
        }
        flk_pcs_t pcs;
        flk_pcs_fault_t fault;
        flk_err_t err = flk_pcs_from_json(body, bytes, &pcs, &fault);
        json_t *tree = json_loadb(body, bytes, JSON_REJECT_DUPLICATES, NULL);
        ck_assert_msg(tree != NULL || err != FLK_OK, "jansson refuses %.*s", (int)bytes, body);
        bool zero = memchr(body, '\0', bytes) != NULL; /* jansson passes over a zero byte behind a number */
        ck_assert_msg(tree == NULL || zero || strstr(fault.reason, "valid JSON") == NULL, "jansson takes %s", body);
        json_decref(tree);
        if (err == FLK_OK) {
            accepted++;
            expect_round_trip(&pcs);
            flk_pcs_fini(&pcs);
        } else {
            ck_assert_msg(err == FLK_E_INVALID && fault.reason[0] != '\0', "seed %lu round %d", seed, round);
        }
    }
    ck_assert_uint_gt(accepted, 100); /* damage inside numbers and texts: the test reaches both sides */
}
END_TEST

static void *read_many(void *arg) {
    const char *body = arg;
    for (int i = 0; i < 500; i++) {
        flk_pcs_t pcs;
        flk_pcs_fault_t fault;
        if (flk_pcs_from_json(body, strlen(body), &pcs, &fault) != FLK_OK) {
            return NULL;
        }
        flk_pcs_fini(&pcs);
    }
    return arg;
}

/* A body that ends in the middle of anything is refused, and nothing behind it is read: each has an allocation of its
 * own size. */
START_TEST(test_pcs_json_ends_anywhere) {
    static const char *const bodies[] = {"{\"D_hat\":2.7.7", "{\"D_hat\":-0.5e+12", "{\"D_hat\":1.0\"\\u00e9\"",
                                         "{\"N_j\":{\"2\":12.5]"};
    for (size_t i = 0; i < FLK_COUNT_OF(bodies); i++) {
        for (size_t bytes = 1; bytes <= strlen(bodies[i]); bytes++) {
            char *body = malloc(bytes);
            flk_pcs_t pcs;
            flk_pcs_fault_t fault;
            ck_assert_ptr_nonnull(body);
            memcpy(body, bodies[i], bytes);
            ck_assert_int_eq(flk_pcs_from_json(body, bytes, &pcs, &fault), FLK_E_INVALID);
            free(body);
        }
    }
}
END_TEST

/* Threads may read at once. */
START_TEST(test_pcs_json_threads) {
    char body[2048];
    strcpy(body, body_with("seed", "42"));
    pthread_t threads[4];
    for (size_t i = 0; i < FLK_COUNT_OF(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_many, body), 0);
    }
    for (size_t i = 0; i < FLK_COUNT_OF(threads); i++) {
        void *result;
        ck_assert_int_eq(pthread_join(threads[i], &result), 0);
        ck_assert_ptr_nonnull(result);
    }
}
END_TEST

int main(void) {
    make_valid_id();
    Suite *suite = suite_create("pcs");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_pcs_reads_every_member);
    tcase_add_test(tcase, test_pcs_required_members);
    tcase_add_test(tcase, test_pcs_members_in_any_order);
    tcase_add_test(tcase, test_pcs_absent_members);
    tcase_add_test(tcase, test_pcs_limits);
    tcase_add_test(tcase, test_pcs_depth);
    tcase_add_test(tcase, test_pcs_duplicate_keys);
    tcase_add_test(tcase, test_pcs_json_grammar);
    tcase_add_test(tcase, test_pcs_json_faults_name_the_member);
    tcase_add_test(tcase, test_pcs_body);
    tcase_add_test(tcase, test_pcs_body_size);
    tcase_add_test(tcase, test_pcs_long_strings);
    tcase_add_test(tcase, test_pcs_faults_echo_nothing);
    tcase_add_test(tcase, test_pcs_id);
    tcase_add_test(tcase, test_pcs_print_round_trip);
    tcase_add_test(tcase, test_pcs_print_minimal);
    tcase_add_test(tcase, test_pcs_reader_refuses_what_json_cannot_say);
    tcase_add_test(tcase, test_pcs_reader_refuses_duplicate_keys);
    tcase_add_test(tcase, test_pcs_reader_is_reused);
    tcase_add_test(tcase, test_pcs_json_every_allocation_fails);
    tcase_add_test(tcase, test_pcs_json_random_damage);
    tcase_add_test(tcase, test_pcs_json_ends_anywhere);
    tcase_add_test(tcase, test_pcs_json_threads);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
