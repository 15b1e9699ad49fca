/* SPDX-License-Identifier: MIT */
/* The one ingest path behind both doors: log append → parse beside the sync → relay. Any thread. */
#ifndef FLK_GATEWAY_INGEST_H
#define FLK_GATEWAY_INGEST_H

#include "gateway/gateway.h"

/* Hands an admitted submission, body set, to the log, then parses it while the log syncs. The relay keeps the submission from
 * here on; a caller that wants to see the answer takes a reference first. `reader` is the calling thread's own. */
void flk_ingest_start(flk_gateway_t *gateway, flk_submission_t *submission, flk_pcs_reader_t *reader);

/* The log's on_commit: arg is the gateway. */
void flk_ingest_committed(void *arg, flk_wal_entry_t *group);

#endif
