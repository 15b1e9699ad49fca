/* SPDX-License-Identifier: MIT */
/* Readers of the log at the positions where requests left them: the next request of the same client goes on there,
 * and the segment is not searched again. Any thread; a reader belongs to one request at a time. */
#ifndef FLK_FOLLOW_FEED_READERS_H
#define FLK_FOLLOW_FEED_READERS_H

#include "common/wal/follow/follow.h"
#include "follow/decoder.h"

typedef struct flk_feed_readers flk_feed_readers_t; /* Opaque. */

typedef struct flk_feed_reader {
    flk_wal_follow_t *follow;
    flk_decoder_t *decoder;
    uint64_t position;
} flk_feed_reader_t;

/* Start-up. `log_dir` is kept. Caller frees with flk_feed_readers_destroy. */
flk_feed_readers_t *flk_feed_readers_new(const char *log_dir);
/* When no reader is taken any more. NULL content is allowed. */
void flk_feed_readers_destroy(flk_feed_readers_t **readers);

/* Takes the reader that waits at `after`, or opens one. Errors: those of flk_wal_follow_open. Give it back, or drop it.
 */
FLK_MUST_CHECK flk_err_t flk_feed_readers_take(flk_feed_readers_t *readers, uint64_t after, flk_feed_reader_t *reader,
                                               char *errmsg);
void flk_feed_readers_give(flk_feed_readers_t *readers, flk_feed_reader_t *reader);
void flk_feed_reader_drop(flk_feed_reader_t *reader);

#endif
