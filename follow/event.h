/* SPDX-License-Identifier: MIT */
/* The outcome event: one ack of a gateway's log, with its record's metadata. (log, lsn) names it for ever, and events
 * come in the order of their LSNs. Printed, it never holds a body.
 *
 * Each ack gives log, lsn, record_lsn, time, received, status, flags, reasons and door. Further members are absent
 * (JSON null) where the log does not hold them:
 *   pcs_id                              a body that is no PCS (a 400 or 413)
 *   shard_id, epoch, coh_star, r,
 *   budget_claimed                      the same, or the record itself is gone (a compacted segment)
 *   d_hat, budget, regime,
 *   policy_version                      acks of format 1; another status than 200 and 202
 *   key                                 acks of format 1; no signature was verified
 * d_hat is null too in an outcome whose D-hat is unverifiable. Pure but for the decoder's own memory. */
#ifndef FLK_FOLLOW_EVENT_H
#define FLK_FOLLOW_EVENT_H

#include "common/pcs/canonical.h"
#include "common/pcs/verdict.h"

typedef struct flk_event {
    uint64_t log_id, lsn, record_lsn;
    int64_t time_ms, received_ms; /* wall clock of the ack's and of the record's group; received: 0 = not known */
    uint16_t status;
    uint16_t flags;   /* FLK_FLAG_* of proto/frame.h */
    uint32_t reasons; /* bit (1u << flk_reason_t) */
    uint8_t kind;     /* of the body, as inbox_format.h numbers them: which door it came by; 0: not known */
    const void *body; /* as it came; NULL: the record is gone. For digests: never printed, never sent */
    size_t body_bytes;
    const uint8_t *pcs_id;        /* FLK_PCS_ID_BYTES; NULL: absent */
    const flk_pcs_t *pcs;         /* NULL: absent */
    const flk_outcome_t *outcome; /* NULL: absent */
    const uint8_t *digest;        /* FLK_DIGEST_BYTES, of the signed content; NULL: absent */
    const char *key;              /* id of the key that verified; NULL: absent */
} flk_event_t; /* all that it points to is kept until the next event, or until the call that gave it returns */

/* Prints "2026-11-30T13:45:01.042Z" without a NUL and returns its end. */
enum { FLK_EVENT_TIME_BYTES = 24 };
char *flk_event_print_time(int64_t time_ms, char out[FLK_EVENT_TIME_BYTES]);

/* Prints the event as one JSON object, without line end and NUL. Every event fits. Returns the bytes. */
enum { FLK_EVENT_JSON_BYTES = 1792 };
size_t flk_event_print(const flk_event_t *event, char out[FLK_EVENT_JSON_BYTES]);

#endif
