/* SPDX-License-Identifier: MIT */
/* One event becomes one line in a buffer on the stack, which the writer takes whole (log_writer.h).
 *
 *   2026-01-02T03:04:05.678Z INFO flk-broker worker_lost worker="host 7" deliveries=3
 *   {"time":"2026-01-02T03:04:05.678Z","level":"info","program":"flk-broker","event":"worker_lost",…}
 *
 * A field that does not fit is left out and the line ends with truncated=true; a line is always whole and, as JSON,
 * always valid. */
#include "common/log.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/address.h"
#include "common/escape.h"
#include "common/log_limit.h"
#include "common/log_writer.h"

enum { LINE_BYTES = FLK_LOG_LINE_BYTES, TAIL_BYTES = 32, VALUE_BYTES = 1024 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const level_upper_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};
static const char *const format_names[] = {"text", "json"};

/* Set once at start; atomic because threads of a library may log already. */
static const char *_Atomic program_name = "flk";
static atomic_int least_level = FLK_LOG_INFO;
static atomic_int line_format = FLK_LOG_TEXT;

void flk_log_init(const char *program, flk_log_level_t level, flk_log_format_t format) {
    atomic_store(&program_name, program);
    atomic_store(&least_level, (int)level);
    atomic_store(&line_format, (int)format);
}

bool flk_log_level_parse(const char *text, flk_log_level_t *level) {
    for (size_t i = 0; i < FLK_COUNT_OF(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (flk_log_level_t)i;
            return true;
        }
    }
    return false;
}

bool flk_log_format_parse(const char *text, flk_log_format_t *format) {
    for (size_t i = 0; i < FLK_COUNT_OF(format_names); i++) {
        if (strcmp(text, format_names[i]) == 0) {
            *format = (flk_log_format_t)i;
            return true;
        }
    }
    return false;
}

/* ---- the line ---- */

typedef struct line {
    char text[LINE_BYTES];
    size_t len, max; /* max < LINE_BYTES - TAIL_BYTES while fields are added */
    bool overflow;   /* something did not fit since the last field was whole */
} line_t;

static void put(line_t *line, const char *text, size_t bytes) {
    if (bytes > line->max - line->len) {
        line->overflow = true;
        return;
    }
    memcpy(line->text + line->len, text, bytes);
    line->len += bytes;
}

static void put_text(line_t *line, const char *text) {
    put(line, text, strlen(text));
}

static void put_format(line_t *line, const char *format, ...) FLK_PRINTF(2, 3);
static void put_format(line_t *line, const char *format, ...) {
    char text[64];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put(line, text, len < (int)sizeof text ? (size_t)len : sizeof text - 1);
}

static void put_escaped(line_t *line, const char *value, bool json) {
    bool whole;
    line->len += flk_escape(value, json ? FLK_ESCAPE_JSON : FLK_ESCAPE_TEXT, line->text + line->len,
                            line->max - line->len, &whole);
    line->overflow |= !whole;
}

static bool needs_quotes(const char *value) {
    for (const char *c = value; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\\' || *c == '=') {
            return true;
        }
    }
    return value[0] == '\0';
}

static void put_string(line_t *line, const char *value, bool json) {
    bool quotes = json || needs_quotes(value);
    put(line, "\"", quotes);
    put_escaped(line, value, json);
    put(line, "\"", quotes);
}

static void put_value(line_t *line, const flk_log_field_t *field, bool json) {
    char shown[VALUE_BYTES], redacted[VALUE_BYTES];
    switch (field->kind) {
    case FLK_LOG_STRING:
        snprintf(shown, sizeof shown, "%s", field->string != NULL ? field->string : "");
        flk_address_hide_users(shown);
        flk_redact(shown, redacted, sizeof redacted);
        put_string(line, redacted, json);
        break;
    case FLK_LOG_INTEGER:
        put_format(line, "%lld", (long long)field->integer);
        break;
    case FLK_LOG_UNSIGNED:
        put_format(line, "%llu", (unsigned long long)field->uinteger);
        break;
    case FLK_LOG_REAL:
        if (json && !isfinite(field->real)) {
            put_text(line, "null");
        } else {
            put_format(line, "%.9g", field->real);
        }
        break;
    case FLK_LOG_BOOLEAN:
        put_text(line, field->boolean ? "true" : "false");
        break;
    }
}

static void put_field(line_t *line, const flk_log_field_t *field, bool json) {
    if (json) {
        put_text(line, ",\"");
        put_escaped(line, field->key, true);
        put_text(line, "\":");
    } else {
        put_format(line, " %s=", field->key);
    }
    put_value(line, field, json);
}

static void put_head(line_t *line, flk_log_level_t level, const char *event, bool json) {
    int64_t now_ms = flk_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char time[40];
    size_t len = strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(time + len, sizeof time - len, ".%03dZ", (int)(now_ms % 1000));

    const char *program = atomic_load(&program_name);
    if (json) {
        put_format(line, "{\"time\":\"%s\",\"level\":\"%s\"", time, level_names[level]);
        put_field(line, &FLK_S("program", program), true);
        put_field(line, &FLK_S("event", event), true);
    } else {
        put_format(line, "%s %s ", time, level_upper_names[level]);
        put_text(line, program);
        put_text(line, " ");
        put_text(line, event);
    }
}

static void make_line(line_t *line, flk_log_level_t level, const char *event, const flk_log_field_t *fields) {
    bool json = atomic_load(&line_format) == FLK_LOG_JSON, truncated = false;
    line->len = 0;
    line->max = LINE_BYTES - TAIL_BYTES;
    line->overflow = false;
    put_head(line, level, event, json);
    for (const flk_log_field_t *field = fields; field->key != NULL; field++) {
        size_t whole = line->len;
        put_field(line, field, json);
        if (line->overflow) {
            line->len = whole;
            line->overflow = false;
            truncated = true;
        }
    }
    line->max = LINE_BYTES;
    if (truncated) {
        put_field(line, &FLK_B("truncated", true), json);
    }
    put_text(line, json ? "}\n" : "\n");
}

static void write_line(flk_log_level_t level, const char *event, const flk_log_field_t *fields) {
    int errno_before = errno; /* callers log between a call and its strerror */
    line_t line;
    make_line(&line, level, event, fields);
    flk_log_writer_put(line.text, line.len);
    errno = errno_before;
}

static size_t make_lost(uint64_t lines, char text[FLK_LOG_LINE_BYTES]) {
    line_t line;
    make_line(&line, FLK_LOG_WARN, "lines_lost", (const flk_log_field_t[]){FLK_U("lines", lines), {0}});
    memcpy(text, line.text, line.len);
    return line.len;
}

flk_err_t flk_log_start(char *errmsg) {
    return flk_log_writer_start(make_lost, errmsg);
}

void flk_log_write(flk_log_level_t level, const char *event, const flk_log_field_t *fields) {
    flk_log_left_out_t left_out;
    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed) ||
        !flk_log_limit_take(event, flk_mono_ms(), &left_out)) {
        return;
    }
    if (left_out.event != NULL) {
        write_line(FLK_LOG_WARN, "lines_left_out",
                   (const flk_log_field_t[]){FLK_S("of", left_out.event), FLK_U("lines", left_out.lines), {0}});
    }
    write_line(level, event, fields);
}
