/* SPDX-License-Identifier: MIT */
#include "agent/flk/table.h"

#include <stdlib.h>
#include <string.h>

#include "common/base.h"

enum { INDENT = 2, GAP = 2, LEFT = 2 }; /* LEFT: so many columns are flush left */

typedef struct layout {
    int widths[FLK_TABLE_COLUMNS_MAX]; /* 0: left out */
    int total;
} layout_t;

void flk_table_init(flk_table_t *table, const flk_table_column_t *columns, size_t columns_len) {
    FLK_ASSERT(columns_len >= LEFT && columns_len <= FLK_TABLE_COLUMNS_MAX);
    *table = (flk_table_t){.columns = columns, .columns_len = columns_len};
    table->rows = flk_start_alloc(FLK_TABLE_ROWS_MAX * sizeof *table->rows);
}

void flk_table_fini(flk_table_t *table) {
    free(table->rows);
    *table = (flk_table_t){0};
}

flk_table_row_t *flk_table_add(flk_table_t *table) {
    table->rows_len += table->rows_len < FLK_TABLE_ROWS_MAX;
    flk_table_row_t *row = &table->rows[table->rows_len - 1];
    *row = (flk_table_row_t){.state_colour = ""};
    return row;
}

static int width_of(const flk_table_t *table, size_t column) {
    size_t width = strlen(table->columns[column].title);
    for (size_t i = 0; i < table->rows_len; i++) {
        size_t len = strlen(table->rows[i].cells[column]);
        width = len > width ? len : width;
    }
    return (int)width;
}

/* The column that goes first; columns_len: none. */
static size_t least(const flk_table_t *table, const layout_t *layout) {
    size_t found = table->columns_len;
    for (size_t i = 0; i < table->columns_len; i++) {
        if (layout->widths[i] > 0 && table->columns[i].rank > 0 &&
            (found == table->columns_len || table->columns[i].rank > table->columns[found].rank)) {
            found = i;
        }
    }
    return found;
}

static void lay_out(const flk_table_t *table, unsigned width, layout_t *layout) {
    layout->total = INDENT - GAP;
    for (size_t i = 0; i < table->columns_len; i++) {
        layout->widths[i] = width_of(table, i);
        layout->total += layout->widths[i] + GAP;
    }
    for (size_t gone; width > 0 && layout->total > (int)width && (gone = least(table, layout)) < table->columns_len;) {
        layout->total -= layout->widths[gone] + GAP;
        layout->widths[gone] = 0;
    }
}

static void print_cell(const layout_t *layout, size_t column, const char *text, const char *colour, const char *end,
                       FILE *out) {
    int width = layout->widths[column];
    if (width > 0) {
        fprintf(out, "%*s%s%*s%s", column == 0 ? INDENT : GAP, "", colour, column < LEFT ? -width : width, text, end);
    }
}

static void print_note(const flk_table_row_t *row, const layout_t *layout, unsigned width, const flk_style_t *style,
                       FILE *out) {
    int len = (int)strlen(row->note), indent = 2 * INDENT;
    if (width == 0 || layout->total + 3 + len <= (int)width) {
        fprintf(out, "   %s%s%s", style->yellow, row->note, style->end);
    } else {
        fprintf(out, "\n%*s%s%.*s%s", indent, "", style->yellow, (int)width - indent, row->note, style->end);
    }
}

void flk_table_print(const flk_table_t *table, unsigned width, const flk_style_t *style, FILE *out) {
    layout_t layout;
    lay_out(table, width, &layout);
    fputs(style->dim, out);
    for (size_t i = 0; i < table->columns_len; i++) {
        print_cell(&layout, i, table->columns[i].title, "", "", out);
    }
    fprintf(out, "%s\n", style->end);
    for (size_t i = 0; i < table->rows_len; i++) {
        const flk_table_row_t *row = &table->rows[i];
        for (size_t c = 0; c < table->columns_len; c++) {
            bool state = c == 1 && row->state_colour[0] != '\0';
            print_cell(&layout, c, row->cells[c], state ? row->state_colour : "", state ? style->end : "", out);
        }
        if (row->note[0] != '\0') {
            print_note(row, &layout, width, style, out);
        }
        fprintf(out, "\n");
    }
}
