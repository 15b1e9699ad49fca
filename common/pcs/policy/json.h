/* SPDX-License-Identifier: MIT */
/* The JSON form of a policy, which is also the canonical one: `flk policy compile` prints it.
 *
 *   {"version", "tolD", …, "nonStickyD", "median": "mean"|"upper", "dedup_ttl_s",
 *    "escalate": [{"name", "when": [[[SIGNAL, COMPARE, NUMBER], and …], or …]}],
 *    "shards": [{"shard": PATTERN, terms that differ, "median", "escalate"}]} */
#ifndef FLK_COMMON_PCS_POLICY_JSON_H
#define FLK_COMMON_PCS_POLICY_JSON_H

#include <stdio.h>

#include "common/pcs/policy.h"

/* Fills a policy that holds the defaults. Errors: FLK_E_CONFIG with the member and its limit; FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_policy_from_json(const char *text, size_t text_bytes, flk_policy_t *policy, char *errmsg);

/* One line with its newline: every member, in one order, with the shortest numbers. A block has the members that differ
 * from the terms of other shards. Read back, it is the same policy. */
void flk_policy_print_json(const flk_policy_t *policy, FILE *out);

#endif
