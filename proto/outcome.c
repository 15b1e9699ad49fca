/* SPDX-License-Identifier: MIT */
/* The outcome body, a map:
 *
 *   pcs_id          text, 64 hex digits; "" in a dead letter, which the broker makes without reading the PCS
 *   status          200 or 202
 *   reasons         array of text, names of flk_reason_t, and rule:NAME; none exactly when status is 200
 *   d_hat           real, or nil when unverifiable
 *   budget          real
 *   budget_claimed  real
 *   regime          text
 *   policy_version  text; "" in a dead letter
 *   origin          binary, 16 bytes
 *   digest          binary, 32 bytes
 *   unsigned_digest binary, 16 bytes; optional
 *
 * Exports of stores have it, and stores of the first version: old ones must stay readable. Members may be added
 * (readers pass over unknown ones), never removed or given another meaning. The first ten are required; none comes
 * twice. */
#include "proto/body.h"

#include <math.h>
#include <string.h>

#include "proto/msgpack.h"

#define OUTCOME_MEMBERS(X)                                                                                             \
    X(PCS_ID, "pcs_id")                                                                                                \
    X(STATUS, "status")                                                                                                \
    X(REASONS, "reasons")                                                                                              \
    X(D_HAT, "d_hat")                                                                                                  \
    X(BUDGET, "budget")                                                                                                \
    X(BUDGET_CLAIMED, "budget_claimed")                                                                                \
    X(REGIME, "regime")                                                                                                \
    X(POLICY_VERSION, "policy_version")                                                                                \
    X(ORIGIN, "origin")                                                                                                \
    X(DIGEST, "digest")                                                                                                \
    X(UNSIGNED_DIGEST, "unsigned_digest")

enum member {
#define MEMBER_ID(id, name) id,
    OUTCOME_MEMBERS(MEMBER_ID)
#undef MEMBER_ID
        MEMBERS
};
static const char *const names[MEMBERS] = {
#define MEMBER_NAME(id, name) [id] = name,
    OUTCOME_MEMBERS(MEMBER_NAME)
#undef MEMBER_NAME
};
#define REQUIRED ((1u << UNSIGNED_DIGEST) - 1) /* all before it */

/* ---- checking ---- */

enum { HEX = 1, PLAIN = 2 }; /* plain: may stand in JSON and in a log line as it is */
static const uint8_t kinds[256] = {
    ['0' ... '9'] = HEX | PLAIN,
    ['a' ... 'f'] = HEX | PLAIN,
    ['g' ... 'z'] = PLAIN,
    ['A' ... 'Z'] = PLAIN,
    ['.'] = PLAIN,
    ['_'] = PLAIN,
    [':'] = PLAIN,
    ['-'] = PLAIN,
};

/* The length of the text, all of that kind and ended within its place; SIZE_MAX: it is not. */
static size_t len_of(const char *text, size_t text_bytes, uint8_t kind) {
    size_t len = 0;
    while (len < text_bytes && (kinds[(uint8_t)text[len]] & kind) != 0) {
        len++;
    }
    return len < text_bytes && text[len] == '\0' ? len : SIZE_MAX;
}

const char *flk_outcome_fault(const flk_outcome_record_t *record) {
    const flk_outcome_t *outcome = &record->outcome;
    size_t id_len = len_of(record->pcs_id, sizeof record->pcs_id, HEX);
    if (outcome->reasons >> FLK_REASON_COUNT != 0 || outcome->regime > FLK_REGIME_NON_STICKY) {
        return "an unknown reason or regime";
    }
    if (outcome->status != (outcome->reasons == 0 ? FLK_STATUS_ACCEPTED : FLK_STATUS_ESCALATED)) {
        return "a status that the reasons contradict";
    }
    if (!isfinite(outcome->d_hat) || !isfinite(outcome->budget) || !isfinite(outcome->budget_claimed)) {
        return "a number that is not finite";
    }
    if (id_len != 0 && id_len != FLK_PCS_ID_HEX) {
        return "pcs_id is not 64 hex digits";
    }
    const bool has_rules = outcome->rules[0] != '\0'; /* no version gave rules and left the digest out */
    if (!flk_rules_are_names(outcome->reasons, outcome->rules) || (has_rules && !record->has_unsigned_digest)) {
        return "names of rules that the reasons contradict";
    }
    if (len_of(outcome->policy_version, sizeof outcome->policy_version, PLAIN) == SIZE_MAX) {
        return "policy_version with a forbidden character";
    }
    return NULL;
}

/* ---- writing ---- */

/* Each comma parts two rules. */
static size_t reasons_len(const flk_outcome_t *outcome) {
    size_t len = (size_t)__builtin_popcount(outcome->reasons);
    for (const char *at = outcome->rules; (at = strchr(at, ',')) != NULL; at++) {
        len++;
    }
    return len;
}

static void put_reasons(msgpack_packer *packer, const flk_outcome_t *outcome) {
    flk_reason_each_t each = {0};
    const char *text;
    msgpack_pack_array(packer, reasons_len(outcome));
    while ((text = flk_reason_each(&each, outcome->reasons, outcome->rules)) != NULL) {
        flk_mp_put_text(packer, text);
    }
}

static void put_member(msgpack_packer *packer, enum member member, const flk_outcome_record_t *record) {
    const flk_outcome_t *outcome = &record->outcome;
    flk_mp_put_text(packer, names[member]);
    switch (member) {
    case PCS_ID:
        flk_mp_put_text(packer, record->pcs_id);
        break;
    case STATUS:
        msgpack_pack_uint16(packer, outcome->status);
        break;
    case REASONS:
        put_reasons(packer, outcome);
        break;
    case D_HAT:
        outcome->has_d_hat ? msgpack_pack_double(packer, outcome->d_hat) : msgpack_pack_nil(packer);
        break;
    case BUDGET:
        msgpack_pack_double(packer, outcome->budget);
        break;
    case BUDGET_CLAIMED:
        msgpack_pack_double(packer, outcome->budget_claimed);
        break;
    case REGIME:
        flk_mp_put_text(packer, flk_regime_name(outcome->regime));
        break;
    case POLICY_VERSION:
        flk_mp_put_text(packer, outcome->policy_version);
        break;
    case ORIGIN:
        msgpack_pack_bin_with_body(packer, record->origin.bytes, FLK_ID_BYTES);
        break;
    case DIGEST:
        msgpack_pack_bin_with_body(packer, record->digest, FLK_DIGEST_BYTES);
        break;
    case UNSIGNED_DIGEST:
        msgpack_pack_bin_with_body(packer, record->unsigned_digest, FLK_UNSIGNED_DIGEST_BYTES);
        break;
    case MEMBERS:
        break;
    }
}

size_t flk_outcome_encode(const flk_outcome_record_t *record, uint8_t out[FLK_OUTCOME_BYTES]) {
    if (flk_outcome_fault(record) != NULL) {
        return 0;
    }
    unsigned members = record->has_unsigned_digest ? MEMBERS : UNSIGNED_DIGEST;
    flk_mp_buffer_t buffer = {.at = out, .end = out + FLK_OUTCOME_BYTES};
    msgpack_packer packer;
    msgpack_packer_init(&packer, &buffer, flk_mp_write);
    msgpack_pack_map(&packer, members);
    for (unsigned member = 0; member < members; member++) {
        put_member(&packer, (enum member)member, record);
    }
    return (size_t)(buffer.at - out);
}

/* ---- reading ---- */

static void take_reasons(flk_mp_cursor_t *cursor, flk_outcome_t *outcome) {
    uint32_t len = flk_mp_array(cursor);
    for (uint32_t i = 0; i < len && cursor->error == NULL; i++) {
        char text[FLK_REASON_BYTES];
        flk_mp_text(cursor, text, sizeof text);
        if (cursor->error == NULL && !flk_reason_take(text, &outcome->reasons, outcome->rules)) {
            flk_mp_fail(cursor, "an unknown reason");
        }
    }
}

static void take_d_hat(flk_mp_cursor_t *cursor, flk_outcome_t *outcome) {
    flk_mp_cursor_t ahead = *cursor;
    flk_mp_token_t token;
    if (flk_mp_next(&ahead, &token) && token.type == FLK_MP_NIL) {
        *cursor = ahead;
        return;
    }
    outcome->has_d_hat = true;
    outcome->d_hat = flk_mp_real(cursor);
}

static void take_regime(flk_mp_cursor_t *cursor, flk_regime_t *regime) {
    char name[FLK_MP_KEY_BYTES];
    size_t len = flk_mp_text(cursor, name, sizeof name);
    if (cursor->error == NULL && !flk_regime_parse(name, len, regime)) {
        flk_mp_fail(cursor, "an unknown regime");
    }
}

static void take_bytes(flk_mp_cursor_t *cursor, uint8_t *out, uint32_t out_bytes) {
    uint32_t len;
    const uint8_t *bytes = flk_mp_bin(cursor, &len);
    if (bytes == NULL || len != out_bytes) {
        flk_mp_fail(cursor, "binary of another length");
        return;
    }
    memcpy(out, bytes, out_bytes);
}

static void take_member(flk_mp_cursor_t *cursor, enum member member, flk_outcome_record_t *record) {
    flk_outcome_t *outcome = &record->outcome;
    switch (member) {
    case PCS_ID:
        flk_mp_text(cursor, record->pcs_id, sizeof record->pcs_id);
        break;
    case STATUS:
        outcome->status = (uint16_t)flk_mp_uint(cursor, 599);
        break;
    case REASONS:
        take_reasons(cursor, outcome);
        break;
    case D_HAT:
        take_d_hat(cursor, outcome);
        break;
    case BUDGET:
        outcome->budget = flk_mp_real(cursor);
        break;
    case BUDGET_CLAIMED:
        outcome->budget_claimed = flk_mp_real(cursor);
        break;
    case REGIME:
        take_regime(cursor, &outcome->regime);
        break;
    case POLICY_VERSION:
        flk_mp_text(cursor, outcome->policy_version, sizeof outcome->policy_version);
        break;
    case ORIGIN:
        take_bytes(cursor, record->origin.bytes, FLK_ID_BYTES);
        break;
    case DIGEST:
        take_bytes(cursor, record->digest, FLK_DIGEST_BYTES);
        break;
    case UNSIGNED_DIGEST:
        take_bytes(cursor, record->unsigned_digest, FLK_UNSIGNED_DIGEST_BYTES);
        record->has_unsigned_digest = true;
        break;
    case MEMBERS: /* of a later version */
        flk_mp_skip(cursor);
        break;
    }
}

/* `likely`: the member that the encoder writes at this place. */
static enum member take_key(flk_mp_cursor_t *cursor, unsigned likely) {
    flk_mp_token_t key;
    if (!flk_mp_next(cursor, &key) || key.type != FLK_MP_STRING) {
        flk_mp_fail(cursor, "a key that is not a string");
        return MEMBERS;
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        unsigned member = (likely + i) % MEMBERS;
        if (key.len == strlen(names[member]) && memcmp(key.data, names[member], key.len) == 0) {
            return (enum member)member;
        }
    }
    return MEMBERS;
}

flk_err_t flk_outcome_decode(const void *data, size_t data_bytes, flk_outcome_record_t *record, char *errmsg) {
    memset(record, 0, sizeof *record);
    flk_mp_cursor_t cursor;
    flk_mp_open(&cursor, data, data_bytes);
    uint32_t pairs = flk_mp_map(&cursor);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < pairs && cursor.error == NULL; i++) {
        enum member member = take_key(&cursor, i);
        if (member != MEMBERS && (seen & 1u << member) != 0) {
            flk_mp_fail(&cursor, "a member twice");
        }
        seen |= 1u << member;
        take_member(&cursor, member, record);
    }
    if (flk_mp_done(&cursor) && (seen & REQUIRED) != REQUIRED) {
        flk_mp_fail(&cursor, "a member is missing");
    }
    const char *fault = flk_outcome_fault(record);
    if (cursor.error == NULL && fault != NULL) {
        flk_mp_fail(&cursor, fault);
    }
    if (cursor.error != NULL) {
        flk_errmsg(errmsg, "outcome is malformed: %s", cursor.error);
        return FLK_E_INVALID;
    }
    return FLK_OK;
}
