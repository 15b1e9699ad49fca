/* SPDX-License-Identifier: MIT */
/* The relay gives a submission, its PCS goes into the log, the log's writer reports it durable, the relay then acks
 * the inbox and answers. A crash in between drives the inbox record again: its content is found among the dead
 * letters. The log's records stay un-acked for as long as they are dead letters; acking one takes it out. */
#include "gateway/dlq.h"

#include <stdlib.h>
#include <string.h>

#include "common/sha256.h"
#include "gateway/dlq_set.h"

typedef struct letter {
    flk_wal_entry_t entry; /* first: the log hands this pointer back */
    flk_submission_t *submission;
} letter_t;

struct flk_dlq {
    flk_wal_t *wal;
    flk_dlq_stored_fn *stored;
    void *arg;
    flk_dlq_set_t contents;
};

/* ---- contents ---- */

/* The agent's notes about its own sending: another one at each try. */
static void drop_notes(flk_pcs_t *pcs) {
    pcs->has_attempt = false;
    pcs->sent_at[0] = '\0';
}

/* Whether flk_pcs_to_msgpack would have written that body; then, without the notes, its bytes are hashed. */
static flk_err_t hash_ours(flk_pcs_t *pcs, const void *body, size_t body_bytes, bool *ours, uint8_t *digest) {
    uint8_t *bytes = malloc(flk_pcs_msgpack_bound(pcs));
    if (bytes == NULL) {
        return FLK_E_NOMEM;
    }
    *ours = flk_pcs_to_msgpack(pcs, bytes) == body_bytes && memcmp(bytes, body, body_bytes) == 0;
    if (*ours) {
        drop_notes(pcs);
        flk_sha256(bytes, flk_pcs_to_msgpack(pcs, bytes), digest);
    }
    free(bytes);
    return FLK_OK;
}

/* The identity of a body: all of it but the agent's notes, whichever door it came through and however its JSON was
 * printed. The signature is part of it, and so are members outside the signature: a worker may die of either. A body
 * that our encoder would have written otherwise (a foreign agent's; unknown members) is known by its bytes alone. */
static flk_err_t key_of(const void *body, size_t body_bytes, flk_pcs_reader_t *reader, flk_dlq_key_t *key) {
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    bool ours = false;
    flk_err_t err = flk_pcs_from_msgpack(reader, body, body_bytes, &pcs, &fault);
    if (err != FLK_OK) {
        return err;
    }
    memcpy(key->pcs_id, pcs.id_raw, sizeof key->pcs_id);
    err = hash_ours(&pcs, body, body_bytes, &ours, key->digest);
    if (err == FLK_OK && !ours) {
        flk_sha256(body, body_bytes, key->digest);
    }
    flk_pcs_fini(&pcs);
    return err;
}

static flk_err_t key_of_submission(const flk_submission_t *submission, flk_pcs_reader_t *reader, flk_dlq_key_t *key) {
    zmq_msg_t *body = (zmq_msg_t *)&submission->pcs; /* libzmq's getters take no const */
    return key_of(zmq_msg_data(body), zmq_msg_size(body), reader, key);
}

bool flk_dlq_contains(const flk_dlq_t *dlq, const flk_submission_t *submission, flk_pcs_reader_t *reader) {
    flk_dlq_key_t key;
    return flk_dlq_len(dlq) > 0 && flk_dlq_set_has_id(&dlq->contents, submission->pcs_id) &&
           key_of_submission(submission, reader, &key) == FLK_OK && flk_dlq_set_contains(&dlq->contents, &key);
}

size_t flk_dlq_len(const flk_dlq_t *dlq) {
    return atomic_load_explicit(&dlq->contents.len, memory_order_relaxed);
}

void flk_dlq_remember(flk_dlq_t *dlq, const flk_submission_t *submission, flk_pcs_reader_t *reader) {
    flk_dlq_key_t key;
    if (key_of_submission(submission, reader, &key) == FLK_OK) {
        (void)!flk_dlq_set_add(&dlq->contents, &key);
    }
}

void flk_dlq_release(flk_dlq_t *dlq, uint64_t lsn, const flk_submission_t *submission, flk_pcs_reader_t *reader,
                     flk_dlq_status_t status) {
    flk_dlq_key_t key;
    flk_wal_ack(dlq->wal, lsn, (flk_wal_mark_t){.status = (uint16_t)status});
    if (key_of_submission(submission, reader, &key) == FLK_OK) {
        flk_dlq_set_remove(&dlq->contents, &key);
    }
}

/* ---- the log ---- */

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
    letter->entry.kind = (uint8_t)submission->dead_letter;
    flk_wal_append(dlq->wal, &letter->entry);
}

/* Reads the contents of all dead letters. One that cannot be read is left to flk-replay, and is not answered for. */
static flk_err_t load(flk_dlq_t *dlq, char *errmsg) {
    flk_wal_cursor_t *cursor = NULL;
    flk_pcs_reader_t *reader = flk_pcs_reader_new();
    flk_err_t err = reader == NULL ? FLK_E_NOMEM : flk_wal_cursor_new(dlq->wal, &cursor);
    while (err == FLK_OK) {
        flk_wal_record_t record;
        flk_dlq_key_t key;
        err = flk_wal_cursor_next(cursor, &record, errmsg);
        if (err == FLK_OK && key_of(record.body, record.body_bytes, reader, &key) == FLK_OK) {
            err = flk_dlq_set_add(&dlq->contents, &key);
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
    flk_dlq_set_fini(&mine->contents);
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
