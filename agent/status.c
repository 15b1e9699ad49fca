/* SPDX-License-Identifier: MIT */
/* Records come in the order of their LSN, each ack behind its record: one pass with a sorted list of what is open.
 * Memory grows with the records on disk (24 bytes each), not with their bodies. Quarantined segments are passed over:
 * what could be salvaged was written again. */
#include "agent/status.h"
#include "common/wal/read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REASONS_MAX = 8, REASON_BYTES = 64 };

typedef struct open_record {
    uint64_t lsn;
    int64_t time_ms;
    uint16_t reason; /* place in reasons; REASONS_MAX = another */
    bool acked;
} open_record_t;

typedef struct contents {
    open_record_t *records;
    size_t len, max;
    bool with_reasons;
    char reasons[REASONS_MAX][REASON_BYTES];
    uint64_t by_reason[REASONS_MAX + 1];
    uint64_t open; /* results */
    int64_t oldest_ms;
    bool out_of_memory;
} contents_t;

/* The reason's first words: up to ": " or " (", so that the same kind of refusal counts together. */
static uint16_t reason_of(contents_t *contents, const char *body, size_t body_bytes) {
    size_t bytes = 0;
    while (bytes < body_bytes && bytes < REASON_BYTES - 1 && body[bytes] != '\n' && body[bytes] != ':' &&
           body[bytes] != '(' && body[bytes] >= ' ' && body[bytes] <= '~') {
        bytes++;
    }
    while (bytes > 0 && body[bytes - 1] == ' ') {
        bytes--;
    }
    for (size_t i = 0; i < REASONS_MAX; i++) {
        char *reason = contents->reasons[i];
        if (reason[0] == '\0') {
            memcpy(reason, body, bytes);
        }
        if (strlen(reason) == bytes && memcmp(reason, body, bytes) == 0) {
            return (uint16_t)i;
        }
    }
    return REASONS_MAX;
}

static bool keep_record(contents_t *contents, const flk_wal_record_t *record) {
    if (contents->len > 0 && record->lsn <= contents->records[contents->len - 1].lsn) {
        return true;
    }
    if (contents->len == contents->max) {
        size_t max = contents->max == 0 ? 1024 : contents->max * 2;
        open_record_t *larger = realloc(contents->records, max * sizeof *larger);
        if (larger == NULL) {
            contents->out_of_memory = true;
            return false;
        }
        contents->records = larger;
        contents->max = max;
    }
    uint16_t reason = contents->with_reasons ? reason_of(contents, record->body, record->body_bytes) : REASONS_MAX;
    contents->records[contents->len++] =
        (open_record_t){.lsn = record->lsn, .time_ms = record->time_ms, .reason = reason};
    return true;
}

static int compare_lsn(const void *key, const void *element) {
    uint64_t lsn = *(const uint64_t *)key, other = ((const open_record_t *)element)->lsn;
    return lsn < other ? -1 : lsn > other;
}

static bool visit_item(void *arg, const flk_wal_item_t *item) {
    contents_t *contents = arg;
    size_t name_bytes = strlen(item->segment), end_bytes = strlen(".damaged");
    if (name_bytes > end_bytes && strcmp(item->segment + name_bytes - end_bytes, ".damaged") == 0) {
        return true;
    }
    if (item->type == FLK_WAL_ITEM_RECORD) {
        return keep_record(contents, &item->record);
    }
    if (item->type == FLK_WAL_ITEM_ACK && contents->len > 0) {
        open_record_t *record =
            bsearch(&item->acked_lsn, contents->records, contents->len, sizeof *record, compare_lsn);
        if (record != NULL) {
            record->acked = true;
        }
    }
    return true;
}

static void sum_up(contents_t *contents) {
    for (size_t i = 0; i < contents->len; i++) {
        const open_record_t *record = &contents->records[i];
        if (!record->acked) {
            contents->oldest_ms = contents->open == 0 ? record->time_ms : contents->oldest_ms;
            contents->open++;
            contents->by_reason[record->reason]++;
        }
    }
}

/* A log that does not exist holds nothing. */
static flk_err_t read_log(const char *data_dir, const char *name, contents_t *contents, char *errmsg) {
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/%s", data_dir, name);
    flk_err_t err = flk_wal_read(dir, visit_item, contents, errmsg);
    if (contents->out_of_memory) {
        flk_errmsg(errmsg, "out of memory");
        err = FLK_E_NOMEM;
    }
    sum_up(contents);
    free(contents->records);
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

static double age_s(const contents_t *contents) {
    int64_t age_ms = flk_wall_ms() - contents->oldest_ms;
    return age_ms > 0 ? (double)age_ms / 1000 : 0;
}

/* ---- printing ---- */

static void print_age_json(const char *name, const contents_t *contents) {
    if (contents->open == 0) {
        printf("\"%s\":null,", name);
    } else {
        printf("\"%s\":%.3f,", name, age_s(contents));
    }
}

static void print_escaped(const char *text) {
    for (; *text != '\0'; text++) {
        printf("%s%c", *text == '"' || *text == '\\' ? "\\" : "", *text);
    }
}

static void print_json(const char *data_dir, const contents_t *pending, const contents_t *dead) {
    printf("{\"data_dir\":\"");
    print_escaped(data_dir);
    printf("\",\"pending\":%llu,", (unsigned long long)pending->open);
    print_age_json("oldest_pending_s", pending);
    printf("\"dead\":%llu,", (unsigned long long)dead->open);
    print_age_json("oldest_dead_s", dead);
    printf("\"reasons\":{");
    const char *comma = "";
    for (size_t i = 0; i <= REASONS_MAX; i++) {
        if (dead->by_reason[i] > 0) {
            printf("%s\"", comma);
            print_escaped(i < REASONS_MAX ? dead->reasons[i] : "other");
            printf("\":%llu", (unsigned long long)dead->by_reason[i]);
            comma = ",";
        }
    }
    printf("}}\n");
}

static void print_line(const char *name, const contents_t *contents) {
    printf("%-14s %llu", name, (unsigned long long)contents->open);
    if (contents->open > 0) {
        printf(", the oldest %.1f s old", age_s(contents));
    }
    printf("\n");
}

static void print_text(const char *data_dir, const contents_t *pending, const contents_t *dead) {
    printf("%-14s %s\n", "data", data_dir);
    print_line("pending", pending);
    print_line("dead letters", dead);
    for (size_t i = 0; i <= REASONS_MAX; i++) {
        if (dead->by_reason[i] > 0) {
            printf("  %8llu  %s\n", (unsigned long long)dead->by_reason[i],
                   i < REASONS_MAX ? dead->reasons[i] : "other");
        }
    }
    if (pending->open > 0) {
        printf("flk-agent drain sends what is pending\n");
    }
    if (dead->open > 0) {
        printf("flk-agent drain --dead-letters sends dead letters again\n");
    }
}

int flk_status_run(const flk_agent_options_t *options, const flk_settings_t *settings) {
    const char *data_dir = flk_settings_str(settings, FLK_SET_DATA_DIR);
    char errmsg[FLK_ERRMSG_BYTES] = "";
    contents_t pending = {0}, dead = {.with_reasons = true};
    if (read_log(data_dir, "outbox", &pending, errmsg) != FLK_OK ||
        read_log(data_dir, "outbox-dlq", &dead, errmsg) != FLK_OK) {
        fprintf(stderr, "flk-agent: %s\n", errmsg);
        return FLK_EXIT_FAILED;
    }
    (options->json ? print_json : print_text)(data_dir, &pending, &dead);
    return pending.open + dead.open > 0 ? FLK_EXIT_UNDELIVERED : FLK_EXIT_OK;
}
