/* SPDX-License-Identifier: MIT */
/* The contents that the dead-letter queue answers for: a set of pcs_id and digest. One pcs_id may be there with
 * several digests, since anybody may submit another content under an id that they saw. One owner thread, but for the
 * length. */
#ifndef FLK_GATEWAY_DLQ_SET_H
#define FLK_GATEWAY_DLQ_SET_H

#include <stdatomic.h>

#include "common/pcs/canonical.h"
#include "common/pcs/pcs.h"

typedef struct flk_dlq_key {
    uint8_t pcs_id[FLK_PCS_ID_BYTES];
    uint8_t digest[FLK_DIGEST_BYTES]; /* of the content; see dlq.c */
} flk_dlq_key_t;

/* All zero: empty. */
typedef struct flk_dlq_set {
    flk_dlq_key_t *keys; /* open addressing; a pcs_id of zeros is an empty place: no SHA-256 is expected to be that */
    size_t places;       /* power of two, at least twice `len` */
    atomic_size_t len;   /* any thread may read it */
} flk_dlq_set_t;

void flk_dlq_set_fini(flk_dlq_set_t *set);
/* Whether some content has that id; whether that very content is there. */
FLK_MUST_CHECK bool flk_dlq_set_has_id(const flk_dlq_set_t *set, const uint8_t pcs_id[FLK_PCS_ID_BYTES]);
FLK_MUST_CHECK bool flk_dlq_set_contains(const flk_dlq_set_t *set, const flk_dlq_key_t *key);
/* There already is fine. FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_dlq_set_add(flk_dlq_set_t *set, const flk_dlq_key_t *key);
void flk_dlq_set_remove(flk_dlq_set_t *set, const flk_dlq_key_t *key); /* not there is fine */

#endif
