/* SPDX-License-Identifier: MIT */
/* An outcome of the log as an event: the record's body is read by the PCS reader of its door, the ack's outcome by the
 * stores' decoder. One owner; its memory is used again for each event. */
#ifndef FLK_FOLLOW_DECODER_H
#define FLK_FOLLOW_DECODER_H

#include "common/wal/follow/follow.h"
#include "follow/event.h"

typedef struct flk_decoder flk_decoder_t; /* Opaque. */

/* Errors: FLK_E_NOMEM. Caller frees with flk_decoder_destroy. */
FLK_MUST_CHECK flk_err_t flk_decoder_new(flk_decoder_t **decoder, char *errmsg);
void flk_decoder_destroy(flk_decoder_t **decoder); /* NULL is allowed */

/* `item` is an outcome, no gap. A body that is no PCS, or an outcome that is none, gives an event without those
 * members: the log is older than this reader, or newer. The texts of `event` are kept until the next call and as long
 * as the item. Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_decoder_read(flk_decoder_t *decoder, const flk_wal_follow_item_t *item, flk_event_t *event,
                                          char *errmsg);

/* "retired" or "damaged". */
const char *flk_decoder_gap_name(flk_wal_gap_t gap);

#endif
