/* SPDX-License-Identifier: MIT */
/* A segment in memory costs one bit an item while anything in it awaits an ack, and 6 KiB of waypoints; about 200
 * bytes after that.
 *
 * A set bit means "nothing to deliver": the record was acked, the item is an ack itself, or its number was never used.
 * Bits are made only from items that were read and checked. */
#include <stdlib.h>
#include <string.h>

#include "common/wal/segment.h"

enum { WORD_BITS = 64, WAYPOINT_ITEMS = 1024, WAYPOINT_MS = 1000, WAYPOINTS_MAX = 256 };

flk_wal_segment_t *flk_wal_segment_new(uint64_t number, uint64_t first_lsn, uint64_t items_max) {
    flk_wal_segment_t *segment = calloc(1, sizeof *segment);
    uint64_t words = (items_max + WORD_BITS - 1) / WORD_BITS + 1;
    uint64_t *acked = calloc(words, sizeof *acked); /* large ones are mapped and cost memory only where written */
    flk_wal_waypoint_t *waypoints = calloc(WAYPOINTS_MAX, sizeof *waypoints);
    if (segment == NULL || acked == NULL || waypoints == NULL) {
        free(segment);
        free(acked);
        free(waypoints);
        return NULL;
    }
    *segment = (flk_wal_segment_t){
        .number = number,
        .first_lsn = first_lsn,
        .end_lsn = first_lsn,
        .first_unacked = first_lsn,
        .bytes = FLK_WAL_SEGMENT_HEADER_BYTES,
        .acked = acked,
        .acked_capacity = words * WORD_BITS,
        .waypoints = waypoints,
        .acks_lsn_min = UINT64_MAX,
    };
    return segment;
}

void flk_wal_segment_destroy(flk_wal_segment_t **segment) {
    if (*segment != NULL) {
        free((*segment)->acked);
        free((*segment)->refused);
        free((*segment)->waypoints);
        free(*segment);
        *segment = NULL;
    }
}

flk_err_t flk_wal_segment_reserve(flk_wal_segment_t *segment, uint64_t lsn) {
    uint64_t bits = lsn - segment->first_lsn + 1;
    if (bits <= segment->acked_capacity) {
        return FLK_OK;
    }
    uint64_t old_words = segment->acked_capacity / WORD_BITS, words = bits / WORD_BITS * 2 + 1;
    uint64_t *acked = realloc(segment->acked, words * sizeof *acked);
    if (acked == NULL) {
        return FLK_E_NOMEM;
    }
    memset(acked + old_words, 0, (words - old_words) * sizeof *acked);
    segment->acked = acked;
    segment->acked_capacity = words * WORD_BITS;
    return FLK_OK;
}

static void set_bit(flk_wal_segment_t *segment, uint64_t lsn) {
    uint64_t bit = lsn - segment->first_lsn;
    segment->acked[bit / WORD_BITS] |= UINT64_C(1) << bit % WORD_BITS;
}

/* When the table is full every other waypoint goes, and from then on they are set twice as far apart. */
static void add_waypoint(flk_wal_segment_t *segment, const flk_wal_item_header_t *item, uint64_t offset) {
    if (segment->waypoints_len > 0) {
        const flk_wal_waypoint_t *last = &segment->waypoints[segment->waypoints_len - 1];
        if (item->lsn - last->lsn < (uint64_t)WAYPOINT_ITEMS << segment->waypoints_halved &&
            item->time_ms - last->time_ms < (int64_t)WAYPOINT_MS << segment->waypoints_halved) {
            return;
        }
    }
    if (segment->waypoints_len == WAYPOINTS_MAX) {
        for (size_t i = 0; i < WAYPOINTS_MAX / 2; i++) {
            segment->waypoints[i] = segment->waypoints[i * 2];
        }
        segment->waypoints_len = WAYPOINTS_MAX / 2;
        segment->waypoints_halved++;
    }
    segment->waypoints[segment->waypoints_len++] =
        (flk_wal_waypoint_t){.lsn = item->lsn, .offset = offset, .time_ms = item->time_ms};
}

void flk_wal_segment_skip_to(flk_wal_segment_t *segment, uint64_t end_lsn) {
    for (; segment->end_lsn < end_lsn; segment->end_lsn++) {
        set_bit(segment, segment->end_lsn);
    }
}

void flk_wal_segment_add(flk_wal_segment_t *segment, const flk_wal_item_header_t *item, uint64_t offset) {
    FLK_ASSERT(item->lsn >= segment->end_lsn && item->lsn - segment->first_lsn < segment->acked_capacity);
    flk_wal_segment_skip_to(segment, item->lsn);
    if (item->type == FLK_WAL_ITEM_RECORD) {
        segment->records++;
        segment->unacked++;
        segment->unsettled++;
    } else {
        set_bit(segment, item->lsn);
    }
    add_waypoint(segment, item, offset);
    segment->end_lsn = item->lsn + 1;
    segment->bytes = offset + flk_wal_item_bytes(item->body_bytes);
    segment->last_ms = item->time_ms;
}

void flk_wal_segment_refuse(flk_wal_segment_t *segment, uint64_t lsn) {
    if (segment->acked == NULL || lsn < segment->first_lsn || lsn >= segment->end_lsn) {
        return;
    }
    if (segment->refused == NULL) { /* as many bits as are there now: a later number is of no use, and is not noted */
        segment->refused_capacity = segment->acked_capacity;
        segment->refused = calloc(segment->refused_capacity / WORD_BITS, sizeof *segment->refused);
    }
    uint64_t bit = lsn - segment->first_lsn;
    if (segment->refused != NULL && bit < segment->refused_capacity) {
        segment->refused[bit / WORD_BITS] |= UINT64_C(1) << bit % WORD_BITS;
    }
}

bool flk_wal_segment_refused(const flk_wal_segment_t *segment, uint64_t lsn) {
    uint64_t bit = lsn - segment->first_lsn;
    return segment->refused != NULL && lsn >= segment->first_lsn && bit < segment->refused_capacity &&
           (segment->refused[bit / WORD_BITS] >> bit % WORD_BITS & 1) != 0;
}

bool flk_wal_segment_unacked(const flk_wal_segment_t *segment, uint64_t lsn) {
    if (segment->acked == NULL || lsn < segment->first_lsn || lsn >= segment->end_lsn) {
        return false;
    }
    uint64_t bit = lsn - segment->first_lsn;
    return (segment->acked[bit / WORD_BITS] >> bit % WORD_BITS & 1) == 0;
}

bool flk_wal_segment_ack(flk_wal_segment_t *segment, uint64_t lsn) {
    if (!flk_wal_segment_unacked(segment, lsn)) {
        return false;
    }
    set_bit(segment, lsn);
    segment->unacked--;
    return true;
}

flk_wal_waypoint_t flk_wal_segment_oldest(flk_wal_segment_t *segment) {
    FLK_ASSERT(segment->unacked > 0);
    uint64_t bit = segment->first_unacked - segment->first_lsn;
    uint64_t word = ~segment->acked[bit / WORD_BITS] & UINT64_MAX << bit % WORD_BITS;
    for (bit -= bit % WORD_BITS; word == 0;) { /* ends: an un-acked record has a clear bit */
        bit += WORD_BITS;
        word = ~segment->acked[bit / WORD_BITS];
    }
    segment->first_unacked = segment->first_lsn + bit + (uint64_t)__builtin_ctzll(word);

    size_t low = 0, high = segment->waypoints_len; /* the last waypoint at or before it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (segment->waypoints[middle].lsn <= segment->first_unacked) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    flk_wal_waypoint_t from = {
        .lsn = segment->first_lsn, .offset = FLK_WAL_SEGMENT_HEADER_BYTES, .time_ms = segment->last_ms};
    if (low > 0) {
        from = segment->waypoints[low - 1];
    }
    return from;
}

void flk_wal_segment_settle(flk_wal_segment_t *segment, void *to_free[3]) {
    FLK_ASSERT(segment->unacked == 0 && segment->unsettled == 0 && segment->sealed);
    to_free[0] = segment->acked;
    to_free[1] = segment->waypoints;
    to_free[2] = segment->refused;
    segment->acked = NULL;
    segment->waypoints = NULL;
    segment->refused = NULL;
    segment->waypoints_len = 0;
}

flk_err_t flk_wal_segments_reserve(flk_wal_segments_t *segments, size_t capacity) {
    if (capacity <= segments->capacity) {
        return FLK_OK;
    }
    flk_wal_segment_t **at = realloc(segments->at, (capacity + 16) * sizeof *at);
    if (at == NULL) {
        return FLK_E_NOMEM;
    }
    segments->at = at;
    segments->capacity = capacity + 16;
    return FLK_OK;
}

flk_wal_segment_t *flk_wal_segments_find(const flk_wal_segments_t *segments, uint64_t lsn) {
    size_t low = 0, high = segments->len;
    while (low < high) { /* the last segment that does not begin behind lsn */
        size_t middle = low + (high - low) / 2;
        if (segments->at[middle]->first_lsn <= lsn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0 || lsn >= segments->at[low - 1]->end_lsn) {
        return NULL;
    }
    return segments->at[low - 1];
}

flk_wal_segment_t *flk_wal_segments_numbered(const flk_wal_segments_t *segments, uint64_t number) {
    for (size_t low = 0, high = segments->len; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (segments->at[middle]->number == number) {
            return segments->at[middle];
        }
        if (segments->at[middle]->number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

void flk_wal_segments_remove(flk_wal_segments_t *segments, size_t index) {
    segments->len--;
    memmove(segments->at + index, segments->at + index + 1, (segments->len - index) * sizeof *segments->at);
}
