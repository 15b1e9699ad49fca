/* SPDX-License-Identifier: MIT */
/* The verification policy: tolerances and budget weights, with a version that is part of every outcome. */
#ifndef FLK_COMMON_PCS_POLICY_H
#define FLK_COMMON_PCS_POLICY_H

#include "common/err.h"

enum { FLK_POLICY_VERSION_BYTES = 33 }; /* with its NUL; 1-32 of A-Z a-z 0-9 . _ : - */

typedef struct flk_policy {
    char version[FLK_POLICY_VERSION_BYTES];
    double tol_d, tol_coh, tol_budget;
    double alpha, beta, gamma, base, d0; /* budget = clamp01(base + alpha(1-r) + beta*max(0, D-d0) + gamma*coh) */
    uint64_t dedup_ttl_s;
} flk_policy_t;

/* tolD 0.15, tolCoh 0.05, tolBudget 0.01, alpha 0.30, beta 0.50, gamma 0.20, base 0.10, D0 2.2,
 * dedup TTL 14 days; version "default-1". */
void flk_policy_default(flk_policy_t *policy);

/* Reads a JSON object {"version", "tolD", "tolCoh", "tolBudget", "alpha", "beta", "gamma", "base", "D0",
 * "dedup_ttl_s"}; an absent member keeps its default, but "version" is required: another policy is another version.
 * Refuses unknown members and values that break the guard-rails (weights and base in [0, 1], tolerances in [0, 1], D0
 * in [0, 16], TTL 60 s to 10 years). Errors: FLK_E_CONFIG, with file, member and limit in errmsg. */
FLK_MUST_CHECK flk_err_t flk_policy_load(const char *path, flk_policy_t *policy, char *errmsg);

/* Tells two policies of the same version apart: the beginning of the SHA-256 of all other members. */
enum { FLK_POLICY_DIGEST_HEX = 16 };
void flk_policy_digest(const flk_policy_t *policy, char digest[FLK_POLICY_DIGEST_HEX + 1]);

#endif
