/* SPDX-License-Identifier: MIT */
/* 1. The body is read whole; all batches together hold a bounded number of bytes meanwhile.
 * 2. Each line is let in and parsed, or refused, by itself: a line is a submission like any other.
 * 3. Those that are PCS go to the log in one chain, so that one sync covers them.
 * 4. The relay tells each line its answer. The connection's thread sleeps until the last one, prints all and sends
 *    them: one wake-up a batch, and the relay prints nothing.
 *
 * A line that has no answer in time gets its 503 from the relay, and from here should that be stuck. The client gets
 * one answer a line in any case, in the order of lines. */
#include "gateway/http_batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/thread.h"
#include "gateway/admission.h"
#include "gateway/ingest.h"

enum {
    RETRY_MS = 1000,
    SLACK_MS = 500, /* the relay answers at the deadline; this is for when it cannot */
};

const char flk_batch_type[] = "application/x-ndjson";

typedef struct batch batch_t;

typedef struct line {
    batch_t *batch;
    flk_submission_t *submission; /* NULL: refused before it became one */
    flk_answer_t answer;          /* when it is told; `encoded` stays empty */
} line_t;

struct batch {
    flk_gateway_t *gateway;
    uint64_t began_ns, deadline_ms;
    flk_submission_t *newest, *oldest; /* on the way to the log */
    pthread_mutex_t lock;              /* guards `untold`, and the answers of lines until they are told */
    pthread_cond_t told;
    size_t untold;
    size_t lines_len;
    line_t lines[];
};

static batch_t *batch_new(flk_gateway_t *gateway, size_t lines_len, uint64_t began_ns) {
    batch_t *batch = calloc(1, sizeof *batch + lines_len * sizeof batch->lines[0]);
    if (batch == NULL) {
        return NULL;
    }
    batch->gateway = gateway;
    batch->began_ns = began_ns;
    batch->deadline_ms = flk_mono_ms() + gateway->request_timeout_ms;
    batch->untold = batch->lines_len = lines_len;
    pthread_mutex_init(&batch->lock, NULL);
    flk_cond_init(&batch->told);
    for (size_t i = 0; i < lines_len; i++) {
        batch->lines[i].batch = batch;
    }
    return batch;
}

/* Every line is told. */
static void batch_destroy(batch_t **batch) {
    batch_t *mine = *batch;
    *batch = NULL;
    for (size_t i = 0; i < mine->lines_len; i++) {
        flk_submission_unref(&mine->lines[i].submission);
    }
    pthread_cond_destroy(&mine->told);
    pthread_mutex_destroy(&mine->lock);
    free(mine);
}

/* ---- telling; any thread, once a line ---- */

/* Copies the answer but for its encoded outcome, which is its owner's. */
static void tell_line(line_t *line, const flk_answer_t *answer) {
    batch_t *batch = line->batch;
    pthread_mutex_lock(&batch->lock);
    line->answer = *answer;
    zmq_msg_init(&line->answer.encoded);
    batch->untold--;
    if (batch->untold == 0) {
        pthread_cond_signal(&batch->told);
    }
    pthread_mutex_unlock(&batch->lock);
}

/* flk_tell_fn. */
static void tell(flk_submission_t *submission, flk_answer_t *answer) {
    flk_latency_answered(&submission->gateway->metrics.latency, FLK_DOOR_HTTP, answer->status, submission->began_ns);
    tell_line(submission->client, answer);
}

/* ---- one line ---- */

static flk_submission_t *new_submission(line_t *line, const char *text, size_t bytes) {
    const batch_t *batch = line->batch;
    flk_submission_t *submission = flk_submission_new(FLK_DOOR_HTTP);
    char *json = malloc(bytes + 1);
    if (submission == NULL || json == NULL) {
        flk_submission_unref(&submission);
        free(json);
        return NULL;
    }
    memcpy(json, text, bytes);
    json[bytes] = '\0';
    flk_submission_set_json(submission, json, bytes);
    submission->began_ns = batch->began_ns;
    submission->deadline_ms = batch->deadline_ms;
    submission->tell = tell;
    submission->client = line;
    submission->gateway = batch->gateway;
    return submission;
}

static void refuse_large(flk_gateway_t *gateway, line_t *line) {
    flk_answer_t answer;
    flk_admission_observe(gateway);
    flk_counter_add(gateway->metrics.rejected_413, 1);
    flk_answer_init_problem(&answer, 413, "", "a line may have at most 1048576 bytes", 0);
    tell_line(line, &answer);
}

/* The line is on its way to the log, or told why not. */
static void submit_line(line_t *line, const char *text, size_t bytes) {
    batch_t *batch = line->batch;
    flk_answer_t answer;
    if (bytes > FLK_PCS_BODY_BYTES_MAX) {
        refuse_large(batch->gateway, line);
        return;
    }
    if (flk_admission_admit(batch->gateway, bytes, &answer) != FLK_OK) {
        tell_line(line, &answer);
        return;
    }
    flk_submission_t *submission = line->submission = new_submission(line, text, bytes);
    if (submission == NULL) {
        flk_admission_leave(batch->gateway, bytes);
        flk_admission_refuse(batch->gateway, 503, "out of memory", RETRY_MS, &answer);
        tell_line(line, &answer);
        return;
    }
    flk_submission_ref(submission);
    if (flk_ingest_check(batch->gateway, submission, NULL)) {
        submission->entry.next = batch->newest == NULL ? NULL : &batch->newest->entry;
        batch->newest = submission;
        batch->oldest = batch->oldest == NULL ? submission : batch->oldest;
    }
}

/* ---- all lines ---- */

/* Bytes of the line at `at`, without its end. */
static size_t line_bytes(const char *at, const char *end) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    return (size_t)((newline != NULL ? newline : end) - at);
}

/* Blank lines at the end are none. */
static size_t count_lines(flk_http_body_t *body) {
    while (body->bytes > 0 && strchr(" \t\r\n", body->text[body->bytes - 1]) != NULL) {
        body->bytes--;
    }
    const char *end = body->text + body->bytes;
    size_t lines = 0;
    for (const char *at = body->text; at < end && lines <= FLK_BATCH_LINES_MAX; at += line_bytes(at, end) + 1) {
        lines++;
    }
    return lines;
}

static void submit_lines(batch_t *batch, const flk_http_body_t *body) {
    const char *at = body->text, *end = body->text + body->bytes;
    for (size_t i = 0; i < batch->lines_len; i++) {
        size_t bytes = line_bytes(at, end);
        submit_line(&batch->lines[i], at, bytes);
        at += bytes + 1;
    }
    if (batch->newest != NULL) {
        flk_ingest_log(batch->gateway, batch->newest, batch->oldest);
    }
}

/* The log or the relay is stuck: lines that nobody is about to tell are told here. */
static void give_up(batch_t *batch) {
    flk_gateway_t *gateway = batch->gateway;
    flk_answer_t answer;
    flk_answer_init_problem(&answer, 503, "", "the log did not answer in time; send again for the outcome", RETRY_MS);
    for (size_t i = 0; i < batch->lines_len; i++) {
        flk_submission_t *submission = batch->lines[i].submission;
        if (submission != NULL && flk_submission_claim(submission)) {
            atomic_fetch_sub_explicit(&gateway->awaited, 1, memory_order_relaxed);
            flk_counter_add(gateway->metrics.timeouts, 1);
            tell(submission, &answer);
        }
    }
}

static void await_all(batch_t *batch) {
    pthread_mutex_lock(&batch->lock);
    bool in_time = true;
    while (batch->untold > 0 && in_time) {
        in_time = flk_cond_wait_until(&batch->told, &batch->lock, batch->deadline_ms + SLACK_MS);
    }
    if (!in_time) {
        pthread_mutex_unlock(&batch->lock);
        give_up(batch);
        pthread_mutex_lock(&batch->lock);
    }
    while (batch->untold > 0) { /* claimed by the relay, which tells them now */
        pthread_cond_wait(&batch->told, &batch->lock);
    }
    pthread_mutex_unlock(&batch->lock);
}

/* ---- answering ---- */

static void answer_all(flk_http_request_t *request, const batch_t *batch) {
    char *text = malloc(batch->lines_len * FLK_ANSWER_BYTES);
    if (text == NULL) {
        flk_http_body_refuse(request, batch->gateway, 503,
                             "out of memory for the answers; send again for the outcomes");
        return;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < batch->lines_len; i++) {
        bytes += flk_answer_print_item(&batch->lines[i].answer, text + bytes);
        text[bytes++] = '\n';
    }
    flk_http_send(request, &(flk_http_answer_t){
                               .status = 200, .content_type = flk_batch_type, .body = text, .body_bytes = bytes});
    free(text);
}

/* NULL: it was refused. Frees `body` in any case, and before the client is told: it may come back at once. */
static batch_t *take_up(flk_http_request_t *request, flk_http_body_rules_t *rules, flk_http_body_t *body,
                        uint64_t began_ns) {
    uint16_t status = 503;
    const char *why = NULL;
    size_t lines_len = count_lines(body);
    batch_t *batch = NULL;
    if (lines_len == 0) {
        status = 400;
        why = "the body has no line; a batch has a PCS on each line";
    } else if (lines_len > FLK_BATCH_LINES_MAX) {
        status = 413;
        why = "a batch may have at most 1000 lines";
    } else if (!flk_http_request_take_place(request)) {
        why = "too many requests at once";
    } else if ((batch = batch_new(rules->gateway, lines_len, began_ns)) == NULL) {
        why = "out of memory";
    } else {
        submit_lines(batch, body);
    }
    flk_http_body_free(rules, body);
    if (why != NULL) {
        flk_http_body_refuse(request, rules->gateway, status, why);
    }
    return batch;
}

void flk_http_batch(flk_http_request_t *request, void *arg) {
    flk_http_body_rules_t *rules = arg;
    flk_http_body_t body;
    const uint64_t began_ns = flk_mono_ns();
    if (!flk_http_body_read(request, rules, began_ns, &body)) {
        return;
    }
    batch_t *batch = take_up(request, rules, &body, began_ns);
    if (batch != NULL) {
        await_all(batch);
        answer_all(request, batch);
        batch_destroy(&batch);
    }
}
