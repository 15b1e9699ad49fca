/* SPDX-License-Identifier: MIT */
/* A policy's text as a list of items: the syntax alone, before any of it is judged. The grammar has no recursion but
 * lists, so nothing nests deeper than a block. tests/policy/Policy.g4 is the same grammar in ANTLR. */
#ifndef FLK_COMMON_PCS_POLICY_SOURCE_H
#define FLK_COMMON_PCS_POLICY_SOURCE_H

#include "common/pcs/policy/place.h"

/* Kind, its name where tests print it, and the fields that it uses. */
#define FLK_ITEMS(X)                                                                                                   \
    X(FLK_ITEM_POLICY, "policy")         /* text: the version */                                                       \
    X(FLK_ITEM_TOLERANCE, "tolerance")   /* code: the term; number */                                                  \
    X(FLK_ITEM_MEDIAN, "median")         /* code: flk_median_t */                                                      \
    X(FLK_ITEM_STICKY, "sticky")         /* number: least coh_star; second: greatest D_hat */                          \
    X(FLK_ITEM_NON_STICKY, "non_sticky") /* number: least D_hat */                                                     \
    X(FLK_ITEM_MIXED, "mixed")           /* */                                                                         \
    X(FLK_ITEM_BUDGET, "budget")         /* its terms follow */                                                        \
    X(FLK_ITEM_WEIGHT, "weight")         /* code: the term; number; second: D0, of beta */                             \
    X(FLK_ITEM_KEEP, "keep")             /* number; code: seconds in the unit */                                       \
    X(FLK_ITEM_ESCALATE, "escalate")     /* text: the name; its conditions follow */                                   \
    X(FLK_ITEM_CONDITION, "condition")   /* signal, code: flk_compare_t, number, alternative */                        \
    X(FLK_ITEM_SHARD, "shard")           /* text: the pattern; its statements follow */                                \
    X(FLK_ITEM_END, "end")               /* of the block */

typedef enum flk_item_kind {
#define FLK_ITEM_ID(id, name) id,
    FLK_ITEMS(FLK_ITEM_ID)
#undef FLK_ITEM_ID
        FLK_ITEM_KINDS
} flk_item_kind_t;

enum {
    FLK_POLICY_TEXT_BYTES_MAX = 65536,
    FLK_ITEM_TEXT_BYTES = FLK_POLICY_PATTERN_BYTES + 1,
    FLK_SOURCE_ITEMS_MAX = 512,
};

typedef struct flk_policy_item {
    flk_item_kind_t kind;
    flk_place_t place;
    uint32_t code;
    uint8_t signal, alternative;
    double number, second;
    char text[FLK_ITEM_TEXT_BYTES]; /* one byte longer than any may be, so that a longer one shows */
} flk_policy_item_t;

typedef struct flk_policy_source {
    size_t items_len;
    flk_policy_item_t items[FLK_SOURCE_ITEMS_MAX];
} flk_policy_source_t;

/* Reads a text of at most FLK_POLICY_TEXT_BYTES_MAX. Uses no heap. Errors: FLK_E_CONFIG; errmsg has line, column, the
 * words found there, and those expected. */
FLK_MUST_CHECK flk_err_t flk_policy_parse(const char *text, size_t text_bytes, flk_policy_source_t *source,
                                          char *errmsg);

/* Fills a policy that holds the defaults, and the places of all that the source says. Refuses a statement that is there
 * twice, a regime without the others, and more than there is room for. Errors: FLK_E_CONFIG. */
FLK_MUST_CHECK flk_err_t flk_policy_compile(const flk_policy_source_t *source, flk_policy_t *policy,
                                            flk_places_t *places, char *errmsg);

#endif
