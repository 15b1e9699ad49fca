/* SPDX-License-Identifier: MIT */
/* A unit of systemd's as its files say it: the directories of units, and one unit's file with its drop-ins. One thread.
 */
#ifndef FLK_AGENT_FLK_UNIT_FILE_H
#define FLK_AGENT_FLK_UNIT_FILE_H

#include <limits.h>

#include "agent/flk/unit.h"

enum { FLK_UNIT_DIRS_MAX = 16, FLK_UNIT_FILES_MAX = 32, FLK_UNIT_WORDS_BYTES = 16384 };

typedef struct flk_unit_dirs {
    char paths[FLK_UNIT_DIRS_MAX][PATH_MAX]; /* the most important one first */
    size_t len;
} flk_unit_dirs_t;

/* Those of SYSTEMD_UNIT_PATH, and systemd's own when that is unset or ends in ':'. */
void flk_unit_dirs_find(flk_unit_dirs_t *dirs);

typedef struct flk_unit_file {
    char name[FLK_UNIT_NAME_BYTES];           /* "flk-worker@8082" */
    char prefix[FLK_UNIT_NAME_BYTES];         /* "flk-worker" */
    char instance[FLK_UNIT_NAME_BYTES];       /* "8082", or "" */
    char program[32];                         /* "worker", of ExecStart=; "" for another program */
    char words[FLK_UNIT_WORDS_BYTES];         /* of Environment= */
    char files[FLK_UNIT_FILES_MAX][PATH_MAX]; /* of EnvironmentFile=; '-' before one that may be missing */
    size_t files_len;
} flk_unit_file_t;

/* Reads the unit `name`, ".service" may follow, or its template, then the drop-ins of both: those of the least
 * important directory first, in the order of their names. Of systemd's specifiers those that name the unit are known:
 * %i %I %n %N %p %P %%. Errors: FLK_E_NOT_FOUND, FLK_E_CONFIG, FLK_E_IO, with a line in errmsg. */
FLK_MUST_CHECK flk_err_t flk_unit_file_read(const char *name, flk_unit_file_t *unit, char *errmsg);

#endif
