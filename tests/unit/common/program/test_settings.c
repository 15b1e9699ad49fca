/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/program/program.h"
#include "common/program/settings_names.h"
#include "common/program/settings_row.h"
#include "tests/unit/rig/suite.h"

static flk_settings_t *settings;
static char errmsg[FLK_ERRMSG_BYTES];
static char dir[] = "/tmp/flk-test-settings-XXXXXX";
static char output[1 << 16];

static void setup(void) {
    ck_assert_int_eq(clearenv(), 0);
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void) {
    flk_settings_destroy(&settings);
    char command[128];
    snprintf(command, sizeof command, "/bin/rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static const char *write_file(const char *name, const char *data, size_t bytes) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, bytes, file), bytes);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

static void load(flk_program_t program) {
    errmsg[0] = '\0';
    flk_err_t err = flk_settings_load(program, &settings, errmsg);
    ck_assert_msg(err == FLK_OK, "%s", errmsg);
}

static void assert_refused(flk_program_t program, const char *line) {
    ck_assert_int_eq(flk_settings_load(program, &settings, errmsg), FLK_E_CONFIG);
    ck_assert_str_eq(errmsg, line);
    ck_assert_ptr_null(settings);
}

/* Without any environment each program has its defaults; the admin page's differs by program. */
START_TEST(test_settings_defaults) {
    load(FLK_PROGRAM_GATEWAY);
    ck_assert_str_eq(flk_settings_str(settings, FLK_SET_HTTP_LISTEN), "127.0.0.1:8080");
    ck_assert_uint_eq(flk_settings_uint(settings, FLK_SET_REQUEST_TIMEOUT_MS), 5000);
    ck_assert(!flk_settings_bool(settings, FLK_SET_HTTP_BEHIND_PROXY));
    flk_settings_destroy(&settings);
    load(FLK_PROGRAM_BROKER);
    ck_assert_str_eq(flk_settings_str(settings, FLK_SET_ADMIN_LISTEN), "127.0.0.1:8081");
    flk_settings_destroy(&settings);
    load(FLK_PROGRAM_WORKER);
    ck_assert_str_eq(flk_settings_str(settings, FLK_SET_ADMIN_LISTEN), "127.0.0.1:8082");
    ck_assert_str_eq(flk_settings_str(settings, FLK_SET_DEDUP_BACKEND), "lmdb");
    ck_assert_str_eq(flk_settings_str(settings, FLK_SET_HMAC_KEY), "");
}
END_TEST

/* Every default in the table passes its own check, for every program. */
START_TEST(test_settings_defaults_are_valid) {
    for (unsigned program = 1; (program & FLK_PROGRAMS_ALL) != 0; program *= 2) {
        load((flk_program_t)program);
        ck_assert_str_eq(flk_program_name(flk_settings_program(settings)), flk_program_name((flk_program_t)program));
        flk_settings_destroy(&settings);
    }
}
END_TEST

/* The environment wins over the default; an empty text counts as unset. */
START_TEST(test_settings_environment) {
    setenv("FLK_HTTP_LISTEN", "127.0.0.1:9", 1);
    setenv("FLK_HTTP_BEHIND_PROXY", "true", 1);
    setenv("FLK_INFLIGHT_MAX", "1000000", 1);
    setenv("FLK_ZMQ_LISTEN", "", 1);
    load(FLK_PROGRAM_GATEWAY);
    ck_assert_str_eq(flk_settings_str(settings, FLK_SET_HTTP_LISTEN), "127.0.0.1:9");
    ck_assert(flk_settings_bool(settings, FLK_SET_HTTP_BEHIND_PROXY));
    ck_assert_uint_eq(flk_settings_uint(settings, FLK_SET_INFLIGHT_MAX), 1000000);
    ck_assert_str_eq(flk_settings_str(settings, FLK_SET_ZMQ_LISTEN), "tcp://127.0.0.1:5550");
}
END_TEST

/* A value may come from a file, through a symbolic link too; one trailing newline is cut, not two. */
START_TEST(test_settings_from_file) {
    write_file("key", "s3cret\n\n", 8);
    char link_path[128];
    snprintf(link_path, sizeof link_path, "%s/link", dir);
    ck_assert_int_eq(symlink("key", link_path), 0);
    setenv("PCS_HMAC_KEY_FILE", link_path, 1);
    setenv("FLK_WORKER_CREDIT_FILE", write_file("credit", "7\n", 2), 1);
    load(FLK_PROGRAM_WORKER);
    ck_assert_str_eq(flk_settings_str(settings, FLK_SET_HMAC_KEY), "s3cret\n");
    ck_assert_uint_eq(flk_settings_uint(settings, FLK_SET_WORKER_CREDIT), 7);
}
END_TEST

/* A variable and its file together are refused, as are a missing, a huge and a binary file. */
START_TEST(test_settings_bad_file) {
    char line[FLK_ERRMSG_BYTES];
    setenv("PCS_HMAC_KEY", "a", 1);
    setenv("PCS_HMAC_KEY_FILE", "/nonexistent", 1);
    assert_refused(FLK_PROGRAM_WORKER, "PCS_HMAC_KEY and PCS_HMAC_KEY_FILE are both set; set one of them");
    unsetenv("PCS_HMAC_KEY");
    assert_refused(FLK_PROGRAM_WORKER, "PCS_HMAC_KEY_FILE: cannot open /nonexistent: No such file or directory");

    const char *path = write_file("binary", "a\0b", 3);
    setenv("PCS_HMAC_KEY_FILE", path, 1);
    snprintf(line, sizeof line, "PCS_HMAC_KEY_FILE: %s holds a NUL byte", path);
    assert_refused(FLK_PROGRAM_WORKER, line);

    char *huge = calloc(1, 65537);
    memset(huge, 'x', 65537);
    path = write_file("binary", huge, 65537);
    free(huge);
    snprintf(line, sizeof line, "PCS_HMAC_KEY_FILE: %s is larger than 64 KiB", path);
    assert_refused(FLK_PROGRAM_WORKER, line);
}
END_TEST

typedef struct refusal {
    flk_program_t program;
    const char *name, *value, *line;
} refusal_t;

static const refusal_t refusals[] = {
    {FLK_PROGRAM_GATEWAY, "FLK_INFLIGHT_MAX", "0",
     "FLK_INFLIGHT_MAX: '0' is not a whole number in 1..1000000 (submissions)"},
    {FLK_PROGRAM_GATEWAY, "FLK_INFLIGHT_MAX", "",
     "FLK_INFLIGHT_MAX: '' is not a whole number in 1..1000000 (submissions)"},
    {FLK_PROGRAM_GATEWAY, "FLK_INFLIGHT_MAX", "1000001",
     "FLK_INFLIGHT_MAX: '1000001' is not a whole number in 1..1000000 (submissions)"},
    {FLK_PROGRAM_GATEWAY, "FLK_INFLIGHT_MAX", "12x",
     "FLK_INFLIGHT_MAX: '12x' is not a whole number in 1..1000000 (submissions)"},
    {FLK_PROGRAM_GATEWAY, "FLK_INFLIGHT_MAX", " 12",
     "FLK_INFLIGHT_MAX: ' 12' is not a whole number in 1..1000000 (submissions)"},
    {FLK_PROGRAM_GATEWAY, "FLK_INFLIGHT_MAX", "-1",
     "FLK_INFLIGHT_MAX: '-1' is not a whole number in 1..1000000 (submissions)"},
    {FLK_PROGRAM_GATEWAY, "FLK_INFLIGHT_MAX", "99999999999999999999999",
     "FLK_INFLIGHT_MAX: '99999999999999999999999' is not a whole number in 1..1000000 (submissions)"},
    {FLK_PROGRAM_GATEWAY, "FLK_PLAINTEXT", "yes", "FLK_PLAINTEXT: 'yes' is not one of 0, 1, true, false"},
    {FLK_PROGRAM_WORKER, "DEDUP_BACKEND", "lmd", "DEDUP_BACKEND: 'lmd' is not one of memory|lmdb|redis|postgres"},
    {FLK_PROGRAM_WORKER, "DEDUP_BACKEND", "memory|lmdb",
     "DEDUP_BACKEND: 'memory|lmdb' is not one of memory|lmdb|redis|postgres"},
    {FLK_PROGRAM_BROKER, "METRICS_USER", "ops", "METRICS_USER is set but METRICS_PASS is not; set both or neither"},
    {FLK_PROGRAM_BROKER, "METRICS_PASS", "ops", "METRICS_PASS is set but METRICS_USER is not; set both or neither"},
    {FLK_PROGRAM_WORKER, "PCS_HMAC_KEYS", "mine,SuperSecret",
     "PCS_HMAC_KEYS: this is an example that documents print; draw a secret of your own, or set FLK_DEV=1 on a "
     "developer's machine"},
    {FLK_PROGRAM_AGENT, "PCS_HMAC_KEY", "change-me",
     "PCS_HMAC_KEY: this is an example that documents print; draw a secret of your own, or set FLK_DEV=1 on a "
     "developer's machine"},
    {FLK_PROGRAM_BROKER, "METRICS_PASS", "change-me",
     "METRICS_PASS: this is an example that documents print; draw a secret of your own, or set FLK_DEV=1 on a "
     "developer's machine"},
    {FLK_PROGRAM_BROKER, "FLK_HTTP_LISTNE", "x", "FLK_HTTP_LISTNE: no such setting; did you mean FLK_HTTP_LISTEN?"},
    {FLK_PROGRAM_BROKER, "FLK_SOMETHING_ELSE", "x", "FLK_SOMETHING_ELSE: no such setting; see --help"},
    {FLK_PROGRAM_BROKER, "FLK_", "x", "FLK_: no such setting; see --help"},
};

/* Each kind of wrong value stops the start with one line that names setting, value and limits. */
START_TEST(test_settings_refuses) {
    const refusal_t *refusal = &refusals[_i];
    setenv(refusal->name, refusal->value, 1);
    assert_refused(refusal->program, refusal->line);
}
END_TEST

/* On a developer's machine the passwords of documents are allowed. */
START_TEST(test_settings_samples_for_developers) {
    setenv("FLK_DEV", "1", 1);
    setenv("PCS_HMAC_KEY", "change-me", 1);
    setenv("METRICS_USER", "ops", 1);
    setenv("METRICS_PASS", "supersecret", 1);
    load(FLK_PROGRAM_WORKER);
    ck_assert_str_eq(flk_settings_str(settings, FLK_SET_HMAC_KEY), "change-me");
}
END_TEST

/* A variable that Kubernetes or Docker sets for a service named flk-something or pcs-something is no setting, and no
 * mistake. */
START_TEST(test_settings_of_a_platform) {
    static const char *const names[][2] = {
        {"FLK_GATEWAY_SERVICE_HOST", "10.0.0.1"},
        {"FLK_GATEWAY_SERVICE_PORT", "8080"},
        {"FLK_GATEWAY_SERVICE_PORT_HTTP", "8080"},
        {"FLK_GATEWAY_PORT", "tcp://10.0.0.1:8080"},
        {"FLK_GATEWAY_PORT_8080_TCP", "tcp://10.0.0.1:8080"},
        {"FLK_GATEWAY_PORT_8080_TCP_ADDR", "10.0.0.1"},
        {"FLK_GATEWAY_PORT_8080_TCP_PORT", "8080"},
        {"FLK_GATEWAY_PORT_8080_TCP_PROTO", "tcp"},
        {"FLK_PORT_53_UDP_ADDR", "10.0.0.1"},
        {"PCS_STORE_SERVICE_HOST", "10.0.0.2"},
    };
    const char *first;
    for (size_t i = 0; i < FLK_COUNT_OF(names); i++) {
        setenv(names[i][0], names[i][1], 1);
    }
    load(FLK_PROGRAM_WORKER);
    ck_assert_uint_eq(flk_settings_platform_names(&first), FLK_COUNT_OF(names));
    ck_assert_str_eq(first, "FLK_GATEWAY_SERVICE_HOST=10.0.0.1");
    flk_settings_destroy(&settings);
    clearenv();
    for (size_t i = 0; i < FLK_SETTINGS_COUNT; i++) {
        char name[80];
        setenv(flk_setting_rows[i].name, "tcp://10.0.0.1:8080", 1);
        snprintf(name, sizeof name, "%s_FILE", flk_setting_rows[i].name);
        setenv(name, "tcp://10.0.0.1:8080", 1);
    }
    ck_assert_uint_eq(flk_settings_platform_names(&first), 0);
    clearenv();
}
END_TEST

/* A name that is a slip away from a setting which is not set is refused with the likely name; others' names pass. */
START_TEST(test_settings_slips) {
    static const struct {
        flk_program_t program;
        const char *name, *meant; /* NULL: it passes */
    } cases[] = {
        {FLK_PROGRAM_WORKER, "PCS_SIGN_ALGO", "PCS_SIGN_ALG"},
        {FLK_PROGRAM_BROKER, "PCS_HMAC_KYE", "PCS_HMAC_KEY"},
        {FLK_PROGRAM_WORKER, "DEDUP_BACKED", "DEDUP_BACKEND"},
        {FLK_PROGRAM_WORKER, "DEDUP_BACKNED", "DEDUP_BACKEND"},
        {FLK_PROGRAM_GATEWAY, "TOKEN_RATES", "TOKEN_RATE"},
        {FLK_PROGRAM_GATEWAY, "TOKENRATE", "TOKEN_RATE"},
        {FLK_PROGRAM_BROKER, "METRICS_PASSWORD", "METRICS_PASS"},
        {FLK_PROGRAM_BROKER, "METRICS_USERNAME", "METRICS_USER"},
        {FLK_PROGRAM_AGENT, "ENDPONT", "ENDPOINT"},
        {FLK_PROGRAM_AGENT, "ENDPOINT_URL", NULL},
        {FLK_PROGRAM_AGENT, "METRICS_PASSWORD", NULL},
        {FLK_PROGRAM_GATEWAY, "METRICS_PATH", NULL},
        {FLK_PROGRAM_GATEWAY, "METRICS_PORT", NULL},
        {FLK_PROGRAM_GATEWAY, "DEDUP_BACKED", NULL},
        {FLK_PROGRAM_WORKER, "REDIS_ADDRESS", NULL}, /* the store is another one */
        {FLK_PROGRAM_WORKER, "TOKEN_RATE_FILE", NULL},
        {FLK_PROGRAM_WORKER, "PATH", NULL},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        char line[256];
        setenv(cases[i].name, "1", 1);
        snprintf(line, sizeof line, "%s: no such setting; did you mean %s?", cases[i].name, cases[i].meant);
        if (cases[i].meant != NULL) {
            assert_refused(cases[i].program, line);
        } else {
            load(cases[i].program);
            flk_settings_destroy(&settings);
        }
        unsetenv(cases[i].name);
    }
    setenv("DEDUP_BACKEND", "redis", 1);
    setenv("REDIS_ADRR", "127.0.0.1:6379", 1);
    assert_refused(FLK_PROGRAM_WORKER, "REDIS_ADRR: no such setting; did you mean REDIS_ADDR?");
    setenv("REDIS_ADDR", "127.0.0.1:6379", 1); /* then the other one is somebody else's */
    load(FLK_PROGRAM_WORKER);
}
END_TEST

/* A key that can be guessed is refused where it would verify or sign; a developer may have one. */
START_TEST(test_settings_short_keys) {
    setenv("PCS_HMAC_KEY", "fifteen letters", 1);
    load(FLK_PROGRAM_WORKER); /* it is not used: nothing is signed */
    flk_settings_destroy(&settings);
    setenv("PCS_SIGN_ALG", "hmac", 1);
    const char *line =
        "PCS_HMAC_KEY: a key of 15 bytes can be guessed, 16 are the least: draw one (openssl rand -hex 32), "
        "or set FLK_DEV=1 on a developer's machine";
    assert_refused(FLK_PROGRAM_WORKER, line);
    assert_refused(FLK_PROGRAM_AGENT, line);
    setenv("PCS_HMAC_KEY", "sixteen letters!", 1);
    setenv("PCS_HMAC_KEYS", "sixteen letters!,,short", 1);
    assert_refused(
        FLK_PROGRAM_WORKER,
        "PCS_HMAC_KEYS: a key of 5 bytes can be guessed, 16 are the least: draw one (openssl rand -hex 32), or "
        "set FLK_DEV=1 on a developer's machine");
    setenv("FLK_DEV", "1", 1);
    load(FLK_PROGRAM_WORKER);
}
END_TEST

/* A secret with a blank or line end at its end, which nobody sees, is told of by its setting's name. */
START_TEST(test_settings_blank_ends) {
    setenv("METRICS_USER", " ops ", 1); /* no secret */
    setenv("METRICS_PASS", "pass word", 1);
    setenv("PCS_HMAC_KEYS", "a key of 16 bytes, another of 16 bytes", 1);
    setenv("PCS_HMAC_KEY_FILE", write_file("crlf", "a key of 16 bytes\r\n", 19), 1);
    load(FLK_PROGRAM_WORKER);
    ck_assert_str_eq(flk_settings_blank_secret(settings, 0), "PCS_HMAC_KEY");
    ck_assert_str_eq(flk_settings_blank_secret(settings, 1), "PCS_HMAC_KEYS");
    ck_assert_ptr_null(flk_settings_blank_secret(settings, 2));
}
END_TEST

/* The files behind NAME_FILE variables of this program, and no others. */
START_TEST(test_settings_files) {
    const char *paths[4];
    setenv("PCS_HMAC_KEYS_FILE", "/dev/null", 1);
    setenv("FLK_FRONTENDS_FILE", "/dev/null", 1); /* not a worker's */
    setenv("METRICS_USER_FILE", "", 1);
    load(FLK_PROGRAM_WORKER);
    ck_assert_uint_eq(flk_settings_files(settings, paths, FLK_COUNT_OF(paths)), 1);
    ck_assert_str_eq(paths[0], "/dev/null");
    ck_assert_uint_eq(flk_settings_files(settings, paths, 0), 0);
}
END_TEST

/* One environment may serve all programs: another program's setting is not looked at. */
START_TEST(test_settings_of_other_programs) {
    setenv("FLK_HTTP_LISTEN", "x", 1);
    setenv("FLK_WORKER_THREADS", "not a number", 1);
    setenv("FLK_POLICY_FILE", "/nonexistent", 1);
    load(FLK_PROGRAM_BROKER);
    ck_assert_str_eq(flk_settings_str(settings, FLK_SET_FRONTENDS), "tcp://127.0.0.1:5555");
}
END_TEST

static void collect_item(void *arg, const char *item, size_t index) {
    char *all = arg;
    sprintf(all + strlen(all), "[%zu %s]", index, item);
}

/* A list is split at commas; spaces around and empty items are dropped. */
START_TEST(test_settings_each) {
    char all[128] = "";
    ck_assert_uint_eq(flk_settings_each(" a,b b ,,\tc,", collect_item, all), 3);
    ck_assert_str_eq(all, "[0 a][1 b b][2 c]");
    ck_assert_uint_eq(flk_settings_each("", collect_item, all), 0);
}
END_TEST

/* ---- the shared start ---- */

static bool served;

static flk_err_t serve(const flk_settings_t *loaded, char *why) {
    served = flk_settings_uint(loaded, FLK_SET_HEARTBEAT_MS) > 0;
    flk_errmsg(why, "a port is in use");
    return served ? FLK_E_LOCKED : FLK_E_CONFIG;
}

/* Runs flk_program_run with one argument (NULL: none) and keeps stdout and stderr in `output`. */
static int start(flk_program_t program, const char *argument) {
    char program_name[] = "program", copy[64] = "";
    snprintf(copy, sizeof copy, "%s", argument != NULL ? argument : "");
    char *argv[] = {program_name, copy, NULL};
    char path[128];
    snprintf(path, sizeof path, "%s/output", dir);
    fflush(NULL);
    int saved_out = dup(STDOUT_FILENO), saved_err = dup(STDERR_FILENO);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    const flk_start_t start_as = {.program = program, .summary = "tests.", .serve = serve};
    served = false;
    int status = flk_program_run(&start_as, argument != NULL ? 2 : 1, argv);
    fflush(NULL);
    dup2(saved_out, STDOUT_FILENO);
    dup2(saved_err, STDERR_FILENO);
    ssize_t bytes = pread(file, output, sizeof output - 1, 0);
    output[bytes > 0 ? bytes : 0] = '\0';
    close(file);
    close(saved_out);
    close(saved_err);
    return status;
}

/* --help ends with 0 and lists this program's settings and no other's. */
START_TEST(test_settings_start_help) {
    ck_assert_int_eq(start(FLK_PROGRAM_WORKER, "--help"), 0);
    ck_assert(!served);
    ck_assert_ptr_nonnull(strstr(output, "flk-worker - tests.\n\nUsage: flk-worker"));
    ck_assert_ptr_nonnull(strstr(output, "\n  FLK_ADMIN_LISTEN         127.0.0.1:8082 (host:port or off)\n"));
    ck_assert_ptr_nonnull(strstr(output, "\n  FLK_STORE_TIMEOUT_MS     1000 (ms, 10..60000)\n      a store"));
    ck_assert_ptr_nonnull(strstr(output, "Exit codes: 0"));
    ck_assert_ptr_null(strstr(output, "FLK_HTTP_LISTEN"));
}
END_TEST

/* --check prints the settings in effect, with secrets masked. */
START_TEST(test_settings_start_check) {
    setenv("PCS_HMAC_KEY", "hunter2", 1);
    setenv("FLK_WORKER_THREADS", "007", 1);
    ck_assert_int_eq(start(FLK_PROGRAM_WORKER, "--check"), 0);
    ck_assert(!served);
    ck_assert_ptr_nonnull(strstr(output, "\nPCS_HMAC_KEY=****\nPCS_HMAC_KEYS=\n"));
    ck_assert_ptr_nonnull(strstr(output, "\nFLK_WORKER_THREADS=7\n"));
    ck_assert_ptr_null(strstr(output, "hunter2"));
}
END_TEST

/* A wrong setting or argument is one line on stderr and status 2; a secret is never in it. */
START_TEST(test_settings_start_refuses) {
    ck_assert_int_eq(start(FLK_PROGRAM_BROKER, "--verbose"), 2);
    ck_assert_str_eq(output, "flk-broker: '--verbose' is not an argument; settings come from the environment, see "
                             "flk-broker --help\n");
    setenv("FLK_HEARTBEAT_MS", "1", 1);
    ck_assert_int_eq(start(FLK_PROGRAM_BROKER, "--check"), 2);
    ck_assert_str_eq(output, "flk-broker: FLK_HEARTBEAT_MS: '1' is not a whole number in 50..60000 (ms)\n");
    ck_assert_int_eq(start(FLK_PROGRAM_BROKER, NULL), 2);
    ck_assert(!served);
}
END_TEST

/* --version names program and version; without an argument the program serves with its settings, and an error of that
 * is its last line and its exit status. */
START_TEST(test_settings_start_goes_on) {
    ck_assert_int_eq(start(FLK_PROGRAM_GATEWAY, "--version"), 0);
    ck_assert_str_eq(output, "flk-gateway " FLK_VERSION "\n");
    ck_assert(!served);
    ck_assert_int_eq(start(FLK_PROGRAM_GATEWAY, NULL), FLK_EXIT_FAILED);
    ck_assert(served);
    ck_assert_str_eq(output, "flk-gateway: a port is in use\n");
}
END_TEST

/* The README's table has one row a setting, with bars escaped. */
START_TEST(test_settings_markdown) {
    FILE *out = fmemopen(output, sizeof output, "w");
    flk_settings_print_markdown(out);
    fclose(out);
    size_t rows = 0;
    for (const char *c = output; *c != '\0'; c++) {
        rows += *c == '\n';
    }
    ck_assert_uint_eq(rows, FLK_SETTINGS_COUNT + 2);
    ck_assert_ptr_nonnull(strstr(
        output, "\n| `DEDUP_BACKEND` | worker | `lmdb` | memory\\|lmdb\\|redis\\|postgres | store of outcomes |\n"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("settings");
    TCase *tests = tcase_create("settings");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_settings_defaults);
    tcase_add_test(tests, test_settings_defaults_are_valid);
    tcase_add_test(tests, test_settings_environment);
    tcase_add_test(tests, test_settings_from_file);
    tcase_add_test(tests, test_settings_bad_file);
    tcase_add_loop_test(tests, test_settings_refuses, 0, (int)FLK_COUNT_OF(refusals));
    tcase_add_test(tests, test_settings_samples_for_developers);
    tcase_add_test(tests, test_settings_files);
    tcase_add_test(tests, test_settings_of_a_platform);
    tcase_add_test(tests, test_settings_slips);
    tcase_add_test(tests, test_settings_short_keys);
    tcase_add_test(tests, test_settings_blank_ends);
    tcase_add_test(tests, test_settings_of_other_programs);
    tcase_add_test(tests, test_settings_each);
    tcase_add_test(tests, test_settings_start_help);
    tcase_add_test(tests, test_settings_start_check);
    tcase_add_test(tests, test_settings_start_refuses);
    tcase_add_test(tests, test_settings_start_goes_on);
    tcase_add_test(tests, test_settings_markdown);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
