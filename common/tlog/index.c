/* SPDX-License-Identifier: MIT */
/* Value of a pcs_id: its leaf's number (8, big-endian), with the highest bit set when it is a duplicate or a dead
 * letter and so gives way to a first verdict. The key "size" has the number of leaves that are covered. */
#include "common/tlog/index.h"

#include <errno.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/io.h"

#define SIZE_KEY "size"
#define WEAK     (UINT64_C(1) << 63)

static const size_t map_bytes = (size_t)1 << 36; /* of address space; the file is as large as its contents */

struct flk_tlog_index {
    MDB_env *env;
    MDB_dbi table;
};

static flk_err_t failed(int code, const char *step, char *errmsg) {
    flk_errmsg(errmsg, "the index of pcs_ids: %s: %s", step, mdb_strerror(code));
    return code == ENOSPC || code == MDB_MAP_FULL || code == EDQUOT ? FLK_E_NO_SPACE
           : code == ENOMEM                                         ? FLK_E_NOMEM
           : code == ENOENT || code == MDB_NOTFOUND                 ? FLK_E_NOT_FOUND
           : code == MDB_INVALID || code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_VERSION_MISMATCH
               ? FLK_E_CORRUPT
               : FLK_E_IO;
}

static int open_table(flk_tlog_index_t *index, bool for_writing) {
    MDB_txn *txn;
    int code = mdb_txn_begin(index->env, NULL, for_writing ? 0 : MDB_RDONLY, &txn);
    if (code != 0) {
        return code;
    }
    code = mdb_dbi_open(txn, NULL, 0, &index->table);
    if (code != 0) {
        mdb_txn_abort(txn);
        return code;
    }
    return mdb_txn_commit(txn);
}

flk_err_t flk_tlog_index_open(const char *dir, bool for_writing, flk_tlog_index_t **index, char *errmsg) {
    flk_err_t err = for_writing ? flk_io_mkdirs(dir, errmsg) : FLK_OK;
    if (err != FLK_OK) {
        return err;
    }
    flk_tlog_index_t *made = calloc(1, sizeof *made);
    int code = made != NULL ? mdb_env_create(&made->env) : ENOMEM;
    code = code != 0 ? code : mdb_env_set_mapsize(made->env, map_bytes);
    code = code != 0
               ? code
               : mdb_env_open(made->env, dir, MDB_NORDAHEAD | MDB_NOTLS | (for_writing ? 0u : MDB_RDONLY), FLK_IO_MODE);
    code = code != 0 ? code : open_table(made, for_writing);
    if (code != 0) {
        flk_tlog_index_close(&made);
        return failed(code, dir, errmsg);
    }
    int dead; /* slots of readers that were killed would keep old pages for ever */
    (void)mdb_reader_check(made->env, &dead);
    *index = made;
    return FLK_OK;
}

void flk_tlog_index_close(flk_tlog_index_t **index) {
    if (*index != NULL) {
        mdb_env_close((*index)->env);
        free(*index);
        *index = NULL;
    }
}

static int get_number(MDB_txn *txn, MDB_dbi table, const void *key, size_t key_bytes, uint64_t *number) {
    MDB_val name = {key_bytes, (void *)(uintptr_t)key}, value;
    int code = mdb_get(txn, table, &name, &value);
    if (code == 0 && value.mv_size != sizeof *number) {
        return MDB_CORRUPTED;
    }
    if (code == 0) {
        *number = flk_get_be64(value.mv_data);
    }
    return code;
}

static int put_number(MDB_txn *txn, MDB_dbi table, const void *key, size_t key_bytes, uint64_t number) {
    uint8_t bytes[sizeof number];
    flk_put_be64(bytes, number);
    MDB_val name = {key_bytes, (void *)(uintptr_t)key}, value = {sizeof bytes, bytes};
    return mdb_put(txn, table, &name, &value, 0);
}

static int look_up(flk_tlog_index_t *index, const void *key, size_t key_bytes, uint64_t *number) {
    MDB_txn *txn;
    int code = mdb_txn_begin(index->env, NULL, MDB_RDONLY, &txn);
    if (code == 0) {
        code = get_number(txn, index->table, key, key_bytes, number);
        mdb_txn_abort(txn);
    }
    return code;
}

flk_err_t flk_tlog_index_size(flk_tlog_index_t *index, uint64_t *size, char *errmsg) {
    int code = look_up(index, SIZE_KEY, strlen(SIZE_KEY), size);
    if (code == MDB_NOTFOUND) {
        *size = 0;
        return FLK_OK;
    }
    return code != 0 ? failed(code, "look-up", errmsg) : FLK_OK;
}

flk_err_t flk_tlog_index_find(flk_tlog_index_t *index, const uint8_t pcs_id[FLK_PCS_ID_BYTES], uint64_t *leaf,
                              char *errmsg) {
    *leaf = 0;
    int code = look_up(index, pcs_id, FLK_PCS_ID_BYTES, leaf);
    *leaf &= ~WEAK;
    return code != 0 ? failed(code, "look-up", errmsg) : FLK_OK;
}

bool flk_tlog_index_item(const flk_tlog_leaf_t *leaf, uint64_t number, flk_tlog_index_item_t *item) {
    if (leaf->is_gap || !leaf->has_pcs_id ||
        (leaf->status != FLK_STATUS_ACCEPTED && leaf->status != FLK_STATUS_ESCALATED)) {
        return false;
    }
    memcpy(item->pcs_id, leaf->pcs_id, sizeof item->pcs_id);
    item->leaf = number;
    item->is_first = (leaf->flags & (1u << FLK_TLOG_DUPLICATE | 1u << FLK_TLOG_DEAD_LETTER)) == 0;
    return true;
}

static int add_item(MDB_txn *txn, MDB_dbi table, const flk_tlog_index_item_t *item) {
    uint64_t there;
    int code = get_number(txn, table, item->pcs_id, sizeof item->pcs_id, &there);
    if (code == MDB_NOTFOUND || (code == 0 && item->is_first && (there & WEAK) != 0)) {
        return put_number(txn, table, item->pcs_id, sizeof item->pcs_id, item->leaf | (item->is_first ? 0 : WEAK));
    }
    return code;
}

flk_err_t flk_tlog_index_add(flk_tlog_index_t *index, const flk_tlog_index_item_t *items, size_t items_len,
                             uint64_t size, char *errmsg) {
    MDB_txn *txn;
    int code = mdb_txn_begin(index->env, NULL, 0, &txn);
    if (code != 0) {
        return failed(code, "write", errmsg);
    }
    for (size_t i = 0; code == 0 && i < items_len; i++) {
        code = add_item(txn, index->table, &items[i]);
    }
    code = code != 0 ? code : put_number(txn, index->table, SIZE_KEY, strlen(SIZE_KEY), size);
    if (code != 0) {
        mdb_txn_abort(txn);
    } else {
        code = mdb_txn_commit(txn);
    }
    return code != 0 ? failed(code, "write", errmsg) : FLK_OK;
}

flk_err_t flk_tlog_index_clear(flk_tlog_index_t *index, char *errmsg) {
    MDB_txn *txn;
    int code = mdb_txn_begin(index->env, NULL, 0, &txn);
    if (code != 0) {
        return failed(code, "write", errmsg);
    }
    code = mdb_drop(txn, index->table, 0);
    if (code != 0) {
        mdb_txn_abort(txn);
    } else {
        code = mdb_txn_commit(txn);
    }
    return code != 0 ? failed(code, "write", errmsg) : FLK_OK;
}
