/* SPDX-License-Identifier: MIT */
#include "agent/flk/audit/verdicts.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "agent/flk/audit/say.h"

enum { SAME = 1, OTHER = 2 };

flk_err_t flk_audit_verdicts_load(flk_audit_verdicts_t *verdicts, const char *path, char *errmsg) {
    *verdicts = (flk_audit_verdicts_t){.seen = NULL};
    flk_err_t err = flk_answers_load(&verdicts->answers, path, errmsg);
    if (err == FLK_OK) {
        flk_answers_sort(&verdicts->answers);
        verdicts->seen = flk_start_alloc(verdicts->answers.len + 1);
    }
    return err;
}

void flk_audit_verdicts_fini(flk_audit_verdicts_t *verdicts) {
    flk_answers_fini(&verdicts->answers);
    free(verdicts->seen);
    verdicts->seen = NULL;
}

static bool is_verdict(int status) {
    return status == FLK_STATUS_ACCEPTED || status == FLK_STATUS_ESCALATED;
}

static size_t first_of(const flk_answers_t *answers, const char *pcs_id) {
    size_t from = 0, to = answers->len;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (strcmp(answers->items[middle].pcs_id, pcs_id) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

void flk_audit_verdicts_see(flk_audit_verdicts_t *verdicts, const flk_tlog_leaf_t *leaf) {
    char pcs_id[FLK_ANSWER_ID_BYTES], reasons[FLK_AUDIT_REASONS_BYTES];
    if (leaf->is_gap || !leaf->has_pcs_id || !is_verdict(leaf->status)) {
        return;
    }
    sodium_bin2hex(pcs_id, sizeof pcs_id, leaf->pcs_id, FLK_PCS_ID_BYTES);
    flk_audit_reasons(leaf, reasons);
    for (size_t i = first_of(&verdicts->answers, pcs_id);
         i < verdicts->answers.len && strcmp(verdicts->answers.items[i].pcs_id, pcs_id) == 0; i++) {
        const flk_reply_line_t *answer = &verdicts->answers.items[i];
        bool same =
            answer->status == leaf->status && strncmp(answer->reasons, reasons, FLK_ANSWER_REASONS_BYTES - 1) == 0;
        verdicts->seen[i] |= same ? SAME : OTHER;
    }
}

void flk_audit_verdicts_count(const flk_audit_verdicts_t *verdicts, flk_audit_verdicts_count_t *count) {
    *count = (flk_audit_verdicts_count_t){.example = NULL};
    for (size_t i = 0; i < verdicts->answers.len; i++) {
        const flk_reply_line_t *answer = &verdicts->answers.items[i];
        if (!is_verdict(answer->status)) {
            continue;
        }
        bool same = (verdicts->seen[i] & SAME) != 0;
        *(same ? &count->same : verdicts->seen[i] == 0 ? &count->absent : &count->other) += 1;
        count->example = same || count->example != NULL ? count->example : answer->pcs_id;
    }
}
