/* SPDX-License-Identifier: MIT */
/* The bytes of a segment: header, items, acks. Pure functions. */
#ifndef FLK_COMMON_WAL_FORMAT_H
#define FLK_COMMON_WAL_FORMAT_H

#include "common/wal/read.h"

enum {
    FLK_WAL_VERSION = 2,     /* of new segments */
    FLK_WAL_VERSION_MIN = 1, /* read for ever */
    FLK_WAL_SEGMENT_HEADER_BYTES = 88,
    FLK_WAL_ITEM_HEADER_BYTES = 40,
    FLK_WAL_ACK_BYTES = 16, /* the mark alone; all of format 1 */
    FLK_WAL_ACK_BYTES_MAX =
        FLK_WAL_ACK_BYTES + 4 + FLK_WAL_SUBJECT_BYTES + FLK_WAL_KEY_BYTES + FLK_WAL_OUTCOME_BYTES_MAX,
    FLK_WAL_ACK_BYTES_READ = 4096, /* of later layouts: passed over behind the mark */
    FLK_WAL_ALIGN_BYTES = 8,
    FLK_WAL_BODY_BYTES_MAX = 64 << 20,  /* of the format; the caller's own limit is below it */
    FLK_WAL_SEGMENT_LSNS_MAX = 1 << 26, /* LSNs of one segment: twice the empty items of 1 GiB */
};
#define FLK_WAL_SEGMENT_BYTES_MAX (UINT64_C(2) << 30) /* of a file; the caller's own limit is half of it */
#define FLK_WAL_NUMBER_MAX        (UINT64_C(1) << 62) /* of LSNs and segment numbers: one more never wraps */

typedef struct flk_wal_header {
    uint32_t version; /* set by decode; encode always writes FLK_WAL_VERSION */
    uint64_t log_id, number;
    uint64_t first_lsn;   /* no item of the segment is below it; items of earlier segments from it on are void */
    uint64_t durable_lsn; /* the last durable item when the segment was made: all up to it was promised */
    uint64_t created_ms;
    bool sparse;      /* rewritten: holds `items` items with gaps between their LSNs, all of them synced */
    uint64_t end_lsn; /* sparse: one behind the last item of the original */
    uint64_t items;   /* sparse */
    uint64_t name_id; /* flk_wal_id when the segment was made */
    bool acks_kept;   /* sparse: no ack was left out or lost, so followers of the log miss none */
} flk_wal_header_t;

typedef struct flk_wal_item_header {
    uint64_t lsn;
    int64_t time_ms;
    uint32_t body_bytes;
    uint32_t unsynced; /* the item was written when everything up to lsn - unsynced was durable */
    uint8_t type;      /* flk_wal_item_type_t: RECORD or ACK */
    uint8_t kind;
} flk_wal_item_header_t;

/* The salt of a segment's checksums. */
uint64_t flk_wal_salt(uint64_t log_id, uint64_t number);

void flk_wal_header_encode(const flk_wal_header_t *header, uint8_t out[FLK_WAL_SEGMENT_HEADER_BYTES]);
/* False for anything that is not a whole, undamaged header; the other fields mean something in a known version only. */
bool flk_wal_header_decode(const uint8_t in[FLK_WAL_SEGMENT_HEADER_BYTES], flk_wal_header_t *header);

void flk_wal_item_encode(const flk_wal_item_header_t *item, const void *body, uint64_t salt,
                         uint8_t out[FLK_WAL_ITEM_HEADER_BYTES]);
/* Reads the fields and checks magic, type and length; the checksum needs the body too: flk_wal_item_check. */
bool flk_wal_item_decode(const uint8_t in[FLK_WAL_ITEM_HEADER_BYTES], flk_wal_item_header_t *item);
bool flk_wal_item_check(const uint8_t in[FLK_WAL_ITEM_HEADER_BYTES], const void *body, uint32_t body_bytes,
                        uint64_t salt);
/* Writes the body of an ack and returns its bytes: FLK_WAL_ACK_BYTES when there is nothing but the mark. */
uint32_t flk_wal_ack_encode(uint64_t lsn, const flk_wal_ending_t *ending, uint8_t out[FLK_WAL_ACK_BYTES_MAX]);
/* Reads the body of an ack that checked, `ending` pointing into it. Of a later layout the mark alone. */
void flk_wal_ack_decode(const uint8_t *in, uint32_t bytes, uint64_t *lsn, flk_wal_ending_t *ending);

/* Bytes of an item on disk, padding included. */
static inline uint64_t flk_wal_item_bytes(uint32_t body_bytes) {
    return (FLK_WAL_ITEM_HEADER_BYTES + (uint64_t)body_bytes + FLK_WAL_ALIGN_BYTES - 1) &
           ~(uint64_t)(FLK_WAL_ALIGN_BYTES - 1);
}

#endif
