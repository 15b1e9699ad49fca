/* SPDX-License-Identifier: MIT */
/* flk-agent dead: the dead letters of the outbox. `list` and `show` read beside a running agent, `purge` needs the data
 * directory for itself; `resign` is a drain of the dead letters (submit.h). */
#ifndef FLK_AGENT_DEAD_H
#define FLK_AGENT_DEAD_H

#include "agent/options.h"
#include "common/program/settings.h"

/* Runs list, show or purge and prints to standard output; with `json` one object a line:
 * list {"pcs_id","shard_id","epoch","outbox_seq","age_s","reason"}, show {"reason","pcs"}, purge {"purged"}.
 * Returns the exit status: FLK_EXIT_UNDELIVERED when the ids that were given name no dead letter. */
FLK_MUST_CHECK int flk_dead_run(const flk_agent_options_t *options, const flk_settings_t *settings);

/* True when `pcs_id` is one of the `ids`, or begins with one; without ids always. */
bool flk_dead_selected(const flk_agent_options_t *options, const char *pcs_id);

#endif
