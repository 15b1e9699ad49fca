/* SPDX-License-Identifier: MIT */
/* The facts about sealed segments that a start needs, so that it need not read them. */
#ifndef FLK_COMMON_WAL_CHECKPOINT_H
#define FLK_COMMON_WAL_CHECKPOINT_H

#include "common/wal/state.h"

typedef struct flk_wal_row {
    uint64_t number, first_lsn, end_lsn, bytes;
    int64_t last_ms;
    uint64_t unsettled, acks_lsn_min, acks_lsn_max;
} flk_wal_row_t;

typedef struct flk_wal_checkpoint {
    uint64_t log_id, next_number, next_lsn, durable_lsn;
    uint64_t kept_lsn;   /* the last durable one that was in a file */
    flk_wal_row_t *rows; /* in order of number */
    size_t rows_len;
} flk_wal_checkpoint_t;

/* FLK_E_NOT_FOUND: missing or damaged; the log can be read without. Caller frees rows. */
FLK_MUST_CHECK flk_err_t flk_wal_checkpoint_load(const char *dir, flk_wal_checkpoint_t *checkpoint, char *errmsg);
FLK_MUST_CHECK flk_err_t flk_wal_checkpoint_store(flk_wal_t *wal, char *errmsg);

#endif
