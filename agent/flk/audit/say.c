/* SPDX-License-Identifier: MIT */
#include "agent/flk/audit/say.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TIME_BYTES = 32 };

/* "2026-11-30 13:45:01.042Z". */
static const char *print_time(int64_t time_ms, char text[TIME_BYTES]) {
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts;
    if (time_ms <= 0 || gmtime_r(&seconds, &parts) == NULL || parts.tm_year > 9999 - 1900) {
        return strcpy(text, "unknown");
    }
    size_t used = strftime(text, TIME_BYTES, "%Y-%m-%d %H:%M:%S", &parts);
    snprintf(text + used, TIME_BYTES - used, ".%03uZ", (unsigned)(time_ms % 1000));
    return text;
}

const char *flk_audit_reasons(const flk_tlog_leaf_t *leaf, char text[FLK_AUDIT_REASONS_BYTES]) {
    flk_reason_each_t each = {0};
    size_t used = 0;
    const char *reason;
    text[0] = '\0';
    while ((reason = flk_reason_each(&each, leaf->reasons, leaf->outcome.rules)) != NULL &&
           used < FLK_AUDIT_REASONS_BYTES) {
        used += (size_t)snprintf(text + used, FLK_AUDIT_REASONS_BYTES - used, "%s%s", used > 0 ? ", " : "", reason);
    }
    return text;
}

static void say_hex(const char *name, const uint8_t bytes[FLK_DIGEST_BYTES]) {
    char hex[2 * FLK_DIGEST_BYTES + 1];
    printf("%-12s %s\n", name, sodium_bin2hex(hex, sizeof hex, bytes, FLK_DIGEST_BYTES));
}

static void say_outcome(const flk_outcome_t *outcome) {
    if (outcome->has_d_hat) {
        printf("%-12s %.9g\n", "D_hat", outcome->d_hat);
    } else {
        printf("%-12s unverifiable\n", "D_hat");
    }
    printf("%-12s %.9g, claimed %.9g\n", "budget", outcome->budget, outcome->budget_claimed);
    printf("%-12s %s\n%-12s %s\n", "regime", flk_regime_name(outcome->regime), "policy", outcome->policy_version);
}

void flk_audit_say_leaf(const flk_tlog_leaf_t *leaf, uint64_t index) {
    char text[FLK_AUDIT_REASONS_BYTES], time[TIME_BYTES];
    printf("%-12s %" PRIu64 "\n", "leaf", index);
    if (leaf->is_gap) {
        printf("%-12s LSN %" PRIu64 " to %" PRIu64 " of log %016" PRIx64 " were gone before they were read\n", "gap",
               leaf->gap_first, leaf->gap_last, leaf->log);
        return;
    }
    if (leaf->has_pcs_id) {
        say_hex("pcs_id", leaf->pcs_id);
    }
    printf("%-12s %u%s%s\n", "status", leaf->status, leaf->reasons != 0 ? ": " : "", flk_audit_reasons(leaf, text));
    for (unsigned flag = 0; flag < FLK_TLOG_FLAG_COUNT; flag++) {
        if ((leaf->flags & 1u << flag) != 0) {
            printf("%-12s %s\n", "flag", flk_tlog_flag_name((flk_tlog_flag_t)flag));
        }
    }
    if (leaf->has_outcome) {
        say_outcome(&leaf->outcome);
    }
    if (leaf->key[0] != '\0') {
        printf("%-12s %s\n", "signed by", leaf->key);
    }
    printf("%-12s %s\n", "received", print_time(leaf->received_ms, time));
    printf("%-12s %s\n", "answered", print_time(leaf->time_ms, time));
    printf("%-12s %016" PRIx64 ", LSN %" PRIu64 " (record %" PRIu64 ")\n", "log", leaf->log, leaf->lsn,
           leaf->record_lsn);
    if (leaf->has_body) {
        say_hex("body SHA-256", leaf->body_sha256);
    }
    if (leaf->has_digest) {
        say_hex("digest", leaf->digest);
    }
}

void flk_audit_say_checkpoint(const flk_audit_options_t *options, const flk_note_t *note,
                              const flk_tlog_checkpoint_t *checkpoint) {
    char root[FLK_TLOG_HASH_BASE64_BYTES], time[TIME_BYTES], errmsg[FLK_ERRMSG_BYTES];
    flk_tlog_hash_print(&checkpoint->root, root);
    printf("%-12s %s, %" PRIu64 " leaves, root %s\n%-12s %s\n", "checkpoint", checkpoint->origin, checkpoint->size,
           root, "log key", options->key.name);
    for (unsigned i = 0; i < options->witnesses_len; i++) {
        uint64_t time_s;
        if (flk_note_verify(note, &options->witnesses[i], &time_s, errmsg) == FLK_OK) {
            printf("%-12s %s, %s\n", "witness", options->witnesses[i].name, print_time((int64_t)time_s * 1000, time));
        }
    }
}

json_t *flk_audit_json_checkpoint(const flk_audit_options_t *options, const flk_note_t *note,
                                  const flk_tlog_checkpoint_t *checkpoint) {
    char root[FLK_TLOG_HASH_BASE64_BYTES], errmsg[FLK_ERRMSG_BYTES];
    json_t *witnesses = json_array();
    for (unsigned i = 0; i < options->witnesses_len; i++) {
        uint64_t time_s;
        if (flk_note_verify(note, &options->witnesses[i], &time_s, errmsg) == FLK_OK) {
            json_array_append_new(
                witnesses, json_pack("{s:s, s:I}", "key", options->witnesses[i].name, "time", (json_int_t)time_s));
        }
    }
    flk_tlog_hash_print(&checkpoint->root, root);
    return json_pack("{s:s, s:I, s:s, s:s, s:o}", "origin", checkpoint->origin, "size", (json_int_t)checkpoint->size,
                     "root", root, "key", options->key.name, "witnesses", witnesses);
}

flk_err_t flk_audit_witnesses(const flk_audit_options_t *options, const flk_note_t *note, char *errmsg) {
    flk_err_t err = FLK_OK;
    for (unsigned i = 0; err == FLK_OK && i < options->witnesses_len; i++) {
        err = flk_note_verify(note, &options->witnesses[i], NULL, errmsg);
    }
    return err;
}
