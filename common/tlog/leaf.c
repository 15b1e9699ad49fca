/* SPDX-License-Identifier: MIT */
/* Writing is put together by hand: it is done for every outcome. Reading is jansson's, and each leaf read is printed
 * again and compared, so that it needs no rule of its own for order, blanks, numbers and unknown members. */
#include "common/tlog/leaf.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/number.h"

enum {
    ESCAPED_BYTES = 6, /* of a byte of a text, at most */
    LOG_HEX = 16,
    NUMBERS = 3,
    NAMES_BYTES = 440, /* all member names, punctuation, words */
    BOUND = NAMES_BYTES + 3 * 64 + LOG_HEX + 5 * FLK_INTEGER_BYTES + NUMBERS * 24 + FLK_TLOG_LEAF_KEY_BYTES +
            FLK_POLICY_VERSION_BYTES + FLK_RULES_BYTES,
};
_Static_assert((int)BOUND <= (int)FLK_TLOG_LEAF_BYTES_MAX, "the longest leaf fits");

static const char *const flag_names[] = {
#define FLAG_NAME(id, name) name,
    FLK_TLOG_FLAGS(FLAG_NAME)
#undef FLAG_NAME
};

static char *put(char *at, const char *text) {
    size_t bytes = strlen(text);
    memcpy(at, text, bytes);
    return at + bytes;
}

/* `name` has its comma, quotes and colon. */
static char *put_integer(char *at, const char *name, uint64_t value) {
    at = put(at, name);
    return at + flk_integer_print(value, at);
}

static char *put_number(char *at, const char *name, double value) {
    at = put(at, name);
    return at + flk_number_print(value, FLK_PRINT_ES, at);
}

static char *put_text(char *at, const char *name, const char *text) {
    at = put(at, name);
    *at++ = '"';
    at = put(at, text);
    *at++ = '"';
    return at;
}

static char *put_hex(char *at, const char *name, const uint8_t bytes[FLK_DIGEST_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    at = put(at, name);
    *at++ = '"';
    for (size_t i = 0; i < FLK_DIGEST_BYTES; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    *at++ = '"';
    return at;
}

static char *put_list(char *at, const char *name, uint32_t bits, unsigned names_len, const char *(*name_of)(unsigned)) {
    bool some = false;
    at = put(at, name);
    *at++ = '[';
    for (unsigned i = 0; i < names_len; i++) {
        if ((bits & 1u << i) != 0) {
            at = put_text(at, some ? "," : "", name_of(i));
            some = true;
        }
    }
    *at++ = ']';
    return at;
}

const char *flk_tlog_flag_name(flk_tlog_flag_t flag) {
    return flag_names[flag];
}

static const char *flag_name(unsigned flag) {
    return flag_names[flag];
}

static const char *reason_name(unsigned reason) {
    return flk_reason_name((flk_reason_t)reason);
}

static char *put_log(char *at, const char *name, uint64_t log) {
    char hex[LOG_HEX + 1];
    for (unsigned i = 0; i < LOG_HEX; i++) {
        hex[i] = "0123456789abcdef"[log >> 4 * (LOG_HEX - 1 - i) & 15];
    }
    hex[LOG_HEX] = '\0';
    return put_text(at, name, hex);
}

static char *put_gap(char *at, const flk_tlog_leaf_t *leaf) {
    at = put_integer(at, "{\"gap_first\":", leaf->gap_first);
    at = put_integer(at, ",\"gap_last\":", leaf->gap_last);
    return put_log(at, ",\"log\":", leaf->log);
}

static char *put_outcome(char *at, const flk_tlog_leaf_t *leaf) {
    const flk_outcome_t *outcome = leaf->has_outcome ? &leaf->outcome : NULL;
    char *begin = at;
    at = leaf->has_body ? put_hex(at, ",\"body_sha256\":", leaf->body_sha256) : at;
    if (outcome != NULL) {
        at = put_number(at, ",\"budget\":", outcome->budget);
        at = put_number(at, ",\"budget_claimed\":", outcome->budget_claimed);
        at = outcome->has_d_hat ? put_number(at, ",\"d_hat\":", outcome->d_hat) : put(at, ",\"d_hat\":null");
    }
    at = leaf->has_digest ? put_hex(at, ",\"digest\":", leaf->digest) : at;
    at = put_list(at, ",\"flags\":", leaf->flags, FLK_COUNT_OF(flag_names), flag_name);
    at = leaf->key[0] != '\0' ? put_text(at, ",\"key\":", leaf->key) : at;
    at = put_log(at, ",\"log\":", leaf->log);
    at = put_integer(at, ",\"lsn\":", leaf->lsn);
    at = leaf->has_pcs_id ? put_hex(at, ",\"pcs_id\":", leaf->pcs_id) : at;
    at = outcome != NULL ? put_text(at, ",\"policy_version\":", outcome->policy_version) : at;
    at = put_list(at, ",\"reasons\":", leaf->reasons, FLK_REASON_COUNT, reason_name);
    at = put_integer(at, ",\"received_ms\":", (uint64_t)leaf->received_ms);
    at = put_integer(at, ",\"record_lsn\":", leaf->record_lsn);
    at = outcome != NULL ? put_text(at, ",\"regime\":", flk_regime_name(outcome->regime)) : at;
    at = outcome != NULL && outcome->rules[0] != '\0' ? put_text(at, ",\"rules\":", outcome->rules) : at;
    at = put_integer(at, ",\"status\":", leaf->status);
    *begin = '{'; /* in place of the first comma */
    return put_integer(at, ",\"time_ms\":", (uint64_t)leaf->time_ms);
}

size_t flk_tlog_leaf_print(const flk_tlog_leaf_t *leaf, char text[FLK_TLOG_LEAF_BYTES_MAX]) {
    char *at = leaf->is_gap ? put_gap(text, leaf) : put_outcome(text, leaf);
    at = put_integer(at, ",\"v\":", FLK_TLOG_LEAF_VERSION);
    *at++ = '}';
    FLK_ASSERT(at - text <= FLK_TLOG_LEAF_BYTES_MAX);
    return (size_t)(at - text);
}

/* ---- reading: anything odd is left as it is, and differs when it is printed again ---- */

static uint64_t get_integer(const json_t *object, const char *name) {
    json_int_t value = json_integer_value(json_object_get(object, name));
    return value > 0 ? (uint64_t)value : 0;
}

static bool get_hex(const json_t *object, const char *name, uint8_t bytes[FLK_DIGEST_BYTES]) {
    const char *text = json_string_value(json_object_get(object, name));
    size_t got;
    return text != NULL && sodium_hex2bin(bytes, FLK_DIGEST_BYTES, text, strlen(text), NULL, &got, NULL) == 0 &&
           got == FLK_DIGEST_BYTES;
}

static void get_text(const json_t *object, const char *name, char *text, size_t text_bytes) {
    const char *value = json_string_value(json_object_get(object, name));
    snprintf(text, text_bytes, "%s", value != NULL ? value : "");
}

static uint64_t get_log(const json_t *object) {
    const char *text = json_string_value(json_object_get(object, "log"));
    uint8_t bytes[LOG_HEX / 2] = {0};
    size_t got = 0;
    uint64_t log = 0;
    if (text != NULL) {
        (void)!sodium_hex2bin(bytes, sizeof bytes, text, strlen(text), NULL, &got, NULL);
    }
    for (size_t i = 0; i < got; i++) {
        log = log << 8 | bytes[i];
    }
    return log;
}

static uint32_t get_list(const json_t *object, const char *name, unsigned names_len, const char *(*name_of)(unsigned)) {
    const json_t *list = json_object_get(object, name);
    uint32_t bits = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        for (unsigned bit = 0; text != NULL && bit < names_len; bit++) {
            bits |= strcmp(text, name_of(bit)) == 0 ? 1u << bit : 0;
        }
    }
    return bits;
}

static void get_outcome(const json_t *object, flk_outcome_t *outcome) {
    const json_t *d_hat = json_object_get(object, "d_hat");
    const char *regime = json_string_value(json_object_get(object, "regime"));
    outcome->has_d_hat = json_is_number(d_hat);
    outcome->d_hat = json_number_value(d_hat);
    outcome->budget = json_number_value(json_object_get(object, "budget"));
    outcome->budget_claimed = json_number_value(json_object_get(object, "budget_claimed"));
    get_text(object, "policy_version", outcome->policy_version, sizeof outcome->policy_version);
    get_text(object, "rules", outcome->rules, sizeof outcome->rules);
    if (regime != NULL) {
        (void)!flk_regime_parse(regime, strlen(regime), &outcome->regime);
    }
}

static void get_leaf(const json_t *object, flk_tlog_leaf_t *leaf) {
    memset(leaf, 0, sizeof *leaf);
    leaf->log = get_log(object);
    leaf->is_gap = json_object_get(object, "gap_first") != NULL;
    leaf->gap_first = get_integer(object, "gap_first");
    leaf->gap_last = get_integer(object, "gap_last");
    leaf->lsn = get_integer(object, "lsn");
    leaf->record_lsn = get_integer(object, "record_lsn");
    leaf->received_ms = (int64_t)get_integer(object, "received_ms");
    leaf->time_ms = (int64_t)get_integer(object, "time_ms");
    leaf->has_pcs_id = get_hex(object, "pcs_id", leaf->pcs_id);
    leaf->has_body = get_hex(object, "body_sha256", leaf->body_sha256);
    leaf->has_digest = get_hex(object, "digest", leaf->digest);
    leaf->status = (uint16_t)get_integer(object, "status");
    leaf->flags = get_list(object, "flags", FLK_COUNT_OF(flag_names), flag_name);
    leaf->reasons = get_list(object, "reasons", FLK_REASON_COUNT, reason_name);
    get_text(object, "key", leaf->key, sizeof leaf->key);
    leaf->has_outcome = json_object_get(object, "regime") != NULL;
    if (leaf->has_outcome) {
        get_outcome(object, &leaf->outcome);
        leaf->outcome.status = leaf->status;
        leaf->outcome.reasons = leaf->reasons;
    }
}

/* These texts are printed without escapes and must need none. */
static bool is_plain(const char *text) {
    char escaped[ESCAPED_BYTES * FLK_RULES_BYTES];
    size_t bytes = flk_escape(text, FLK_ESCAPE_JSON, escaped, sizeof escaped, NULL);
    return bytes == strlen(text);
}

flk_err_t flk_tlog_leaf_parse(const char *text, size_t text_bytes, flk_tlog_leaf_t *leaf, char *errmsg) {
    char again[FLK_TLOG_LEAF_BYTES_MAX];
    json_error_t error;
    json_t *object =
        text_bytes <= FLK_TLOG_LEAF_BYTES_MAX ? json_loadb(text, text_bytes, JSON_REJECT_DUPLICATES, &error) : NULL;
    if (!json_is_object(object)) {
        json_decref(object);
        flk_errmsg(errmsg, "the leaf is no JSON object of at most %d bytes", FLK_TLOG_LEAF_BYTES_MAX);
        return FLK_E_INVALID;
    }
    json_int_t version = json_integer_value(json_object_get(object, "v"));
    get_leaf(object, leaf);
    json_decref(object);
    if (version > FLK_TLOG_LEAF_VERSION) {
        flk_errmsg(errmsg, "the leaf has version %lld; this flk reads up to %d", (long long)version,
                   FLK_TLOG_LEAF_VERSION);
        return FLK_E_UNAVAILABLE;
    }
    if (!is_plain(leaf->key) || !is_plain(leaf->outcome.policy_version) || !is_plain(leaf->outcome.rules) ||
        flk_tlog_leaf_print(leaf, again) != text_bytes || memcmp(text, again, text_bytes) != 0) {
        flk_errmsg(errmsg, "the leaf is not the canonical JSON of an outcome");
        return FLK_E_INVALID;
    }
    return FLK_OK;
}
