/* SPDX-License-Identifier: MIT */
/* The settings table, and the effective settings, as JSON. */
#include <jansson.h>
#include <string.h>

#include "common/program/settings_row.h"

static void print_and_free(json_t *value, FILE *out) {
    FLK_ASSERT(value != NULL && json_dumpf(value, out, JSON_COMPACT) == 0);
    putc('\n', out);
    json_decref(value);
}

static json_t *row_to_json(const flk_setting_row_t *row) {
    json_t *names = json_array();
    for (size_t i = 0; i < FLK_PROGRAMS_LEN; i++) {
        if ((row->programs & flk_programs[i]) != 0) {
            json_array_append_new(names, json_string(flk_program_name(flk_programs[i])));
        }
    }
    return json_pack("{s:s, s:o, s:s, s:s, s:s, s:b, s:s}", "name", row->name, "programs", names, "default",
                     row->default_value, "unit", row->unit, "limits",
                     row->type == FLK_SETTING_BOOL ? "0|1" : row->limits, "secret", row->type == FLK_SETTING_SECRET,
                     "help", row->help);
}

void flk_settings_print_json(FILE *out) {
    json_t *rows = json_array();
    for (size_t i = 0; i < FLK_SETTINGS_COUNT; i++) {
        json_array_append_new(rows, row_to_json(&flk_setting_rows[i]));
    }
    print_and_free(rows, out);
}

static json_t *value_to_json(const flk_settings_t *settings, flk_setting_id_t id) {
    const flk_setting_row_t *row = &flk_setting_rows[id];
    if (row->type == FLK_SETTING_UINT) {
        const uint64_t value = flk_settings_uint(settings, id);
        return value == FLK_SETTING_AUTO ? json_string("auto") : json_integer((json_int_t)value);
    }
    if (row->type == FLK_SETTING_BOOL) {
        return json_boolean(flk_settings_bool(settings, id));
    }
    char shown[FLK_SETTING_SHOWN_BYTES];
    return json_string(flk_setting_shown(row, flk_settings_str(settings, id), shown));
}

void flk_settings_print_effective_json(const flk_settings_t *settings, FILE *out) {
    json_t *values = json_object();
    for (size_t i = 0; i < FLK_SETTINGS_COUNT; i++) {
        if ((flk_setting_rows[i].programs & flk_settings_program(settings)) != 0) {
            json_object_set_new(values, flk_setting_rows[i].name, value_to_json(settings, (flk_setting_id_t)i));
        }
    }
    print_and_free(values, out);
}
