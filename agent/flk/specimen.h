/* SPDX-License-Identifier: MIT */
/* Valid PCS made from a number, for benches and checks: the verdict on each is 200 under the default policy. */
#ifndef FLK_AGENT_FLK_SPECIMEN_H
#define FLK_AGENT_FLK_SPECIMEN_H

#include "common/pcs/pcs.h"

/* Fills an unsigned PCS: another `pcs_id` for each number and seed; shard_id "bench-<seed>". Freed by flk_pcs_fini. */
void flk_specimen_fill(flk_pcs_t *pcs, uint64_t number, uint64_t seed);

#endif
