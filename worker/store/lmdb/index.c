/* SPDX-License-Identifier: MIT */
/* Cursors of a write transaction end with it. */
#include "worker/store/lmdb/index.h"

#include <string.h>

int flk_lmdb_index_get(const flk_lmdb_env_t *index, MDB_txn *txn, flk_store_item_t *item, int64_t now_ms) {
    MDB_val key = {.mv_data = item->key, .mv_size = sizeof item->key}, value;
    item->found = false;
    int rc = mdb_get(txn, index->outcomes, &key, &value);
    if (rc != MDB_SUCCESS) {
        return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
    }
    if (value.mv_size < FLK_LMDB_EXPIRY_BYTES) { /* damaged: it has not even an expiry */
        (void)flk_store_item_take_unless_stale(item, "", 0);
    } else if (flk_lmdb_get_time(value.mv_data) > now_ms) {
        (void)flk_store_item_take_unless_stale(item, (const uint8_t *)value.mv_data + FLK_LMDB_EXPIRY_BYTES,
                                               value.mv_size - FLK_LMDB_EXPIRY_BYTES);
    }
    return MDB_SUCCESS;
}

static MDB_val expiry_key(uint8_t bytes[FLK_LMDB_EXPIRY_KEY_BYTES], const void *expiry, const uint8_t *key) {
    memcpy(bytes, expiry, FLK_LMDB_EXPIRY_BYTES);
    memcpy(bytes + FLK_LMDB_EXPIRY_BYTES, key, FLK_STORE_KEY_BYTES);
    return (MDB_val){.mv_data = bytes, .mv_size = FLK_LMDB_EXPIRY_KEY_BYTES};
}

/* The one that is there, if any, expired or is the same: then a move is done again. */
static int put_outcome(const flk_lmdb_env_t *index, MDB_txn *txn, MDB_cursor *cursor, const uint8_t *record) {
    uint8_t joined[FLK_LMDB_EXPIRY_BYTES + FLK_STORE_VALUE_BYTES_MAX], bytes[FLK_LMDB_EXPIRY_KEY_BYTES];
    size_t value_bytes = flk_lmdb_record_bytes(record, FLK_LMDB_RECORD_BYTES_MAX) - FLK_LMDB_RECORD_HEAD;
    memcpy(joined, record + FLK_STORE_KEY_BYTES, FLK_LMDB_EXPIRY_BYTES);
    memcpy(joined + FLK_LMDB_EXPIRY_BYTES, record + FLK_LMDB_RECORD_HEAD, value_bytes);
    const MDB_val whole = {.mv_data = joined, .mv_size = FLK_LMDB_EXPIRY_BYTES + value_bytes};
    MDB_val key = {.mv_data = (void *)(uintptr_t)record, .mv_size = FLK_STORE_KEY_BYTES}, value = whole;
    int rc = mdb_cursor_put(cursor, &key, &value, MDB_NOOVERWRITE);
    if (rc != MDB_KEYEXIST || (value.mv_size == whole.mv_size && memcmp(value.mv_data, joined, whole.mv_size) == 0)) {
        return rc == MDB_KEYEXIST ? MDB_SUCCESS : rc;
    }
    if (value.mv_size >= FLK_LMDB_EXPIRY_BYTES && memcmp(value.mv_data, joined, FLK_LMDB_EXPIRY_BYTES) != 0) {
        MDB_val former = expiry_key(bytes, value.mv_data, record);
        rc = mdb_del(txn, index->expiry, &former, NULL);
        if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND) {
            return rc;
        }
    }
    value = whole;
    return mdb_cursor_put(cursor, &key, &value, 0);
}

int flk_lmdb_index_put_outcomes(const flk_lmdb_env_t *index, MDB_txn *txn, const flk_lmdb_place_t *records,
                                size_t records_len) {
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, index->outcomes, &cursor);
    for (size_t i = 0; rc == MDB_SUCCESS && i < records_len; i++) {
        rc = put_outcome(index, txn, cursor, records[i].at);
    }
    return rc;
}

int flk_lmdb_index_put_expiries(const flk_lmdb_env_t *index, MDB_txn *txn, const flk_lmdb_place_t *records,
                                size_t records_len) {
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, index->expiry, &cursor);
    for (size_t i = 0; rc == MDB_SUCCESS && i < records_len; i++) {
        uint8_t bytes[FLK_LMDB_EXPIRY_KEY_BYTES];
        MDB_val key = expiry_key(bytes, records[i].at + FLK_STORE_KEY_BYTES, records[i].at), nothing = {0};
        rc = mdb_cursor_put(cursor, &key, &nothing, 0);
    }
    return rc;
}

/* Deletes the outcome that an expiry stood for, unless it has another expiry by now or is not there (yet). */
static int delete_outcome(const flk_lmdb_env_t *index, MDB_txn *txn, MDB_val *key, int64_t now_ms) {
    MDB_val value;
    int rc = mdb_get(txn, index->outcomes, key, &value);
    if (rc == MDB_SUCCESS && value.mv_size >= FLK_LMDB_EXPIRY_BYTES && flk_lmdb_get_time(value.mv_data) <= now_ms) {
        rc = mdb_del(txn, index->outcomes, key, NULL);
    }
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

int flk_lmdb_index_sweep(const flk_lmdb_env_t *index, MDB_txn *txn, int64_t now_ms, size_t records) {
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, index->expiry, &cursor);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    MDB_val at, nothing;
    while (records-- > 0 && (rc = mdb_cursor_get(cursor, &at, &nothing, MDB_FIRST)) == MDB_SUCCESS &&
           at.mv_size == FLK_LMDB_EXPIRY_KEY_BYTES && flk_lmdb_get_time(at.mv_data) <= now_ms) {
        uint8_t key_bytes[FLK_STORE_KEY_BYTES];
        memcpy(key_bytes, (const uint8_t *)at.mv_data + FLK_LMDB_EXPIRY_BYTES, sizeof key_bytes);
        MDB_val key = {.mv_data = key_bytes, .mv_size = sizeof key_bytes};
        if ((rc = mdb_cursor_del(cursor, 0)) != MDB_SUCCESS ||
            (rc = delete_outcome(index, txn, &key, now_ms)) != MDB_SUCCESS) {
            return rc;
        }
    }
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}
