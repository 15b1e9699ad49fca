/* SPDX-License-Identifier: MIT */
/* flk audit prove PCS_ID: looks the leaf up in the index of a log, or of each log below a directory, and proves it
 * under the checkpoint that is published there. */
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/flk/audit/audit.h"
#include "common/io.h"
#include "common/program/program.h"
#include "common/program/settings.h"
#include "common/tlog/index.h"
#include "common/tlog/proof_file.h"
#include "common/tlog/tiles.h"

/* The proof of leaf file->index, into `file`; note borrows from the checkpoint that it has. */
static flk_err_t prove_leaf(const char *dir, const flk_tlog_checkpoint_t *checkpoint, flk_tlog_proof_file_t *file,
                            char *errmsg) {
    static flk_tlog_tiles_t tiles;
    flk_tlog_source_t source = flk_tlog_source_dir(dir);
    flk_tlog_hash_t leaf;
    flk_err_t err =
        flk_tlog_entry_fetch(&source, file->index, checkpoint->size, file->extra, &file->extra_bytes, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    file->has_extra = true;
    flk_tlog_tiles_init(&tiles, source, checkpoint->size);
    err = flk_tlog_inclusion(file->index, checkpoint->size, flk_tlog_tiles_read, &tiles, &file->proof, errmsg);
    flk_tlog_hash_leaf(file->extra, file->extra_bytes, &leaf);
    if (err == FLK_OK &&
        !flk_tlog_inclusion_verify(&file->proof, file->index, checkpoint->size, &leaf, &checkpoint->root)) {
        flk_errmsg(errmsg, "%s: its tiles do not prove leaf %" PRIu64 ": they were changed; flk audit check tells more",
                   dir, file->index);
        err = FLK_E_CORRUPT;
    }
    return err;
}

static flk_err_t check_leaf(const char *dir, const flk_tlog_proof_file_t *file, const uint8_t pcs_id[FLK_PCS_ID_BYTES],
                            char *errmsg) {
    flk_tlog_leaf_t leaf;
    flk_err_t err = flk_tlog_leaf_parse((const char *)file->extra, file->extra_bytes, &leaf, errmsg);
    if (err == FLK_OK && (!leaf.has_pcs_id || memcmp(leaf.pcs_id, pcs_id, FLK_PCS_ID_BYTES) != 0)) {
        flk_errmsg(errmsg, "%s: its index names a leaf of another PCS; remove private/index while flk-follow is down",
                   dir);
        err = FLK_E_CORRUPT;
    }
    return err;
}

/* Prints the proof under that checkpoint. */
static flk_err_t prove_under(const char *dir, const char *data, size_t data_bytes, uint64_t index,
                             const uint8_t pcs_id[FLK_PCS_ID_BYTES], char *errmsg) {
    static flk_tlog_proof_file_t file;
    static flk_note_t note;
    flk_tlog_checkpoint_t checkpoint;
    char *text;
    size_t text_bytes;
    flk_err_t err = flk_note_parse(data, data_bytes, &note, errmsg);
    err = err != FLK_OK ? err : flk_tlog_checkpoint_parse(note.text, note.text_bytes, &checkpoint, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (index >= checkpoint.size) {
        flk_errmsg(errmsg,
                   "%s: leaf %" PRIu64 " is there, and its checkpoint has %" PRIu64
                   ": ask again after the next one (FLK_TLOG_CHECKPOINT_S)",
                   dir, index, checkpoint.size);
        return FLK_E_UNAVAILABLE;
    }
    file = (flk_tlog_proof_file_t){.index = index, .checkpoint = data, .checkpoint_bytes = data_bytes};
    err = prove_leaf(dir, &checkpoint, &file, errmsg);
    err = err != FLK_OK ? err : check_leaf(dir, &file, pcs_id, errmsg);
    err = err != FLK_OK ? err : flk_tlog_proof_file_print(&file, &text, &text_bytes);
    if (err == FLK_OK) {
        fwrite(text, 1, text_bytes, stdout);
        free(text);
    }
    return err;
}

/* FLK_E_NOT_FOUND: this log does not have it. */
static flk_err_t prove_in(const char *dir, const uint8_t pcs_id[FLK_PCS_ID_BYTES], char *errmsg) {
    char path[PATH_MAX], *data;
    size_t data_bytes;
    uint64_t leaf;
    flk_tlog_index_t *index;
    snprintf(path, sizeof path, "%.4000s/private/index", dir);
    flk_err_t err = flk_tlog_index_open(path, false, &index, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    err = flk_tlog_index_find(index, pcs_id, &leaf, errmsg);
    flk_tlog_index_close(&index);
    if (err != FLK_OK) {
        return err;
    }
    snprintf(path, sizeof path, "%.4000s/" FLK_TLOG_CHECKPOINT_PATH, dir);
    err = flk_io_read_own(path, FLK_NOTE_BYTES_MAX, &data, &data_bytes, errmsg);
    if (err != FLK_OK) {
        return err == FLK_E_NOT_FOUND ? FLK_E_UNAVAILABLE : err;
    }
    err = prove_under(dir, data, data_bytes, leaf, pcs_id, errmsg);
    free(data);
    return err;
}

/* In each log below `dir`. */
static flk_err_t prove_below(const char *dir, const uint8_t pcs_id[FLK_PCS_ID_BYTES], char *errmsg) {
    char path[PATH_MAX];
    unsigned logs = 0;
    flk_err_t err = FLK_E_NOT_FOUND;
    DIR *list = opendir(dir);
    for (struct dirent *entry; list != NULL && err == FLK_E_NOT_FOUND && (entry = readdir(list)) != NULL;) {
        snprintf(path, sizeof path, "%.3000s/%.255s/private/index", dir, entry->d_name);
        if (entry->d_name[0] != '.' && access(path, F_OK) == 0) {
            logs++;
            snprintf(path, sizeof path, "%.3000s/%.255s", dir, entry->d_name);
            err = prove_in(path, pcs_id, errmsg);
        }
    }
    if (list != NULL) {
        closedir(list);
    }
    if (logs == 0) {
        flk_errmsg(errmsg, "%.200s has no log; flk-follow writes one with FLK_TLOG_KEY_FILE", dir);
    } else if (err == FLK_E_NOT_FOUND) {
        flk_errmsg(errmsg, "no verdict of this PCS stands in the %u log%s in %.200s", logs, logs > 1 ? "s" : "", dir);
    }
    return err;
}

static flk_err_t prove(const char *dir, const char *id, char *errmsg) {
    uint8_t pcs_id[FLK_PCS_ID_BYTES];
    char path[PATH_MAX];
    size_t got = 0;
    if (strlen(id) != FLK_PCS_ID_HEX || sodium_hex2bin(pcs_id, sizeof pcs_id, id, strlen(id), NULL, &got, NULL) != 0 ||
        got != sizeof pcs_id) {
        flk_errmsg(errmsg, "a PCS_ID is 64 hex digits");
        return FLK_E_CONFIG;
    }
    snprintf(path, sizeof path, "%.4000s/private", dir);
    if (access(path, F_OK) != 0) {
        return prove_below(dir, pcs_id, errmsg);
    }
    flk_err_t err = prove_in(dir, pcs_id, errmsg);
    if (err == FLK_E_NOT_FOUND) {
        flk_errmsg(errmsg, "no verdict of this PCS stands in the log in %.200s", dir);
    }
    return err;
}

int flk_audit_prove(const flk_audit_options_t *options) {
    char errmsg[FLK_ERRMSG_BYTES] = "", dir[PATH_MAX];
    flk_settings_t *settings;
    if (flk_settings_load(FLK_PROGRAM_FLK, &settings, errmsg) != FLK_OK) {
        fprintf(stderr, "flk audit prove: %s\n", errmsg);
        return FLK_EXIT_USAGE;
    }
    const char *set = flk_settings_str(settings, FLK_SET_TLOG_DIR);
    if (options->dir != NULL || set[0] != '\0') {
        snprintf(dir, sizeof dir, "%s", options->dir != NULL ? options->dir : set);
    } else {
        snprintf(dir, sizeof dir, "%.4000s/tlog", flk_settings_str(settings, FLK_SET_DATA_DIR));
    }
    flk_settings_destroy(&settings);
    flk_err_t err = prove(dir, options->operands[0], errmsg);
    if (err != FLK_OK) {
        fprintf(stderr, "flk audit prove: %s\n", errmsg);
    }
    return err == FLK_OK ? FLK_EXIT_OK : err == FLK_E_CONFIG ? FLK_EXIT_USAGE : FLK_EXIT_FAILED;
}
