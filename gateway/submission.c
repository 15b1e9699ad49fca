/* SPDX-License-Identifier: MIT */
#include "gateway/submission.h"

#include <stdlib.h>
#include <string.h>

flk_submission_t *flk_submission_new(flk_door_t door) {
    flk_submission_t *submission = calloc(1, sizeof *submission);
    if (submission == NULL) {
        return NULL;
    }
    submission->door = door;
    atomic_init(&submission->refs, 1);
    atomic_init(&submission->claimed, false);
    zmq_msg_init(&submission->pcs);
    return submission;
}

void flk_submission_ref(flk_submission_t *submission) {
    atomic_fetch_add_explicit(&submission->refs, 1, memory_order_relaxed);
}

void flk_submission_unref(flk_submission_t **submission) {
    flk_submission_t *mine = *submission;
    *submission = NULL;
    if (mine == NULL || atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    zmq_msg_close(&mine->pcs);
    free(mine->json);
    free(mine);
}

void flk_submission_set_json(flk_submission_t *submission, char *json, size_t json_bytes) {
    submission->json = json;
    submission->entry.body = json;
    submission->entry.body_bytes = (uint32_t)json_bytes;
    submission->entry.kind = FLK_BODY_JSON;
}

void flk_submission_set_msgpack(flk_submission_t *submission, zmq_msg_t *body) {
    zmq_msg_move(&submission->pcs, body);
    submission->entry.body = zmq_msg_data(&submission->pcs);
    submission->entry.body_bytes = (uint32_t)zmq_msg_size(&submission->pcs);
    submission->entry.kind = FLK_BODY_MSGPACK;
}

/* The JSON door's PCS becomes the msgpack that every other peer speaks. */
static flk_err_t encode(flk_submission_t *submission, const flk_pcs_t *pcs) {
    zmq_msg_t message;
    uint8_t stack[4096]; /* nearly every PCS; one with a long v_star goes by the heap */
    size_t bound = flk_pcs_msgpack_bound(pcs);
    uint8_t *scratch = bound <= sizeof stack ? stack : malloc(bound);
    if (scratch == NULL) {
        return FLK_E_NOMEM;
    }
    size_t bytes = flk_pcs_to_msgpack(pcs, scratch);
    flk_err_t err = zmq_msg_init_size(&message, bytes) == 0 ? FLK_OK : FLK_E_NOMEM;
    if (err == FLK_OK) {
        memcpy(zmq_msg_data(&message), scratch, bytes);
        zmq_msg_move(&submission->pcs, &message);
        zmq_msg_close(&message);
    }
    if (scratch != stack) {
        free(scratch);
    }
    return err;
}

void flk_submission_parse(flk_submission_t *submission, flk_pcs_reader_t *reader) {
    flk_pcs_t pcs;
    bool json = submission->entry.kind == FLK_BODY_JSON;
    flk_err_t err = json ? flk_pcs_from_json(submission->json, submission->entry.body_bytes, &pcs, &submission->fault)
                         : flk_pcs_from_msgpack(reader, zmq_msg_data(&submission->pcs), zmq_msg_size(&submission->pcs),
                                                &pcs, &submission->fault);
    if (err == FLK_OK) {
        memcpy(submission->pcs_id, pcs.id_raw, sizeof submission->pcs_id);
        if (json) {
            err = encode(submission, &pcs);
        }
        flk_pcs_fini(&pcs);
    }
    submission->parse_err = err;
}

void flk_submission_drop_json(flk_submission_t *submission) {
    free(submission->json);
    submission->json = NULL;
}

void flk_submission_refusal(const flk_submission_t *submission, flk_answer_t *answer) {
    uint16_t status = submission->parse_err == FLK_E_TOO_LARGE ? 413 : 400;
    flk_answer_init_problem(answer, status, submission->fault.field, submission->fault.reason, 0);
}

bool flk_submission_claim(flk_submission_t *submission) {
    return !atomic_exchange_explicit(&submission->claimed, true, memory_order_acq_rel);
}
