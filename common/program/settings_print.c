/* SPDX-License-Identifier: MIT */
/* How the settings table is printed: for --help, for --check, and for OPERATING.md. */
#include <stdio.h>
#include <string.h>

#include "common/program/settings.h"
#include "common/program/settings_row.h"
#include "common/program/wrap.h"

static const char *row_limits(const flk_setting_row_t *row) {
    return row->type == FLK_SETTING_BOOL ? "0|1" : row->limits;
}

/* "  FLK_STORE_TIMEOUT_MS     1000 (ms, 10..60000)", and the limits on a line of their own where they are long. */
static void print_value(FILE *out, const flk_setting_row_t *row, const char *value) {
    char shown[160];
    const char *limits = row_limits(row);
    const char *open = row->unit[0] != '\0' || limits[0] != '\0' ? " (" : "";
    const char *comma = row->unit[0] != '\0' && limits[0] != '\0' ? ", " : "";
    snprintf(shown, sizeof shown, "%s%s%s%s%s%s", value[0] != '\0' ? value : "(none)", open, row->unit, comma, limits,
             open[0] != '\0' ? ")" : "");
    fprintf(out, "  %-24s ", row->name);
    flk_print_wrapped(out, 27, shown);
}

void flk_settings_print(flk_program_t program, FILE *out) {
    fprintf(out, "Settings, from the environment. NAME_FILE names a file that holds NAME's value.\n\n");
    for (size_t i = 0; i < FLK_SETTINGS_COUNT; i++) {
        const flk_setting_row_t *row = &flk_setting_rows[i];
        if ((row->programs & program) != 0) {
            print_value(out, row, flk_setting_default(row, program));
            fprintf(out, "      ");
            flk_print_wrapped(out, 6, row->help);
        }
    }
}

static void print_uint(FILE *out, uint64_t value) {
    if (value == FLK_SETTING_AUTO) {
        fprintf(out, "auto\n");
    } else {
        fprintf(out, "%llu\n", (unsigned long long)value);
    }
}

void flk_settings_print_effective(const flk_settings_t *settings, FILE *out) {
    flk_program_t program = flk_settings_program(settings);
    for (size_t i = 0; i < FLK_SETTINGS_COUNT; i++) {
        const flk_setting_row_t *row = &flk_setting_rows[i];
        if ((row->programs & program) == 0) {
            continue;
        }
        fprintf(out, "%s=", row->name);
        if (row->type == FLK_SETTING_UINT) {
            print_uint(out, flk_settings_uint(settings, (flk_setting_id_t)i));
        } else if (row->type == FLK_SETTING_BOOL) {
            fprintf(out, "%d\n", flk_settings_bool(settings, (flk_setting_id_t)i));
        } else {
            const char *value = flk_settings_str(settings, (flk_setting_id_t)i);
            char shown[FLK_SETTING_SHOWN_BYTES];
            fprintf(out, "%s\n", flk_setting_shown(row, value, shown));
        }
    }
}

void flk_settings_print_markdown(FILE *out) {
    fprintf(out, "| Setting | Programs | Default | Unit, limits | Effect |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < FLK_SETTINGS_COUNT; i++) {
        const flk_setting_row_t *row = &flk_setting_rows[i];
        fprintf(out, "| `%s` | ", row->name);
        const char *separator = "";
        for (size_t p = 0; p < FLK_PROGRAMS_LEN; p++) {
            if ((row->programs & flk_programs[p]) != 0) {
                const char *name = flk_program_name(flk_programs[p]);
                fprintf(out, "%s%s", separator, flk_programs[p] == FLK_PROGRAM_FLK ? name : name + strlen("flk-"));
                separator = ", ";
            }
        }
        const char *tick = row->default_value[0] != '\0' ? "`" : "";
        fprintf(out, " | %s%s%s | ", tick, row->default_value, tick);
        const char *limits = row_limits(row);
        fprintf(out, "%s%s", row->unit, row->unit[0] != '\0' && limits[0] != '\0' ? ", " : "");
        for (const char *c = limits; *c != '\0'; c++) {
            fprintf(out, *c == '|' ? "\\|" : "%c", *c);
        }
        fprintf(out, " | %s |\n", row->help);
    }
}
