/* SPDX-License-Identifier: MIT */
/* Un-acked records of an open log, oldest first: re-drive without keeping bodies in memory. A cursor belongs to one
 * thread and must be destroyed before its log is closed. */
#ifndef FLK_COMMON_WAL_CURSOR_H
#define FLK_COMMON_WAL_CURSOR_H

#include "common/wal/record.h"
#include "common/wal/wal.h"

typedef struct flk_wal_cursor flk_wal_cursor_t; /* Opaque; fields are commented in cursor.c. */

/* FLK_E_NOMEM. Caller frees with flk_wal_cursor_destroy. */
FLK_MUST_CHECK flk_err_t flk_wal_cursor_new(flk_wal_t *wal, flk_wal_cursor_t **cursor);
void flk_wal_cursor_destroy(flk_wal_cursor_t **cursor);
/* The next durable record that is not acked. FLK_E_NOT_FOUND at the head of the log: rewind, or call again later.
 * FLK_E_CORRUPT, FLK_E_IO: this record cannot be read (errmsg names file and offset); the cursor has moved past it. */
FLK_MUST_CHECK flk_err_t flk_wal_cursor_next(flk_wal_cursor_t *cursor, flk_wal_record_t *record, char *errmsg);
void flk_wal_cursor_rewind(flk_wal_cursor_t *cursor); /* back to the oldest un-acked record */

#endif
