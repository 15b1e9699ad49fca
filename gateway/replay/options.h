/* SPDX-License-Identifier: MIT */
/* The command line of flk-replay. */
#ifndef FLK_GATEWAY_REPLAY_OPTIONS_H
#define FLK_GATEWAY_REPLAY_OPTIONS_H

#include "common/program/program.h"
#include "gateway/replay/filter.h"

typedef enum flk_verb {
    FLK_VERB_LIST,
    FLK_VERB_SHOW,
    FLK_VERB_VERIFY,
    FLK_VERB_STATS,
    FLK_VERB_EXPORT,
    FLK_VERB_AUDIT,
    FLK_VERB_REPLAY,
    FLK_VERB_HANDOVER,
    FLK_VERB_DLQ_LIST,
    FLK_VERB_DLQ_SHOW,
    FLK_VERB_DLQ_PURGE,
    FLK_VERB_DLQ_REPLAY,
} flk_verb_t;

/* Strings are those of argv. */
typedef struct flk_replay_options {
    flk_verb_t verb;
    const char *dir;   /* NULL: inbox or dlq in FLK_DATA_DIR */
    const char *what;  /* show: LSN or the beginning of a pcs_id */
    const char *to;    /* replay, handover: the gateway's ZeroMQ door; NULL: FLK_ZMQ_LISTEN */
    const char *state; /* replay: file to go on from; NULL: none */
    uint64_t wait_ms;  /* for a gateway that runs: to do it, or to end (handover) */
    uint64_t rate;     /* replay: records/s; 0 = as fast as they are taken */
    bool json, dry_run, bare, all;
    flk_filter_t filter;
} flk_replay_options_t;

/* The name that the program was called by: "flk-replay", "flk wal", "flk dlq". */
const char *flk_replay_title(void);

/* True for the verbs that work on the dead-letter queue. */
bool flk_verb_is_dlq(flk_verb_t verb);

/* Returns -1 to go on, or the exit status to end with; --help and --version and faults are printed here. */
FLK_MUST_CHECK int flk_replay_options_parse(int argc, char **argv, flk_replay_options_t *options);

#endif
