/* SPDX-License-Identifier: MIT */
/* flk-agent check: the tests that a run makes before it sends anything. */
#ifndef FLK_AGENT_CHECK_H
#define FLK_AGENT_CHECK_H

#include "agent/options.h"
#include "proto/security.h"

/* The first step of a run: checks ENDPOINT and the data directory. Errors: FLK_E_CONFIG and those of
 * flk_io_check_dir. */
FLK_MUST_CHECK flk_err_t flk_check_settings(const flk_agent_options_t *options, const flk_settings_t *settings,
                                            const flk_security_t *security, char *errmsg);

/* Checks ENDPOINT, the keys of the links and the data directory, then prints the settings that are in effect; nothing
 * is written, nobody is connected to. The signer was made already. Returns the exit status. */
int flk_check_run(const flk_agent_options_t *options, const flk_settings_t *settings);

#endif
