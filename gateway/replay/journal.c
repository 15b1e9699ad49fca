/* SPDX-License-Identifier: MIT */
/* 1. Read the log once for its acks, and sort them by the record that they settle.
 * 2. Read it again for its records; look each one's ack up; parse the body where somebody asks for it.
 *
 * Acking twice does nothing, so the first ack of a record counts. Records that come in between the two readings are
 * left out; an ack that comes in shows its record as un-acked, as it was. */
#include "gateway/replay/journal.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/replay/filter.h"
#include "proto/inbox_format.h"

typedef struct ack {
    uint64_t lsn; /* of the record */
    uint64_t own_lsn;
    int64_t time_ms;
    flk_wal_mark_t mark;
} ack_t;

struct flk_journal {
    char *dir;
    ack_t *acks; /* sorted by lsn, own_lsn */
    size_t acks_len, acks_capacity;
    size_t damage;
    uint64_t log_id, last_lsn;
    bool out_of_memory;

    flk_pcs_reader_t *reader;
    flk_pcs_t pcs;

    /* of one flk_journal_each */
    const flk_filter_t *filter;
    bool wants_pcs;
    flk_journal_visit_fn *visit;
    void *arg;
};

static bool add_ack(flk_journal_t *journal, const flk_wal_item_t *item) {
    if (journal->acks_len == journal->acks_capacity) {
        size_t capacity = journal->acks_capacity * 2 + 1024;
        ack_t *acks = realloc(journal->acks, capacity * sizeof *acks);
        if (acks == NULL) {
            return false;
        }
        journal->acks = acks;
        journal->acks_capacity = capacity;
    }
    journal->acks[journal->acks_len++] = (ack_t){.lsn = item->acked_lsn,
                                                 .own_lsn = item->record.lsn,
                                                 .time_ms = item->record.time_ms,
                                                 .mark = item->ending.mark};
    return true;
}

static bool take_ack(void *arg, const flk_wal_item_t *item) {
    flk_journal_t *journal = arg;
    journal->log_id = item->log_id;
    const bool sound = item->type == FLK_WAL_ITEM_RECORD || item->type == FLK_WAL_ITEM_ACK;
    journal->damage += !sound && item->type != FLK_WAL_ITEM_TORN;
    if (sound && item->record.lsn > journal->last_lsn) {
        journal->last_lsn = item->record.lsn;
    }
    journal->out_of_memory = item->type == FLK_WAL_ITEM_ACK && !add_ack(journal, item);
    return !journal->out_of_memory;
}

static int compare_acks(const void *a_arg, const void *b_arg) {
    const ack_t *a = a_arg, *b = b_arg;
    if (a->lsn != b->lsn) {
        return a->lsn < b->lsn ? -1 : 1;
    }
    return (a->own_lsn > b->own_lsn) - (a->own_lsn < b->own_lsn);
}

flk_err_t flk_journal_open(const char *dir, flk_journal_t **journal, char *errmsg) {
    flk_journal_t *mine = flk_start_alloc(sizeof *mine);
    *journal = mine;
    mine->dir = strdup(dir);
    mine->reader = flk_pcs_reader_new();
    flk_err_t err = FLK_E_NOMEM;
    if (mine->dir != NULL && mine->reader != NULL) {
        err = flk_wal_read(dir, take_ack, mine, errmsg);
        err = err == FLK_OK && mine->out_of_memory ? FLK_E_NOMEM : err;
    }
    if (err == FLK_E_NOMEM) {
        flk_errmsg(errmsg, "out of memory while reading the acks of %s", dir);
    }
    if (err != FLK_OK) {
        flk_journal_close(journal);
        return err;
    }
    if (mine->acks_len > 0) {
        qsort(mine->acks, mine->acks_len, sizeof *mine->acks, compare_acks);
    }
    return FLK_OK;
}

void flk_journal_close(flk_journal_t **journal) {
    flk_journal_t *mine = *journal;
    *journal = NULL;
    if (mine != NULL) {
        flk_pcs_reader_destroy(&mine->reader);
        free(mine->acks);
        free(mine->dir);
        free(mine);
    }
}

/* The first ack of the record; NULL without one. */
static const ack_t *find_ack(const flk_journal_t *journal, uint64_t lsn) {
    size_t low = 0, high = journal->acks_len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (journal->acks[middle].lsn < lsn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < journal->acks_len && journal->acks[low].lsn == lsn ? &journal->acks[low] : NULL;
}

static void parse(flk_journal_t *journal, flk_journal_record_t *record) {
    if (record->kind == FLK_BODY_JSON) {
        record->parse_err = flk_pcs_from_json(record->body, record->body_bytes, &journal->pcs, &record->fault);
    } else {
        record->parse_err =
            flk_pcs_from_msgpack(journal->reader, record->body, record->body_bytes, &journal->pcs, &record->fault);
    }
    record->pcs = record->parse_err == FLK_OK ? &journal->pcs : NULL;
}

static bool take_record(void *arg, const flk_wal_item_t *item) {
    flk_journal_t *journal = arg;
    if (item->type != FLK_WAL_ITEM_RECORD || item->record.lsn > journal->last_lsn) {
        return true;
    }
    flk_journal_record_t record = {
        .lsn = item->record.lsn,
        .offset = item->offset,
        .time_ms = item->record.time_ms,
        .segment = item->segment,
        .kind = item->record.kind,
        .body_bytes = item->record.body_bytes,
        .body = item->record.body,
    };
    const ack_t *ack = find_ack(journal, record.lsn);
    if (ack != NULL) {
        record.acked = true;
        record.acked_ms = ack->time_ms;
        record.mark = ack->mark;
    }
    if (!flk_filter_matches_outside(journal->filter, &record)) {
        return true;
    }
    if (journal->wants_pcs || flk_filter_needs_pcs(journal->filter)) {
        parse(journal, &record);
    }
    journal->out_of_memory = record.parse_err == FLK_E_NOMEM;
    bool more = !journal->out_of_memory;
    if (more && flk_filter_matches_inside(journal->filter, &record)) {
        more = journal->visit(journal->arg, &record);
    }
    if (record.pcs != NULL) {
        flk_pcs_fini(&journal->pcs);
    }
    return more;
}

flk_err_t flk_journal_each(flk_journal_t *journal, const flk_filter_t *filter, bool pcs, flk_journal_visit_fn *visit,
                           void *arg, char *errmsg) {
    journal->filter = filter;
    journal->wants_pcs = pcs;
    journal->visit = visit;
    journal->arg = arg;
    flk_err_t err = flk_wal_read(journal->dir, take_record, journal, errmsg);
    if (err == FLK_OK && journal->out_of_memory) {
        flk_errmsg(errmsg, "out of memory while reading a record of %s", journal->dir);
        err = FLK_E_NOMEM;
    }
    return err;
}

size_t flk_journal_damage(const flk_journal_t *journal) {
    return journal->damage;
}

uint64_t flk_journal_log_id(const flk_journal_t *journal) {
    return journal->log_id;
}
