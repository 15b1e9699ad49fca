/* SPDX-License-Identifier: MIT */
#include "gateway/replay/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool is_set_aside(const char *segment) {
    const char *dot = strrchr(segment, '.');
    return dot != NULL && strcmp(dot, ".damaged") == 0;
}

bool flk_filter_matches_outside(const flk_filter_t *filter, const flk_journal_record_t *record) {
    bool segment = filter->segment != NULL ? strcmp(filter->segment, record->segment) == 0
                                           : !is_set_aside(record->segment); /* recovery copied its good records */
    bool time = (filter->since_ms == 0 || record->time_ms >= filter->since_ms) &&
                (filter->until_ms == 0 || record->time_ms < filter->until_ms);
    bool status = filter->status == 0 || (record->acked && record->mark.status == filter->status);
    bool reasons = filter->reasons == 0 || (record->acked && (record->mark.detail & filter->reasons) != 0);
    return segment && time && status && reasons && !(filter->unacked && record->acked) &&
           (filter->lsn == 0 || filter->lsn == record->lsn);
}

bool flk_filter_needs_pcs(const flk_filter_t *filter) {
    return filter->id != NULL || filter->shard != NULL;
}

bool flk_filter_matches_inside(const flk_filter_t *filter, const flk_journal_record_t *record) {
    if (!flk_filter_needs_pcs(filter)) {
        return true;
    }
    return record->pcs != NULL &&
           (filter->id == NULL || strncmp(record->pcs->id, filter->id, strlen(filter->id)) == 0) &&
           (filter->shard == NULL || strcmp(record->pcs->shard_id, filter->shard) == 0);
}

bool flk_filter_is_empty(const flk_filter_t *filter) {
    return filter->since_ms == 0 && filter->until_ms == 0 && !flk_filter_needs_pcs(filter) && filter->segment == NULL &&
           filter->status == 0 && !filter->unacked && filter->reasons == 0 && filter->lsn == 0;
}

/* ---- values ---- */

/* The text behind the seconds: nothing, Z, or an offset from UTC; a fraction before it is dropped. */
static bool parse_zone(const char *text, int64_t *offset_s) {
    *offset_s = 0;
    if (*text == '.') {
        text += 1 + strspn(text + 1, "0123456789");
    }
    if (strcmp(text, "Z") == 0 || *text == '\0') {
        return true;
    }
    int hours, minutes, used = 0;
    char sign;
    if (sscanf(text, "%c%2d:%2d%n", &sign, &hours, &minutes, &used) != 3 || text[used] != '\0' ||
        (sign != '+' && sign != '-') || hours < 0 || minutes < 0) {
        return false;
    }
    *offset_s = (sign == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
    return true;
}

static bool parse_date(const char *text, int64_t *time_ms) {
    struct tm date = {0};
    int64_t offset_s = 0;
    const char *rest = strptime(text, "%Y-%m-%d", &date);
    if (rest != NULL && *rest == 'T') {
        rest = strptime(rest, "T%H:%M:%S", &date);
    } else if (rest != NULL && *rest != '\0') {
        return false;
    }
    if (rest == NULL || !parse_zone(rest, &offset_s)) {
        return false;
    }
    *time_ms = ((int64_t)timegm(&date) - offset_s) * 1000;
    return true;
}

bool flk_filter_parse_time(const char *text, int64_t now_ms, int64_t *time_ms) {
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 11 || text[digits] == '-') {
        return parse_date(text, time_ms);
    }
    int64_t number = strtoll(text, NULL, 10);
    if (text[digits] == '\0') {
        *time_ms = number * 1000;
        return true;
    }
    for (size_t i = 0; i < FLK_COUNT_OF(units); i++) {
        if (text[digits] == units[i].unit && text[digits + 1] == '\0') {
            *time_ms = now_ms - number * units[i].ms;
            return true;
        }
    }
    return false;
}

bool flk_filter_parse_status(const char *text, flk_filter_t *filter) {
    if (strcmp(text, "unacked") == 0) {
        filter->unacked = true;
        return true;
    }
    bool number = strlen(text) == 3 && strspn(text, "0123456789") == 3 && text[0] != '0';
    filter->status = number ? (uint16_t)strtoul(text, NULL, 10) : 0;
    return number;
}

bool flk_filter_parse_reason(const char *text, flk_filter_t *filter) {
    for (unsigned reason = 0; reason < FLK_REASON_COUNT; reason++) {
        if (strcmp(text, flk_reason_name((flk_reason_t)reason)) == 0) {
            filter->reasons |= 1u << reason;
            return true;
        }
    }
    return false;
}
