/* SPDX-License-Identifier: MIT */
/* A transparency log on disk: leaves in, tiles, entries and signed checkpoints out. One thread, one process a
 * directory.
 *
 *   DIR/tile/…                    C2SP tlog-tiles: for others, never changed once a checkpoint covers them
 *   DIR/checkpoint                the newest one that was published
 *   DIR/private/signed            the newest one that was signed: it must stay true for ever
 *   DIR/private/state             size, root and position that the tiles have
 *   DIR/private/index/            pcs_id -> leaf (common/tlog/index.h)
 *
 * Order on the disk: entries and tiles, then the state, then `signed`, then `checkpoint`. A state that is lost or
 * damaged is rebuilt from `signed` and the tiles; a log that contradicts its own checkpoint is refused. */
#ifndef FLK_FOLLOW_TLOG_LOG_H
#define FLK_FOLLOW_TLOG_LOG_H

#include "common/tlog/checkpoint.h"
#include "common/tlog/leaf.h"

typedef struct flk_tlog_log flk_tlog_log_t; /* Opaque; fields are commented in log.c. */

typedef struct flk_tlog_log_options {
    const char *dir;                 /* of this one log; made when it is missing; at most 3000 bytes; copied */
    const char *origin;              /* valid as a key's name; copied */
    const flk_note_signer_t *signer; /* must outlive the log */
} flk_tlog_log_options_t;

/* Opens or makes the log. Errors: FLK_E_CORRUPT (it contradicts its checkpoint, or files are missing), FLK_E_CONFIG (it
 * is of another origin or key), FLK_E_LOCKED (another process has it), those of common/io.h. */
FLK_MUST_CHECK flk_err_t flk_tlog_log_open(const flk_tlog_log_options_t *options, flk_tlog_log_t **log, char *errmsg);
void flk_tlog_log_close(flk_tlog_log_t **log); /* NULL is allowed; leaves that were not flushed are dropped */

uint64_t flk_tlog_log_lsn(const flk_tlog_log_t *log);  /* position of the last durable leaf, 0 without one */
uint64_t flk_tlog_log_size(const flk_tlog_log_t *log); /* leaves, also those that are not durable yet */
const flk_tlog_checkpoint_t *flk_tlog_log_published(const flk_tlog_log_t *log); /* size 0: none yet */

/* Adds a leaf. FLK_E_FULL: flush first. After any other error the log is of no more use: close it. */
FLK_MUST_CHECK flk_err_t flk_tlog_log_add(flk_tlog_log_t *log, const flk_tlog_leaf_t *leaf, char *errmsg);

/* Makes leaves durable: those of full bundles, or with `whole` all of them. After an error the log is of no more use.
 */
FLK_MUST_CHECK flk_err_t flk_tlog_log_flush(flk_tlog_log_t *log, bool whole, char *errmsg);

/* A checkpoint on its way past the witnesses. */
typedef struct flk_tlog_signed {
    flk_tlog_checkpoint_t checkpoint;
    size_t text_bytes, note_bytes;
    char note[FLK_NOTE_BYTES_MAX]; /* text, empty line, signatures: ours first, then the witnesses' */
} flk_tlog_signed_t;

/* Flushes all, and signs a checkpoint of it, once it is proven to be consistent with the one that was signed last.
 * FLK_E_AGAIN: the published one says the same. FLK_E_CORRUPT: it is not consistent; nothing is signed. */
FLK_MUST_CHECK flk_err_t flk_tlog_log_sign(flk_tlog_log_t *log, flk_tlog_signed_t *made, char *errmsg);

/* The proof that the tree that was signed begins with that of its first `old_size` leaves. Errors: those of reading. */
FLK_MUST_CHECK flk_err_t flk_tlog_log_consistency(flk_tlog_log_t *log, uint64_t old_size, uint64_t size,
                                                  flk_tlog_proof_t *proof, char *errmsg);

/* Publishes it. */
FLK_MUST_CHECK flk_err_t flk_tlog_log_publish(flk_tlog_log_t *log, const flk_tlog_signed_t *made, char *errmsg);

#endif
