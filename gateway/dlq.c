/* SPDX-License-Identifier: MIT */
/* The relay gives a submission, its PCS goes into the log, the log's writer reports it durable, the relay then acks the inbox and
 * answers. A crash in between drives the inbox record again: its id is found among the dead letters.
 * The log's records stay un-acked for as long as they are dead letters; acking one takes it out. */
#include "gateway/dlq.h"

#include <stdlib.h>
#include <string.h>

typedef struct letter {
    flk_wal_entry_t entry; /* first: the log hands this pointer back */
    flk_submission_t *submission;
} letter_t;

struct flk_dlq {
    flk_wal_t *wal;
    flk_dlq_stored_fn *stored;
    void *arg;
    uint8_t (
        *ids)[FLK_PCS_ID_BYTES]; /* open addressing; an all-zero place is empty (no SHA-256 is expected to be zero) */
    size_t places;               /* power of two, at least twice `len` */
    atomic_size_t len;
};

static const uint8_t no_id[FLK_PCS_ID_BYTES];

/* Where the id is, or where it would go. The ids are SHA-256: their first bytes are a hash already. */
static uint8_t *place(uint8_t (*ids)[FLK_PCS_ID_BYTES], size_t places, const uint8_t *pcs_id) {
    uint64_t hash;
    memcpy(&hash, pcs_id, sizeof hash);
    size_t at = hash & (places - 1);
    while (memcmp(ids[at], no_id, FLK_PCS_ID_BYTES) != 0 && memcmp(ids[at], pcs_id, FLK_PCS_ID_BYTES) != 0) {
        at = (at + 1) & (places - 1);
    }
    return ids[at];
}

static bool grow(flk_dlq_t *dlq) {
    size_t places = dlq->places == 0 ? 64 : dlq->places * 2;
    uint8_t(*ids)[FLK_PCS_ID_BYTES] = calloc(places, sizeof *ids);
    if (ids == NULL) {
        return false;
    }
    for (size_t i = 0; i < dlq->places; i++) {
        if (memcmp(dlq->ids[i], no_id, FLK_PCS_ID_BYTES) != 0) {
            memcpy(place(ids, places, dlq->ids[i]), dlq->ids[i], FLK_PCS_ID_BYTES);
        }
    }
    free(dlq->ids);
    dlq->ids = ids;
    dlq->places = places;
    return true;
}

bool flk_dlq_contains(const flk_dlq_t *dlq, const uint8_t pcs_id[FLK_PCS_ID_BYTES]) {
    return flk_dlq_len(dlq) > 0 && memcmp(place(dlq->ids, dlq->places, pcs_id), pcs_id, FLK_PCS_ID_BYTES) == 0;
}

size_t flk_dlq_len(const flk_dlq_t *dlq) {
    return atomic_load_explicit(&dlq->len, memory_order_relaxed);
}

void flk_dlq_remember(flk_dlq_t *dlq, const uint8_t pcs_id[FLK_PCS_ID_BYTES]) {
    if ((flk_dlq_len(dlq) + 1) * 2 > dlq->places && !grow(dlq)) {
        return;
    }
    uint8_t *at = place(dlq->ids, dlq->places, pcs_id);
    if (memcmp(at, pcs_id, FLK_PCS_ID_BYTES) != 0) {
        memcpy(at, pcs_id, FLK_PCS_ID_BYTES);
        atomic_fetch_add_explicit(&dlq->len, 1, memory_order_relaxed);
    }
}

/* Those behind it that had to give way to it move up, so that no search ends too early. */
static void forget(flk_dlq_t *dlq, const uint8_t pcs_id[FLK_PCS_ID_BYTES]) {
    if (!flk_dlq_contains(dlq, pcs_id)) {
        return;
    }
    const size_t mask = dlq->places - 1;
    size_t at = (size_t)(place(dlq->ids, dlq->places, pcs_id) - dlq->ids[0]) / FLK_PCS_ID_BYTES;
    memset(dlq->ids[at], 0, FLK_PCS_ID_BYTES);
    for (at = (at + 1) & mask; memcmp(dlq->ids[at], no_id, FLK_PCS_ID_BYTES) != 0; at = (at + 1) & mask) {
        uint8_t moved[FLK_PCS_ID_BYTES];
        memcpy(moved, dlq->ids[at], sizeof moved);
        memset(dlq->ids[at], 0, sizeof moved);
        memcpy(place(dlq->ids, dlq->places, moved), moved, sizeof moved);
    }
    atomic_fetch_sub_explicit(&dlq->len, 1, memory_order_relaxed);
}

void flk_dlq_release(flk_dlq_t *dlq, uint64_t lsn, const uint8_t pcs_id[FLK_PCS_ID_BYTES], flk_dlq_status_t status) {
    flk_wal_ack(dlq->wal, lsn, (flk_wal_mark_t){.status = (uint16_t)status});
    forget(dlq, pcs_id);
}

flk_err_t flk_dlq_cursor(flk_dlq_t *dlq, flk_wal_cursor_t **cursor) {
    return flk_wal_cursor_new(dlq->wal, cursor);
}

static void on_commit(void *arg, flk_wal_entry_t *group) {
    flk_dlq_t *dlq = arg;
    while (group != NULL) {
        letter_t *letter = (letter_t *)group;
        group = group->next;
        dlq->stored(dlq->arg, letter->submission, letter->entry.err);
        free(letter);
    }
}

void flk_dlq_append(flk_dlq_t *dlq, flk_submission_t *submission) {
    letter_t *letter = calloc(1, sizeof *letter);
    if (letter == NULL) {
        dlq->stored(dlq->arg, submission, FLK_E_NOMEM);
        return;
    }
    letter->submission = submission;
    letter->entry.body = zmq_msg_data(&submission->pcs);
    letter->entry.body_bytes = (uint32_t)zmq_msg_size(&submission->pcs);
    letter->entry.kind = FLK_BODY_MSGPACK;
    flk_wal_append(dlq->wal, &letter->entry);
}

/* Reads the ids of all dead letters. One that cannot be read is left to flk-replay; its id is not known here. */
static flk_err_t load(flk_dlq_t *dlq, char *errmsg) {
    flk_wal_cursor_t *cursor = NULL;
    flk_pcs_reader_t *reader = flk_pcs_reader_new();
    flk_err_t err = reader == NULL ? FLK_E_NOMEM : flk_wal_cursor_new(dlq->wal, &cursor);
    while (err == FLK_OK) {
        flk_wal_record_t record;
        flk_pcs_t pcs;
        flk_pcs_fault_t fault;
        err = flk_wal_cursor_next(cursor, &record, errmsg);
        if (err == FLK_OK && flk_pcs_from_msgpack(reader, record.body, record.body_bytes, &pcs, &fault) == FLK_OK) {
            flk_dlq_remember(dlq, pcs.id_raw);
            flk_pcs_fini(&pcs);
        } else if (err == FLK_E_CORRUPT) {
            err = FLK_OK;
        }
    }
    flk_wal_cursor_destroy(&cursor);
    flk_pcs_reader_destroy(&reader);
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

flk_err_t flk_dlq_open(const char *dir, const flk_wal_options_t *like, flk_dlq_stored_fn *stored, void *arg,
                       flk_dlq_t **dlq, char *errmsg) {
    *dlq = NULL;
    flk_dlq_t *mine = flk_start_alloc(sizeof *mine);
    mine->stored = stored;
    mine->arg = arg;
    flk_wal_options_t options = *like;
    options.dir = dir;
    options.on_commit = on_commit;
    options.on_commit_arg = mine;
    flk_err_t err = flk_wal_open(&options, &mine->wal, errmsg);
    if (err == FLK_OK) {
        err = load(mine, errmsg);
    }
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "dead-letter queue");
        flk_dlq_close(&mine);
        return err;
    }
    *dlq = mine;
    return FLK_OK;
}

void flk_dlq_close(flk_dlq_t **dlq) {
    flk_dlq_t *mine = *dlq;
    *dlq = NULL;
    if (mine == NULL) {
        return;
    }
    flk_wal_close(&mine->wal);
    free(mine->ids);
    free(mine);
}

flk_err_t flk_dlq_answer(const flk_submission_t *submission, flk_pcs_reader_t *reader, uint32_t flags,
                         flk_answer_t *answer) {
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    zmq_msg_t *body = (zmq_msg_t *)&submission->pcs; /* libzmq's getters take no const */
    flk_err_t err = flk_pcs_from_msgpack(reader, zmq_msg_data(body), zmq_msg_size(body), &pcs, &fault);
    if (err != FLK_OK) {
        return err;
    }
    flk_outcome_record_t record = {
        .outcome = {.status = FLK_STATUS_ESCALATED,
                    .reasons = 1u << FLK_REASON_DEAD_LETTER,
                    .budget = pcs.budget,
                    .budget_claimed = pcs.budget,
                    .regime = pcs.regime,
                    .policy_version = "none"},
    };
    memcpy(record.pcs_id, pcs.id, sizeof record.pcs_id);
    flk_pcs_fini(&pcs);
    return flk_answer_init_outcome(answer, &record, flags);
}
