/* SPDX-License-Identifier: MIT */
/* resume opens the log of this lineage; take and gap add leaves; commit flushes full bundles, and every
 * FLK_TLOG_CHECKPOINT_S all of it: it signs, asks the witnesses and publishes.
 *
 * The position is that of the last durable leaf. It may lie behind the last leaf, by at most a bundle and one
 * interval: a partial bundle each second would be a file each second.
 *
 * A checkpoint without enough cosignatures is not published: the one before stays, and the next interval tries again
 * with the leaves that have come since. Leaves go on being written meanwhile. */
#include "follow/tlog/sink.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/io.h"
#include "common/log.h"
#include "common/secret.h"
#include "follow/tlog/log.h"
#include "follow/tlog/witness.h"
#include "proto/frame.h"

enum { KEY_FILE_BYTES_MAX = 4096, ORIGIN_BYTES_MAX = 200, DIR_BYTES_MAX = 2900 };

_Static_assert(FLK_FLAG_DUPLICATE == 1u << FLK_TLOG_DUPLICATE && FLK_FLAG_CONFLICT == 1u << FLK_TLOG_CONFLICT &&
                   FLK_FLAG_DEAD_LETTER == 1u << FLK_TLOG_DEAD_LETTER,
               "the leaf's flags are the ack's");

typedef struct tlog_sink {
    char dir[PATH_MAX];
    char origin[FLK_NOTE_NAME_BYTES]; /* without the log's number */
    flk_note_signer_t *signer;        /* secret memory */
    flk_witnesses_t *witnesses;
    size_t quorum;
    uint64_t interval_ms, publish_at_ms;
    flk_tlog_log_t *log; /* NULL: not open */
    flk_tlog_signed_t made;

    /* for the metrics, any thread */
    _Atomic uint64_t size;
    _Atomic int64_t published_ms; /* wall clock; 0: never, since the start */
    flk_counter_t *checkpoints, *withheld;
} tlog_sink_t;

/* ---- make ---- */

flk_err_t flk_tlog_sink_dir(const flk_settings_t *settings, char dir[PATH_MAX], char *errmsg) {
    const char *set = flk_settings_str(settings, FLK_SET_TLOG_DIR);
    int bytes = set[0] != '\0' ? snprintf(dir, PATH_MAX, "%s", set)
                               : snprintf(dir, PATH_MAX, "%s/tlog", flk_settings_str(settings, FLK_SET_DATA_DIR));
    if (bytes > DIR_BYTES_MAX) {
        flk_errmsg(errmsg, "FLK_TLOG_DIR: longer than %d bytes", DIR_BYTES_MAX);
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

static flk_err_t read_key(const char *path, flk_note_signer_t *signer, char *errmsg) {
    struct stat status;
    char *text = NULL;
    size_t text_bytes = 0;
    if (stat(path, &status) == 0 && (status.st_mode & S_IRWXO) != 0) {
        flk_errmsg(errmsg, "FLK_TLOG_KEY_FILE: %.200s can be read by others; chmod 600 it", path);
        return FLK_E_CONFIG;
    }
    flk_err_t err = flk_io_read_file(path, KEY_FILE_BYTES_MAX, &text, &text_bytes, errmsg);
    if (err == FLK_OK) {
        err = flk_note_signer_parse(text, signer, errmsg);
        sodium_memzero(text, text_bytes);
        free(text);
    }
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "FLK_TLOG_KEY_FILE");
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

static flk_err_t read_origin(const flk_settings_t *settings, char origin[FLK_NOTE_NAME_BYTES], char *errmsg) {
    const char *set = flk_settings_str(settings, FLK_SET_TLOG_ORIGIN);
    size_t bytes = strlen(set);
    if (!flk_note_name_valid(set, bytes) || bytes > ORIGIN_BYTES_MAX || set[bytes - 1] == '/' ||
        strstr(set, "://") != NULL) {
        flk_errmsg(errmsg,
                   "FLK_TLOG_ORIGIN: a URL without scheme is needed, as example.com/flk: 1 to %d bytes without "
                   "blanks, + and a / at its end",
                   ORIGIN_BYTES_MAX);
        return FLK_E_CONFIG;
    }
    snprintf(origin, FLK_NOTE_NAME_BYTES, "%s", set);
    return FLK_OK;
}

static flk_err_t read_quorum(const flk_settings_t *settings, tlog_sink_t *sink, char *errmsg) {
    size_t len = flk_witnesses_len(sink->witnesses);
    uint64_t quorum = flk_settings_uint(settings, FLK_SET_TLOG_QUORUM);
    sink->quorum = quorum == FLK_SETTING_AUTO ? len / 2 + len % 2 : (size_t)quorum;
    if (sink->quorum > len) {
        flk_errmsg(errmsg, "FLK_TLOG_QUORUM: %zu of %zu witnesses can never cosign", sink->quorum, len);
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

static double read_size(void *arg) {
    tlog_sink_t *sink = arg;
    return (double)atomic_load(&sink->size);
}

static double read_age(void *arg) {
    tlog_sink_t *sink = arg;
    int64_t published_ms = atomic_load(&sink->published_ms);
    return published_ms == 0 ? 0 : (double)(flk_wall_ms() - published_ms) / 1000;
}

static void register_metrics(tlog_sink_t *sink, flk_metrics_t *metrics) {
    flk_metrics_gauge_fn(metrics, "flk_tlog_size", NULL, "Leaves of the transparency log, published or not.", read_size,
                         sink);
    flk_metrics_gauge_fn(metrics, "flk_tlog_checkpoint_age_seconds", NULL,
                         "Since when leaves wait for a checkpoint; 0: every leaf is under the published one.", read_age,
                         sink);
    sink->checkpoints = flk_metrics_counter(metrics, "flk_tlog_checkpoints_total", NULL, "Checkpoints published.");
    sink->withheld = flk_metrics_counter(metrics, "flk_tlog_checkpoints_withheld_total", NULL,
                                         "Checkpoints that had too few cosignatures to be published.");
}

static void tlog_free(void **out) {
    tlog_sink_t *sink = *out;
    *out = NULL;
    if (sink == NULL) {
        return;
    }
    flk_tlog_log_close(&sink->log);
    flk_witnesses_destroy(&sink->witnesses);
    sodium_free(sink->signer);
    free(sink);
}

static flk_err_t tlog_make(const flk_settings_t *settings, flk_metrics_t *metrics, void **out, char *errmsg) {
    const char *key_file = flk_settings_str(settings, FLK_SET_TLOG_KEY_FILE);
    if (key_file[0] == '\0') {
        return FLK_OK;
    }
    tlog_sink_t *sink = flk_start_alloc(sizeof *sink);
    void *self = sink;
    sink->interval_ms = 1000 * flk_settings_uint(settings, FLK_SET_TLOG_CHECKPOINT_S);
    sink->signer = flk_secret_alloc(sizeof *sink->signer);
    flk_err_t err = sink->signer != NULL ? FLK_OK : FLK_E_NOMEM;
    err = err != FLK_OK ? err : flk_tlog_sink_dir(settings, sink->dir, errmsg);
    err = err != FLK_OK ? err : read_origin(settings, sink->origin, errmsg);
    err = err != FLK_OK ? err : read_key(key_file, sink->signer, errmsg);
    err = err != FLK_OK ? err
                        : flk_witnesses_new(flk_settings_str(settings, FLK_SET_TLOG_WITNESSES), metrics,
                                            &sink->witnesses, errmsg);
    err = err != FLK_OK ? err : read_quorum(settings, sink, errmsg);
    if (err != FLK_OK) {
        tlog_free(&self);
        return err;
    }
    register_metrics(sink, metrics);
    *out = sink;
    return FLK_OK;
}

/* ---- events ---- */

/* The time since which leaves wait for a checkpoint. */
static void look(tlog_sink_t *sink) {
    uint64_t size = flk_tlog_log_size(sink->log);
    atomic_store(&sink->size, size);
    if (size == flk_tlog_log_published(sink->log)->size) {
        atomic_store(&sink->published_ms, 0);
    } else if (atomic_load(&sink->published_ms) == 0) {
        atomic_store(&sink->published_ms, flk_wall_ms());
    }
}

static flk_err_t tlog_resume(void *arg, uint64_t lineage, uint64_t *after, char *errmsg) {
    tlog_sink_t *sink = arg;
    char dir[PATH_MAX], origin[FLK_NOTE_NAME_BYTES];
    flk_tlog_log_close(&sink->log);
    snprintf(dir, sizeof dir, "%.2900s/%016" PRIx64, sink->dir, lineage);
    snprintf(origin, sizeof origin, "%.200s/%016" PRIx64, sink->origin, lineage);
    flk_tlog_log_options_t options = {.dir = dir, .origin = origin, .signer = sink->signer};
    flk_err_t err = flk_tlog_log_open(&options, &sink->log, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    sink->publish_at_ms = flk_mono_ms();
    look(sink);
    *after = flk_tlog_log_lsn(sink->log);
    return FLK_OK;
}

static flk_err_t tlog_take(void *arg, const flk_event_t *event, char *errmsg) {
    tlog_sink_t *sink = arg;
    flk_tlog_leaf_t leaf = {.log = event->log_id,
                            .lsn = event->lsn,
                            .record_lsn = event->record_lsn,
                            .received_ms = event->received_ms > 0 ? event->received_ms : 0,
                            .time_ms = event->time_ms > 0 ? event->time_ms : 0,
                            .has_body = event->body != NULL,
                            .has_pcs_id = event->pcs_id != NULL,
                            .has_digest = event->digest != NULL,
                            .has_outcome = event->outcome != NULL,
                            .status = event->status,
                            .flags = event->flags,
                            .reasons = event->reasons};
    if (leaf.has_body) {
        flk_sha256(event->body, event->body_bytes, leaf.body_sha256);
    }
    if (leaf.has_pcs_id) {
        memcpy(leaf.pcs_id, event->pcs_id, sizeof leaf.pcs_id);
    }
    if (leaf.has_digest) {
        memcpy(leaf.digest, event->digest, sizeof leaf.digest);
    }
    if (leaf.has_outcome) {
        leaf.outcome = *event->outcome;
    }
    if (event->key != NULL) {
        snprintf(leaf.key, sizeof leaf.key, "%s", event->key);
    }
    return flk_tlog_log_add(sink->log, &leaf, errmsg);
}

static flk_err_t tlog_gap(void *arg, const flk_gap_t *gap, char *errmsg) {
    tlog_sink_t *sink = arg;
    flk_tlog_leaf_t leaf = {
        .log = gap->lineage, .is_gap = true, .gap_first = gap->first_lsn, .gap_last = gap->last_lsn};
    return flk_tlog_log_add(sink->log, &leaf, errmsg);
}

/* ---- commit ---- */

static flk_err_t publish(tlog_sink_t *sink, char *errmsg) {
    flk_err_t err = flk_tlog_log_sign(sink->log, &sink->made, errmsg);
    if (err != FLK_OK) {
        return err == FLK_E_AGAIN ? FLK_OK : err;
    }
    size_t cosigned = flk_witnesses_ask(sink->witnesses, sink->log, &sink->made);
    if (cosigned < sink->quorum) {
        flk_counter_add(sink->withheld, 1);
        flk_log(FLK_LOG_ERROR, "checkpoint_withheld", FLK_U("size", sink->made.checkpoint.size),
                FLK_U("cosignatures", cosigned), FLK_U("quorum", sink->quorum));
        return FLK_OK;
    }
    err = flk_tlog_log_publish(sink->log, &sink->made, errmsg);
    if (err == FLK_OK) {
        flk_counter_add(sink->checkpoints, 1);
        flk_log(FLK_LOG_DEBUG, "checkpoint", FLK_U("size", sink->made.checkpoint.size),
                FLK_U("cosignatures", cosigned));
    }
    return err;
}

/* A stop waits for no witness: the next start publishes the rest. */
static flk_err_t tlog_commit(void *arg, uint64_t *after, char *errmsg) {
    tlog_sink_t *sink = arg;
    uint64_t now_ms = flk_mono_ms();
    bool stopping = flk_sink_stopping(), due = now_ms >= sink->publish_at_ms;
    bool publishes = stopping ? flk_witnesses_len(sink->witnesses) == 0 : due;
    flk_err_t err = FLK_OK;
    if (publishes) {
        sink->publish_at_ms = now_ms + sink->interval_ms;
        err = publish(sink, errmsg);
    } else {
        err = flk_tlog_log_flush(sink->log, stopping, errmsg);
    }
    look(sink);
    *after = flk_tlog_log_lsn(sink->log);
    return err;
}

const flk_sink_ops_t flk_tlog_sink = {.name = "tlog",
                                      .make = tlog_make,
                                      .free = tlog_free,
                                      .resume = tlog_resume,
                                      .take = tlog_take,
                                      .gap = tlog_gap,
                                      .commit = tlog_commit};
