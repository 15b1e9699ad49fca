/* SPDX-License-Identifier: MIT */
/* A sink takes the events of one log in order: each at least once, none twice between two commits, none left out but
 * for gaps that it is told of. It has a thread of its own, so that one that fails or waits delays no other, and the
 * log's writer never.
 *
 * The sink keeps its position durable, beside its own output; the frame keeps the log's hold (retention waits
 * for it) at that position, drives it, backs off, counts and logs.
 *
 *   resume ──▶ take … take ──▶ commit ──▶ take … ──▶ commit ──▶ …   (stop) commit ──▶ free
 *     ▲            │ error        │ error
 *     └─ back-off ─┴──────────────┘  100 ms, doubled up to 30 s, with jitter; from the committed position again
 *
 * All calls of one sink come from its thread, but make and free, which the main thread makes while that does not run.
 * A call may block for as long as it must, but looks at flk_sink_stopping meanwhile. */
#ifndef FLK_FOLLOW_SINK_H
#define FLK_FOLLOW_SINK_H

#include "common/err.h"
#include "common/metrics.h"
#include "common/program/settings.h"
#include "follow/event.h"

/* LSNs that the log has no more: a broken hold, a damaged or sparse segment. */
typedef struct flk_gap {
    uint64_t lineage;             /* of the log */
    uint64_t first_lsn, last_lsn; /* inclusive; acks and records alike */
    const char *why;              /* "retired", "damaged": static */
} flk_gap_t;

typedef struct flk_sink_ops {
    const char *name;   /* label of metrics and name of the hold: [a-z0-9-]{1,32}; kept */
    unsigned commit_ms; /* commit comes at least so often, also when nothing was taken; 0 is 1000 */

    /* Reads the settings and makes the sink, which `metrics` outlive. FLK_OK with *sink NULL: it is off. Also for
     * --check: opens no socket and changes no file. Errors: FLK_E_CONFIG with one line that names the setting. */
    flk_err_t (*make)(const flk_settings_t *settings, flk_metrics_t *metrics, void **sink, char *errmsg);
    void (*free)(void **sink);

    /* Drops all that was not committed and tells the position: `*after` is the LSN of the last event that is durable in
     * the sink, 0 for none. `lineage` is the log's first number, the same after a move: another one is another log.
     * First call, and after each error. */
    flk_err_t (*resume)(void *sink, uint64_t lineage, uint64_t *after, char *errmsg);
    /* Takes the next event; borrows it until return. FLK_E_FULL: commit first, then it comes again; no error. */
    flk_err_t (*take)(void *sink, const flk_event_t *event, char *errmsg);
    /* Events are missing, and none of them will come: told in order, between takes. */
    flk_err_t (*gap)(void *sink, const flk_gap_t *gap, char *errmsg);
    /* Makes every event that was taken durable, and tells the position as resume does. Called every commit_ms, when
     * take says FLK_E_FULL, and before the end. */
    flk_err_t (*commit)(void *sink, uint64_t *after, char *errmsg);
} flk_sink_ops_t;

/* True from the moment the process stops: calls come to an end soon. Any thread. */
bool flk_sink_stopping(void);

/* ---- the frame; main thread ---- */

typedef struct flk_sinks flk_sinks_t; /* Opaque: those that are on. */

/* Makes each sink, without starting any. `log_dir` and `all` are kept. Errors: those of `make`, with the sink's name.
 * Caller frees with flk_sinks_stop. */
FLK_MUST_CHECK flk_err_t flk_sinks_make(const flk_sink_ops_t *const *all, size_t all_len,
                                        const flk_settings_t *settings, const char *log_dir, flk_metrics_t *metrics,
                                        flk_sinks_t **sinks, char *errmsg);
size_t flk_sinks_len(const flk_sinks_t *sinks);
/* Starts a thread each. Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_sinks_start(flk_sinks_t *sinks, char *errmsg);
/* Lets each commit, joins the threads, frees. NULL content is allowed. */
void flk_sinks_stop(flk_sinks_t **sinks);

#endif
