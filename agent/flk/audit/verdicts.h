/* SPDX-License-Identifier: MIT */
/* Answers that an agent has kept, compared with the leaves of logs. One thread. */
#ifndef FLK_AGENT_FLK_AUDIT_VERDICTS_H
#define FLK_AGENT_FLK_AUDIT_VERDICTS_H

#include "agent/flk/answers.h"
#include "common/tlog/leaf.h"

typedef struct flk_audit_verdicts {
    flk_answers_t answers; /* sorted */
    uint8_t *seen;         /* of each: bit 1: a leaf says the same, bit 2: a leaf says otherwise */
} flk_audit_verdicts_t;

/* Errors: those of flk_answers_load. Caller frees with _fini. */
FLK_MUST_CHECK flk_err_t flk_audit_verdicts_load(flk_audit_verdicts_t *verdicts, const char *path, char *errmsg);
void flk_audit_verdicts_fini(flk_audit_verdicts_t *verdicts);

void flk_audit_verdicts_see(flk_audit_verdicts_t *verdicts, const flk_tlog_leaf_t *leaf);

typedef struct flk_audit_verdicts_count {
    size_t same, other, absent; /* `other`: leaves are there, and none says the same */
    const char *example;        /* pcs_id of one that is not the same; NULL: none */
} flk_audit_verdicts_count_t;
void flk_audit_verdicts_count(const flk_audit_verdicts_t *verdicts, flk_audit_verdicts_count_t *count);

#endif
