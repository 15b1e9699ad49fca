/* SPDX-License-Identifier: MIT */
/* Opening a log: lock, checkpoints, state, tree, index. All that is found must fit together; a state that is lost, or
 * older than the last signed checkpoint, is made anew from the last signed checkpoint and the tiles. */
#include "follow/tlog/log_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/io.h"

/* A checkpoint of ours on the disk; size 0 when there is none. */
static flk_err_t load_checkpoint(flk_tlog_log_t *log, const char *name, flk_tlog_checkpoint_t *checkpoint,
                                 char *errmsg) {
    char path[PATH_MAX], *data;
    size_t data_bytes;
    flk_note_t note;
    memset(checkpoint, 0, sizeof *checkpoint);
    flk_tlog_hash_empty(&checkpoint->root);
    flk_tlog_log_path(log, name, path);
    flk_err_t err = flk_io_read_own(path, FLK_NOTE_BYTES_MAX, &data, &data_bytes, errmsg);
    if (err != FLK_OK) {
        return err == FLK_E_NOT_FOUND ? FLK_OK : err;
    }
    err = flk_tlog_checkpoint_open(data, data_bytes, &log->signer->key, &note, checkpoint, errmsg);
    free(data);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, path);
        return err == FLK_E_NOT_FOUND ? FLK_E_CONFIG : FLK_E_CORRUPT;
    }
    if (strcmp(checkpoint->origin, log->origin) != 0) {
        flk_errmsg(errmsg, "%s is of origin %.64s, not %.64s: give the log another directory", path, checkpoint->origin,
                   log->origin);
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

/* The root that the tiles have at `size`, with the edge and the bundle under way. */
static flk_err_t load_tree(flk_tlog_log_t *log, uint64_t size, flk_tlog_hash_t *root, char *errmsg) {
    flk_tlog_source_t source = flk_tlog_source_dir(log->dir);
    unsigned width = (unsigned)(size % FLK_TLOG_TILE_HASHES);
    flk_tlog_hash_t hashes[FLK_TLOG_TILE_HASHES];
    char *bundle;
    flk_err_t err = flk_tlog_edge_load(&log->edge, size, flk_tlog_tile_fetch, &source, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_tlog_edge_root(&log->edge, root);
    log->bundle_bytes = 0;
    if (width == 0) {
        return FLK_OK;
    }
    err = flk_tlog_bundle_fetch(&source, size / FLK_TLOG_TILE_HASHES, width, &bundle, &log->bundle_bytes, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    /* A full bundle, of leaves that the state does not count, is cut back to its width. */
    const uint8_t *last;
    size_t last_bytes;
    bool whole = flk_tlog_bundle_entry((const uint8_t *)bundle, log->bundle_bytes, width - 1, &last, &last_bytes);
    if (whole) {
        log->bundle_bytes = (size_t)(last + last_bytes - (const uint8_t *)bundle);
        memcpy(log->bundle, bundle, log->bundle_bytes);
        whole = flk_tlog_bundle_hashes(log->bundle, log->bundle_bytes, width, hashes) &&
                memcmp(hashes, log->edge.tiles[0], width * sizeof *hashes) == 0;
    }
    free(bundle);
    if (!whole) {
        flk_errmsg(errmsg, "%s: the entries from leaf %" PRIu64 " on are not those of their tile", log->dir,
                   size - width);
        return FLK_E_CORRUPT;
    }
    return FLK_OK;
}

/* The position of leaf size - 1. */
static flk_err_t load_position(flk_tlog_log_t *log, uint64_t size, char *errmsg) {
    uint8_t entry[FLK_TLOG_LEAF_BYTES_MAX];
    size_t entry_bytes;
    flk_tlog_leaf_t leaf;
    flk_tlog_source_t source = flk_tlog_source_dir(log->dir);
    log->lsn = 0;
    if (size == 0) {
        return FLK_OK;
    }
    flk_err_t err = flk_tlog_entry_fetch(&source, size - 1, size, entry, &entry_bytes, errmsg);
    err = err != FLK_OK ? err : flk_tlog_leaf_parse((const char *)entry, entry_bytes, &leaf, errmsg);
    if (err == FLK_OK) {
        log->lsn = leaf.is_gap ? leaf.gap_last : leaf.lsn;
    }
    return err;
}

/* FLK_E_NOT_FOUND: there is none that can be used. */
static flk_err_t read_state(flk_tlog_log_t *log, uint64_t *size, flk_tlog_hash_t *root, uint64_t *lsn, char *errmsg) {
    char path[PATH_MAX], *data, root_text[FLK_TLOG_STATE_BYTES], end;
    size_t data_bytes;
    flk_tlog_log_path(log, "private/state", path);
    flk_err_t err = flk_io_read_own(path, FLK_TLOG_STATE_BYTES, &data, &data_bytes, errmsg);
    if (err != FLK_OK) {
        return err == FLK_E_TOO_LARGE ? FLK_E_NOT_FOUND : err;
    }
    bool whole = sscanf(data, FLK_TLOG_STATE_HEADER "\n%" SCNu64 "\n%255[^\n]\n%" SCNu64 "%c", size, root_text, lsn,
                        &end) == 4 &&
                 end == '\n' && flk_tlog_hash_parse(root_text, strlen(root_text), root) && *size <= FLK_TLOG_SIZE_MAX;
    free(data);
    return whole ? FLK_OK : FLK_E_NOT_FOUND;
}

static bool has_tiles(const flk_tlog_log_t *log) {
    char path[PATH_MAX];
    flk_tlog_log_path(log, "tile", path);
    return access(path, F_OK) == 0;
}

/* From the state, or without one from the last signed checkpoint. */
static flk_err_t load_state(flk_tlog_log_t *log, char *errmsg) {
    uint64_t size = log->last.size, lsn = 0;
    flk_tlog_hash_t root = log->last.root, found;
    flk_err_t err = read_state(log, &size, &root, &lsn, errmsg);
    bool lost = err == FLK_E_NOT_FOUND || (err == FLK_OK && size < log->last.size); /* an old one was put back */
    if (err != FLK_OK && !lost) {
        return err;
    }
    if (lost && log->last.size == 0 && has_tiles(log)) {
        flk_errmsg(errmsg,
                   "%s has tiles and neither state nor checkpoint: restore private/, or move the directory away",
                   log->dir);
        return FLK_E_CORRUPT;
    }
    size = lost ? log->last.size : size;
    root = lost ? log->last.root : root;
    err = load_tree(log, size, &found, errmsg);
    err = err != FLK_OK ? err : load_position(log, size, errmsg);
    if (err == FLK_OK && (!flk_tlog_hash_equal(&found, &root) || (!lost && lsn != log->lsn))) {
        flk_errmsg(errmsg, "%s: its tiles do not have the root and position of its %s", log->dir,
                   lost ? "checkpoint" : "state");
        err = FLK_E_CORRUPT;
    }
    if (err != FLK_OK) {
        return err == FLK_E_NOT_FOUND ? FLK_E_CORRUPT : err; /* a tile is missing */
    }
    log->durable_size = size;
    log->durable_lsn = log->bundled_lsn = log->lsn;
    return lost ? flk_tlog_log_write_state(log, size, log->lsn, errmsg) : FLK_OK;
}

/* Adds the leaves from *at to `end` to the items. */
static flk_err_t add_bundle(flk_tlog_log_t *log, const uint8_t *bundle, size_t bundle_bytes, uint64_t *at, uint64_t end,
                            char *errmsg) {
    flk_err_t err = FLK_OK;
    for (; err == FLK_OK && *at < end; ++*at) {
        const uint8_t *entry;
        size_t entry_bytes;
        flk_tlog_leaf_t leaf;
        if (!flk_tlog_bundle_entry(bundle, bundle_bytes, (unsigned)(*at % FLK_TLOG_TILE_HASHES), &entry,
                                   &entry_bytes)) {
            flk_errmsg(errmsg, "%s: the bundle of leaf %" PRIu64 " is cut", log->dir, *at);
            return FLK_E_CORRUPT;
        }
        err = flk_tlog_leaf_parse((const char *)entry, entry_bytes, &leaf, errmsg);
        if (err == FLK_OK && flk_tlog_index_item(&leaf, *at, &log->items[log->items_len])) {
            log->items_len++;
        }
    }
    return err;
}

/* Adds the entries that the index lacks: it is written after the state, and may have been removed. */
static flk_err_t catch_up_index(flk_tlog_log_t *log, char *errmsg) {
    flk_tlog_source_t source = flk_tlog_source_dir(log->dir);
    uint64_t at;
    flk_err_t err = flk_tlog_index_size(log->index, &at, errmsg);
    if (err == FLK_OK && at > log->edge.size) { /* of a later log, whose place an older copy took */
        err = flk_tlog_index_clear(log->index, errmsg);
        at = 0;
    }
    while (err == FLK_OK && at < log->edge.size) {
        uint64_t bundle_index = at / FLK_TLOG_TILE_HASHES;
        unsigned width = flk_tlog_tile_width(0, bundle_index, log->edge.size);
        char *bundle;
        size_t bundle_bytes;
        err = flk_tlog_bundle_fetch(&source, bundle_index, width, &bundle, &bundle_bytes, errmsg);
        if (err != FLK_OK) {
            break;
        }
        err = add_bundle(log, (const uint8_t *)bundle, bundle_bytes, &at, bundle_index * FLK_TLOG_TILE_HASHES + width,
                         errmsg);
        free(bundle);
        if (err == FLK_OK && (log->items_len > FLK_TLOG_ITEMS_MAX - FLK_TLOG_TILE_HASHES || at == log->edge.size)) {
            err = flk_tlog_index_add(log->index, log->items, log->items_len, at, errmsg);
            log->items_len = 0;
        }
    }
    return err;
}

static flk_err_t take_lock(flk_tlog_log_t *log, char *errmsg) {
    char path[PATH_MAX];
    flk_tlog_log_path(log, "private/lock", path);
    flk_err_t err = flk_io_open(path, O_RDWR | O_CREAT, &log->lock_fd, errmsg);
    if (err == FLK_OK && flock(log->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        flk_errmsg(errmsg, "%s is in use by another process", log->dir);
        err = FLK_E_LOCKED;
    }
    return err;
}

static flk_err_t load(flk_tlog_log_t *log, char *errmsg) {
    char path[PATH_MAX];
    flk_tlog_log_path(log, "private", path);
    flk_err_t err = flk_io_mkdirs(path, errmsg);
    err = err != FLK_OK ? err : take_lock(log, errmsg);
    err = err != FLK_OK ? err : load_checkpoint(log, "private/signed", &log->last, errmsg);
    err = err != FLK_OK ? err : load_checkpoint(log, FLK_TLOG_CHECKPOINT_PATH, &log->published, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (log->last.size < log->published.size) {
        log->last = log->published; /* private/ was lost */
    }
    return load_state(log, errmsg);
}

flk_err_t flk_tlog_log_open(const flk_tlog_log_options_t *options, flk_tlog_log_t **log, char *errmsg) {
    char path[PATH_MAX];
    if (strlen(options->dir) >= FLK_TLOG_DIR_BYTES) {
        flk_errmsg(errmsg, "FLK_TLOG_DIR is longer than %d bytes", FLK_TLOG_DIR_BYTES - 1);
        return FLK_E_CONFIG;
    }
    FLK_ASSERT(flk_note_name_valid(options->origin, strlen(options->origin)));
    flk_tlog_log_t *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return FLK_E_NOMEM;
    }
    made->lock_fd = -1;
    made->signer = options->signer;
    snprintf(made->dir, sizeof made->dir, "%s", options->dir);
    snprintf(made->origin, sizeof made->origin, "%s", options->origin);
    flk_stage_init(&made->stage, made->dir);
    made->items = flk_start_alloc(FLK_TLOG_ITEMS_MAX * sizeof *made->items);
    flk_err_t err = load(made, errmsg);
    flk_tlog_log_path(made, "private/index", path);
    err = err != FLK_OK ? err : flk_tlog_index_open(path, true, &made->index, errmsg);
    err = err != FLK_OK ? err : catch_up_index(made, errmsg);
    if (err != FLK_OK) {
        flk_tlog_log_close(&made);
        return err;
    }
    *log = made;
    return FLK_OK;
}

void flk_tlog_log_close(flk_tlog_log_t **log) {
    if (*log == NULL) {
        return;
    }
    flk_stage_drop(&(*log)->stage);
    flk_stage_fini(&(*log)->stage);
    flk_tlog_index_close(&(*log)->index);
    if ((*log)->lock_fd >= 0) {
        close((*log)->lock_fd);
    }
    free((*log)->items);
    free(*log);
    *log = NULL;
}
