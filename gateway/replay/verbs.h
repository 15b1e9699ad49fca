/* SPDX-License-Identifier: MIT */
/* The verbs of flk-replay. Each prints to standard output, complains on standard error, and returns the exit status.
 * `dir` is the log's directory. */
#ifndef FLK_GATEWAY_REPLAY_VERBS_H
#define FLK_GATEWAY_REPLAY_VERBS_H

#include "common/program/settings.h"
#include "gateway/replay/options.h"

/* inspect.c */
FLK_MUST_CHECK int flk_replay_list(const flk_replay_options_t *options, const char *dir); /* list, export, dlq list */
FLK_MUST_CHECK int flk_replay_show(const flk_replay_options_t *options, const char *dir);
FLK_MUST_CHECK int flk_replay_stats(const flk_replay_options_t *options, const char *dir);
/* verify.c: FLK_EXIT_FAILED on damage */
FLK_MUST_CHECK int flk_replay_verify(const flk_replay_options_t *options, const char *dir);
/* audit.c: FLK_EXIT_FAILED on a difference */
FLK_MUST_CHECK int flk_replay_audit(const flk_replay_options_t *options, const flk_settings_t *settings,
                                    const char *dir);

/* submit.c: replay, handover; FLK_EXIT_FAILED when some have no answer */
FLK_MUST_CHECK int flk_replay_submit(const flk_replay_options_t *options, const flk_settings_t *settings,
                                     const char *dir);
/* dlq.c: dlq purge, dlq replay */
FLK_MUST_CHECK int flk_replay_dlq(const flk_replay_options_t *options, const char *dir);

/* Prints errmsg, under the name that the program was called by, and gives FLK_EXIT_FAILED. */
FLK_MUST_CHECK int flk_replay_failed(const char *errmsg);

#endif
