/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/msgpack.h"
#include "tests/unit/rig/suite.h"

static flk_id_t id_of(uint8_t byte) {
    flk_id_t id;
    memset(id.bytes, byte, sizeof id.bytes);
    return id;
}

static uint8_t instances[FLK_INSTANCES_MAX * FLK_ID_BYTES];

/* One frame of each kind, with every field that the kind carries set to something else than its default. */
static const flk_frame_t samples[] = {
    {.kind = FLK_HELLO, .name = "gateway-a"},
    {.kind = FLK_WELCOME, .credit = 16384, .heartbeat_ms = 1000},
    {.kind = FLK_READY, .credit = 64, .name = "worker-1/0"},
    {.kind = FLK_SUBMIT},
    {.kind = FLK_WORK, .delivery = UINT64_MAX, .attempt = 3},
    {.kind = FLK_VERDICT,
     .delivery = 1u << 31,
     .status = 202,
     .flags = FLK_FLAG_DUPLICATE | FLK_FLAG_CONFLICT,
     .key = "0123456789abcdef0123456789abcdef",
     .cpu_us = UINT32_MAX},
    {.kind = FLK_UNAVAILABLE, .delivery = 7, .retry_ms = 1500, .name = "store: timeout"},
    {.kind = FLK_BUSY, .retry_ms = UINT32_MAX, .name = "queue full: count"},
    {.kind = FLK_PING, .instances = instances, .instances_len = FLK_INSTANCES_MAX},
    {.kind = FLK_PONG, .known = true},
    {.kind = FLK_GOODBYE},
};

static void assert_same(const flk_frame_t *a, const flk_frame_t *b) {
    ck_assert_int_eq(a->kind, b->kind);
    ck_assert(flk_id_equal(&a->id, &b->id));
    ck_assert_uint_eq(a->delivery, b->delivery);
    ck_assert_uint_eq(a->attempt, b->attempt);
    ck_assert_uint_eq(a->status, b->status);
    ck_assert_uint_eq(a->flags, b->flags);
    ck_assert_uint_eq(a->credit, b->credit);
    ck_assert_uint_eq(a->heartbeat_ms, b->heartbeat_ms);
    ck_assert_uint_eq(a->retry_ms, b->retry_ms);
    ck_assert_int_eq(a->known, b->known);
    ck_assert_str_eq(a->name, b->name);
    ck_assert_str_eq(a->key, b->key);
    ck_assert_uint_eq(a->cpu_us, b->cpu_us);
    ck_assert_uint_eq(a->instances_len, b->instances_len);
    if (a->instances_len > 0) {
        ck_assert_mem_eq(a->instances, b->instances, a->instances_len * FLK_ID_BYTES);
    }
}

/* Every kind survives encoding and decoding, within the bytes that the header promises. */
START_TEST(test_frame_round_trips_every_kind) {
    flk_frame_t frame = samples[_i];
    frame.id = id_of((uint8_t)(0x10 + _i));
    uint8_t bytes[FLK_FRAME_BYTES_MAX];
    size_t len = flk_frame_encode(&frame, bytes);
    ck_assert_uint_le(len, FLK_FRAME_BYTES + frame.instances_len * FLK_ID_BYTES);
    flk_frame_t back;
    char errmsg[FLK_ERRMSG_BYTES] = "";
    ck_assert_msg(flk_frame_decode(bytes, len, &back, errmsg) == FLK_OK, "%s", errmsg);
    assert_same(&frame, &back);
}
END_TEST

/* A name of full length fits every kind's buffer. */
START_TEST(test_frame_holds_the_longest_name) {
    flk_frame_t frame = {.kind = FLK_UNAVAILABLE, .delivery = UINT64_MAX, .retry_ms = UINT32_MAX};
    memset(frame.name, 'n', FLK_NAME_MAX);
    uint8_t bytes[FLK_FRAME_BYTES];
    size_t len = flk_frame_encode(&frame, bytes);
    flk_frame_t back;
    ck_assert_int_eq(flk_frame_decode(bytes, len, &back, NULL), FLK_OK);
    ck_assert_str_eq(back.name, frame.name);
}
END_TEST

/* A header that is cut anywhere is invalid and never read beyond. */
START_TEST(test_frame_refuses_every_cut) {
    flk_frame_t frame = samples[_i];
    frame.instances_len = frame.instances_len > 0 ? 2 : 0;
    uint8_t bytes[FLK_FRAME_BYTES_MAX];
    size_t len = flk_frame_encode(&frame, bytes);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut > 0 ? cut : 1); /* so that asan sees a read beyond */
        memcpy(exact, bytes, cut);
        flk_frame_t back;
        ck_assert_int_eq(flk_frame_decode(exact, cut, &back, NULL), FLK_E_INVALID);
        free(exact);
    }
}
END_TEST

static flk_err_t decode_bytes(const uint8_t *bytes, size_t len) {
    flk_frame_t frame;
    return flk_frame_decode(bytes, len, &frame, NULL);
}
#define DECODE(...) decode_bytes((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
#define ID_BYTES    0xc4, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16

/* A newer peer may add elements behind the known fields; older peers pass over them. */
START_TEST(test_frame_ignores_further_elements) {
    ck_assert_int_eq(DECODE(0x95, 1, FLK_GOODBYE, ID_BYTES, 0xa1, 'x', 0x81, 1, 0x92, 1, 2), FLK_OK);
}
END_TEST

/* A VERDICT of a worker of before has no key and no CPU time, and counts; one without its flags does not. */
START_TEST(test_frame_reads_a_verdict_of_before) {
    const uint8_t bytes[] = {0x96, 1, FLK_VERDICT, ID_BYTES, 7, 0xcc, 200, 0};
    flk_frame_t frame;
    ck_assert_int_eq(flk_frame_decode(bytes, sizeof bytes, &frame, NULL), FLK_OK);
    ck_assert(frame.delivery == 7 && frame.status == 200 && frame.key[0] == '\0' && frame.cpu_us == 0);
    ck_assert_int_eq(DECODE(0x95, 1, FLK_VERDICT, ID_BYTES, 7, 0xcc, 200), FLK_E_INVALID);
    ck_assert_int_eq(DECODE(0x97, 1, FLK_VERDICT, ID_BYTES, 7, 0xcc, 200, 0, 0xa1, 'k'), FLK_OK);
}
END_TEST

/* Another kind or protocol is well-formed but unknown, so that it can be told apart from rubbish. */
START_TEST(test_frame_tells_unknown_from_malformed) {
    ck_assert_int_eq(DECODE(0x93, 1, 99, ID_BYTES), FLK_E_NOT_FOUND);
    ck_assert_int_eq(DECODE(0x93, 1, 0, ID_BYTES), FLK_E_NOT_FOUND);
    ck_assert_int_eq(DECODE(0x93, 2, FLK_SUBMIT, ID_BYTES), FLK_E_NOT_FOUND);
    ck_assert_int_eq(DECODE(0x93, 2, FLK_SUBMIT, 0xc0), FLK_E_NOT_FOUND); /* its id may be anything */
    ck_assert_int_eq(DECODE(0x93, 1, 99, 0xc1), FLK_E_INVALID);
}
END_TEST

/* Each way of being malformed is refused. */
START_TEST(test_frame_refuses_malformed) {
    ck_assert_int_eq(DECODE(0x93, 1, FLK_SUBMIT, ID_BYTES), FLK_OK); /* the base that the rest deviates from */
    ck_assert_int_eq(DECODE(0x93, 1, FLK_SUBMIT, ID_BYTES, 0), FLK_E_INVALID);           /* a byte behind */
    ck_assert_int_eq(DECODE(0x92, 1, FLK_SUBMIT), FLK_E_INVALID);                        /* no id */
    ck_assert_int_eq(DECODE(0x93, 1, FLK_SUBMIT, 0xc4, 1, 7), FLK_E_INVALID);            /* a short id */
    ck_assert_int_eq(DECODE(0x93, 1, 0xff, ID_BYTES), FLK_E_INVALID);                    /* kind -1 */
    ck_assert_int_eq(DECODE(0x83, 1, FLK_SUBMIT, ID_BYTES), FLK_E_INVALID);              /* a map */
    ck_assert_int_eq(DECODE(0x93, 1, FLK_HELLO, ID_BYTES), FLK_E_INVALID);               /* no name */
    ck_assert_int_eq(DECODE(0x94, 1, FLK_HELLO, ID_BYTES, 0xa1, '\n'), FLK_E_INVALID);   /* not printable */
    ck_assert_int_eq(DECODE(0x94, 1, FLK_HELLO, ID_BYTES, 0xc4, 1, 'a'), FLK_E_INVALID); /* binary for text */
    ck_assert_int_eq(DECODE(0x94, 1, FLK_PONG, ID_BYTES, 1), FLK_E_INVALID);             /* 1 for true */
    ck_assert_int_eq(DECODE(0x94, 1, FLK_PING, ID_BYTES, 0xc4, 1, 7), FLK_E_INVALID);    /* part of an id */
    ck_assert_int_eq(DECODE(0xdd, 0xff, 0xff, 0xff, 0xff, 1), FLK_E_INVALID);            /* a hostile count */
    ck_assert_int_eq(DECODE(0x95, 1, FLK_WELCOME, ID_BYTES, 0xcf, 1, 0, 0, 0, 0, 0, 0, 0, 1), FLK_E_INVALID);
}
END_TEST

/* Depth costs no stack: a header of nothing but nested arrays is passed over, or refused, in a loop. */
START_TEST(test_frame_survives_deep_nesting) {
    uint8_t bytes[FLK_FRAME_BYTES_MAX + 1];
    memset(bytes, 0x91, sizeof bytes);
    ck_assert_int_eq(decode_bytes(bytes, sizeof bytes), FLK_E_INVALID);
    const uint8_t start[] = {0x94, 1, FLK_SUBMIT, ID_BYTES};
    memcpy(bytes, start, sizeof start);
    bytes[FLK_FRAME_BYTES_MAX - 1] = 0xc0;
    ck_assert_int_eq(decode_bytes(bytes, FLK_FRAME_BYTES_MAX), FLK_OK);
}
END_TEST

/* Random damage to valid headers never breaks the decoder, and it encodes all that it accepts. */
START_TEST(test_frame_survives_random_damage) {
    unsigned seed = (unsigned)flk_random_u64();
    printf("test_frame_survives_random_damage: seed %u\n", seed);
    uint8_t bytes[FLK_FRAME_BYTES_MAX], again[FLK_FRAME_BYTES_MAX];
    for (int round = 0; round < 200000; round++) {
        flk_frame_t frame = samples[(unsigned)rand_r(&seed) % FLK_COUNT_OF(samples)];
        frame.instances_len = frame.instances_len > 0 ? (uint32_t)rand_r(&seed) % 4 : 0;
        size_t len = flk_frame_encode(&frame, bytes);
        for (int hits = rand_r(&seed) % 4; hits >= 0; hits--) {
            bytes[(size_t)rand_r(&seed) % len] = (uint8_t)rand_r(&seed);
        }
        uint8_t *exact = malloc(len);
        memcpy(exact, bytes, len);
        flk_frame_t back;
        if (flk_frame_decode(exact, len, &back, NULL) == FLK_OK) {
            ck_assert_uint_le(flk_frame_encode(&back, again), FLK_FRAME_BYTES_MAX);
        }
        free(exact);
    }
}
END_TEST

/* A gateway finds its own LSN in an id, and sees another log's id as foreign. */
START_TEST(test_frame_id_carries_log_and_lsn) {
    flk_id_t id;
    flk_id_from_lsn(0x0102030405060708, 0x1112131415161718, &id);
    ck_assert_uint_eq(id.bytes[0], 1);
    ck_assert_uint_eq(id.bytes[8], 0x11);
    ck_assert_uint_eq(id.bytes[15], 0x18);
    uint64_t lsn;
    ck_assert(flk_id_to_lsn(&id, 0x0102030405060708, &lsn));
    ck_assert_uint_eq(lsn, 0x1112131415161718);
    ck_assert(!flk_id_to_lsn(&id, 0x0102030405060709, &lsn));
}
END_TEST

/* ---- PROTOCOL.md ---- */

static char *read_protocol(void) {
    FILE *file = fopen(FLK_TEST_DATA "/../../proto/PROTOCOL.md", "rb");
    ck_assert_ptr_nonnull(file);
    char *text = calloc(1, 1 << 20);
    ck_assert_uint_lt(fread(text, 1, (1 << 20) - 1, file), (1 << 20) - 1);
    fclose(file);
    return text;
}

/* Reads the bytes of one block of "xx xx  # comment" lines up to its fence. */
static size_t read_hex(const char *block, const char *end, uint8_t *out) {
    size_t len = 0;
    while (block < end) {
        unsigned byte;
        if (*block == '#') {
            block = strchr(block, '\n');
        } else if (*block > ' ') {
            ck_assert_int_eq(sscanf(block, "%2x", &byte), 1);
            out[len++] = (uint8_t)byte;
            block++;
        }
        block++;
    }
    return len;
}

/* Each hex example of PROTOCOL.md is a frame as its text says, and equals the encoder's bytes. */
START_TEST(test_frame_examples_of_the_protocol_are_true) {
    flk_id_t id, broker = id_of(0xaa);
    flk_id_from_lsn(0x0123456789abcdef, 42, &id);
    const flk_frame_t examples[] = {
        {.kind = FLK_SUBMIT, .id = id},
        {.kind = FLK_WORK, .id = id, .delivery = 70000, .attempt = 1},
        {.kind = FLK_VERDICT,
         .id = id,
         .delivery = 70000,
         .status = 202,
         .flags = FLK_FLAG_DUPLICATE,
         .key = "agent1",
         .cpu_us = 12},
        {.kind = FLK_BUSY, .id = id, .retry_ms = 1000, .name = "queue full by count"},
        {.kind = FLK_PONG, .id = broker, .known = false},
    };
    static const char fence[] = "```hex\n";
    char *text = read_protocol();
    const char *block = text;
    for (size_t i = 0; i < FLK_COUNT_OF(examples); i++) {
        block = strstr(block, fence);
        ck_assert_ptr_nonnull(block);
        block += sizeof fence - 1;
        uint8_t bytes[FLK_FRAME_BYTES], encoded[FLK_FRAME_BYTES];
        size_t len = read_hex(block, strstr(block, "```"), bytes);
        flk_frame_t frame;
        char errmsg[FLK_ERRMSG_BYTES] = "";
        ck_assert_msg(flk_frame_decode(bytes, len, &frame, errmsg) == FLK_OK, "example %zu: %s", i, errmsg);
        assert_same(&frame, &examples[i]);
        ck_assert_uint_eq(flk_frame_encode(&examples[i], encoded), len);
        ck_assert_mem_eq(encoded, bytes, len);
    }
    ck_assert_ptr_null(strstr(block, fence)); /* no example goes unchecked */
    free(text);
}
END_TEST

/* The table of kinds in PROTOCOL.md has the numbers and names of the code, and the limits are the code's. */
START_TEST(test_frame_table_of_the_protocol_is_true) {
    char *text = read_protocol();
    for (unsigned kind = FLK_HELLO; kind <= FLK_GOODBYE; kind++) {
        char row[64];
        snprintf(row, sizeof row, "\n| %u | %s |", kind, flk_kind_name(kind));
        ck_assert_msg(strstr(text, row) != NULL, "no row '%s'", row + 1);
    }
    char limit[64];
    snprintf(limit, sizeof limit, "| header | %d bytes |", FLK_FRAME_BYTES_MAX);
    ck_assert_ptr_nonnull(strstr(text, limit));
    snprintf(limit, sizeof limit, "| name, reason | %d bytes |", FLK_NAME_MAX);
    ck_assert_ptr_nonnull(strstr(text, limit));
    snprintf(limit, sizeof limit, "| instances in a PING | %d |", FLK_INSTANCES_MAX);
    ck_assert_ptr_nonnull(strstr(text, limit));
    free(text);
}
END_TEST

/* Integers are read in every width, not only in the shortest. */
START_TEST(test_mp_reads_every_integer_width) {
    static const struct {
        uint8_t bytes[9];
        uint8_t len;
        int64_t value;
    } cases[] = {
        {{0x00}, 1, 0},
        {{0x7f}, 1, 127},
        {{0xe0}, 1, -32},
        {{0xff}, 1, -1},
        {{0xcc, 5}, 2, 5},
        {{0xcd, 0, 5}, 3, 5},
        {{0xce, 0, 0, 0, 5}, 5, 5},
        {{0xcf, 0, 0, 0, 0, 0, 0, 0, 5}, 9, 5},
        {{0xd0, 0x80}, 2, -128},
        {{0xd1, 0xff, 0xfe}, 3, -2},
        {{0xd2, 0x80, 0, 0, 0}, 5, INT32_MIN},
        {{0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0}, 9, INT64_MIN},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        flk_mp_cursor_t cursor;
        flk_mp_token_t token;
        flk_mp_open(&cursor, cases[i].bytes, cases[i].len);
        ck_assert(flk_mp_next(&cursor, &token));
        ck_assert_int_eq(token.type, FLK_MP_INTEGER);
        ck_assert_int_eq(token.integer, cases[i].value);
        ck_assert(flk_mp_done(&cursor));
    }
}
END_TEST

/* float32, float64 and integers are all numbers; NaN and infinity are not. */
START_TEST(test_mp_reads_reals) {
    static const struct {
        uint8_t bytes[9];
        uint8_t len;
        double value;
    } cases[] = {
        {{0xca, 0x3f, 0xc0, 0, 0}, 5, 1.5},
        {{0xcb, 0xbf, 0xf8, 0, 0, 0, 0, 0, 0}, 9, -1.5},
        {{0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9, 18446744073709551615.0},
        {{0xfd}, 1, -3.0},
    };
    flk_mp_cursor_t cursor;
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        flk_mp_open(&cursor, cases[i].bytes, cases[i].len);
        ck_assert(flk_mp_real(&cursor) == cases[i].value);
        ck_assert(flk_mp_done(&cursor));
    }
    flk_mp_open(&cursor, (const uint8_t[]){0xca, 0x7f, 0xc0, 0, 0}, 5);
    flk_mp_real(&cursor);
    ck_assert(!flk_mp_done(&cursor));
}
END_TEST

/* A count that the bytes behind it cannot hold is refused at once, before anybody loops over it. */
START_TEST(test_mp_refuses_counts_beyond_the_bytes) {
    static const uint8_t array_ok[] = {0x92, 1, 2}, array_bad[] = {0xdd, 0xff, 0xff, 0xff, 0xff, 1};
    static const uint8_t map_ok[] = {0x81, 1, 2}, map_bad[] = {0x82, 1, 2, 3};
    flk_mp_cursor_t cursor;
    flk_mp_open(&cursor, array_ok, sizeof array_ok);
    ck_assert_uint_eq(flk_mp_array(&cursor), 2);
    flk_mp_open(&cursor, array_bad, sizeof array_bad);
    ck_assert_uint_eq(flk_mp_array(&cursor), 0);
    ck_assert_ptr_eq(cursor.error, flk_mp_short);
    flk_mp_open(&cursor, map_ok, sizeof map_ok);
    ck_assert_uint_eq(flk_mp_map(&cursor), 1);
    flk_mp_open(&cursor, map_bad, sizeof map_bad);
    ck_assert_uint_eq(flk_mp_map(&cursor), 0);
    ck_assert_ptr_eq(cursor.error, flk_mp_short);
}
END_TEST

/* ext, fixext and the unused byte are refused wherever they stand. */
START_TEST(test_mp_refuses_types_not_in_use) {
    static const uint8_t firsts[] = {0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8};
    for (size_t i = 0; i < sizeof firsts; i++) {
        uint8_t bytes[24] = {firsts[i]};
        flk_mp_cursor_t cursor;
        flk_mp_token_t token;
        flk_mp_open(&cursor, bytes, sizeof bytes);
        ck_assert(!flk_mp_next(&cursor, &token));
    }
}
END_TEST

int main(void) {
    for (size_t i = 0; i < sizeof instances; i++) {
        instances[i] = (uint8_t)(i * 7);
    }
    Suite *suite = suite_create("frame");
    TCase *tc = tcase_create("frame");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_frame_round_trips_every_kind, 0, FLK_COUNT_OF(samples));
    tcase_add_test(tc, test_frame_holds_the_longest_name);
    tcase_add_loop_test(tc, test_frame_refuses_every_cut, 0, FLK_COUNT_OF(samples));
    tcase_add_test(tc, test_frame_ignores_further_elements);
    tcase_add_test(tc, test_frame_reads_a_verdict_of_before);
    tcase_add_test(tc, test_frame_tells_unknown_from_malformed);
    tcase_add_test(tc, test_frame_refuses_malformed);
    tcase_add_test(tc, test_frame_survives_deep_nesting);
    tcase_add_test(tc, test_frame_survives_random_damage);
    tcase_add_test(tc, test_frame_id_carries_log_and_lsn);
    tcase_add_test(tc, test_frame_examples_of_the_protocol_are_true);
    tcase_add_test(tc, test_frame_table_of_the_protocol_is_true);
    tcase_add_test(tc, test_mp_reads_every_integer_width);
    tcase_add_test(tc, test_mp_reads_reals);
    tcase_add_test(tc, test_mp_refuses_counts_beyond_the_bytes);
    tcase_add_test(tc, test_mp_refuses_types_not_in_use);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
