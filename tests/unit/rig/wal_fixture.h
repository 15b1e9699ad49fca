/* SPDX-License-Identifier: MIT */
/* The common part of the log's tests: a directory for each test, bodies that prove themselves, appends that wait, and
 * an io hook that records and fails operations. */
#ifndef FLK_TESTS_WAL_FIXTURE_H
#define FLK_TESTS_WAL_FIXTURE_H

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "common/wal/cursor.h"
#include "common/wal/read.h"
#include "common/wal/wal.h"
#include "tests/unit/rig/suite.h"

enum { BODY_BYTES_MAX = 3000, DEADLINE_MS = 20000 };

extern char dir[64];
extern char errmsg[FLK_ERRMSG_BYTES];

/* In memory where that exists: thousands of syncs, none of which is to survive the machine. */
void setup(void);

void teardown(void);

/* ---- bodies: number, then bytes that follow from it; 16 to BODY_BYTES_MAX long ---- */

uint32_t body_make(uint64_t id, uint8_t body[BODY_BYTES_MAX]);

/* The number of a body that is exactly as it was made; anything else fails the test. */
uint64_t body_id(const void *body, uint32_t body_bytes);

/* ---- a log and its appends ---- */

flk_wal_t *open_with(flk_wal_options_t options);

flk_wal_t *open_log(void);

flk_err_t try_append(flk_wal_t *wal, uint64_t id, uint64_t *lsn);

uint64_t append(flk_wal_t *wal, uint64_t id);

void ack(flk_wal_t *wal, uint64_t lsn);

flk_wal_stats_t stats_of(const flk_wal_t *wal);

/* Waits until `condition` holds; fails the test after DEADLINE_MS. */
#define WAIT_FOR(condition)                                                                                            \
    for (uint64_t deadline_ms_ = flk_mono_ms() + DEADLINE_MS; !(condition); usleep(1000)) {                            \
        ck_assert_msg(flk_mono_ms() < deadline_ms_, "never came true: %s", #condition);                                \
    }

/* All un-acked records by a new cursor: ids in order of delivery, LSNs rising. Returns how many; the rest of `ids` is
 * untouched. */
size_t unacked_ids(flk_wal_t *wal, uint64_t *ids, size_t ids_max);

/* ---- files ---- */

typedef struct names {
    char at[256][64];
    size_t len;
} names_t;

/* Names in the directory that end with `ending`, sorted. */
names_t list_files(const char *ending);

const char *path_of(const char *name);

size_t load_file(const char *name, uint8_t **data);

void store_file(const char *name, const void *data, size_t bytes);

int run_suite(TCase *tcase);

#endif
