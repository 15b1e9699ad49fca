/* SPDX-License-Identifier: MIT */
/* 1. Pick the oldest segment behind the last finished one that has an un-acked record, and the waypoint before it.
 * 2. Read item by item up to the durable end; hand out records whose bit is not set.
 * 3. At the end of a sealed segment go on with the next; at the end of the active one say so and stay.
 *
 * The file may be replaced (compacted) or removed meanwhile. One that is open stays readable and complete, since a
 * replacement only drops settled records. Between picking and opening it a replacement shows in `generation`. */
#include <stdlib.h>

#include "common/io.h"
#include "common/wal/cursor.h"
#include "common/wal/scan.h"
#include "common/wal/state.h"

struct flk_wal_cursor {
    flk_wal_t *wal;
    flk_wal_scan_t scan; /* its fd is open while a segment is being read */
    uint64_t number;     /* of that segment; else of the last finished one */
    uint32_t generation; /* of its file */
    uint64_t next_lsn;   /* nothing below it is handed out any more */
};

flk_err_t flk_wal_cursor_new(flk_wal_t *wal, flk_wal_cursor_t **cursor) {
    *cursor = calloc(1, sizeof **cursor);
    if (*cursor == NULL) {
        return FLK_E_NOMEM;
    }
    (*cursor)->wal = wal;
    flk_wal_scan_init(&(*cursor)->scan);
    return FLK_OK;
}

void flk_wal_cursor_destroy(flk_wal_cursor_t **cursor) {
    if (*cursor != NULL) {
        flk_wal_scan_fini(&(*cursor)->scan);
        free(*cursor);
        *cursor = NULL;
    }
}

void flk_wal_cursor_rewind(flk_wal_cursor_t *cursor) {
    flk_wal_scan_close(&cursor->scan);
    cursor->number = 0;
    cursor->next_lsn = 0;
}

typedef struct place {
    char name[FLK_WAL_NAME_BYTES];
    uint64_t number, limit;
    uint32_t generation;
    flk_wal_waypoint_t from;
} place_t;

static bool pick(flk_wal_cursor_t *cursor, place_t *place) {
    flk_wal_t *wal = cursor->wal;
    bool found = false;
    pthread_mutex_lock(&wal->shared.lock);
    for (size_t i = 0; i < wal->shared.segments.len && !found; i++) {
        flk_wal_segment_t *segment = wal->shared.segments.at[i];
        if (segment->number > cursor->number && segment->unacked > 0) {
            *place = (place_t){.number = segment->number,
                               .limit = segment->bytes,
                               .generation = segment->generation,
                               .from = flk_wal_segment_oldest(segment)};
            memcpy(place->name, segment->name, sizeof place->name);
            found = true;
        }
    }
    pthread_mutex_unlock(&wal->shared.lock);
    return found;
}

static bool unchanged(flk_wal_t *wal, const place_t *place) {
    pthread_mutex_lock(&wal->shared.lock);
    const flk_wal_segment_t *segment = flk_wal_segments_numbered(&wal->shared.segments, place->number);
    bool same = segment != NULL && segment->generation == place->generation;
    pthread_mutex_unlock(&wal->shared.lock);
    return same;
}

/* FLK_E_NOT_FOUND: nothing un-acked behind the last finished segment. */
static flk_err_t open_next(flk_wal_cursor_t *cursor, char *errmsg) {
    place_t place;
    while (pick(cursor, &place)) {
        char path[FLK_WAL_PATH_BYTES];
        flk_wal_path(cursor->wal->config.dir, place.name, path);
        flk_err_t err =
            flk_wal_scan_open(&cursor->scan, path, flk_wal_salt(cursor->wal->config.id, place.number), errmsg);
        if (!unchanged(cursor->wal, &place)) {
            continue; /* it settled or was replaced meanwhile: pick again */
        }
        cursor->number = place.number;
        if (err != FLK_OK) {
            return FLK_E_IO; /* number has moved on: the next call goes behind this segment */
        }
        cursor->scan.offset = place.from.offset;
        cursor->scan.limit = place.limit;
        cursor->generation = place.generation;
        cursor->next_lsn = place.from.lsn > cursor->next_lsn ? place.from.lsn : cursor->next_lsn;
        cursor->scan.last_lsn = place.from.lsn - 1;
        cursor->scan.lsn_max = place.from.lsn + FLK_WAL_SEGMENT_LSNS_MAX;
        return FLK_OK;
    }
    flk_wal_scan_close(&cursor->scan);
    return FLK_E_NOT_FOUND;
}

/* With the lock held: true if a record in [next_lsn, end_lsn) is un-acked; it should have been there. */
static bool missed_any(const flk_wal_cursor_t *cursor, const flk_wal_segment_t *segment, uint64_t end_lsn) {
    for (uint64_t lsn = cursor->next_lsn; lsn < end_lsn; lsn++) {
        if (flk_wal_segment_unacked(segment, lsn)) {
            return true;
        }
    }
    return false;
}

static flk_err_t report_missed(const flk_wal_cursor_t *cursor, uint64_t offset, char *errmsg) {
    flk_errmsg(errmsg,
               "%s: no valid record at offset %llu: the disk changed bytes that had been written; see flk-replay",
               cursor->scan.path, (unsigned long long)offset);
    return FLK_E_CORRUPT;
}

/* At the limit. FLK_OK: there is more to read now, here or in another segment. */
static flk_err_t go_on(flk_wal_cursor_t *cursor, const flk_wal_found_t *found, char *errmsg) {
    flk_err_t err = FLK_OK;
    bool finished = true;
    pthread_mutex_lock(&cursor->wal->shared.lock);
    const flk_wal_segment_t *segment = flk_wal_segments_numbered(&cursor->wal->shared.segments, cursor->number);
    if (segment != NULL && segment->generation != cursor->generation) {
        cursor->number--; /* replaced: pick it again for items that came behind the limit */
    } else if (segment != NULL && segment->bytes > cursor->scan.limit) {
        cursor->scan.limit = segment->bytes;
        finished = false;
    } else if (segment != NULL && missed_any(cursor, segment, segment->end_lsn)) {
        cursor->next_lsn = segment->end_lsn;
        finished = false;
        err = FLK_E_CORRUPT;
    } else if (segment != NULL && !segment->sealed) {
        finished = false;
        err = FLK_E_NOT_FOUND;
    }
    pthread_mutex_unlock(&cursor->wal->shared.lock);
    if (finished) {
        flk_wal_scan_close(&cursor->scan);
    }
    return err == FLK_E_CORRUPT ? report_missed(cursor, found->skipped_offset, errmsg) : err;
}

typedef enum verdict { PASS_OVER, DELIVER, MISSED } verdict_t;

static verdict_t judge(flk_wal_cursor_t *cursor, const flk_wal_found_t *found) {
    verdict_t verdict = PASS_OVER;
    const uint64_t lsn = found->header.lsn;
    pthread_mutex_lock(&cursor->wal->shared.lock);
    const flk_wal_segment_t *segment = flk_wal_segments_numbered(&cursor->wal->shared.segments, cursor->number);
    if (segment != NULL && missed_any(cursor, segment, lsn)) {
        verdict = MISSED;
    } else if (segment != NULL && lsn >= cursor->next_lsn && found->header.type == FLK_WAL_ITEM_RECORD &&
               flk_wal_segment_unacked(segment, lsn)) {
        verdict = DELIVER;
    }
    pthread_mutex_unlock(&cursor->wal->shared.lock);
    const uint64_t next_lsn = verdict == MISSED ? lsn : lsn + 1;
    cursor->next_lsn = next_lsn > cursor->next_lsn ? next_lsn : cursor->next_lsn;
    return verdict;
}

/* One item. FLK_OK with *delivered says whether `record` was filled. */
static flk_err_t step(flk_wal_cursor_t *cursor, flk_wal_record_t *record, bool *delivered, char *errmsg) {
    flk_wal_found_t found;
    flk_err_t err = flk_wal_scan_next(&cursor->scan, &found, errmsg);
    if (err == FLK_E_NOT_FOUND) {
        return go_on(cursor, &found, errmsg);
    }
    if (err != FLK_OK) {
        return err;
    }
    switch (judge(cursor, &found)) {
    case PASS_OVER:
        break;
    case DELIVER:
        *delivered = true;
        *record = (flk_wal_record_t){.lsn = found.header.lsn,
                                     .time_ms = found.header.time_ms,
                                     .kind = found.header.kind,
                                     .body_bytes = found.header.body_bytes,
                                     .body = found.body};
        break;
    case MISSED: /* say so, and find the same item again at the next call */
        cursor->scan.offset = found.offset;
        cursor->scan.last_lsn = found.header.lsn - 1;
        return report_missed(cursor, found.skipped_offset, errmsg);
    }
    return FLK_OK;
}

flk_err_t flk_wal_cursor_next(flk_wal_cursor_t *cursor, flk_wal_record_t *record, char *errmsg) {
    bool delivered = false;
    flk_err_t err = FLK_OK;
    while (err == FLK_OK && !delivered) {
        err = cursor->scan.fd < 0 ? open_next(cursor, errmsg) : step(cursor, record, &delivered, errmsg);
    }
    return err;
}
