/* SPDX-License-Identifier: MIT */
/* The fields of a log on disk, for the files that make it up: log.c, log_open.c. */
#ifndef FLK_FOLLOW_TLOG_LOG_INTERNAL_H
#define FLK_FOLLOW_TLOG_LOG_INTERNAL_H

#include <limits.h>

#include "common/tlog/edge.h"
#include "common/tlog/index.h"
#include "common/tlog/tiles.h"
#include "follow/tlog/log.h"
#include "follow/tlog/stage.h"

/* The file private/state: this, size, root and position, a line each. */
#define FLK_TLOG_STATE_HEADER "flk-tlog-state 1"

enum {
    FLK_TLOG_DIR_BYTES = 3001,
    FLK_TLOG_STATE_BYTES = 256,
    FLK_TLOG_ITEMS_MAX = 128 * (int)FLK_TLOG_TILE_HASHES,
};

struct flk_tlog_log {
    char dir[FLK_TLOG_DIR_BYTES], origin[FLK_NOTE_NAME_BYTES];
    const flk_note_signer_t *signer;
    int lock_fd;
    flk_stage_t stage;
    flk_tlog_edge_t edge; /* of all leaves */
    uint64_t lsn;         /* of the last one of them */
    uint64_t bundled_lsn; /* of the last one in a full bundle */
    uint64_t durable_size, durable_lsn;
    uint64_t partials_size; /* the size whose partial tiles are there; 0: not known */
    size_t bundle_bytes;    /* of the bundle under way */
    uint8_t bundle[FLK_TLOG_BUNDLE_BYTES_MAX];
    flk_tlog_tiles_t tiles; /* the reader of proofs */
    flk_tlog_index_t *index;
    size_t items_len;
    flk_tlog_index_item_t *items; /* not in the index yet; FLK_TLOG_ITEMS_MAX of them */
    flk_tlog_checkpoint_t last;   /* signed */
    flk_tlog_checkpoint_t published;
};

/* DIR/name. */
void flk_tlog_log_path(const flk_tlog_log_t *log, const char *name, char path[PATH_MAX]);

/* Writes the state for the first `size` leaves, which are durable and end at position `lsn`. */
FLK_MUST_CHECK flk_err_t flk_tlog_log_write_state(flk_tlog_log_t *log, uint64_t size, uint64_t lsn, char *errmsg);

#endif
