/* SPDX-License-Identifier: MIT */
/* Which policy a worker judges by: flk_policy_info{version="…",digest="…"} is 1, and 0 for those of before. One
 * version with two digests in a cluster tells that somebody changed a policy and not its version. */
#ifndef FLK_WORKER_POLICY_INFO_H
#define FLK_WORKER_POLICY_INFO_H

#include "common/metrics.h"
#include "common/pcs/policy.h"

/* Owned by the thread that loads rules. */
typedef struct flk_policy_info flk_policy_info_t; /* Opaque. */
enum { FLK_POLICY_SERIES_MAX = 32 };              /* policies in the life of a process that have a series each */

/* Start-up allocation. Caller frees with flk_policy_info_destroy, after `metrics`. */
flk_policy_info_t *flk_policy_info_new(flk_metrics_t *metrics);
void flk_policy_info_destroy(flk_policy_info_t **info);
/* This one holds from now on. */
void flk_policy_info_show(flk_policy_info_t *info, const flk_policy_t *policy);

#endif
