/* SPDX-License-Identifier: MIT */
#include "worker/store/postgres/batch.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

enum { BIGINT_OID = 20, BYTEA_OID = 17, HEADER_BYTES = 20 };

static int compare_entries(const void *left, const void *right) {
    const flk_pg_entry_t *a = left, *b = right;
    int order = memcmp(a->item->key, b->item->key, FLK_STORE_KEY_BYTES);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

static flk_err_t reserve(flk_pg_batch_t *batch, size_t len, char *errmsg) {
    if (len <= batch->cap) {
        return FLK_OK;
    }
    flk_pg_batch_t grown = {
        .entries = malloc(len * sizeof *grown.entries),
        .ids = malloc(HEADER_BYTES + len * (4 + FLK_STORE_KEY_BYTES)),
        .values = malloc(HEADER_BYTES + len * (4 + FLK_STORE_VALUE_BYTES_MAX)),
        .ttls = malloc(HEADER_BYTES + len * (4 + sizeof(uint64_t))),
        .stale_ids = malloc(HEADER_BYTES + len * (4 + FLK_STORE_KEY_BYTES)),
        .stales = malloc(HEADER_BYTES + len * (4 + FLK_STORE_VALUE_BYTES_MAX)),
        .cap = len,
    };
    bool fine = grown.entries != NULL && grown.ids != NULL && grown.values != NULL && grown.ttls != NULL &&
                grown.stale_ids != NULL && grown.stales != NULL;
    flk_pg_batch_fini(fine ? batch : &grown);
    if (!fine) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    *batch = grown;
    return FLK_OK;
}

void flk_pg_batch_fini(flk_pg_batch_t *batch) {
    free(batch->entries);
    free(batch->ids);
    free(batch->values);
    free(batch->ttls);
    free(batch->stale_ids);
    free(batch->stales);
}

static bool same_key(const flk_pg_entry_t *a, const flk_pg_entry_t *b) {
    return memcmp(a->item->key, b->item->key, FLK_STORE_KEY_BYTES) == 0;
}

flk_err_t flk_pg_batch_begin(flk_pg_batch_t *batch, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    flk_err_t err = reserve(batch, items_len, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    for (size_t i = 0; i < items_len; i++) {
        items[i]->found = false;
        batch->entries[i] = (flk_pg_entry_t){.item = items[i], .index = i, .open = true};
    }
    qsort(batch->entries, items_len, sizeof *batch->entries, compare_entries);
    batch->len = 0;
    for (size_t i = 0; i < items_len; i++) {
        if (batch->len == 0 || !same_key(&batch->entries[batch->len - 1], &batch->entries[i])) {
            batch->entries[batch->len++] = batch->entries[i];
        }
    }
    return FLK_OK;
}

/* ---- arrays ---- */

static uint8_t *put_int(uint8_t *at, size_t value) {
    flk_put_be32(at, (uint32_t)value);
    return at + sizeof(uint32_t);
}

/* dimensions (4) = 1 · has nulls (4) = 0 · element type (4) · length (4) · lower bound (4) = 1, then for each element
 * bytes (4) · data; all big-endian. */
static uint8_t *put_header(uint8_t *at, size_t type, size_t len) {
    at = put_int(at, 1);
    at = put_int(at, 0);
    at = put_int(at, type);
    at = put_int(at, len);
    return put_int(at, 1);
}

static uint8_t *put_element(uint8_t *at, const void *data, size_t bytes) {
    at = put_int(at, bytes);
    memcpy(at, data, bytes);
    return at + bytes;
}

void flk_pg_batch_encode(flk_pg_batch_t *batch, const flk_store_t *store) {
    size_t len = 0;
    for (size_t i = 0; i < batch->len; i++) {
        len += batch->entries[i].open;
    }
    uint8_t *id = put_header(batch->ids, BYTEA_OID, len);
    uint8_t *value = put_header(batch->values, BYTEA_OID, len);
    uint8_t *ttl = put_header(batch->ttls, BIGINT_OID, len);
    for (size_t i = 0; i < batch->len; i++) {
        const flk_store_item_t *item = batch->entries[i].item;
        if (batch->entries[i].open) {
            uint8_t ttl_ms[sizeof(uint64_t)];
            flk_put_be64(ttl_ms, flk_store_ttl_ms(store, item));
            id = put_element(id, item->key, sizeof item->key);
            value = put_element(value, item->value, item->value_bytes);
            ttl = put_element(ttl, ttl_ms, sizeof ttl_ms);
        }
    }
    batch->ids_bytes = (int)(id - batch->ids);
    batch->values_bytes = (int)(value - batch->values);
    batch->ttls_bytes = (int)(ttl - batch->ttls);
}

void flk_pg_batch_encode_stales(flk_pg_batch_t *batch) {
    batch->stales_len = 0;
    for (size_t i = 0; i < batch->len; i++) {
        batch->stales_len += batch->entries[i].open && batch->entries[i].item->stale != NULL;
    }
    uint8_t *id = put_header(batch->stale_ids, BYTEA_OID, batch->stales_len);
    uint8_t *stale = put_header(batch->stales, BYTEA_OID, batch->stales_len);
    for (size_t i = 0; i < batch->len; i++) {
        const flk_store_item_t *item = batch->entries[i].item;
        if (batch->entries[i].open && item->stale != NULL) {
            id = put_element(id, item->key, sizeof item->key);
            stale = put_element(stale, item->stale, item->stale_bytes);
        }
    }
    batch->stale_ids_bytes = (int)(id - batch->stale_ids);
    batch->stales_bytes = (int)(stale - batch->stales);
}

/* ---- answers ---- */

static int compare_key(const void *key, const void *entry) {
    return memcmp(key, ((const flk_pg_entry_t *)entry)->item->key, FLK_STORE_KEY_BYTES);
}

flk_pg_entry_t *flk_pg_batch_find(const flk_pg_batch_t *batch, const void *key) {
    return bsearch(key, batch->entries, batch->len, sizeof *batch->entries, compare_key);
}

bool flk_pg_batch_any_open(const flk_pg_batch_t *batch) {
    for (size_t i = 0; i < batch->len; i++) {
        if (batch->entries[i].open) {
            return true;
        }
    }
    return false;
}

void flk_pg_batch_share(const flk_pg_batch_t *batch, flk_store_item_t *const *items, size_t items_len, bool put) {
    for (size_t i = 0; batch->len < items_len && i < items_len; i++) {
        const flk_pg_entry_t *entry = flk_pg_batch_find(batch, items[i]->key);
        FLK_ASSERT(entry != NULL); /* every item's key is in its batch */
        const flk_store_item_t *first = entry->item;
        if (items[i] != first) {
            items[i]->found = put || first->found;
            items[i]->value_bytes = first->value_bytes;
            memcpy(items[i]->value, first->value, first->value_bytes);
        }
    }
}
