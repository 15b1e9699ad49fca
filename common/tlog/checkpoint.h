/* SPDX-License-Identifier: MIT */
/* Checkpoints (C2SP tlog-checkpoint): the text of the note that a log signs. Pure functions, any thread.
 *
 *   origin                  a URL without scheme, without blanks and '+'
 *   tree size               decimal, without leading zeros
 *   root                    standard base64
 *   extension lines         of others; we write none */
#ifndef FLK_COMMON_TLOG_CHECKPOINT_H
#define FLK_COMMON_TLOG_CHECKPOINT_H

#include "common/tlog/note.h"
#include "common/tlog/proof.h"

enum { FLK_TLOG_CHECKPOINT_TEXT_BYTES = FLK_NOTE_NAME_BYTES + 20 + FLK_TLOG_HASH_BASE64_BYTES + 4 };

typedef struct flk_tlog_checkpoint {
    char origin[FLK_NOTE_NAME_BYTES]; /* valid as a key's name */
    uint64_t size;
    flk_tlog_hash_t root;
} flk_tlog_checkpoint_t;

/* Returns the length. */
size_t flk_tlog_checkpoint_print(const flk_tlog_checkpoint_t *checkpoint, char text[FLK_TLOG_CHECKPOINT_TEXT_BYTES]);

/* Errors: FLK_E_INVALID, with the fault in errmsg. */
FLK_MUST_CHECK flk_err_t flk_tlog_checkpoint_parse(const char *text, size_t text_bytes,
                                                   flk_tlog_checkpoint_t *checkpoint, char *errmsg);

/* A decimal number without leading zeros up to FLK_TLOG_SIZE_MAX, as sizes and indices of all these formats are. */
FLK_MUST_CHECK bool flk_tlog_number_parse(const char *text, size_t text_bytes, uint64_t *number);

/* Takes a signed checkpoint apart and verifies the log's signature. Errors: those of flk_note_parse, flk_note_verify
 * and flk_tlog_checkpoint_parse. `note` borrows from `data`. */
FLK_MUST_CHECK flk_err_t flk_tlog_checkpoint_open(const char *data, size_t data_bytes, const flk_note_key_t *key,
                                                  flk_note_t *note, flk_tlog_checkpoint_t *checkpoint, char *errmsg);

#endif
