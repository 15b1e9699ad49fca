/* SPDX-License-Identifier: MIT */
/* The environment that systemd gives a unit of this host, read from the unit's files: a command then sees the settings
 * that the program sees. Nothing of systemd has to run. One thread. */
#ifndef FLK_AGENT_FLK_UNIT_H
#define FLK_AGENT_FLK_UNIT_H

#include <stddef.h>

#include "common/err.h"

enum { FLK_UNIT_NAME_BYTES = 128, FLK_UNITS_MAX = 256 };

/* Puts the environment of unit `name` ("flk-worker@8082", ".service" may follow) in the place of this process'
 * settings: all of those go, whether the unit has them or not. Environment=, EnvironmentFile= and drop-ins count, in
 * the directories of SYSTEMD_UNIT_PATH, or those that systemd has. Errors: FLK_E_NOT_FOUND, FLK_E_CONFIG, FLK_E_IO,
 * with a line in errmsg. */
FLK_MUST_CHECK flk_err_t flk_unit_enter(const char *name, char *errmsg);

/* The program of the unit that was entered last, "worker"; "" while there is none. */
const char *flk_unit_program(void);
const char *flk_unit_name(void); /* "flk-worker@8082", or "" */

/* Names of the units of flk's daemons that a target of this host wants, sorted. Returns how many. */
size_t flk_unit_list(char names[FLK_UNITS_MAX][FLK_UNIT_NAME_BYTES]);

#endif
