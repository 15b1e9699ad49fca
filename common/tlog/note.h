/* SPDX-License-Identifier: MIT */
/* Signed notes (C2SP signed-note): a text, an empty line, and a line a signature:
 *
 *   — NAME <base64 of key id (4, big-endian) · signature>
 *
 * Pure functions, any thread. */
#ifndef FLK_COMMON_TLOG_NOTE_H
#define FLK_COMMON_TLOG_NOTE_H

#include "common/tlog/note_key.h"

enum {
    FLK_NOTE_BYTES_MAX = 65536,
    FLK_NOTE_SIGNATURES_MAX = 100,
    FLK_NOTE_SIGNATURE_BYTES_MAX = 4096, /* ML-DSA-44 has 2420; of an algorithm that we do not know we keep none */
    FLK_NOTE_LINE_BYTES = FLK_NOTE_NAME_BYTES + 128, /* one signature of ours, or of a witness */
};

typedef struct flk_note_signature {
    const char *name, *base64; /* borrowed from the note, not NUL-terminated */
    size_t name_bytes, base64_bytes;
    uint32_t id;
} flk_note_signature_t;

typedef struct flk_note {
    const char *text; /* borrowed: with its last LF, not NUL-terminated */
    size_t text_bytes;
    size_t signatures_len;
    flk_note_signature_t signatures[FLK_NOTE_SIGNATURES_MAX];
} flk_note_t;

/* Takes a note apart; `data` must outlive it. Errors: FLK_E_INVALID, with the fault in errmsg. Nothing is verified. */
FLK_MUST_CHECK flk_err_t flk_note_parse(const char *data, size_t data_bytes, flk_note_t *note, char *errmsg);

/* FLK_OK when the first signature line of that name and id verifies; `time_s`, the time of a cosignature and 0 for
 * another key, may be NULL. Errors: FLK_E_NOT_FOUND (no such line), FLK_E_SIGNATURE (it does not verify). */
FLK_MUST_CHECK flk_err_t flk_note_verify(const flk_note_t *note, const flk_note_key_t *key, uint64_t *time_s,
                                         char *errmsg);

/* The signature line, with its LF, over `text`, which ends in LF; `time_s` counts for a cosignature alone. Returns its
 * length. */
size_t flk_note_sign(const char *text, size_t text_bytes, const flk_note_signer_t *signer, uint64_t time_s,
                     char line[FLK_NOTE_LINE_BYTES]);

#endif
