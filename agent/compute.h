/* SPDX-License-Identifier: MIT */
/* flk-agent compute: PCS as NDJSON to a file or standard output. Sends nothing and touches no outbox. */
#ifndef FLK_AGENT_COMPUTE_H
#define FLK_AGENT_COMPUTE_H

#include "agent/source.h"

/* Runs until the input ends or a stop is asked for; a failure is told in one line on stderr. Returns the exit
 * status. */
FLK_MUST_CHECK int flk_compute_run(const flk_agent_options_t *options, const flk_signer_t *signer);

#endif
