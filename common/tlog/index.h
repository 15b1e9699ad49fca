/* SPDX-License-Identifier: MIT */
/* The look-up table of a log: pcs_id -> the leaf that has its verdict, in LMDB beside the log's own files. It can be
 * made again from the entries at any time. One writer process, any number of readers; one thread a handle.
 *
 * A pcs_id with several verdicts names the first one that is neither a duplicate nor a dead letter; when there is none,
 * the first. */
#ifndef FLK_COMMON_TLOG_INDEX_H
#define FLK_COMMON_TLOG_INDEX_H

#include "common/err.h"
#include "common/tlog/leaf.h"

typedef struct flk_tlog_index flk_tlog_index_t; /* Opaque; fields are commented in index.c. */

/* An entry of the table, or none: leaves without pcs_id or verdict are left out. */
typedef struct flk_tlog_index_item {
    uint8_t pcs_id[FLK_PCS_ID_BYTES];
    uint64_t leaf;
    bool is_first; /* neither a duplicate nor a dead letter */
} flk_tlog_index_item_t;

/* Opens the table in `dir`, for writing makes it when it is missing. Errors: FLK_E_NOT_FOUND, FLK_E_CORRUPT (it may be
 * removed: it is made again), FLK_E_NO_SPACE, FLK_E_IO, FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_tlog_index_open(const char *dir, bool for_writing, flk_tlog_index_t **index, char *errmsg);
void flk_tlog_index_close(flk_tlog_index_t **index); /* NULL is allowed */

/* How many leaves it covers. */
FLK_MUST_CHECK flk_err_t flk_tlog_index_size(flk_tlog_index_t *index, uint64_t *size, char *errmsg);

/* Errors: FLK_E_NOT_FOUND, and the above. */
FLK_MUST_CHECK flk_err_t flk_tlog_index_find(flk_tlog_index_t *index, const uint8_t pcs_id[FLK_PCS_ID_BYTES],
                                             uint64_t *leaf, char *errmsg);

/* False: this leaf has no entry. */
FLK_MUST_CHECK bool flk_tlog_index_item(const flk_tlog_leaf_t *leaf, uint64_t number, flk_tlog_index_item_t *item);

/* Adds entries in the order of their leaves, durably; the table then covers `size` leaves. */
FLK_MUST_CHECK flk_err_t flk_tlog_index_add(flk_tlog_index_t *index, const flk_tlog_index_item_t *items,
                                            size_t items_len, uint64_t size, char *errmsg);

/* Forgets all entries. */
FLK_MUST_CHECK flk_err_t flk_tlog_index_clear(flk_tlog_index_t *index, char *errmsg);

#endif
