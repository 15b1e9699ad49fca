/* SPDX-License-Identifier: MIT */
/* The members of a JSON object, one after the other, without judging their values: numbers of any size,
 * strings in any encoding, and words like NaN pass by. Only the object's structure must hold. */
#ifndef FLK_AGENT_READ_MEMBERS_H
#define FLK_AGENT_READ_MEMBERS_H

#include "common/base.h"

enum { FLK_MEMBERS_DEPTH_MAX = 256 };

typedef struct flk_members {
    const char *at, *end;
    const char *fault; /* NULL = none; else in words */
    bool first;
} flk_members_t;

typedef enum flk_member_kind {
    FLK_MEMBER_STRING, /* `value` lies between the quotes, escapes not resolved */
    FLK_MEMBER_WORD,   /* a number, true, false, null, or another word */
    FLK_MEMBER_NESTED, /* an object or array */
} flk_member_kind_t;

typedef struct flk_member {
    const char *name, *value; /* into the text */
    size_t name_bytes, value_bytes;
    flk_member_kind_t kind;
} flk_member_t;

/* Begins with a text that holds one object; sets `fault` when it does not begin with one. Borrows the text until the
 * last call of flk_members_next. */
void flk_members_init(flk_members_t *members, const char *text, size_t text_bytes);

/* The next member. False: the object ended, and nothing stands behind it, or `fault` says why there is none. */
FLK_MUST_CHECK bool flk_members_next(flk_members_t *members, flk_member_t *member);

/* Resolves the escapes of a name or a string into `out` (NUL-terminated). False: more than out_bytes - 1 bytes, a NUL,
 * or an escape that JSON does not have. */
FLK_MUST_CHECK bool flk_members_unescape(const char *text, size_t text_bytes, char *out, size_t out_bytes);

#endif
