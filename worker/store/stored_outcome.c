/* SPDX-License-Identifier: MIT */
#include "worker/store/stored_outcome.h"

#include <endian.h>
#include <math.h>
#include <sodium.h>
#include <string.h>

enum { LAYOUT = 1, MAP_MIN = 0x80 };

_Static_assert((int)FLK_STORE_KEY_BYTES == (int)FLK_PCS_ID_BYTES, "a store's key is a raw pcs_id");
_Static_assert((int)FLK_STORED_OUTCOME_BYTES_MAX <= (int)FLK_STORE_VALUE_BYTES_MAX, "a store's value holds an outcome");
_Static_assert((int)FLK_OUTCOME_BYTES <= (int)FLK_STORE_VALUE_BYTES_MAX, "… and one of the first version");
_Static_assert(FLK_REASON_COUNT <= 32, "reasons are 32 bits");

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t bytes_len) {
    memcpy(at, bytes, bytes_len);
    return at + bytes_len;
}

static uint8_t *put_real(uint8_t *at, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = htobe64(bits);
    return put_bytes(at, &bits, sizeof bits);
}

size_t flk_stored_outcome_write(const flk_outcome_record_t *record, uint8_t out[FLK_STORED_OUTCOME_BYTES_MAX]) {
    const flk_outcome_t *outcome = &record->outcome;
    uint32_t reasons = htobe32(outcome->reasons);
    uint8_t *at = out;
    *at++ = LAYOUT;
    *at++ = (uint8_t)outcome->regime;
    *at++ = outcome->has_d_hat;
    at = put_bytes(at, &reasons, sizeof reasons);
    at = put_real(at, outcome->has_d_hat ? outcome->d_hat : 0);
    at = put_real(at, outcome->budget);
    at = put_real(at, outcome->budget_claimed);
    at = put_bytes(at, record->origin.bytes, FLK_ID_BYTES);
    at = put_bytes(at, record->digest, FLK_DIGEST_BYTES);
    at = put_bytes(at, outcome->policy_version, strlen(outcome->policy_version));
    return (size_t)(at - out);
}

static const uint8_t *take_bytes(const uint8_t *at, void *bytes, size_t bytes_len) {
    memcpy(bytes, at, bytes_len);
    return at + bytes_len;
}

static const uint8_t *take_real(const uint8_t *at, double *value) {
    uint64_t bits;
    at = take_bytes(at, &bits, sizeof bits);
    bits = be64toh(bits);
    memcpy(value, &bits, sizeof bits);
    return at;
}

/* False: damaged. What the wire's reader would refuse is refused here too. */
static bool take(const uint8_t *value, size_t value_bytes, flk_outcome_record_t *record) {
    flk_outcome_t *outcome = &record->outcome;
    size_t version_bytes = value_bytes - FLK_STORED_OUTCOME_HEAD_BYTES;
    if (value_bytes < FLK_STORED_OUTCOME_HEAD_BYTES || version_bytes >= sizeof outcome->policy_version ||
        value[1] > FLK_REGIME_NON_STICKY || value[2] > 1) {
        return false;
    }
    outcome->regime = (flk_regime_t)value[1];
    outcome->has_d_hat = value[2] != 0;
    const uint8_t *at = take_bytes(value + 3, &outcome->reasons, sizeof outcome->reasons);
    outcome->reasons = be32toh(outcome->reasons);
    outcome->status = outcome->reasons == 0 ? FLK_STATUS_ACCEPTED : FLK_STATUS_ESCALATED;
    at = take_real(at, &outcome->d_hat);
    at = take_real(at, &outcome->budget);
    at = take_real(at, &outcome->budget_claimed);
    at = take_bytes(at, record->origin.bytes, FLK_ID_BYTES);
    at = take_bytes(at, record->digest, FLK_DIGEST_BYTES);
    memcpy(outcome->policy_version, at, version_bytes);
    return outcome->reasons >> FLK_REASON_COUNT == 0 && isfinite(outcome->d_hat) && isfinite(outcome->budget) &&
           isfinite(outcome->budget_claimed) && memchr(at, '\0', version_bytes) == NULL;
}

flk_err_t flk_stored_outcome_read(const uint8_t key[FLK_STORE_KEY_BYTES], const uint8_t *value, size_t value_bytes,
                                  flk_outcome_record_t *record, char *errmsg) {
    char id[FLK_PCS_ID_HEX + 1];
    sodium_bin2hex(id, sizeof id, key, FLK_STORE_KEY_BYTES);
    if (value_bytes > 0 && value[0] >= MAP_MIN) {
        flk_err_t err = flk_outcome_decode(value, value_bytes, record, errmsg);
        if (err == FLK_OK && strcmp(record->pcs_id, id) != 0) {
            flk_errmsg(errmsg, "outcome of another id");
            err = FLK_E_INVALID;
        }
        return err;
    }
    memset(record, 0, sizeof *record);
    memcpy(record->pcs_id, id, sizeof id);
    if (value_bytes == 0 || value[0] != LAYOUT || !take(value, value_bytes, record)) {
        flk_errmsg(errmsg, "outcome is damaged, or of a later version");
        return FLK_E_INVALID;
    }
    return FLK_OK;
}
