/* SPDX-License-Identifier: MIT */
/* NDJSON: one JSON object a line; columns are its members by name. An event is judged by its structure and by the
 * members that are asked for: the values of others are not looked at. A number is read as its text, so it keeps its
 * digits; integers beyond 2^53 - 1 would lose some, so they are bad cells. A time may be a string. Blank lines are
 * passed over. */
#include "agent/read/parts.h"

#include <stdio.h>
#include <string.h>

#include "agent/read/members.h"
#include "common/pcs/pcs.h"

static const char not_a_number[] = "not a number", not_exact[] = "an integer beyond 2^53 - 1: it would lose digits",
                  not_a_time[] = "not a time (Unix seconds or RFC 3339)";

typedef struct object {
    const char *text;
    size_t bytes;
    flk_member_t members[FLK_DIMS_MAX + 1]; /* by column; the last one is the time */
    uint64_t found;                         /* a bit each */
} object_t;

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* -?(0|[1-9]digits)[.digits][e[+-]digits]; *integer: without a fraction and an exponent. */
static bool is_json_number(const char *text, size_t bytes, bool *integer) {
    size_t i = bytes > 0 && text[0] == '-' ? 1 : 0, first = i;
    while (i < bytes && is_digit(text[i])) {
        i++;
    }
    *integer = i == bytes;
    if (i == first || (text[first] == '0' && i > first + 1)) {
        return false;
    }
    if (i < bytes && text[i] == '.') {
        for (first = ++i; i < bytes && is_digit(text[i]); i++) {
        }
        if (i == first) {
            return false;
        }
    }
    if (i < bytes && (text[i] == 'e' || text[i] == 'E')) {
        i++;
        i += i < bytes && (text[i] == '+' || text[i] == '-') ? 1 : 0;
        for (first = i; i < bytes && is_digit(text[i]); i++) {
        }
        if (i == first) {
            return false;
        }
    }
    return i == bytes;
}

/* NULL when the member is a number; else the fault in words. */
static const char *number_fault(const flk_member_t *member, flk_cell_t *cell) {
    bool integer;
    if (member->kind != FLK_MEMBER_WORD || !is_json_number(member->value, member->value_bytes, &integer) ||
        !flk_cell_parse(member->value, member->value_bytes, cell)) {
        return not_a_number;
    }
    double most = (double)FLK_PCS_INTEGER_MAX;
    return integer && (cell->value > most || cell->value < -most) ? not_exact : NULL;
}

static const char *time_fault(const flk_member_t *member, flk_cell_t *cell) {
    char text[64];
    if (member->kind == FLK_MEMBER_STRING) {
        bool read = flk_members_unescape(member->value, member->value_bytes, text, sizeof text) &&
                    flk_cell_parse_time(text, strlen(text), cell);
        return read ? NULL : not_a_time;
    }
    return number_fault(member, cell) == NULL && flk_cell_is_time(cell) ? NULL : not_a_time;
}

static bool is_named(const flk_member_t *member, const char *name) {
    char plain[FLK_COLUMN_NAME_MAX + 1];
    if (memchr(member->name, '\\', member->name_bytes) == NULL) {
        return strlen(name) == member->name_bytes && memcmp(name, member->name, member->name_bytes) == 0;
    }
    return flk_members_unescape(member->name, member->name_bytes, plain, sizeof plain) && strcmp(plain, name) == 0;
}

/* ---- columns, from the first object ---- */

/* Adds a member that is a number to the columns. */
static flk_err_t choose_member(flk_reader_t *reader, const flk_member_t *member, char *errmsg) {
    flk_columns_t *columns = &reader->columns;
    flk_cell_t cell;
    char name[FLK_COLUMN_NAME_MAX + 1];
    if (is_named(member, columns->time_name) || number_fault(member, &cell) != NULL ||
        !flk_members_unescape(member->name, member->name_bytes, name, sizeof name)) {
        return FLK_OK;
    }
    for (size_t i = 0; i < columns->len; i++) {
        if (strcmp(columns->names[i], name) == 0) {
            return FLK_OK; /* told when the row is read */
        }
    }
    if (columns->len == FLK_DIMS_MAX) {
        flk_errmsg(errmsg, "%s: more than %d members are numbers: choose some with --columns",
                   flk_input_name(reader->input), FLK_DIMS_MAX);
        return FLK_E_CONFIG;
    }
    memcpy(columns->names[columns->len++], name, sizeof name);
    return FLK_OK;
}

/* Columns that were not asked for come from the first object, the time column too. */
static flk_err_t settle_columns(flk_reader_t *reader, const object_t *object, char *errmsg) {
    flk_members_t members;
    flk_member_t member;
    flk_columns_t *columns = &reader->columns;
    flk_err_t err = FLK_OK;
    bool has_time = reader->time_asked;
    columns->len = reader->choose ? 0 : columns->len;
    flk_members_init(&members, object->text, object->bytes);
    while (err == FLK_OK && flk_members_next(&members, &member)) {
        has_time = has_time || is_named(&member, columns->time_name);
        err = reader->choose ? choose_member(reader, &member, errmsg) : FLK_OK;
    }
    if (err == FLK_OK && columns->len == 0) {
        flk_errmsg(errmsg, "%s: no member of the first object is a number: name some with --columns",
                   flk_input_name(reader->input));
        err = FLK_E_CONFIG;
    }
    columns->has_time = has_time;
    reader->columns_done = err == FLK_OK;
    return err;
}

/* ---- one object ---- */

static const char *column_name(const flk_reader_t *reader, size_t column) {
    return column == FLK_DIMS_MAX ? reader->columns.time_name : reader->columns.names[column];
}

/* The column that a member fills; FLK_DIMS_MAX + 1: none. */
static size_t find_column(const flk_reader_t *reader, const flk_member_t *member) {
    for (size_t i = 0; i < reader->columns.len; i++) {
        if (is_named(member, reader->columns.names[i])) {
            return i;
        }
    }
    return reader->columns.has_time && is_named(member, reader->columns.time_name) ? FLK_DIMS_MAX : FLK_DIMS_MAX + 1;
}

/* Finds the members that are asked for. */
static flk_err_t find_members(flk_reader_t *reader, object_t *object, char *errmsg) {
    flk_members_t members;
    flk_member_t member;
    object->found = 0;
    flk_members_init(&members, object->text, object->bytes);
    while (flk_members_next(&members, &member)) {
        size_t column = find_column(reader, &member);
        if (column > FLK_DIMS_MAX) {
            continue;
        }
        if ((object->found >> column & 1) != 0) {
            return flk_reader_bad_row(reader, column_name(reader, column), "occurs twice", errmsg);
        }
        object->found |= UINT64_C(1) << column;
        object->members[column] = member;
    }
    return members.fault == NULL ? FLK_OK : flk_reader_bad_row(reader, NULL, members.fault, errmsg);
}

static bool is_null(const flk_member_t *member) {
    return member->kind == FLK_MEMBER_WORD && member->value_bytes == 4 && memcmp(member->value, "null", 4) == 0;
}

static flk_err_t add_member(flk_reader_t *reader, size_t column, const object_t *object, flk_row_t *row, char *errmsg) {
    const flk_member_t *member = &object->members[column];
    flk_cell_t cell;
    if ((object->found >> column & 1) == 0 || is_null(member)) {
        flk_row_add(row, column, NULL);
        return FLK_OK;
    }
    const char *fault = (column == FLK_DIMS_MAX ? time_fault : number_fault)(member, &cell);
    if (fault != NULL) {
        return flk_reader_bad_row(reader, column_name(reader, column), fault, errmsg);
    }
    flk_row_add(row, column, &cell);
    return FLK_OK;
}

/* The structure is judged first: a damaged line never chooses columns. */
static flk_err_t read_object(flk_reader_t *reader, object_t *object, flk_row_t *row, char *errmsg) {
    flk_err_t err = find_members(reader, object, errmsg);
    if (err == FLK_OK && !reader->columns_done) {
        err = settle_columns(reader, object, errmsg);
        err = err == FLK_OK ? find_members(reader, object, errmsg) : err;
    }
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
    object_t object = {0};
    flk_err_t err = next_line(reader, &object.text, &object.bytes, errmsg);
    if (err != FLK_OK && err != FLK_E_TOO_LARGE) {
        return err;
    }
    reader->row++;
    return err == FLK_E_TOO_LARGE ? flk_reader_bad_row(reader, NULL, "longer than 1 MiB", errmsg)
                                  : read_object(reader, &object, row, errmsg);
}
