/* SPDX-License-Identifier: MIT */
/* The memory store's promises beyond the contract: one process, and a snapshot that survives kill -9. The program
 * starts itself again with a role for the second process. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"
#include "tests/unit/rig/store_fixture.h"
#include "tests/unit/rig/suite.h"
#include "worker/store/memory/table.h"

static const char *program; /* argv[0]: under valgrind /proc/self/exe is valgrind */

static const char *snapshot_path(void) {
    static char path[128];
    snprintf(path, sizeof path, "%s/store/memory.snapshot", dir);
    return path;
}

static flk_store_t *open_memory(uint64_t snapshot_ms) {
    flk_store_options_t options = options_for("memory");
    options.snapshot_ms = snapshot_ms;
    return open_with(&options);
}

/* In the second process. */
static int role(const char *name) {
    flk_store_options_t options = options_for("memory");
    options.snapshot_ms = 20;
    flk_store_t *store;
    flk_err_t err = flk_store_open(&options, &store, errmsg);
    if (strcmp(name, "open") == 0) {
        return err == FLK_E_LOCKED && strstr(errmsg, "lmdb") != NULL ? 0 : 1;
    }
    flk_store_item_t item = item_of(1, "from the dead"), *at = &item;
    if (err != FLK_OK || flk_store_put(store, &at, 1, errmsg) != FLK_OK) {
        return 1;
    }
    for (uint64_t until = flk_mono_ms() + 20000; flk_mono_ms() < until;) {
        struct stat status;
        if (stat(snapshot_path(), &status) == 0) {
            kill(getpid(), SIGKILL);
        }
        poll(NULL, 0, 5);
    }
    return 2;
}

static int run_role(const char *name) {
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        execl(program, program, name, dir, (char *)NULL);
        _exit(127);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

/* A second process on the same directory is refused, with a line that tells the remedy. */
START_TEST(test_store_memory_serves_one_process) {
    flk_store_t *store = open_memory(3600000);
    ck_assert_int_eq(run_role("open"), 0);
    flk_store_close(&store);
}
END_TEST

/* Outcomes of a killed process are there again once they were in a snapshot; its lock is gone with it. */
START_TEST(test_store_memory_snapshot_survives_kill) {
    int status = run_role("die");
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    flk_store_t *store = open_memory(3600000);
    flk_store_item_t item;
    ck_assert(lookup_one(store, 1, &item) && item_is(&item, "from the dead"));
    flk_store_close(&store);
}
END_TEST

/* A snapshot with any byte changed or any part cut off stops the start; it is never taken for a sound one. */
START_TEST(test_store_memory_refuses_a_damaged_snapshot) {
    flk_store_t *store = open_memory(3600000);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "value of the first", &item));
    ck_assert(put_one(store, 2, "value of the second", &item));
    flk_store_close(&store);
    char *whole;
    size_t bytes;
    ck_assert_int_eq(flk_io_read_file(snapshot_path(), 1 << 20, &whole, &bytes, errmsg), FLK_OK);
    ck_assert_uint_gt(bytes, 100);
    flk_store_options_t options = options_for("memory");
    for (size_t i = 0; i < 2 * bytes; i++) {
        if (i < bytes) {
            whole[i] = (char)(whole[i] ^ 0x10);
        }
        ck_assert_int_eq(flk_io_replace(snapshot_path(), whole, i < bytes ? bytes : i - bytes, errmsg), FLK_OK);
        ck_assert_msg(flk_store_open(&options, &store, errmsg) == FLK_E_CORRUPT, "byte %zu", i);
        ck_assert_ptr_nonnull(strstr(errmsg, "move it away"));
        if (i < bytes) {
            whole[i] = (char)(whole[i] ^ 0x10);
        }
    }
    ck_assert_int_eq(flk_io_replace(snapshot_path(), whole, bytes, errmsg), FLK_OK);
    free(whole);
    store = open_memory(3600000);
    ck_assert(lookup_one(store, 2, &item));
    flk_store_close(&store);
}
END_TEST

struct countdown {
    int calls;
    bool fired;
};

static int fail_nth(flk_io_op_t op, const char *path, void *arg) {
    struct countdown *countdown = arg;
    (void)op;
    (void)path;
    countdown->fired = countdown->fired || countdown->calls == 1;
    return countdown->calls-- == 1 ? EIO : 0;
}

/* Whichever disk call of a snapshot fails, the start finds a whole snapshot: the new one or the one before. */
START_TEST(test_store_memory_failed_snapshot_keeps_the_last) {
    flk_store_item_t item;
    flk_store_t *store = open_memory(3600000);
    ck_assert(put_one(store, 0, "always", &item));
    flk_store_close(&store);
    bool fired = true;
    for (int n = 1; fired; n++) {
        ck_assert_int_lt(n, 100);
        store = open_memory(3600000);
        ck_assert(put_one(store, (uint64_t)n, "perhaps", &item));
        struct countdown countdown = {.calls = n};
        flk_io_set_fault(fail_nth, &countdown);
        flk_store_close(&store);
        flk_io_set_fault(NULL, NULL);
        fired = countdown.fired;
        store = open_memory(3600000);
        ck_assert(lookup_one(store, 0, &item));
        ck_assert(fired || lookup_one(store, (uint64_t)n, &item));
        flk_store_close(&store);
    }
}
END_TEST

/* A pipe under the name of an unfinished snapshot makes way for the next one. */
START_TEST(test_store_memory_snapshot_waits_for_no_pipe) {
    flk_store_item_t item;
    char path[160];
    flk_store_t *store = open_memory(3600000);
    ck_assert(put_one(store, 1, "x", &item));
    snprintf(path, sizeof path, "%s.tmp", snapshot_path());
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    flk_store_close(&store);
    store = open_memory(3600000);
    ck_assert(lookup_one(store, 1, &item));
    flk_store_close(&store);
}
END_TEST

/* The sweep frees expired outcomes, and nothing else. */
START_TEST(test_store_memory_table_sweeps) {
    flk_table_t *table = flk_table_new(UINT64_MAX);
    ck_assert_ptr_nonnull(table);
    for (uint64_t n = 0; n < 20000; n++) {
        flk_store_item_t item = item_of(n * 0x9e3779b97f4a7c15u, "v");
        ck_assert_int_eq(flk_table_put(table, &item, 0, n % 2 == 0 ? 1000 : 2000), FLK_OK);
    }
    ck_assert_uint_eq(flk_table_len(table), 20000);
    for (int turn = 0; turn < 64 * 64; turn++) {
        flk_table_sweep(table, 1000, 64);
    }
    ck_assert_uint_eq(flk_table_len(table), 10000);
    for (uint64_t n = 0; n < 20000; n++) {
        flk_store_item_t item = item_of(n * 0x9e3779b97f4a7c15u, "");
        flk_table_get(table, &item, 1000);
        ck_assert(item.found == (n % 2 == 1));
    }
    flk_table_destroy(&table);
}
END_TEST

/* A full store refuses further outcomes and says so, still knows those that it has, and takes more when they expire. */
START_TEST(test_store_memory_is_bounded) {
    flk_store_options_t options = options_for("memory");
    options.memory_bytes_max = 256 << 10;
    flk_store_t *store = open_with(&options);
    flk_err_t err = FLK_OK;
    uint64_t n = 0;
    while (err == FLK_OK && n < 10000) {
        flk_store_item_t item = item_of(++n, "an outcome"), *at = &item;
        err = flk_store_put(store, &at, 1, errmsg);
    }
    ck_assert_int_eq(err, FLK_E_NO_SPACE);
    ck_assert_uint_gt(n, 1000);
    ck_assert_msg(strstr(errmsg, "half of this process's memory") != NULL, "%s", errmsg);
    ck_assert_int_eq(flk_store_health(store, errmsg), FLK_E_NO_SPACE);
    flk_store_item_t item;
    ck_assert(lookup_one(store, 1, &item) && !put_one(store, 1, "another", &item));
    pass_ms((int64_t)options.ttl_ms + 1);
    for (uint64_t turn = 1; turn < 10000 && flk_store_health(store, errmsg) != FLK_OK; turn++) {
        flk_store_tick(store, turn * 100);
    }
    ck_assert(put_one(store, n, "an outcome", &item));
    flk_store_close(&store);
}
END_TEST

int main(int argc, char **argv) {
    program = argv[0];
    if (argc == 3) {
        snprintf(dir, sizeof dir, "%s", argv[2]);
        now_ms = START_MS;
        return role(argv[1]);
    }
    Suite *suite = suite_create("store_memory");
    TCase *tcase = tcase_create("memory");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, test_store_memory_serves_one_process);
    tcase_add_test(tcase, test_store_memory_snapshot_survives_kill);
    tcase_add_test(tcase, test_store_memory_refuses_a_damaged_snapshot);
    tcase_add_test(tcase, test_store_memory_snapshot_waits_for_no_pipe);
    tcase_add_test(tcase, test_store_memory_failed_snapshot_keeps_the_last);
    tcase_add_test(tcase, test_store_memory_table_sweeps);
    tcase_add_test(tcase, test_store_memory_is_bounded);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
