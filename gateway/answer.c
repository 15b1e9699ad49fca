/* SPDX-License-Identifier: MIT */
#include "gateway/answer.h"

#include <string.h>

#include "common/http/http.h"

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

static void add_reasons(text_t *text, uint32_t reasons) {
    const char *opening = "\"";
    add(text, "\"reasons\":[");
    for (unsigned i = 0; i < FLK_REASON_COUNT; i++) {
        if (reasons & (1u << i)) {
            add(text, opening);
            add(text, flk_reason_name((flk_reason_t)i));
            add(text, "\"");
            opening = ",\"";
        }
    }
    add(text, "],");
}

/* Ids, regimes, reasons and versions are of character sets that need no escaping: their decoder sees to it. */
static size_t print_outcome(const flk_outcome_record_t *record, uint32_t flags, char *out) {
    const flk_outcome_t *outcome = &record->outcome;
    text_t text = {.out = out};
    add(&text, outcome->status == FLK_STATUS_ACCEPTED ? "{\"accepted\":true,\"escalated\":false,"
                                                      : "{\"accepted\":false,\"escalated\":true,");
    add_text(&text, "\"pcs_id\":\"", record->pcs_id);
    if (outcome->has_d_hat) {
        add_number(&text, "\"recomputed_D_hat\":", outcome->d_hat);
    } else {
        add(&text, "\"recomputed_D_hat\":null,");
    }
    add_number(&text, "\"recomputed_budget\":", outcome->budget);
    add_number(&text, "\"budget\":", outcome->budget_claimed);
    add_text(&text, "\"regime\":\"", flk_regime_name(outcome->regime));
    add_reasons(&text, outcome->reasons);
    add(&text, flags & FLK_FLAG_DUPLICATE ? "\"duplicate\":true," : "\"duplicate\":false,");
    if (flags & FLK_FLAG_CONFLICT) {
        add(&text, "\"conflict\":true,");
    }
    add(&text, "\"policy_version\":\"");
    add(&text, outcome->policy_version);
    add(&text, "\"}");
    return text.len;
}

size_t flk_answer_print(flk_answer_t *answer, char out[FLK_ANSWER_BYTES]) {
    if (answer->status == FLK_STATUS_ACCEPTED || answer->status == FLK_STATUS_ESCALATED) {
        flk_outcome_record_t record;
        char errmsg[FLK_ERRMSG_BYTES];
        if (flk_outcome_decode(zmq_msg_data(&answer->outcome), zmq_msg_size(&answer->outcome), &record, errmsg) ==
            FLK_OK) {
            return print_outcome(&record, answer->flags, out);
        }
        flk_answer_problem(answer, 503, "", "the stored outcome could not be read", 1000);
    }
    return flk_http_problem(out, FLK_ANSWER_BYTES, answer->status, flk_http_status_text(answer->status),
                            answer->problem.detail, answer->problem.field);
}
