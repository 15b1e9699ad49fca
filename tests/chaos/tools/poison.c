/* SPDX-License-Identifier: MIT */
/* Linked into flk-worker-poisonable, a worker as it is but for this: a PCS of a shard named "poison…" ends it by
 * SIGSEGV where it would be judged. */
#include <signal.h>
#include <string.h>

#include "common/pcs/verdict.h"

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's --wrap names them so */
void __real_flk_verdict(const flk_pcs_t *pcs, const flk_policy_t *policy, flk_outcome_t *outcome);
void __wrap_flk_verdict(const flk_pcs_t *pcs, const flk_policy_t *policy, flk_outcome_t *outcome);
/* NOLINTEND(bugprone-reserved-identifier) */

void __wrap_flk_verdict(const flk_pcs_t *pcs, const flk_policy_t *policy, flk_outcome_t *outcome) {
    if (strncmp(pcs->shard_id, "poison", 6) == 0) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    __real_flk_verdict(pcs, policy, outcome);
}
