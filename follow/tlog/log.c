/* SPDX-License-Identifier: MIT */
/* A leaf goes into the bundle under way and to the edge; a full bundle and the tiles that it fills are staged. A flush
 * names the staged files and then writes the state, up to the last full bundle; a whole flush stages partial tiles,
 * too.
 *
 * A crash before the state leaves files that the state does not count: they are written again, with the same bytes. A
 * crash between state and `signed`, or `signed` and `checkpoint`, leaves an older checkpoint that is still true. A disk
 * that is full, or fails, ends in an error; the caller closes the log and opens it again from its state. */
#include "follow/tlog/log_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/io.h"

void flk_tlog_log_path(const flk_tlog_log_t *log, const char *name, char path[PATH_MAX]) {
    snprintf(path, PATH_MAX, "%s/%s", log->dir, name);
}

/* ---- leaves ---- */

static flk_err_t stage_tile(void *arg, const flk_tlog_tile_t *tile, const flk_tlog_hash_t *hashes, char *errmsg) {
    flk_tlog_log_t *log = arg;
    return flk_stage_write(&log->stage, tile, hashes, tile->width * sizeof *hashes, errmsg);
}

static bool is_full(const flk_tlog_log_t *log) {
    return log->items_len == FLK_TLOG_ITEMS_MAX ||
           log->stage.files_len + 3 * FLK_TLOG_TILE_LEVELS > FLK_STAGE_FILES_MAX || log->edge.size == FLK_TLOG_SIZE_MAX;
}

flk_err_t flk_tlog_log_add(flk_tlog_log_t *log, const flk_tlog_leaf_t *leaf, char *errmsg) {
    flk_tlog_hash_t hash;
    uint8_t *entry = log->bundle + log->bundle_bytes;
    if (is_full(log)) {
        flk_errmsg(errmsg, "%zu leaves wait to be flushed", log->items_len);
        return FLK_E_FULL;
    }
    size_t bytes = flk_tlog_leaf_print(leaf, (char *)entry + 2);
    flk_put_be16(entry, (uint16_t)bytes);
    log->bundle_bytes += 2 + bytes;
    log->items_len += flk_tlog_index_item(leaf, log->edge.size, &log->items[log->items_len]) ? 1 : 0;
    log->lsn = leaf->is_gap ? leaf->gap_last : leaf->lsn;
    flk_tlog_hash_leaf(entry + 2, bytes, &hash);
    uint64_t bundle = log->edge.size / FLK_TLOG_TILE_HASHES;
    flk_err_t err = flk_tlog_edge_add(&log->edge, &hash, stage_tile, log, errmsg);
    if (err == FLK_OK && log->edge.size % FLK_TLOG_TILE_HASHES == 0) {
        flk_tlog_tile_t tile = {.is_bundle = true, .index = bundle, .width = FLK_TLOG_TILE_HASHES};
        err = flk_stage_write(&log->stage, &tile, log->bundle, log->bundle_bytes, errmsg);
        log->bundle_bytes = 0;
        log->bundled_lsn = log->lsn;
    }
    return err;
}

/* ---- flush ---- */

/* Partial tiles of all levels, and the bundle of the last one. */
static flk_err_t stage_partials(flk_tlog_log_t *log, char *errmsg) {
    flk_err_t err = FLK_OK;
    uint64_t size = log->edge.size;
    for (unsigned level = 0; err == FLK_OK && level < FLK_TLOG_TILE_LEVELS; level++, size >>= FLK_TLOG_TILE_HEIGHT) {
        flk_tlog_tile_t tile = {
            .level = level, .index = size >> FLK_TLOG_TILE_HEIGHT, .width = (unsigned)(size % FLK_TLOG_TILE_HASHES)};
        if (tile.width > 0) {
            err = stage_tile(log, &tile, log->edge.tiles[level], errmsg);
        }
        if (err == FLK_OK && level == 0 && tile.width > 0) {
            tile.is_bundle = true;
            err = flk_stage_write(&log->stage, &tile, log->bundle, log->bundle_bytes, errmsg);
        }
    }
    return err;
}

/* flk-tlog-state 1, size, root, position: a line each. */
flk_err_t flk_tlog_log_write_state(flk_tlog_log_t *log, uint64_t size, uint64_t lsn, char *errmsg) {
    char path[PATH_MAX], text[FLK_TLOG_STATE_BYTES], base64[FLK_TLOG_HASH_BASE64_BYTES];
    uint64_t kept = log->edge.size;
    flk_tlog_hash_t root;
    log->edge.size = size; /* of the full bundles alone, perhaps: the rest is on level 0 */
    flk_tlog_edge_root(&log->edge, &root);
    log->edge.size = kept;
    flk_tlog_hash_print(&root, base64);
    int bytes =
        snprintf(text, sizeof text, FLK_TLOG_STATE_HEADER "\n%" PRIu64 "\n%s\n%" PRIu64 "\n", size, base64, lsn);
    flk_tlog_log_path(log, "private/state", path);
    flk_err_t err = flk_io_replace(path, text, (size_t)bytes, errmsg);
    if (err == FLK_OK) {
        log->durable_size = size;
        log->durable_lsn = lsn;
    }
    return err;
}

/* Of the durable leaves alone: the others may be given other numbers, after a gap. */
static flk_err_t flush_index(flk_tlog_log_t *log, char *errmsg) {
    size_t len = log->items_len;
    while (len > 0 && log->items[len - 1].leaf >= log->durable_size) {
        len--;
    }
    flk_err_t err = flk_tlog_index_add(log->index, log->items, len, log->durable_size, errmsg);
    if (err == FLK_OK) {
        log->items_len -= len;
        memmove(log->items, log->items + len, log->items_len * sizeof *log->items);
    }
    return err;
}

flk_err_t flk_tlog_log_flush(flk_tlog_log_t *log, bool whole, char *errmsg) {
    uint64_t size = log->edge.size, bundled = size - size % FLK_TLOG_TILE_HASHES;
    if (whole ? size == log->partials_size : bundled <= log->durable_size) {
        return FLK_OK;
    }
    flk_err_t err = whole ? stage_partials(log, errmsg) : FLK_OK;
    err = err != FLK_OK ? err : flk_stage_commit(&log->stage, errmsg);
    err = err != FLK_OK ? err
          : whole       ? flk_tlog_log_write_state(log, size, log->lsn, errmsg)
                        : flk_tlog_log_write_state(log, bundled, log->bundled_lsn, errmsg);
    if (err == FLK_OK && whole) {
        log->partials_size = size;
    }
    return err != FLK_OK ? err : flush_index(log, errmsg);
}

/* ---- checkpoints ---- */

flk_err_t flk_tlog_log_consistency(flk_tlog_log_t *log, uint64_t old_size, uint64_t size, flk_tlog_proof_t *proof,
                                   char *errmsg) {
    flk_tlog_tiles_init(&log->tiles, flk_tlog_source_dir(log->dir), size);
    return flk_tlog_consistency(old_size, size, flk_tlog_tiles_read, &log->tiles, proof, errmsg);
}

/* Whether the disk's tiles lead from the last signed checkpoint to the new one. */
static flk_err_t check_consistency(flk_tlog_log_t *log, const flk_tlog_checkpoint_t *next, char *errmsg) {
    flk_tlog_proof_t proof;
    if (next->size < log->last.size) {
        flk_errmsg(errmsg, "%s: it has %" PRIu64 " leaves and has signed %" PRIu64 ": nothing is signed", log->dir,
                   next->size, log->last.size);
        return FLK_E_CORRUPT;
    }
    flk_err_t err = flk_tlog_log_consistency(log, log->last.size, next->size, &proof, errmsg);
    if (err == FLK_OK &&
        !flk_tlog_consistency_verify(&proof, log->last.size, next->size, &log->last.root, &next->root)) {
        flk_errmsg(errmsg, "%s: %" PRIu64 " leaves do not continue the %" PRIu64 " that were signed: nothing is signed",
                   log->dir, next->size, log->last.size);
        return FLK_E_CORRUPT;
    }
    return err;
}

flk_err_t flk_tlog_log_sign(flk_tlog_log_t *log, flk_tlog_signed_t *made, char *errmsg) {
    char path[PATH_MAX];
    flk_err_t err = flk_tlog_log_flush(log, true, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    memset(&made->checkpoint, 0, sizeof made->checkpoint);
    memcpy(made->checkpoint.origin, log->origin, sizeof log->origin);
    made->checkpoint.size = log->edge.size;
    flk_tlog_edge_root(&log->edge, &made->checkpoint.root);
    if (made->checkpoint.size == 0 || (made->checkpoint.size == log->published.size &&
                                       flk_tlog_hash_equal(&made->checkpoint.root, &log->published.root))) {
        return FLK_E_AGAIN;
    }
    err = check_consistency(log, &made->checkpoint, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    made->text_bytes = flk_tlog_checkpoint_print(&made->checkpoint, made->note);
    made->note[made->text_bytes] = '\n';
    made->note_bytes = made->text_bytes + 1;
    made->note_bytes += flk_note_sign(made->note, made->text_bytes, log->signer, 0, made->note + made->note_bytes);
    flk_tlog_log_path(log, "private/signed", path);
    err = flk_io_replace(path, made->note, made->note_bytes, errmsg);
    if (err == FLK_OK) {
        log->last = made->checkpoint;
    }
    return err;
}

/* Partial tiles that the checkpoint before had, and that have become full since. */
static void remove_partials(const flk_tlog_log_t *log, uint64_t old_size, uint64_t size) {
    for (unsigned level = 0; level < FLK_TLOG_TILE_LEVELS; level++) {
        flk_tlog_tile_t tile = {.level = level,
                                .index = old_size >> (level * FLK_TLOG_TILE_HEIGHT) >> FLK_TLOG_TILE_HEIGHT,
                                .width = FLK_TLOG_TILE_HASHES};
        if (flk_tlog_tile_width(level, tile.index, size) < FLK_TLOG_TILE_HASHES) {
            break;
        }
        flk_stage_remove_partials(log->dir, &tile);
        if (level == 0) {
            tile.is_bundle = true;
            flk_stage_remove_partials(log->dir, &tile);
        }
    }
}

flk_err_t flk_tlog_log_publish(flk_tlog_log_t *log, const flk_tlog_signed_t *made, char *errmsg) {
    char path[PATH_MAX];
    flk_tlog_log_path(log, FLK_TLOG_CHECKPOINT_PATH, path);
    flk_err_t err = flk_io_replace(path, made->note, made->note_bytes, errmsg);
    if (err == FLK_OK) {
        remove_partials(log, log->published.size, made->checkpoint.size);
        log->published = made->checkpoint;
    }
    return err;
}

uint64_t flk_tlog_log_lsn(const flk_tlog_log_t *log) {
    return log->durable_lsn;
}

uint64_t flk_tlog_log_size(const flk_tlog_log_t *log) {
    return log->edge.size;
}

const flk_tlog_checkpoint_t *flk_tlog_log_published(const flk_tlog_log_t *log) {
    return &log->published;
}
