/* SPDX-License-Identifier: MIT */
/* Which copy of a log this is. Records are named by (number, LSN) wherever they go, and a copied directory would name
 * its new records as the original names its own: the outcome of one would settle the other. So each log has a number
 * that belongs to its place (machine, device and inode of its lock file). A log that finds itself in another place
 * draws a new number.
 *
 * Decided. Segments keep the log's first number as their salt and lineage; new ones also have the number of their time
 * in the header, for tools. Every record, also one that came with the copy, is driven under the number of now: LSNs go
 * on rising through a move, so (number, LSN) still names one record, and no copy ever shares a name with the original.
 * A verdict for the old name that comes late is another log's, and is dropped; the record is driven again under its new
 * name, and the store answers it as before. A move costs nothing else, so a place that only looks new (another device
 * number after a reboot) does no harm.
 *
 * Not seen here: a clone of a whole machine or volume that keeps machine id, device and inode, and a volume that was
 * rolled back in place. There the gateway's own check holds: it takes no outcome of another pcs_id. */
#ifndef FLK_COMMON_WAL_IDENTITY_H
#define FLK_COMMON_WAL_IDENTITY_H

#include "common/wal/state.h"

/* Sets config.number from the lock file, which is open and locked, or draws one. `log_there`: there was a log before;
 * `last_number`: that of its last segment. Writes the lock file if it changed; a failure is left to the next start. */
void flk_wal_identity_take(flk_wal_config_t *config, bool log_there, uint64_t last_number);

#endif
