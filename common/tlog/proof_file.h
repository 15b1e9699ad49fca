/* SPDX-License-Identifier: MIT */
/* Files .tlog-proof (C2SP tlog-proof): all that it takes to verify a leaf without the log. Pure functions, any
 * thread.
 *
 *   c2sp.org/tlog-proof@v1
 *   extra <base64>          optional; we put the leaf's data there
 *   index <n>
 *   <base64 of a hash>      the inclusion proof, from the leaf's sibling upwards, a line each
 *
 *   <checkpoint>            as it was published */
#ifndef FLK_COMMON_TLOG_PROOF_FILE_H
#define FLK_COMMON_TLOG_PROOF_FILE_H

#include "common/tlog/checkpoint.h"
#include "common/tlog/leaf.h"

enum { FLK_TLOG_PROOF_FILE_BYTES_MAX = FLK_NOTE_BYTES_MAX + 8192 };

typedef struct flk_tlog_proof_file {
    bool has_extra;
    size_t extra_bytes;
    uint8_t extra[FLK_TLOG_LEAF_BYTES_MAX];
    uint64_t index;
    flk_tlog_proof_t proof;
    const char *checkpoint; /* borrowed, not NUL-terminated */
    size_t checkpoint_bytes;
} flk_tlog_proof_file_t;

/* Caller frees *text with free(). Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_tlog_proof_file_print(const flk_tlog_proof_file_t *file, char **text, size_t *text_bytes);

/* `text` must outlive the file. Errors: FLK_E_INVALID, with the fault in errmsg. */
FLK_MUST_CHECK flk_err_t flk_tlog_proof_file_parse(const char *text, size_t text_bytes, flk_tlog_proof_file_t *file,
                                                   char *errmsg);

/* FLK_OK when the checkpoint is signed by `key` and has `extra` as its leaf `index`. Fills note (borrows from the file)
 * and checkpoint. Errors: those of flk_tlog_checkpoint_open; FLK_E_SIGNATURE: the proof does not lead to its root. */
FLK_MUST_CHECK flk_err_t flk_tlog_proof_file_verify(const flk_tlog_proof_file_t *file, const flk_note_key_t *key,
                                                    flk_note_t *note, flk_tlog_checkpoint_t *checkpoint, char *errmsg);

#endif
