/* SPDX-License-Identifier: MIT */
/* One pass into the caller's buffer, without stdio: the feed prints a hundred thousand of these a second. Every text in
 * an event is plain ASCII by the rules of its own reader (pcs_id, shard_id, policy_version, key), so nothing needs an
 * escape. */
#include "follow/event.h"

#include <sodium.h>
#include <string.h>
#include <time.h>

#include "common/number.h"
#include "proto/frame.h"
#include "proto/inbox_format.h"

/* ---- parts; each returns the end ---- */

static char *put(char *at, const char *text) {
    size_t bytes = strlen(text);
    memcpy(at, text, bytes);
    return at + bytes;
}

static char *put_uint(char *at, uint64_t value) {
    return at + flk_integer_print(value, at);
}

static char *put_real(char *at, bool there, double value) {
    char number[FLK_NUMBER_BYTES];
    if (!there) {
        return put(at, "null");
    }
    size_t bytes = flk_number_print(value, FLK_PRINT_PYTHON, number);
    memcpy(at, number, bytes);
    return at + bytes;
}

/* NULL: null. */
static char *put_text(char *at, const char *text) {
    return text == NULL ? put(at, "null") : put(put(put(at, "\""), text), "\"");
}

static char *put_digits(char *at, unsigned value, unsigned digits) {
    for (unsigned i = digits; i-- > 0; value /= 10) {
        at[i] = (char)('0' + value % 10);
    }
    return at + digits;
}

char *flk_event_print_time(int64_t time_ms, char out[FLK_EVENT_TIME_BYTES]) {
    static _Thread_local int64_t printed_s = -1; /* groups share their second, and gmtime is slow */
    static _Thread_local char text[FLK_EVENT_TIME_BYTES];
    int64_t seconds = time_ms / 1000;
    if (seconds != printed_s) {
        const time_t time_s = (time_t)seconds;
        struct tm date;
        gmtime_r(&time_s, &date);
        char *at = put_digits(text, (unsigned)date.tm_year + 1900, 4);
        at = put_digits(put(at, "-"), (unsigned)date.tm_mon + 1, 2);
        at = put_digits(put(at, "-"), (unsigned)date.tm_mday, 2);
        at = put_digits(put(at, "T"), (unsigned)date.tm_hour, 2);
        at = put_digits(put(at, ":"), (unsigned)date.tm_min, 2);
        at = put_digits(put(at, ":"), (unsigned)date.tm_sec, 2);
        printed_s = seconds;
    }
    memcpy(out, text, FLK_EVENT_TIME_BYTES);
    return put(put_digits(put(out + 19, "."), (unsigned)(time_ms % 1000), 3), "Z");
}

static char *put_time(char *at, int64_t time_ms) {
    return time_ms <= 0 ? put(at, "null") : put(flk_event_print_time(time_ms, put(at, "\"")), "\"");
}

static const struct {
    uint16_t flag;
    const char *name;
} flag_names[] = {
    {FLK_FLAG_DUPLICATE, "duplicate"}, {FLK_FLAG_CONFLICT, "conflict"}, {FLK_FLAG_DEAD_LETTER, "dead_letter"}};

static char *put_flags(char *at, uint16_t flags) {
    const char *separator = "[\"";
    for (size_t i = 0; i < FLK_COUNT_OF(flag_names); i++) {
        if ((flags & flag_names[i].flag) != 0) {
            at = put(put(at, separator), flag_names[i].name);
            separator = "\",\"";
        }
    }
    return put(at, separator[0] == '[' ? "[]" : "\"]");
}

/* `rules`: their names, as an outcome has them; NULL: not known. */
static char *put_reasons(char *at, uint32_t reasons, const char *rules) {
    const char *separator = "[\"", *reason;
    flk_reason_each_t each = {0};
    while ((reason = flk_reason_each(&each, reasons, rules)) != NULL) {
        at = put(put(at, separator), reason);
        separator = "\",\"";
    }
    return put(at, separator[0] == '[' ? "[]" : "\"]");
}

static const char *door_of(uint8_t kind) {
    return kind == FLK_BODY_JSON ? "http" : kind == FLK_BODY_MSGPACK ? "zmq" : NULL;
}

/* ---- the whole ---- */

static char *put_name(char *at, const flk_event_t *event) {
    uint8_t log_id[sizeof event->log_id];
    for (unsigned i = 0; i < sizeof log_id; i++) {
        log_id[i] = (uint8_t)(event->log_id >> (56 - 8 * i));
    }
    at = put(at, "{\"log\":\"");
    sodium_bin2hex(at, 2 * sizeof log_id + 1, log_id, sizeof log_id);
    at = put_uint(put(at + 2 * sizeof log_id, "\",\"lsn\":"), event->lsn);
    at = put_uint(put(at, ",\"record_lsn\":"), event->record_lsn);
    at = put_time(put(at, ",\"time\":"), event->time_ms);
    return put_time(put(at, ",\"received\":"), event->received_ms);
}

static char *put_id(char *at, const uint8_t *pcs_id) {
    if (pcs_id == NULL) {
        return put(at, ",\"pcs_id\":null");
    }
    at = put(at, ",\"pcs_id\":\"");
    sodium_bin2hex(at, FLK_PCS_ID_HEX + 1, pcs_id, FLK_PCS_ID_BYTES);
    return put(at + FLK_PCS_ID_HEX, "\"");
}

size_t flk_event_print(const flk_event_t *event, char out[FLK_EVENT_JSON_BYTES]) {
    const flk_pcs_t *pcs = event->pcs;
    const flk_outcome_t *outcome = event->outcome;
    char *at = put_id(put_name(out, event), event->pcs_id);
    at = put_text(put(at, ",\"shard_id\":"), pcs != NULL ? pcs->shard_id : NULL);
    at = put(at, ",\"epoch\":");
    at = pcs != NULL ? put_uint(at, pcs->epoch) : put(at, "null");
    at = put_uint(put(at, ",\"status\":"), event->status);
    at = put_flags(put(at, ",\"flags\":"), event->flags);
    at = put_reasons(put(at, ",\"reasons\":"), event->reasons, outcome != NULL ? outcome->rules : NULL);
    at = put_real(put(at, ",\"d_hat\":"), outcome != NULL && outcome->has_d_hat, outcome != NULL ? outcome->d_hat : 0);
    at = put_real(put(at, ",\"budget\":"), outcome != NULL, outcome != NULL ? outcome->budget : 0);
    at = put_real(put(at, ",\"budget_claimed\":"), pcs != NULL, pcs != NULL ? flk_round9(pcs->budget) : 0);
    at = put_text(put(at, ",\"regime\":"), outcome != NULL ? flk_regime_name(outcome->regime) : NULL);
    at = put_real(put(at, ",\"coh_star\":"), pcs != NULL, pcs != NULL ? flk_round9(pcs->coh_star) : 0);
    at = put_real(put(at, ",\"r\":"), pcs != NULL, pcs != NULL ? flk_round9(pcs->r) : 0);
    at = put_text(put(at, ",\"policy_version\":"), outcome != NULL ? outcome->policy_version : NULL);
    at = put_text(put(at, ",\"key\":"), event->key);
    at = put_text(put(at, ",\"door\":"), door_of(event->kind));
    at = put(at, "}");
    FLK_ASSERT(at - out < FLK_EVENT_JSON_BYTES);
    return (size_t)(at - out);
}
