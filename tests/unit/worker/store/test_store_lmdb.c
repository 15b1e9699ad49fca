/* SPDX-License-Identifier: MIT */
/* The LMDB store's promises beyond the contract: several processes, growth, the sweep, and faults of disk and of
 * neighbours. The program starts itself again with a role for each further process. Its own pwrite, writev and
 * fdatasync stand before libc's, so that liblmdb's calls can be made to fail, to stop or to kill. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/rig/store_fixture.h"
#include "tests/unit/rig/suite.h"

/* ---- the disk under LMDB ---- */

typedef enum disk_call { CALL_DATA, CALL_SYNC, CALL_META, CALLS } disk_call_t;
typedef enum where { ANYWHERE, IN_INDEX } where_t;
static disk_call_t fail_on;
static where_t fail_where;
static int
    fail_times; /* as many of those calls fail; more than any test makes: the disk is broken; atomic, as all of these */
static int fail_errno;
static int signal_at_sync; /* raised within the next sync, once … */
static where_t signal_where;
static int kill_at_call; /* the n-th call from now on, whichever it is, is the end of the process; 0: none */

static bool is_there(where_t where, int fd) {
    char link[32], path[128] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return where == ANYWHERE || (readlink(link, path, sizeof path - 1) > 0 && strstr(path, "/recent/") == NULL);
}

static bool fails(disk_call_t call, int fd) {
    if (__atomic_load_n(&kill_at_call, __ATOMIC_SEQ_CST) > 0 &&
        __atomic_sub_fetch(&kill_at_call, 1, __ATOMIC_SEQ_CST) == 0) {
        kill(getpid(), SIGKILL);
    }
    if (__atomic_load_n(&fail_times, __ATOMIC_SEQ_CST) <= 0 || call != fail_on ||
        !is_there(__atomic_load_n(&fail_where, __ATOMIC_SEQ_CST), fd)) {
        return false;
    }
    __atomic_fetch_sub(&fail_times, 1, __ATOMIC_SEQ_CST);
    errno = fail_errno;
    return true;
}

/* LMDB's two meta pages are the first 8 KiB of its file. */
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) {
    return fails(offset < 8192 ? CALL_META : CALL_DATA, fd) ? -1 : syscall(SYS_pwrite64, fd, data, bytes, offset);
}

ssize_t writev(int fd, const struct iovec *iov, int iov_len) {
    return fails(CALL_DATA, fd) ? -1 : syscall(SYS_writev, fd, iov, iov_len);
}

int fdatasync(int fd) {
    if (is_there(signal_where, fd)) {
        int signo = __atomic_exchange_n(&signal_at_sync, 0, __ATOMIC_SEQ_CST);
        if (signo != 0) {
            raise(signo);
        }
    }
    return fails(CALL_SYNC, fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

/* ---- helpers ---- */

static const char *program; /* argv[0]: under valgrind /proc/self/exe is valgrind */

enum {
    SHARED_IDS = 400,
    PROCESSES = 4,
    PATIENCE_MS = 20000, /* deadline of any condition */
    KEEP_NONE = 1,       /* lmdb_recent_bytes: everything is moved to the index at once */
};

static flk_store_t *open_keeping(uint64_t keep_bytes, uint64_t timeout_ms) {
    flk_store_options_t options = options_for("lmdb");
    options.timeout_ms = timeout_ms;
    options.lmdb_recent_bytes = keep_bytes;
    return open_with(&options);
}

static flk_store_t *open_lmdb(uint64_t timeout_ms) {
    return open_keeping(0, timeout_ms);
}

struct sizes {
    uint64_t recent, index;
};

static void note_part(void *arg, const char *part, uint64_t outcomes, uint64_t bytes) {
    struct sizes *sizes = arg;
    (void)bytes;
    *(strcmp(part, "recent") == 0 ? &sizes->recent : &sizes->index) = outcomes;
}

static struct sizes measure(flk_store_t *store) {
    struct sizes sizes = {0};
    ck_assert_msg(flk_store_measure(store, note_part, &sizes, errmsg) == FLK_OK, "%s", errmsg);
    return sizes;
}

/* Waits until nothing is recent, and the index has that many outcomes. */
static void wait_moved(flk_store_t *store, uint64_t index) {
    uint64_t until_ms = flk_mono_ms() + PATIENCE_MS;
    for (struct sizes sizes = measure(store); sizes.recent != 0 || sizes.index != index; sizes = measure(store)) {
        ck_assert_msg(flk_mono_ms() < until_ms, "%llu are recent, %llu in the index", (unsigned long long)sizes.recent,
                      (unsigned long long)sizes.index);
        usleep(1000);
    }
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

enum { ROUND_IDS = 2000, ROUND_PUTS = 3, PUT_IDS_MAX = 600 }; /* the most take more than one step to move */

/* Puts ids of its own, all of which is moved to the index at once, is killed at its n-th disk call, and writes down the
 * answers. 0: it made fewer. */
static int role_killed(flk_store_t *store, int n, uint64_t put_ids) {
    char path[128];
    snprintf(path, sizeof path, "%s/told.%d", dir, n);
    FILE *file = fopen(path, "w");
    static flk_store_item_t items[PUT_IDS_MAX], *batch[PUT_IDS_MAX];
    for (uint64_t put = 0; put < ROUND_PUTS; put++) {
        for (uint64_t i = 0; i < put_ids; i++) {
            char value[32];
            snprintf(value, sizeof value, "round %d", n);
            items[i] = item_of((uint64_t)n * ROUND_IDS + put * put_ids + i, value);
            batch[i] = &items[i];
        }
        if (file == NULL || flk_store_put(store, batch, put_ids, errmsg) != FLK_OK) {
            return 3;
        }
        fprintf(file, "%llu\n", (unsigned long long)put);
        fflush(file);
    }
    for (struct sizes sizes = {.recent = 1}; sizes.recent != 0;) {
        usleep(1000);
        if (flk_store_measure(store, note_part, &sizes, errmsg) != FLK_OK) {
            return 4;
        }
    }
    return 0;
}

/* Has the index open as the first version had it, and nothing else. */
static int role_hold_index(void) {
    char path[96];
    snprintf(path, sizeof path, "%s/store/lmdb", dir);
    MDB_env *env;
    if (mdb_env_create(&env) != 0 || mdb_env_open(env, path, 0, 0600) != 0) {
        return 3;
    }
    raise(SIGSTOP);
    mdb_env_close(env);
    return 0;
}

static int role(const char *name) {
    flk_store_options_t options = options_for("lmdb");
    flk_store_t *store;
    flk_store_item_t item;
    if (strcmp(name, "hold-index") == 0) {
        return role_hold_index();
    }
    if (strncmp(name, "killed.", 7) == 0) {
        options.lmdb_recent_bytes = KEEP_NONE;
        kill_at_call = atoi(name + 7);
    } else if (strncmp(name, "race.", 5) == 0) {
        options.lmdb_recent_bytes = strtoull(name + 5, NULL, 10);
    } else if (strcmp(name, "stop-moving") == 0) {
        options.lmdb_recent_bytes = KEEP_NONE;
        signal_where = IN_INDEX;
    }
    if (flk_store_open(&options, &store, errmsg) != FLK_OK) {
        return 2;
    }
    int status = 1;
    if (strncmp(name, "race.", 5) == 0) {
        status = role_race(store);
    } else if (strncmp(name, "killed.", 7) == 0) {
        status = role_killed(store, kill_at_call, strtoull(strchr(name + 7, '.') + 1, NULL, 10));

    } else if (strcmp(name, "grow") == 0) {
        status = fill(store, 1000, 4000) ? 0 : 1;
    } else {
        signal_at_sync = strcmp(name, "kill") == 0 ? SIGKILL : SIGSTOP;
        status = try_put(store, 99, "in the middle", &item) == FLK_OK ? 0 : 1;
        while (signal_where == IN_INDEX) {
            pause(); /* its outcomes are about to be moved */
        }
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

/* Of several processes that put the same ids at once, each id has one winner, and all processes were told the same,
 * whether the outcomes are moved to the index all the while, now and then, or not at all. */
START_TEST(test_store_lmdb_processes_agree) {
    static const char *const roles[] = {"race.1", "race.3000", "race.0"};
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = start_role(roles[_i]);
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
    flk_store_t *store = open_keeping(KEEP_NONE, 10000);
    flk_store_item_t item;
    ck_assert(put_one(store, SHARED_IDS, "one more", &item)); /* has all moved */
    wait_moved(store, SHARED_IDS + 1);
    for (int n = 0; n < SHARED_IDS; n++) {
        char value[32];
        snprintf(value, sizeof value, "%d", winner[n]);
        ck_assert(lookup_one(store, (uint64_t)n, &item) && item_is(&item, value));
    }
    flk_store_close(&store);
}
END_TEST

/* Killed at any of the disk calls that putting and moving make (of the many that moving much makes: at some), a
 * process loses nothing that a put had promised, and leaves nothing else behind; the next process goes on from
 * there. */
START_TEST(test_store_lmdb_killed_at_each_disk_call) {
    enum { CALLS_MAX = 3000 };
    const uint64_t put_ids = _i == 0 ? 4 : PUT_IDS_MAX;
    int n = 1, status = 1, stride = _i == 0 ? 1 : 41;
    uint64_t promised = 0;
    for (; n < CALLS_MAX && status != 0; n += stride) {
        char name[32], path[128], value[32];
        snprintf(name, sizeof name, "killed.%d.%llu", n, (unsigned long long)put_ids);
        status = wait_role(start_role(name), 0);
        ck_assert_msg(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL), "call %d: %x", n, status);
        snprintf(path, sizeof path, "%s/told.%d", dir, n);
        snprintf(value, sizeof value, "round %d", n);
        FILE *told = fopen(path, "r");
        uint64_t puts = 0;
        for (unsigned long long put; told != NULL && fscanf(told, "%llu", &put) == 1; puts++) {
        }
        if (told != NULL) {
            fclose(told);
        }
        flk_store_t *store = open_keeping(n % 2 == 0 ? KEEP_NONE : 0, 10000);
        flk_store_item_t item;
        for (uint64_t i = 0; i < ROUND_PUTS * put_ids; i++) {
            uint64_t id = (uint64_t)n * ROUND_IDS + i;
            bool found = lookup_one(store, id, &item);
            ck_assert_msg(found || i >= puts * put_ids, "call %d: id %llu is lost", n, (unsigned long long)i);
            ck_assert_msg(!found || i < (puts + 1) * put_ids, "call %d: id %llu was never put", n,
                          (unsigned long long)i);
            ck_assert(!found || item_is(&item, value));
            promised += found;
        }
        flk_store_close(&store);
    }
    ck_assert_int_eq(status, 0);
    flk_store_t *store = open_keeping(KEEP_NONE, 10000);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "one more", &item));
    wait_moved(store, promised + 1);
    flk_store_close(&store);
    printf("killed at each, or each 41st, of %d disk calls\n", n - stride - 1);
}
END_TEST

/* A put does not look again where the lookup before it has looked; it finds outcomes that others put in between, recent
 * or moved. */
START_TEST(test_store_lmdb_put_finds_what_came_after_the_lookup) {
    flk_store_t *store = open_keeping(_i == 0 ? 0 : KEEP_NONE, 10000), *other = open_keeping(0, 10000);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "before", &item));
    if (_i != 0) {
        wait_moved(store, 1);
    }
    ck_assert(!lookup_one(store, 2, &item));
    ck_assert(put_one(other, 2, "first", &item));
    if (_i != 0) {
        wait_moved(other, 2);
    }
    ck_assert(!put_one(store, 2, "second", &item) && item_is(&item, "first"));
    ck_assert(!lookup_one(store, 3, &item));
    ck_assert(put_one(store, 3, "mine", &item));
    ck_assert(!put_one(store, 3, "mine again", &item) && item_is(&item, "mine"));
    flk_store_close(&store);
    flk_store_close(&other);
}
END_TEST

/* Outcomes too few to be moved are moved all the same once nothing was put for a while. */
START_TEST(test_store_lmdb_moves_when_idle) {
    flk_store_options_t options = options_for("lmdb");
    options.ttl_ms = 86400000;
    options.lmdb_recent_bytes = 1 << 20;
    flk_store_t *store = open_with(&options);
    ck_assert(fill(store, 0, 200));
    ck_assert_uint_eq(measure(store).index, 0);
    uint64_t until_ms = flk_mono_ms() + PATIENCE_MS;
    for (uint64_t n = 1; measure(store).recent != 0; n++) {
        ck_assert_uint_lt(flk_mono_ms(), until_ms);
        pass_ms(5000);
        flk_store_tick(store, 1000 * n);
        usleep(5000);
    }
    ck_assert_uint_eq(measure(store).index, 200);
    flk_store_close(&store);
}
END_TEST

/* A process that is stopped while it moves outcomes keeps nobody from putting and looking; when it is killed,
 * another one takes the moving over. */
START_TEST(test_store_lmdb_stopped_compactor_does_not_block) {
    flk_store_t *store = open_keeping(KEEP_NONE, 10000);
    flk_store_item_t item;
    pid_t pid = start_role("stop-moving");
    ck_assert(WIFSTOPPED(wait_role(pid, WUNTRACED)));
    ck_assert(lookup_one(store, 99, &item));
    kill(pid, SIGKILL);
    ck_assert_int_eq(wait_role(pid, 0), SIGKILL);
    ck_assert(put_one(store, 1, "goes on", &item));
    wait_moved(store, 2);
    ck_assert(lookup_one(store, 99, &item) && item_is(&item, "in the middle"));
    flk_store_close(&store);
}
END_TEST

/* When the index cannot be written, puts go on until their limit, and then fail with the reason; lookups go on.
 * Nothing is lost, and all is moved once the index can be written again. */
START_TEST(test_store_lmdb_puts_stop_before_the_recent_grow_too_large) {
    enum { KEEP = 8192, TRIES = 200 };
    flk_store_t *store = open_keeping(KEEP, 300);
    flk_store_item_t item;
    fail_on = CALL_DATA;
    __atomic_store_n(&fail_where, IN_INDEX, __ATOMIC_SEQ_CST);
    fail_errno = EIO;
    __atomic_store_n(&fail_times, 1 << 20, __ATOMIC_SEQ_CST);
    uint64_t n = 0;
    flk_err_t err = FLK_OK;
    while (err == FLK_OK && n < TRIES) {
        item = (flk_store_item_t){.value_bytes = FLK_STORE_VALUE_BYTES_MAX};
        item_key(&item, n);
        flk_store_item_t *at = &item;
        err = flk_store_put(store, &at, 1, errmsg);
        n += err == FLK_OK;
    }
    ck_assert_int_eq(err, FLK_E_UNAVAILABLE);
    ck_assert_msg(n > 8 * KEEP / FLK_STORE_VALUE_BYTES_MAX / 2 && n <= 8 * KEEP / FLK_STORE_VALUE_BYTES_MAX + 1,
                  "%llu went in", (unsigned long long)n);
    ck_assert(lookup_one(store, 0, &item) && lookup_one(store, n - 1, &item));
    ck_assert_uint_eq(measure(store).index, 0);
    __atomic_store_n(&fail_times, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&fail_where, ANYWHERE, __ATOMIC_SEQ_CST);
    uint64_t until_ms = flk_mono_ms() + PATIENCE_MS;
    while (flk_store_health(store, errmsg) != FLK_OK) {
        ck_assert_uint_lt(flk_mono_ms(), until_ms);
    }
    for (uint64_t i = 0; i < n; i++) {
        ck_assert(lookup_one(store, i, &item));
    }
    ck_assert_uint_gt(measure(store).index, 0);
    flk_store_close(&store);
}
END_TEST

/* An outcome that expired gives way to a new one wherever either of them is, and the index keeps one of them. */
START_TEST(test_store_lmdb_new_after_expired) {
    flk_store_t *store = open_keeping(_i % 2 == 0 ? KEEP_NONE : 0, 10000);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "old", &item));
    if (_i % 2 == 0) {
        wait_moved(store, 1);
    }
    pass_ms(60000);
    ck_assert(!lookup_one(store, 1, &item));
    ck_assert(put_one(store, 1, "new", &item));
    ck_assert(!put_one(store, 1, "newer", &item) && item_is(&item, "new"));
    ck_assert(lookup_one(store, 1, &item) && item_is(&item, "new"));
    flk_store_close(&store);
    store = open_keeping(KEEP_NONE, 10000);
    ck_assert(put_one(store, 2, "has all moved", &item));
    wait_moved(store, 2);
    ck_assert(lookup_one(store, 1, &item) && item_is(&item, "new"));
    pass_ms(59000); /* the old one's expiry is over, the new one's is not */
    flk_store_tick(store, 1000);
    ck_assert(put_one(store, 3, "and again", &item));
    wait_moved(store, 3);
    ck_assert(lookup_one(store, 1, &item) && item_is(&item, "new"));
    flk_store_close(&store);
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

/* While a stopped process holds the write lock, puts fail in time and then at once, lookups go on. When it goes on,
 * or is killed, so do they. */
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

/* Expired outcomes leave the files by ticks alone, both record and index; the others stay. */
START_TEST(test_store_lmdb_sweeps) {
    flk_store_t *store = open_keeping(KEEP_NONE, 10000);
    flk_store_item_t item;
    ck_assert(fill(store, 0, 500));
    wait_moved(store, 500);
    pass_ms(59000);
    ck_assert(fill(store, 500, 600));
    wait_moved(store, 600);
    pass_ms(1000);
    flk_store_tick(store, 1000);
    wait_moved(store, 100);
    ck_assert(put_one(store, 3, "again", &item));
    wait_moved(store, 101);
    ck_assert(lookup_one(store, 3, &item) && lookup_one(store, 599, &item) && !lookup_one(store, 4, &item));
    pass_ms(59000); /* the first 100's time is over */
    flk_store_tick(store, 2000);
    wait_moved(store, 1);
    flk_store_close(&store);
}
END_TEST

/* Under steady load the sweep beside the moves keeps up by itself: the store holds living outcomes, and little more. */
START_TEST(test_store_lmdb_load_sweeps_too) {
    flk_store_options_t options = options_for("lmdb");
    options.ttl_ms = 100;
    options.lmdb_recent_bytes = KEEP_NONE;
    flk_store_t *store = open_with(&options);
    for (uint64_t n = 0; n < 5000; n += 50) {
        ck_assert(fill(store, n, n + 50));
        pass_ms(50);
    }
    uint64_t until_ms = flk_mono_ms() + PATIENCE_MS;
    while (measure(store).recent != 0) {
        ck_assert_uint_lt(flk_mono_ms(), until_ms);
        usleep(1000);
    }
    ck_assert_uint_le(measure(store).index, 150);
    flk_store_close(&store);
}
END_TEST

/* FLK_LMDB_RECENT_BYTES is the bound of the outcomes that wait in memory: beyond it they move to the index. */
START_TEST(test_store_lmdb_keeps_as_much_in_memory_as_it_is_told) {
    ck_assert_int_eq(setenv("FLK_LMDB_RECENT_BYTES", "65536", 1), 0);
    flk_settings_t *settings;
    flk_store_options_t set, options = options_for("lmdb");
    ck_assert_msg(flk_settings_load(FLK_PROGRAM_WORKER, &settings, errmsg) == FLK_OK, "%s", errmsg);
    flk_store_options(settings, 60, &set);
    options.lmdb_recent_bytes = set.lmdb_recent_bytes;
    flk_store_t *store = open_with(&options);
    for (uint64_t n = 0; n < 5000; n += 50) {
        ck_assert(fill(store, n, n + 50));
    }
    uint64_t until_ms = flk_mono_ms() + PATIENCE_MS;
    while (measure(store).index < 1000) {
        ck_assert_uint_lt(flk_mono_ms(), until_ms);
        usleep(1000);
    }
    flk_store_close(&store);
    flk_settings_destroy(&settings);
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

/* Whichever disk call of a commit fails, once or for a while, the put says so, nothing false is seen, earlier outcomes
 * stay, and puts work again when the disk does, without a restart and after one. */
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

/* Makes the files as the first version did: an index alone, of format `format`, with one outcome. */
static void make_index(const char *format, uint64_t n, const char *text) {
    char path[96];
    snprintf(path, sizeof path, "%s/store", dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/store/lmdb", dir);
    mkdir(path, 0700);
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi meta, outcomes, expiry;
    MDB_val key = {.mv_data = (void *)"format", .mv_size = 6},
            value = {.mv_data = (void *)(uintptr_t)format, .mv_size = 1};
    ck_assert_int_eq(mdb_env_create(&env), 0);
    ck_assert_int_eq(mdb_env_set_maxdbs(env, 4), 0);
    ck_assert_int_eq(mdb_env_open(env, path, 0, 0600), 0);
    ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, "meta", MDB_CREATE, &meta), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, "outcomes", MDB_CREATE, &outcomes), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, "expiry", MDB_CREATE, &expiry), 0);
    ck_assert_int_eq(mdb_put(txn, meta, &key, &value, 0), 0);
    uint8_t record[64] = {0}, index[40];
    flk_store_item_t item = item_of(n, text);
    uint64_t expires = htobe64((uint64_t)now_ms + 50000);
    memcpy(record, &expires, 8);
    memcpy(record + 8, item.value, item.value_bytes);
    memcpy(index, &expires, 8);
    memcpy(index + 8, item.key, sizeof item.key);
    key = (MDB_val){.mv_data = item.key, .mv_size = sizeof item.key};
    value = (MDB_val){.mv_data = record, .mv_size = 8 + (size_t)item.value_bytes};
    ck_assert_int_eq(mdb_put(txn, outcomes, &key, &value, 0), 0);
    key = (MDB_val){.mv_data = index, .mv_size = sizeof index};
    value = (MDB_val){0};
    ck_assert_int_eq(mdb_put(txn, expiry, &key, &value, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

/* Files of another layout are refused, not misread. */
START_TEST(test_store_lmdb_refuses_another_format) {
    make_index("3", 1, "from the future");
    flk_store_options_t options = options_for("lmdb");
    flk_store_t *store;
    ck_assert_int_eq(flk_store_open(&options, &store, errmsg), FLK_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(errmsg, "/store/lmdb"));
    ck_assert_ptr_nonnull(strstr(errmsg, "run the version that wrote them"));
}
END_TEST

/* While a worker with another build of liblmdb has the files open, the start is refused with the remedy. */
START_TEST(test_store_lmdb_refuses_another_build) {
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    pid_t other = fork();
    if (other == 0) {
        (void)open_lmdb(10000);
        (void)!write(ready[1], "x", 1);
        pause();
        _exit(1);
    }
    char byte, path[128];
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    snprintf(path, sizeof path, "%s/store/lmdb/lock.mdb", dir);
    int fd = open(path, O_RDWR);
    ck_assert_int_eq(pwrite(fd, "\xff", 1, 4), 1); /* its format, behind the magic number */
    close(fd);
    flk_store_options_t options = options_for("lmdb");
    flk_store_t *store;
    ck_assert_int_eq(flk_store_open(&options, &store, errmsg), FLK_E_LOCKED);
    ck_assert_msg(strstr(errmsg, "another build of liblmdb") != NULL, "%s", errmsg);
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    close(ready[0]);
    close(ready[1]);
}
END_TEST

/* Files of the first version are taken over, with their contents; but not while a process of that version, which would
 * not see outcomes put now, still uses them. */
START_TEST(test_store_lmdb_takes_over_the_first_format) {
    make_index("1", 1, "of old");
    pid_t pid = start_role("hold-index");
    ck_assert(WIFSTOPPED(wait_role(pid, WUNTRACED)));
    flk_store_options_t options = options_for("lmdb");
    flk_store_t *store;
    ck_assert_int_eq(flk_store_open(&options, &store, errmsg), FLK_E_LOCKED);
    kill(pid, SIGKILL);
    ck_assert_int_eq(wait_role(pid, 0), SIGKILL);

    store = open_keeping(KEEP_NONE, 10000);
    flk_store_item_t item;
    ck_assert(lookup_one(store, 1, &item) && item_is(&item, "of old"));
    ck_assert(!put_one(store, 1, "of today", &item) && item_is(&item, "of old"));
    ck_assert(put_one(store, 2, "of today", &item));
    wait_moved(store, 2);
    pass_ms(50000);
    flk_store_tick(store, 1000);
    wait_moved(store, 1);
    flk_store_close(&store);
}
END_TEST

/* An index that has lost the recent outcomes that belong to it is refused: they would be forgotten silently. */
START_TEST(test_store_lmdb_misses_its_recent) {
    flk_store_t *store = open_lmdb(10000);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "recent", &item));
    flk_store_close(&store);
    char path[96], away[96];
    snprintf(path, sizeof path, "%s/store/lmdb/recent", dir);
    snprintf(away, sizeof away, "%s/away", dir);
    ck_assert_int_eq(rename(path, away), 0);
    flk_store_options_t options = options_for("lmdb");
    for (int i = 0; i < 2; i++) { /* trying makes it no better */
        ck_assert_int_eq(flk_store_open(&options, &store, errmsg), FLK_E_CORRUPT);
        ck_assert_ptr_nonnull(strstr(errmsg, "recent is missing"));
    }
    char command[512];
    snprintf(command, sizeof command, "rm -rf %s && mv %s %s", path, away, path);
    ck_assert_int_eq(system(command), 0);
    store = open_lmdb(10000);
    ck_assert(lookup_one(store, 1, &item));
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
    Suite *suite = suite_create("store_lmdb");
    TCase *tcase = tcase_create("lmdb");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, test_store_lmdb_processes_agree, 0, 3);
    tcase_add_loop_test(tcase, test_store_lmdb_killed_at_each_disk_call, 0, 2);
    tcase_add_loop_test(tcase, test_store_lmdb_put_finds_what_came_after_the_lookup, 0, 2);
    tcase_add_test(tcase, test_store_lmdb_moves_when_idle);
    tcase_add_test(tcase, test_store_lmdb_stopped_compactor_does_not_block);
    tcase_add_test(tcase, test_store_lmdb_puts_stop_before_the_recent_grow_too_large);
    tcase_add_loop_test(tcase, test_store_lmdb_new_after_expired, 0, 2);
    tcase_add_test(tcase, test_store_lmdb_survives_a_killed_writer);
    tcase_add_loop_test(tcase, test_store_lmdb_stopped_writer_does_not_block, 0, 2);
    tcase_add_test(tcase, test_store_lmdb_map_grows);
    tcase_add_test(tcase, test_store_lmdb_put_adopts_a_larger_map);
    tcase_add_test(tcase, test_store_lmdb_sweeps);
    tcase_add_test(tcase, test_store_lmdb_load_sweeps_too);
    tcase_add_test(tcase, test_store_lmdb_keeps_as_much_in_memory_as_it_is_told);
    tcase_add_loop_test(tcase, test_store_lmdb_heals_after_disk_errors, 0, (int)FLK_COUNT_OF(disk_faults));
    tcase_add_test(tcase, test_store_lmdb_refuses_to_write_beside_its_path);
    tcase_add_test(tcase, test_store_lmdb_refuses_another_format);
    tcase_add_test(tcase, test_store_lmdb_refuses_another_build);
    tcase_add_test(tcase, test_store_lmdb_takes_over_the_first_format);
    tcase_add_test(tcase, test_store_lmdb_misses_its_recent);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
