/* SPDX-License-Identifier: MIT */
/* flk-broker itself: how it starts, refuses to start, survives being stopped for a while, and ends. */
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/rig/broker_rig.h"

enum { HEARTBEAT_MS = 400 };

typedef struct process {
    pid_t pid;
    FILE *errors; /* its stderr */
    char frontend[128], backend[128];
} process_t;

static process_t process;

static void setup(void) {
    memset(&process, 0, sizeof process);
    rig.context = zmq_ctx_new();
}

static void teardown(void) {
    if (process.pid > 0) {
        kill(process.pid, SIGKILL);
        waitpid(process.pid, NULL, 0);
    }
    if (process.errors != NULL) {
        fclose(process.errors);
    }
    rig_end_context();
}

static void exec_broker(const char *frontend, const char *backend) {
    char path[PATH_MAX] = "", heartbeat[16];
    if (readlink("/proc/self/exe", path, sizeof path - 32) < 0) {
        _exit(126);
    }
    strcat(dirname(path), "/../bin/flk-broker"); /* beside build/tests is build/bin */
    snprintf(heartbeat, sizeof heartbeat, "%d", HEARTBEAT_MS);
    setenv("FLK_FRONTENDS", frontend, 1);
    setenv("FLK_BACKENDS", backend, 1);
    setenv("FLK_ADMIN_LISTEN", "off", 1);
    setenv("FLK_HEARTBEAT_MS", heartbeat, 1);
    execl(path, path, (char *)NULL);
    _exit(127);
}

static void start(const char *frontend, const char *backend) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    process.pid = fork();
    ck_assert_int_ge(process.pid, 0);
    if (process.pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        exec_broker(frontend, backend);
    }
    close(ends[1]);
    process.errors = fdopen(ends[0], "r");
}

/* Starts it on free ports and reads them from its log. */
static void start_and_wait(void) {
    start("tcp://127.0.0.1:*", "tcp://127.0.0.1:*");
    char line[1024];
    while (fgets(line, sizeof line, process.errors) != NULL) {
        if (sscanf(line, "%*s %*s %*s broker_started frontend=%127s backend=%127s", process.frontend,
                   process.backend) == 2) {
            return;
        }
    }
    ck_abort_msg("flk-broker did not start");
}

/* Its exit status; the rest of its output goes into `rest`. */
static int wait_for_end(char *rest, size_t rest_bytes) {
    size_t len = fread(rest, 1, rest_bytes - 1, process.errors);
    rest[len] = '\0';
    int status;
    ck_assert_int_eq(waitpid(process.pid, &status, 0), process.pid);
    process.pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static peer_t worker_at(const char *backend) {
    peer_t worker = peer_open(backend);
    worker_ready(&worker, 1);
    peer_expect(&worker, FLK_WELCOME);
    return worker;
}

/* SIGTERM ends it soon, with status 0, and its peers hear GOODBYE. */
START_TEST(test_broker_process_ends_on_sigterm) {
    start_and_wait();
    peer_t worker = worker_at(process.backend);
    uint64_t asked_ms = flk_mono_ms();
    kill(process.pid, SIGTERM);
    char rest[4096];
    ck_assert_int_eq(wait_for_end(rest, sizeof rest), 0);
    ck_assert_uint_lt(flk_mono_ms() - asked_ms, 5000);
    peer_expect(&worker, FLK_GOODBYE);
    peer_kill(&worker);
}
END_TEST

/* A port in use is one line that names it, and status 1. */
START_TEST(test_broker_process_names_the_port_in_use) {
    void *taken;
    char endpoint[128], rest[4096];
    size_t len = sizeof endpoint;
    ck_assert_int_eq(flk_link_bind(rig.context, "tcp://127.0.0.1:*", NULL, FLK_ROLE_AGENT, &taken, rest), FLK_OK);
    ck_assert_int_eq(zmq_getsockopt(taken, ZMQ_LAST_ENDPOINT, endpoint, &len), 0);
    start("tcp://127.0.0.1:*", endpoint);
    ck_assert_int_eq(wait_for_end(rest, sizeof rest), 1);
    ck_assert_msg(strstr(rest, endpoint) != NULL && strstr(rest, "in use") != NULL, "%s", rest);
    ck_assert_ptr_eq(strchr(rest, '\n'), rest + strlen(rest) - 1);
    flk_link_close(&taken);
}
END_TEST

/* A list of endpoints, which only gateways and workers may have, is refused with one line. */
START_TEST(test_broker_process_refuses_a_list) {
    char rest[4096];
    start("tcp://127.0.0.1:5555,tcp://127.0.0.1:5557", "tcp://127.0.0.1:*");
    ck_assert_int_eq(wait_for_end(rest, sizeof rest), 2);
    ck_assert_msg(strstr(rest, "FLK_FRONTENDS") != NULL, "%s", rest);
    ck_assert_ptr_eq(strchr(rest, '\n'), rest + strlen(rest) - 1);
}
END_TEST

/* A broker that was stopped for longer than three heartbeats does not take that for its peers' silence. */
START_TEST(test_broker_process_forgives_the_time_it_was_stopped) {
    start_and_wait();
    peer_t worker = worker_at(process.backend);
    kill(process.pid, SIGSTOP);
    zmq_poll(NULL, 0, 5 * HEARTBEAT_MS); /* the stop; the worker says nothing either */
    kill(process.pid, SIGCONT);
    ck_assert(!peer_next_of_work(&worker, HEARTBEAT_MS)); /* answers PING meanwhile */
    kill(process.pid, SIGTERM);
    char rest[4096];
    ck_assert_int_eq(wait_for_end(rest, sizeof rest), 0);
    ck_assert_msg(strstr(rest, "broker_was_held_up") != NULL, "%s", rest);
    ck_assert_msg(strstr(rest, "worker_lost") == NULL, "%s", rest);
    peer_kill(&worker);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("broker_process");
    TCase *tc = tcase_create("broker_process");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_broker_process_ends_on_sigterm);
    tcase_add_test(tc, test_broker_process_names_the_port_in_use);
    tcase_add_test(tc, test_broker_process_refuses_a_list);
    tcase_add_test(tc, test_broker_process_forgives_the_time_it_was_stopped);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
