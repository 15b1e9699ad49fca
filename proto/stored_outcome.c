/* SPDX-License-Identifier: MIT */
#include "proto/stored_outcome.h"

#include <sodium.h>
#include <string.h>

#include "common/bytes.h"

enum { LAYOUT_MIN = 1, LAYOUT_UNSIGNED = 2, LAYOUT_RULES = 3, LAYOUT_MAX = 0x0f, MAP_MIN = 0x80 };

_Static_assert(FLK_REASON_COUNT <= 32, "reasons are 32 bits");

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t bytes_len) {
    memcpy(at, bytes, bytes_len);
    return at + bytes_len;
}

static uint8_t *put_real(uint8_t *at, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    flk_put_be64(at, bits);
    return at + sizeof bits;
}

size_t flk_stored_outcome_write(const flk_outcome_record_t *record, uint8_t out[FLK_STORED_OUTCOME_BYTES_MAX]) {
    const bool fit = flk_outcome_fault(record) == NULL && record->pcs_id[0] != '\0';
    return fit ? flk_stored_outcome_put(record, out) : 0;
}

size_t flk_stored_outcome_put(const flk_outcome_record_t *record, uint8_t out[FLK_STORED_OUTCOME_BYTES_MAX]) {
    const flk_outcome_t *outcome = &record->outcome;
    uint8_t *at = out;
    const bool has_rules = outcome->rules[0] != '\0';
    *at++ = has_rules ? LAYOUT_RULES : record->has_unsigned_digest ? LAYOUT_UNSIGNED : LAYOUT_MIN;
    *at++ = (uint8_t)outcome->regime;
    *at++ = outcome->has_d_hat;
    flk_put_be32(at, outcome->reasons);
    at = put_real(at + sizeof outcome->reasons, outcome->has_d_hat ? outcome->d_hat : 0);
    at = put_real(at, outcome->budget);
    at = put_real(at, outcome->budget_claimed);
    at = put_bytes(at, record->origin.bytes, FLK_ID_BYTES);
    at = put_bytes(at, record->digest, FLK_DIGEST_BYTES);
    if (record->has_unsigned_digest) {
        at = put_bytes(at, record->unsigned_digest, FLK_UNSIGNED_DIGEST_BYTES);
    }
    at = put_bytes(at, outcome->policy_version, strlen(outcome->policy_version));
    if (has_rules) {
        *at++ = ',';
        at = put_bytes(at, outcome->rules, strlen(outcome->rules));
    }
    return (size_t)(at - out);
}

static const uint8_t *take_bytes(const uint8_t *at, void *bytes, size_t bytes_len) {
    memcpy(bytes, at, bytes_len);
    return at + bytes_len;
}

static const uint8_t *take_real(const uint8_t *at, double *value) {
    uint64_t bits = flk_get_be64(at);
    memcpy(value, &bits, sizeof bits);
    return at + sizeof bits;
}

/* The rest of the value: the policy's version, and in a layout with rules a comma and their names. */
static bool take_texts(uint8_t layout, const uint8_t *at, size_t bytes, flk_outcome_t *outcome) {
    const uint8_t *comma = layout == LAYOUT_RULES ? memchr(at, ',', bytes) : NULL;
    const size_t version_bytes = comma != NULL ? (size_t)(comma - at) : bytes;
    const size_t rules_bytes = comma != NULL ? bytes - version_bytes - 1 : 0;
    if (version_bytes >= sizeof outcome->policy_version || rules_bytes >= sizeof outcome->rules ||
        memchr(at, '\0', bytes) != NULL || (layout == LAYOUT_RULES && rules_bytes == 0)) {
        return false;
    }
    memcpy(outcome->policy_version, at, version_bytes);
    if (rules_bytes > 0) {
        memcpy(outcome->rules, at + version_bytes + 1, rules_bytes);
    }
    return true;
}

/* False: damaged. */
static bool take(const uint8_t *value, size_t value_bytes, flk_outcome_record_t *record) {
    flk_outcome_t *outcome = &record->outcome;
    record->has_unsigned_digest = value[0] >= LAYOUT_UNSIGNED;
    size_t head_bytes = FLK_STORED_OUTCOME_HEAD_BYTES;
    head_bytes -= record->has_unsigned_digest ? 0 : FLK_UNSIGNED_DIGEST_BYTES;
    if (value_bytes < head_bytes || value[1] > FLK_REGIME_NON_STICKY || value[2] > 1) {
        return false;
    }
    outcome->regime = (flk_regime_t)value[1];
    outcome->has_d_hat = value[2] != 0;
    outcome->reasons = flk_get_be32(value + 3);
    outcome->status = outcome->reasons == 0 ? FLK_STATUS_ACCEPTED : FLK_STATUS_ESCALATED;
    const uint8_t *at = take_real(value + 7, &outcome->d_hat);
    at = take_real(at, &outcome->budget);
    at = take_real(at, &outcome->budget_claimed);
    at = take_bytes(at, record->origin.bytes, FLK_ID_BYTES);
    at = take_bytes(at, record->digest, FLK_DIGEST_BYTES);
    if (record->has_unsigned_digest) {
        at = take_bytes(at, record->unsigned_digest, FLK_UNSIGNED_DIGEST_BYTES);
    }
    return take_texts(value[0], at, value_bytes - head_bytes, outcome) && flk_outcome_fault(record) == NULL;
}

static flk_err_t read_map(const char *id, const uint8_t *value, size_t value_bytes, flk_outcome_record_t *record,
                          char *errmsg) {
    flk_err_t err = flk_outcome_decode(value, value_bytes, record, errmsg);
    if (err == FLK_OK && strcmp(record->pcs_id, id) != 0) {
        flk_errmsg(errmsg, "outcome of another id");
        err = FLK_E_INVALID;
    }
    return err;
}

flk_err_t flk_stored_outcome_read(const uint8_t pcs_id[FLK_PCS_ID_BYTES], const uint8_t *value, size_t value_bytes,
                                  flk_outcome_record_t *record, char *errmsg) {
    uint8_t layout = value_bytes > 0 ? value[0] : 0;
    char id[FLK_PCS_ID_HEX + 1];
    sodium_bin2hex(id, sizeof id, pcs_id, FLK_PCS_ID_BYTES);
    if (layout >= MAP_MIN) {
        return read_map(id, value, value_bytes, record, errmsg);
    }
    memset(record, 0, sizeof *record);
    memcpy(record->pcs_id, id, sizeof id);
    if (layout > LAYOUT_RULES && layout <= LAYOUT_MAX) {
        flk_errmsg(errmsg, "outcome of a later version");
        return FLK_E_UNAVAILABLE;
    }
    if (layout < LAYOUT_MIN || layout > LAYOUT_RULES || !take(value, value_bytes, record)) {
        flk_errmsg(errmsg, "outcome is damaged");
        return FLK_E_INVALID;
    }
    return FLK_OK;
}
