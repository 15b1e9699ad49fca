/* SPDX-License-Identifier: MIT */
/* One session of a sink: resume -> open the log at its position -> take events and gaps, commit, keep the hold, until
 * something fails or the process stops. A session that failed is counted and logged, and another one begins after a
 * back-off; the log being not there yet is no failure. */
#include "follow/sink.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/thread.h"
#include "common/wal/follow/follow.h"
#include "common/wal/follow/hold.h"
#include "follow/decoder.h"

enum {
    COMMIT_MS = 1000,
    SLICE_MS = 200, /* of a wait, after which a stop is seen */
    BACKOFF_MS_MIN = 100,
    BACKOFF_MS_MAX = 30000,
    LABEL_BYTES = 64
};

#define SINK_STEPS(X)                                                                                                  \
    X(OPEN, "open") X(RESUME, "resume") X(READ, "read") X(TAKE, "take") X(COMMIT, "commit") X(HOLD, "hold")
enum step {
#define STEP_ID(id, name) STEP_##id,
    SINK_STEPS(STEP_ID)
#undef STEP_ID
        STEPS
};
static const char *const step_names[STEPS] = {
#define STEP_NAME(id, name) [STEP_##id] = name,
    SINK_STEPS(STEP_NAME)
#undef STEP_NAME
};

typedef struct sink {
    const flk_sink_ops_t *ops;
    void *self;
    const char *log_dir;
    pthread_t thread;
    bool started;

    /* of its session */
    flk_wal_follow_t *follow;
    flk_decoder_t *decoder;
    uint64_t lineage, committed, held;
    uint64_t commit_at_ms;

    /* for the metrics, any thread */
    _Atomic uint64_t position, durable;
    _Atomic int64_t behind_since_ms; /* wall clock of the last event that was taken; 0: the head is reached */
    char label[LABEL_BYTES], step_labels[STEPS][LABEL_BYTES];
    flk_counter_t *gaps, *failures[STEPS];
} sink_t;

struct flk_sinks {
    size_t len;
    sink_t each[];
};

static atomic_bool stopping;

bool flk_sink_stopping(void) {
    return atomic_load(&stopping);
}

/* ---- metrics ---- */

static double read_position(void *arg) {
    sink_t *sink = arg;
    return (double)atomic_load(&sink->position);
}

static double read_lag_records(void *arg) {
    sink_t *sink = arg;
    uint64_t position = atomic_load(&sink->position), durable = atomic_load(&sink->durable);
    return atomic_load(&sink->behind_since_ms) != 0 && durable > position ? (double)(durable - position) : 0;
}

static double read_lag_seconds(void *arg) {
    sink_t *sink = arg;
    int64_t since_ms = atomic_load(&sink->behind_since_ms);
    return since_ms != 0 ? (double)(flk_wall_ms() - since_ms) / 1000 : 0;
}

static void register_metrics(sink_t *sink, flk_metrics_t *metrics) {
    snprintf(sink->label, sizeof sink->label, "sink=\"%s\"", sink->ops->name);
    flk_metrics_gauge_fn(metrics, "flk_follow_position_lsn", sink->label, "LSN up to which the sink is durable.",
                         read_position, sink);
    flk_metrics_gauge_fn(metrics, "flk_follow_lag_records", sink->label,
                         "LSNs of the log, records and acks, behind the sink's position.", read_lag_records, sink);
    flk_metrics_gauge_fn(metrics, "flk_follow_lag_seconds", sink->label,
                         "Age of the last event that the sink took, 0 at the head of the log.", read_lag_seconds, sink);
    sink->gaps = flk_metrics_counter(metrics, "flk_follow_gaps_total", sink->label,
                                     "Ranges of the log that were gone or damaged before they were read.");
    for (size_t i = 0; i < STEPS; i++) {
        snprintf(sink->step_labels[i], LABEL_BYTES, "%s,step=\"%s\"", sink->label, step_names[i]);
        sink->failures[i] = flk_metrics_counter(metrics, "flk_follow_failures_total", sink->step_labels[i],
                                                "Calls that failed and are tried again after a back-off.");
    }
}

/* ---- a session; the sink's thread ---- */

static flk_err_t fail(sink_t *sink, enum step step, flk_err_t err, const char *errmsg) {
    flk_counter_add(sink->failures[step], 1);
    flk_log(FLK_LOG_WARN, "sink_failed", FLK_S("sink", sink->ops->name), FLK_S("step", step_names[step]),
            FLK_S("error", errmsg));
    return err;
}

static void look(sink_t *sink) {
    flk_wal_follow_status_t status;
    flk_wal_follow_status(sink->follow, &status);
    atomic_store(&sink->durable, status.durable_lsn);
    sink->lineage = status.lineage;
}

static flk_err_t keep_hold(sink_t *sink) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    if (sink->held == sink->committed) {
        return FLK_OK;
    }
    const flk_wal_hold_t hold = {.lsn = sink->committed, .lineage = sink->lineage};
    flk_err_t err = flk_wal_hold_set(sink->log_dir, sink->ops->name, hold, errmsg);
    if (err != FLK_OK) {
        return fail(sink, STEP_HOLD, err, errmsg);
    }
    sink->held = sink->committed;
    return FLK_OK;
}

static flk_err_t commit(sink_t *sink) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    unsigned every_ms = sink->ops->commit_ms != 0 ? sink->ops->commit_ms : COMMIT_MS;
    sink->commit_at_ms = flk_mono_ms() + every_ms;
    flk_err_t err = sink->ops->commit(sink->self, &sink->committed, errmsg);
    if (err != FLK_OK) {
        return fail(sink, STEP_COMMIT, err, errmsg);
    }
    atomic_store(&sink->position, sink->committed);
    return keep_hold(sink);
}

static flk_err_t take_gap(sink_t *sink, const flk_wal_follow_item_t *item, char *errmsg) {
    const flk_gap_t gap = {.lineage = sink->lineage,
                           .first_lsn = item->gap_from_lsn,
                           .last_lsn = item->lsn,
                           .why = flk_decoder_gap_name(item->gap)};
    flk_counter_add(sink->gaps, 1);
    flk_log(FLK_LOG_WARN, "sink_gap", FLK_S("sink", sink->ops->name), FLK_U("first_lsn", gap.first_lsn),
            FLK_U("last_lsn", gap.last_lsn), FLK_S("why", gap.why));
    return sink->ops->gap(sink->self, &gap, errmsg);
}

static flk_err_t take_event(sink_t *sink, const flk_wal_follow_item_t *item, char *errmsg) {
    flk_event_t event;
    flk_err_t err = flk_decoder_read(sink->decoder, item, &event, errmsg);
    err = err != FLK_OK ? err : sink->ops->take(sink->self, &event, errmsg);
    atomic_store(&sink->behind_since_ms, err == FLK_OK && event.time_ms > 0 ? event.time_ms : 1);
    return err;
}

static flk_err_t take(sink_t *sink, const flk_wal_follow_item_t *item) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_err_t (*const give)(sink_t *, const flk_wal_follow_item_t *, char *) = item->is_gap ? take_gap : take_event;
    flk_err_t err = give(sink, item, errmsg);
    if (err == FLK_E_FULL) {
        err = commit(sink);
        if (err != FLK_OK) {
            return err; /* told */
        }
        err = give(sink, item, errmsg);
    }
    return err == FLK_OK ? err : fail(sink, STEP_TAKE, err, errmsg);
}

static flk_err_t step(sink_t *sink) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_wal_follow_item_t item;
    uint64_t now_ms = flk_mono_ms();
    uint64_t wait_ms = sink->commit_at_ms > now_ms ? sink->commit_at_ms - now_ms : 0;
    flk_err_t err =
        flk_wal_follow_next(sink->follow, (uint32_t)(wait_ms < SLICE_MS ? wait_ms : SLICE_MS), &item, errmsg);
    if (err == FLK_OK) {
        err = take(sink, &item);
    } else if (err == FLK_E_AGAIN) {
        atomic_store(&sink->behind_since_ms, 0);
        err = FLK_OK;
    } else {
        err = fail(sink, STEP_READ, err, errmsg);
    }
    if (err == FLK_OK && now_ms >= sink->commit_at_ms) {
        look(sink);
        err = commit(sink);
    }
    return err;
}

/* The log's lineage is known before the sink is asked for its position in it. FLK_E_AGAIN: there is no log yet. */
static flk_err_t open_log(sink_t *sink, uint64_t after) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_wal_follow_close(&sink->follow);
    flk_err_t err = flk_wal_follow_open(sink->log_dir, after, &sink->follow, errmsg);
    if (err == FLK_OK) {
        look(sink);
        return FLK_OK;
    }
    return err == FLK_E_NOT_FOUND ? FLK_E_AGAIN : fail(sink, STEP_OPEN, err, errmsg);
}

static flk_err_t begin(sink_t *sink) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_err_t err = open_log(sink, 0);
    if (err != FLK_OK) {
        return err;
    }
    err = sink->ops->resume(sink->self, sink->lineage, &sink->committed, errmsg);
    if (err != FLK_OK) {
        return fail(sink, STEP_RESUME, err, errmsg);
    }
    sink->held = UINT64_MAX;
    sink->commit_at_ms = flk_mono_ms() + (sink->ops->commit_ms != 0 ? sink->ops->commit_ms : COMMIT_MS);
    atomic_store(&sink->position, sink->committed);
    err = keep_hold(sink);
    return err != FLK_OK ? err : open_log(sink, sink->committed);
}

static void back_off(unsigned ms) {
    uint64_t until_ms = flk_mono_ms() + ms / 2 + flk_random_u64() % (ms / 2 + 1);
    for (uint64_t now_ms; !flk_sink_stopping() && (now_ms = flk_mono_ms()) < until_ms;) {
        struct timespec pause = {.tv_nsec =
                                     (until_ms - now_ms < SLICE_MS ? (long)(until_ms - now_ms) : SLICE_MS) * 1000000};
        nanosleep(&pause, NULL);
    }
}

static void *run(void *arg) {
    sink_t *sink = arg;
    unsigned backoff_ms = BACKOFF_MS_MIN;
    while (!flk_sink_stopping()) {
        uint64_t committed = atomic_load(&sink->position);
        flk_err_t err = begin(sink);
        bool waits = err == FLK_E_AGAIN;
        while (err == FLK_OK && !flk_sink_stopping()) {
            err = step(sink);
        }
        if (err == FLK_OK) {
            (void)!commit(sink); /* it is told; the events come again */
            break;
        }
        bool moved = atomic_load(&sink->position) != committed;
        backoff_ms = waits || moved ? BACKOFF_MS_MIN : backoff_ms * 2;
        backoff_ms = backoff_ms > BACKOFF_MS_MAX ? BACKOFF_MS_MAX : backoff_ms;
        back_off(waits ? COMMIT_MS : backoff_ms);
    }
    flk_wal_follow_close(&sink->follow);
    return NULL;
}

/* ---- the frame ---- */

flk_err_t flk_sinks_make(const flk_sink_ops_t *const *all, size_t all_len, const flk_settings_t *settings,
                         const char *log_dir, flk_metrics_t *metrics, flk_sinks_t **out, char *errmsg) {
    flk_sinks_t *sinks = flk_start_alloc(sizeof *sinks + all_len * sizeof sinks->each[0]);
    flk_err_t err = FLK_OK;
    *out = sinks;
    for (size_t i = 0; i < all_len && err == FLK_OK; i++) {
        sink_t *sink = &sinks->each[sinks->len];
        void *self = NULL;
        err = flk_err_at(all[i]->make(settings, metrics, &self, errmsg), all[i]->name, errmsg);
        if (err == FLK_OK && self != NULL) {
            *sink = (sink_t){.ops = all[i], .self = self, .log_dir = log_dir};
            sinks->len++;
            register_metrics(sink, metrics);
            err = flk_decoder_new(&sink->decoder, errmsg);
        }
    }
    flk_gauge_set(flk_metrics_gauge(metrics, "flk_follow_sinks", NULL, "Sinks that are on."), (int64_t)sinks->len);
    if (err != FLK_OK) {
        flk_sinks_stop(out);
    }
    return err;
}

size_t flk_sinks_len(const flk_sinks_t *sinks) {
    return sinks->len;
}

flk_err_t flk_sinks_start(flk_sinks_t *sinks, char *errmsg) {
    atomic_store(&stopping, false);
    for (size_t i = 0; i < sinks->len; i++) {
        sink_t *sink = &sinks->each[i];
        flk_err_t err = flk_thread_start(&sink->thread, "flk-sink", run, sink, errmsg);
        if (err != FLK_OK) {
            return err;
        }
        sink->started = true;
        flk_log(FLK_LOG_INFO, "sink_started", FLK_S("sink", sink->ops->name));
    }
    return FLK_OK;
}

void flk_sinks_stop(flk_sinks_t **out) {
    flk_sinks_t *sinks = *out;
    *out = NULL;
    if (sinks == NULL) {
        return;
    }
    atomic_store(&stopping, true);
    for (size_t i = 0; i < sinks->len; i++) {
        if (sinks->each[i].started) {
            pthread_join(sinks->each[i].thread, NULL);
        }
        flk_decoder_destroy(&sinks->each[i].decoder);
        sinks->each[i].ops->free(&sinks->each[i].self);
    }
    free(sinks);
}
