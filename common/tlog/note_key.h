/* SPDX-License-Identifier: MIT */
/* Keys of signed notes (C2SP signed-note): Ed25519 by libsodium, as texts that Go's sumdb/note reads too.
 *
 *   verifier key   NAME+<key id, 8 hex digits>+<base64 of type · public key (32)>
 *   signer key     PRIVATE+KEY+NAME+<key id>+<base64 of 0x01 · seed (32)>
 *   key id         the first 4 bytes of SHA-256(NAME · 0x0a · type · public key)
 *
 * Pure functions, any thread. */
#ifndef FLK_COMMON_TLOG_NOTE_KEY_H
#define FLK_COMMON_TLOG_NOTE_KEY_H

#include "common/err.h"

enum {
    FLK_NOTE_NAME_BYTES = 256, /* of a key's name, with its NUL */
    FLK_NOTE_PUBLIC_BYTES = 32,
    FLK_NOTE_SECRET_BYTES = 64,
    FLK_NOTE_KEY_TEXT_BYTES = FLK_NOTE_NAME_BYTES + 96,
};

typedef enum flk_note_alg {
    FLK_NOTE_ED25519 = 0x01,     /* over the text of the note */
    FLK_NOTE_COSIGNATURE = 0x04, /* a witness: over the time and the text (cosignature/v1) */
} flk_note_alg_t;

typedef struct flk_note_key {
    char name[FLK_NOTE_NAME_BYTES];
    flk_note_alg_t alg;
    uint32_t id;
    uint8_t public_key[FLK_NOTE_PUBLIC_BYTES];
} flk_note_key_t;

typedef struct flk_note_signer {
    flk_note_key_t key;
    uint8_t secret[FLK_NOTE_SECRET_BYTES]; /* the caller wipes it */
} flk_note_signer_t;

/* UTF-8 without blanks, control characters and '+', 1 to FLK_NOTE_NAME_BYTES - 1 bytes. */
FLK_MUST_CHECK bool flk_note_name_valid(const char *name, size_t name_bytes);

/* Errors: FLK_E_INVALID, with the fault and never the text in errmsg. A line end behind the text is allowed. */
FLK_MUST_CHECK flk_err_t flk_note_key_parse(const char *text, flk_note_key_t *key, char *errmsg);
void flk_note_key_print(const flk_note_key_t *key, char text[FLK_NOTE_KEY_TEXT_BYTES]);

/* A new signer of notes (FLK_NOTE_ED25519); `name` is valid. */
void flk_note_signer_draw(const char *name, flk_note_signer_t *signer);
/* Errors: FLK_E_INVALID, as above. */
FLK_MUST_CHECK flk_err_t flk_note_signer_parse(const char *text, flk_note_signer_t *signer, char *errmsg);
void flk_note_signer_print(const flk_note_signer_t *signer, char text[FLK_NOTE_KEY_TEXT_BYTES]);

#endif
