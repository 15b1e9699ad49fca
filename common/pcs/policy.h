/* SPDX-License-Identifier: MIT */
/* The verification policy: tolerances, regimes, budget weights and rules that escalate, with a version that is part of
 * every outcome. Plain values without pointers: a copy is another policy. common/pcs/policy/ reads and checks them. */
#ifndef FLK_COMMON_PCS_POLICY_H
#define FLK_COMMON_PCS_POLICY_H

#include "common/err.h"
#include "common/pcs/pcs.h"

enum {
    FLK_POLICY_VERSION_BYTES = 33, /* with its NUL; 1-32 of A-Z a-z 0-9 . _ : - */
    FLK_POLICY_PATTERN_BYTES = FLK_PCS_SHARD_MAX + 2,
    FLK_POLICY_SHARDS_MAX = 16,
    FLK_RULE_NAME_BYTES = 33, /* as a version */
    FLK_RULES_MAX = 16,
    FLK_RULES_BYTES = 128, /* names of all rules that hold, joined by commas, with the NUL */
    FLK_RULE_CONDITIONS_MAX = 8,
};

/* Numbers that a block for shards can replace: field, member of the JSON form, default, greatest; the least is 0. */
#define FLK_TERMS(X)                                                                                                   \
    X(tol_d, "tolD", 0.15, 1)                                                                                          \
    X(tol_coh, "tolCoh", 0.05, 1)                                                                                      \
    X(tol_budget, "tolBudget", 0.01, 1)                                                                                \
    X(alpha, "alpha", 0.30, 1)                                                                                         \
    X(beta, "beta", 0.50, 1)                                                                                           \
    X(gamma, "gamma", 0.20, 1)                                                                                         \
    X(base, "base", 0.10, 1)                                                                                           \
    X(d0, "D0", 2.2, 16)                                                                                               \
    X(sticky_coh, "stickyCoh", 0.70, 2)                                                                                \
    X(sticky_d, "stickyD", 1.5, 16)                                                                                    \
    X(non_sticky_d, "nonStickyD", 2.6, 16)

enum {
#define FLK_TERM_ID(field, name, value, max) FLK_TERM_##field,
    FLK_TERMS(FLK_TERM_ID)
#undef FLK_TERM_ID
        FLK_TERMS_LEN
};

/* Of an even number of slopes: the mean of the two middle ones, or the upper one. */
typedef enum flk_median { FLK_MEDIAN_MEAN, FLK_MEDIAN_UPPER } flk_median_t;

typedef struct flk_terms {
    double tol_d, tol_coh, tol_budget;
    double alpha, beta, gamma, base, d0; /* budget = clamp01(base + alpha(1-r) + beta*max(0, D-d0) + gamma*coh) */
    double sticky_coh, sticky_d;         /* sticky when coh >= sticky_coh and D <= sticky_d */
    double non_sticky_d;                 /* non_sticky when D >= non_sticky_d; else mixed */
    flk_median_t median;
} flk_terms_t;

/* The term of that number, FLK_TERM_…, its name in JSON, and its greatest value. */
double *flk_term_of(flk_terms_t *terms, unsigned term);
double flk_term_value(const flk_terms_t *terms, unsigned term);
const char *flk_term_name(unsigned term);
double flk_term_max(unsigned term);

/* Signals that a rule can ask for: the claims, rounded to 9 decimals, and values that follow from the PCS. */
#define FLK_SIGNALS(X)                                                                                                 \
    X(FLK_SIGNAL_D_HAT, "D_hat")                     /* as claimed */                                                  \
    X(FLK_SIGNAL_COH_STAR, "coh_star")               /* as claimed */                                                  \
    X(FLK_SIGNAL_R, "r")                             /* as claimed */                                                  \
    X(FLK_SIGNAL_BUDGET, "budget")                   /* recomputed */                                                  \
    X(FLK_SIGNAL_RESIDUAL_SPREAD, "residual_spread") /* of the recomputed line; unverifiable: no condition holds */    \
    X(FLK_SIGNAL_SCALE_COUNT, "scale_count")                                                                           \
    X(FLK_SIGNAL_DEGRADED, "degraded") /* 1 or 0 */
typedef enum flk_signal {
#define FLK_SIGNAL_ID(id, name) id,
    FLK_SIGNALS(FLK_SIGNAL_ID)
#undef FLK_SIGNAL_ID
        FLK_SIGNALS_LEN
} flk_signal_t;
const char *flk_signal_name(flk_signal_t signal);

typedef enum flk_compare { FLK_LESS, FLK_AT_MOST, FLK_GREATER, FLK_AT_LEAST, FLK_EQUAL, FLK_COMPARES } flk_compare_t;
const char *flk_compare_name(flk_compare_t compare); /* < <= > >= == */

typedef struct flk_condition {
    uint8_t signal, compare;
    uint8_t alternative; /* conditions of one alternative hold together; counted from 0, rising */
    double value;
} flk_condition_t;

/* Escalates with the reason rule:NAME when all conditions of one of its alternatives hold. */
typedef struct flk_rule {
    char name[FLK_RULE_NAME_BYTES];
    uint8_t block; /* 0: for every shard; else for the n-th block of `shards` alone */
    uint8_t conditions_len;
    flk_condition_t conditions[FLK_RULE_CONDITIONS_MAX];
} flk_rule_t;

/* The terms for shards of that id, or, with a * at the end, of that beginning. */
typedef struct flk_policy_shard {
    char pattern[FLK_POLICY_PATTERN_BYTES];
    flk_terms_t terms;
} flk_policy_shard_t;

typedef struct flk_policy {
    char version[FLK_POLICY_VERSION_BYTES];
    flk_terms_t terms;
    uint64_t dedup_ttl_s;
    uint32_t rules_len, shards_len;
    flk_rule_t rules[FLK_RULES_MAX];
    flk_policy_shard_t shards[FLK_POLICY_SHARDS_MAX]; /* the first that fits is that of a shard */
} flk_policy_t;

#define FLK_POLICY_DEFAULT_VERSION "default-1"
/* The defaults of FLK_TERMS, median mean, no rule, no block, dedup TTL 14 days; version "default-1". */
void flk_policy_default(flk_policy_t *policy);

/* The number of the block for that shard, from 1; 0: none is. */
unsigned flk_policy_block(const flk_policy_t *policy, const char *shard_id);
/* The terms of block n, or with 0 those of all other shards. */
static inline const flk_terms_t *flk_policy_terms(const flk_policy_t *policy, unsigned block) {
    return block == 0 ? &policy->terms : &policy->shards[block - 1].terms;
}

/* Tells two policies of the same version apart: the beginning of the SHA-256 of all other members. A policy that uses
 * nothing beyond the ten members of the first form has the digest that it always had. */
enum { FLK_POLICY_DIGEST_HEX = 16 };
void flk_policy_digest(const flk_policy_t *policy, char digest[FLK_POLICY_DIGEST_HEX + 1]);

#endif
