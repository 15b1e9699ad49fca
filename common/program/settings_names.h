/* SPDX-License-Identifier: MIT */
/* Names in the environment that are no settings: mistyped ones, which are refused, and those that a platform sets. For
 * settings.c and program.c. */
#ifndef FLK_COMMON_PROGRAM_SETTINGS_NAMES_H
#define FLK_COMMON_PROGRAM_SETTINGS_NAMES_H

#include "common/program/settings.h"

/* FLK_* and PCS_* are ours: a name there that no program knows is FLK_E_CONFIG, with the nearest one in errmsg, but for
 * variables that Kubernetes and Docker set for a service whose name begins so. */
FLK_MUST_CHECK flk_err_t flk_settings_check_names(char *errmsg);

/* A name outside of these that is a slip away from a setting of `program` which is not set: FLK_E_CONFIG. */
FLK_MUST_CHECK flk_err_t flk_settings_check_slips(flk_program_t program, char *errmsg);

/* How many names a platform set, and the first of them; NULL for none. It lives as long as the environment. */
size_t flk_settings_platform_names(const char **first);

#endif
