/* SPDX-License-Identifier: MIT */
/* Two logs: PCS that are not answered yet (FLK_DATA_DIR/outbox), and dead letters, refused or too old, each with its
 * reason (FLK_DATA_DIR/outbox-dlq). One agent per data directory.
 *
 * A record of the outbox is the PCS' JSON; of the dead-letter queue, the reason as one line, '\n', the JSON. Both carry
 * the kind below. A PCS leaves the outbox by an ack: after its verdict, or after its dead letter is durable. Life of a
 * record:
 *   append → durable → next → (sent) → settle, or bury → ack
 * One thread, but for the logs' own writers. */
#ifndef FLK_AGENT_SEND_OUTBOX_H
#define FLK_AGENT_SEND_OUTBOX_H

#include "agent/send/parcel.h"
#include "common/program/settings.h"
#include "common/wal/wal.h"

enum {
    FLK_RECORD_COMPUTED = 1, /* attempt and sent_at are ours to put right */
    FLK_RECORD_READY = 2,    /* ready-made */
    FLK_OUTBOX_SYNCING_MAX = 256,
};

typedef struct flk_outbox flk_outbox_t; /* Opaque; fields are commented in outbox.c. */

typedef enum flk_outbox_source { FLK_OUTBOX_PENDING, FLK_OUTBOX_DEAD } flk_outbox_source_t;

/* Opens both logs; `from` is the one that flk_outbox_next reads. Errors: FLK_E_LOCKED (another agent has the
 * directory), FLK_E_IO, FLK_E_NO_SPACE, FLK_E_NOMEM. Caller frees with flk_outbox_close. */
FLK_MUST_CHECK flk_err_t flk_outbox_open(const flk_settings_t *settings, flk_outbox_source_t from,
                                         flk_outbox_t **outbox, char *errmsg);
void flk_outbox_close(flk_outbox_t **outbox);

/* ---- in ---- */

/* Takes `json` on FLK_OK; it is durable once flk_outbox_syncing no longer counts it. FLK_E_FULL: FLK_OUTBOX_SYNCING_MAX
 * are on their way. FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_outbox_append(flk_outbox_t *outbox, uint8_t kind, char *json, size_t json_bytes);
size_t flk_outbox_syncing(const flk_outbox_t *outbox);

/* FLK_OK, or the error of an append that did not become durable: FLK_E_IO, FLK_E_NO_SPACE, FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_outbox_fault(const flk_outbox_t *outbox);

/* Readable after appends became durable. flk_outbox_woken reads it empty; true when there were some since the last
 * call. */
int flk_outbox_fd(const flk_outbox_t *outbox);
bool flk_outbox_woken(flk_outbox_t *outbox);

/* ---- out ---- */

/* The next unanswered PCS, oldest first, each once. FLK_E_NOT_FOUND: none now. FLK_E_NOMEM. A record that is unreadable
 * is logged and counted in *unreadable, one that is no PCS is buried; both are passed over. */
FLK_MUST_CHECK flk_err_t flk_outbox_next(flk_outbox_t *outbox, flk_parcel_t **parcel, uint64_t *unreadable);

/* Acks a parcel that was answered with `status`. */
void flk_outbox_settle(flk_outbox_t *outbox, const flk_parcel_t *parcel, unsigned status);

/* Moves a parcel to the dead-letter queue, durably, blocking for a sync; one that came from there just stays. On an
 * error it stays where it was. FLK_E_IO, FLK_E_NO_SPACE. */
FLK_MUST_CHECK flk_err_t flk_outbox_bury(flk_outbox_t *outbox, const flk_parcel_t *parcel, const char *reason,
                                         unsigned status, char *errmsg);

/* Drops each dead letter that `select` picks by its pcs_id ("" for a record that is no PCS), durably; *purged counts
 * them. The outbox must have been opened from FLK_OUTBOX_DEAD. FLK_E_IO, FLK_E_NO_SPACE, FLK_E_NOMEM. */
typedef bool flk_outbox_select_fn(void *arg, const char *pcs_id);
FLK_MUST_CHECK flk_err_t flk_outbox_purge(flk_outbox_t *outbox, flk_outbox_select_fn *select, void *arg,
                                          uint64_t *purged, char *errmsg);

/* Waits until every ack is durable. Errors: FLK_E_IO, FLK_E_NO_SPACE. */
FLK_MUST_CHECK flk_err_t flk_outbox_flush(flk_outbox_t *outbox, char *errmsg);

uint64_t flk_outbox_unanswered(const flk_outbox_t *outbox); /* in the log that is being read */

#endif
