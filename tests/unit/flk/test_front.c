/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <check.h>
#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/flk/cluster/child.h"
#include "agent/flk/cluster/cluster_file.h"
#include "agent/flk/cluster/port.h"
#include "agent/flk/cluster/probe.h"
#include "agent/flk/cluster/snapshot.h"
#include "agent/flk/style.h"
#include "common/http/admin.h"
#include "common/io.h"
#include "tests/unit/rig/suite.h"

static char dir[] = "/tmp/flk-test-front-XXXXXX";
static char errmsg[FLK_ERRMSG_BYTES];

static void setup(void) {
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

/* ---- metrics pages ---- */

static const char page[] = "# HELP flk_t_total Help.\n# TYPE flk_t_total counter\n"
                           "flk_t_total{status=\"200\"} 40\nflk_t_total{status=\"202\",x=\"a b\"} 2.5\n"
                           "flk_t_total_more 7\nflk_plain 1e3\nflk_last -1";

/* A metric is summed over its series, those with a label alone if asked; names that only begin alike do not count. */
START_TEST(test_front_probe_metric) {
    double sum;
    ck_assert(flk_probe_metric(page, "flk_t_total", NULL, &sum) && sum == 42.5);
    ck_assert(flk_probe_metric(page, "flk_t_total", "status=\"202\"", &sum) && sum == 2.5);
    ck_assert(flk_probe_metric(page, "flk_plain", NULL, &sum) && sum == 1000);
    ck_assert(flk_probe_metric(page, "flk_last", NULL, &sum) && sum == -1);
    ck_assert(!flk_probe_metric(page, "flk_t", NULL, &sum));
    ck_assert(!flk_probe_metric(page, "HELP", NULL, &sum));
    ck_assert(!flk_probe_metric("", "flk_t_total", NULL, &sum));
}
END_TEST

static bool not_ready(void *arg, char *why) {
    (void)arg;
    flk_errmsg(why, "draining");
    return false;
}

/* A snapshot of a real process tells its state with the reason, and its numbers only with the right password. */
START_TEST(test_front_snapshot) {
    flk_metrics_t *metrics = flk_metrics_new();
    flk_counter_add(flk_metrics_counter(metrics, "flk_worker_verdicts_total", NULL, "Help."), 9);
    flk_admin_options_t options = {.metrics = metrics, .ready = not_ready, .user = "ops", .pass = "pw"};
    flk_admin_t *admin;
    ck_assert_int_eq(flk_admin_start("127.0.0.1:0", &options, &admin, errmsg), FLK_OK);
    flk_cluster_member_t member = {.pid = 1};
    snprintf(member.address, sizeof member.address, "127.0.0.1:%u", flk_admin_port(admin));

    flk_member_snapshot_t snapshot;
    flk_snapshot_take(&member, "ops", "pw", &snapshot);
    ck_assert_int_eq(snapshot.state, FLK_MEMBER_NOT_READY);
    ck_assert_str_eq(snapshot.why, "draining");
    ck_assert(snapshot.has[FLK_SNAP_VERDICTS] && snapshot.value[FLK_SNAP_VERDICTS] == 9);
    ck_assert(!snapshot.has[FLK_SNAP_INGEST]);

    flk_snapshot_take(&member, "ops", "wrong", &snapshot);
    ck_assert(!snapshot.has[FLK_SNAP_VERDICTS]);

    flk_admin_stop(&admin);
    flk_metrics_destroy(&metrics);
    flk_snapshot_take(&member, "", "", &snapshot);
    ck_assert_int_eq(snapshot.state, FLK_MEMBER_DOWN);
}
END_TEST

/* A rate is rise over time; a counter that fell (a restart) has none. */
START_TEST(test_front_rate) {
    flk_member_snapshot_t before = {.taken_ns = 1000000000}, after = {.taken_ns = 1500000000};
    before.has[FLK_SNAP_INGEST] = after.has[FLK_SNAP_INGEST] = true;
    before.value[FLK_SNAP_INGEST] = 10;
    after.value[FLK_SNAP_INGEST] = 15;
    ck_assert_double_eq_tol(flk_snapshot_rate(&before, &after, FLK_SNAP_INGEST), 10, 1e-9);
    after.value[FLK_SNAP_INGEST] = 3;
    ck_assert_double_eq(flk_snapshot_rate(&before, &after, FLK_SNAP_INGEST), 0);
    ck_assert_double_eq(flk_snapshot_rate(&before, &after, FLK_SNAP_WAL_BYTES), 0);
}
END_TEST

/* ---- ports ---- */

/* An address that somebody listens on is in use; a free one, none and ipc are fine; nonsense is refused. */
START_TEST(test_front_port_check) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_len = sizeof address;
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&address, &address_len);
    unsigned port = ntohs(address.sin_port);
    char text[64], line[128];
    snprintf(text, sizeof text, "tcp://127.0.0.1:%u", port);
    snprintf(line, sizeof line, "%s is in use", text);
    ck_assert_int_eq(flk_port_check(text, errmsg), FLK_E_LOCKED);
    ck_assert_str_eq(errmsg, line);
    snprintf(text, sizeof text, "*:%u", port);
    ck_assert_int_eq(flk_port_check(text, errmsg), FLK_E_LOCKED);
    ck_assert_uint_ne(flk_port_pick(port), port);
    close(fd);
    ck_assert_int_eq(flk_port_check(text, errmsg), FLK_OK);
    ck_assert_int_eq(flk_port_check("off", errmsg), FLK_OK);
    ck_assert_int_eq(flk_port_check("ipc:///x", errmsg), FLK_OK);
    ck_assert_int_eq(flk_port_check("nowhere", errmsg), FLK_E_CONFIG);
    ck_assert_str_eq(errmsg, "nowhere is not an address to listen on");
}
END_TEST

/* A server that listens on every address is reached over loopback. */
START_TEST(test_front_port_connectable) {
    static const char *const pairs[][2] = {{"0.0.0.0:80", "127.0.0.1:80"},   {"*:80", "127.0.0.1:80"},
                                           {":80", "127.0.0.1:80"},          {"80", "127.0.0.1:80"},
                                           {"localhost:80", "localhost:80"}, {"[::]:80", "[::1]:80"},
                                           {"10.0.0.1:80", "10.0.0.1:80"}};
    for (size_t i = 0; i < FLK_COUNT_OF(pairs); i++) {
        char out[64];
        flk_port_connectable(pairs[i][0], out, sizeof out);
        ck_assert_str_eq(out, pairs[i][1]);
    }
}
END_TEST

/* ---- children ---- */

static flk_child_t make_child(const char *script) {
    flk_child_t child = {.name = "child", .program = "child"};
    snprintf(child.path, sizeof child.path, "%s/script", dir);
    snprintf(child.log_path, sizeof child.log_path, "%s/log", dir);
    FILE *file = fopen(child.path, "w");
    fprintf(file, "#!/bin/sh\n%s\n", script);
    fclose(file);
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "chmod 700 %s", child.path);
    ck_assert_int_eq(system(command), 0);
    return child;
}

static void wait_end(flk_child_t *child, char how[32]) {
    uint64_t deadline_ms = flk_mono_ms() + 20000;
    while (!flk_child_reap(child, how)) {
        ck_assert_msg(flk_mono_ms() < deadline_ms, "the child does not end");
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* A child has its settings instead of the inherited ones, its output in its log, a group of its own, and is reaped
 * once. */
START_TEST(test_front_child_runs) {
    setenv("FLK_T_FILE", "/inherited", 1);
    setenv("FLK_T", "inherited", 1);
    flk_child_t child = make_child("echo \"$FLK_T,$FLK_T_FILE\"; echo problem >&2; "
                                   "[ \"$(cut -d' ' -f5 /proc/$$/stat)\" = $$ ] && echo leader; exit 3");
    flk_child_set(&child, "FLK_T", "own");
    char how[32], *log;
    size_t log_bytes;
    ck_assert_msg(flk_child_start(&child, errmsg) == FLK_OK, "%s", errmsg);
    wait_end(&child, how);
    ck_assert_str_eq(how, "status 3");
    ck_assert_int_eq(child.pid, 0);
    ck_assert(!flk_child_reap(&child, how));
    ck_assert_int_eq(flk_io_read_file(child.log_path, 1000, &log, &log_bytes, errmsg), FLK_OK);
    ck_assert_str_eq(log, "own,\nproblem\nleader\n");
    free(log);
    unsetenv("FLK_T");
    unsetenv("FLK_T_FILE");
}
END_TEST

/* A killed child tells the signal; its restart waits 100 ms, longer each time, and is back to 100 ms after a stable
 * run. */
START_TEST(test_front_child_back_off) {
    flk_child_t child = make_child("exec sleep 60");
    char how[32];
    ck_assert_int_eq(flk_child_start(&child, errmsg), FLK_OK);
    flk_child_signal(&child, SIGKILL);
    wait_end(&child, how);
    ck_assert_str_eq(how, "signal 9");
    uint64_t now_ms = child.started_ms;
    static const unsigned waits_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    for (size_t i = 0; i < FLK_COUNT_OF(waits_ms); i++) {
        flk_child_back_off(&child, now_ms);
        ck_assert_uint_eq(child.restart_at_ms, now_ms + waits_ms[i]);
    }
    flk_child_back_off(&child, child.started_ms + 10000);
    ck_assert_uint_eq(child.backoff_ms, 100);
}
END_TEST

/* A program that cannot be executed ends with 127 and gives the reason in its log. */
START_TEST(test_front_child_cannot_run) {
    flk_child_t child = make_child("");
    ck_assert_int_eq(unlink(child.path), 0);
    char how[32], *log;
    size_t log_bytes;
    ck_assert_int_eq(flk_child_start(&child, errmsg), FLK_OK);
    wait_end(&child, how);
    ck_assert_str_eq(how, "status 127");
    ck_assert_int_eq(flk_io_read_file(child.log_path, 1000, &log, &log_bytes, errmsg), FLK_OK);
    ck_assert_ptr_nonnull(strstr(log, "No such file or directory"));
    free(log);
}
END_TEST

/* ---- cluster.json ---- */

/* A written file is read back; without the file there is no cluster; another file is refused. */
START_TEST(test_front_cluster_file) {
    flk_child_t children[2] = {{.name = "broker", .program = "broker", .address = "127.0.0.1:1", .pid = 11},
                               {.name = "worker-1", .program = "worker", .address = "127.0.0.1:2", .restarts = 4}};
    flk_cluster_t cluster = {.http = "127.0.0.1:3", .zmq = "off", .children = children, .children_len = 2};
    snprintf(cluster.data_dir, sizeof cluster.data_dir, "%s", dir);
    static flk_cluster_view_t view;
    ck_assert_int_eq(flk_cluster_file_read(dir, &view, errmsg), FLK_E_NOT_FOUND);
    ck_assert_msg(flk_cluster_file_write(&cluster, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_msg(flk_cluster_file_read(dir, &view, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_uint_eq(view.members_len, 2);
    ck_assert_int_eq(view.members[0].pid, 11);
    ck_assert_str_eq(view.members[1].name, "worker-1");
    ck_assert_str_eq(view.members[1].program, "worker");
    ck_assert_str_eq(view.members[1].address, "127.0.0.1:2");
    ck_assert_uint_eq(view.members[1].restarts, 4);
    ck_assert_int_eq(view.pid, getpid());
    ck_assert_str_eq(view.http, "127.0.0.1:3");

    char path[64];
    snprintf(path, sizeof path, "%s/cluster.json", dir);
    static const char *const damaged[] = {"", "{", "{}", "[]", "{\"format\":2}"};
    for (size_t i = 0; i < FLK_COUNT_OF(damaged); i++) {
        ck_assert_int_eq(flk_io_replace(path, damaged[i], strlen(damaged[i]), errmsg), FLK_OK);
        ck_assert_int_eq(flk_cluster_file_read(dir, &view, errmsg), FLK_E_CORRUPT);
    }
    flk_cluster_file_remove(&cluster);
    ck_assert_int_eq(flk_cluster_file_read(dir, &view, errmsg), FLK_E_NOT_FOUND);
}
END_TEST

/* Numbers and durations are grouped and shortened for people. */
START_TEST(test_front_style) {
    char out[FLK_GROUPED_BYTES];
    ck_assert_str_eq(flk_style_grouped(0, out), "0");
    ck_assert_str_eq(flk_style_grouped(999, out), "999");
    ck_assert_str_eq(flk_style_grouped(1234567, out), "1,234,567");
    ck_assert_str_eq(flk_style_grouped(-100000, out), "-100,000");
    ck_assert_str_eq(flk_style_grouped(1e18, out), "1,000,000,000,000,000,000");
    ck_assert_str_eq(flk_style_duration(1500, out), "1.5s");
    ck_assert_str_eq(flk_style_duration(65000, out), "1m 5s");
    ck_assert_str_eq(flk_style_duration(93784000, out), "1d 2h");
}
END_TEST

int main(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    Suite *suite = suite_create("front");
    TCase *tests = tcase_create("front");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_front_probe_metric);
    tcase_add_test(tests, test_front_snapshot);
    tcase_add_test(tests, test_front_rate);
    tcase_add_test(tests, test_front_port_check);
    tcase_add_test(tests, test_front_port_connectable);
    tcase_add_test(tests, test_front_child_runs);
    tcase_add_test(tests, test_front_child_back_off);
    tcase_add_test(tests, test_front_child_cannot_run);
    tcase_add_test(tests, test_front_cluster_file);
    tcase_add_test(tests, test_front_style);
    suite_add_tcase(suite, tests);
    int status = suite_run(suite);
    curl_global_cleanup();
    return status;
}
