/* SPDX-License-Identifier: MIT */
#include "common/tlog/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

size_t flk_tlog_checkpoint_print(const flk_tlog_checkpoint_t *checkpoint, char text[FLK_TLOG_CHECKPOINT_TEXT_BYTES]) {
    char root[FLK_TLOG_HASH_BASE64_BYTES];
    flk_tlog_hash_print(&checkpoint->root, root);
    return (size_t)snprintf(text, FLK_TLOG_CHECKPOINT_TEXT_BYTES, "%s\n%" PRIu64 "\n%s\n", checkpoint->origin,
                            checkpoint->size, root);
}

bool flk_tlog_number_parse(const char *text, size_t text_bytes, uint64_t *number) {
    uint64_t value = 0;
    if (text_bytes == 0 || (text[0] == '0' && text_bytes > 1)) {
        return false;
    }
    for (size_t i = 0; i < text_bytes; i++) {
        unsigned digit = (unsigned)(unsigned char)text[i] - '0';
        if (digit > 9 || value > (FLK_TLOG_SIZE_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *number = value;
    return true;
}

/* The line at *at without its LF, and steps over it; false when none is left. */
static bool take_line(const char **at, const char *end, const char **line, size_t *line_bytes) {
    const char *line_end = *at < end ? memchr(*at, '\n', (size_t)(end - *at)) : NULL;
    if (line_end == NULL) {
        return false;
    }
    *line = *at;
    *line_bytes = (size_t)(line_end - *at);
    *at = line_end + 1;
    return true;
}

static flk_err_t refuse(const char *fault, char *errmsg) {
    flk_errmsg(errmsg, "the checkpoint %s", fault);
    return FLK_E_INVALID;
}

flk_err_t flk_tlog_checkpoint_parse(const char *text, size_t text_bytes, flk_tlog_checkpoint_t *checkpoint,
                                    char *errmsg) {
    const char *at = text, *end = text + text_bytes, *line;
    size_t line_bytes;
    memset(checkpoint, 0, sizeof *checkpoint);
    if (!take_line(&at, end, &line, &line_bytes) || !flk_note_name_valid(line, line_bytes)) {
        return refuse("has no origin without blanks in its first line", errmsg);
    }
    memcpy(checkpoint->origin, line, line_bytes);
    if (!take_line(&at, end, &line, &line_bytes) || !flk_tlog_number_parse(line, line_bytes, &checkpoint->size)) {
        return refuse("has no tree size in its second line", errmsg);
    }
    if (!take_line(&at, end, &line, &line_bytes) || !flk_tlog_hash_parse(line, line_bytes, &checkpoint->root)) {
        return refuse("has no root hash in its third line", errmsg);
    }
    while (at < end) {
        if (!take_line(&at, end, &line, &line_bytes) || line_bytes == 0) {
            return refuse("has an empty extension line", errmsg);
        }
    }
    return FLK_OK;
}

flk_err_t flk_tlog_checkpoint_open(const char *data, size_t data_bytes, const flk_note_key_t *key, flk_note_t *note,
                                   flk_tlog_checkpoint_t *checkpoint, char *errmsg) {
    flk_err_t err = flk_note_parse(data, data_bytes, note, errmsg);
    err = err != FLK_OK ? err : flk_note_verify(note, key, NULL, errmsg);
    return err != FLK_OK ? err : flk_tlog_checkpoint_parse(note->text, note->text_bytes, checkpoint, errmsg);
}
