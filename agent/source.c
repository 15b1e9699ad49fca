/* SPDX-License-Identifier: MIT */
/*   files -> reader -> rows -> windows -> builder -> PCS -> JSON          (computed)
 *   files -> lines -> checked by the PCS reader, handed on byte for byte  (ready-made)
 * Windows and builder are made with the first row, when the columns are known. A bad row is skipped and counted, or
 * ends the stream, as the options say; rows before it that complete a window have given their PCS by then. */
#include "agent/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BAD_ROWS_SHOWN = 5 };

struct flk_source {
    const flk_agent_options_t *options;
    const flk_signer_t *signer;
    size_t file; /* index of the open file, or of the next one */
    flk_reader_t *reader;
    flk_input_t *lines; /* ready-made */
    uint64_t line;
    bool file_settled; /* the open file's columns were compared */
    bool columns_known;
    flk_columns_t columns; /* of the first file; all others must have the same */
    flk_windows_t *windows;
    flk_builder_t *builder;
    uint64_t bytes_before; /* of files that are done */
    flk_source_stats_t stats;
};

static uint64_t total_bytes(const flk_agent_options_t *options) {
    uint64_t total = 0;
    for (size_t i = 0; i < options->files_len; i++) {
        struct stat status;
        if (strcmp(options->files[i], "-") == 0 || stat(options->files[i], &status) != 0 || !S_ISREG(status.st_mode)) {
            return 0;
        }
        total += (uint64_t)status.st_size;
    }
    return total;
}

flk_source_t *flk_source_new(const flk_agent_options_t *options, const flk_signer_t *signer) {
    flk_source_t *source = flk_start_alloc(sizeof *source);
    source->options = options;
    source->signer = signer;
    source->stats.bytes_total = total_bytes(options);
    return source;
}

void flk_source_destroy(flk_source_t **source) {
    if (*source == NULL) {
        return;
    }
    flk_reader_close(&(*source)->reader);
    flk_input_close(&(*source)->lines);
    flk_windows_destroy(&(*source)->windows);
    flk_builder_destroy(&(*source)->builder);
    free(*source);
    *source = NULL;
}

static const flk_input_t *current_input(const flk_source_t *source) {
    return source->reader != NULL ? flk_reader_input(source->reader) : source->lines;
}

/* Opens the next file if none is open. FLK_E_NOT_FOUND: there is none left. */
static flk_err_t open_file(flk_source_t *source, char *errmsg) {
    if (current_input(source) != NULL) {
        return FLK_OK;
    }
    if (source->file == source->options->files_len) {
        return FLK_E_NOT_FOUND;
    }
    const char *path = source->options->files[source->file];
    source->line = 0;
    source->file_settled = false;
    flk_err_t err = source->options->ready ? flk_input_open(path, &source->lines, errmsg)
                                           : flk_reader_open(path, &source->options->reader, &source->reader, errmsg);
    return err == FLK_E_NOT_FOUND ? FLK_E_CONFIG : err;
}

static void close_file(flk_source_t *source) {
    source->bytes_before += flk_input_offset(current_input(source));
    flk_reader_close(&source->reader);
    flk_input_close(&source->lines);
    source->file++;
}

/* A bad row as the options have it: FLK_OK when it was skipped. */
static flk_err_t bad_row(flk_source_t *source, const char *errmsg) {
    if (!source->options->skip_bad_rows) {
        return FLK_E_INVALID;
    }
    if (source->stats.bad_rows++ < BAD_ROWS_SHOWN) {
        fprintf(stderr, "flk-agent: skipped: %s\n", errmsg);
    }
    return FLK_OK;
}

/* ---- computed ---- */

static bool same_columns(const flk_columns_t *a, const flk_columns_t *b) {
    bool same = a->len == b->len && a->has_time == b->has_time;
    for (size_t i = 0; i < a->len && same; i++) {
        same = strcmp(a->names[i], b->names[i]) == 0;
    }
    return same;
}

/* Makes windows and builder with the first row of all, compares columns later. */
static flk_err_t settle_columns(flk_source_t *source, char *errmsg) {
    const flk_columns_t *columns = flk_reader_columns(source->reader);
    const char *name = flk_input_name(flk_reader_input(source->reader));
    source->file_settled = true;
    if (source->columns_known) {
        if (same_columns(&source->columns, columns)) {
            return FLK_OK;
        }
        flk_errmsg(errmsg, "%s: other columns than %s: choose with --columns", name, source->options->files[0]);
        return FLK_E_CONFIG;
    }
    flk_window_options_t window = source->options->window;
    if (window.by_time && !columns->has_time) {
        flk_errmsg(errmsg, "%s: windows by time need a time column, there is no \"%s\": name it with --time-column",
                   name, columns->time_name);
        return FLK_E_CONFIG;
    }
    window.dims = columns->len;
    source->columns = *columns;
    source->columns_known = true;
    source->windows = flk_windows_new(&window);
    source->builder = flk_builder_new(&source->options->builder, &source->columns, source->signer);
    return FLK_OK;
}

static flk_err_t take_row(flk_source_t *source, const flk_row_t *row, char *errmsg) {
    flk_err_t err = source->file_settled ? FLK_OK : settle_columns(source, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    const char *name = flk_input_name(flk_reader_input(source->reader));
    if (source->options->window.by_time && (row->missing & FLK_MISSING_TIME) != 0) {
        flk_errmsg(errmsg, "%s: row %llu, column %s: missing, and windows are by time", name,
                   (unsigned long long)row->number, source->columns.time_name);
        return bad_row(source, errmsg);
    }
    double late_s = 0;
    err = flk_windows_push(source->windows, row, &late_s);
    if (err == FLK_E_INVALID) {
        flk_errmsg(errmsg, "%s: row %llu, column %s: %.3f s before the open window: sort the rows by time", name,
                   (unsigned long long)row->number, source->columns.time_name, late_s);
        return bad_row(source, errmsg);
    }
    if (err == FLK_E_TOO_LARGE) {
        flk_errmsg(errmsg, "%s: row %llu: more than %d rows in one window: choose a shorter --window", name,
                   (unsigned long long)row->number, FLK_WINDOW_ROWS_MAX);
        return FLK_E_CONFIG;
    }
    source->stats.rows += err == FLK_OK;
    return err;
}

/* Reads rows until a window is complete. */
static flk_err_t next_window(flk_source_t *source, flk_window_t *window, char *errmsg) {
    while (source->windows == NULL || !flk_windows_next(source->windows, window)) {
        flk_row_t row;
        flk_err_t err = open_file(source, errmsg);
        if (err == FLK_E_NOT_FOUND) { /* no more files: the rest becomes the last window */
            if (source->windows == NULL) {
                return FLK_E_NOT_FOUND;
            }
            flk_windows_end(source->windows);
            return flk_windows_next(source->windows, window) ? FLK_OK : FLK_E_NOT_FOUND;
        }
        err = err == FLK_OK ? flk_reader_next(source->reader, &row, errmsg) : err;
        if (err == FLK_E_NOT_FOUND) {
            close_file(source);
            continue;
        }
        if (err == FLK_E_INVALID) {
            err = bad_row(source, errmsg);
        } else if (err == FLK_OK) {
            err = take_row(source, &row, errmsg);
        }
        if (err != FLK_OK) {
            return err;
        }
    }
    return FLK_OK;
}

static flk_err_t next_computed(flk_source_t *source, flk_source_pcs_t *out, char *errmsg) {
    flk_window_t window;
    flk_pcs_t *pcs = malloc(sizeof *pcs);
    flk_err_t err = pcs == NULL ? FLK_E_NOMEM : next_window(source, &window, errmsg);
    if (err == FLK_OK) {
        err = flk_builder_build(source->builder, &window, pcs);
        if (err == FLK_OK) {
            out->ready = false;
            err = flk_pcs_to_json(pcs, &out->json, &out->json_bytes);
            flk_pcs_fini(pcs);
        }
    }
    free(pcs);
    if (err == FLK_E_NOMEM) {
        flk_errmsg(errmsg, "out of memory");
    }
    return err;
}

/* ---- ready-made ---- */

static flk_err_t next_line(flk_source_t *source, const char **line, size_t *line_bytes, char *errmsg) {
    for (;;) {
        flk_err_t err = open_file(source, errmsg);
        err = err == FLK_OK ? flk_input_line(source->lines, line, line_bytes, errmsg) : err;
        if (err == FLK_E_NOT_FOUND && source->lines != NULL) {
            close_file(source);
            continue;
        }
        if (err != FLK_OK && err != FLK_E_TOO_LARGE) {
            return err;
        }
        source->line++;
        flk_text_trim(line, line_bytes);
        if (err != FLK_OK || *line_bytes > 0) {
            return err;
        }
    }
}

/* Checks one line and copies it. FLK_E_INVALID: not a PCS. */
static flk_err_t take_line(const char *line, size_t line_bytes, flk_source_pcs_t *out, flk_pcs_fault_t *fault) {
    flk_pcs_t *pcs = malloc(sizeof *pcs);
    if (pcs == NULL) {
        return FLK_E_NOMEM;
    }
    flk_err_t err = flk_pcs_from_json(line, line_bytes, pcs, fault);
    if (err == FLK_OK) {
        flk_pcs_fini(pcs);
        out->json = malloc(line_bytes);
        out->json_bytes = line_bytes;
        out->ready = true;
        err = out->json == NULL ? FLK_E_NOMEM : FLK_OK;
    }
    if (err == FLK_OK) {
        memcpy(out->json, line, line_bytes);
    }
    free(pcs);
    return err == FLK_E_TOO_LARGE ? FLK_E_INVALID : err;
}

static flk_err_t next_ready(flk_source_t *source, flk_source_pcs_t *out, char *errmsg) {
    for (;;) {
        const char *line = NULL;
        size_t line_bytes = 0;
        flk_pcs_fault_t fault = {.reason = "longer than 1 MiB"};
        flk_err_t err = next_line(source, &line, &line_bytes, errmsg);
        if (err != FLK_OK && err != FLK_E_TOO_LARGE) {
            return err;
        }
        err = err == FLK_OK ? take_line(line, line_bytes, out, &fault) : FLK_E_INVALID;
        if (err == FLK_OK) {
            source->stats.rows++;
            return FLK_OK;
        }
        flk_errmsg(errmsg, "%s: line %llu%s%s: %s", flk_input_name(source->lines), (unsigned long long)source->line,
                   fault.field[0] == '\0' ? "" : ", member ", fault.field, fault.reason);
        err = err == FLK_E_INVALID ? bad_row(source, errmsg) : err;
        if (err != FLK_OK) {
            return err;
        }
    }
}

/* ---- both ---- */

flk_err_t flk_source_next(flk_source_t *source, flk_source_pcs_t *pcs, char *errmsg) {
    flk_err_t err = source->options->ready ? next_ready(source, pcs, errmsg) : next_computed(source, pcs, errmsg);
    source->stats.pcs += err == FLK_OK;
    return err;
}

int flk_source_fd(const flk_source_t *source) {
    const flk_input_t *input = current_input(source);
    return input == NULL ? -1 : flk_input_fd(input);
}

void flk_source_stats(const flk_source_t *source, flk_source_stats_t *stats) {
    const flk_input_t *input = current_input(source);
    *stats = source->stats;
    stats->bytes_read = source->bytes_before + (input == NULL ? 0 : flk_input_offset(input));
}
