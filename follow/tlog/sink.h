/* SPDX-License-Identifier: MIT */
/* The sink `tlog`: a leaf for each outcome, a checkpoint each FLK_TLOG_CHECKPOINT_S. On when FLK_TLOG_KEY_FILE is set.
 */
#ifndef FLK_FOLLOW_TLOG_SINK_H
#define FLK_FOLLOW_TLOG_SINK_H

#include <limits.h>

#include "follow/sink.h"

extern const flk_sink_ops_t flk_tlog_sink;

/* FLK_TLOG_DIR, or its default. Errors: FLK_E_CONFIG (longer than a path may be). */
FLK_MUST_CHECK flk_err_t flk_tlog_sink_dir(const flk_settings_t *settings, char dir[PATH_MAX], char *errmsg);

#endif
