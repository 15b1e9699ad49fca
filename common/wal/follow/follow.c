/* SPDX-License-Identifier: MIT */
/* Segment after segment, item after item:
 * 1. A record: only its place is noted (part.c).
 * 2. An ack: its record is looked up by its place, in this segment or one before. That is an outcome.
 * 3. No item up to the limit: if there is a later segment, go on there; else look whether the log went on, and wait.
 *
 * The limit of a segment is where its durable items end (listing.c), or for the last one the LSN that the writer has
 * published (durable.h). `expected` keeps the account: each LSN below it was seen, was never promised, or was told as a
 * gap. A segment's header says the log's durable LSN at its making; an expected LSN at or below that is missing. LSNs
 * that nobody was promised (a group that failed twice) lie above it and are passed over in silence. */
#include "common/wal/follow/follow.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/wal/follow/durable.h"
#include "common/wal/follow/listing.h"
#include "common/wal/follow/part.h"
#include "common/wal/follow/watch.h"

enum { PARTS = 4 }; /* open segments: records are rarely further back */

struct flk_wal_follow {
    flk_wal_watch_t watch;
    flk_wal_listing_t listing;
    int durable_fd; /* -1: there is no such file yet */
    uint64_t durable_lsn;
    uint64_t position, expected;
    uint64_t number; /* of the segment that is read, or was read last */
    bool reading;    /* parts[at] is it */
    size_t at;
    flk_wal_part_t parts[PARTS]; /* header.number 0: free. Those before are kept for look-ups */
    flk_wal_part_reader_t reader;
};

/* ---- the log as it is now ---- */

static void close_part(flk_wal_follow_t *follow, flk_wal_part_t *part) {
    follow->reader.part = follow->reader.part == part ? NULL : follow->reader.part;
    flk_wal_part_fini(part);
}

/* Files that the log removed give their space back when nobody has them open. */
static void let_go_of_removed(flk_wal_follow_t *follow) {
    for (size_t i = 0; i < PARTS; i++) {
        flk_wal_part_t *part = &follow->parts[i];
        const bool current = follow->reading && i == follow->at;
        if (part->header.number != 0 && !current && !flk_wal_listing_has(&follow->listing, part->header.number)) {
            close_part(follow, part);
        }
    }
}

static void set_limit(flk_wal_follow_t *follow) {
    flk_wal_part_t *part = &follow->parts[follow->at];
    if (!follow->reading || part->header.sparse) {
        return;
    }
    const uint64_t limit = flk_wal_listing_limit(&follow->listing, part->header.number);
    const uint64_t now = limit == UINT64_MAX ? follow->durable_lsn : limit;
    if (now != part->limit_lsn) {
        part->limit_lsn = now;
        flk_wal_part_refresh(part);
    }
}

/* FLK_E_AGAIN: the log is as it was. */
static flk_err_t refresh(flk_wal_follow_t *follow, char *errmsg) {
    const uint64_t durable_before = follow->durable_lsn;
    const bool was_last = flk_wal_listing_next(&follow->listing, follow->number) == NULL;
    flk_wal_watch_look(&follow->watch);
    if (follow->durable_fd < 0) {
        (void)!flk_wal_durable_open(follow->listing.dir, &follow->durable_fd, NULL);
    }
    const uint64_t published = follow->durable_fd < 0 ? 0 : flk_wal_durable_read(follow->durable_fd);
    if (flk_wal_watch_renamed(&follow->watch) || published == 0) {
        flk_err_t err = flk_wal_listing_load(&follow->listing, errmsg);
        if (err != FLK_OK) {
            follow->watch.renamed = true; /* to be listed again */
            return err;
        }
        let_go_of_removed(follow);
        const uint64_t listed = flk_wal_listing_durable(&follow->listing);
        follow->durable_lsn = listed > follow->durable_lsn ? listed : follow->durable_lsn;
    }
    follow->durable_lsn = published > follow->durable_lsn ? published : follow->durable_lsn;
    set_limit(follow);
    const bool more = was_last && flk_wal_listing_next(&follow->listing, follow->number) != NULL;
    return more || follow->durable_lsn > durable_before ? FLK_OK : FLK_E_AGAIN;
}

/* ---- records ---- */

/* A place in `parts` for another segment; never that of the segment being read. */
static flk_wal_part_t *free_part(flk_wal_follow_t *follow) {
    flk_wal_part_t *oldest = NULL;
    for (size_t i = 0; i < PARTS; i++) {
        flk_wal_part_t *part = &follow->parts[i];
        const bool current = follow->reading && i == follow->at;
        if (!current && (oldest == NULL || part->header.number < oldest->header.number)) {
            oldest = part;
        }
    }
    close_part(follow, oldest);
    return oldest;
}

/* Opens a segment before the one being read and notes the places of all its items. */
static flk_err_t open_older(flk_wal_follow_t *follow, const flk_wal_file_t *file, flk_wal_part_t **opened,
                            char *errmsg) {
    flk_wal_part_t *part = free_part(follow);
    flk_wal_found_t found;
    const uint64_t limit = flk_wal_listing_limit(&follow->listing, file->number);
    flk_err_t err = flk_wal_part_open(part, follow->listing.dir, file->name, limit, errmsg);
    while (err == FLK_OK) {
        err = flk_wal_part_next(part, &found, errmsg);
    }
    if (err != FLK_E_NOT_FOUND || part->header.number == 0) {
        close_part(follow, part);
        return err;
    }
    *opened = part;
    return FLK_OK;
}

/* FLK_E_NOT_FOUND: its segment is not there any more. */
static flk_err_t part_of(flk_wal_follow_t *follow, uint64_t lsn, flk_wal_part_t **part, char *errmsg) {
    *part = &follow->parts[follow->at];
    if (lsn >= (*part)->header.first_lsn) {
        return FLK_OK;
    }
    const flk_wal_file_t *file = flk_wal_listing_of(&follow->listing, lsn);
    if (file == NULL) {
        return FLK_E_NOT_FOUND;
    }
    for (size_t i = 0; i < PARTS; i++) {
        if (follow->parts[i].header.number == file->number) {
            *part = &follow->parts[i];
            return FLK_OK;
        }
    }
    flk_err_t err = open_older(follow, file, part, errmsg);
    return err == FLK_E_CORRUPT ? FLK_E_NOT_FOUND : err;
}

static flk_err_t join_record(flk_wal_follow_t *follow, flk_wal_follow_item_t *item, char *errmsg) {
    flk_wal_part_t *part;
    flk_wal_found_t found;
    flk_err_t err = part_of(follow, item->record.lsn, &part, errmsg);
    if (err == FLK_OK) {
        err = flk_wal_part_find(part, &follow->reader, item->record.lsn, &found);
    }
    if (err == FLK_E_NOMEM) {
        flk_errmsg(errmsg, "cannot follow %s: out of memory", follow->listing.dir);
    }
    if (err == FLK_OK && found.header.type == FLK_WAL_ITEM_RECORD) {
        item->record_log_id = part->header.name_id;
        item->record.time_ms = found.header.time_ms;
        item->record.kind = found.header.kind;
        item->record.body_bytes = found.header.body_bytes;
        item->record.body = found.body;
    }
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

/* ---- items ---- */

static void tell_gap(flk_wal_follow_t *follow, flk_wal_follow_item_t *item, uint64_t last, bool damaged) {
    *item = (flk_wal_follow_item_t){.is_gap = true,
                                    .gap_from_lsn = follow->expected,
                                    .lsn = last,
                                    .gap = damaged ? FLK_WAL_GAP_DAMAGED : FLK_WAL_GAP_RETIRED};
    follow->position = last;
    follow->expected = last + 1;
}

/* Opens the segment behind the last one. FLK_E_AGAIN: there is none, or its LSNs begin with a gap, which is told. */
static flk_err_t open_next(flk_wal_follow_t *follow, flk_wal_follow_item_t *item, char *errmsg) {
    const flk_wal_file_t *file = flk_wal_listing_next(&follow->listing, follow->number);
    if (file == NULL) {
        return FLK_E_AGAIN;
    }
    flk_wal_part_t *part = free_part(follow);
    flk_err_t err = flk_wal_part_open(part, follow->listing.dir, file->name, 0, errmsg);
    if (err != FLK_OK) {
        close_part(follow, part);
        follow->watch.renamed = true; /* the list is old */
        return err == FLK_E_NOT_FOUND || err == FLK_E_CORRUPT ? FLK_E_AGAIN : err;
    }
    const uint64_t before = follow->number;
    const bool adjacent = before != 0 && before + 1 == file->number;
    follow->at = (size_t)(part - follow->parts);
    follow->number = file->number;
    follow->reading = true;
    set_limit(follow);
    const uint64_t promised = part->header.durable_lsn < part->header.first_lsn ? part->header.durable_lsn : 0;
    const bool gap = promised >= follow->expected;
    if (gap) {
        tell_gap(follow, item, promised, adjacent || flk_wal_listing_damaged(&follow->listing, before, file->number));
    }
    follow->expected = part->header.first_lsn > follow->expected ? part->header.first_lsn : follow->expected;
    return gap ? FLK_OK : FLK_E_AGAIN;
}

/* LSNs that a segment lacks before `end_lsn` may have been outcomes. True: it is told. */
static bool lacks(flk_wal_follow_t *follow, uint64_t end_lsn, flk_wal_follow_item_t *item) {
    const flk_wal_header_t *header = &follow->parts[follow->at].header;
    if (follow->expected >= end_lsn || (header->sparse && header->acks_kept)) {
        return false;
    }
    tell_gap(follow, item, end_lsn - 1,
             !header->sparse || flk_wal_listing_damaged(&follow->listing, header->number, header->number + 1));
    return true;
}

static flk_err_t take_ack(flk_wal_follow_t *follow, const flk_wal_found_t *found, flk_wal_follow_item_t *item,
                          char *errmsg) {
    const flk_wal_part_t *part = &follow->parts[follow->at];
    *item = (flk_wal_follow_item_t){
        .lsn = found->header.lsn, .log_id = part->header.name_id, .time_ms = found->header.time_ms};
    flk_wal_ack_decode(found->body, found->header.body_bytes, &item->record.lsn, &item->ending);
    return join_record(follow, item, errmsg);
}

/* The next item of the segment. FLK_E_AGAIN: it was none that is handed out. FLK_E_NOT_FOUND: there is none for now. */
static flk_err_t take_next(flk_wal_follow_t *follow, flk_wal_follow_item_t *item, char *errmsg) {
    flk_wal_part_t *part = &follow->parts[follow->at];
    const uint64_t offset = part->scan.offset, last_lsn = part->scan.last_lsn;
    flk_wal_found_t found;
    flk_err_t err = flk_wal_part_next(part, &found, errmsg);
    if (err != FLK_OK || found.header.lsn < follow->expected) {
        return err == FLK_OK ? FLK_E_AGAIN : err;
    }
    if (lacks(follow, found.header.lsn, item)) {
        flk_wal_part_stand_at(part, offset, last_lsn);
        return FLK_OK;
    }
    if (found.header.type == FLK_WAL_ITEM_ACK) {
        err = take_ack(follow, &found, item, errmsg);
        if (err != FLK_OK) {
            flk_wal_part_stand_at(part, offset, last_lsn);
            return err;
        }
        follow->position = found.header.lsn;
    }
    follow->expected = found.header.lsn + 1;
    return found.header.type == FLK_WAL_ITEM_ACK ? FLK_OK : FLK_E_AGAIN;
}

/* True, and told as a gap: everything went before it was read, and nothing came since. */
static bool all_gone(flk_wal_follow_t *follow, flk_wal_follow_item_t *item) {
    const bool gone = follow->listing.directory.len == 0 && !follow->reading && follow->durable_lsn >= follow->expected;
    if (gone) {
        tell_gap(follow, item, follow->durable_lsn, false);
    }
    return gone;
}

/* The next item of all that is there. FLK_E_NOT_FOUND: the head. */
static flk_err_t step(flk_wal_follow_t *follow, flk_wal_follow_item_t *item, char *errmsg) {
    for (;;) {
        flk_err_t err = follow->reading ? take_next(follow, item, errmsg) : FLK_E_NOT_FOUND;
        if (err == FLK_E_NOT_FOUND) {
            const flk_wal_header_t *header = &follow->parts[follow->at].header;
            if (follow->reading && header->sparse && lacks(follow, header->end_lsn, item)) {
                return FLK_OK;
            }
            if (flk_wal_listing_next(&follow->listing, follow->number) == NULL) {
                return all_gone(follow, item) ? FLK_OK : FLK_E_NOT_FOUND;
            }
            follow->reading = false;
            err = open_next(follow, item, errmsg);
            if (err == FLK_E_AGAIN && !follow->reading) {
                return FLK_E_NOT_FOUND;
            }
        }
        if (err != FLK_E_AGAIN) {
            return err;
        }
    }
}

flk_err_t flk_wal_follow_next(flk_wal_follow_t *follow, uint32_t wait_ms, flk_wal_follow_item_t *item, char *errmsg) {
    const uint64_t deadline_ms = flk_mono_ms() + wait_ms;
    for (bool first = true;; first = false) {
        flk_err_t err = step(follow, item, errmsg);
        if (err != FLK_E_NOT_FOUND) {
            return err;
        }
        err = refresh(follow, errmsg);
        const uint64_t now_ms = flk_mono_ms();
        if (err == FLK_OK && (first || now_ms < deadline_ms)) {
            continue;
        }
        if (err != FLK_OK && err != FLK_E_AGAIN) {
            return err;
        }
        if (now_ms >= deadline_ms) {
            return FLK_E_AGAIN;
        }
        flk_wal_watch_sleep(&follow->watch, (uint32_t)(deadline_ms - now_ms));
    }
}

void flk_wal_follow_status(flk_wal_follow_t *follow, flk_wal_follow_status_t *status) {
    const uint64_t published = follow->durable_fd < 0 ? 0 : flk_wal_durable_read(follow->durable_fd);
    *status = (flk_wal_follow_status_t){
        .lineage = follow->listing.directory.log_id,
        .position = follow->position,
        .durable_lsn = published > follow->durable_lsn ? published : follow->durable_lsn,
        .first_lsn = flk_wal_listing_first(&follow->listing),
    };
    status->first_lsn = status->first_lsn > 0 ? status->first_lsn : status->durable_lsn + 1;
}

/* ---- opening ---- */

/* The last LSN that anything in the log speaks of, durable or not. */
static flk_err_t last_lsn(flk_wal_follow_t *follow, uint64_t *last, char *errmsg) {
    const flk_wal_directory_t *directory = &follow->listing.directory;
    const flk_wal_file_t *file = flk_wal_listing_of(&follow->listing, UINT64_MAX);
    const uint64_t noted = directory->checkpoint.next_lsn > 0 ? directory->checkpoint.next_lsn - 1 : 0;
    *last = noted > follow->durable_lsn ? noted : follow->durable_lsn;
    if (file == NULL || *last >= follow->position) {
        return FLK_OK;
    }
    flk_wal_part_t *part = free_part(follow);
    flk_wal_found_t found;
    flk_err_t err = flk_wal_part_open(part, follow->listing.dir, file->name, UINT64_MAX, errmsg);
    while (err == FLK_OK) {
        err = flk_wal_part_next(part, &found, errmsg);
    }
    *last = part->scan.last_lsn > *last ? part->scan.last_lsn : *last;
    close_part(follow, part);
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

static flk_err_t start_at(flk_wal_follow_t *follow, uint64_t after_lsn, char *errmsg) {
    uint64_t last = 0;
    follow->position = after_lsn;
    follow->expected = after_lsn + 1;
    flk_err_t err = refresh(follow, errmsg);
    err = err == FLK_OK || err == FLK_E_AGAIN ? last_lsn(follow, &last, errmsg) : err;
    if (err == FLK_OK && after_lsn > last) {
        flk_errmsg(errmsg, "%s ends at LSN %llu, before the position %llu: it is not the log that was followed",
                   follow->listing.dir, (unsigned long long)last, (unsigned long long)after_lsn);
        err = FLK_E_INVALID;
    }
    const flk_wal_file_t *file = flk_wal_listing_of(&follow->listing, after_lsn + 1);
    follow->number = file == NULL ? 0 : file->number - 1;
    return err;
}

flk_err_t flk_wal_follow_open(const char *dir, uint64_t after_lsn, flk_wal_follow_t **follow, char *errmsg) {
    flk_wal_follow_t *mine = calloc(1, sizeof *mine);
    *follow = mine;
    if (mine == NULL || strlen(dir) + FLK_WAL_NAME_BYTES >= FLK_WAL_PATH_BYTES) {
        flk_errmsg(errmsg, "cannot follow %s: %s", dir, mine == NULL ? "out of memory" : "path too long");
        free(mine);
        *follow = NULL;
        return mine == NULL ? FLK_E_NOMEM : FLK_E_CONFIG;
    }
    strcpy(mine->listing.dir, dir);
    mine->listing.directory.dir = mine->listing.dir;
    mine->durable_fd = -1;
    for (size_t i = 0; i < PARTS; i++) {
        flk_wal_part_init(&mine->parts[i]);
    }
    flk_wal_watch_init(&mine->watch, dir);
    flk_err_t err = start_at(mine, after_lsn, errmsg);
    if (err != FLK_OK) {
        flk_wal_follow_close(follow);
    }
    return err;
}

void flk_wal_follow_close(flk_wal_follow_t **follow) {
    flk_wal_follow_t *mine = *follow;
    *follow = NULL;
    if (mine == NULL) {
        return;
    }
    for (size_t i = 0; i < PARTS; i++) {
        flk_wal_part_fini(&mine->parts[i]);
    }
    if (mine->durable_fd >= 0) {
        (void)!flk_io_close(mine->durable_fd, "durable", NULL);
    }
    flk_wal_watch_fini(&mine->watch);
    flk_wal_listing_fini(&mine->listing);
    free(mine->reader.buffer);
    free(mine);
}
