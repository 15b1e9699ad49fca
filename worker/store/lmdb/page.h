/* SPDX-License-Identifier: MIT */
/* Looking through the outcomes of the environments in small steps: a read transaction that stays open keeps LMDB from
 * using freed pages again. For one thread each. */
#ifndef FLK_WORKER_STORE_LMDB_PAGE_H
#define FLK_WORKER_STORE_LMDB_PAGE_H

#include "worker/store/lmdb/env.h"

enum { FLK_LMDB_PAGE_LEN = 256, FLK_LMDB_PAGE_STEPS = 4096 };

typedef struct flk_lmdb_shown {
    uint8_t key[FLK_STORE_KEY_BYTES];
    int64_t expires_ms;
    uint16_t value_bytes;
    uint8_t value[FLK_STORE_VALUE_BYTES_MAX];
} flk_lmdb_shown_t;

/* Zeroed before the first page. */
typedef struct flk_lmdb_page {
    uint64_t batch;                    /* of the recent: read so far, */
    size_t at;                         /* … and where in the next one */
    bool recent_end;                   /* there is nothing recent behind this page */
    bool begun, end;                   /* of the index; end: there is nothing behind this page */
    uint8_t last[FLK_STORE_KEY_BYTES]; /* read so far */
    size_t len;
    flk_lmdb_shown_t shown[FLK_LMDB_PAGE_LEN];
} flk_lmdb_page_t;

/* Fills the page with copies of the next outcomes that have not expired by now_ms. 0 or LMDB's error. */
FLK_MUST_CHECK int flk_lmdb_read_recent_page(flk_lmdb_env_t *recent, flk_lmdb_reader_t *reader, int64_t now_ms,
                                             flk_lmdb_page_t *page);
FLK_MUST_CHECK int flk_lmdb_read_index_page(flk_lmdb_env_t *index, flk_lmdb_reader_t *reader, int64_t now_ms,
                                            flk_lmdb_page_t *page);

/* The outcomes of an index, expired ones too (NULL: do not count), and the bytes of either's file that are in use. 0
 * or LMDB's error. */
FLK_MUST_CHECK int flk_lmdb_measure(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader, uint64_t *outcomes,
                                    uint64_t *bytes);

#endif
