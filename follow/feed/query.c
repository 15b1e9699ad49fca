/* SPDX-License-Identifier: MIT */
#include "follow/feed/query.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/percent.h"

enum { VALUE_BYTES = 256, NAME_BYTES = 16 };

static bool refuse(flk_feed_fault_t *fault, const char *field, const char *format, ...) FLK_PRINTF(3, 4);
static bool refuse(flk_feed_fault_t *fault, const char *field, const char *format, ...) {
    va_list args;
    va_start(args, format);
    snprintf(fault->field, sizeof fault->field, "%s", field);
    vsnprintf(fault->reason, sizeof fault->reason, format, args);
    va_end(args);
    return false;
}

/* ---- values ---- */

static bool read_uint(const char *text, uint64_t *value) {
    uint64_t sum = 0;
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > 19 || text[len] != '\0') { /* 19 digits never wrap */
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        sum = sum * 10 + (uint64_t)(text[i] - '0');
    }
    *value = sum;
    return true;
}

static bool take_after(flk_feed_query_t *query, char *value, flk_feed_fault_t *fault) {
    if (strcmp(value, "end") == 0) {
        query->start = FLK_FEED_END;
        return true;
    }
    query->start = FLK_FEED_AFTER;
    return read_uint(value, &query->after) || refuse(fault, "after", "must be an LSN or the word end");
}

static bool take_bounded(uint32_t *out, const char *name, const char *value, uint64_t min, uint64_t max,
                         flk_feed_fault_t *fault) {
    uint64_t number;
    if (!read_uint(value, &number) || number < min || number > max) {
        return refuse(fault, name, "must be an integer from %llu to %llu", (unsigned long long)min,
                      (unsigned long long)max);
    }
    *out = (uint32_t)number;
    return true;
}

static bool take_limit(flk_feed_query_t *query, char *value, flk_feed_fault_t *fault) {
    return take_bounded(&query->limit, "limit", value, 1, FLK_FEED_LIMIT_MAX, fault);
}

static bool take_wait(flk_feed_query_t *query, char *value, flk_feed_fault_t *fault) {
    return take_bounded(&query->wait_s, "wait", value, 0, FLK_FEED_WAIT_S_MAX, fault);
}

static bool take_status(flk_feed_query_t *query, char *value, flk_feed_fault_t *fault) {
    char *item, *rest = value;
    while ((item = strsep(&rest, ",")) != NULL) {
        uint64_t status;
        if (query->statuses_len == FLK_FEED_STATUSES_MAX || !read_uint(item, &status) || status < 100 || status > 599) {
            return refuse(fault, "status", "must be up to %d HTTP statuses with commas between them",
                          FLK_FEED_STATUSES_MAX);
        }
        query->statuses[query->statuses_len++] = (uint16_t)status;
    }
    return true;
}

static bool take_shard(flk_feed_query_t *query, char *value, flk_feed_fault_t *fault) {
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
    size_t len = strspn(value, chars);
    query->shard_is_prefix = value[len] == '*';
    if (len == 0 || len > FLK_PCS_SHARD_MAX || value[len + query->shard_is_prefix] != '\0') {
        return refuse(fault, "shard", "must be a shard_id, or its beginning and a *");
    }
    memcpy(query->shard, value, len);
    return true;
}

static bool take_reason(flk_feed_query_t *query, char *value, flk_feed_fault_t *fault) {
    char *item, *rest = value;
    while ((item = strsep(&rest, ",")) != NULL) {
        unsigned reason = 0;
        while (reason < FLK_REASON_COUNT && strcmp(item, flk_reason_name((flk_reason_t)reason)) != 0) {
            reason++;
        }
        if (reason == FLK_REASON_COUNT) {
            return refuse(fault, "reason", "must be names of reasons with commas between them");
        }
        query->reasons |= 1u << reason;
    }
    return true;
}

static const struct parameter {
    const char *name;
    bool (*take)(flk_feed_query_t *query, char *value, flk_feed_fault_t *fault);
} parameters[] = {{"after", take_after},   {"limit", take_limit}, {"wait", take_wait},
                  {"status", take_status}, {"shard", take_shard}, {"reason", take_reason}};

/* ---- the query ---- */

static bool take_pair(flk_feed_query_t *query, const char *pair, size_t bytes, unsigned *seen,
                      flk_feed_fault_t *fault) {
    const char *equals = memchr(pair, '=', bytes);
    size_t name_bytes = equals != NULL ? (size_t)(equals - pair) : bytes;
    char value[VALUE_BYTES];
    for (size_t i = 0; i < FLK_COUNT_OF(parameters); i++) {
        const struct parameter *parameter = &parameters[i];
        if (strlen(parameter->name) != name_bytes || memcmp(parameter->name, pair, name_bytes) != 0) {
            continue;
        }
        if ((*seen & 1u << i) != 0) {
            return refuse(fault, parameter->name, "must not come twice");
        }
        *seen |= 1u << i;
        if (equals == NULL || !flk_percent_decode(equals + 1, bytes - name_bytes - 1, value, sizeof value)) {
            return refuse(fault, parameter->name, "has no value, or one that is malformed");
        }
        return parameter->take(query, value, fault);
    }
    return refuse(fault, "", "the parameters are after, limit, wait, status, shard and reason");
}

flk_err_t flk_feed_query_parse(const char *target, flk_feed_query_t *query, flk_feed_fault_t *fault) {
    const char *at = strchr(target, '?');
    unsigned seen = 0;
    *query = (flk_feed_query_t){.limit = FLK_FEED_LIMIT};
    while (at != NULL) {
        const char *pair = at + 1;
        size_t bytes = strcspn(pair, "&");
        if (bytes > 0 && !take_pair(query, pair, bytes, &seen, fault)) {
            return FLK_E_INVALID;
        }
        at = pair[bytes] == '&' ? pair + bytes : NULL;
    }
    return FLK_OK;
}

/* ---- the filters ---- */

static bool has_status(const flk_feed_query_t *query, uint16_t status) {
    for (size_t i = 0; i < query->statuses_len; i++) {
        if (query->statuses[i] == status) {
            return true;
        }
    }
    return query->statuses_len == 0;
}

static bool has_shard(const flk_feed_query_t *query, const flk_pcs_t *pcs) {
    if (query->shard[0] == '\0') {
        return true;
    }
    size_t len = strlen(query->shard);
    return pcs != NULL && strncmp(pcs->shard_id, query->shard, len) == 0 &&
           (query->shard_is_prefix || pcs->shard_id[len] == '\0');
}

bool flk_feed_query_wants(const flk_feed_query_t *query, const flk_event_t *event) {
    return has_status(query, event->status) && has_shard(query, event->pcs) &&
           (query->reasons == 0 || (query->reasons & event->reasons) != 0);
}
