/* SPDX-License-Identifier: MIT */
/* The settings table as data, for settings.c (reading) and settings_print.c (help, check, OPERATING.md). */
#ifndef FLK_COMMON_PROGRAM_SETTINGS_ROW_H
#define FLK_COMMON_PROGRAM_SETTINGS_ROW_H

#include "common/program/settings.h"

typedef enum flk_setting_type {
    FLK_SETTING_STR,
    FLK_SETTING_UINT,
    FLK_SETTING_BOOL,
    FLK_SETTING_ENUM,
    FLK_SETTING_SECRET,
} flk_setting_type_t;

typedef struct flk_setting_row {
    const char *name;
    flk_setting_type_t type;
    unsigned programs; /* flk_program_t, or-ed */
    const char *default_value, *unit, *limits, *help;
} flk_setting_row_t;

enum { FLK_SETTING_SHOWN_BYTES = 4096 };

extern const flk_setting_row_t flk_setting_rows[FLK_SETTINGS_COUNT];

enum { FLK_PROGRAMS_LEN = 7 };
extern const flk_program_t flk_programs[FLK_PROGRAMS_LEN]; /* in the order of tables */
const char *flk_program_name(flk_program_t program);       /* "flk-broker" */

/* A value as people may see it: a secret as ****, an address without its user part. */
const char *flk_setting_shown(const flk_setting_row_t *row, const char *value, char out[FLK_SETTING_SHOWN_BYTES]);

/* The default that one program has: the table's, but for FLK_ADMIN_LISTEN. */
const char *flk_setting_default(const flk_setting_row_t *row, flk_program_t program);

#endif
