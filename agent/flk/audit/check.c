/* SPDX-License-Identifier: MIT */
/* flk audit check: a whole log, read entry by entry. The tree is built anew from the entries; each tile that fills on
 * the way must be the log's, and the root must be the one that the checkpoint signs. So must the root at the size of an
 * earlier checkpoint: then nothing before it was changed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/flk/audit/place.h"
#include "agent/flk/audit/say.h"
#include "agent/flk/audit/verdicts.h"
#include "agent/flk/json_out.h"
#include "common/io.h"
#include "common/program/program.h"
#include "common/tlog/edge.h"

typedef struct checker {
    const flk_audit_options_t *options;
    const char *where;
    flk_tlog_source_t source;
    flk_note_t note;
    char *checkpoint_data;
    flk_tlog_checkpoint_t checkpoint;
    bool has_since;
    flk_tlog_checkpoint_t since;
    flk_audit_verdicts_t *verdicts; /* NULL: not asked for */
    flk_tlog_edge_t edge;
    uint64_t gaps, newest_lsn;
} checker_t;

/* The log's tile must be the one that its entries give. */
static flk_err_t compare_tile(void *arg, const flk_tlog_tile_t *tile, const flk_tlog_hash_t *hashes, char *errmsg) {
    checker_t *checker = arg;
    flk_tlog_hash_t theirs[FLK_TLOG_TILE_HASHES];
    char path[FLK_TLOG_PATH_BYTES];
    flk_err_t err = flk_tlog_tile_fetch(&checker->source, tile, theirs, errmsg);
    if (err == FLK_OK && memcmp(theirs, hashes, tile->width * sizeof *hashes) != 0) {
        flk_tlog_tile_path(tile, path);
        flk_errmsg(errmsg, "%s is not the tile of its entries", path);
        err = FLK_E_SIGNATURE;
    }
    return err;
}

static flk_err_t compare_partials(checker_t *checker, char *errmsg) {
    flk_err_t err = FLK_OK;
    uint64_t size = checker->edge.size;
    for (unsigned level = 0; err == FLK_OK && level < FLK_TLOG_TILE_LEVELS; level++, size >>= FLK_TLOG_TILE_HEIGHT) {
        flk_tlog_tile_t tile = {
            .level = level, .index = size >> FLK_TLOG_TILE_HEIGHT, .width = (unsigned)(size % FLK_TLOG_TILE_HASHES)};
        if (tile.width > 0) {
            err = compare_tile(checker, &tile, checker->edge.tiles[level], errmsg);
        }
    }
    return err;
}

static flk_err_t compare_root(const checker_t *checker, const flk_tlog_checkpoint_t *checkpoint, const char *name,
                              char *errmsg) {
    flk_tlog_hash_t root;
    flk_tlog_edge_root(&checker->edge, &root);
    if (!flk_tlog_hash_equal(&root, &checkpoint->root)) {
        flk_errmsg(errmsg, "its first %" PRIu64 " entries do not have the root that the %s signs", checkpoint->size,
                   name);
        return FLK_E_SIGNATURE;
    }
    return FLK_OK;
}

/* Leaves come in the order of their positions. */
static flk_err_t look_at_leaf(checker_t *checker, const uint8_t *entry, size_t entry_bytes, char *errmsg) {
    flk_tlog_leaf_t leaf;
    flk_err_t err = flk_tlog_leaf_parse((const char *)entry, entry_bytes, &leaf, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    uint64_t first = leaf.is_gap ? leaf.gap_first : leaf.lsn, last = leaf.is_gap ? leaf.gap_last : leaf.lsn;
    if (first <= checker->newest_lsn || last < first) {
        flk_errmsg(errmsg, "leaf %" PRIu64 " has LSN %" PRIu64 " behind LSN %" PRIu64, checker->edge.size, first,
                   checker->newest_lsn);
        return FLK_E_SIGNATURE;
    }
    checker->newest_lsn = last;
    checker->gaps += leaf.is_gap;
    if (checker->verdicts != NULL) {
        flk_audit_verdicts_see(checker->verdicts, &leaf);
    }
    return FLK_OK;
}

static flk_err_t add_leaf(checker_t *checker, const uint8_t *entry, size_t entry_bytes, char *errmsg) {
    flk_tlog_hash_t hash;
    flk_err_t err = look_at_leaf(checker, entry, entry_bytes, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_tlog_hash_leaf(entry, entry_bytes, &hash);
    err = flk_tlog_edge_add(&checker->edge, &hash, compare_tile, checker, errmsg);
    if (err == FLK_OK && checker->has_since && checker->edge.size == checker->since.size) {
        err = compare_root(checker, &checker->since, "earlier checkpoint", errmsg);
    }
    return err;
}

static flk_err_t add_bundle(checker_t *checker, const uint8_t *bundle, size_t bundle_bytes, unsigned width,
                            char *errmsg) {
    flk_err_t err = FLK_OK;
    const uint8_t *at = bundle;
    for (unsigned i = 0; err == FLK_OK && i < width; i++) {
        const uint8_t *entry;
        size_t entry_bytes;
        if (!flk_tlog_bundle_entry(at, bundle_bytes - (size_t)(at - bundle), 0, &entry, &entry_bytes)) {
            flk_errmsg(errmsg, "the bundle is cut before leaf %" PRIu64, checker->edge.size);
            return FLK_E_SIGNATURE;
        }
        err = add_leaf(checker, entry, entry_bytes, errmsg);
        at = entry + entry_bytes;
    }
    if (err == FLK_OK && at != bundle + bundle_bytes && width == FLK_TLOG_TILE_HASHES) {
        flk_errmsg(errmsg, "the bundle goes on behind leaf %" PRIu64, checker->edge.size - 1);
        return FLK_E_SIGNATURE;
    }
    return err;
}

static flk_err_t add_all(checker_t *checker, char *errmsg) {
    flk_err_t err = FLK_OK;
    while (err == FLK_OK && checker->edge.size < checker->checkpoint.size) {
        uint64_t index = checker->edge.size / FLK_TLOG_TILE_HASHES;
        unsigned width = flk_tlog_tile_width(0, index, checker->checkpoint.size);
        char *bundle;
        size_t bundle_bytes;
        err = flk_tlog_bundle_fetch(&checker->source, index, width, &bundle, &bundle_bytes, errmsg);
        if (err == FLK_OK) {
            err = add_bundle(checker, (const uint8_t *)bundle, bundle_bytes, width, errmsg);
            free(bundle);
        }
    }
    return err;
}

static flk_err_t open_checkpoint(checker_t *checker, char *errmsg) {
    size_t data_bytes;
    flk_err_t err = checker->source.fetch(checker->source.arg, FLK_TLOG_CHECKPOINT_PATH, FLK_NOTE_BYTES_MAX,
                                          &checker->checkpoint_data, &data_bytes, errmsg);
    err = err != FLK_OK ? err
                        : flk_tlog_checkpoint_open(checker->checkpoint_data, data_bytes, &checker->options->key,
                                                   &checker->note, &checker->checkpoint, errmsg);
    return err != FLK_OK ? err : flk_audit_witnesses(checker->options, &checker->note, errmsg);
}

/* An earlier checkpoint of this log; one of another origin is not compared. */
static flk_err_t open_since(checker_t *checker, char *errmsg) {
    static flk_note_t note;
    char *data;
    size_t data_bytes;
    if (checker->options->since == NULL) {
        return FLK_OK;
    }
    flk_err_t err = flk_io_read_file(checker->options->since, FLK_NOTE_BYTES_MAX, &data, &data_bytes, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    err = flk_tlog_checkpoint_open(data, data_bytes, &checker->options->key, &note, &checker->since, errmsg);
    free(data);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, checker->options->since);
        return err;
    }
    if (strcmp(checker->since.origin, checker->checkpoint.origin) != 0) {
        flk_errmsg(errmsg, "the earlier checkpoint is of %.100s, this log is %.100s", checker->since.origin,
                   checker->checkpoint.origin);
        return FLK_E_SIGNATURE;
    }
    if (checker->since.size > checker->checkpoint.size) {
        flk_errmsg(errmsg, "it has %" PRIu64 " leaves, and the earlier checkpoint %" PRIu64 ": it was rolled back",
                   checker->checkpoint.size, checker->since.size);
        return FLK_E_SIGNATURE;
    }
    checker->has_since = true;
    return FLK_OK;
}

static flk_err_t check_log(checker_t *checker, char *errmsg) {
    flk_err_t err = open_checkpoint(checker, errmsg);
    err = err != FLK_OK ? err : open_since(checker, errmsg);
    err = err != FLK_OK ? err : add_all(checker, errmsg);
    err = err != FLK_OK ? err : compare_root(checker, &checker->checkpoint, "checkpoint", errmsg);
    return err != FLK_OK ? err : compare_partials(checker, errmsg);
}

static void report(const checker_t *checker, flk_err_t err, const char *errmsg, json_t *list) {
    if (list != NULL) {
        json_t *log = json_pack("{s:s, s:b}", "where", checker->where, "verified", err == FLK_OK);
        if (err == FLK_OK) {
            json_object_set_new(log, "gaps", json_integer((json_int_t)checker->gaps));
            json_object_set_new(log, "checkpoint",
                                flk_audit_json_checkpoint(checker->options, &checker->note, &checker->checkpoint));
        } else {
            json_object_set_new(log, "error", json_string(errmsg));
        }
        json_array_append_new(list, log);
    } else if (err == FLK_OK) {
        printf("verified     %s\n", checker->where);
        flk_audit_say_checkpoint(checker->options, &checker->note, &checker->checkpoint);
        if (checker->gaps > 0) {
            printf("%-12s %" PRIu64 "\n", "gaps", checker->gaps);
        }
    }
    if (err != FLK_OK) {
        fprintf(stderr, "flk audit check: %.200s: %s\n", checker->where, errmsg);
    }
}

static flk_err_t check_place(const flk_audit_options_t *options, const char *where, flk_audit_verdicts_t *verdicts,
                             json_t *list) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_audit_place_t place;
    checker_t *checker = flk_start_alloc(sizeof *checker);
    checker->options = options;
    checker->where = where;
    checker->verdicts = verdicts;
    flk_err_t err = flk_audit_place_init(&place, where, errmsg);
    if (err == FLK_OK) {
        checker->source = flk_audit_place_source(&place);
        err = check_log(checker, errmsg);
        flk_audit_place_fini(&place);
    }
    report(checker, err, errmsg, list);
    free(checker->checkpoint_data);
    free(checker);
    return err;
}

/* True when every answer stands in the logs. */
static bool report_verdicts(const flk_audit_verdicts_t *verdicts, json_t *page) {
    flk_audit_verdicts_count_t count;
    flk_audit_verdicts_count(verdicts, &count);
    if (page != NULL) {
        json_object_set_new(page, "answers",
                            json_pack("{s:I, s:I, s:I}", "same", (json_int_t)count.same, "other",
                                      (json_int_t)count.other, "absent", (json_int_t)count.absent));
    } else {
        printf("answers      %zu stand in the log, %zu stand there otherwise, %zu are absent\n", count.same,
               count.other, count.absent);
    }
    if (count.example != NULL) {
        fprintf(stderr, "flk audit check: %zu answers differ from the log, as that to %s\n", count.other + count.absent,
                count.example);
    }
    return count.example == NULL;
}

int flk_audit_check(const flk_audit_options_t *options) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_audit_verdicts_t verdicts;
    bool fine = true;
    if (options->answers != NULL && flk_audit_verdicts_load(&verdicts, options->answers, errmsg) != FLK_OK) {
        fprintf(stderr, "flk audit check: %s\n", errmsg);
        flk_audit_verdicts_fini(&verdicts);
        return FLK_EXIT_FAILED;
    }
    json_t *list = options->json ? json_array() : NULL;
    for (char **where = options->operands; *where != NULL; where++) {
        fine &= check_place(options, *where, options->answers != NULL ? &verdicts : NULL, list) == FLK_OK;
    }
    json_t *page = options->json ? json_pack("{s:o}", "logs", list) : NULL;
    if (options->answers != NULL) {
        fine &= report_verdicts(&verdicts, page);
        flk_audit_verdicts_fini(&verdicts);
    }
    if (page != NULL) {
        flk_json_out(page);
    }
    return fine ? FLK_EXIT_OK : FLK_EXIT_FAILED;
}
