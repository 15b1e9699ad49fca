/* SPDX-License-Identifier: MIT */
/* flk audit verify FILE: a proof, judged by nothing but itself and the key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/flk/audit/say.h"
#include "agent/flk/json_out.h"
#include "common/io.h"
#include "common/program/program.h"
#include "common/tlog/proof_file.h"

static flk_err_t judge(const flk_audit_options_t *options, const char *text, size_t text_bytes, char *errmsg) {
    static flk_tlog_proof_file_t file;
    static flk_note_t note;
    flk_tlog_checkpoint_t checkpoint;
    flk_tlog_leaf_t leaf;
    flk_err_t err = flk_tlog_proof_file_parse(text, text_bytes, &file, errmsg);
    err = err != FLK_OK ? err : flk_tlog_proof_file_verify(&file, &options->key, &note, &checkpoint, errmsg);
    err = err != FLK_OK ? err : flk_audit_witnesses(options, &note, errmsg);
    err = err != FLK_OK ? err : flk_tlog_leaf_parse((const char *)file.extra, file.extra_bytes, &leaf, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (options->json) {
        flk_json_out(json_pack("{s:b, s:I, s:o, s:o}", "verified", 1, "index", (json_int_t)file.index, "leaf",
                               json_loadb((const char *)file.extra, file.extra_bytes, 0, NULL), "checkpoint",
                               flk_audit_json_checkpoint(options, &note, &checkpoint)));
        return FLK_OK;
    }
    printf("verified\n");
    flk_audit_say_leaf(&leaf, file.index);
    flk_audit_say_checkpoint(options, &note, &checkpoint);
    return FLK_OK;
}

int flk_audit_verify(const flk_audit_options_t *options) {
    char errmsg[FLK_ERRMSG_BYTES] = "", *text;
    size_t text_bytes;
    const char *path = strcmp(options->operands[0], "-") == 0 ? "/dev/stdin" : options->operands[0];
    flk_err_t err = flk_io_read_file(path, FLK_TLOG_PROOF_FILE_BYTES_MAX, &text, &text_bytes, errmsg);
    if (err == FLK_OK) {
        err = judge(options, text, text_bytes, errmsg);
        free(text);
    }
    if (err != FLK_OK) {
        fprintf(stderr, "flk audit verify: %s\n", errmsg);
    }
    return err == FLK_OK ? FLK_EXIT_OK : FLK_EXIT_FAILED;
}
