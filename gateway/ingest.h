/* SPDX-License-Identifier: MIT */
/* The one ingest path behind both doors: parse → log append → relay. Any thread. */
#ifndef FLK_GATEWAY_INGEST_H
#define FLK_GATEWAY_INGEST_H

#include "gateway/gateway.h"

/* Parses an admitted submission, body set, and hands it to the log; the relay keeps it from then on. `reader` is the
 * calling thread's own. Takes the submission in any case; a caller that wants to see the answer takes a reference
 * first. False: it is no PCS (400, 413), or memory is short (503). Its client was told, and the log never had it. */
bool flk_ingest_start(flk_gateway_t *gateway, flk_submission_t *submission, flk_pcs_reader_t *reader);

/* Its two halves, for submissions that go to the log as one group. _check parses: false as above. _log takes a chain of
 * checked submissions, linked by entry.next, newest first. */
bool flk_ingest_check(flk_gateway_t *gateway, flk_submission_t *submission, flk_pcs_reader_t *reader);
void flk_ingest_log(flk_gateway_t *gateway, flk_submission_t *newest, flk_submission_t *oldest);

/* The log's on_commit: arg is the gateway. */
void flk_ingest_committed(void *arg, flk_wal_entry_t *group);

#endif
