/* SPDX-License-Identifier: MIT */
#include "worker/lmdb_page.h"

#include <string.h>

/* True when the record is alive, and was copied. */
static bool copy_record(const MDB_val *key, const MDB_val *value, int64_t now_ms, flk_lmdb_record_t *record) {
    if (key->mv_size != FLK_STORE_KEY_BYTES || value->mv_size < FLK_LMDB_EXPIRY_BYTES ||
        value->mv_size > FLK_LMDB_EXPIRY_BYTES + (size_t)FLK_STORE_VALUE_BYTES_MAX) {
        return false;
    }
    record->expires_ms = flk_lmdb_get_time(value->mv_data);
    memcpy(record->key, key->mv_data, FLK_STORE_KEY_BYTES);
    record->value_bytes = (uint16_t)(value->mv_size - FLK_LMDB_EXPIRY_BYTES);
    memcpy(record->value, (const uint8_t *)value->mv_data + FLK_LMDB_EXPIRY_BYTES, record->value_bytes);
    return record->expires_ms > now_ms;
}

/* The first record that the pages before did not have. */
static int seek(MDB_cursor *cursor, const flk_lmdb_page_t *page, MDB_val *key, MDB_val *value) {
    if (!page->begun) {
        return mdb_cursor_get(cursor, key, value, MDB_FIRST);
    }
    *key = (MDB_val){.mv_data = (void *)(uintptr_t)page->last, .mv_size = sizeof page->last};
    int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    bool known = rc == MDB_SUCCESS && memcmp(key->mv_data, page->last, sizeof page->last) == 0;
    return known ? mdb_cursor_get(cursor, key, value, MDB_NEXT) : rc;
}

int flk_lmdb_read_page(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader, int64_t now_ms, flk_lmdb_page_t *page) {
    MDB_cursor *cursor;
    MDB_val key, value;
    page->len = 0;
    int rc = flk_lmdb_read_begin(env, reader);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_cursor_open(reader->txn, env->outcomes, &cursor);
    if (rc == MDB_SUCCESS) {
        rc = seek(cursor, page, &key, &value);
        for (int step = 0; rc == MDB_SUCCESS && step < FLK_LMDB_PAGE_STEPS && page->len < FLK_LMDB_PAGE_RECORDS;
             step++) {
            page->len += copy_record(&key, &value, now_ms, &page->records[page->len]);
            page->begun = true;
            memcpy(page->last, key.mv_data, sizeof page->last);
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
        mdb_cursor_close(cursor);
    }
    flk_lmdb_read_end(env, reader);
    page->end = rc == MDB_NOTFOUND;
    return page->end ? MDB_SUCCESS : rc;
}

int flk_lmdb_measure(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader, uint64_t *outcomes, uint64_t *bytes) {
    MDB_stat stat;
    MDB_envinfo info;
    int rc = flk_lmdb_read_begin(env, reader);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_stat(reader->txn, env->outcomes, &stat);
    if (rc == MDB_SUCCESS && (rc = mdb_env_info(env->mdb, &info)) == MDB_SUCCESS) {
        *outcomes = stat.ms_entries;
        *bytes = (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize;
    }
    flk_lmdb_read_end(env, reader);
    return rc;
}
