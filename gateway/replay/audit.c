/* SPDX-License-Identifier: MIT */
/* Were the answers those of the rules? For each record: read, check the signature, give the verdict, as a worker
 * does; compare with the ack's status, flags and reasons.
 *
 * A duplicate was answered with the outcome of the first submission of its pcs_id, which may have had another
 * content (conflict). So duplicates are judged at the end, when all first submissions of the log are known. Is none
 * there (another gateway's log, or gone by age), the duplicate is unproven. Dead letters have no verdict of a
 * worker: only that they say so is checked. Memory: about 80 bytes for each record that is a PCS. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/pcs/keyring_load.h"
#include "common/pcs/policy/load.h"
#include "gateway/replay/print.h"
#include "gateway/replay/verbs.h"

enum { DIGEST_KEPT_BYTES = 8 };

typedef struct verdict {
    uint16_t status;
    uint32_t reasons;
} verdict_t;

typedef struct entry {
    uint64_t lsn;
    uint8_t id[FLK_PCS_ID_BYTES];
    uint8_t digest[DIGEST_KEPT_BYTES]; /* of the signed content */
    verdict_t verified;
    flk_wal_mark_t mark; /* status 0: not acked */
    bool judged;         /* the filter asks for it */
} entry_t;

typedef struct audit {
    bool json;
    const flk_filter_t *filter;
    flk_policy_t policy;
    flk_keyring_t *keyring;
    entry_t *entries;
    size_t len, capacity;
    bool out_of_memory;
    uint64_t records, agree, differences, unacked, unproven, dead_letters;
} audit_t;

/* ---- reporting ---- */

static void print_side(const char *name, uint16_t status, unsigned flags, uint32_t reasons) {
    printf(",\"%s\":{\"status\":%u,\"duplicate\":%s,\"conflict\":%s,\"dead_letter\":%s,\"reasons\":", name, status,
           flags & FLK_FLAG_DUPLICATE ? "true" : "false", flags & FLK_FLAG_CONFLICT ? "true" : "false",
           flags & FLK_FLAG_DEAD_LETTER ? "true" : "false");
    flk_print_reasons_json(reasons);
    putchar('}');
}

static void report(audit_t *audit, uint64_t lsn, const char *pcs_id, flk_wal_mark_t mark, verdict_t verified,
                   unsigned flags) {
    char words[3][FLK_WORDS_BYTES], expected[FLK_WORDS_BYTES];
    audit->differences++;
    if (audit->json) {
        printf("{\"type\":\"difference\",\"lsn\":%llu,\"pcs_id\":\"%s\"", (unsigned long long)lsn, pcs_id);
        print_side("answered", mark.status, mark.flags, mark.detail);
        print_side("verified", verified.status, flags, verified.reasons);
        puts("}");
        return;
    }
    printf("record %llu %s: answered %u (flags %s, reasons %s), verifies as %u (flags %s, reasons %s)\n",
           (unsigned long long)lsn, pcs_id[0] != '\0' ? pcs_id : "(not a valid PCS)", mark.status,
           flk_print_flags(mark.flags, words[0]), flk_print_reasons(mark.detail, words[1]), verified.status,
           flk_print_flags(flags, words[2]), flk_print_reasons(verified.reasons, expected));
}

/* ---- one record ---- */

/* Logs of before reasons were kept have none with a 202. */
static bool same_verdict(flk_wal_mark_t mark, verdict_t verified) {
    return mark.status == verified.status && (mark.detail == 0 || mark.detail == verified.reasons);
}

/* False: out of memory. */
static bool remember(audit_t *audit, const entry_t *entry) {
    if (audit->len == audit->capacity) {
        size_t capacity = audit->capacity * 2 + 1024;
        entry_t *entries = realloc(audit->entries, capacity * sizeof *entries);
        if (entries == NULL) {
            return false;
        }
        audit->entries = entries;
        audit->capacity = capacity;
    }
    audit->entries[audit->len++] = *entry;
    return true;
}

static verdict_t verify(const audit_t *audit, const flk_journal_record_t *record, uint8_t digest[FLK_DIGEST_BYTES]) {
    flk_signature_t signature;
    flk_outcome_t outcome;
    if (record->pcs == NULL) {
        return (verdict_t){.status = record->parse_err == FLK_E_TOO_LARGE ? 413 : 400};
    }
    /* A key that has expired since verified it then. */
    if (flk_keyring_verify(audit->keyring, record->pcs, record->time_ms / 1000, digest, &signature) != FLK_OK) {
        return (verdict_t){.status = 401};
    }
    flk_verdict(record->pcs, &audit->policy, &outcome);
    return (verdict_t){.status = outcome.status, .reasons = outcome.reasons};
}

static void judge(audit_t *audit, const flk_journal_record_t *record, verdict_t verified) {
    const char *pcs_id = record->pcs != NULL ? record->pcs->id : "";
    unsigned flags = 0;
    if (record->mark.flags & FLK_FLAG_DEAD_LETTER) {
        audit->dead_letters++;
        verified = (verdict_t){.status = FLK_STATUS_ESCALATED, .reasons = 1u << FLK_REASON_DEAD_LETTER};
        flags = record->mark.flags & (FLK_FLAG_DUPLICATE | FLK_FLAG_DEAD_LETTER);
    }
    if (same_verdict(record->mark, verified) && record->mark.flags == flags) {
        audit->agree++;
    } else {
        report(audit, record->lsn, pcs_id, record->mark, verified, flags);
    }
}

static bool take(void *arg, const flk_journal_record_t *record) {
    audit_t *audit = arg;
    uint8_t digest[FLK_DIGEST_BYTES];
    const verdict_t verified = verify(audit, record, digest);
    const bool has_outcome = verified.status == FLK_STATUS_ACCEPTED || verified.status == FLK_STATUS_ESCALATED;
    const bool dead = record->acked && (record->mark.flags & FLK_FLAG_DEAD_LETTER) != 0;
    const bool duplicate = record->acked && (record->mark.flags & FLK_FLAG_DUPLICATE) != 0;
    const bool judged =
        flk_filter_matches_outside(audit->filter, record) && flk_filter_matches_inside(audit->filter, record);
    audit->records += judged;
    audit->unacked += judged && !record->acked;
    if (judged && record->acked && (dead || !duplicate || !has_outcome)) {
        judge(audit, record, verified);
    }
    if (dead || !has_outcome) {
        return true;
    }
    entry_t entry = {.lsn = record->lsn, .verified = verified, .mark = record->mark, .judged = judged};
    memcpy(entry.id, record->pcs->id_raw, sizeof entry.id);
    memcpy(entry.digest, digest, sizeof entry.digest);
    audit->out_of_memory = !remember(audit, &entry);
    return !audit->out_of_memory;
}

/* ---- duplicates ---- */

static int compare_entries(const void *a_arg, const void *b_arg) {
    const entry_t *a = a_arg, *b = b_arg;
    int order = memcmp(a->id, b->id, sizeof a->id);
    return order != 0 ? order : (a->lsn > b->lsn) - (a->lsn < b->lsn);
}

static bool is_duplicate(const entry_t *entry) {
    return (entry->mark.flags & FLK_FLAG_DUPLICATE) != 0;
}

/* `group` are all records of one pcs_id. */
static void judge_duplicate(audit_t *audit, const entry_t *entry, const entry_t *group, size_t group_len) {
    const entry_t *first = NULL; /* the first that was answered as one */
    for (size_t i = 0; i < group_len; i++) {
        if (is_duplicate(&group[i])) {
            continue;
        }
        bool conflict = memcmp(entry->digest, group[i].digest, DIGEST_KEPT_BYTES) != 0;
        unsigned flags = FLK_FLAG_DUPLICATE | (conflict ? FLK_FLAG_CONFLICT : 0);
        if (same_verdict(entry->mark, group[i].verified) && entry->mark.flags == flags) {
            audit->agree++;
            return;
        }
        first = first == NULL && group[i].mark.status != 0 ? &group[i] : first;
    }
    if (first == NULL) {
        audit->unproven++;
        return;
    }
    char pcs_id[FLK_PCS_ID_HEX + 1] = "";
    for (size_t i = 0; i < FLK_PCS_ID_BYTES; i++) {
        snprintf(pcs_id + 2 * i, 3, "%02x", entry->id[i]);
    }
    bool conflict = memcmp(entry->digest, first->digest, DIGEST_KEPT_BYTES) != 0;
    report(audit, entry->lsn, pcs_id, entry->mark, first->verified,
           FLK_FLAG_DUPLICATE | (conflict ? FLK_FLAG_CONFLICT : 0));
}

static void judge_duplicates(audit_t *audit) {
    if (audit->len > 0) {
        qsort(audit->entries, audit->len, sizeof *audit->entries, compare_entries);
    }
    for (size_t start = 0, end; start < audit->len; start = end) {
        const entry_t *group = &audit->entries[start];
        for (end = start + 1; end < audit->len && memcmp(audit->entries[end].id, group->id, sizeof group->id) == 0;) {
            end++;
        }
        for (size_t i = start; i < end; i++) {
            if (audit->entries[i].judged && is_duplicate(&audit->entries[i])) {
                judge_duplicate(audit, &audit->entries[i], group, end - start);
            }
        }
    }
}

/* ---- the whole ---- */

static flk_err_t load_rules(audit_t *audit, const flk_settings_t *settings, char *errmsg) {
    const char *policy_file = flk_settings_str(settings, FLK_SET_POLICY_FILE);
    flk_policy_default(&audit->policy);
    flk_err_t err = flk_keyring_load(settings, &audit->keyring, errmsg);
    return err == FLK_OK && policy_file[0] != '\0' ? flk_policy_load(policy_file, &audit->policy, errmsg) : err;
}

static void print_summary(const audit_t *audit, size_t damage) {
    printf(audit->json ? "{\"type\":\"summary\",\"records\":%llu,\"agree\":%llu,\"differences\":%llu,\"unacked\":%llu,"
                         "\"unproven\":%llu,\"dead_letters\":%llu,\"damaged_places\":%zu,\"policy_version\":\"%s\"}\n"
                       : "%llu records: %llu agree, %llu differ; not answered yet %llu, unproven duplicates %llu, dead "
                         "letters %llu, damaged places %zu; policy %s\n",
           (unsigned long long)audit->records, (unsigned long long)audit->agree, (unsigned long long)audit->differences,
           (unsigned long long)audit->unacked, (unsigned long long)audit->unproven,
           (unsigned long long)audit->dead_letters, damage, audit->policy.version);
}

static flk_err_t read_log(audit_t *audit, const char *dir, size_t *damage, char *errmsg) {
    flk_journal_t *journal;
    flk_filter_t everything = {.segment = audit->filter->segment};
    flk_err_t err = flk_journal_open(dir, &journal, errmsg);
    if (err == FLK_OK) {
        *damage = flk_journal_damage(journal);
        err = flk_journal_each(journal, &everything, true, take, audit, errmsg);
        flk_journal_close(&journal);
    }
    if (err == FLK_OK && audit->out_of_memory) {
        flk_errmsg(errmsg, "out of memory after %zu records of %s", audit->len, dir);
        err = FLK_E_NOMEM;
    }
    return err;
}

int flk_replay_audit(const flk_replay_options_t *options, const flk_settings_t *settings, const char *dir) {
    char errmsg[FLK_ERRMSG_BYTES];
    size_t damage = 0;
    audit_t audit = {.json = options->json, .filter = &options->filter};
    int status = FLK_EXIT_OK;
    if (load_rules(&audit, settings, errmsg) != FLK_OK) {
        (void)!flk_replay_failed(errmsg);
        status = FLK_EXIT_USAGE;
    } else if (read_log(&audit, dir, &damage, errmsg) != FLK_OK) {
        status = flk_replay_failed(errmsg);
    } else {
        judge_duplicates(&audit);
        print_summary(&audit, damage);
        status = audit.differences > 0 ? FLK_EXIT_FAILED : FLK_EXIT_OK;
    }
    flk_keyring_destroy(&audit.keyring);
    free(audit.entries);
    return status;
}
