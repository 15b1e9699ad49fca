/* SPDX-License-Identifier: MIT */
/* Structured log on stderr: one event, one line, key=value or JSON. Any thread. A daemon never waits for the reader
 * of its stderr (log_writer.h). Each event has FLK_LOG_BURST lines at once and one a second after that
 * (log_limit.h); `lines_left_out` tells the rest. Payload bodies must never be passed in. E-mail addresses and phone
 * numbers in string values are redacted here. */
#ifndef FLK_COMMON_LOG_H
#define FLK_COMMON_LOG_H

#include "common/err.h"

typedef enum flk_log_level { FLK_LOG_DEBUG, FLK_LOG_INFO, FLK_LOG_WARN, FLK_LOG_ERROR } flk_log_level_t;
typedef enum flk_log_format { FLK_LOG_TEXT, FLK_LOG_JSON } flk_log_format_t;

/* `program` is put on each line; kept for the process's life. Before it, level INFO, text. */
void flk_log_init(const char *program, flk_log_level_t level, flk_log_format_t format);
/* From now on a thread writes, and no caller waits. Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_log_start(char *errmsg);
FLK_MUST_CHECK bool flk_log_level_parse(const char *text, flk_log_level_t *level);    /* debug info warn error */
FLK_MUST_CHECK bool flk_log_format_parse(const char *text, flk_log_format_t *format); /* text json */

typedef enum flk_log_kind {
    FLK_LOG_STRING,
    FLK_LOG_INTEGER,
    FLK_LOG_UNSIGNED,
    FLK_LOG_REAL,
    FLK_LOG_BOOLEAN
} flk_log_kind_t;
typedef struct flk_log_field {
    const char *key;
    flk_log_kind_t kind;
    union {
        const char *string;
        int64_t integer;
        uint64_t uinteger;
        double real;
        bool boolean;
    };
} flk_log_field_t;

#define FLK_S(name, value) ((flk_log_field_t){.key = (name), .kind = FLK_LOG_STRING, .string = (value)})
#define FLK_I(name, value) ((flk_log_field_t){.key = (name), .kind = FLK_LOG_INTEGER, .integer = (int64_t)(value)})
#define FLK_U(name, value) ((flk_log_field_t){.key = (name), .kind = FLK_LOG_UNSIGNED, .uinteger = (uint64_t)(value)})
#define FLK_F(name, value) ((flk_log_field_t){.key = (name), .kind = FLK_LOG_REAL, .real = (double)(value)})
#define FLK_B(name, value) ((flk_log_field_t){.key = (name), .kind = FLK_LOG_BOOLEAN, .boolean = (value)})

/* flk_log(FLK_LOG_INFO, "worker_lost", FLK_S("worker", name), FLK_U("deliveries", n)); `event` is snake_case. */
#define flk_log(level, ...)              FLK_LOG_PICK_(level, __VA_ARGS__, (flk_log_field_t){0})
#define FLK_LOG_PICK_(level, event, ...) flk_log_write((level), (event), (const flk_log_field_t[]){__VA_ARGS__, {0}})
void flk_log_write(flk_log_level_t level, const char *event, const flk_log_field_t *fields); /* ended by key NULL */

/* Replaces e-mail addresses and phone numbers by [email] and [phone]; always NUL-terminates. */
void flk_redact(const char *text, char *out, size_t out_bytes);

#endif
