/* SPDX-License-Identifier: MIT */
/* The programs beside our own executable: flk-gateway, flk-broker, flk-worker, flk-agent and others that are put there
 * as flk-NAME. */
#ifndef FLK_AGENT_FLK_CLUSTER_SIBLING_H
#define FLK_AGENT_FLK_CLUSTER_SIBLING_H

#include "common/err.h"

/* The path of flk-`name` beside our executable. FLK_E_NOT_FOUND with a line in errmsg when it is not there. */
FLK_MUST_CHECK flk_err_t flk_sibling_path(const char *name, char *path, size_t path_bytes, char *errmsg);

/* Becomes flk-`name` with argv[1...]; `title` is its argv[0], by which it calls itself in help and errors: NULL for its
 * path. Returns only on an error, with its line in errmsg. */
flk_err_t flk_sibling_exec(const char *name, const char *title, char **argv, char *errmsg);

#endif
