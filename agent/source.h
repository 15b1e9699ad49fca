/* SPDX-License-Identifier: MIT */
/* PCS one after the other out of the files of the command line: computed from rows (one stream over all files), or read
 * ready-made. One thread. */
#ifndef FLK_AGENT_SOURCE_H
#define FLK_AGENT_SOURCE_H

#include "agent/options.h"

typedef struct flk_source flk_source_t; /* Opaque; fields are commented in source.c. */

/* Start-up allocation. Keeps options and signer until flk_source_destroy. */
flk_source_t *flk_source_new(const flk_agent_options_t *options, const flk_signer_t *signer);
void flk_source_destroy(flk_source_t **source);

/* One PCS as JSON without newline. Caller frees `json` with free(). */
typedef struct flk_source_pcs {
    char *json;
    size_t json_bytes;
    bool ready; /* was read ready-made: its bytes are the sender's */
} flk_source_pcs_t;

/* The next PCS. Never blocks on a pipe. FLK_E_AGAIN: wait for flk_source_fd. FLK_E_NOT_FOUND: the end. FLK_E_INVALID: a
 * bad row that must not be skipped. FLK_E_CONFIG: the input does not fit the options. FLK_E_IO, FLK_E_NOMEM. All but
 * FLK_E_AGAIN are final. */
FLK_MUST_CHECK flk_err_t flk_source_next(flk_source_t *source, flk_source_pcs_t *pcs, char *errmsg);

int flk_source_fd(const flk_source_t *source); /* -1: no file is open */

typedef struct flk_source_stats {
    uint64_t rows;     /* read well; ready-made PCS count as rows */
    uint64_t bad_rows; /* skipped */
    uint64_t pcs;
    uint64_t bytes_read;
    uint64_t bytes_total; /* of all files; 0 = unknown */
} flk_source_stats_t;
void flk_source_stats(const flk_source_t *source, flk_source_stats_t *stats);

#endif
