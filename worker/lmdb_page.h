/* SPDX-License-Identifier: MIT */
/* Looking through the outcomes of an LMDB environment in small steps: a read transaction that stays open keeps LMDB from
 * using freed pages again. For one thread each. */
#ifndef FLK_WORKER_LMDB_PAGE_H
#define FLK_WORKER_LMDB_PAGE_H

#include "worker/lmdb_env.h"

enum { FLK_LMDB_PAGE_RECORDS = 256, FLK_LMDB_PAGE_STEPS = 4096 };

typedef struct flk_lmdb_record {
    uint8_t key[FLK_STORE_KEY_BYTES];
    int64_t expires_ms;
    uint16_t value_bytes;
    uint8_t value[FLK_STORE_VALUE_BYTES_MAX];
} flk_lmdb_record_t;

/* Zeroed before the first page. */
typedef struct flk_lmdb_page {
    bool begun, end;                   /* end: there is nothing behind this page */
    uint8_t last[FLK_STORE_KEY_BYTES]; /* read so far */
    size_t len;
    flk_lmdb_record_t records[FLK_LMDB_PAGE_RECORDS];
} flk_lmdb_page_t;

/* Fills the page with copies of the next records that have not expired by now_ms. 0 or LMDB's error. */
FLK_MUST_CHECK int flk_lmdb_read_page(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader, int64_t now_ms,
                                      flk_lmdb_page_t *page);

/* Records, expired ones too, and the bytes of the file that are in use. 0 or LMDB's error. */
FLK_MUST_CHECK int flk_lmdb_measure(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader, uint64_t *outcomes,
                                    uint64_t *bytes);

#endif
