/* SPDX-License-Identifier: MIT */
/* Opens the input, keeps the choice of columns, and builds canonical rows for both formats. */
#include "agent/read/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool ends_with(const char *text, const char *end) {
    size_t text_bytes = strlen(text), end_bytes = strlen(end);
    return text_bytes >= end_bytes && strcmp(text + text_bytes - end_bytes, end) == 0;
}

static flk_format_t format_of(const char *path, flk_format_t asked) {
    if (asked != FLK_FORMAT_AUTO) {
        return asked;
    }
    bool json = ends_with(path, ".ndjson") || ends_with(path, ".jsonl") || ends_with(path, ".json");
    return json ? FLK_FORMAT_NDJSON : FLK_FORMAT_CSV;
}

static bool has_column(const flk_columns_t *columns, const char *name) {
    for (size_t i = 0; i < columns->len; i++) {
        if (strcmp(columns->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Splits "longitude, latitude" into names. */
static flk_err_t parse_columns(const char *list, flk_columns_t *columns, char *errmsg) {
    for (const char *at = list; at != NULL;) {
        const char *comma = strchr(at, ',');
        const char *name = at;
        size_t bytes = comma == NULL ? strlen(at) : (size_t)(comma - at);
        flk_text_trim(&name, &bytes);
        if (bytes == 0 || bytes > FLK_COLUMN_NAME_MAX || columns->len == FLK_DIMS_MAX) {
            flk_errmsg(errmsg, "columns \"%s\": give 1 to %d names of 1 to %d bytes, separated by commas", list,
                       FLK_DIMS_MAX, FLK_COLUMN_NAME_MAX);
            return FLK_E_CONFIG;
        }
        char *slot = columns->names[columns->len];
        memcpy(slot, name, bytes);
        slot[bytes] = '\0';
        if (has_column(columns, slot)) {
            flk_errmsg(errmsg, "columns \"%s\": %s occurs twice", list, slot);
            return FLK_E_CONFIG;
        }
        columns->len++;
        at = comma == NULL ? NULL : comma + 1;
    }
    return FLK_OK;
}

flk_err_t flk_reader_open(const char *path, const flk_reader_options_t *options, flk_reader_t **out, char *errmsg) {
    flk_reader_t *reader = flk_start_alloc(sizeof *reader);
    bool csv = format_of(path, options->format) == FLK_FORMAT_CSV;
    reader->next = csv ? flk_reader_csv_next : flk_reader_ndjson_next;
    reader->choose = options->columns == NULL;
    reader->time_asked = options->time_column != NULL;
    const char *time_name = reader->time_asked ? options->time_column : "time";
    flk_err_t err = FLK_OK;
    if (snprintf(reader->columns.time_name, sizeof reader->columns.time_name, "%s", time_name) > FLK_COLUMN_NAME_MAX) {
        flk_errmsg(errmsg, "the time column's name has more than %d bytes", FLK_COLUMN_NAME_MAX);
        err = FLK_E_CONFIG;
    }
    if (err == FLK_OK && !reader->choose) {
        err = parse_columns(options->columns, &reader->columns, errmsg);
    }
    if (err == FLK_OK) {
        err = flk_input_open(path, &reader->input, errmsg);
    }
    if (err != FLK_OK) {
        flk_reader_close(&reader);
        return err;
    }
    if (csv) {
        reader->cells = flk_start_alloc(FLK_CSV_CELLS_MAX * sizeof *reader->cells);
    }
    *out = reader;
    return FLK_OK;
}

void flk_reader_close(flk_reader_t **reader) {
    if (*reader == NULL) {
        return;
    }
    flk_input_close(&(*reader)->input);
    free((*reader)->header);
    free((*reader)->cells);
    free((*reader)->unquoted);
    free(*reader);
    *reader = NULL;
}

flk_err_t flk_reader_next(flk_reader_t *reader, flk_row_t *row, char *errmsg) {
    return reader->next(reader, row, errmsg);
}

const flk_columns_t *flk_reader_columns(const flk_reader_t *reader) {
    return &reader->columns;
}

const flk_input_t *flk_reader_input(const flk_reader_t *reader) {
    return reader->input;
}
