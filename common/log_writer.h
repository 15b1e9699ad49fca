/* SPDX-License-Identifier: MIT */
/* How lines get to stderr without anybody waiting for its reader. Any thread, but for _hold and _start. */
#ifndef FLK_COMMON_LOG_WRITER_H
#define FLK_COMMON_LOG_WRITER_H

#include "common/err.h"

enum { FLK_LOG_LINE_BYTES = 4096, FLK_LOG_RING_BYTES = 256 * 1024 };

/* Until this call each caller writes its line at once and waits for stderr's reader, as tools want it. From
 * here on they are kept, up to FLK_LOG_RING_BYTES of them, for the thread that _start makes. */
void flk_log_writer_hold(void);

/* Makes the line that tells how many were lost. Returns its bytes. Called by the thread. */
typedef size_t flk_log_lost_fn(uint64_t lines, char line[FLK_LOG_LINE_BYTES]);

/* Starts the thread that writes the lines that are kept and all later ones. Does nothing while it runs. Errors:
 * FLK_E_NOMEM; lines are written at once again. */
FLK_MUST_CHECK flk_err_t flk_log_writer_start(flk_log_lost_fn *lost, char *errmsg);

/* One line, of at most FLK_LOG_LINE_BYTES, with its newline. Blocks only while nothing is held back. A line that
 * finds no room, or cannot be written, is lost and counted. */
void flk_log_writer_put(const char *line, size_t bytes);

/* Waits until all that was put is written, or for `ms`. */
void flk_log_writer_flush(uint64_t ms);

uint64_t flk_log_writer_lost(void); /* lines, since the start */

#endif
