/* SPDX-License-Identifier: MIT */
#include "worker/store/redis/browse.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_KEYS = 512 }; /* a hint for SCAN, which may give more */

struct found {
    uint8_t id[FLK_STORE_KEY_BYTES];
    bool has_value;
    uint16_t value_bytes;
    uint8_t value[FLK_STORE_VALUE_BYTES_MAX];
    int64_t left_ms; /* of its time to live */
};

struct browse {
    char cursor[24];
    struct found *found;
    size_t found_len, found_cap;
    uint64_t keys, bytes;
};

enum { TAG_SCAN, TAG_SIZE, TAG_INFO };

void flk_redis_key(const uint8_t id[FLK_STORE_KEY_BYTES], char key[FLK_REDIS_KEY_BYTES]) {
    char hex[2 * FLK_STORE_KEY_BYTES + 1];
    sodium_bin2hex(hex, sizeof hex, id, FLK_STORE_KEY_BYTES);
    memcpy(key, "flk:", FLK_REDIS_KEY_PREFIX);
    memcpy(key + FLK_REDIS_KEY_PREFIX, hex, sizeof hex - 1);
}

/* False when the key is no outcome's. */
static bool parse_key(const redisReply *key, uint8_t id[FLK_STORE_KEY_BYTES]) {
    char again[FLK_REDIS_KEY_BYTES];
    size_t bytes;
    if (key->type != REDIS_REPLY_STRING || key->len != FLK_REDIS_KEY_BYTES ||
        sodium_hex2bin(id, FLK_STORE_KEY_BYTES, key->str + FLK_REDIS_KEY_PREFIX, 2 * FLK_STORE_KEY_BYTES, NULL, &bytes,
                       NULL) != 0 ||
        bytes != FLK_STORE_KEY_BYTES) {
        return false;
    }
    flk_redis_key(id, again);
    return memcmp(again, key->str, sizeof again) == 0; /* lowercase, and the prefix */
}

static flk_err_t senseless(char *errmsg) {
    flk_errmsg(errmsg, "a reply of another kind than its command has");
    return FLK_E_CORRUPT;
}

static flk_err_t take_keys(struct browse *browse, const redisReply *keys, char *errmsg) {
    if (keys->elements > browse->found_cap) {
        struct found *grown = realloc(browse->found, keys->elements * sizeof *grown);
        if (grown == NULL) {
            flk_errmsg(errmsg, "out of memory");
            return FLK_E_NOMEM;
        }
        browse->found = grown;
        browse->found_cap = keys->elements;
    }
    browse->found_len = 0;
    for (size_t i = 0; i < keys->elements; i++) {
        struct found *found = &browse->found[browse->found_len];
        found->has_value = false;
        browse->found_len += parse_key(keys->element[i], found->id);
    }
    return FLK_OK;
}

static flk_err_t on_scan(void *arg, flk_redis_link_t *link, uint32_t tag, const redisReply *reply, char *errmsg) {
    struct browse *browse = arg;
    (void)link;
    (void)tag;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_ARRAY) {
        return senseless(errmsg);
    }
    snprintf(browse->cursor, sizeof browse->cursor, "%s", reply->element[0]->str);
    return take_keys(browse, reply->element[1], errmsg);
}

/* Even tags are values, odd ones times to live. */
static flk_err_t on_outcome(void *arg, flk_redis_link_t *link, uint32_t tag, const redisReply *reply, char *errmsg) {
    struct found *found = &((struct browse *)arg)->found[tag / 2];
    (void)link;
    if (tag % 2 == 1) {
        found->left_ms = reply->integer;
        return reply->type == REDIS_REPLY_INTEGER ? FLK_OK : senseless(errmsg);
    }
    if (reply->type == REDIS_REPLY_STRING && reply->len <= FLK_STORE_VALUE_BYTES_MAX) {
        found->has_value = true;
        found->value_bytes = (uint16_t)reply->len;
        memcpy(found->value, reply->str, reply->len);
    }
    return FLK_OK;
}

static flk_err_t on_figure(void *arg, flk_redis_link_t *link, uint32_t tag, const redisReply *reply, char *errmsg) {
    struct browse *browse = arg;
    (void)link;
    (void)errmsg;
    if (tag == TAG_SIZE && reply->type == REDIS_REPLY_INTEGER) {
        browse->keys = (uint64_t)reply->integer;
    }
    const char *used = tag == TAG_INFO && reply->type == REDIS_REPLY_STRING ? strstr(reply->str, "used_memory:") : NULL;
    if (used != NULL) {
        browse->bytes = strtoull(used + strlen("used_memory:"), NULL, 10);
    }
    return FLK_OK;
}

static void begin(flk_redis_roundtrip_t *trip, flk_redis_link_t *link, const flk_store_t *store,
                  flk_redis_reply_fn *on_reply, struct browse *browse, char *errmsg) {
    flk_redis_roundtrip_begin(trip, link, 1, flk_mono_ms() + store->timeout_ms, &store->metrics, on_reply, browse,
                              errmsg);
    flk_redis_roundtrip_use(trip, link);
}

static flk_err_t read_page(flk_redis_link_t *link, const flk_store_t *store, struct browse *browse, char *errmsg) {
    flk_redis_roundtrip_t trip;
    char count[16];
    snprintf(count, sizeof count, "%d", PAGE_KEYS);
    begin(&trip, link, store, on_scan, browse, errmsg);
    flk_redis_roundtrip_add(&trip, link, TAG_SCAN, 6,
                            (const char *[]){"SCAN", browse->cursor, "MATCH", "flk:*", "COUNT", count}, NULL);
    flk_err_t err = flk_redis_roundtrip_end(&trip);
    if (err != FLK_OK) {
        return err;
    }
    begin(&trip, link, store, on_outcome, browse, errmsg);
    for (size_t i = 0; i < browse->found_len; i++) {
        char key[FLK_REDIS_KEY_BYTES];
        flk_redis_key(browse->found[i].id, key);
        flk_redis_roundtrip_add(&trip, link, (uint32_t)(2 * i), 2, (const char *[]){"GET", key},
                                (size_t[]){3, sizeof key});
        flk_redis_roundtrip_add(&trip, link, (uint32_t)(2 * i + 1), 2, (const char *[]){"PTTL", key},
                                (size_t[]){4, sizeof key});
    }
    return flk_redis_roundtrip_end(&trip);
}

flk_err_t flk_redis_visit(flk_redis_link_t *link, const flk_store_t *store, flk_store_visit_fn *visit, void *arg,
                          bool *go_on, char *errmsg) {
    struct browse browse = {.cursor = "0"};
    flk_err_t err;
    do {
        err = read_page(link, store, &browse, errmsg);
        for (size_t i = 0; err == FLK_OK && *go_on && i < browse.found_len; i++) {
            const struct found *found = &browse.found[i];
            if (found->has_value && found->left_ms > 0) {
                *go_on = visit(arg, found->id, found->value, found->value_bytes, flk_wall_ms() + found->left_ms);
            }
        }
    } while (err == FLK_OK && *go_on && strcmp(browse.cursor, "0") != 0);
    free(browse.found);
    return err;
}

flk_err_t flk_redis_measure(flk_redis_link_t *link, const flk_store_t *store, uint64_t *keys, uint64_t *bytes,
                            char *errmsg) {
    struct browse browse = {0};
    flk_redis_roundtrip_t trip;
    begin(&trip, link, store, on_figure, &browse, errmsg);
    flk_redis_roundtrip_add(&trip, link, TAG_SIZE, 1, (const char *[]){"DBSIZE"}, NULL);
    flk_redis_roundtrip_add(&trip, link, TAG_INFO, 2, (const char *[]){"INFO", "memory"}, NULL);
    flk_err_t err = flk_redis_roundtrip_end(&trip);
    *keys = browse.keys;
    *bytes = browse.bytes;
    return err;
}
