/* SPDX-License-Identifier: MIT */
#include "common/tlog/note.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "common/bytes.h"
#include "common/pcs/text.h"

#define DASH "\xe2\x80\x94 "

enum {
    DASH_BYTES = sizeof DASH - 1,
    ID_BYTES = 4,
    TIME_BYTES = 8,
    OURS_BYTES_MAX = ID_BYTES + TIME_BYTES + crypto_sign_BYTES,
    OURS_TEXT_BYTES = 4 * ((OURS_BYTES_MAX + 2) / 3) + 1,
    HEADER_BYTES_MAX = 64, /* "cosignature/v1\ntime 18446744073709551615\n" */
};

static flk_err_t refuse(const char *fault, char *errmsg) {
    flk_errmsg(errmsg, "the note %s", fault);
    return FLK_E_INVALID;
}

/* UTF-8, and no control character but LF; DEL is allowed, as Go's reader has it. */
static bool is_clean(const char *data, size_t data_bytes) {
    for (size_t i = 0; i < data_bytes; i++) {
        if ((unsigned char)data[i] < 0x20 && data[i] != '\n') {
            return false;
        }
    }
    return flk_text_is_utf8(data, data_bytes);
}

/* The text ends with the first LF of the last "\n\n". NULL: there is none. */
static const char *last_empty_line(const char *data, size_t data_bytes) {
    for (size_t at = data_bytes; at >= 2; at--) {
        if (data[at - 1] == '\n' && data[at - 2] == '\n') {
            return data + at - 1;
        }
    }
    return NULL;
}

static bool decode(const flk_note_signature_t *signature, uint8_t bytes[FLK_NOTE_SIGNATURE_BYTES_MAX], size_t *got) {
    return flk_base64_decode(signature->base64, signature->base64_bytes, bytes, FLK_NOTE_SIGNATURE_BYTES_MAX, got);
}

static bool parse_line(const char *line, size_t line_bytes, flk_note_signature_t *signature) {
    uint8_t bytes[FLK_NOTE_SIGNATURE_BYTES_MAX];
    size_t got;
    if (line_bytes < DASH_BYTES || memcmp(line, DASH, DASH_BYTES) != 0) {
        return false;
    }
    signature->name = line + DASH_BYTES;
    const char *blank = memchr(signature->name, ' ', line_bytes - DASH_BYTES);
    if (blank == NULL) {
        return false;
    }
    signature->name_bytes = (size_t)(blank - signature->name);
    signature->base64 = blank + 1;
    signature->base64_bytes = (size_t)(line + line_bytes - signature->base64);
    if (!flk_note_name_valid(signature->name, signature->name_bytes) || !decode(signature, bytes, &got) ||
        got <= ID_BYTES) {
        return false;
    }
    signature->id = flk_get_be32(bytes);
    return true;
}

flk_err_t flk_note_parse(const char *data, size_t data_bytes, flk_note_t *note, char *errmsg) {
    memset(note, 0, sizeof *note);
    if (data_bytes > FLK_NOTE_BYTES_MAX) {
        return refuse("has more than 65536 bytes", errmsg);
    }
    if (!is_clean(data, data_bytes)) {
        return refuse("has bytes that are no UTF-8 or control characters", errmsg);
    }
    const char *empty = last_empty_line(data, data_bytes);
    if (empty == NULL) {
        return refuse("has no empty line before its signatures", errmsg);
    }
    note->text = data;
    note->text_bytes = (size_t)(empty - data);
    const char *at = empty + 1, *end = data + data_bytes;
    if (at == end || end[-1] != '\n') {
        return refuse("has no signature, or no line end behind the last one", errmsg);
    }
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (note->signatures_len == FLK_NOTE_SIGNATURES_MAX) {
            return refuse("has more than 100 signatures", errmsg);
        }
        if (!parse_line(at, (size_t)(line_end - at), &note->signatures[note->signatures_len++])) {
            return refuse("has a line behind its text that is no signature", errmsg);
        }
        at = line_end + 1;
    }
    return FLK_OK;
}

/* The bytes before the text that a key signs. */
static size_t header_of(flk_note_alg_t alg, uint64_t time_s, char header[HEADER_BYTES_MAX]) {
    return alg == FLK_NOTE_COSIGNATURE
               ? (size_t)snprintf(header, HEADER_BYTES_MAX, "cosignature/v1\ntime %" PRIu64 "\n", time_s)
               : 0;
}

/* The header and the text in one piece, as libsodium wants them. Out of memory ends the process. */
static uint8_t *make_message(flk_note_alg_t alg, uint64_t time_s, const char *text, size_t text_bytes,
                             size_t *message_bytes) {
    char header[HEADER_BYTES_MAX];
    size_t header_bytes = header_of(alg, time_s, header);
    uint8_t *message = flk_start_alloc(header_bytes + text_bytes);
    memcpy(message, header, header_bytes);
    memcpy(message + header_bytes, text, text_bytes);
    *message_bytes = header_bytes + text_bytes;
    return message;
}

static bool check_ed25519(const flk_note_key_t *key, const flk_note_t *note, uint64_t time_s,
                          const uint8_t *signature) {
    size_t message_bytes;
    uint8_t *message = make_message(key->alg, time_s, note->text, note->text_bytes, &message_bytes);
    bool fine = crypto_sign_verify_detached(signature, message, message_bytes, key->public_key) == 0;
    free(message);
    return fine;
}

flk_err_t flk_note_verify(const flk_note_t *note, const flk_note_key_t *key, uint64_t *time_s, char *errmsg) {
    uint8_t bytes[FLK_NOTE_SIGNATURE_BYTES_MAX];
    size_t time_bytes = key->alg == FLK_NOTE_COSIGNATURE ? TIME_BYTES : 0, got;
    for (size_t i = 0; i < note->signatures_len; i++) {
        const flk_note_signature_t *signature = &note->signatures[i];
        if (signature->id != key->id || signature->name_bytes != strlen(key->name) ||
            memcmp(signature->name, key->name, signature->name_bytes) != 0) {
            continue;
        }
        uint64_t time = 0;
        bool whole = decode(signature, bytes, &got) && got == ID_BYTES + time_bytes + crypto_sign_BYTES;
        if (whole && time_bytes > 0) {
            time = flk_get_be64(bytes + ID_BYTES);
        }
        if (!whole || time > INT64_MAX || !check_ed25519(key, note, time, bytes + ID_BYTES + time_bytes)) {
            flk_errmsg(errmsg, "the signature of %s does not verify", key->name);
            return FLK_E_SIGNATURE;
        }
        if (time_s != NULL) {
            *time_s = time;
        }
        return FLK_OK;
    }
    flk_errmsg(errmsg, "there is no signature of %s (key id %08" PRIx32 ")", key->name, key->id);
    return FLK_E_NOT_FOUND;
}

size_t flk_note_sign(const char *text, size_t text_bytes, const flk_note_signer_t *signer, uint64_t time_s,
                     char line[FLK_NOTE_LINE_BYTES]) {
    uint8_t bytes[OURS_BYTES_MAX];
    char base64[OURS_TEXT_BYTES];
    size_t used = ID_BYTES, message_bytes;
    FLK_ASSERT(text_bytes > 0 && text_bytes <= FLK_NOTE_BYTES_MAX && text[text_bytes - 1] == '\n');
    uint8_t *message = make_message(signer->key.alg, time_s, text, text_bytes, &message_bytes);
    flk_put_be32(bytes, signer->key.id);
    if (signer->key.alg == FLK_NOTE_COSIGNATURE) {
        flk_put_be64(bytes + used, time_s);
        used += TIME_BYTES;
    }
    crypto_sign_detached(bytes + used, NULL, message, message_bytes, signer->secret);
    free(message);
    used += crypto_sign_BYTES;
    sodium_bin2base64(base64, sizeof base64, bytes, used, sodium_base64_VARIANT_ORIGINAL);
    return (size_t)snprintf(line, FLK_NOTE_LINE_BYTES, DASH "%s %s\n", signer->key.name, base64);
}
