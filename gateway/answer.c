/* SPDX-License-Identifier: MIT */
#include "gateway/answer.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/http/answer.h"

enum { RETRY_BYTES = 32 }; /* ,"retry_after":4294968} */

/* ---- making one ---- */

static bool has_outcome(uint32_t status) {
    return status == FLK_STATUS_ACCEPTED || status == FLK_STATUS_ESCALATED;
}

void flk_answer_init_problem(flk_answer_t *answer, uint16_t status, const char *field, const char *detail,
                             uint32_t retry_ms) {
    *answer = (flk_answer_t){.status = status, .retry_ms = retry_ms};
    zmq_msg_init(&answer->encoded);
    snprintf(answer->problem.field, sizeof answer->problem.field, "%s", field);
    snprintf(answer->problem.detail, sizeof answer->problem.detail, "%s", detail);
}

flk_err_t flk_answer_init_outcome(flk_answer_t *answer, const flk_outcome_record_t *outcome, uint32_t flags) {
    uint8_t bytes[FLK_OUTCOME_BYTES];
    size_t size = flk_outcome_encode(outcome, bytes);
    *answer = (flk_answer_t){.status = outcome->outcome.status, .flags = flags, .outcome = *outcome};
    if (zmq_msg_init_size(&answer->encoded, size) != 0) {
        zmq_msg_init(&answer->encoded);
        return FLK_E_NOMEM;
    }
    memcpy(zmq_msg_data(&answer->encoded), bytes, size);
    return FLK_OK;
}

const char *flk_answer_init_verdict(flk_answer_t *answer, flk_message_t *message) {
    const flk_frame_t *frame = &message->frame;
    const void *body = zmq_msg_data(&message->body);
    const size_t body_bytes = zmq_msg_size(&message->body);
    *answer = (flk_answer_t){.flags = frame->flags};
    zmq_msg_init(&answer->encoded);
    if (frame->status == 400 || frame->status == 401 || frame->status == 413) {
        answer->status = (uint16_t)frame->status;
        return flk_problem_decode(body, body_bytes, &answer->problem, NULL) == FLK_OK ? NULL : "no readable problem";
    }
    memcpy(answer->key, frame->key, sizeof answer->key);
    if (!has_outcome(frame->status)) {
        return "a status that is no verdict's";
    }
    if (flk_outcome_decode(body, body_bytes, &answer->outcome, NULL) != FLK_OK) {
        return "no readable outcome";
    }
    if (answer->outcome.outcome.status != frame->status) {
        return "an outcome of another status";
    }
    answer->status = (uint16_t)frame->status;
    zmq_msg_move(&answer->encoded, &message->body);
    return NULL;
}

void flk_answer_fini(flk_answer_t *answer) {
    zmq_msg_close(&answer->encoded);
}

bool flk_answer_has_outcome(const flk_answer_t *answer) {
    return has_outcome(answer->status);
}

bool flk_answer_is_about(const flk_answer_t *answer, const uint8_t pcs_id[FLK_PCS_ID_BYTES]) {
    char hex[FLK_PCS_ID_HEX + 1];
    sodium_bin2hex(hex, sizeof hex, pcs_id, FLK_PCS_ID_BYTES);
    return !has_outcome(answer->status) || strcmp(hex, answer->outcome.pcs_id) == 0;
}

/* ---- printing it ---- */

typedef struct text {
    char *out;
    size_t len;
} text_t;

static void add(text_t *text, const char *part) {
    size_t bytes = strlen(part);
    FLK_ASSERT(bytes < FLK_ANSWER_BYTES - text->len); /* every part has a bound of its own */
    memcpy(text->out + text->len, part, bytes + 1);
    text->len += bytes;
}

static void add_text(text_t *text, const char *name, const char *value) {
    add(text, name);
    add(text, value);
    add(text, "\",");
}

static void add_number(text_t *text, const char *name, double value) {
    char number[FLK_NUMBER_BYTES];
    flk_number_print(value, FLK_PRINT_PYTHON, number);
    add(text, name);
    add(text, number);
    add(text, ",");
}

static void add_reasons(text_t *text, const flk_outcome_t *outcome) {
    const char *opening = "\"", *reason;
    flk_reason_each_t each = {0};
    add(text, "\"reasons\":[");
    while ((reason = flk_reason_each(&each, outcome->reasons, outcome->rules)) != NULL) {
        add(text, opening);
        add(text, reason);
        add(text, "\"");
        opening = ",\"";
    }
    add(text, "],");
}

/* Ids, regimes, reasons and versions are of character sets that need no escaping: their decoder sees to it. */
static size_t print_outcome(const flk_outcome_record_t *record, uint32_t flags, bool is_item, char *out) {
    const flk_outcome_t *outcome = &record->outcome;
    const bool accepted = outcome->status == FLK_STATUS_ACCEPTED;
    text_t text = {.out = out};
    add(&text, !is_item ? "{" : accepted ? "{\"status\":200," : "{\"status\":202,");
    add(&text, accepted ? "\"accepted\":true,\"escalated\":false," : "\"accepted\":false,\"escalated\":true,");
    add_text(&text, "\"pcs_id\":\"", record->pcs_id);
    if (outcome->has_d_hat) {
        add_number(&text, "\"recomputed_D_hat\":", outcome->d_hat);
    } else {
        add(&text, "\"recomputed_D_hat\":null,");
    }
    add_number(&text, "\"recomputed_budget\":", outcome->budget);
    add_number(&text, "\"budget\":", outcome->budget_claimed);
    add_text(&text, "\"regime\":\"", flk_regime_name(outcome->regime));
    add_reasons(&text, outcome);
    add(&text, flags & FLK_FLAG_DUPLICATE ? "\"duplicate\":true," : "\"duplicate\":false,");
    if (flags & FLK_FLAG_CONFLICT) {
        add(&text, "\"conflict\":true,");
    }
    add(&text, "\"policy_version\":\"");
    add(&text, outcome->policy_version);
    add(&text, "\"}");
    return text.len;
}

static size_t print_problem(const flk_answer_t *answer, size_t room, char *out) {
    return flk_http_problem(out, room, answer->status, flk_http_status_text(answer->status), answer->problem.detail,
                            answer->problem.field);
}

size_t flk_answer_print(const flk_answer_t *answer, char out[FLK_ANSWER_BYTES]) {
    return has_outcome(answer->status) ? print_outcome(&answer->outcome, answer->flags, false, out)
                                       : print_problem(answer, FLK_ANSWER_BYTES, out);
}

size_t flk_answer_print_item(const flk_answer_t *answer, char out[FLK_ANSWER_BYTES]) {
    if (has_outcome(answer->status)) {
        return print_outcome(&answer->outcome, answer->flags, true, out);
    }
    unsigned retry_s = flk_answer_retry_s(answer);
    size_t bytes = print_problem(answer, FLK_ANSWER_BYTES - RETRY_BYTES, out);
    if (retry_s > 0) { /* in front of the closing brace */
        bytes += (size_t)snprintf(out + bytes - 1, RETRY_BYTES, ",\"retry_after\":%u}", retry_s) - 1;
    }
    return bytes;
}

unsigned flk_answer_retry_s(const flk_answer_t *answer) {
    bool later = answer->status == 429 || answer->status == 503;
    return !later ? 0 : answer->retry_ms <= 1000 ? 1 : (answer->retry_ms - 1) / 1000 + 1;
}
