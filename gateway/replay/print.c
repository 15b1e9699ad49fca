/* SPDX-License-Identifier: MIT */
#include "gateway/replay/print.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/escape.h"
#include "common/terminal.h"
#include "proto/inbox_format.h"

enum { WIDE_COLUMNS = 140, NARROW_COLUMNS = 60, ID_MIN = 16 };

const char *flk_print_time(int64_t time_ms, char out[FLK_TIME_BYTES]) {
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm date;
    gmtime_r(&seconds, &date);
    size_t used = strftime(out, FLK_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &date);
    snprintf(out + used, FLK_TIME_BYTES - used, ".%03dZ", (int)(time_ms % 1000));
    return out;
}

static void add_word(char out[FLK_WORDS_BYTES], const char *word) {
    size_t used = strlen(out);
    snprintf(out + used, FLK_WORDS_BYTES - used, "%s%s", used > 0 ? "," : "", word);
}

static const struct {
    unsigned flag;
    const char *name;
} flag_names[] = {
    {FLK_FLAG_DUPLICATE, "duplicate"}, {FLK_FLAG_CONFLICT, "conflict"}, {FLK_FLAG_DEAD_LETTER, "dead_letter"}};

const char *flk_print_flags(unsigned flags, char out[FLK_WORDS_BYTES]) {
    out[0] = '\0';
    for (size_t i = 0; i < FLK_COUNT_OF(flag_names); i++) {
        if (flags & flag_names[i].flag) {
            add_word(out, flag_names[i].name);
        }
    }
    return out[0] != '\0' ? out : "-";
}

const char *flk_print_reasons(uint32_t reasons, char out[FLK_WORDS_BYTES]) {
    out[0] = '\0';
    for (unsigned reason = 0; reason < FLK_REASON_COUNT; reason++) {
        if (reasons & 1u << reason) {
            add_word(out, flk_reason_name((flk_reason_t)reason));
        }
    }
    return out[0] != '\0' ? out : "-";
}

void flk_print_reasons_json(uint32_t reasons) {
    const char *separator = "[";
    for (unsigned reason = 0; reason < FLK_REASON_COUNT; reason++) {
        if (reasons & 1u << reason) {
            printf("%s\"%s\"", separator, flk_reason_name((flk_reason_t)reason));
            separator = ",";
        }
    }
    fputs(separator[0] == '[' ? "[]" : "]", stdout);
}

void flk_print_string_json(const char *text) {
    char out[1024];
    size_t bytes = flk_escape(text, FLK_ESCAPE_JSON, out, sizeof out, NULL);
    printf("\"%.*s\"", (int)bytes, out);
}

static const char *kind_name(uint8_t kind) {
    const bool msgpack = kind == FLK_BODY_MSGPACK || kind == FLK_DEAD_LETTER_UNSETTLED;
    return kind == FLK_BODY_JSON ? "json" : msgpack ? "msgpack" : "unknown";
}

static const char *status_text(const flk_journal_record_t *record, char out[16]) {
    snprintf(out, 16, "%u", record->mark.status);
    return record->acked ? out : "unacked";
}

/* All of a row where nobody reads it on a terminal, or that is wide enough; else the beginning of the pcs_id, which is
 * enough for show and --id, seconds without their thousandths, and nothing beyond the last column. */
static void print_columns(const char *lsn, const char *time, const char *status, const char *flags, const char *id,
                          const char *shard) {
    char line[1024];
    unsigned columns = flk_terminal_columns(STDOUT_FILENO);
    if (columns == 0 || columns >= WIDE_COLUMNS) {
        printf("%-10s %-24s %-7s %-20s %-64s %s\n", lsn, time, status, flags, id, shard);
        return;
    }
    int id_width = columns > NARROW_COLUMNS + ID_MIN ? (int)columns - NARROW_COLUMNS : ID_MIN;
    snprintf(line, sizeof line, "%-8s %-19.19s %-7s %-*.*s %-12s %s", lsn, time, status, id_width, id_width, id, shard,
             flags);
    printf("%.*s\n", (int)columns, line);
}

void flk_print_table_head(void) {
    print_columns("LSN", "TIME", "STATUS", "FLAGS", "PCS_ID", "SHARD");
}

void flk_print_row(const flk_journal_record_t *record) {
    char lsn[24], time[FLK_TIME_BYTES], status[16], flags[FLK_WORDS_BYTES];
    snprintf(lsn, sizeof lsn, "%llu", (unsigned long long)record->lsn);
    print_columns(lsn, flk_print_time(record->time_ms, time), status_text(record, status),
                  flk_print_flags(record->mark.flags, flags),
                  record->pcs != NULL ? record->pcs->id : "(not a valid PCS)",
                  record->pcs != NULL ? record->pcs->shard_id : "-");
}

static flk_err_t print_base64(const void *body, size_t body_bytes) {
    size_t text_bytes = sodium_base64_ENCODED_LEN(body_bytes, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(text_bytes);
    if (text == NULL) {
        return FLK_E_NOMEM;
    }
    sodium_bin2base64(text, text_bytes, body, body_bytes, sodium_base64_VARIANT_ORIGINAL);
    printf(",\"body_base64\":\"%s\"", text);
    free(text);
    return FLK_OK;
}

static flk_err_t print_pcs_text(const flk_pcs_t *pcs) {
    char *json;
    size_t json_bytes;
    flk_err_t err = flk_pcs_to_json(pcs, &json, &json_bytes);
    if (err == FLK_OK) {
        fwrite(json, 1, json_bytes, stdout);
        free(json);
    }
    return err;
}

static void print_ack_json(const flk_journal_record_t *record) {
    char time[FLK_TIME_BYTES];
    if (!record->acked) {
        fputs(",\"acked\":false", stdout);
        return;
    }
    printf(",\"acked\":true,\"acked_at\":\"%s\",\"status\":%u", flk_print_time(record->acked_ms, time),
           record->mark.status);
    for (size_t i = 0; i < FLK_COUNT_OF(flag_names); i++) {
        printf(",\"%s\":%s", flag_names[i].name, record->mark.flags & flag_names[i].flag ? "true" : "false");
    }
    if (record->mark.detail != 0) {
        fputs(",\"reasons\":", stdout);
        flk_print_reasons_json(record->mark.detail);
    }
}

flk_err_t flk_print_json(const flk_journal_record_t *record, bool body) {
    flk_err_t err = FLK_OK;
    char time[FLK_TIME_BYTES];
    printf("{\"lsn\":%llu,\"time\":\"%s\",\"segment\":", (unsigned long long)record->lsn,
           flk_print_time(record->time_ms, time));
    flk_print_string_json(record->segment);
    printf(",\"offset\":%llu,\"kind\":\"%s\",\"body_bytes\":%u", (unsigned long long)record->offset,
           kind_name(record->kind), record->body_bytes);
    if (record->kind == FLK_DEAD_LETTER_UNSETTLED) {
        fputs(",\"dead_letter\":\"unsettled\"", stdout);
    }
    print_ack_json(record);
    if (record->pcs != NULL) {
        printf(",\"pcs_id\":\"%s\",\"shard_id\":\"%s\"", record->pcs->id, record->pcs->shard_id);
    } else {
        fputs(",\"fault\":", stdout);
        flk_print_string_json(record->fault.reason);
    }
    if (body && record->pcs != NULL) {
        fputs(",\"pcs\":", stdout);
        err = print_pcs_text(record->pcs);
    } else if (body) {
        err = print_base64(record->body, record->body_bytes);
    }
    puts("}");
    return err;
}

flk_err_t flk_print_pcs(const flk_journal_record_t *record) {
    if (record->pcs == NULL) {
        return FLK_OK;
    }
    flk_err_t err = print_pcs_text(record->pcs);
    putchar('\n');
    return err;
}

flk_err_t flk_print_page(const flk_journal_record_t *record) {
    char time[FLK_TIME_BYTES], words[FLK_WORDS_BYTES], status[16];
    printf("record    %llu, %s at offset %llu, %u bytes of %s\n", (unsigned long long)record->lsn, record->segment,
           (unsigned long long)record->offset, record->body_bytes, kind_name(record->kind));
    printf("written   %s\n", flk_print_time(record->time_ms, time));
    if (record->acked) {
        printf("answered  %s: %s", flk_print_time(record->acked_ms, time), status_text(record, status));
        printf(", flags %s", flk_print_flags(record->mark.flags, words));
        printf(", reasons %s\n", record->mark.status == FLK_STATUS_ESCALATED && record->mark.detail == 0
                                     ? "not recorded"
                                     : flk_print_reasons(record->mark.detail, words));
    } else {
        puts(record->kind == FLK_DEAD_LETTER_UNSETTLED
                 ? "answered  not yet; a dead letter, since no verdict ever fitted"
                 : "answered  not yet");
    }
    if (record->pcs == NULL) {
        printf("body      no valid PCS: %s%s%s\n\n", record->fault.field, record->fault.field[0] != '\0' ? " " : "",
               record->fault.reason);
        return FLK_OK;
    }
    fputs("pcs       ", stdout);
    flk_err_t err = print_pcs_text(record->pcs);
    fputs("\n\n", stdout);
    return err;
}
