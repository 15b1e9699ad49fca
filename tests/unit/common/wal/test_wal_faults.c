/* SPDX-License-Identifier: MIT */
/* The log's promises when the disk fails: nothing unsynced is ever called durable, nothing durable is lost, and it
 * heals by itself. */
#include "tests/unit/rig/wal_story.h"

enum { IDS_MAX = 4096, PATHS_MAX = 256 };

/* ---- a disk that fails on order, and remembers its calls ---- */

typedef struct path_state {
    char path[PATH_MAX];
    bool dirty;        /* written and not synced since */
    bool sync_failed;  /* a sync of this descriptor has failed; another one would be trusted wrongly */
    bool synced_again; /* and came */
    unsigned reads, syncs;
} path_state_t;

/* Which operations fail. */
typedef struct plan {
    unsigned fail_from, fail_to; /* operations of this number */
    unsigned op_mask;            /* of these kinds, for ever */
    bool segments_only;          /* only those on files named wal-* */
    int code;
} plan_t;

typedef struct disk {
    pthread_mutex_t lock;
    plan_t plan;
    unsigned ops, hits;
    bool named_segment_unsynced_dir; /* a segment was renamed, its directory not synced since */
    path_state_t paths[PATHS_MAX];
    size_t paths_len;
} disk_t;

static disk_t disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

static path_state_t *state_of(const char *path) {
    for (size_t i = 0; i < disk.paths_len; i++) {
        if (strcmp(disk.paths[i].path, path) == 0) {
            return &disk.paths[i];
        }
    }
    if (disk.paths_len == PATHS_MAX) {
        abort();
    }
    path_state_t *state = &disk.paths[disk.paths_len++];
    *state = (path_state_t){0};
    snprintf(state->path, sizeof state->path, "%s", path);
    return state;
}

static void remember(flk_io_op_t op, const char *path, bool failed) {
    path_state_t *state = state_of(path);
    switch (op) {
    case FLK_IO_OPEN:
        state->sync_failed = state->dirty = false; /* another descriptor, and a new file for each temporary name */
        break;
    case FLK_IO_WRITE:
        state->dirty = true;
        break;
    case FLK_IO_SYNC:
        state->syncs++;
        state->synced_again = state->synced_again || state->sync_failed;
        state->sync_failed = state->sync_failed || failed;
        state->dirty = state->dirty && failed;
        break;
    case FLK_IO_READ:
        state->reads++;
        break;
    case FLK_IO_RENAME:
        disk.named_segment_unsynced_dir = true;
        break;
    case FLK_IO_SYNC_DIR:
        disk.named_segment_unsynced_dir = disk.named_segment_unsynced_dir && failed;
        break;
    default:
        break;
    }
}

static int disk_fault(flk_io_op_t op, const char *path, void *arg) {
    (void)arg;
    pthread_mutex_lock(&disk.lock);
    bool counts = !disk.plan.segments_only || strstr(path, "/wal-") != NULL;
    bool fails = counts && (disk.plan.op_mask >> op & 1) != 0;
    if (counts) {
        disk.ops++;
        fails = fails || (disk.ops >= disk.plan.fail_from && disk.ops <= disk.plan.fail_to);
    }
    disk.hits += fails;
    remember(op, path, fails);
    int code = fails ? disk.plan.code : 0;
    pthread_mutex_unlock(&disk.lock);
    return code;
}

static void disk_start(plan_t plan) {
    disk.plan = plan;
    disk.ops = disk.hits = 0;
    disk.named_segment_unsynced_dir = false;
    disk.paths_len = 0;
    flk_io_set_fault(disk_fault, NULL);
}

static void disk_fail(unsigned op_mask, int code) {
    pthread_mutex_lock(&disk.lock);
    disk.plan.op_mask = op_mask;
    disk.plan.code = code;
    pthread_mutex_unlock(&disk.lock);
}

/* The next `count` operations of segments fail. */
static void disk_fail_next(unsigned skip, unsigned count, int code) {
    pthread_mutex_lock(&disk.lock);
    disk.plan.segments_only = true;
    disk.plan.fail_from = disk.ops + 1 + skip;
    disk.plan.fail_to = disk.ops + skip + count;
    disk.plan.code = code;
    pthread_mutex_unlock(&disk.lock);
}

static void assert_never_synced_again(void) {
    for (size_t i = 0; i < disk.paths_len; i++) {
        ck_assert_msg(!disk.paths[i].synced_again, "%s was synced after a sync of it had failed", disk.paths[i].path);
    }
}

/* ---- order ---- */

static void on_commit_check(void *arg, flk_wal_entry_t *group) {
    bool *in_order = arg;
    pthread_mutex_lock(&disk.lock);
    for (size_t i = 0; i < disk.paths_len; i++) {
        *in_order = *in_order && !(strstr(disk.paths[i].path, "/wal-") != NULL && disk.paths[i].dirty);
    }
    *in_order = *in_order && !disk.named_segment_unsynced_dir;
    pthread_mutex_unlock(&disk.lock);
    for (flk_wal_entry_t *next; group != NULL; group = next) {
        next = group->next;
        free(group);
    }
}

/* When an entry comes back its bytes have been synced, and the name of its segment too, at every rotation. */
START_TEST(test_wal_commit_follows_sync) {
    static bool in_order;
    static const char body[300];
    in_order = true;
    disk_start((plan_t){0});
    flk_wal_t *wal = open_with(
        (flk_wal_options_t){.segment_bytes_max = 8192, .on_commit = on_commit_check, .on_commit_arg = &in_order});
    for (int i = 0; i < 300; i++) {
        flk_wal_entry_t *entry = calloc(1, sizeof *entry);
        entry->body = body;
        entry->body_bytes = sizeof body;
        flk_wal_append(wal, entry);
        usleep(i % 3 == 0 ? 200 : 0);
    }
    flk_wal_close(&wal);
    ck_assert(in_order);
    ck_assert_uint_gt(list_files(".seg").len, 5);
}
END_TEST

/* ---- a failed sync ---- */

/* One failed sync: the group goes to a new segment and is durable there; the old descriptor is never synced again. */
START_TEST(test_wal_failed_sync_poisons_the_segment) {
    uint64_t ids[16];
    disk_start((plan_t){0});
    flk_wal_t *wal = open_log();
    ck_assert_uint_eq(append(wal, 1), 1);
    disk_fail_next(1, 1, EIO); /* the write passes, the sync does not */
    ck_assert_uint_eq(append(wal, 2), 2);
    ck_assert_uint_eq(append(wal, 3), 3);
    ck_assert_uint_eq(stats_of(wal).sync_failures, 1);
    ck_assert(flk_wal_healthy(wal));
    ck_assert_uint_eq(list_files(".seg").len, 2);
    flk_wal_close(&wal);
    assert_never_synced_again();
    flk_io_set_fault(NULL, NULL);
    wal = open_log();
    ck_assert_uint_eq(unacked_ids(wal, ids, 16), 3);
    for (uint64_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(ids[i], i + 1);
    }
    ck_assert_uint_eq(stats_of(wal).damaged_records, 0);
    flk_wal_close(&wal);
}
END_TEST

/* The part of the failed group in a poisoned segment is void once the group was written elsewhere: at recovery each
 * record comes once. */
START_TEST(test_wal_poisoned_leftovers_are_void) {
    uint64_t ids[16];
    disk_start((plan_t){0});
    flk_wal_t *wal = open_log();
    append(wal, 1);
    disk_fail((1u << FLK_IO_TRUNCATE), EIO); /* the leftovers stay in the file */
    disk_fail_next(1, 1, EIO);
    append(wal, 2);
    ack(wal, append(wal, 3));
    flk_wal_close(&wal);
    flk_io_set_fault(NULL, NULL);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(unlink(path_of("checkpoint")), 0);
        wal = open_log();
        ck_assert_uint_eq(stats_of(wal).recovered, 2);
        ck_assert_uint_eq(unacked_ids(wal, ids, 16), 2);
        ck_assert_uint_eq(ids[0], 1);
        ck_assert_uint_eq(ids[1], 2);
        ck_assert_uint_eq(stats_of(wal).damaged_records, 0);
        flk_wal_close(&wal);
    }
}
END_TEST

/* They stay void when the segment that took them over has settled and is gone: an acked record does not come back. */
START_TEST(test_wal_poisoned_leftovers_stay_void) {
    uint64_t ids[16];
    disk_start((plan_t){0});
    flk_wal_t *wal = open_log();
    append(wal, 1);
    disk_fail((1u << FLK_IO_TRUNCATE), EIO);
    disk_fail_next(1, 1, EIO);
    ack(wal, append(wal, 2));
    flk_wal_close(&wal);
    flk_io_set_fault(NULL, NULL);
    ck_assert_int_eq(unlink(path_of(list_files(".seg").at[1])), 0); /* as the retention does */
    wal = open_log();
    ck_assert_uint_eq(stats_of(wal).damaged_records, 0);
    ck_assert_uint_eq(unacked_ids(wal, ids, 16), 1);
    ck_assert_uint_eq(ids[0], 1);
    flk_wal_close(&wal);
}
END_TEST

/* While the disk fails, entries come back with the error, quickly, and the log says that it is unhealthy; when it works
 * again the log heals without traffic. A failed record may come back at recovery, but never under the LSN of another
 * one. */
START_TEST(test_wal_heals_without_traffic) {
    uint64_t ids[16];
    disk_start((plan_t){0});
    flk_wal_t *wal = open_log();
    append(wal, 1);
    disk_fail(1u << FLK_IO_SYNC, EIO);
    ck_assert_int_eq(try_append(wal, 2, NULL), FLK_E_IO);
    ck_assert(!flk_wal_healthy(wal));
    uint64_t start_ms = flk_mono_ms();
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(try_append(wal, 2, NULL), FLK_E_IO);
    }
    ck_assert_uint_lt(flk_mono_ms() - start_ms, 10000); /* waiting for the back-off each time would take 20 s */
    ack(wal, 1);
    ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_E_IO);
    disk_fail(0, 0);
    WAIT_FOR(flk_wal_healthy(wal));
    ck_assert_uint_gt(append(wal, 3), 2);
    ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_OK); /* the ack was kept */
    flk_wal_close(&wal);
    assert_never_synced_again();
    flk_io_set_fault(NULL, NULL);
    wal = open_log();
    size_t count = unacked_ids(wal, ids, 16);
    ck_assert(count == 1 || count == 2);
    ck_assert_uint_eq(ids[count - 1], 3);
    ck_assert(count == 1 || ids[0] == 2);
    ck_assert_uint_eq(stats_of(wal).damaged_records, 0);
    flk_wal_close(&wal);
}
END_TEST

/* ---- no space ---- */

/* When no new segment can be made for lack of space, entries are refused, also from the reserve; acks use that and
 * still reach the disk. With space the log takes entries again. */
START_TEST(test_wal_full_disk_still_takes_acks) {
    enum { EARLY = 130 }; /* whose acks do not fit behind the records of the last segment */
    uint64_t ids[IDS_MAX], lsns[IDS_MAX];
    size_t count = 0;
    disk_start((plan_t){0});
    flk_wal_options_t options = {.segment_bytes_max = 8192};
    flk_wal_t *wal = open_with(options);
    WAIT_FOR(access(path_of("reserve"), F_OK) == 0);
    for (; count < EARLY; count++) {
        lsns[count] = append(wal, count);
    }
    disk_fail(1u << FLK_IO_ALLOCATE, ENOSPC);
    while (try_append(wal, count, &lsns[count]) == FLK_OK) {
        ck_assert_uint_lt(++count, IDS_MAX);
    }
    ck_assert(!flk_wal_healthy(wal));
    for (size_t i = 1; i < EARLY; i++) {
        ack(wal, lsns[i]);
    }
    ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_OK);
    ck_assert_int_ne(access(path_of("reserve"), F_OK), 0);
    for (uint64_t end_ms = flk_mono_ms() + 1500; flk_mono_ms() < end_ms; usleep(20000)) {
        ck_assert_int_eq(try_append(wal, count, NULL), FLK_E_NO_SPACE);
    }
    ack(wal, lsns[0]);
    ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_OK);
    disk_fail(0, 0);
    WAIT_FOR(flk_wal_healthy(wal));
    WAIT_FOR(try_append(wal, count, NULL) == FLK_OK);
    flk_wal_close(&wal);
    flk_io_set_fault(NULL, NULL);
    wal = open_with(options);
    ck_assert_uint_eq(unacked_ids(wal, ids, IDS_MAX), count - EARLY + 1);
    ck_assert_uint_eq(ids[0], EARLY);
    ck_assert_uint_eq(ids[count - EARLY], count);
    flk_wal_close(&wal);
}
END_TEST

/* Below the low-water mark entries are refused before the disk is full, acks are not; above it all is well again. */
START_TEST(test_wal_low_water_refuses_entries) {
    disk_start((plan_t){0});
    flk_wal_t *wal = open_log();
    uint64_t lsn = append(wal, 1);
    disk_fail(1u << FLK_IO_FREE_BYTES, ENOSPC);
    WAIT_FOR(try_append(wal, 2, NULL) == FLK_E_NO_SPACE);
    ck_assert(!flk_wal_healthy(wal));
    ack(wal, lsn);
    ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_OK);
    disk_fail(0, 0);
    WAIT_FOR(flk_wal_healthy(wal));
    append(wal, 3);
    flk_wal_close(&wal);
}
END_TEST

/* A log opens on a disk without space: its records can be read and acked, new entries wait for space. */
START_TEST(test_wal_opens_on_a_full_disk) {
    uint64_t ids[16];
    flk_wal_t *wal = open_log();
    uint64_t lsn = append(wal, 1);
    WAIT_FOR(access(path_of("reserve"), F_OK) == 0);
    flk_wal_close(&wal);
    disk_start((plan_t){.op_mask = 1u << FLK_IO_ALLOCATE | 1u << FLK_IO_FREE_BYTES, .code = ENOSPC});
    wal = open_log();
    ck_assert(!flk_wal_healthy(wal));
    ck_assert_uint_eq(unacked_ids(wal, ids, 16), 1);
    ck_assert_int_eq(try_append(wal, 2, NULL), FLK_E_NO_SPACE);
    ack(wal, lsn);
    WAIT_FOR(flk_wal_flush(wal, errmsg) == FLK_OK);
    disk_fail(0, 0);
    WAIT_FOR(flk_wal_healthy(wal));
    append(wal, 3);
    flk_wal_close(&wal);
}
END_TEST

/* ---- fail the n-th operation, until a run passes without a hit ---- */

static void fail_each_operation(unsigned count, int code) {
    unsigned hits = 1, n = 0;
    while (hits > 0) {
        story_t story = {0};
        n++;
        disk_start((plan_t){.fail_from = n, .fail_to = n + count - 1, .code = code});
        story_tell(&story);
        hits = disk.hits;
        flk_io_set_fault(NULL, NULL);
        assert_never_synced_again();
        story_check(&story, "operation", n);
        clear_dir();
    }
    printf("%u operations failed in turn\n", n - 1);
    ck_assert_uint_gt(n, 100);
}

/* Whichever single operation fails: every promise is kept, no record comes twice, nothing looks damaged. */
START_TEST(test_wal_any_operation_may_fail) {
    fail_each_operation(1, EIO);
}
END_TEST

/* The same when five in a row find no space. */
START_TEST(test_wal_any_five_operations_may_fail) {
    fail_each_operation(5, ENOSPC);
}
END_TEST

/* ---- starting ---- */

static unsigned reads_of(const char *name) {
    return state_of(path_of(name))->reads;
}

/* A start reads the segments that hold un-acked records and those with acks for them, and none of the rest. */
START_TEST(test_wal_start_skips_settled_segments) {
    flk_wal_options_t options = {.segment_bytes_max = 8192};
    flk_wal_t *wal = open_with(options);
    uint64_t live = 0;
    for (uint64_t id = 1; id <= 400; id++) {
        uint64_t lsn = append(wal, id);
        if (id == 200) {
            live = lsn;
        } else {
            ack(wal, lsn);
            ck_assert(id % 20 != 0 || flk_wal_flush(wal, errmsg) == FLK_OK);
        }
    }
    flk_wal_close(&wal);
    names_t names = list_files(".seg");
    ck_assert_uint_gt(names.len, 12);
    disk_start((plan_t){0});
    wal = open_with(options);
    ck_assert_uint_eq(stats_of(wal).unacked, 1);
    unsigned untouched = 0;
    for (size_t i = 0; i < names.len; i++) {
        untouched += reads_of(names.at[i]) == 0;
    }
    ck_assert_uint_ge(untouched, names.len - 3);
    ck_assert_uint_eq(reads_of(names.at[0]), 0);
    ack(wal, live);
    flk_wal_close(&wal);
}
END_TEST

/* The writes of a killed process are synced at the next start before they are read: only then may they be relied on. */
START_TEST(test_wal_start_syncs_before_it_reads) {
    flk_wal_t *wal = open_log();
    append(wal, 1);
    char name[64], command[PATH_MAX];
    strcpy(name, list_files(".seg").at[0]);
    snprintf(command, sizeof command, "cp %s/%s %s/copy", dir, name, dir);
    ck_assert_int_eq(system(command), 0);
    flk_wal_close(&wal);
    ck_assert_int_eq(rename(path_of("copy"), path_of(name)), 0); /* as it was before the end */
    ck_assert_int_eq(unlink(path_of("checkpoint")), 0);
    disk_start((plan_t){0});
    wal = open_log();
    ck_assert_uint_gt(state_of(path_of(name))->syncs, 0);
    ck_assert_uint_eq(stats_of(wal).recovered, 1);
    flk_wal_close(&wal);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("faults");
    tcase_add_test(tcase, test_wal_commit_follows_sync);
    tcase_add_test(tcase, test_wal_failed_sync_poisons_the_segment);
    tcase_add_test(tcase, test_wal_poisoned_leftovers_are_void);
    tcase_add_test(tcase, test_wal_poisoned_leftovers_stay_void);
    tcase_add_test(tcase, test_wal_heals_without_traffic);
    tcase_add_test(tcase, test_wal_full_disk_still_takes_acks);
    tcase_add_test(tcase, test_wal_low_water_refuses_entries);
    tcase_add_test(tcase, test_wal_opens_on_a_full_disk);
    tcase_add_test(tcase, test_wal_any_operation_may_fail);
    tcase_add_test(tcase, test_wal_any_five_operations_may_fail);
    tcase_add_test(tcase, test_wal_start_skips_settled_segments);
    tcase_add_test(tcase, test_wal_start_syncs_before_it_reads);
    return run_suite(tcase);
}
