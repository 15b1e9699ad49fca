/* SPDX-License-Identifier: MIT */
/* The verbs of `flk policy`. Each prints to standard output, complains on standard error, and returns the exit status.
 */
#ifndef FLK_AGENT_FLK_POLICY_VERBS_H
#define FLK_AGENT_FLK_POLICY_VERBS_H

#include "agent/flk/policy/ask.h"
#include "common/program/program.h"

/* compile.c: the canonical JSON; `check` says the version and the digest alone. FLK_EXIT_FAILED: refused. */
FLK_MUST_CHECK int flk_policy_verb_compile(const flk_policy_ask_t *ask);
FLK_MUST_CHECK int flk_policy_verb_check(const flk_policy_ask_t *ask);
/* explain.c: how each number of the verdict on a PCS came about */
FLK_MUST_CHECK int flk_policy_verb_explain(const flk_policy_ask_t *ask);
/* diff.c: FLK_EXIT_FAILED when a reload would refuse the second */
FLK_MUST_CHECK int flk_policy_verb_diff(const flk_policy_ask_t *ask);
/* test.c: FLK_EXIT_FAILED when a case has another verdict */
FLK_MUST_CHECK int flk_policy_verb_test(const flk_policy_ask_t *ask);
/* try.c: FLK_EXIT_FAILED when a verdict would change */
FLK_MUST_CHECK int flk_policy_verb_try(const flk_policy_ask_t *ask);

#endif
