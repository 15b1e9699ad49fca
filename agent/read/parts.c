/* SPDX-License-Identifier: MIT */
#include "agent/read/parts.h"

#include <string.h>

void flk_row_begin(flk_row_t *row, uint64_t number) {
    row->number = number;
    row->time_s = 0;
    row->missing = 0;
    row->text_bytes = 0;
}

void flk_row_add(flk_row_t *row, size_t column, const flk_cell_t *cell) {
    bool time = column == FLK_DIMS_MAX;
    *(time ? &row->time_s : &row->values[column]) = cell == NULL ? 0 : cell->value;
    if (!time && (column > 0 || row->text_bytes > 0 || row->missing != 0)) {
        row->text[row->text_bytes++] = ',';
    }
    if (cell == NULL) {
        row->missing |= UINT64_C(1) << column;
        return;
    }
    FLK_ASSERT(row->text_bytes + cell->text_bytes <= sizeof row->text);
    memcpy(row->text + row->text_bytes, cell->text, cell->text_bytes);
    row->text_bytes += cell->text_bytes;
}

flk_err_t flk_reader_bad_row(const flk_reader_t *reader, const char *column, const char *what, char *errmsg) {
    flk_errmsg(errmsg, "%s: row %llu (line %llu)%s%.*s: %s", flk_input_name(reader->input),
               (unsigned long long)reader->row, (unsigned long long)reader->line, column == NULL ? "" : ", column ",
               FLK_COLUMN_NAME_MAX, column == NULL ? "" : column, what);
    return FLK_E_INVALID;
}
