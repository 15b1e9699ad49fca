/* SPDX-License-Identifier: MIT */
/* Where a policy's text says a thing, for the words of a refusal. */
#ifndef FLK_COMMON_PCS_POLICY_PLACE_H
#define FLK_COMMON_PCS_POLICY_PLACE_H

#include "common/pcs/policy.h"

typedef struct flk_place {
    int line, column; /* from 1, in bytes; line 0: no place, as of a policy in JSON or of a default */
} flk_place_t;

typedef struct flk_places {
    flk_place_t version, keep;
    flk_place_t terms[1 + FLK_POLICY_SHARDS_MAX][FLK_TERMS_LEN]; /* by block */
    flk_place_t shards[FLK_POLICY_SHARDS_MAX];
    flk_place_t rules[FLK_RULES_MAX];
    flk_place_t conditions[FLK_RULES_MAX][FLK_RULE_CONDITIONS_MAX];
} flk_places_t;

/* Fills errmsg, the place first; returns FLK_E_CONFIG. */
flk_err_t flk_place_fault(flk_place_t place, char *errmsg, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
