/* SPDX-License-Identifier: MIT */
/* flk-agent status: the contents of outbox and dead-letter queue, read beside a running agent without disturbing it. */
#ifndef FLK_AGENT_STATUS_H
#define FLK_AGENT_STATUS_H

#include "agent/options.h"
#include "common/program/settings.h"

/* Prints to standard output: lines for people, or with `json` one line
 * {"data_dir","pending","oldest_pending_s","dead","oldest_dead_s","reasons":{reason:count}}; an age is null without a
 * record. Returns the exit status: FLK_EXIT_UNDELIVERED when something is pending or dead. */
FLK_MUST_CHECK int flk_status_run(const flk_agent_options_t *options, const flk_settings_t *settings);

#endif
