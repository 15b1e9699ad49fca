/* SPDX-License-Identifier: MIT */
/* A log judged twice, by two policies. Signatures are not checked and acks not read: this tells the changes that a
 * policy brings, and `flk wal audit` whether the answers were right. */
#include <stdio.h>
#include <string.h>

#include "agent/flk/json_out.h"
#include "agent/flk/policy/verbs.h"
#include "common/wal/read.h"
#include "proto/body.h"
#include "proto/inbox_format.h"

typedef struct try {
    bool json, out_of_memory;
    flk_policy_t before, after;
    flk_pcs_reader_t *reader;
    uint64_t records, judged, changed;
}
try_t;

enum { WORDS_BYTES = 512 };

/* "202 degraded,rule:thin" */
static const char *words_of(const flk_outcome_t *outcome, char out[WORDS_BYTES]) {
    flk_reason_each_t each = {0};
    const char *reason, *separator = " ";
    int at = snprintf(out, WORDS_BYTES, "%u", outcome->status);
    while ((reason = flk_reason_each(&each, outcome->reasons, outcome->rules)) != NULL && at < WORDS_BYTES) {
        at += snprintf(out + at, (size_t)(WORDS_BYTES - at), "%s%s", separator, reason);
        separator = ",";
    }
    return out;
}

static void judge(try_t *try, uint64_t lsn, const flk_pcs_t *pcs) {
    flk_outcome_t before, after;
    char words[2][WORDS_BYTES];
    try->judged++;
    flk_verdict(pcs, &try->before, &before);
    flk_verdict(pcs, &try->after, &after);
    if (before.reasons == after.reasons && strcmp(before.rules, after.rules) == 0) {
        return;
    }
    try->changed++;
    words_of(&before, words[0]);
    words_of(&after, words[1]);
    if (try->json) {
        flk_json_out(json_pack("{s:I, s:s, s:s, s:s, s:s}", "lsn", (json_int_t)lsn, "pcs_id", pcs->id, "shard_id",
                               pcs->shard_id, "before", words[0], "after", words[1]));
    } else {
        printf("record %llu %s %s: %s -> %s\n", (unsigned long long)lsn, pcs->id, pcs->shard_id, words[0], words[1]);
    }
}

static bool take(void *arg, const flk_wal_item_t *item) {
    try_t *try = arg;
    const flk_wal_record_t *record = &item->record;
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    if (item->type != FLK_WAL_ITEM_RECORD) {
        return true;
    }
    try->records++;
    flk_err_t err = record->kind == FLK_BODY_JSON
                        ? flk_pcs_from_json(record->body, record->body_bytes, &pcs, &fault)
                        : flk_pcs_from_msgpack(try->reader, record->body, record->body_bytes, &pcs, &fault);
    if (err == FLK_OK) {
        judge(try, record->lsn, &pcs);
        flk_pcs_fini(&pcs);
    }
    try->out_of_memory = err == FLK_E_NOMEM;
    return !try->out_of_memory;
}

int flk_policy_verb_try(const flk_policy_ask_t *ask) {
    try_t try = {.json = ask->json};
    char errmsg[FLK_ERRMSG_BYTES];
    if (!flk_policy_ask_load(ask->policy_file, &try.before) || !flk_policy_ask_load(ask->files[0], &try.after)) {
        return FLK_EXIT_FAILED;
    }
    try.reader = flk_pcs_reader_new();
    flk_err_t err = try.reader != NULL ? flk_wal_read(ask->log_dir, take, &try, errmsg) : FLK_E_NOMEM;
    if (try.reader == NULL || try.out_of_memory) {
        flk_errmsg(errmsg, "out of memory");
        err = FLK_E_NOMEM;
    }
    flk_pcs_reader_destroy(&try.reader);
    if (err != FLK_OK) {
        return flk_policy_ask_failed(errmsg);
    }
    if (ask->json) {
        flk_json_out(json_pack("{s:I, s:I, s:I}", "records", (json_int_t)try.records, "judged", (json_int_t)try.judged,
                               "changed", (json_int_t)try.changed));
    } else {
        printf("%llu records, %llu PCS: %llu verdicts would change from %s to %s\n", (unsigned long long)try.records,
               (unsigned long long)try.judged, (unsigned long long)try.changed, try.before.version, try.after.version);
    }
    return try.changed == 0 ? FLK_EXIT_OK : FLK_EXIT_FAILED;
}
