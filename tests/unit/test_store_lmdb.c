/* SPDX-License-Identifier: MIT */
/* What the LMDB store promises beyond the contract: several processes, growth, the sweep, and faults of disk and of
 * neighbours. The program starts itself again with a role for each further process. Its own pwrite, writev and
 * fdatasync stand before libc's, so that liblmdb's calls can be made to fail, to stop or to kill. */
#include <errno.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store_fixture.h"
#include "tests/unit/suite.h"

/* ---- the disk under LMDB ---- */

typedef enum disk_call { CALL_DATA, CALL_SYNC, CALL_META, CALLS } disk_call_t;
static disk_call_t fail_on;
static int fail_times; /* as many of those calls fail; more than any test makes: the disk is broken */
static int fail_errno;
static int signal_at_sync; /* raised within the next sync, once */

static bool fails(disk_call_t call) {
    if (fail_times == 0 || call != fail_on) {
        return false;
    }
    fail_times--;
    errno = fail_errno;
    return true;
}

/* LMDB's two meta pages are the first 8 KiB of its file. */
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) {
    return fails(offset < 8192 ? CALL_META : CALL_DATA) ? -1 : syscall(SYS_pwrite64, fd, data, bytes, offset);
}

ssize_t writev(int fd, const struct iovec *iov, int iov_len) {
    return fails(CALL_DATA) ? -1 : syscall(SYS_writev, fd, iov, iov_len);
}

int fdatasync(int fd) {
    int signo = signal_at_sync;
    signal_at_sync = 0;
    if (signo != 0) {
        raise(signo);
    }
    return fails(CALL_SYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

/* ---- helpers ---- */

static const char *program; /* argv[0]: under valgrind /proc/self/exe is valgrind */

enum { SHARED_IDS = 400, PROCESSES = 4 };

static flk_store_t *open_lmdb(uint64_t timeout_ms) {
    flk_store_options_t options = options_for("lmdb");
    options.timeout_ms = timeout_ms;
    return open_with(&options);
}

static flk_err_t try_put(flk_store_t *store, uint64_t n, const char *value, flk_store_item_t *item) {
    *item = item_of(n, value);
    return flk_store_put(store, &item, 1, errmsg);
}

/* Puts ids [from, to) with values of 1 KiB, a few in each commit. */
static bool fill(flk_store_t *store, uint64_t from, uint64_t to) {
    enum { BATCH = 50 };
    static flk_store_item_t items[BATCH], *batch[BATCH];
    while (from < to) {
        size_t len = 0;
        for (; len < BATCH && from < to; len++, from++) {
            items[len] = (flk_store_item_t){.value_bytes = FLK_STORE_VALUE_BYTES_MAX};
            item_key(&items[len], from);
            memset(items[len].value, (int)from, sizeof items[len].value);
            batch[len] = &items[len];
        }
        if (flk_store_put(store, batch, len, errmsg) != FLK_OK) {
            return false;
        }
    }
    return true;
}

/* ---- roles of the second process; the exit status is the answer ---- */

/* Puts SHARED_IDS ids with values of its own, and writes down which value each has. */
static int role_race(flk_store_t *store) {
    char path[128];
    snprintf(path, sizeof path, "%s/outcomes.%d", dir, (int)getpid());
    FILE *file = fopen(path, "w");
    for (uint64_t n = 0; file != NULL && n < SHARED_IDS; n++) {
        char value[32];
        snprintf(value, sizeof value, "%d", (int)getpid());
        flk_store_item_t item;
        if (try_put(store, n, value, &item) != FLK_OK) {
            return 3;
        }
        fprintf(file, "%llu %.*s\n", (unsigned long long)n, (int)item.value_bytes, (const char *)item.value);
    }
    return file != NULL && fclose(file) == 0 ? 0 : 4;
}

static int role(const char *name) {
    flk_store_options_t options = options_for("lmdb");
    flk_store_t *store;
    flk_store_item_t item;
    if (flk_store_open(&options, &store, errmsg) != FLK_OK) {
        return 2;
    }
    int status = 1;
    if (strcmp(name, "race") == 0) {
        status = role_race(store);
    } else if (strcmp(name, "grow") == 0) {
        status = fill(store, 1000, 4000) ? 0 : 1;
    } else {
        signal_at_sync = strcmp(name, "kill") == 0 ? SIGKILL : SIGSTOP;
        status = try_put(store, 99, "in the middle", &item) == FLK_OK ? 0 : 1;
    }
    flk_store_close(&store);
    return status;
}

static pid_t start_role(const char *name) {
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        execl(program, program, name, dir, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static int wait_role(pid_t pid, int options) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, options), pid);
    return status;
}

/* ---- tests ---- */

/* Of several processes that put the same ids at once, each id has one winner, and all processes were told the same. */
START_TEST(test_store_lmdb_processes_agree) {
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = start_role("race");
    }
    static int winner[SHARED_IDS];
    memset(winner, 0, sizeof winner);
    for (int i = 0; i < PROCESSES; i++) {
        ck_assert_int_eq(wait_role(pids[i], 0), 0);
        char path[128];
        snprintf(path, sizeof path, "%s/outcomes.%d", dir, (int)pids[i]);
        FILE *file = fopen(path, "r");
        ck_assert_ptr_nonnull(file);
        int n, value, lines = 0;
        while (fscanf(file, "%d %d", &n, &value) == 2) {
            ck_assert(winner[n] == 0 || winner[n] == value);
            winner[n] = value;
            lines++;
        }
        fclose(file);
        ck_assert_int_eq(lines, SHARED_IDS);
    }
}
END_TEST

/* A process killed inside a write transaction harms nobody: the next writer goes on, and nothing of it is seen. */
START_TEST(test_store_lmdb_survives_a_killed_writer) {
    flk_store_t *store = open_lmdb(10000);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "before", &item));
    for (int i = 0; i < 3; i++) {
        int status = wait_role(start_role("kill"), 0);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    ck_assert(lookup_one(store, 1, &item));
    ck_assert(!lookup_one(store, 99, &item));
    ck_assert(put_one(store, 99, "after", &item));
    flk_store_close(&store);
}
END_TEST

/* While a stopped process holds the write lock, puts fail in time and then at once, lookups go on. When it goes on, or is
 * killed, so do they. */
START_TEST(test_store_lmdb_stopped_writer_does_not_block) {
    flk_store_t *store = open_lmdb(200);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "before", &item));
    pid_t pid = start_role("stop");
    ck_assert(WIFSTOPPED(wait_role(pid, WUNTRACED)));

    uint64_t began_ms = flk_mono_ms();
    ck_assert_int_eq(try_put(store, 2, "late", &item), FLK_E_UNAVAILABLE);
    uint64_t took_ms = flk_mono_ms() - began_ms;
    ck_assert(took_ms >= 200 && took_ms < 2000);
    began_ms = flk_mono_ms();
    for (uint64_t n = 3; n < 100; n++) {
        ck_assert_int_eq(try_put(store, n, "later", &item), FLK_E_UNAVAILABLE);
    }
    ck_assert_int_eq(flk_store_health(store, errmsg), FLK_E_UNAVAILABLE);
    ck_assert_uint_lt(flk_mono_ms() - began_ms, 5000); /* waiting each time would take 97 x 200 ms */
    ck_assert(lookup_one(store, 1, &item));
    ck_assert(!lookup_one(store, 2, &item));

    bool killed = _i == 1;
    kill(pid, killed ? SIGKILL : SIGCONT);
    ck_assert_int_eq(wait_role(pid, 0), killed ? SIGKILL : 0);
    uint64_t until = flk_mono_ms() + 10000;
    while (flk_store_health(store, errmsg) != FLK_OK) {
        ck_assert_uint_lt(flk_mono_ms(), until);
    }
    ck_assert(lookup_one(store, 99, &item) == !killed);
    ck_assert(!put_one(store, 2, "again", &item) && item_is(&item, "late")); /* it was committed after all */
    flk_store_close(&store);
}
END_TEST

/* The map grows as far as the outcomes need it, and other processes follow, be it a lookup or a put that meets it. */
START_TEST(test_store_lmdb_map_grows) {
    flk_store_t *reader = open_lmdb(10000);
    flk_store_item_t item;
    ck_assert(fill(reader, 0, 1000));
    ck_assert_int_eq(wait_role(start_role("grow"), 0), 0);
    ck_assert_msg(lookup_one(reader, 3999, &item), "a lookup meets the larger map");
    ck_assert_int_eq(item.value[17], 3999 & 0xff);
    ck_assert(lookup_one(reader, 500, &item));
    ck_assert(put_one(reader, 5000, "goes on", &item));
    flk_store_close(&reader);

    flk_store_t *writer = open_lmdb(10000);
    ck_assert(fill(writer, 10000, 12000));
    flk_store_close(&writer);
}
END_TEST

/* As above, when the first to meet the larger map is a put. */
START_TEST(test_store_lmdb_put_adopts_a_larger_map) {
    flk_store_t *store = open_lmdb(10000);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "small", &item));
    ck_assert_int_eq(wait_role(start_role("grow"), 0), 0);
    ck_assert(put_one(store, 2, "after it grew", &item));
    ck_assert(lookup_one(store, 3999, &item));
    flk_store_close(&store);
}
END_TEST

static void count_records(size_t *outcomes, size_t *expiry) {
    char path[96];
    snprintf(path, sizeof path, "%s/store/lmdb", dir);
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_stat stat;
    ck_assert_int_eq(mdb_env_create(&env), 0);
    ck_assert_int_eq(mdb_env_set_maxdbs(env, 4), 0);
    ck_assert_int_eq(mdb_env_open(env, path, MDB_RDONLY, 0600), 0);
    ck_assert_int_eq(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, "outcomes", 0, &dbi), 0);
    ck_assert_int_eq(mdb_stat(txn, dbi, &stat), 0);
    *outcomes = stat.ms_entries;
    ck_assert_int_eq(mdb_dbi_open(txn, "expiry", 0, &dbi), 0);
    ck_assert_int_eq(mdb_stat(txn, dbi, &stat), 0);
    *expiry = stat.ms_entries;
    mdb_txn_abort(txn);
    mdb_env_close(env);
}

/* What expired leaves the files by ticks alone, both record and index; what has not, stays. */
START_TEST(test_store_lmdb_sweeps) {
    flk_store_t *store = open_lmdb(10000);
    flk_store_item_t item;
    ck_assert(fill(store, 0, 500));
    pass_ms(59000);
    ck_assert(fill(store, 500, 600));
    pass_ms(1000);
    ck_assert(put_one(store, 3, "again, before the sweep came to it", &item));
    for (uint64_t tick = 1; tick <= 3; tick++) {
        flk_store_tick(store, 1000 * tick);
        ck_assert_int_eq(flk_store_health(store, errmsg), FLK_OK); /* the writer is through with the tick's turn */
    }
    ck_assert(lookup_one(store, 3, &item) && lookup_one(store, 599, &item) && !lookup_one(store, 4, &item));
    flk_store_close(&store);
    size_t outcomes, expiry;
    count_records(&outcomes, &expiry);
    ck_assert_uint_eq(outcomes, 101);
    ck_assert_uint_eq(expiry, 101);
}
END_TEST

/* Under steady load the sweep beside the puts keeps up by itself: the store holds what lives, and little more. */
START_TEST(test_store_lmdb_load_sweeps_too) {
    flk_store_options_t options = options_for("lmdb");
    options.ttl_ms = 100;
    flk_store_t *store = open_with(&options);
    for (uint64_t n = 0; n < 5000; n += 50) {
        ck_assert(fill(store, n, n + 50));
        pass_ms(50);
    }
    flk_store_close(&store);
    size_t outcomes, expiry;
    count_records(&outcomes, &expiry);
    ck_assert_uint_le(outcomes, 150);
    ck_assert_uint_eq(expiry, outcomes);
}
END_TEST

static const struct {
    disk_call_t call;
    int code, times;
    flk_err_t err;
} disk_faults[] = {
    {CALL_DATA, EIO, 1, FLK_E_IO},       {CALL_DATA, ENOSPC, 1, FLK_E_NO_SPACE},
    {CALL_SYNC, EIO, 1, FLK_E_IO},       {CALL_SYNC, ENOSPC, 1, FLK_E_NO_SPACE},
    {CALL_META, EIO, 1, FLK_E_IO},       {CALL_META, ENOSPC, 1, FLK_E_NO_SPACE},
    {CALL_DATA, EIO, 1 << 20, FLK_E_IO}, {CALL_DATA, ENOSPC, 1 << 20, FLK_E_NO_SPACE},
    {CALL_SYNC, EIO, 1 << 20, FLK_E_IO},
};

/* Whichever disk call of a commit fails, once or for a while, the put says so, nothing false is seen, what was there
 * stays, and puts work again when the disk does, without a restart and after one. */
START_TEST(test_store_lmdb_heals_after_disk_errors) {
    flk_store_t *store = open_lmdb(10000), *other = open_lmdb(10000);
    flk_store_item_t item;
    ck_assert(put_one(store, 0, "before", &item));
    ck_assert(lookup_one(other, 0, &item));
    for (uint64_t n = 1; n <= 5; n++) {
        fail_on = disk_faults[_i].call;
        fail_errno = disk_faults[_i].code;
        fail_times = disk_faults[_i].times;
        ck_assert_int_eq(try_put(store, n, "first try", &item), disk_faults[_i].err);
        ck_assert(!lookup_one(other, n, &item));
        ck_assert(lookup_one(other, 0, &item));
        if (disk_faults[_i].times > 1) {
            ck_assert_int_eq(flk_store_health(store, errmsg), disk_faults[_i].err);
        }
        fail_times = 0;
        ck_assert_int_eq(flk_store_health(store, errmsg), FLK_OK);
        ck_assert(put_one(store, n, "second try", &item));
        ck_assert(lookup_one(other, n, &item) && item_is(&item, "second try"));
    }
    flk_store_close(&store);
    flk_store_close(&other);
    store = open_lmdb(10000);
    for (uint64_t n = 0; n <= 5; n++) {
        ck_assert(lookup_one(store, n, &item));
    }
    flk_store_close(&store);
}
END_TEST

/* Nothing is written to a data file that somebody moved away, for the next start would not find it; put back, it is
 * taken up again. */
START_TEST(test_store_lmdb_refuses_to_write_beside_its_path) {
    char away[128], path[128];
    snprintf(path, sizeof path, "%s/store", dir);
    snprintf(away, sizeof away, "%s/away", dir);
    flk_store_t *store = open_lmdb(10000);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "before", &item));
    ck_assert_int_eq(rename(path, away), 0);
    ck_assert_int_eq(try_put(store, 2, "beside", &item), FLK_E_IO);
    ck_assert_ptr_nonnull(strstr(errmsg, "moved or removed"));
    ck_assert_int_eq(flk_store_health(store, errmsg), FLK_E_IO);
    ck_assert_int_eq(rename(away, path), 0);
    ck_assert_int_eq(flk_store_health(store, errmsg), FLK_OK);
    ck_assert(put_one(store, 2, "after", &item));
    flk_store_close(&store);
}
END_TEST

/* Files of another layout are refused, not misread. */
START_TEST(test_store_lmdb_refuses_another_format) {
    flk_store_t *store = open_lmdb(10000);
    flk_store_close(&store);
    char path[96];
    snprintf(path, sizeof path, "%s/store/lmdb", dir);
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val key = {.mv_data = (void *)"format", .mv_size = 6}, value = {.mv_data = (void *)"2", .mv_size = 1};
    ck_assert_int_eq(mdb_env_create(&env), 0);
    ck_assert_int_eq(mdb_env_set_maxdbs(env, 4), 0);
    ck_assert_int_eq(mdb_env_open(env, path, 0, 0600), 0);
    ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
    ck_assert_int_eq(mdb_put(txn, dbi, &key, &value, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    flk_store_options_t options = options_for("lmdb");
    ck_assert_int_eq(flk_store_open(&options, &store, errmsg), FLK_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(errmsg, path));
}
END_TEST

int main(int argc, char **argv) {
    program = argv[0];
    if (argc == 3) {
        snprintf(dir, sizeof dir, "%s", argv[2]);
        now_ms = START_MS;
        return role(argv[1]);
    }
    Suite *suite = suite_create("store_lmdb");
    TCase *tcase = tcase_create("lmdb");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, test_store_lmdb_processes_agree);
    tcase_add_test(tcase, test_store_lmdb_survives_a_killed_writer);
    tcase_add_loop_test(tcase, test_store_lmdb_stopped_writer_does_not_block, 0, 2);
    tcase_add_test(tcase, test_store_lmdb_map_grows);
    tcase_add_test(tcase, test_store_lmdb_put_adopts_a_larger_map);
    tcase_add_test(tcase, test_store_lmdb_sweeps);
    tcase_add_test(tcase, test_store_lmdb_load_sweeps_too);
    tcase_add_loop_test(tcase, test_store_lmdb_heals_after_disk_errors, 0, (int)FLK_COUNT_OF(disk_faults));
    tcase_add_test(tcase, test_store_lmdb_refuses_to_write_beside_its_path);
    tcase_add_test(tcase, test_store_lmdb_refuses_another_format);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
