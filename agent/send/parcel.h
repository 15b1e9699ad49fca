/* SPDX-License-Identifier: MIT */
/* A parcel: one PCS on its way from the outbox to its answer. One thread. */
#ifndef FLK_AGENT_SEND_PARCEL_H
#define FLK_AGENT_SEND_PARCEL_H

#include "common/pcs/keys.h"
#include "common/pcs/pcs.h"
#include "proto/frame.h"

typedef struct flk_parcel {
    uint64_t lsn; /* of its record in the outbox, or in the dead-letter queue */
    flk_id_t
        id; /* its submission id at the ZeroMQ door: the same however often it is sent, no other's; the owner sets it */
    bool ready;  /* ready-made: its bytes are not touched */
    bool resent; /* tried by an earlier run, so its first try here is not its first */
    flk_pcs_t pcs;
    char *json; /* the same as text; heap */
    size_t json_bytes;
    int64_t made_ms;         /* wall clock of its record; 0 = unknown */
    uint32_t tries;          /* begun by this run */
    bool stubborn;           /* the delivery loop's */
    uint64_t due_ms;         /* monotonic; no try before */
    uint64_t try_began_ns;   /* monotonic */
    struct flk_parcel *next; /* the delivery loop's */
} flk_parcel_t;

/* Reads and copies the JSON. FLK_E_INVALID: not a PCS, errmsg says why; FLK_E_NOMEM. Caller frees with
 * flk_parcel_destroy. */
FLK_MUST_CHECK flk_err_t flk_parcel_new(const void *json, size_t json_bytes, flk_parcel_t **parcel, char *errmsg);
void flk_parcel_destroy(flk_parcel_t **parcel);

/* Begins the next try: counts it, and updates the members of a computed PCS about its delivery (none of them is
 * signed): ft.outbox_seq is the LSN of its record; from the second try on attempt and sent_at are of that try.
 * Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_parcel_begin_try(flk_parcel_t *parcel);

/* Signs the PCS anew; its JSON is written anew too, without members that PCS do not have. Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_parcel_sign(flk_parcel_t *parcel, const flk_signer_t *signer);

#endif
