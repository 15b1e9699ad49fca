/* SPDX-License-Identifier: MIT */
/* NDJSON: one JSON object a line; columns are its members by name. Numbers are members' values; a time may be a string.
 * Integers beyond 2^53 would lose digits silently, so they are bad cells. Blank lines are passed over. */
#include "agent/read/parts.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/pcs/pcs.h"

static bool number_of(const json_t *value, flk_cell_t *cell) {
    if (json_is_integer(value)) {
        json_int_t integer = json_integer_value(value);
        bool exact = integer <= (json_int_t)FLK_PCS_INTEGER_MAX && integer >= -(json_int_t)FLK_PCS_INTEGER_MAX;
        return exact && flk_cell_from_double((double)integer, cell);
    }
    return json_is_real(value) && flk_cell_from_double(json_real_value(value), cell);
}

static bool time_of(const json_t *value, flk_cell_t *cell) {
    if (json_is_string(value)) {
        return flk_cell_parse_time(json_string_value(value), json_string_length(value), cell);
    }
    return number_of(value, cell) && flk_cell_is_time(cell);
}

/* Without a list of columns: the members of the first object that are numbers, in their order. */
static flk_err_t choose_columns(flk_reader_t *reader, json_t *object, char *errmsg) {
    flk_columns_t *columns = &reader->columns;
    const char *name;
    json_t *value;
    columns->len = 0;
    json_object_foreach(object, name, value) {
        flk_cell_t cell;
        if (strcmp(name, columns->time_name) == 0 || !number_of(value, &cell) || strlen(name) > FLK_COLUMN_NAME_MAX) {
            continue;
        }
        if (columns->len == FLK_DIMS_MAX) {
            flk_errmsg(errmsg, "%s: more than %d members are numbers: choose some with --columns",
                       flk_input_name(reader->input), FLK_DIMS_MAX);
            return FLK_E_CONFIG;
        }
        snprintf(columns->names[columns->len++], sizeof columns->names[0], "%s", name);
    }
    if (columns->len == 0) {
        flk_errmsg(errmsg, "%s: no member of the first object is a number: name some with --columns",
                   flk_input_name(reader->input));
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

/* The first object decides whether there is a time column that nobody asked for. */
static flk_err_t settle_columns(flk_reader_t *reader, json_t *object, char *errmsg) {
    reader->columns.has_time = reader->time_asked || json_object_get(object, reader->columns.time_name) != NULL;
    flk_err_t err = reader->choose ? choose_columns(reader, object, errmsg) : FLK_OK;
    reader->columns_done = err == FLK_OK;
    return err;
}

static flk_err_t add_member(flk_reader_t *reader, size_t column, json_t *object, flk_row_t *row, char *errmsg) {
    bool time = column == FLK_DIMS_MAX;
    const char *name = time ? reader->columns.time_name : reader->columns.names[column];
    json_t *value = json_object_get(object, name);
    flk_cell_t cell;
    if (value == NULL || json_is_null(value)) {
        flk_row_add(row, column, NULL);
        return FLK_OK;
    }
    if (!(time ? time_of : number_of)(value, &cell)) {
        return flk_reader_bad_row(reader, name, time ? "not a time (Unix seconds or RFC 3339)" : "not a number",
                                  errmsg);
    }
    flk_row_add(row, column, &cell);
    return FLK_OK;
}

static flk_err_t row_from(flk_reader_t *reader, json_t *object, flk_row_t *row, char *errmsg) {
    flk_err_t err = reader->columns_done ? FLK_OK : settle_columns(reader, object, errmsg);
    flk_row_begin(row, reader->row);
    if (err == FLK_OK && reader->columns.has_time) {
        err = add_member(reader, FLK_DIMS_MAX, object, row, errmsg);
    }
    for (size_t i = 0; i < reader->columns.len && err == FLK_OK; i++) {
        err = add_member(reader, i, object, row, errmsg);
    }
    return err;
}

/* The next line that is not blank; sets where a bad row would be. */
static flk_err_t next_line(flk_reader_t *reader, const char **line, size_t *bytes, char *errmsg) {
    flk_err_t err;
    do {
        reader->line = flk_input_lines(reader->input) + 1;
        err = flk_input_line(reader->input, line, bytes, errmsg);
        if (err == FLK_OK) {
            flk_text_trim(line, bytes);
        }
    } while (err == FLK_OK && *bytes == 0);
    return err;
}

flk_err_t flk_reader_ndjson_next(flk_reader_t *reader, flk_row_t *row, char *errmsg) {
    const char *line;
    size_t bytes;
    flk_err_t err = next_line(reader, &line, &bytes, errmsg);
    if (err != FLK_OK && err != FLK_E_TOO_LARGE) {
        return err;
    }
    reader->row++;
    if (err == FLK_E_TOO_LARGE) {
        return flk_reader_bad_row(reader, NULL, "longer than 1 MiB", errmsg);
    }
    json_error_t fault;
    json_t *object = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, &fault);
    if (object == NULL) {
        return flk_reader_bad_row(reader, NULL, fault.text, errmsg);
    }
    err = json_is_object(object) ? row_from(reader, object, row, errmsg)
                                 : flk_reader_bad_row(reader, NULL, "not a JSON object", errmsg);
    json_decref(object);
    return err;
}
