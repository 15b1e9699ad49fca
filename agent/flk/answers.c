/* SPDX-License-Identifier: MIT */
#include "agent/flk/answers.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"

enum { FILE_BYTES_MAX = 64 << 20, REASONS_MAX = 16 };

static void join_reasons(const json_t *reasons, char out[FLK_ANSWER_REASONS_BYTES]) {
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < json_array_size(reasons) && len < FLK_ANSWER_REASONS_BYTES; i++) {
        const char *reason = json_string_value(json_array_get(reasons, i));
        len += (size_t)snprintf(out + len, FLK_ANSWER_REASONS_BYTES - len, "%s%s", i > 0 ? ", " : "",
                                reason != NULL ? reason : "?");
    }
}

static flk_reply_line_t *grow(flk_answers_t *answers) {
    if (answers->len == answers->max) {
        size_t max = answers->max > 0 ? answers->max * 2 : 256;
        flk_reply_line_t *items = flk_start_alloc(max * sizeof *items);
        if (answers->len > 0) {
            memcpy(items, answers->items, answers->len * sizeof *items);
        }
        free(answers->items);
        answers->items = items;
        answers->max = max;
    }
    return &answers->items[answers->len++];
}

static bool add_line(flk_answers_t *answers, const char *line, size_t line_len) {
    json_t *object = json_loadb(line, line_len, 0, NULL);
    const char *pcs_id = json_string_value(json_object_get(object, "pcs_id"));
    bool usable = pcs_id != NULL && strlen(pcs_id) < FLK_ANSWER_ID_BYTES;
    if (usable) {
        flk_reply_line_t *answer = grow(answers);
        strcpy(answer->pcs_id, pcs_id);
        answer->status = (int)json_integer_value(json_object_get(object, "status"));
        answer->duplicate = json_is_true(json_object_get(object, "duplicate"));
        join_reasons(json_object_get(object, "reasons"), answer->reasons);
    }
    json_decref(object);
    return usable;
}

flk_err_t flk_answers_load(flk_answers_t *answers, const char *path, char *errmsg) {
    char *text;
    size_t text_bytes, number = 0;
    flk_err_t err = flk_io_read_file(path, FILE_BYTES_MAX, &text, &text_bytes, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    for (char *line = text; *line != '\0' && err == FLK_OK;) {
        size_t line_len = strcspn(line, "\n");
        number++;
        if (!add_line(answers, line, line_len)) {
            flk_errmsg(errmsg, "%.200s: line %zu is no result", path, number);
            err = FLK_E_CORRUPT;
        }
        line += line_len + (line[line_len] == '\n');
    }
    free(text);
    return err;
}

static int compare_ids(const void *a, const void *b) {
    return strcmp(((const flk_reply_line_t *)a)->pcs_id, ((const flk_reply_line_t *)b)->pcs_id);
}

void flk_answers_sort(flk_answers_t *answers) {
    if (answers->len > 0) {
        qsort(answers->items, answers->len, sizeof *answers->items, compare_ids);
    }
}

void flk_answers_fini(flk_answers_t *answers) {
    free(answers->items);
    *answers = (flk_answers_t){0};
}

static bool has_verdict(const flk_reply_line_t *answer) {
    return answer->status == 200 || answer->status == 202;
}

/* Adds one to the line of `reasons` in a small table of name and count. */
typedef struct reason_count {
    const char *reasons;
    size_t count;
} reason_count_t;

static void count_reasons(reason_count_t table[REASONS_MAX], const char *reasons) {
    for (size_t i = 0; i < REASONS_MAX; i++) {
        if (table[i].reasons == NULL || strcmp(table[i].reasons, reasons) == 0) {
            table[i].reasons = reasons;
            table[i].count++;
            return;
        }
    }
}

void flk_answers_count(const flk_answers_t *answers, flk_answers_count_t *count) {
    reason_count_t table[REASONS_MAX] = {0};
    *count = (flk_answers_count_t){0};
    for (size_t i = 0; i < answers->len; i++) {
        const flk_reply_line_t *answer = &answers->items[i];
        count->accepted += answer->status == 200;
        count->escalated += answer->status == 202;
        count->duplicates += answer->duplicate;
        if (answer->status == 202) {
            count_reasons(table, answer->reasons);
        }
    }
    size_t len = 0;
    for (size_t i = 0; i < REASONS_MAX && table[i].reasons != NULL && len < sizeof count->reasons; i++) {
        len += (size_t)snprintf(count->reasons + len, sizeof count->reasons - len, "%s%s %zu", i > 0 ? "; " : "",
                                table[i].reasons, table[i].count);
    }
}

void flk_answers_compare(const flk_answers_t *first, const flk_answers_t *again, flk_answers_diff_t *diff) {
    *diff = (flk_answers_diff_t){0};
    for (size_t i = 0; i < first->len; i++) {
        const flk_reply_line_t *before = &first->items[i];
        if (!has_verdict(before)) {
            continue;
        }
        const flk_reply_line_t *after =
            again->len == 0 ? NULL : bsearch(before, again->items, again->len, sizeof *before, compare_ids);
        if (after == NULL || !has_verdict(after) || !after->duplicate) {
            diff->lost++;
        } else if (after->status != before->status || strcmp(after->reasons, before->reasons) != 0) {
            diff->changed++;
        }
    }
}
