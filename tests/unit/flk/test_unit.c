/* SPDX-License-Identifier: MIT */
#include "agent/flk/unit.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/flk/env_text.h"
#include "common/io.h"
#include "tests/unit/rig/suite.h"

static char dir[] = "/tmp/flk-test-unit-XXXXXX";
static char errmsg[FLK_ERRMSG_BYTES];

static void setup(void) {
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    setenv("SYSTEMD_UNIT_PATH", dir, 1);
}

static void teardown(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
    unsetenv("SYSTEMD_UNIT_PATH");
}

/* ---- assignments ---- */

static char seen[512];

static void note(void *arg, const char *name, const char *value) {
    size_t len = strlen(seen);
    (void)arg;
    snprintf(seen + len, sizeof seen - len, "%s=%s|", name, value);
}

/* Words are split at blanks outside quotes; quotes and backslashes go; a value without a name is passed over. */
START_TEST(test_unit_words) {
    static const char *const pairs[][2] = {
        {"A=1 B=2", "A=1|B=2|"},
        {"  A=1\tB=\"two words\" C='it is \"so\"' ", "A=1|B=two words|C=it is \"so\"|"},
        {"\"A=one word\" B=a\\ b", "A=one word|B=a b|"},
        {"A= =x none B=", "A=|B=|"},
        {"", ""},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(pairs); i++) {
        seen[0] = '\0';
        flk_env_text_words(pairs[i][0], note, NULL);
        ck_assert_str_eq(seen, pairs[i][1]);
    }
}
END_TEST

/* Lines: comments and blanks around a value are no part of it, a quoted one keeps its own, a backslash joins lines. */
START_TEST(test_unit_lines) {
    static const char *const pairs[][2] = {
        {"A=1\nB=2", "A=1|B=2|"},
        {"# A=1\n; B=2\n\n  C = 3\nD=4 \r\n", "C=3|D=4|"},
        {"A=\" x \"\nB='y'\nC=a b # no comment\n", "A= x |B=y|C=a b # no comment|"},
        {"A=one \\\ntwo\nB=", "A=one two|B=|"},
        {"nothing\nA==\n", "A==|"},
        {"A='over\ntwo lines'\n", "A=over\ntwo lines|"},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(pairs); i++) {
        seen[0] = '\0';
        flk_env_text_lines(pairs[i][0], note, NULL);
        ck_assert_str_eq(seen, pairs[i][1]);
    }
}
END_TEST

/* ---- units ---- */

static void write_file(const char *name, const char *format, ...) FLK_PRINTF(2, 3);
static void write_file(const char *name, const char *format, ...) {
    char path[256], text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (char *slash = path + strlen(dir) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    ck_assert_int_eq(flk_io_replace(path, text, strlen(text), errmsg), FLK_OK);
}

static void write_worker(void) {
    write_file("flk-worker@.service",
               "[Unit]\nEnvironment=FLK_WORKER_CREDIT=1\n[Service]\nEnvironment=FLK_DATA_DIR=/var/lib/flk "
               "FLK_ADMIN_LISTEN=127.0.0.1:%%i\nEnvironmentFile=-%s/flk.env\nEnvironmentFile=%s/worker@%%i.env\n"
               "ExecStart=-/usr/bin/flk-worker --some\n",
               dir, dir);
}

/* A unit's environment takes the place of ours: its own lines, then each file, then nothing that we had. */
START_TEST(test_unit_environment) {
    write_worker();
    write_file("flk.env", "FLK_LOG_FORMAT=json\nDEDUP_BACKEND=redis\n");
    write_file("worker@8083.env", "DEDUP_BACKEND=memory\n");
    setenv("FLK_PLAINTEXT", "1", 1);
    setenv("PCS_HMAC_KEY_FILE", "/nonexistent", 1);
    setenv("HOME_OF_TEST", "stays", 1);
    ck_assert_msg(flk_unit_enter("flk-worker@8083", errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_str_eq(getenv("FLK_DATA_DIR"), "/var/lib/flk");
    ck_assert_str_eq(getenv("FLK_ADMIN_LISTEN"), "127.0.0.1:8083");
    ck_assert_str_eq(getenv("FLK_LOG_FORMAT"), "json");
    ck_assert_str_eq(getenv("DEDUP_BACKEND"), "memory");
    ck_assert_ptr_null(getenv("FLK_PLAINTEXT"));
    ck_assert_ptr_null(getenv("PCS_HMAC_KEY_FILE"));
    ck_assert_ptr_null(getenv("FLK_WORKER_CREDIT"));
    ck_assert_str_eq(getenv("HOME_OF_TEST"), "stays");
    ck_assert_str_eq(flk_unit_program(), "worker");
    ck_assert_str_eq(flk_unit_name(), "flk-worker@8083");
}
END_TEST

/* A drop-in comes after its unit, that of one instance after that of all, an empty assignment forgets those before it.
 */
START_TEST(test_unit_drop_ins) {
    write_worker();
    write_file("worker@8083.env", "\n");
    write_file("flk-worker@.service.d/b.conf", "[Service]\nEnvironment=FLK_LOG_LEVEL=debug FLK_LOG_FORMAT=json\n");
    write_file("flk-worker@8083.service.d/a.conf", "[Service]\nEnvironment=\\\n FLK_LOG_LEVEL=error\n");
    ck_assert_msg(flk_unit_enter("flk-worker@8083.service", errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_str_eq(getenv("FLK_LOG_LEVEL"), "error");
    ck_assert_str_eq(getenv("FLK_LOG_FORMAT"), "json");
    write_file("flk-worker@8083.service.d/a.conf", "[Service]\nEnvironment=\nEnvironment=FLK_LOG_LEVEL=warn\n");
    ck_assert_msg(flk_unit_enter("flk-worker@8083", errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_str_eq(getenv("FLK_LOG_LEVEL"), "warn");
    ck_assert_ptr_null(getenv("FLK_DATA_DIR"));
}
END_TEST

/* A unit that is not there, a name that is none, and a file that must be there and is not, are told by their names. */
START_TEST(test_unit_refused) {
    ck_assert_int_eq(flk_unit_enter("flk-worker@1", errmsg), FLK_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(errmsg, "flk-worker@1.service"));
    ck_assert_int_eq(flk_unit_enter("sshd", errmsg), FLK_E_CONFIG);
    ck_assert_int_eq(flk_unit_enter("flk-/../x", errmsg), FLK_E_CONFIG);
    ck_assert_int_eq(flk_unit_enter("", errmsg), FLK_E_CONFIG);
    write_worker();
    ck_assert_int_eq(flk_unit_enter("flk-worker@8083", errmsg), FLK_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(errmsg, "worker@8083.env"));
    ck_assert_str_eq(flk_unit_program(), "");
}
END_TEST

/* The daemons that a target wants are listed once each, whether by a link or by the target's own line. */
START_TEST(test_unit_list) {
    static char names[FLK_UNITS_MAX][FLK_UNIT_NAME_BYTES];
    ck_assert_uint_eq(flk_unit_list(names), 0);
    write_file("flk.target",
               "[Unit]\nWants=flk-gateway.service flk-worker@8082.service\nAfter=network-online.target\n");
    write_file("flk.target.wants/flk-worker@8083.service", "x");
    write_file("flk.target.wants/flk-worker@8082.service", "x");
    write_file("multi-user.target.wants/flk-agent@a.service", "x");
    ck_assert_uint_eq(flk_unit_list(names), 3);
    ck_assert_str_eq(names[0], "flk-gateway");
    ck_assert_str_eq(names[1], "flk-worker@8082");
    ck_assert_str_eq(names[2], "flk-worker@8083");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("unit");
    TCase *tests = tcase_create("unit");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_unit_words);
    tcase_add_test(tests, test_unit_lines);
    tcase_add_test(tests, test_unit_environment);
    tcase_add_test(tests, test_unit_drop_ins);
    tcase_add_test(tests, test_unit_refused);
    tcase_add_test(tests, test_unit_list);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
