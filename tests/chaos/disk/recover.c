/* SPDX-License-Identifier: MIT */
/* Opens a log as a start of its owner does, and prints its findings: one line of JSON, then "LSN HASH" for each record
 * in it, settled or not. Usage: flk-recover DIR. Exit status 1: the log did not open, or opening and reading differ. */
#include <stdio.h>
#include <xxhash.h>

#include "common/wal/cursor.h"
#include "common/wal/read.h"
#include "common/wal/wal.h"

typedef struct count {
    uint64_t records, acks;
} count_t;

static bool print_record(void *arg, const flk_wal_item_t *item) {
    count_t *count = arg;
    count->acks += item->type == FLK_WAL_ITEM_ACK;
    if (item->type == FLK_WAL_ITEM_RECORD) {
        count->records++;
        printf("%llu %016llx\n", (unsigned long long)item->record.lsn,
               (unsigned long long)XXH3_64bits(item->record.body, item->record.body_bytes));
    }
    return true;
}

static flk_err_t count_unacked(flk_wal_t *wal, uint64_t *unacked, char *errmsg) {
    flk_wal_cursor_t *cursor;
    flk_wal_record_t record;
    flk_err_t err = flk_wal_cursor_new(wal, &cursor);
    while (err == FLK_OK && (err = flk_wal_cursor_next(cursor, &record, errmsg)) == FLK_OK) {
        ++*unacked;
    }
    flk_wal_cursor_destroy(&cursor);
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

int main(int argc, char **argv) {
    char errmsg[FLK_ERRMSG_BYTES] = "usage: flk-recover DIR";
    flk_wal_t *wal = NULL;
    flk_wal_stats_t stats;
    uint64_t unacked = 0;
    count_t count = {0};
    flk_wal_options_t options = {.dir = argc == 2 ? argv[1] : "", .low_water_bytes = 1, .segment_bytes_max = 65536};
    flk_err_t err = argc == 2 ? flk_wal_open(&options, &wal, errmsg) : FLK_E_CONFIG;
    if (err == FLK_OK) {
        flk_wal_stats(wal, &stats);
        err = count_unacked(wal, &unacked, errmsg);
        flk_wal_close(&wal);
    }
    if (err == FLK_OK) {
        printf("{\"unacked\":%llu,\"delivered\":%llu,\"torn_bytes\":%llu,\"damaged\":%llu,\"quarantined\":%llu}\n",
               (unsigned long long)stats.unacked, (unsigned long long)unacked, (unsigned long long)stats.torn_bytes,
               (unsigned long long)stats.damaged_records, (unsigned long long)stats.quarantined);
        err = flk_wal_read(argv[1], print_record, &count, errmsg);
    }
    if (err != FLK_OK) {
        fprintf(stderr, "flk-recover: %s\n", errmsg);
    }
    return err == FLK_OK && unacked == stats.unacked ? 0 : 1;
}
