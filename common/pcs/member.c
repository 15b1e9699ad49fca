/* SPDX-License-Identifier: MIT */
#include "common/pcs/member.h"

#include "common/pcs/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const flk_member_row_t flk_members[FLK_M_COUNT] = {
#define FLK_MEMBER_ROW(id, name, key, map, kind, required, field, inner)                                               \
    [id] = {name, key, sizeof key - 1, map, kind, required, offsetof(flk_pcs_t, field), inner},
    FLK_PCS_MEMBERS(FLK_MEMBER_ROW)
#undef FLK_MEMBER_ROW
};

flk_member_t flk_member_find(flk_place_t map, const char *key, size_t key_bytes, flk_member_t first) {
    flk_member_t member = first;
    for (size_t tried = 0; tried < FLK_M_COUNT; tried++, member++) {
        member = member >= FLK_M_COUNT ? 0 : member;
        if (flk_members[member].map == map && flk_members[member].key_bytes == key_bytes &&
            memcmp(flk_members[member].key, key, key_bytes) == 0) {
            return member;
        }
    }
    return FLK_M_UNKNOWN;
}

bool flk_member_refuse(flk_pcs_fault_t *fault, const char *field, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(fault->reason, sizeof fault->reason, format, args);
    va_end(args);
    snprintf(fault->field, sizeof fault->field, "%s", field);
    return false;
}

static bool refuse_element(flk_pcs_fault_t *fault, flk_member_t member, uint32_t index, const char *format, ...)
    FLK_PRINTF(4, 5);
static bool refuse_element(flk_pcs_fault_t *fault, flk_member_t member, uint32_t index, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(fault->reason, sizeof fault->reason, format, args);
    va_end(args);
    snprintf(fault->field, sizeof fault->field, "%s[%" PRIu32 "]", flk_members[member].name, index);
    return false;
}

const char *flk_pcs_member_name(const char *key, size_t key_bytes) {
    flk_member_t member = flk_member_find(FLK_PLACE_PCS, key, key_bytes, 0);
    return member == FLK_M_UNKNOWN ? "" : flk_members[member].name;
}

/* ---- single values ---- */

static bool is_counter(flk_pcs_event_t event, const flk_pcs_value_t *value) {
    return event == FLK_PCS_INTEGER && value->integer >= 0 && value->integer <= (int64_t)FLK_PCS_INTEGER_MAX;
}

/* A float member takes integers too: agents print 1.0 as 1. */
static bool is_real(flk_pcs_event_t event, const flk_pcs_value_t *value, double *real) {
    if (event == FLK_PCS_INTEGER) {
        *real = (double)value->integer;
        return true;
    }
    if (event == FLK_PCS_REAL && isfinite(value->real)) {
        *real = value->real;
        return true;
    }
    return false;
}

static void copy_text(char *to, const flk_pcs_value_t *value) {
    memcpy(to, value->text, value->text_bytes);
    to[value->text_bytes] = '\0';
}

static bool take_version(const flk_pcs_value_t *value, flk_pcs_t *pcs, flk_pcs_fault_t *fault) {
    uint32_t major;
    if (!flk_text_is_version(value->text, value->text_bytes, &major)) {
        return flk_member_refuse(fault, "version", "must be MAJOR.MINOR or MAJOR.MINOR.PATCH, at most %d bytes",
                                 FLK_PCS_VERSION_MAX);
    }
    if (major != FLK_PCS_VERSION_MAJOR) {
        return flk_member_refuse(fault, "version", "major version must be %d", FLK_PCS_VERSION_MAJOR);
    }
    copy_text(pcs->version, value);
    return true;
}

static bool take_text(flk_member_t member, const flk_pcs_value_t *value, flk_pcs_t *pcs, flk_pcs_fault_t *fault) {
    const char *field = flk_members[member].name;
    const char *text = value->text;
    size_t text_bytes = value->text_bytes;
    switch (member) {
    case FLK_M_PCS_ID:
        if (text_bytes != FLK_PCS_ID_HEX || !flk_text_is_hex(text, text_bytes, FLK_PCS_ID_HEX, false)) {
            return flk_member_refuse(fault, field, "must be %d lowercase hex digits", FLK_PCS_ID_HEX);
        }
        copy_text(pcs->id, value);
        return true;
    case FLK_M_SCHEMA:
        if (text_bytes != sizeof FLK_PCS_SCHEMA - 1 || memcmp(text, FLK_PCS_SCHEMA, text_bytes) != 0) {
            return flk_member_refuse(fault, field, "must be %s", FLK_PCS_SCHEMA);
        }
        return true;
    case FLK_M_VERSION:
        return take_version(value, pcs, fault);
    case FLK_M_SHARD_ID:
        if (!flk_text_is_name(text, text_bytes, FLK_PCS_SHARD_MAX)) {
            return flk_member_refuse(fault, field, "must be 1 to %d of A-Z a-z 0-9 . _ : -", FLK_PCS_SHARD_MAX);
        }
        copy_text(pcs->shard_id, value);
        return true;
    case FLK_M_SENT_AT:
        if (!flk_text_is_rfc3339(text, text_bytes)) {
            return flk_member_refuse(fault, field, "must be an RFC 3339 date and time of at most %d bytes",
                                     FLK_PCS_SENT_AT_MAX);
        }
        copy_text(pcs->sent_at, value);
        return true;
    case FLK_M_REGIME:
        if (!flk_regime_parse(text, text_bytes, &pcs->regime)) {
            return flk_member_refuse(fault, field, "must be sticky, mixed or non_sticky");
        }
        return true;
    case FLK_M_MERKLE_ROOT:
        if (!flk_text_is_hex(text, text_bytes, FLK_PCS_MERKLE_MAX, true)) {
            return flk_member_refuse(fault, field, "must be 1 to %d hex digits", FLK_PCS_MERKLE_MAX);
        }
        copy_text(pcs->merkle_root, value);
        return true;
    case FLK_M_PRINT_D_HAT:
    case FLK_M_PRINT_BUDGET:
    case FLK_M_PRINT_COH_STAR:
    case FLK_M_PRINT_R:
        if (text_bytes > FLK_PCS_PRINT_MAX || !flk_text_is_number(text, text_bytes)) {
            return flk_member_refuse(fault, field, "must be a JSON number of at most %d bytes", FLK_PCS_PRINT_MAX);
        }
        copy_text(pcs->prints[member - FLK_M_PRINT_D_HAT], value);
        return true;
    case FLK_M_SIG:
        if (text_bytes > FLK_PCS_SIG_MAX) {
            return flk_member_refuse(fault, field, "must be at most %d bytes", FLK_PCS_SIG_MAX);
        }
        copy_text(pcs->sig, value);
        return true;
    default:
        FLK_ASSERT(false); /* a text member without a rule */
        return false;
    }
}

bool flk_member_take(flk_member_t member, flk_pcs_event_t event, const flk_pcs_value_t *value, flk_pcs_t *pcs,
                     flk_pcs_fault_t *fault) {
    const char *field = flk_members[member].name;
    void *to = (char *)pcs + flk_members[member].offset;
    switch (flk_members[member].kind) {
    case FLK_MEMBER_TEXT:
        return event == FLK_PCS_STRING ? take_text(member, value, pcs, fault)
                                       : flk_member_refuse(fault, field, "must be a string");
    case FLK_MEMBER_COUNTER:
        if (!is_counter(event, value)) {
            return flk_member_refuse(fault, field, "must be an integer from 0 to %" PRIu64, FLK_PCS_INTEGER_MAX);
        }
        *(uint64_t *)to = (uint64_t)value->integer;
        return true;
    case FLK_MEMBER_SKEW:
        if (event != FLK_PCS_INTEGER || value->integer > (int64_t)FLK_PCS_INTEGER_MAX ||
            value->integer < -(int64_t)FLK_PCS_INTEGER_MAX) {
            return flk_member_refuse(fault, field, "must be an integer from -%" PRIu64 " to %" PRIu64,
                                     FLK_PCS_INTEGER_MAX, FLK_PCS_INTEGER_MAX);
        }
        *(int64_t *)to = value->integer;
        return true;
    case FLK_MEMBER_REAL:
        return is_real(event, value, to) || flk_member_refuse(fault, field, "must be a finite number");
    case FLK_MEMBER_BOOL:
        if (event != FLK_PCS_BOOL) {
            return flk_member_refuse(fault, field, "must be true or false");
        }
        *(bool *)to = value->boolean;
        return true;
    case FLK_MEMBER_ARRAY:
        return event == FLK_PCS_ARRAY || flk_member_refuse(fault, field, "must be an array");
    case FLK_MEMBER_MAP:
        return event == FLK_PCS_MAP || flk_member_refuse(fault, field, "must be an object");
    }
    FLK_ASSERT(false); /* a member of no kind */
    return false;
}

/* ---- elements of the arrays and of N_j ---- */

bool flk_member_take_scale(flk_pcs_event_t event, const flk_pcs_value_t *value, flk_pcs_t *pcs,
                           flk_pcs_fault_t *fault) {
    uint32_t index = pcs->scales_len;
    if (index == FLK_PCS_SCALES_MAX) {
        return flk_member_refuse(fault, "scales", "must have at most %d elements", FLK_PCS_SCALES_MAX);
    }
    if (!is_counter(event, value) || value->integer < 2) {
        return refuse_element(fault, FLK_M_SCALES, index, "must be an integer from 2 to %" PRIu64, FLK_PCS_INTEGER_MAX);
    }
    for (uint32_t i = 0; i < index; i++) {
        if (pcs->scales[i] == (uint64_t)value->integer) {
            return refuse_element(fault, FLK_M_SCALES, index, "must differ from every scale before it");
        }
    }
    pcs->scales[pcs->scales_len++] = (uint64_t)value->integer;
    return true;
}

bool flk_member_take_count(uint64_t scale, flk_pcs_event_t event, const flk_pcs_value_t *value, flk_pcs_t *pcs,
                           flk_pcs_fault_t *fault) {
    if (!is_counter(event, value)) {
        return flk_member_refuse(fault, "N_j", "counts must be integers from 0 to %" PRIu64, FLK_PCS_INTEGER_MAX);
    }
    pcs->counts[pcs->counts_len++] = (flk_pcs_count_t){scale, (uint64_t)value->integer};
    return true;
}

bool flk_member_take_direction(flk_pcs_event_t event, const flk_pcs_value_t *value, flk_pcs_t *pcs, double *v_star,
                               flk_pcs_fault_t *fault) {
    uint32_t index = pcs->v_star_len;
    if (index == FLK_PCS_V_STAR_MAX) {
        return flk_member_refuse(fault, "v_star", "must have at most %d elements", FLK_PCS_V_STAR_MAX);
    }
    if (!is_real(event, value, &v_star[index])) {
        return refuse_element(fault, FLK_M_V_STAR, index, "must be a finite number");
    }
    pcs->v_star_len++;
    return true;
}

bool flk_member_take_fallback(flk_pcs_event_t event, const flk_pcs_value_t *value, flk_pcs_t *pcs,
                              flk_pcs_fault_t *fault) {
    if (pcs->fallbacks_len == FLK_PCS_FALLBACKS_MAX) {
        return flk_member_refuse(fault, "ft.fallbacks", "must have at most %d elements", FLK_PCS_FALLBACKS_MAX);
    }
    if (event != FLK_PCS_STRING || !flk_text_is_label(value->text, value->text_bytes, FLK_PCS_FALLBACK_MAX)) {
        return refuse_element(fault, FLK_M_FALLBACKS, pcs->fallbacks_len,
                              "must be a string of 1 to %d of A-Z a-z 0-9 space . _ : / -", FLK_PCS_FALLBACK_MAX);
    }
    copy_text(pcs->fallbacks[pcs->fallbacks_len++], value);
    return true;
}

bool flk_member_take_count_key(const flk_pcs_value_t *key, uint64_t *scale, flk_pcs_fault_t *fault) {
    return (flk_text_is_integer(key->text, key->text_bytes, scale) && *scale >= 2) ||
           flk_member_refuse(fault, "N_j", "keys must be decimal integers from 2 to %" PRIu64 " without leading zeros",
                             FLK_PCS_INTEGER_MAX);
}
