/* SPDX-License-Identifier: MIT */
/* CSV after RFC 4180, and as people send it: LF or CRLF, a byte-order mark, blank lines, lines of commas alone, spaces
 * around numbers.
 *   1. split_record: cuts the next record into cells; asks for more input until its line end is there.
 *   2. The first record is the header; the chosen columns become places in a record.
 *   3. Each further record becomes a row: time first, then the chosen columns.
 * A damaged record (stray or unclosed quote, wrong number of cells, too long) is a bad row; reading goes on behind its
 * first line end, so that one lost quote cannot swallow the rest of a file. */
#include "agent/read/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One pass over a record. */
typedef struct split {
    const char *data;
    size_t bytes; /* at hand */
    bool last;    /* no more will come */
    size_t at;
    size_t unquoted_bytes;
    const char *fault; /* NULL = none */
} split_t;

/* Copies a quoted cell without its quotes; `at` is behind the opening quote. False: its end is not at hand. */
static bool split_quoted(flk_reader_t *reader, split_t *split, flk_span_t *cell) {
    cell->text = reader->unquoted + split->unquoted_bytes;
    for (;;) {
        const char *from = split->data + split->at;
        const char *quote = memchr(from, '"', split->bytes - split->at);
        if (quote == NULL) {
            return false;
        }
        size_t piece = (size_t)(quote - from);
        memcpy(reader->unquoted + split->unquoted_bytes, from, piece);
        split->unquoted_bytes += piece;
        split->at += piece + 1;
        if (split->at == split->bytes && !split->last) {
            return false; /* the next byte tells whether this quote ends the cell */
        }
        if (split->at == split->bytes || split->data[split->at] != '"') {
            break;
        }
        reader->unquoted[split->unquoted_bytes++] = '"';
        split->at++;
    }
    cell->bytes = (size_t)(reader->unquoted + split->unquoted_bytes - cell->text);
    return true;
}

static bool is_separator(char c) {
    return c == ',' || c == '\n';
}

static void split_plain(split_t *split, flk_span_t *cell) {
    size_t first = split->at;
    while (split->at < split->bytes && !is_separator(split->data[split->at])) {
        if (split->data[split->at] == '"' || split->data[split->at] == '\0') {
            split->fault = split->data[split->at] == '"' ? "a quote inside a cell that is not quoted" : "a NUL byte";
            return;
        }
        split->at++;
    }
    cell->text = split->data + first;
    cell->bytes = split->at - first;
}

/* Drops the CR of a CRLF behind the last cell. */
static void drop_cr(flk_span_t *cell) {
    if (cell->bytes > 0 && cell->text[cell->bytes - 1] == '\r') {
        cell->bytes--;
    }
}

/* Splits the bytes at hand. False: the record's end is not among them. */
static bool split_at_hand(flk_reader_t *reader, split_t *split) {
    reader->cells_len = 0;
    for (;;) {
        if (reader->cells_len == FLK_CSV_CELLS_MAX) {
            split->fault = "too many cells";
            return true;
        }
        flk_span_t *cell = &reader->cells[reader->cells_len++];
        bool quoted = split->at < split->bytes && split->data[split->at] == '"';
        if (quoted) {
            split->at++;
            if (!split_quoted(reader, split, cell)) {
                split->fault = split->last ? "a quote is not closed" : NULL;
                return split->last;
            }
            bool cr = split->at + 1 < split->bytes && split->data[split->at] == '\r';
            split->at += cr && split->data[split->at + 1] == '\n';
        } else {
            split_plain(split, cell);
            if (split->fault != NULL) {
                return true;
            }
        }
        if (split->at == split->bytes) {
            if (split->last && !quoted) {
                drop_cr(cell);
            }
            return split->last;
        }
        char end = split->data[split->at];
        if (!is_separator(end)) {
            bool half = end == '\r' && split->at + 1 == split->bytes && !split->last;
            split->fault = half ? NULL : "text behind a closing quote";
            return !half;
        }
        split->at++;
        if (end == '\n') {
            if (!quoted) {
                drop_cr(cell);
            }
            return true;
        }
    }
}

/* An unquoted cell is shorter than the bytes at hand; nothing of the last record is kept. */
static flk_err_t make_room(flk_reader_t *reader, size_t bytes, char *errmsg) {
    if (bytes <= reader->unquoted_capacity) {
        return FLK_OK;
    }
    free(reader->unquoted);
    reader->unquoted = malloc(bytes);
    reader->unquoted_capacity = reader->unquoted != NULL ? bytes : 0;
    if (reader->unquoted == NULL) {
        flk_errmsg(errmsg, "%s: out of memory", flk_input_name(reader->input));
        return FLK_E_NOMEM;
    }
    return FLK_OK;
}

/* A line of commas alone, as spreadsheets write it for an empty row. */
static bool is_blank(const flk_reader_t *reader) {
    for (size_t i = 0; i < reader->cells_len; i++) {
        flk_span_t cell = reader->cells[i];
        flk_text_trim(&cell.text, &cell.bytes);
        if (cell.bytes > 0) {
            return false;
        }
    }
    return reader->cells_len > 1;
}

/* Reads until another line end is at hand: without one there is no use in splitting again. As flk_input_more. */
static flk_err_t read_line_end(flk_reader_t *reader, char *errmsg) {
    for (;;) {
        size_t before, bytes;
        (void)flk_input_data(reader->input, &before);
        flk_err_t err = flk_input_more(reader->input, errmsg);
        const char *data = flk_input_data(reader->input, &bytes);
        if (err != FLK_OK || memchr(data + before, '\n', bytes - before) != NULL) {
            return err;
        }
    }
}

/* Cuts the next record into reader->cells, valid until the next call. Blank lines are passed over. *fault is set
 * instead when it is damaged. */
static flk_err_t split_record(flk_reader_t *reader, const char **fault, char *errmsg) {
    bool last = false;
    for (;;) {
        size_t bytes;
        const char *data = flk_input_data(reader->input, &bytes);
        reader->line = flk_input_lines(reader->input) + 1;
        if (bytes > 0 && (data[0] == '\n' || (bytes > 1 && data[0] == '\r' && data[1] == '\n'))) {
            flk_input_consume(reader->input, data[0] == '\n' ? 1 : 2);
            continue;
        }
        flk_err_t err = make_room(reader, bytes, errmsg);
        if (err != FLK_OK) {
            return err;
        }
        split_t split = {.data = data, .bytes = bytes, .last = last};
        bool whole = bytes > 0 && split_at_hand(reader, &split);
        if (whole && (split.fault == NULL || last || memchr(data, '\n', bytes) != NULL)) {
            *fault = split.fault;
            if (split.fault != NULL) {
                flk_input_drop_line(reader->input);
            } else {
                flk_input_consume(reader->input, split.at);
            }
            if (split.fault == NULL && is_blank(reader)) {
                continue;
            }
            return FLK_OK;
        }
        if (last) {
            return FLK_E_NOT_FOUND;
        }
        err = read_line_end(reader, errmsg);
        if (err == FLK_E_TOO_LARGE) {
            *fault = "longer than 1 MiB, or a quote is not closed, or lines end with CR alone";
            flk_input_drop_line(reader->input);
            return FLK_OK;
        }
        last = err == FLK_E_NOT_FOUND;
        if (err != FLK_OK && !last) {
            return err;
        }
    }
}

static size_t header_find(const flk_reader_t *reader, const char *name) {
    size_t at = 0;
    while (at < reader->header_len && strcmp(reader->header[at], name) != 0) {
        at++;
    }
    return at;
}

/* True when the name of column `at` stands further on, too. */
static bool occurs_again(const flk_reader_t *reader, size_t at) {
    for (size_t i = at + 1; i < reader->header_len; i++) {
        if (strcmp(reader->header[i], reader->header[at]) == 0) {
            return true;
        }
    }
    return false;
}

static flk_err_t ambiguous_column(const flk_reader_t *reader, size_t at, char *errmsg) {
    flk_errmsg(errmsg, "%s: the header has column \"%.64s\" twice: give them different names",
               flk_input_name(reader->input), reader->header[at]);
    return FLK_E_CONFIG;
}

static flk_err_t missing_column(const flk_reader_t *reader, const char *name, char *errmsg) {
    char list[160];
    size_t used = 0;
    for (size_t i = 0; i < reader->header_len && used < sizeof list - 1; i++) {
        int wrote = snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", reader->header[i]);
        used += (size_t)wrote;
    }
    flk_errmsg(errmsg, "%s: no column \"%.64s\" in the header; it has: %s", flk_input_name(reader->input), name, list);
    return FLK_E_CONFIG;
}

static flk_err_t store_header(flk_reader_t *reader, char *errmsg) {
    free(reader->header);
    reader->header = flk_start_alloc(reader->cells_len * sizeof *reader->header);
    for (size_t i = 0; i < reader->cells_len; i++) {
        flk_span_t name = reader->cells[i];
        flk_text_trim(&name.text, &name.bytes);
        if (memchr(name.text, '\0', name.bytes) != NULL || memchr(name.text, '\r', name.bytes) != NULL) {
            flk_errmsg(errmsg, "%s: header: a NUL or CR inside a name: text is UTF-8, and lines end with LF or CRLF",
                       flk_input_name(reader->input));
            return FLK_E_CONFIG;
        }
        if (name.bytes > FLK_COLUMN_NAME_MAX) {
            flk_errmsg(errmsg, "%s: the name of column %zu has more than %d bytes", flk_input_name(reader->input),
                       i + 1, FLK_COLUMN_NAME_MAX);
            return FLK_E_CONFIG;
        }
        memcpy(reader->header[i], name.text, name.bytes);
        reader->header[i][name.bytes] = '\0';
    }
    reader->header_len = reader->cells_len;
    return FLK_OK;
}

/* Finds the places of the time column and of the columns that were asked for. */
static flk_err_t read_header(flk_reader_t *reader, char *errmsg) {
    const char *fault = NULL;
    flk_err_t err = split_record(reader, &fault, errmsg);
    if (err == FLK_OK && fault != NULL) {
        flk_errmsg(errmsg, "%s: header: %s", flk_input_name(reader->input), fault);
        return FLK_E_CONFIG;
    }
    if (err == FLK_E_NOT_FOUND) {
        flk_errmsg(errmsg, "%s: empty: a header line with column names is needed", flk_input_name(reader->input));
        return FLK_E_CONFIG;
    }
    err = err == FLK_OK ? store_header(reader, errmsg) : err;
    if (err != FLK_OK) {
        return err;
    }
    flk_columns_t *columns = &reader->columns;
    reader->time_at = header_find(reader, columns->time_name);
    columns->has_time = reader->time_at < reader->header_len;
    if (reader->time_asked && !columns->has_time) {
        return missing_column(reader, columns->time_name, errmsg);
    }
    if (columns->has_time && occurs_again(reader, reader->time_at)) {
        return ambiguous_column(reader, reader->time_at, errmsg);
    }
    for (size_t i = 0; i < columns->len; i++) {
        reader->column_at[i] = header_find(reader, columns->names[i]);
        if (reader->column_at[i] == reader->header_len) {
            return missing_column(reader, columns->names[i], errmsg);
        }
        if (occurs_again(reader, reader->column_at[i])) {
            return ambiguous_column(reader, reader->column_at[i], errmsg);
        }
    }
    reader->columns_done = !reader->choose;
    reader->header_done = true;
    return FLK_OK;
}

/* Without a list of columns: those whose cell in the first row is a number. */
static flk_err_t choose_columns(flk_reader_t *reader, char *errmsg) {
    flk_columns_t *columns = &reader->columns;
    columns->len = 0;
    for (size_t i = 0; i < reader->header_len; i++) {
        flk_cell_t cell;
        if ((columns->has_time && i == reader->time_at) ||
            !flk_cell_parse(reader->cells[i].text, reader->cells[i].bytes, &cell)) {
            continue;
        }
        if (columns->len == FLK_DIMS_MAX) {
            flk_errmsg(errmsg, "%s: more than %d columns of numbers: choose some with --columns",
                       flk_input_name(reader->input), FLK_DIMS_MAX);
            return FLK_E_CONFIG;
        }
        if (header_find(reader, reader->header[i]) < i) {
            return ambiguous_column(reader, i, errmsg);
        }
        reader->column_at[columns->len] = i;
        memcpy(columns->names[columns->len++], reader->header[i], sizeof *reader->header);
    }
    if (columns->len == 0) {
        flk_errmsg(errmsg, "%s: no column has a number in the first row: name some with --columns",
                   flk_input_name(reader->input));
        return FLK_E_CONFIG;
    }
    reader->columns_done = true;
    return FLK_OK;
}

/* Reads one cell and adds it to the row; `column` as flk_row_add. */
static flk_err_t add_cell(flk_reader_t *reader, size_t column, flk_span_t span, flk_row_t *row, char *errmsg) {
    flk_cell_t cell;
    flk_text_trim(&span.text, &span.bytes);
    if (span.bytes == 0) {
        flk_row_add(row, column, NULL);
        return FLK_OK;
    }
    bool time = column == FLK_DIMS_MAX;
    if (!(time ? flk_cell_parse_time : flk_cell_parse)(span.text, span.bytes, &cell)) {
        return flk_reader_bad_row(reader, time ? reader->columns.time_name : reader->columns.names[column],
                                  time ? "not a time (Unix seconds or RFC 3339)" : "not a number", errmsg);
    }
    flk_row_add(row, column, &cell);
    return FLK_OK;
}

flk_err_t flk_reader_csv_next(flk_reader_t *reader, flk_row_t *row, char *errmsg) {
    flk_err_t err = reader->header_done ? FLK_OK : read_header(reader, errmsg);
    const char *fault = NULL;
    err = err == FLK_OK ? split_record(reader, &fault, errmsg) : err;
    if (err != FLK_OK) {
        return err;
    }
    reader->row++;
    if (fault != NULL) {
        return flk_reader_bad_row(reader, NULL, fault, errmsg);
    }
    if (reader->cells_len != reader->header_len) {
        char what[64];
        snprintf(what, sizeof what, "%zu cells, the header has %zu", reader->cells_len, reader->header_len);
        return flk_reader_bad_row(reader, NULL, what, errmsg);
    }
    err = reader->columns_done ? FLK_OK : choose_columns(reader, errmsg);
    flk_row_begin(row, reader->row);
    if (err == FLK_OK && reader->columns.has_time) {
        err = add_cell(reader, FLK_DIMS_MAX, reader->cells[reader->time_at], row, errmsg);
    }
    for (size_t i = 0; i < reader->columns.len && err == FLK_OK; i++) {
        err = add_cell(reader, i, reader->cells[reader->column_at[i]], row, errmsg);
    }
    return err;
}
