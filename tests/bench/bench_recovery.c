/* SPDX-License-Identifier: MIT */
/* bench_recovery [directory [GiB [records]]]: the cost of a start.
 * 1. A quarter, a half and all of so many un-acked records (default a million): time to open, memory, time to re-drive
 *    them by the cursor. All three must grow with the records.
 * 2. So many GiB of acked log (default 1), written by the real writer: time to open, and how much of it was read. */
#include <errno.h>
#include <malloc.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "common/wal/cursor.h"
#include "common/wal/wal.h"

enum { BODY_BYTES = 1000, OUTSTANDING = 4096 };

static const char *parent = "/tmp";
static uint64_t records_max = 1000000;
static double gib = 1;
static uint8_t body[BODY_BYTES];
static char errmsg[FLK_ERRMSG_BYTES], dir[256];
static sem_t places;
static flk_wal_t *wal;
static bool acks;
static _Atomic uint64_t bytes_read;

static void must(flk_err_t err) {
    if (err != FLK_OK) {
        fprintf(stderr, "bench_recovery: %s\n", errmsg);
        exit(1);
    }
}

static double now(void) {
    return (double)flk_mono_ns() / 1e9;
}

static void on_commit(void *arg, flk_wal_entry_t *group) {
    (void)arg;
    while (group != NULL) {
        flk_wal_entry_t *entry = group;
        group = group->next;
        must(entry->err);
        if (acks) {
            flk_wal_ack(wal, entry->lsn, (flk_wal_mark_t){.status = 200});
        }
        free(entry);
        sem_post(&places);
    }
}

static void open_log(void) {
    const flk_wal_options_t options = {.dir = dir, .low_water_bytes = 1, .on_commit = on_commit};
    must(flk_wal_open(&options, &wal, errmsg));
}

static void write_records(uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        flk_wal_entry_t *entry = calloc(1, sizeof *entry);
        while (entry == NULL || (sem_wait(&places) != 0 && errno == EINTR)) {
        }
        entry->body = body;
        entry->body_bytes = BODY_BYTES;
        flk_wal_append(wal, entry);
    }
    for (int i = 0; i < OUTSTANDING; i++) {
        sem_wait(&places);
    }
    for (int i = 0; i < OUTSTANDING; i++) {
        sem_post(&places);
    }
}

static void make_dir(void) {
    snprintf(dir, sizeof dir, "%s/flk-bench-XXXXXX", parent);
    if (mkdtemp(dir) == NULL) {
        fprintf(stderr, "bench_recovery: cannot make a directory in %s: %s\n", parent, strerror(errno));
        exit(1);
    }
}

static void remove_dir(void) {
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    if (system(command) != 0) {
        fprintf(stderr, "bench_recovery: cannot remove %s\n", dir);
    }
}

static uint64_t redrive(void) {
    flk_wal_cursor_t *cursor;
    flk_wal_record_t record;
    uint64_t count = 0;
    must(flk_wal_cursor_new(wal, &cursor));
    while (flk_wal_cursor_next(cursor, &record, errmsg) == FLK_OK) {
        count++;
    }
    flk_wal_cursor_destroy(&cursor);
    return count;
}

static void unacked(uint64_t count) {
    make_dir();
    open_log();
    write_records(count);
    flk_wal_close(&wal);
    malloc_trim(0);
    const struct mallinfo2 before = mallinfo2();
    const double began = now();
    open_log();
    const double opened = now();
    const struct mallinfo2 after = mallinfo2();
    const uint64_t driven = redrive();
    printf("%9llu un-acked records of %d bytes: opened in %6.3f s, %5.1f MB/s, memory %7.1f KiB, re-driven %llu in "
           "%6.3f s\n",
           (unsigned long long)count, BODY_BYTES, opened - began, (double)count * BODY_BYTES / 1e6 / (opened - began),
           (double)(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / 1024, (unsigned long long)driven,
           now() - opened);
    flk_wal_close(&wal);
    remove_dir();
}

/* Adds up the bytes that a start reads: the hook is asked before each operation, and a read is of a buffer at most. */
static int count_reads(flk_io_op_t op, const char *path, void *arg) {
    (void)path;
    (void)arg;
    bytes_read += op == FLK_IO_READ;
    return 0;
}

static void acked(void) {
    flk_wal_stats_t stats;
    make_dir();
    acks = true;
    open_log();
    const double began_writing = now();
    write_records((uint64_t)(gib * (1 << 30) / BODY_BYTES));
    must(flk_wal_flush(wal, errmsg));
    flk_wal_stats(wal, &stats);
    const double wrote = now() - began_writing;
    flk_wal_close(&wal);
    flk_io_set_fault(count_reads, NULL);
    const double began = now();
    open_log();
    printf("%5.1f GiB of acked log in %llu segments (written in %.0f s): opened in %6.4f s with %llu reads\n",
           (double)stats.bytes / (1 << 30), (unsigned long long)stats.segments, wrote, now() - began,
           (unsigned long long)bytes_read);
    flk_io_set_fault(NULL, NULL);
    flk_wal_close(&wal);
    remove_dir();
}

int main(int argc, char **argv) {
    parent = argc > 1 ? argv[1] : parent;
    gib = argc > 2 ? strtod(argv[2], NULL) : gib;
    records_max = argc > 3 ? strtoull(argv[3], NULL, 10) : records_max;
    if (sem_init(&places, 0, OUTSTANDING) != 0 || records_max < 4) {
        fprintf(stderr, "usage: bench_recovery [directory [GiB [records]]]\n");
        return 2;
    }
    unacked(records_max / 4);
    unacked(records_max / 2);
    unacked(records_max);
    acked();
    return 0;
}
