/* SPDX-License-Identifier: MIT */
#include "worker/store/lmdb/recent.h"

#include <errno.h>
#include <string.h>

flk_err_t flk_lmdb_recent_open(flk_lmdb_recent_t *recent, const char *dir, size_t map_bytes, char *errmsg) {
    *recent = (flk_lmdb_recent_t){.table = flk_lmdb_table_new()};
    if (recent->table == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    flk_err_t err = flk_lmdb_env_open(&recent->env, FLK_LMDB_RECENT, dir, map_bytes, errmsg);
    if (err != FLK_OK) {
        flk_lmdb_table_destroy(&recent->table);
        return err;
    }
    pthread_rwlock_init(&recent->lock, NULL);
    return FLK_OK;
}

void flk_lmdb_recent_close(flk_lmdb_recent_t *recent) {
    flk_lmdb_env_close(&recent->env);
    flk_lmdb_table_destroy(&recent->table);
    pthread_rwlock_destroy(&recent->lock);
}

/* ---- following ---- */

static uint64_t id_of(const MDB_val *key) {
    uint64_t id;
    memcpy(&id, key->mv_data, sizeof id);
    return id;
}

static int add(flk_lmdb_recent_t *recent, const MDB_val *key, const MDB_val *records) {
    switch (flk_lmdb_table_add(recent->table, id_of(key), records->mv_data, records->mv_size)) {
    case FLK_OK:
        recent->followed = id_of(key);
        return MDB_SUCCESS;
    case FLK_E_NOMEM:
        return ENOMEM;
    default:
        return MDB_CORRUPTED;
    }
}

/* The lock is held alone. */
static int follow(flk_lmdb_recent_t *recent, MDB_cursor *cursor, uint64_t up_to) {
    MDB_val key, records;
    int rc = mdb_cursor_get(cursor, &key, &records, MDB_FIRST);
    flk_lmdb_table_drop(recent->table, rc == MDB_SUCCESS ? id_of(&key) : UINT64_MAX);
    if (rc == MDB_SUCCESS) {
        uint64_t next = recent->followed + 1;
        key = (MDB_val){.mv_data = &next, .mv_size = sizeof next};
        rc = mdb_cursor_get(cursor, &key, &records, MDB_SET_RANGE);
    }
    while (rc == MDB_SUCCESS && (rc = add(recent, &key, &records)) == MDB_SUCCESS) {
        rc = mdb_cursor_get(cursor, &key, &records, MDB_NEXT);
    }
    if (rc != MDB_NOTFOUND) {
        return rc;
    }
    recent->followed = up_to;
    return MDB_SUCCESS;
}

int flk_lmdb_recent_follow(flk_lmdb_recent_t *recent, MDB_txn *txn, bool writing) {
    uint64_t up_to = mdb_txn_id(txn) - writing; /* a write transaction begins from the one before */
    pthread_rwlock_rdlock(&recent->lock);
    bool done = recent->followed >= up_to;
    pthread_rwlock_unlock(&recent->lock);
    if (done) {
        return MDB_SUCCESS;
    }
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, recent->env.batches, &cursor);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    pthread_rwlock_wrlock(&recent->lock);
    if (recent->followed < up_to) {
        rc = follow(recent, cursor, up_to);
    }
    pthread_rwlock_unlock(&recent->lock);
    mdb_cursor_close(cursor);
    return rc;
}

int flk_lmdb_recent_catch_up(flk_lmdb_recent_t *recent, flk_lmdb_reader_t *reader, uint64_t timeout_ms,
                             uint64_t *seen) {
    int rc = flk_lmdb_read_begin(&recent->env, reader, timeout_ms);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    if (seen != NULL) {
        *seen = mdb_txn_id(reader->txn);
    }
    rc = flk_lmdb_recent_follow(recent, reader->txn, false);
    flk_lmdb_read_end(&recent->env, reader);
    return rc;
}

/* Batches go oldest first: while one is there that came no later, all that came later are. */
bool flk_lmdb_recent_has_all_since(flk_lmdb_recent_t *recent, uint64_t seen) {
    const flk_lmdb_batch_t *oldest = flk_lmdb_recent_next(recent, NULL);
    return oldest != NULL && flk_lmdb_batch_id(oldest) <= seen;
}

/* ---- looking ---- */

size_t flk_lmdb_recent_get(flk_lmdb_recent_t *recent, flk_store_item_t *const *items, size_t items_len,
                           int64_t now_ms) {
    size_t missing = 0;
    pthread_rwlock_rdlock(&recent->lock);
    for (size_t i = 0; i < items_len; i++) {
        items[i]->found = false;
        missing += !flk_lmdb_table_get(recent->table, items[i], now_ms);
    }
    pthread_rwlock_unlock(&recent->lock);
    return missing;
}

const flk_lmdb_batch_t *flk_lmdb_recent_next(flk_lmdb_recent_t *recent, const flk_lmdb_batch_t *batch) {
    pthread_rwlock_rdlock(&recent->lock);
    const flk_lmdb_batch_t *next = flk_lmdb_table_next(recent->table, batch);
    pthread_rwlock_unlock(&recent->lock);
    return next;
}

size_t flk_lmdb_recent_bytes(flk_lmdb_recent_t *recent, size_t *records) {
    pthread_rwlock_rdlock(&recent->lock);
    size_t bytes = flk_lmdb_table_bytes(recent->table);
    if (records != NULL) {
        *records = flk_lmdb_table_records(recent->table);
    }
    pthread_rwlock_unlock(&recent->lock);
    return bytes;
}
