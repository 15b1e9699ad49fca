/* SPDX-License-Identifier: MIT */
/* The log's promises on a disk that works. */
#include <malloc.h>
#include <sched.h>

#include "tests/unit/rig/wal_fixture.h"

enum { IDS_MAX = 20000 };
static uint64_t ids[IDS_MAX];

static void assert_unacked(flk_wal_t *wal, uint64_t first, uint64_t last, uint64_t step) {
    size_t count = unacked_ids(wal, ids, IDS_MAX);
    ck_assert_uint_eq(count, (last - first) / step + 1);
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(ids[i], first + i * step);
    }
}

/* Records come back after a reopen, in order, with their kinds and bodies, under LSNs 1, 2, 3, … */
START_TEST(test_wal_records_survive_reopen) {
    flk_wal_t *wal = open_log();
    uint64_t id = flk_wal_id(wal);
    for (uint64_t i = 1; i <= 300; i++) {
        ck_assert_uint_eq(append(wal, i), i);
    }
    assert_unacked(wal, 1, 300, 1);
    flk_wal_close(&wal);
    ck_assert_ptr_null(wal);
    wal = open_log();
    ck_assert_uint_eq(flk_wal_id(wal), id);
    ck_assert_uint_eq(stats_of(wal).recovered, 300);
    ck_assert_uint_eq(append(wal, 301), 301);
    assert_unacked(wal, 1, 301, 1);
    flk_wal_close(&wal);
}
END_TEST

/* Acked records are not delivered, now or after a reopen; acking twice or an unknown LSN does nothing. */
START_TEST(test_wal_acks_survive_reopen) {
    flk_wal_t *wal = open_log();
    for (uint64_t i = 1; i <= 400; i++) {
        append(wal, i);
    }
    ack(wal, 9999);
    ack(wal, 0);
    for (uint64_t lsn = 1; lsn <= 400; lsn++) {
        if (lsn % 4 != 1) {
            ack(wal, lsn);
            ack(wal, lsn);
        }
    }
    ck_assert_uint_eq(stats_of(wal).unacked, 100);
    ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_OK);
    ck_assert_uint_eq(stats_of(wal).acks_total, 300);
    assert_unacked(wal, 1, 397, 4);
    flk_wal_close(&wal);
    wal = open_log();
    ck_assert_uint_eq(stats_of(wal).unacked, 100);
    assert_unacked(wal, 1, 397, 4);
    ck_assert_uint_eq(append(wal, 401), 701); /* acks take numbers too */
    flk_wal_close(&wal);
}
END_TEST

/* A lazy ack reaches the disk within its 50 ms, not at the next tick of a second, although nothing else is written. */
START_TEST(test_wal_acks_are_written_without_traffic) {
    flk_wal_t *wal = open_log();
    uint64_t fastest_ms = UINT64_MAX; /* of several, the first of which may meet a tick: the machine may be busy */
    for (uint64_t i = 1; i <= 8 && fastest_ms > 400; i++) {
        uint64_t lsn = append(wal, i), start_ms = flk_mono_ms();
        ack(wal, lsn);
        WAIT_FOR(stats_of(wal).acks_total == i);
        fastest_ms = i > 1 && flk_mono_ms() - start_ms < fastest_ms ? flk_mono_ms() - start_ms : fastest_ms;
    }
    ck_assert_uint_le(fastest_ms, 400);
    flk_wal_close(&wal);
}
END_TEST

/* ---- entries that come back through on_commit ---- */

typedef struct client {
    flk_wal_entry_t entry;
    uint8_t body[BODY_BYTES_MAX];
    atomic_uint returns;
} client_t;

typedef struct commits {
    atomic_size_t entries, groups;
    uint64_t last_lsn;
    atomic_bool hold; /* keeps the writer in on_commit */
    atomic_bool holding;
} commits_t;

static void on_commit(void *arg, flk_wal_entry_t *group) {
    commits_t *commits = arg;
    size_t entries = 0;
    while (group != NULL) {
        client_t *client = (client_t *)group;
        group = group->next;
        if (client->entry.err == FLK_OK) {
            ck_assert_uint_gt(client->entry.lsn, commits->last_lsn);
            commits->last_lsn = client->entry.lsn;
        }
        atomic_fetch_add(&client->returns, 1);
        entries++;
    }
    atomic_fetch_add(&commits->groups, 1);
    atomic_fetch_add(&commits->entries, entries);
    while (atomic_load(&commits->hold)) {
        atomic_store(&commits->holding, true);
        usleep(100);
    }
}

static client_t *client_new(uint64_t id) {
    client_t *client = calloc(1, sizeof *client);
    ck_assert_ptr_nonnull(client);
    client->entry.body_bytes = body_make(id, client->body);
    client->entry.body = client->body;
    client->entry.kind = (uint8_t)id;
    return client;
}

static flk_wal_t *open_with_commits(commits_t *commits) {
    return open_with(
        (flk_wal_options_t){.segment_bytes_max = 1 << 20, .on_commit = on_commit, .on_commit_arg = commits});
}

/* Entries that arrive while the writer is busy are all covered by one sync, in the order of their appends. */
START_TEST(test_wal_group_commit_covers_all_waiters) {
    enum { CLIENTS = 500 };
    static client_t *clients[CLIENTS];
    commits_t commits = {.hold = true};
    flk_wal_t *wal = open_with_commits(&commits);
    for (uint64_t i = 0; i < CLIENTS; i++) {
        clients[i] = client_new(i);
        flk_wal_append(wal, &clients[i]->entry);
        if (i == 0) {
            WAIT_FOR(atomic_load(&commits.holding));
        }
    }
    atomic_store(&commits.hold, false);
    WAIT_FOR(atomic_load(&commits.entries) == CLIENTS);
    ck_assert_uint_eq(atomic_load(&commits.groups), 2);
    ck_assert_uint_eq(stats_of(wal).groups_total, 2);
    for (uint64_t i = 0; i < CLIENTS; i++) {
        ck_assert_uint_eq(clients[i]->entry.lsn, i + 1);
        ck_assert_uint_eq(atomic_load(&clients[i]->returns), 1);
        free(clients[i]);
    }
    flk_wal_close(&wal);
}
END_TEST

/* Closing with several groups still to be written brings each entry back exactly once, and durable. */
START_TEST(test_wal_close_completes_all_entries) {
    enum { CLIENTS = 4000 };
    static client_t *clients[CLIENTS];
    commits_t commits = {.hold = true};
    flk_wal_t *wal = open_with_commits(&commits);
    for (uint64_t i = 0; i < CLIENTS; i++) {
        clients[i] = client_new(i + 1);
        flk_wal_append(wal, &clients[i]->entry);
        if (i == 0) {
            WAIT_FOR(atomic_load(&commits.holding));
        }
    }
    atomic_store(&commits.hold, false);
    flk_wal_close(&wal);
    for (uint64_t i = 0; i < CLIENTS; i++) {
        ck_assert_uint_eq(atomic_load(&clients[i]->returns), 1);
        ck_assert_int_eq(clients[i]->entry.err, FLK_OK);
        free(clients[i]);
    }
    wal = open_log();
    assert_unacked(wal, 1, CLIENTS, 1);
    flk_wal_close(&wal);
}
END_TEST

typedef struct load {
    flk_wal_t *wal;
    uint64_t first_id;
    size_t appends;
} load_t;

static void *append_and_ack(void *arg) {
    const load_t *load = arg;
    for (uint64_t i = 0; i < load->appends; i++) {
        uint64_t lsn = append(load->wal, load->first_id + i);
        if (i % 2 == 1) {
            ack(load->wal, lsn);
        }
    }
    return NULL;
}

/* 64 threads that append and ack at once lose nothing. */
START_TEST(test_wal_many_threads_append) {
    enum { THREADS = 64, EACH = 50 };
    pthread_t threads[THREADS];
    load_t loads[THREADS];
    flk_wal_t *wal = open_log();
    for (size_t i = 0; i < THREADS; i++) {
        loads[i] = (load_t){.wal = wal, .first_id = i * EACH, .appends = EACH};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, append_and_ack, &loads[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(stats_of(wal).records_total, THREADS * EACH);
    flk_wal_close(&wal);
    wal = open_log();
    size_t count = unacked_ids(wal, ids, IDS_MAX);
    ck_assert_uint_eq(count, THREADS * EACH / 2);
    static bool seen[THREADS * EACH];
    for (size_t i = 0; i < count; i++) {
        ck_assert(ids[i] % EACH % 2 == 0 && !seen[ids[i]]);
        seen[ids[i]] = true;
    }
    flk_wal_close(&wal);
}
END_TEST

/* ---- cursor ---- */

/* A cursor that runs beside the appends hands out exactly the un-acked records, oldest first, each once, and goes on
 * from the head when more has come; a rewind begins again with the oldest. */
START_TEST(test_wal_cursor_follows_the_log) {
    enum { EACH = 400 };
    pthread_t thread;
    flk_wal_t *wal = open_log();
    load_t load = {.wal = wal, .first_id = 0, .appends = EACH};
    flk_wal_cursor_t *cursor;
    flk_wal_record_t record;
    ck_assert_int_eq(flk_wal_cursor_new(wal, &cursor), FLK_OK);
    ck_assert_int_eq(flk_wal_cursor_next(cursor, &record, errmsg), FLK_E_NOT_FOUND);
    ck_assert_int_eq(pthread_create(&thread, NULL, append_and_ack, &load), 0);
    uint64_t next = 0;
    uint64_t deadline_ms = flk_mono_ms() + DEADLINE_MS;
    while (next < EACH - 2 && flk_mono_ms() < deadline_ms) {
        flk_err_t err = flk_wal_cursor_next(cursor, &record, errmsg);
        if (err == FLK_E_NOT_FOUND) {
            continue;
        }
        ck_assert_int_eq(err, FLK_OK);
        uint64_t id = body_id(record.body, record.body_bytes);
        ck_assert_uint_ge(id, next);
        for (; next < id; next++) {
            ck_assert_uint_eq(next % 2, 1); /* only acked ones may be left out */
        }
        next = id + 1;
    }
    pthread_join(thread, NULL);
    ck_assert_uint_ge(next, EACH - 2);
    flk_wal_cursor_rewind(cursor);
    for (uint64_t id = 0; id < EACH; id += 2) {
        ck_assert_int_eq(flk_wal_cursor_next(cursor, &record, errmsg), FLK_OK);
        ck_assert_uint_eq(body_id(record.body, record.body_bytes), id);
    }
    ck_assert_int_eq(flk_wal_cursor_next(cursor, &record, errmsg), FLK_E_NOT_FOUND);
    flk_wal_cursor_destroy(&cursor);
    flk_wal_close(&wal);
}
END_TEST

/* ---- tools and figures ---- */

typedef struct seen {
    uint64_t records, acks, next_lsn;
    bool live;
} seen_t;

static bool see(void *arg, const flk_wal_item_t *item) {
    seen_t *seen = arg;
    if (item->type == FLK_WAL_ITEM_TORN && seen->live) {
        return true; /* the writer was at it */
    }
    ck_assert(item->type == FLK_WAL_ITEM_RECORD || item->type == FLK_WAL_ITEM_ACK);
    ck_assert(item->record.lsn == seen->next_lsn || seen->live);
    seen->next_lsn = item->record.lsn + 1;
    if (item->type == FLK_WAL_ITEM_RECORD) {
        body_id(item->record.body, item->record.body_bytes);
        seen->records++;
    } else {
        const flk_wal_mark_t mark = item->ending.mark;
        ck_assert(mark.status == 200 && mark.flags == 3 && mark.detail == item->acked_lsn);
        seen->acks++;
    }
    return true;
}

/* A reader without the lock sees every record and every ack with its mark, in order; of a live log it never sees
 * damage, and where there is no log it says so. */
START_TEST(test_wal_read_sees_all_items) {
    flk_wal_t *wal = open_log();
    load_t load = {.wal = wal, .first_id = 0, .appends = 500};
    pthread_t thread;
    seen_t seen = {.next_lsn = 1, .live = true};
    ck_assert_int_eq(pthread_create(&thread, NULL, append_and_ack, &load), 0);
    while (stats_of(wal).records_total < 500) {
        ck_assert_int_eq(flk_wal_read(dir, see, &seen, errmsg), FLK_OK);
    }
    pthread_join(thread, NULL);
    flk_wal_close(&wal);
    seen = (seen_t){.next_lsn = 1};
    ck_assert_int_eq(flk_wal_read(dir, see, &seen, errmsg), FLK_OK);
    ck_assert_uint_eq(seen.records, 500);
    ck_assert_uint_eq(seen.acks, 250);
    ck_assert_int_eq(flk_wal_read(path_of("none"), see, &seen, errmsg), FLK_E_NOT_FOUND);
    ck_assert_int_eq(mkdir(path_of("empty"), 0700), 0);
    ck_assert_int_eq(flk_wal_read(path_of("empty"), see, &seen, errmsg), FLK_E_NOT_FOUND);
}
END_TEST

static void count_sync(void *arg, double seconds, size_t records) {
    ck_assert(seconds >= 0);
    atomic_fetch_add((atomic_size_t *)arg, records);
}

/* The age of the oldest un-acked record grows until it is acked; each sync is reported with the records it covered. */
START_TEST(test_wal_figures) {
    atomic_size_t synced = 0;
    flk_wal_t *wal = open_log();
    flk_wal_on_sync(wal, count_sync, &synced);
    ck_assert_uint_eq(stats_of(wal).oldest_unacked_ms, 0);
    uint64_t first = append(wal, 1), second = append(wal, 2);
    WAIT_FOR(stats_of(wal).oldest_unacked_ms >= 20);
    ck_assert_uint_lt(stats_of(wal).oldest_unacked_ms, DEADLINE_MS);
    ack(wal, first);
    ack(wal, second);
    ck_assert_uint_eq(stats_of(wal).oldest_unacked_ms, 0);
    flk_wal_on_sync(wal, NULL, NULL);
    append(wal, 3);
    ck_assert_uint_eq(atomic_load(&synced), 2);
    ck_assert_uint_eq(stats_of(wal).next_lsn, 6);
    flk_wal_close(&wal);
}
END_TEST

/* ---- segments ---- */

/* Segments rotate by size and stay within it; a body larger than a segment gets one of its own. */
START_TEST(test_wal_rotates_by_size) {
    flk_wal_t *wal = open_with((flk_wal_options_t){.segment_bytes_max = 8192});
    static uint8_t large[20000];
    for (uint64_t i = 1; i <= 100; i++) {
        append(wal, i);
    }
    ck_assert_int_eq(flk_wal_append_wait(wal, 0, large, sizeof large, NULL, errmsg), FLK_OK);
    ck_assert_uint_gt(stats_of(wal).segments, 3);
    flk_wal_close(&wal);
    names_t names = list_files(".seg");
    struct stat status;
    for (size_t i = 0; i + 1 < names.len; i++) {
        ck_assert_int_eq(stat(path_of(names.at[i]), &status), 0);
        ck_assert_int_le(status.st_size, 8192);
        ck_assert_int_eq(status.st_mode & 0777, 0600);
    }
    wal = open_with((flk_wal_options_t){.segment_bytes_max = 8192});
    ck_assert_uint_eq(stats_of(wal).unacked, 101);
    flk_wal_close(&wal);
}
END_TEST

/* An active segment that is old enough is sealed although nothing is written any more. */
START_TEST(test_wal_rotates_by_age) {
    flk_wal_t *wal = open_with((flk_wal_options_t){.segment_age_ms = 200, .segment_bytes_max = 64 << 10});
    uint64_t lsn = append(wal, 1);
    names_t names = list_files(".seg");
    struct stat status;
    WAIT_FOR(stat(path_of(names.at[0]), &status) == 0 && status.st_size < 1024); /* cut to its content */
    append(wal, 2);
    ck_assert_uint_eq(list_files(".seg").len, 2);
    ack(wal, lsn);
    flk_wal_close(&wal);
}
END_TEST

/* A second opener is refused with a line that names the directory. */
START_TEST(test_wal_lock_refuses_a_second_opener) {
    flk_wal_t *wal = open_log(), *second = NULL;
    flk_wal_options_t options = {.dir = dir};
    ck_assert_int_eq(flk_wal_open(&options, &second, errmsg), FLK_E_LOCKED);
    ck_assert_ptr_nonnull(strstr(errmsg, dir));
    ck_assert_ptr_null(second);
    flk_wal_close(&wal);
    wal = open_log();
    flk_wal_close(&wal);
}
END_TEST

/* ---- retention ---- */

/* Settled segments go, oldest first, while they hold more than the cap; unsettled records stay. */
START_TEST(test_wal_retention_removes_settled_segments) {
    const flk_wal_options_t options = {.segment_bytes_max = 8192, .retained_bytes_max = 20000};
    flk_wal_t *wal = open_with(options);
    for (uint64_t i = 1; i <= 400; i++) {
        ack(wal, append(wal, i));
    }
    WAIT_FOR(stats_of(wal).bytes < 20000 + 2 * 8192);
    ck_assert_uint_gt(stats_of(wal).bytes, 10000);
    ck_assert_int_ne(access(path_of("wal-0000000000000001.seg"), F_OK), 0);
    flk_wal_close(&wal);
    wal = open_with(options);
    ck_assert_uint_eq(stats_of(wal).recovered, 0);
    ck_assert_uint_eq(stats_of(wal).damaged_records, 0);
    flk_wal_close(&wal);
}
END_TEST

/* Settled segments older than the retention go too, also when the log is open for a moment only. */
START_TEST(test_wal_retention_removes_old_segments) {
    flk_wal_options_t options = {.segment_bytes_max = 8192, .retention_ms = 1};
    flk_wal_t *wal = open_with(options);
    for (uint64_t i = 1; i <= 100; i++) {
        ack(wal, append(wal, i));
    }
    flk_wal_close(&wal);
    usleep(5000);
    wal = open_with(options);
    flk_wal_close(&wal);
    ck_assert_uint_eq(list_files(".seg").len, 0);
}
END_TEST

/* One stuck record does not keep the rest: its segment is compacted around it. It stays deliverable under its LSN and
 * time, also after a reopen, and can be acked; its neighbours do not come back to life. */
START_TEST(test_wal_stuck_record_does_not_pin_the_disk) {
    const flk_wal_options_t options = {.segment_bytes_max = 8192, .retained_bytes_max = 1};
    flk_wal_t *wal = open_with(options);
    flk_wal_cursor_t *cursor;
    flk_wal_record_t record, before;
    uint64_t stuck = 0;
    for (uint64_t i = 1; i <= 400; i++) {
        uint64_t lsn = append(wal, i);
        if (i == 5) {
            stuck = lsn;
        } else {
            ack(wal, lsn);
        }
    }
    ck_assert_int_eq(flk_wal_cursor_new(wal, &cursor), FLK_OK);
    ck_assert_int_eq(flk_wal_cursor_next(cursor, &before, errmsg), FLK_OK);
    ck_assert_uint_eq(before.lsn, stuck);
    ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_OK);
    WAIT_FOR(stats_of(wal).bytes < 3 * 8192);
    ck_assert_int_eq(flk_wal_cursor_next(cursor, &record, errmsg), FLK_E_NOT_FOUND); /* not a second time */
    flk_wal_cursor_destroy(&cursor);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(flk_wal_cursor_new(wal, &cursor), FLK_OK);
        ck_assert_int_eq(flk_wal_cursor_next(cursor, &record, errmsg), FLK_OK);
        ck_assert_uint_eq(record.lsn, stuck);
        ck_assert_int_eq(record.time_ms, before.time_ms);
        ck_assert_uint_eq(body_id(record.body, record.body_bytes), 5);
        ck_assert_int_eq(flk_wal_cursor_next(cursor, &record, errmsg), FLK_E_NOT_FOUND);
        flk_wal_cursor_destroy(&cursor);
        flk_wal_close(&wal);
        if (round == 0) {
            ck_assert_int_eq(unlink(path_of("checkpoint")), 0);
        }
        wal = open_with(options);
        ck_assert_uint_eq(stats_of(wal).damaged_records, 0);
        ck_assert_uint_eq(stats_of(wal).recovered, 1);
    }
    ack(wal, stuck);
    WAIT_FOR(stats_of(wal).segments <= 1);
    flk_wal_close(&wal);
    wal = open_with(options);
    ck_assert_uint_eq(stats_of(wal).recovered, 0);
    flk_wal_close(&wal);
}
END_TEST

/* ---- memory ---- */

/* Un-acked records cost bits, not bodies: 300,000 of them less than 600 KB after a start (a million less than 2 MB). */
START_TEST(test_wal_memory_of_unacked_records) {
    enum { MANY = 300000 };
    commits_t commits = {0};
    flk_wal_options_t options = {.segment_bytes_max = 8 << 20, .on_commit = on_commit, .on_commit_arg = &commits};
    flk_wal_t *wal = open_with(options);
    client_t *clients = calloc(1000, sizeof *clients);
    ck_assert_ptr_nonnull(clients);
    for (size_t done = 0; done < MANY; done += 1000) {
        for (size_t i = 0; i < 1000; i++) {
            clients[i].entry = (flk_wal_entry_t){.body = clients[i].body, .body_bytes = 16};
            flk_wal_append(wal, &clients[i].entry);
        }
        while (atomic_load(&commits.entries) < done + 1000) {
            sched_yield();
        }
    }
    free(clients);
    flk_wal_close(&wal);
    struct mallinfo2 before = mallinfo2();
    wal = open_with(options);
    struct mallinfo2 after = mallinfo2();
    ck_assert_uint_eq(stats_of(wal).unacked, MANY);
    size_t bytes = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
    printf("%d un-acked records: %zu bytes\n", MANY, bytes);
    ck_assert_uint_lt(bytes, 600 << 10);
    flk_wal_close(&wal);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("wal");
    tcase_add_test(tcase, test_wal_records_survive_reopen);
    tcase_add_test(tcase, test_wal_acks_survive_reopen);
    tcase_add_test(tcase, test_wal_acks_are_written_without_traffic);
    tcase_add_test(tcase, test_wal_group_commit_covers_all_waiters);
    tcase_add_test(tcase, test_wal_close_completes_all_entries);
    tcase_add_test(tcase, test_wal_many_threads_append);
    tcase_add_test(tcase, test_wal_cursor_follows_the_log);
    tcase_add_test(tcase, test_wal_read_sees_all_items);
    tcase_add_test(tcase, test_wal_figures);
    tcase_add_test(tcase, test_wal_rotates_by_size);
    tcase_add_test(tcase, test_wal_rotates_by_age);
    tcase_add_test(tcase, test_wal_lock_refuses_a_second_opener);
    tcase_add_test(tcase, test_wal_retention_removes_settled_segments);
    tcase_add_test(tcase, test_wal_retention_removes_old_segments);
    tcase_add_test(tcase, test_wal_stuck_record_does_not_pin_the_disk);
    tcase_add_test(tcase, test_wal_memory_of_unacked_records);
    return run_suite(tcase);
}
