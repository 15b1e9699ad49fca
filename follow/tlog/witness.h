/* SPDX-License-Identifier: MIT */
/* Witnesses (C2SP tlog-witness): other people's servers that cosign a checkpoint once they have seen that it continues
 * the last one that they cosigned. A log that forks or is rolled back gets no cosignature any more. One thread; a
 * request takes at most 5 s. */
#ifndef FLK_FOLLOW_TLOG_WITNESS_H
#define FLK_FOLLOW_TLOG_WITNESS_H

#include "common/metrics.h"
#include "follow/tlog/log.h"

enum { FLK_WITNESSES_MAX = 16 };

typedef struct flk_witnesses flk_witnesses_t; /* Opaque. */

/* Reads "url=vkey,…"; "" is none of them. Errors: FLK_E_CONFIG, with the fault in errmsg; FLK_E_NOMEM. `metrics`
 * outlive them. Caller frees with _destroy. */
FLK_MUST_CHECK flk_err_t flk_witnesses_new(const char *list, flk_metrics_t *metrics, flk_witnesses_t **witnesses,
                                           char *errmsg);
void flk_witnesses_destroy(flk_witnesses_t **witnesses); /* NULL content is allowed */
size_t flk_witnesses_len(const flk_witnesses_t *witnesses);

/* Asks each to cosign and adds the cosignatures, which were verified, to the note. Returns how many. One that refuses
 * or does not answer is counted and told in the log. */
size_t flk_witnesses_ask(flk_witnesses_t *witnesses, flk_tlog_log_t *log, flk_tlog_signed_t *made);

#endif
