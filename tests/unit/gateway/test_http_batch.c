/* SPDX-License-Identifier: MIT */
/* POST /v1/pcs/batch on a raw socket, before a real gateway with a played broker: an answer for each line. */
#include "gateway/http_batch.h"

#include <jansson.h>

#include "tests/unit/rig/door_rig.h"

enum { TEXT_BYTES = 1 << 21 };

static char *text; /* of the batch */
static size_t text_bytes;

static void add(const char *line) {
    size_t bytes = strlen(line);
    ck_assert_uint_lt(text_bytes + bytes + 1, TEXT_BYTES);
    memcpy(text + text_bytes, line, bytes);
    text[text_bytes + bytes] = '\n';
    text_bytes += bytes + 1;
    text[text_bytes] = '\0';
}

static void add_pcs(uint64_t n) {
    char *json = door_pcs_text(n, 0);
    add(json);
    free(json);
}

static void begin(void) {
    text = text != NULL ? text : malloc(TEXT_BYTES);
    text[text_bytes = 0] = '\0';
}

static void say_head(const char *type, size_t bytes) {
    char head[256];
    snprintf(head, sizeof head,
             "POST /v1/pcs/batch HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type, bytes);
    ck_assert(talk_say(door_fd, head));
}

/* Sends the batch and gives the status of its answer, which is in talk_answer. */
static int send_batch(void) {
    say_head("application/x-ndjson", text_bytes);
    ck_assert(talk_send(door_fd, text, text_bytes));
    return talk_read(door_fd);
}

/* The answers of the batch that was sent last. Caller gives each back. */
static size_t read_items(json_t **items, size_t items_max) {
    const char *at = strstr(talk_answer, "\r\n\r\n") + 4;
    size_t len = 0;
    for (const char *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        ck_assert_uint_lt(len, items_max);
        items[len] = json_loadb(at, (size_t)(end - at), 0, NULL);
        ck_assert_msg(items[len] != NULL, "no JSON: %s", at);
        len++;
    }
    ck_assert_str_eq(at, "");
    return len;
}

static const char *member(const json_t *item, const char *name) {
    return json_string_value(json_object_get(item, name));
}

/* The batch gets one answer with these statuses, in order. */
static void assert_statuses(const int *statuses, size_t len) {
    json_t *items[64];
    ck_assert_msg(send_batch() == 200, "%s", talk_answer);
    ck_assert_msg(talk_has("\r\nContent-Type: application/x-ndjson\r\n"), "%s", talk_answer);
    ck_assert_uint_eq(read_items(items, FLK_COUNT_OF(items)), len);
    for (size_t i = 0; i < len; i++) {
        int status = (int)json_integer_value(json_object_get(items[i], "status"));
        bool later = json_integer_value(json_object_get(items[i], "retry_after")) > 0;
        ck_assert_msg(status == statuses[i], "line %zu: %d\n%s", i, status, talk_answer);
        ck_assert_msg(later == (status == 429 || status == 503), "line %zu\n%s", i, talk_answer);
        ck_assert(status >= 400 || json_is_boolean(json_object_get(items[i], "accepted")));
        json_decref(items[i]);
    }
}

/* Lines of every kind: each has its own answer, in its place, and none spoils another. The last newline may be
 * missing, and blank lines at the end are none. The connection goes on. */
START_TEST(test_batch_answers_each_line) {
    static const int statuses[] = {200, 400, 200, 413, 400, 400, 200};
    char *large = door_pcs_text(9, FLK_PCS_BODY_BYTES_MAX + 1);
    begin();
    add_pcs(1);
    add("{\"schema\":");
    add_pcs(2);
    add(large);
    add("");
    add("[]");
    add_pcs(3);
    assert_statuses(statuses, FLK_COUNT_OF(statuses));
    text_bytes--;
    assert_statuses(statuses, FLK_COUNT_OF(statuses));
    text_bytes++;
    add(" \r");
    add("");
    assert_statuses(statuses, FLK_COUNT_OF(statuses));
    free(large);
    RIG_WAIT(rig_unacked() == 0);
    rig_check_books();
}
END_TEST

/* The answers keep the order of the lines: each outcome is about the PCS of its line. */
START_TEST(test_batch_keeps_order) {
    enum { LINES = 40 };
    json_t *items[LINES];
    char ids[LINES][FLK_PCS_ID_HEX + 1];
    begin();
    for (uint64_t n = 0; n < LINES; n++) {
        flk_pcs_t pcs;
        pcs_make(n, 0.5, &pcs);
        memcpy(ids[n], pcs.id, sizeof ids[n]);
        flk_pcs_fini(&pcs);
        add_pcs(n);
    }
    ck_assert_int_eq(send_batch(), 200);
    ck_assert_uint_eq(read_items(items, LINES), LINES);
    for (size_t i = 0; i < LINES; i++) {
        ck_assert_str_eq(member(items[i], "pcs_id"), ids[i]);
        json_decref(items[i]);
    }
}
END_TEST

static unsigned syncs; /* of segments of the inbox; atomic */

static int count_syncs(flk_io_op_t op, const char *path, void *arg) {
    (void)arg;
    unsigned one = op == FLK_IO_SYNC && strstr(path, "/inbox/") != NULL;
    __atomic_fetch_add(&syncs, one, __ATOMIC_SEQ_CST);
    return 0;
}

/* One sync makes all lines durable. */
START_TEST(test_batch_is_one_group) {
    enum { LINES = 50 };
    static int statuses[LINES];
    begin();
    for (uint64_t n = 0; n < LINES; n++) {
        statuses[n] = 200;
        add_pcs(n);
    }
    assert_statuses(statuses, LINES); /* the log has its segment now */
    RIG_WAIT(rig_unacked() == 0);
    ck_assert_int_eq(flk_wal_flush(rig.gateway.inbox, errmsg), FLK_OK);
    door_hold_broker(true); /* so that no ack is written in between */
    syncs = 0;
    flk_io_set_fault(count_syncs, NULL);
    say_head("application/x-ndjson", text_bytes);
    ck_assert(talk_send(door_fd, text, text_bytes));
    RIG_WAIT(rig_unacked() == LINES);
    ck_assert_uint_eq(__atomic_load_n(&syncs, __ATOMIC_SEQ_CST), 1);
    flk_io_set_fault(NULL, NULL);
    door_hold_broker(false);
    ck_assert_int_eq(talk_read(door_fd), 200);
}
END_TEST

/* A request that cannot be read as lines is refused as a whole, with the limit. */
START_TEST(test_batch_refusals) {
    begin();
    ck_assert_int_eq(send_batch(), 400);
    ck_assert_msg(talk_has("has no line"), "%s", talk_answer);
    close(door_fd);
    door_fd = talk_open(door_port());
    for (int i = 0; i <= FLK_BATCH_LINES_MAX; i++) {
        add("{}");
    }
    ck_assert_int_eq(send_batch(), 413);
    ck_assert_msg(talk_has("at most 1000 lines"), "%s", talk_answer);
    close(door_fd);
    door_fd = talk_open(door_port());
    say_head("application/x-ndjson", FLK_BATCH_BYTES_MAX + 1);
    ck_assert_int_eq(talk_read(door_fd), 413);
    ck_assert_msg(talk_has("at most 8388608 bytes"), "%s", talk_answer);
    close(door_fd);
    door_fd = talk_open(door_port());
    say_head("application/json", 2);
    ck_assert_int_eq(talk_read(door_fd), 415);
    ck_assert_msg(talk_has("application/x-ndjson"), "%s", talk_answer);
}
END_TEST

/* Sends a batch of blanks, `sent` bytes of `bytes`, on a new connection. */
static int send_blanks(const char *blanks, size_t bytes, size_t sent) {
    int client = door_fd = talk_open(door_port());
    say_head("application/x-ndjson", bytes);
    (void)!talk_send(client, blanks, sent); /* a refusal may come first */
    return client;
}

/* While one batch is about to be complete, another comes: the statuses of both. */
static void send_two(const char *blanks, int *first_status, int *second_status) {
    int first = send_blanks(blanks, FLK_BATCH_BYTES_MAX, FLK_BATCH_BYTES_MAX - 1);
    int second = send_blanks(blanks, 1 << 20, 1 << 20);
    *second_status = talk_read(second);
    ck_assert(*second_status != 503 || talk_has("too many bytes"));
    (void)!talk_say(first, " ");
    *first_status = talk_read(first);
    close(first);
    close(second);
    door_fd = -1;
}

/* The buffers of all batches together have a bound; a batch that would go over it is told to come later, and one that
 * comes later is taken. Blanks are no line, hence the 400. */
START_TEST(test_batch_bytes_are_bounded) {
    char *blanks = malloc(FLK_BATCH_BYTES_MAX);
    int first = 0, second = 0;
    memset(blanks, ' ', FLK_BATCH_BYTES_MAX);
    close(door_fd);
    flk_http_door_stop(&door_rig);
    rig.gateway.inflight_bytes_max = 1 << 20;
    ck_assert_msg(flk_http_door_start(&rig.gateway, &door_rig, errmsg) == FLK_OK, "%s", errmsg);
    RIG_WAIT((send_two(blanks, &first, &second), second == 503)); /* else the first was not read so far */
    ck_assert_int_eq(first, 400);
    int later = send_blanks(blanks, 1 << 20, 1 << 20);
    ck_assert_int_eq(talk_read(later), 400);
    free(blanks);
}
END_TEST

/* TOKEN_RATE counts lines: those beyond it are told when to come, the others are answered. */
START_TEST(test_batch_throttled_in_the_middle) {
    static const int statuses[] = {200, 200, 429, 429};
    flk_throttle_init(&rig.gateway.throttle, 2);
    begin();
    for (uint64_t n = 0; n < FLK_COUNT_OF(statuses); n++) {
        add_pcs(n);
    }
    assert_statuses(statuses, FLK_COUNT_OF(statuses));
}
END_TEST

/* When a part hangs, each line has an answer a little after the deadline: by the relay when no verdict comes, by the
 * connection's thread when the log hangs. The records are driven on, and nothing is counted twice. */
START_TEST(test_batch_hangs) {
    static const int statuses[] = {503, 400, 503};
    if (_i == 0) {
        door_hold_broker(true);
    } else {
        rig_hang(FLK_IO_SYNC, "/inbox/");
    }
    begin();
    add_pcs(1);
    add("{}");
    add_pcs(2);
    assert_statuses(statuses, FLK_COUNT_OF(statuses));
    rig_heal();
    door_hold_broker(false);
    RIG_WAIT(rig_unacked() == 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("http_batch");
    TCase *tcase = tcase_create("batch");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, door_setup, door_teardown);
    tcase_add_test(tcase, test_batch_answers_each_line);
    tcase_add_test(tcase, test_batch_keeps_order);
    tcase_add_test(tcase, test_batch_is_one_group);
    tcase_add_test(tcase, test_batch_refusals);
    tcase_add_test(tcase, test_batch_bytes_are_bounded);
    tcase_add_test(tcase, test_batch_throttled_in_the_middle);
    suite_add_tcase(suite, tcase);
    TCase *hurried = tcase_create("hurried");
    tcase_set_timeout(hurried, 120);
    tcase_add_checked_fixture(hurried, door_setup_hurried, door_teardown);
    tcase_add_loop_test(hurried, test_batch_hangs, 0, 2);
    suite_add_tcase(suite, hurried);
    return suite_run(suite);
}
