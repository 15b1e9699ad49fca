/* SPDX-License-Identifier: MIT */
/* The one ingest path behind both doors: throttle → log append → parse beside the sync → relay. Any thread. */
#ifndef FLK_GATEWAY_INGEST_H
#define FLK_GATEWAY_INGEST_H

#include "gateway/gateway.h"

/* Observes a submission and decides whether it may come in. FLK_OK takes a place for it and its body among those in
 * memory, given back when the relay lets the submission go. Otherwise `answer` (429 or 503) tells why. */
FLK_MUST_CHECK flk_err_t flk_ingest_admit(flk_gateway_t *gateway, size_t body_bytes, flk_answer_t *answer);

/* Gives the place back: of a submission that the relay lets go; of one that never came to be, so that nobody waits. */
void flk_ingest_release(flk_gateway_t *gateway, size_t body_bytes);
void flk_ingest_leave(flk_gateway_t *gateway, size_t body_bytes);

/* What flk_ingest_admit is made of, for refusals that have a reason of the door's own: counts a submission; counts one
 * that was observed as throttled (429) or refused (503), and fills `answer`. */
void flk_ingest_observe(flk_gateway_t *gateway);
void flk_ingest_refuse(flk_gateway_t *gateway, uint16_t status, const char *why, uint32_t retry_ms,
                       flk_answer_t *answer);

/* Hands an admitted submission, body set, to the log, then parses it while the log syncs. The relay keeps it from here
 * on; a caller that wants to see the answer takes a reference first. */
void flk_ingest_start(flk_gateway_t *gateway, flk_submission_t *submission, flk_pcs_reader_t *reader);

/* The log's on_commit: arg is the gateway. */
void flk_ingest_committed(void *arg, flk_wal_entry_t *group);

#endif
