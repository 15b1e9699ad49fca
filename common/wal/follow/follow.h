/* SPDX-License-Identifier: MIT */
/* The outcomes of a log in the order of their acks, from any LSN on, while the log is being written: for a feed, an
 * audit log or an exporter. Another process writes the log, or none does; nothing of it is changed and no lock is
 * taken. One follower belongs to one thread; any number may follow one log.
 *
 * An outcome is an ack, joined to its record. It is named by (log_id, lsn), lsn being the ack's: outcomes come in
 * rising order of it, each once, those that a power cut could take back not yet. A position is such an LSN: everything
 * up to it was handled. There are gaps between the LSNs of outcomes (records have LSNs too): they mean nothing.
 * Missing LSNs that might have been outcomes are told as a gap.
 *
 * A record is looked up when its ack is met, wherever it lies, also before the position that the follower began at. It
 * is not there any more when the retention or a compaction took it (401 records first), or damage did: its outcome
 * comes all the same, without body. A hold (hold.h) at the position keeps both until they were read.
 *
 * A record has one outcome. Only when damage took its ack from the log after it was handed out does the record come
 * again, under the LSN of its second ack; so a count of records goes by record.lsn. */
#ifndef FLK_COMMON_WAL_FOLLOW_FOLLOW_H
#define FLK_COMMON_WAL_FOLLOW_FOLLOW_H

#include "common/wal/record.h"

typedef struct flk_wal_follow flk_wal_follow_t; /* Opaque; fields are commented in follow.c. */

/* Why LSNs are missing. */
typedef enum flk_wal_gap {
    FLK_WAL_GAP_RETIRED, /* their segments were removed, or compacted down to the work that is left */
    FLK_WAL_GAP_DAMAGED, /* they failed their check, could not be read, or a start set them aside */
} flk_wal_gap_t;

typedef struct flk_wal_follow_item {
    bool is_gap;
    uint64_t lsn; /* the position behind the item: LSN of the ack; of a gap its last one */

    /* an outcome */
    uint64_t log_id;         /* flk_wal_id of the log when the ack was written */
    int64_t time_ms;         /* of the ack's group; record.time_ms is that of the arrival */
    flk_wal_ending_t ending; /* status, flags, reasons; since format 2 outcome, pcs_id, key */
    flk_wal_record_t record; /* lsn is always there; body NULL and kind 0: the record is not there any more */
    uint64_t record_log_id; /* flk_wal_id when the record was written, 0 without one: differs in a log that was moved */

    /* a gap: outcomes in [gap_from_lsn, lsn] are missing, if there were any */
    uint64_t gap_from_lsn;
    flk_wal_gap_t gap;
} flk_wal_follow_item_t; /* its pointers hold until the next call on the follower */

typedef struct flk_wal_follow_status {
    uint64_t lineage;     /* number of the log's first day, the same after a move: another one means another log */
    uint64_t position;    /* of the last item, or where it began */
    uint64_t durable_lsn; /* the last one that may be handed out, as far as is known: never ahead, perhaps behind */
    uint64_t first_lsn;   /* everything before it is gone; in an empty log the one to come */
} flk_wal_follow_status_t;

/* Opens a log at a position: the first item is the one behind `after_lsn`, 0 for the whole log. A position before
 * first_lsn begins with a gap. Borrows `dir` until return. Errors: FLK_E_NOT_FOUND (no log there yet), FLK_E_INVALID
 * (the position is ahead of all that the log ever held: it was replaced or rolled back), FLK_E_CONFIG (path too long, a
 * segment of a later format), FLK_E_NOMEM, FLK_E_IO. Caller frees with flk_wal_follow_close. */
FLK_MUST_CHECK flk_err_t flk_wal_follow_open(const char *dir, uint64_t after_lsn, flk_wal_follow_t **follow,
                                             char *errmsg);
void flk_wal_follow_close(flk_wal_follow_t **follow); /* NULL is allowed */

/* The next item. At the head it waits up to `wait_ms` for one; a group shows within a few milliseconds of its sync.
 * FLK_E_AGAIN: there was none in that time. FLK_E_IO, FLK_E_NOMEM: nothing was passed over, call again. FLK_E_CONFIG:
 * the log goes on in a later format. */
FLK_MUST_CHECK flk_err_t flk_wal_follow_next(flk_wal_follow_t *follow, uint32_t wait_ms, flk_wal_follow_item_t *item,
                                             char *errmsg);

/* Looks at the disk for durable_lsn alone, first_lsn is that of the last call of _next or _open. */
void flk_wal_follow_status(flk_wal_follow_t *follow, flk_wal_follow_status_t *status);

#endif
