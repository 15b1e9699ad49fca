/* SPDX-License-Identifier: MIT */
/* flk-agent submit, drain and dead resign: everything goes through the outbox, and from there to the cluster. */
#ifndef FLK_AGENT_SUBMIT_H
#define FLK_AGENT_SUBMIT_H

#include "agent/options.h"
#include "common/program/settings.h"

/* Runs until every PCS has its answer or is a dead letter, the tries of this run are spent, or the run is stopped; all
 * that is left stays pending.
 * Returns the exit status; a failure is told in one line on stderr. */
FLK_MUST_CHECK int flk_submit_run(const flk_agent_options_t *options, const flk_settings_t *settings,
                                  const flk_signer_t *signer);

#endif
