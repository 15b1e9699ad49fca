/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/log_limit.h"
#include "common/log_writer.h"
#include "tests/unit/rig/suite.h"

/* ---- lines on stderr ---- */

static int saved_stderr, capture_fd;
static char captured[1 << 20];

static void capture_start(void) {
    fflush(stderr);
    saved_stderr = dup(STDERR_FILENO);
    char path[] = "/tmp/flk-test-log-XXXXXX";
    capture_fd = mkstemp(path);
    ck_assert_int_ge(capture_fd, 0);
    unlink(path);
    dup2(capture_fd, STDERR_FILENO);
}

static const char *capture_end(void) {
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    ssize_t bytes = pread(capture_fd, captured, sizeof captured - 1, 0);
    ck_assert_int_ge(bytes, 0);
    captured[bytes] = '\0';
    close(capture_fd);
    return captured;
}

static void assert_matches(const char *text, const char *pattern) {
    regex_t regex;
    ck_assert_int_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    ck_assert_msg(regexec(&regex, text, 0, NULL, 0) == 0, "does not match %s:\n%s", pattern, text);
    regfree(&regex);
}

/* A text line has time, level, program, event and fields; values are quoted only when they need it. */
START_TEST(test_log_text_line) {
    flk_log_init("flk-test", FLK_LOG_INFO, FLK_LOG_TEXT);
    capture_start();
    flk_log(FLK_LOG_WARN, "worker_lost", FLK_S("worker", "host 7"), FLK_S("id", "ab-12"), FLK_U("deliveries", 3),
            FLK_I("delta", -4), FLK_F("ratio", 0.25), FLK_B("again", true), FLK_S("empty", ""), FLK_S("null", NULL));
    assert_matches(capture_end(),
                   "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z WARN flk-test "
                   "worker_lost worker=\"host 7\" id=ab-12 deliveries=3 delta=-4 ratio=0\\.25 again=true "
                   "empty=\"\" null=\"\"\n$");
}
END_TEST

/* Below the level nothing is written; an event without fields is a line too. */
START_TEST(test_log_level) {
    flk_log_init("flk-test", FLK_LOG_WARN, FLK_LOG_TEXT);
    capture_start();
    flk_log(FLK_LOG_INFO, "quiet");
    flk_log(FLK_LOG_ERROR, "loud");
    assert_matches(capture_end(), "^[^\n]* ERROR flk-test loud\n$");
}
END_TEST

/* A value cannot forge a line, a field or a terminal's escape sequence. */
START_TEST(test_log_text_escapes) {
    flk_log_init("flk-test", FLK_LOG_INFO, FLK_LOG_TEXT);
    capture_start();
    flk_log(FLK_LOG_INFO, "event", FLK_S("a", "x\ny=\"1\"\\\x1b[31m\xff\xc2\x9b\xc3\xa9"));
    capture_end();
    ck_assert_ptr_nonnull(strstr(captured, " a=\"x\\ny=\\\"1\\\"\\\\\\x1b[31m\\xff\\xc2\\x9b\xc3\xa9\"\n"));
}
END_TEST

/* Strings that come from people are redacted in either format. */
START_TEST(test_log_redacts) {
    for (int format = FLK_LOG_TEXT; format <= FLK_LOG_JSON; format++) {
        flk_log_init("flk-test", FLK_LOG_INFO, (flk_log_format_t)format);
        capture_start();
        flk_log(FLK_LOG_INFO, "event", FLK_S("shard", "alice@example.com +49 170 1234567"));
        ck_assert_ptr_nonnull(strstr(capture_end(), "[email] [phone]"));
        ck_assert_ptr_null(strstr(captured, "alice"));
    }
}
END_TEST

/* Every JSON line parses and gives the values back; no number that JSON lacks is printed. */
START_TEST(test_log_json_line) {
    flk_log_init("flk-test", FLK_LOG_INFO, FLK_LOG_JSON);
    capture_start();
    flk_log(FLK_LOG_INFO, "event", FLK_S("text", "a\"b\\\n\x01\xc3\xa9\xed\xa0\x80"), FLK_F("nan", NAN), FLK_I("n", -1),
            FLK_B("no", false));
    json_error_t error;
    json_t *line = json_loads(capture_end(), JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(line != NULL, "%s in %s", error.text, captured);
    ck_assert_str_eq(json_string_value(json_object_get(line, "level")), "info");
    ck_assert_str_eq(json_string_value(json_object_get(line, "program")), "flk-test");
    ck_assert_str_eq(json_string_value(json_object_get(line, "event")), "event");
    ck_assert_str_eq(json_string_value(json_object_get(line, "text")),
                     "a\"b\\\n\x01\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    ck_assert(json_is_null(json_object_get(line, "nan")));
    ck_assert_int_eq(json_integer_value(json_object_get(line, "n")), -1);
    ck_assert(json_is_false(json_object_get(line, "no")));
    json_decref(line);
}
END_TEST

/* A line that grows too long loses whole fields, says so, and stays valid JSON of one line. */
START_TEST(test_log_long_line) {
    char big[8000];
    memset(big, '\x01', sizeof big - 1); /* six bytes each in JSON */
    big[sizeof big - 1] = '\0';
    flk_log_init("flk-test", FLK_LOG_INFO, FLK_LOG_JSON);
    capture_start();
    flk_log(FLK_LOG_INFO, "event", FLK_S("big", big), FLK_U("small", 1));
    json_t *line = json_loads(capture_end(), 0, NULL);
    ck_assert_ptr_nonnull(line);
    ck_assert_ptr_null(json_object_get(line, "big"));
    ck_assert_int_eq(json_integer_value(json_object_get(line, "small")), 1);
    ck_assert(json_is_true(json_object_get(line, "truncated")));
    json_decref(line);
}
END_TEST

/* Logging between a failed call and its strerror does not change errno. */
START_TEST(test_log_keeps_errno) {
    flk_log_init("flk-test", FLK_LOG_INFO, FLK_LOG_TEXT);
    int closed = dup(STDERR_FILENO);
    close(STDERR_FILENO); /* the write fails */
    errno = ENOSPC;
    flk_log(FLK_LOG_INFO, "event");
    int after = errno;
    dup2(closed, STDERR_FILENO);
    close(closed);
    ck_assert_int_eq(after, ENOSPC);
}
END_TEST

enum { THREADS = 4, LINES = FLK_LOG_BURST, ROUNDS = 8 };

/* As many lines as the limit lets by, of several events, which have a bucket each. */
static void *log_lines(void *arg) {
    static const char *const events[THREADS][ROUNDS] = {
        {"event_aa", "event_ab", "event_ac", "event_ad", "event_ae", "event_af", "event_ag", "event_ah"},
        {"event_ba", "event_bb", "event_bc", "event_bd", "event_be", "event_bf", "event_bg", "event_bh"},
        {"event_ca", "event_cb", "event_cc", "event_cd", "event_ce", "event_cf", "event_cg", "event_ch"},
        {"event_da", "event_db", "event_dc", "event_dd", "event_de", "event_df", "event_dg", "event_dh"},
    };
    const char *const *mine = events[(size_t)(uintptr_t)arg];
    for (int i = 0; i < LINES * ROUNDS; i++) {
        flk_log(FLK_LOG_INFO, mine[i % ROUNDS], FLK_S("text", "some words"), FLK_I("i", i));
    }
    return NULL;
}

/* Lines of several threads never mix. */
START_TEST(test_log_threads_write_whole_lines) {
    flk_log_init("flk-test", FLK_LOG_INFO, FLK_LOG_TEXT);
    capture_start();
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, log_lines, (void *)(uintptr_t)i), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    capture_end();
    size_t lines = 0;
    for (char *rest = captured, *line; (line = strsep(&rest, "\n")) != NULL && line[0] != '\0'; lines++) {
        ck_assert_msg(strstr(line, "Z INFO flk-test event_") == line + 23, "%s", line);
        ck_assert_msg(strstr(line, " text=\"some words\" i=") == line + 23 + 24, "%s", line);
        ck_assert_msg(strlen(line) < 80, "%s", line);
    }
    ck_assert_uint_eq(lines, THREADS * LINES * ROUNDS);
}
END_TEST

/* An event that comes too often is logged FLK_LOG_BURST times and then once a second; the next line tells how many
 * were left out. Other events are not held back by it. */
START_TEST(test_log_limits_each_event) {
    flk_log_left_out_t left_out;
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(flk_log_limit_take("flood", 5000 + (uint64_t)i % 1000, &left_out), i < FLK_LOG_BURST);
        ck_assert_ptr_null(left_out.event);
    }
    ck_assert(flk_log_limit_take("other", 5999, &left_out));
    ck_assert(flk_log_limit_take("flood", 6000, &left_out));
    ck_assert_str_eq(left_out.event, "flood");
    ck_assert_uint_eq(left_out.lines, 1000 - FLK_LOG_BURST);
    ck_assert(!flk_log_limit_take("flood", 6001, &left_out));
    ck_assert(flk_log_limit_take("flood", 7000, &left_out));
    ck_assert_uint_eq(left_out.lines, 1);
    for (int i = 0; i < FLK_LOG_BURST; i++) { /* a quiet time gives the whole burst back, and no more */
        ck_assert(flk_log_limit_take("flood", 1000000, &left_out));
    }
    ck_assert(!flk_log_limit_take("flood", 1000000, &left_out));
}
END_TEST

/* The count of lines left out stands before the next line of that event. */
START_TEST(test_log_tells_what_was_left_out) {
    flk_log_init("flk-test", FLK_LOG_INFO, FLK_LOG_TEXT);
    capture_start();
    for (int i = 0; i < 3 * FLK_LOG_BURST; i++) {
        flk_log(FLK_LOG_INFO, "often", FLK_I("i", i));
    }
    for (uint64_t deadline_ms = flk_mono_ms() + 10000; flk_mono_ms() < deadline_ms; usleep(20000)) {
        flk_log(FLK_LOG_INFO, "often", FLK_S("last", "line"));
        captured[pread(capture_fd, captured, sizeof captured - 1, 0)] = '\0';
        if (strstr(captured, "lines_left_out") != NULL) {
            break;
        }
    }
    capture_end();
    assert_matches(captured, "WARN flk-test lines_left_out of=often lines=1[0-9][0-9]\n[^\n]*often last=line\n");
}
END_TEST

/* Names of levels and formats are read as the settings spell them. */
START_TEST(test_log_parse) {
    flk_log_level_t level;
    flk_log_format_t format;
    ck_assert(flk_log_level_parse("error", &level) && level == FLK_LOG_ERROR);
    ck_assert(!flk_log_level_parse("Error", &level));
    ck_assert(flk_log_format_parse("json", &format) && format == FLK_LOG_JSON);
    ck_assert(!flk_log_format_parse("", &format));
}
END_TEST

/* ---- redaction ---- */

typedef struct redact_case {
    const char *text, *redacted;
} redact_case_t;

static const redact_case_t redacted_cases[] = {
    {"alice@example.com", "[email]"},
    {"from <Bob.O'Neil+x@mail.example.co.uk>, please", "from <[email]>, please"},
    {"user=a.b-c@d-e.org;", "user=[email];"},
    {"a@b.io,c@d.io", "[email],[email]"},
    {"redis://:secret@cache.example.com:6379", "redis://:[email]:6379"},
    {"\xc3\xa9ve@ex\xc3\xa4mple.fr", "[email]"},
    {"mail a@b.example.", "mail [email]."},
    {"+49 170 1234567", "[phone]"},
    {"+491701234567", "[phone]"},
    {"tel:+1-555-123-4567", "tel:[phone]"},
    {"tel: +1-555-123-4567 ok", "tel: [phone] ok"},
    {"call +1 (555) 123-4567!", "call [phone]!"},
    {"+49 (0)170/1234567", "[phone]"},
    {"(555) 123-4567", "[phone]"},
    {"555-123-4567", "[phone]"},
    {"555.123.4567", "[phone]"},
    {"phone=0170 1234567", "phone=[phone]"},
    {"01 23 45 67 89", "[phone]"},
    {"030/12345678", "[phone]"},
};

static const char *const kept_cases[] = {
    "",
    "plain words",
    "1234567890",
    "00491701234567",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "0123456789012345678901234567890123456789012345678901234567890123",
    "550e8400-e29b-41d4-a716-446655440000",
    "01234567-1234-1234-1234-123456789012",
    "2026-01-02T03:04:05.678Z",
    "2026-01-02 03:04:05",
    "01.02.2026 12:00",
    "127.0.0.1:8080",
    "tcp://10.200.100.250:5555",
    "192.168.100.200",
    "0.123456789",
    "0.5 0.25 0.125 0.0625",
    "1e+10 and 2.5e+1234567",
    "000042-000043",
    "00000000000000000042.wal",
    "v1.2.3",
    "1700000000 1024 4096",
    "user@host",
    "a @ b.com",
    "@example.com",
    "@@@",
    "12 + 1234567x",
    "+1234567x",
    "0123-4567-89ab-cdef",
    "a@b.c",
};

/* E-mail addresses and phone numbers go, with any text around them. */
START_TEST(test_redact_replaces) {
    char out[256];
    flk_redact(redacted_cases[_i].text, out, sizeof out);
    ck_assert_str_eq(out, redacted_cases[_i].redacted);
}
END_TEST

/* Ids, dates, addresses, versions and plain numbers stay as they are. */
START_TEST(test_redact_keeps) {
    char out[256];
    flk_redact(kept_cases[_i], out, sizeof out);
    ck_assert_str_eq(out, kept_cases[_i]);
}
END_TEST

/* The result is cut to the buffer and always terminated. */
START_TEST(test_redact_cuts) {
    char out[6];
    flk_redact("mail alice@example.com", out, sizeof out);
    ck_assert_str_eq(out, "mail ");
    flk_redact("alice@example.com", out, sizeof out);
    ck_assert_str_eq(out, "[emai");
    flk_redact("x", out, 1);
    ck_assert_str_eq(out, "");
}
END_TEST

static uint64_t cpu_ns(void) {
    struct timespec now;
    ck_assert_int_eq(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Thread CPU time, the least of three, to redact `bytes` of `unit` repeated. */
static uint64_t redact_ns(const char *unit, size_t bytes) {
    uint64_t least = UINT64_MAX;
    char *text = malloc(bytes + 1), *out = malloc(bytes + 1);
    for (size_t i = 0, len = strlen(unit); i < bytes; i++) {
        text[i] = unit[i % len];
    }
    text[bytes] = '\0';
    for (int i = 0; i < 3; i++) {
        uint64_t start = cpu_ns();
        flk_redact(text, out, bytes + 1);
        uint64_t took = cpu_ns() - start;
        least = took < least ? took : least;
    }
    free(text);
    free(out);
    return least;
}

/* Hostile text takes linear time: 32 times as much of any of these takes nowhere near 1024 times as long. */
START_TEST(test_redact_is_linear) {
    static const char *const units[] = {"a", "@", "a@", "+1", "(1", "0 1", "a@b.", "="};
    for (size_t u = 0; u < FLK_COUNT_OF(units); u++) {
        uint64_t once = redact_ns(units[u], 8 << 10), more = redact_ns(units[u], 256 << 10);
        ck_assert_msg(more / 200 < once, "%s: %llu ns, then %llu ns", units[u], (unsigned long long)once,
                      (unsigned long long)more);
    }
}
END_TEST

/* ---- a reader that stalls ---- */

static void fill(int fd) {
    char page[4096];
    memset(page, 'x', sizeof page);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (write(fd, page, sizeof page) > 0) {
    }
    ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
}

/* Bytes that are there now, without the x that filled the pipe. */
static void read_lines(int fd, char *text, size_t text_bytes) {
    size_t len = 0;
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    while (len + 1 < text_bytes && poll(&entry, 1, 200) == 1) {
        char page[4096];
        ssize_t got = read(fd, page, sizeof page);
        for (ssize_t i = 0; i < got && len + 1 < text_bytes; i++) {
            if (page[i] != 'x') {
                text[len++] = page[i];
            }
        }
    }
    text[len] = '\0';
}

/* Nobody waits for a reader that stalls: lines are kept up to the ring's size, then lost, counted, and told once it
 * reads again. */
START_TEST(test_log_reader_that_stalls) {
    int ends[2];
    static char text[2 * FLK_LOG_RING_BYTES];
    flk_log_init("flk-test", FLK_LOG_INFO, FLK_LOG_TEXT);
    ck_assert_int_eq(pipe(ends), 0);
    fill(ends[1]);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    uint64_t began_ms = flk_mono_ms(), lines = 0;
    flk_log_writer_hold();
    flk_log_writer_put("first\n", 6);
    ck_assert_int_eq(flk_log_start(NULL), FLK_OK);
    for (; flk_log_writer_lost() < 10; lines++) {
        char line[128];
        int len = snprintf(line, sizeof line, "line %06u and some words that make it longer than it would be\n",
                           (unsigned)lines);
        flk_log_writer_put(line, (size_t)len);
    }
    flk_log_writer_flush(50);
    ck_assert_uint_lt(flk_mono_ms() - began_ms, 5000);
    ck_assert_uint_gt(lines, FLK_LOG_RING_BYTES / 128);
    read_lines(ends[0], text, sizeof text);
    dup2(saved, STDERR_FILENO);
    ck_assert_msg(strncmp(text, "first\n", 6) == 0, "%.100s", text);
    ck_assert_ptr_nonnull(strstr(text, "WARN flk-test lines_lost lines=10\n"));
    for (unsigned i = 0; i < lines - 10; i++) {
        char line[32];
        snprintf(line, sizeof line, "\nline %06u ", i);
        ck_assert_msg(strstr(text, line) != NULL, "%s is missing", line);
    }
    ck_assert_uint_eq(flk_log_writer_lost(), 10);
    close(saved);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("log");
    TCase *tests = tcase_create("log");
    tcase_add_test(tests, test_log_text_line);
    tcase_add_test(tests, test_log_level);
    tcase_add_test(tests, test_log_text_escapes);
    tcase_add_test(tests, test_log_redacts);
    tcase_add_test(tests, test_log_json_line);
    tcase_add_test(tests, test_log_long_line);
    tcase_add_test(tests, test_log_keeps_errno);
    tcase_add_test(tests, test_log_threads_write_whole_lines);
    tcase_add_test(tests, test_log_limits_each_event);
    tcase_add_test(tests, test_log_tells_what_was_left_out);
    tcase_add_test(tests, test_log_parse);
    tcase_add_loop_test(tests, test_redact_replaces, 0, (int)FLK_COUNT_OF(redacted_cases));
    tcase_add_loop_test(tests, test_redact_keeps, 0, (int)FLK_COUNT_OF(kept_cases));
    tcase_add_test(tests, test_redact_cuts);
    tcase_add_test(tests, test_redact_is_linear);
    tcase_add_test(tests, test_log_reader_that_stalls); /* last: from then on a thread writes */
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
