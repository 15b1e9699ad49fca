/* SPDX-License-Identifier: MIT */
/* The findings of flk doctor, line by line, with their remedies. One thread. */
#ifndef FLK_AGENT_FLK_DOCTOR_FINDINGS_H
#define FLK_AGENT_FLK_DOCTOR_FINDINGS_H

#include "common/err.h"

typedef enum flk_finding_level {
    FLK_FINDING_OK,
    FLK_FINDING_NOTE,  /* works, but a person should know */
    FLK_FINDING_FAULT, /* does not work */
} flk_finding_level_t;

typedef struct flk_finding {
    const char *check; /* "disk"; borrowed for ever */
    flk_finding_level_t level;
    char text[FLK_ERRMSG_BYTES];
    const char *advice; /* the remedy; "" for FLK_FINDING_OK; borrowed for ever */
} flk_finding_t;

typedef struct flk_findings {
    flk_finding_t *items; /* in the order found */
    size_t len, max;
} flk_findings_t;

/* Out of memory ends the process: a person waits for it. Freed by flk_findings_fini. */
void flk_findings_add(flk_findings_t *findings, const char *check, flk_finding_level_t level, const char *advice,
                      const char *format, ...) FLK_PRINTF(5, 6);
size_t flk_findings_count(const flk_findings_t *findings, flk_finding_level_t level);
void flk_findings_fini(flk_findings_t *findings);

/* For people: a line each, the advice below. As JSON: one document. Both on standard output. */
void flk_findings_print(const flk_findings_t *findings, bool json);

#endif
