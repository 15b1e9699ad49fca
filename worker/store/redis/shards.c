/* SPDX-License-Identifier: MIT */
#include "worker/store/redis/shards.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "common/percent.h"

enum { DEFAULT_PORT = 6379, DATABASE_MAX = 1000000 };

/* A decimal number that is all of text; false otherwise, or beyond max. */
static bool parse_number(const char *text, size_t text_bytes, uint32_t max, uint32_t *number) {
    uint64_t value = 0;
    for (size_t i = 0; i < text_bytes; i++) {
        if (!isdigit((unsigned char)text[i]) || (value = 10 * value + (uint64_t)(text[i] - '0')) > max) {
            return false;
        }
    }
    *number = (uint32_t)value;
    return text_bytes > 0;
}

/* "user:password", ":password" or "password": Redis before 6 had no users. */
static bool parse_credentials(const char *text, size_t text_bytes, flk_redis_shard_t *shard) {
    const char *colon = memchr(text, ':', text_bytes);
    shard->user[0] = '\0';
    if (colon == NULL) {
        return flk_percent_decode(text, text_bytes, shard->password, sizeof shard->password);
    }
    size_t user_bytes = (size_t)(colon - text);
    return flk_percent_decode(text, user_bytes, shard->user, sizeof shard->user) &&
           flk_percent_decode(colon + 1, text_bytes - user_bytes - 1, shard->password, sizeof shard->password);
}

/* "host", "host:port", "[v6]" or "[v6]:port". */
static bool parse_host(const char *text, size_t text_bytes, flk_redis_shard_t *shard) {
    const char *end = text + text_bytes, *host = text, *host_end, *rest;
    if (text_bytes > 0 && text[0] == '[') {
        host = text + 1;
        host_end = memchr(text, ']', text_bytes);
        if (host_end == NULL) {
            return false;
        }
        rest = host_end + 1;
    } else {
        host_end = memchr(text, ':', text_bytes);
        host_end = host_end != NULL ? host_end : end;
        rest = host_end;
    }
    size_t host_bytes = (size_t)(host_end - host);
    if (host_bytes == 0 || host_bytes >= sizeof shard->host) {
        return false;
    }
    memcpy(shard->host, host, host_bytes);
    shard->host[host_bytes] = '\0';
    uint32_t port = DEFAULT_PORT;
    if (rest < end && (*rest != ':' || !parse_number(rest + 1, (size_t)(end - rest) - 1, UINT16_MAX, &port))) {
        return false;
    }
    shard->port = (uint16_t)port;
    return port != 0;
}

static bool parse_url(const char *rest, flk_redis_shard_t *shard) {
    size_t authority_bytes = strcspn(rest, "/?#");
    const char *path = rest + authority_bytes;
    const char *at = memrchr(rest, '@', authority_bytes);
    if (at != NULL) {
        if (!parse_credentials(rest, (size_t)(at - rest), shard)) {
            return false;
        }
        authority_bytes -= (size_t)(at + 1 - rest);
        rest = at + 1;
    }
    if (strcmp(path, "") != 0 && strcmp(path, "/") != 0 &&
        (*path != '/' || !parse_number(path + 1, strlen(path + 1), DATABASE_MAX, &shard->database))) {
        return false;
    }
    return parse_host(rest, authority_bytes, shard);
}

flk_err_t flk_redis_shard_parse(const char *address, const flk_redis_defaults_t *defaults, flk_redis_shard_t *shard,
                                char *errmsg) {
    *shard = (flk_redis_shard_t){.database = defaults->database};
    if (strlen(defaults->user) >= sizeof shard->user || strlen(defaults->password) >= sizeof shard->password) {
        flk_errmsg(errmsg, "FLK_REDIS_USER or FLK_REDIS_PASSWORD is too long");
        return FLK_E_CONFIG;
    }
    snprintf(shard->user, sizeof shard->user, "%s", defaults->user);
    snprintf(shard->password, sizeof shard->password, "%s", defaults->password);
    shard->tls = strncasecmp(address, "rediss://", 9) == 0;
    bool url = shard->tls || strncasecmp(address, "redis://", 8) == 0;
    bool fine = url ? parse_url(address + (shard->tls ? 9 : 8), shard) : parse_host(address, strlen(address), shard);
    if (!fine) {
        flk_errmsg(errmsg, "not host:port, nor redis:// or rediss:// with host, port and database");
        return FLK_E_CONFIG;
    }
    const char *format = strchr(shard->host, ':') != NULL ? "[%s]:%u/%u" : "%s:%u/%u";
    snprintf(shard->name, sizeof shard->name, format, shard->host, shard->port, shard->database);
    shard->seed = XXH64(shard->name, strlen(shard->name), 0);
    return FLK_OK;
}

size_t flk_redis_shard_pick(const flk_redis_shard_t *const *shards, size_t shards_len, const uint8_t *id,
                            size_t id_bytes) {
    size_t best = 0;
    uint64_t best_weight = 0;
    for (size_t i = 0; i < shards_len; i++) {
        uint64_t weight = XXH64(id, id_bytes, shards[i]->seed);
        if (i == 0 || weight > best_weight ||
            (weight == best_weight && strcmp(shards[i]->name, shards[best]->name) < 0)) {
            best = i;
            best_weight = weight;
        }
    }
    return best;
}
