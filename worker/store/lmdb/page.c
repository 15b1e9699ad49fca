/* SPDX-License-Identifier: MIT */
#include "worker/store/lmdb/page.h"

#include <string.h>

#include "worker/store/lmdb/table.h"

enum { READ_MS = 1000 }; /* how long to wait for the map */

/* Adds an outcome to the page if it is alive. */
static void add(flk_lmdb_page_t *page, const void *key, int64_t expires_ms, const void *value, size_t value_bytes,
                int64_t now_ms) {
    if (expires_ms <= now_ms) {
        return;
    }
    flk_lmdb_shown_t *shown = &page->shown[page->len++];
    memcpy(shown->key, key, FLK_STORE_KEY_BYTES);
    shown->expires_ms = expires_ms;
    shown->value_bytes = (uint16_t)value_bytes;
    memcpy(shown->value, value, value_bytes);
}

/* ---- the recent ---- */

/* Takes records of one batch from page->at on, until the page is full. */
static int take_records(flk_lmdb_page_t *page, const MDB_val *batch, int64_t now_ms) {
    while (page->at < batch->mv_size && page->len < FLK_LMDB_PAGE_LEN) {
        const uint8_t *record = (const uint8_t *)batch->mv_data + page->at;
        size_t bytes = flk_lmdb_record_bytes(record, batch->mv_size - page->at);
        if (bytes == 0) {
            return MDB_CORRUPTED;
        }
        add(page, record, flk_lmdb_record_expires_ms(record), record + FLK_LMDB_RECORD_HEAD,
            bytes - FLK_LMDB_RECORD_HEAD, now_ms);
        page->at += bytes;
    }
    return MDB_SUCCESS;
}

static int take_batches(flk_lmdb_page_t *page, MDB_cursor *cursor, int64_t now_ms) {
    uint64_t id = page->batch;
    MDB_val key = {.mv_data = &id, .mv_size = sizeof id}, batch;
    int rc = mdb_cursor_get(cursor, &key, &batch, MDB_SET_RANGE);
    while (rc == MDB_SUCCESS) {
        memcpy(&id, key.mv_data, sizeof id);
        page->at = id == page->batch ? page->at : 0;
        page->batch = id;
        rc = take_records(page, &batch, now_ms);
        if (rc != MDB_SUCCESS || page->len == FLK_LMDB_PAGE_LEN) {
            return rc;
        }
        rc = mdb_cursor_get(cursor, &key, &batch, MDB_NEXT);
    }
    page->recent_end = rc == MDB_NOTFOUND;
    return page->recent_end ? MDB_SUCCESS : rc;
}

int flk_lmdb_read_recent_page(flk_lmdb_env_t *recent, flk_lmdb_reader_t *reader, int64_t now_ms,
                              flk_lmdb_page_t *page) {
    MDB_cursor *cursor;
    page->len = 0;
    int rc = flk_lmdb_read_begin(recent, reader, READ_MS);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_cursor_open(reader->txn, recent->batches, &cursor);
    if (rc == MDB_SUCCESS) {
        rc = take_batches(page, cursor, now_ms);
        mdb_cursor_close(cursor);
    }
    flk_lmdb_read_end(recent, reader);
    return rc;
}

/* ---- the index ---- */

/* The first outcome that the pages before did not have. */
static int seek(MDB_cursor *cursor, const flk_lmdb_page_t *page, MDB_val *key, MDB_val *value) {
    if (!page->begun) {
        return mdb_cursor_get(cursor, key, value, MDB_FIRST);
    }
    *key = (MDB_val){.mv_data = (void *)(uintptr_t)page->last, .mv_size = sizeof page->last};
    int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    bool known = rc == MDB_SUCCESS && memcmp(key->mv_data, page->last, sizeof page->last) == 0;
    return known ? mdb_cursor_get(cursor, key, value, MDB_NEXT) : rc;
}

static int take_outcomes(flk_lmdb_page_t *page, MDB_cursor *cursor, int64_t now_ms) {
    MDB_val key, value;
    int rc = seek(cursor, page, &key, &value);
    for (int step = 0; rc == MDB_SUCCESS && step < FLK_LMDB_PAGE_STEPS && page->len < FLK_LMDB_PAGE_LEN; step++) {
        if (key.mv_size != FLK_STORE_KEY_BYTES || value.mv_size < FLK_LMDB_EXPIRY_BYTES ||
            value.mv_size > FLK_LMDB_EXPIRY_BYTES + (size_t)FLK_STORE_VALUE_BYTES_MAX) {
            return MDB_CORRUPTED;
        }
        add(page, key.mv_data, flk_lmdb_get_time(value.mv_data), (const uint8_t *)value.mv_data + FLK_LMDB_EXPIRY_BYTES,
            value.mv_size - FLK_LMDB_EXPIRY_BYTES, now_ms);
        page->begun = true;
        memcpy(page->last, key.mv_data, sizeof page->last);
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    page->end = rc == MDB_NOTFOUND;
    return page->end ? MDB_SUCCESS : rc;
}

int flk_lmdb_read_index_page(flk_lmdb_env_t *index, flk_lmdb_reader_t *reader, int64_t now_ms, flk_lmdb_page_t *page) {
    MDB_cursor *cursor;
    page->len = 0;
    int rc = flk_lmdb_read_begin(index, reader, READ_MS);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_cursor_open(reader->txn, index->outcomes, &cursor);
    if (rc == MDB_SUCCESS) {
        rc = take_outcomes(page, cursor, now_ms);
        mdb_cursor_close(cursor);
    }
    flk_lmdb_read_end(index, reader);
    return rc;
}

/* ---- either ---- */

int flk_lmdb_measure(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader, uint64_t *outcomes, uint64_t *bytes) {
    MDB_stat stat;
    MDB_envinfo info;
    int rc = flk_lmdb_read_begin(env, reader, READ_MS);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_stat(reader->txn, env->kind == FLK_LMDB_INDEX ? env->outcomes : env->batches, &stat);
    if (rc == MDB_SUCCESS && (rc = mdb_env_info(env->mdb, &info)) == MDB_SUCCESS) {
        if (outcomes != NULL) {
            *outcomes = stat.ms_entries;
        }
        *bytes = (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize;
    }
    flk_lmdb_read_end(env, reader);
    return rc;
}
