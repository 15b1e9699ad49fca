/* SPDX-License-Identifier: MIT */
/* A signed note of strangers: it is refused with one line, or its parts are parts of it, and no signature of another
 * key verifies. A checkpoint that was read prints as it was. */
#include "common/tlog/checkpoint.h"
#include "tests/fuzz/fuzz.h"

static const flk_note_signer_t *signer(void) {
    static flk_note_signer_t drawn;
    if (drawn.key.name[0] == '\0') {
        flk_note_signer_draw("log.example", &drawn);
    }
    return &drawn;
}

static void check_checkpoint(const flk_note_t *note) {
    char errmsg[FLK_ERRMSG_BYTES] = "", again[FLK_TLOG_CHECKPOINT_TEXT_BYTES];
    flk_tlog_checkpoint_t checkpoint;
    if (flk_tlog_checkpoint_parse(note->text, note->text_bytes, &checkpoint, errmsg) == FLK_OK) {
        size_t bytes = flk_tlog_checkpoint_print(&checkpoint, again);
        FLK_ASSERT(bytes <= note->text_bytes && memcmp(again, note->text, bytes) == 0);
    } else {
        fuzz_check_text(errmsg);
    }
}

static void check_key(const uint8_t *data, size_t data_bytes) {
    char errmsg[FLK_ERRMSG_BYTES] = "", *text = strndup((const char *)data, data_bytes), again[FLK_NOTE_KEY_TEXT_BYTES];
    flk_note_key_t key;
    FLK_ASSERT(text != NULL);
    if (flk_note_key_parse(text, &key, errmsg) == FLK_OK) {
        flk_note_key_print(&key, again);
        FLK_ASSERT(strncasecmp(again, text, strlen(again)) == 0);
    } else {
        fuzz_check_text(errmsg);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes) {
    static flk_note_t note;
    char errmsg[FLK_ERRMSG_BYTES] = "";
    check_key(data, data_bytes);
    if (flk_note_parse((const char *)data, data_bytes, &note, errmsg) != FLK_OK) {
        fuzz_check_text(errmsg);
        return 0;
    }
    FLK_ASSERT(note.text_bytes < data_bytes && note.text[note.text_bytes - 1] == '\n');
    FLK_ASSERT(note.signatures_len >= 1 && note.signatures_len <= FLK_NOTE_SIGNATURES_MAX);
    flk_err_t err = flk_note_verify(&note, &signer()->key, NULL, errmsg);
    FLK_ASSERT(err == FLK_E_NOT_FOUND || err == FLK_E_SIGNATURE);
    fuzz_check_text(errmsg);
    check_checkpoint(&note);
    return 0;
}
