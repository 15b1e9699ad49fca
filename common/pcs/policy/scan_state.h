/* SPDX-License-Identifier: MIT */
/* The state that scanner and parser of a policy share, for one text. Their generated parts include this alone. */
#ifndef FLK_COMMON_PCS_POLICY_SCAN_STATE_H
#define FLK_COMMON_PCS_POLICY_SCAN_STATE_H

#include <stdalign.h>

#include "common/pcs/policy/source.h"

enum { FLK_SCAN_ARENA_BYTES = 1024, FLK_SCAN_DIGITS_MAX = 24 };

typedef struct flk_scan {
    int line, column;  /* of the next token */
    const char *token; /* the newest one */
    size_t token_bytes;
    flk_policy_source_t *source;
    char *errmsg;
    flk_place_t too_long; /* of a number or a list that is; line 0: none is */
    uint8_t alternative;  /* of the rule that is read */
    size_t arena_used;
    alignas(16) char arena[FLK_SCAN_ARENA_BYTES];
} flk_scan_t;

void *flk_scan_alloc(flk_scan_t *scan, size_t bytes);
/* Ends the process: the scanner asks for memory beyond its own, which it never needs. */
_Noreturn void flk_scan_fatal(const char *text);

/* The value of the digits; `too_long` is marked for more than FLK_SCAN_DIGITS_MAX. */
double flk_scan_number(flk_scan_t *scan, const char *text, size_t text_bytes);
/* Copies a text without its quotes, cut to its place. */
void flk_scan_text(flk_scan_t *scan, const char *text, size_t text_bytes, char out[FLK_ITEM_TEXT_BYTES]);

/* A new item at that place; one that does not fit marks `too_long`, and goes nowhere. */
flk_policy_item_t *flk_scan_item(flk_scan_t *scan, flk_item_kind_t kind, int line, int column);

/* Fills errmsg: the newest token at that place, and the words that were expected. */
void flk_scan_unexpected(flk_scan_t *scan, flk_place_t place, bool at_end, const char *const *expected,
                         size_t expected_len);

#endif
