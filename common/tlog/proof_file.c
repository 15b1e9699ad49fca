/* SPDX-License-Identifier: MIT */
#include "common/tlog/proof_file.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"

#define HEADER       "c2sp.org/tlog-proof@v1\n"
#define EXTRA_PREFIX "extra "
#define INDEX_PREFIX "index "

enum { EXTRA_TEXT_BYTES = 4 * ((FLK_TLOG_LEAF_BYTES_MAX + 2) / 3) + 1 };

flk_err_t flk_tlog_proof_file_print(const flk_tlog_proof_file_t *file, char **text, size_t *text_bytes) {
    char extra[EXTRA_TEXT_BYTES], hash[FLK_TLOG_HASH_BASE64_BYTES];
    FILE *out = open_memstream(text, text_bytes);
    if (out == NULL) {
        return FLK_E_NOMEM;
    }
    fputs(HEADER, out);
    if (file->has_extra) {
        sodium_bin2base64(extra, sizeof extra, file->extra, file->extra_bytes, sodium_base64_VARIANT_ORIGINAL);
        fprintf(out, EXTRA_PREFIX "%s\n", extra);
    }
    fprintf(out, INDEX_PREFIX "%" PRIu64 "\n", file->index);
    for (size_t i = 0; i < file->proof.len; i++) {
        flk_tlog_hash_print(&file->proof.hashes[i], hash);
        fprintf(out, "%s\n", hash);
    }
    fputc('\n', out);
    fwrite(file->checkpoint, 1, file->checkpoint_bytes, out);
    bool whole = !ferror(out);
    if (fclose(out) != 0 || !whole) {
        free(*text);
        *text = NULL;
        return FLK_E_NOMEM;
    }
    return FLK_OK;
}

static flk_err_t refuse(const char *fault, char *errmsg) {
    flk_errmsg(errmsg, "the proof %s", fault);
    return FLK_E_INVALID;
}

/* Steps over `prefix` and gives the rest of its line. False, and nothing is stepped over: the line is another one. */
static bool take_line(const char **at, const char *end, const char *prefix, const char **line, size_t *line_bytes) {
    size_t prefix_bytes = strlen(prefix);
    const char *line_end = *at < end ? memchr(*at, '\n', (size_t)(end - *at)) : NULL;
    if (line_end == NULL || (size_t)(line_end - *at) < prefix_bytes || memcmp(*at, prefix, prefix_bytes) != 0) {
        return false;
    }
    *line = *at + prefix_bytes;
    *line_bytes = (size_t)(line_end - *line);
    *at = line_end + 1;
    return true;
}

flk_err_t flk_tlog_proof_file_parse(const char *text, size_t text_bytes, flk_tlog_proof_file_t *file, char *errmsg) {
    const char *at = text, *end = text + text_bytes, *line;
    size_t line_bytes;
    memset(file, 0, sizeof *file);
    if (text_bytes < strlen(HEADER) || memcmp(text, HEADER, strlen(HEADER)) != 0) {
        return refuse("does not begin with c2sp.org/tlog-proof@v1", errmsg);
    }
    at += strlen(HEADER);
    if (take_line(&at, end, EXTRA_PREFIX, &line, &line_bytes)) {
        file->has_extra = true;
        if (!flk_base64_decode(line, line_bytes, file->extra, sizeof file->extra, &file->extra_bytes)) {
            return refuse("has an extra line that is no base64 of a leaf", errmsg);
        }
    }
    if (!take_line(&at, end, INDEX_PREFIX, &line, &line_bytes) ||
        !flk_tlog_number_parse(line, line_bytes, &file->index)) {
        return refuse("has no line with the index of its leaf", errmsg);
    }
    for (;;) {
        if (!take_line(&at, end, "", &line, &line_bytes)) {
            return refuse("has no empty line before its checkpoint", errmsg);
        }
        if (line_bytes == 0) {
            break;
        }
        if (file->proof.len == FLK_TLOG_LEVELS - 1 ||
            !flk_tlog_hash_parse(line, line_bytes, &file->proof.hashes[file->proof.len++])) {
            return refuse("has a line among its hashes that is none, or more than 63 of them", errmsg);
        }
    }
    file->checkpoint = at;
    file->checkpoint_bytes = (size_t)(end - at);
    return file->checkpoint_bytes > 0 ? FLK_OK : refuse("has no checkpoint", errmsg);
}

flk_err_t flk_tlog_proof_file_verify(const flk_tlog_proof_file_t *file, const flk_note_key_t *key, flk_note_t *note,
                                     flk_tlog_checkpoint_t *checkpoint, char *errmsg) {
    flk_tlog_hash_t leaf;
    flk_err_t err = flk_tlog_checkpoint_open(file->checkpoint, file->checkpoint_bytes, key, note, checkpoint, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (!file->has_extra) {
        return refuse("has no extra line with its leaf", errmsg);
    }
    flk_tlog_hash_leaf(file->extra, file->extra_bytes, &leaf);
    if (!flk_tlog_inclusion_verify(&file->proof, file->index, checkpoint->size, &leaf, &checkpoint->root)) {
        flk_errmsg(errmsg, "the leaf is not entry %" PRIu64 " of the tree of %" PRIu64 " that the checkpoint signs",
                   file->index, checkpoint->size);
        return FLK_E_SIGNATURE;
    }
    return FLK_OK;
}
