/* SPDX-License-Identifier: MIT */
/* Settings from the environment, each also from a file (NAME_FILE). settings_table.h is the one list: --help,
 * --check and the table of OPERATING.md are made from it. */
#ifndef FLK_COMMON_PROGRAM_SETTINGS_H
#define FLK_COMMON_PROGRAM_SETTINGS_H

#include <stdio.h>

#include "common/err.h"
#include "common/program/settings_table.h"

typedef enum flk_program {
    FLK_PROGRAM_GATEWAY = 1,
    FLK_PROGRAM_BROKER = 2,
    FLK_PROGRAM_WORKER = 4,
    FLK_PROGRAM_AGENT = 8,
    FLK_PROGRAM_FLK = 16,
    FLK_PROGRAM_REPLAY = 32,
    FLK_PROGRAM_FOLLOW = 64,
} flk_program_t;

enum { FLK_PROGRAMS_ALL = 127 }; /* one bit each */

typedef enum flk_setting_id {
#define FLK_SETTING_ID(id, ...) FLK_SET_##id,
    FLK_SETTINGS(FLK_SETTING_ID)
#undef FLK_SETTING_ID
        FLK_SETTINGS_COUNT
} flk_setting_id_t;

#define FLK_SETTING_AUTO UINT64_MAX /* the value of a number that says auto */

typedef struct flk_settings flk_settings_t; /* Opaque; immutable once loaded. */

/* Reads the environment for one program and checks every value. Errors: FLK_E_CONFIG with one line that names the
 * setting, its value unless secret, and the values that are allowed; also for an FLK_* name that is in no program's
 * list. Caller frees with flk_settings_destroy, which wipes secrets. */
FLK_MUST_CHECK flk_err_t flk_settings_load(flk_program_t program, flk_settings_t **settings, char *errmsg);
void flk_settings_destroy(flk_settings_t **settings);

/* Values in the table's type; asking in another type, or for another program's setting, is a bug. */
const char *flk_settings_str(const flk_settings_t *settings, flk_setting_id_t id); /* never NULL; "" when unset */
uint64_t flk_settings_uint(const flk_settings_t *settings, flk_setting_id_t id);   /* in the table's unit, or AUTO */
bool flk_settings_bool(const flk_settings_t *settings, flk_setting_id_t id);

/* Paths of the NAME_FILE variables that this program's settings are read from, up to paths_max of them; they live as
 * long as the environment does not change. Returns how many. */
size_t flk_settings_files(const flk_settings_t *settings, const char **paths, size_t paths_max);

/* The name of the index-th setting whose secret begins or ends in a blank or line end, which may have come with the
 * file that it was copied from; NULL: there are no more. */
const char *flk_settings_blank_secret(const flk_settings_t *settings, size_t index);

flk_program_t flk_settings_program(const flk_settings_t *settings);

/* Splits a comma-separated list. Calls fn for each non-empty item. */
typedef void flk_settings_item_fn(void *arg, const char *item, size_t index);
size_t flk_settings_each(const char *list, flk_settings_item_fn *fn, void *arg);

/* For programs with arguments of their own: the part of --help that lists settings, the output of --check, and the
 * table of OPERATING.md of all programs. */
void flk_settings_print(flk_program_t program, FILE *out);
void flk_settings_print_effective(const flk_settings_t *settings, FILE *out);
void flk_settings_print_markdown(FILE *out);
void flk_settings_print_json(FILE *out);                                           /* the table: an array of rows */
void flk_settings_print_effective_json(const flk_settings_t *settings, FILE *out); /* name -> value, secrets masked */

#endif
