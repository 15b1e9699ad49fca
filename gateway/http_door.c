/* SPDX-License-Identifier: MIT */
/* Each connection has a thread. A request: check type and framing, read the body within its limit (http_body.h), let it
 * in (or 429, 503), parse it (or 400), hand it to the log; that is all that its thread does. The relay prints the
 * answer and sends it, so that the thread need not be woken for that (common/http/exchange.h). A batch is another path
 * (http_batch.h).
 *
 * Should the relay or the log be stuck, the server's watch answers 503 a little after the deadline. */
#include "gateway/http_door.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/http/admin.h"
#include "common/http/server.h"
#include "common/log.h"
#include "gateway/admission.h"
#include "gateway/answer.h"
#include "gateway/http_batch.h"
#include "gateway/ingest.h"

enum {
    BODY_DEADLINE_MS = 10000, /* for the whole body, however slowly it drips */
    IDLE_MS = 15000,          /* between two requests of one connection */
    SPARE_THREADS = 16,       /* for heads and bodies on their way, and for refusals */
    QUEUE = 2048,           /* connections that wait for a thread: slow ones in front of them are cut within a second */
    BODY_GRACE_MS = 2000,   /* until a body has begun to come; from then on it must come at BODY_BYTES_PER_MS */
    BODY_PRESSED_MS = 1500, /* less of that while others wait for a thread */
    BODY_BYTES_PER_MS = 128,  /* 1 Mbit/s: 1 MiB just fits the deadline */
    SLACK_MS = 500,           /* the relay answers at the deadline; this is for when it cannot */
    RETRY_MS = 1000,          /* told to clients where nobody knows better */
    WRITE_TIMEOUT_MS = 10000, /* for a client that does not read a page */
};

static const char submit_path[] = "/v1/pcs/submit", batch_path[] = "/v1/pcs/batch";
static const char no_such_page[] = "there is no such page; PCS go to POST /v1/pcs/submit or /v1/pcs/batch";
static const char late[] = "the log did not answer in time; send again for the outcome";

struct flk_http_door {
    flk_gateway_t *gateway;
    flk_http_server_t *server;
    flk_admin_t *admin;
    flk_client_bytes_t *clients; /* NULL: no bound on the bytes of one */
    bool is_behind_proxy;
    flk_http_body_rules_t single, batch;
};

/* ---- answering ---- */

static flk_http_answer_t print(const flk_answer_t *answer, char text[FLK_ANSWER_BYTES]) {
    size_t bytes = flk_answer_print(answer, text);
    bool outcome = answer->status == FLK_STATUS_ACCEPTED || answer->status == FLK_STATUS_ESCALATED;
    return (flk_http_answer_t){
        .status = answer->status,
        .content_type = outcome ? "application/json" : flk_http_problem_type,
        .body = text,
        .body_bytes = bytes,
        .retry_after_s = flk_answer_retry_s(answer),
    };
}

static void send_later(flk_http_exchange_t *exchange, const flk_answer_t *answer) {
    char text[FLK_ANSWER_BYTES];
    flk_http_answer_t printed = print(answer, text);
    flk_http_exchange_answer(exchange, &printed);
}

/* ---- one submission ---- */

static void observe(const flk_submission_t *submission, uint16_t status) {
    flk_latency_answered(&submission->gateway->metrics.latency, FLK_DOOR_HTTP, status, submission->began_ns);
}

/* The relay's thread. */
static void tell(flk_submission_t *submission, flk_answer_t *answer) {
    observe(submission, answer->status);
    send_later(submission->client, answer);
    flk_submission_unref(&submission);
}

/* The log or the relay is stuck: the server answers for them. */
static bool give_up(void *arg) {
    flk_submission_t *submission = arg;
    flk_gateway_t *gateway = submission->gateway;
    if (!flk_submission_claim(submission)) {
        return false; /* the relay is about to */
    }
    atomic_fetch_sub_explicit(&gateway->awaited, 1, memory_order_relaxed);
    flk_counter_add(gateway->metrics.timeouts, 1);
    observe(submission, 503);
    flk_submission_unref(&submission);
    return true;
}

/* Takes body->text. */
static void submit(flk_gateway_t *gateway, flk_http_exchange_t *exchange, flk_http_body_t *body, uint64_t began_ns) {
    flk_answer_t answer;
    if (flk_admission_admit(gateway, body->bytes, &answer) != FLK_OK) {
        free(body->text);
        send_later(exchange, &answer);
        return;
    }
    flk_submission_t *submission = flk_submission_new(FLK_DOOR_HTTP);
    if (submission == NULL) {
        free(body->text);
        flk_admission_leave(gateway, body->bytes);
        flk_admission_refuse(gateway, 503, "out of memory", RETRY_MS, &answer);
        send_later(exchange, &answer);
        return;
    }
    submission->began_ns = began_ns;
    submission->deadline_ms = flk_mono_ms() + gateway->request_timeout_ms;
    submission->tell = tell;
    submission->client = exchange;
    submission->gateway = gateway;
    flk_submission_set_json(submission, body->text, body->bytes);
    flk_submission_ref(submission);
    flk_http_exchange_limit(exchange, submission->deadline_ms + SLACK_MS, late, give_up, submission);
    flk_ingest_start(gateway, submission, NULL);
}

static void on_submit(flk_http_request_t *request, void *arg) {
    flk_http_body_rules_t *rules = arg;
    flk_http_body_t body;
    const uint64_t began_ns = flk_mono_ns();
    if (!flk_http_body_read(request, rules, began_ns, &body)) {
        return;
    }
    flk_http_exchange_t *exchange = flk_http_request_detach(request);
    if (exchange != NULL) {
        submit(rules->gateway, exchange, &body, began_ns);
    } else {
        flk_http_body_free(rules, &body);
        flk_http_body_refuse(request, rules->gateway, 503, "too many requests at once");
    }
}

/* ---- start and stop ---- */

static const char plain_advice[] = "put a proxy that ends TLS in front and set FLK_HTTP_BEHIND_PROXY=1";

static void set_rules(flk_http_door_t *door) {
    flk_http_body_rules_t *single = &door->single, *batch = &door->batch;
    single->gateway = batch->gateway = door->gateway;
    single->clients = batch->clients = door->clients;
    single->is_behind_proxy = batch->is_behind_proxy = door->is_behind_proxy;
    single->media_type = "application/json";
    single->other_type = "the media type must be application/json";
    single->bytes_max = FLK_PCS_BODY_BYTES_MAX;
    single->too_large = "the body may have at most 1048576 bytes";
    batch->media_type = flk_batch_type;
    batch->other_type = "the media type must be application/x-ndjson";
    batch->bytes_max = FLK_BATCH_BYTES_MAX;
    batch->too_large = "a batch may have at most 8388608 bytes";
    /* As much again as submissions may hold, and always one. */
    size_t all_max = door->gateway->inflight_bytes_max;
    batch->all_bytes_max = all_max > FLK_BATCH_BYTES_MAX + 2 ? all_max : FLK_BATCH_BYTES_MAX + 2;
}

static flk_err_t start_admin(flk_http_door_t *door) {
    flk_gateway_t *gateway = door->gateway;
    const flk_admin_options_t options = {.metrics = gateway->registry,
                                         .ready = flk_gateway_ready,
                                         .ready_arg = gateway,
                                         .user = flk_settings_str(gateway->settings, FLK_SET_METRICS_USER),
                                         .pass = flk_settings_str(gateway->settings, FLK_SET_METRICS_PASS)};
    return flk_admin_new(&options, &door->admin);
}

static flk_err_t start_server(flk_http_door_t *door, char *errmsg) {
    const flk_settings_t *settings = door->gateway->settings;
    flk_http_route_t routes[FLK_ADMIN_ROUTES + 2];
    flk_admin_routes(door->admin, routes);
    routes[FLK_ADMIN_ROUTES] = (flk_http_route_t){submit_path, "POST", on_submit, &door->single, FLK_HTTP_EXACT};
    routes[FLK_ADMIN_ROUTES + 1] = (flk_http_route_t){batch_path, "POST", flk_http_batch, &door->batch, FLK_HTTP_EXACT};
    const flk_http_options_t options = {.listen = flk_settings_str(settings, FLK_SET_HTTP_LISTEN),
                                        .plain_advice = door->is_behind_proxy ? NULL : plain_advice,
                                        .threads = (unsigned)flk_settings_uint(settings, FLK_SET_HTTP_THREADS),
                                        .spare_threads = SPARE_THREADS,
                                        .queue = QUEUE,
                                        .per_address_max =
                                            (unsigned)flk_settings_uint(settings, FLK_SET_HTTP_PER_ADDRESS),
                                        .write_timeout_ms = WRITE_TIMEOUT_MS,
                                        .keep_alive_ms = IDLE_MS,
                                        .body_deadline_ms = BODY_DEADLINE_MS,
                                        .body_grace_ms = BODY_GRACE_MS,
                                        .body_pressed_ms = BODY_PRESSED_MS,
                                        .body_bytes_per_ms = BODY_BYTES_PER_MS,
                                        .routes = routes,
                                        .routes_len = FLK_COUNT_OF(routes),
                                        .not_found = no_such_page,
                                        .metrics = door->gateway->registry,
                                        .refused = door->gateway->metrics.http_refused};
    return flk_http_start(&options, &door->server, errmsg);
}

flk_err_t flk_http_door_start(flk_gateway_t *gateway, flk_http_door_t **door, char *errmsg) {
    flk_http_door_t *mine = flk_start_alloc(sizeof *mine);
    mine->gateway = gateway;
    mine->clients = flk_client_bytes_new(flk_settings_uint(gateway->settings, FLK_SET_HTTP_ADDRESS_BYTES));
    mine->is_behind_proxy = flk_settings_bool(gateway->settings, FLK_SET_HTTP_BEHIND_PROXY);
    set_rules(mine);
    flk_err_t err = start_admin(mine);
    if (err == FLK_OK) {
        err = start_server(mine, errmsg);
    }
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "FLK_HTTP_LISTEN");
        flk_http_door_stop(&mine);
    }
    *door = mine;
    return err;
}

void flk_http_door_address(const flk_http_door_t *door, char text[FLK_LISTEN_TEXT_BYTES]) {
    flk_listen_t listen;
    const char *setting = flk_settings_str(door->gateway->settings, FLK_SET_HTTP_LISTEN);
    FLK_ASSERT(flk_listen_parse(setting, &listen, NULL) == FLK_OK); /* it listens there */
    flk_listen_print(&listen, flk_http_port(door->server), text);
}

void flk_http_door_drain(flk_http_door_t *door) {
    flk_http_drain(door->server);
}

void flk_http_door_stop(flk_http_door_t **door) {
    flk_http_door_t *mine = *door;
    *door = NULL;
    if (mine == NULL) {
        return;
    }
    flk_http_stop(&mine->server);
    flk_admin_stop(&mine->admin);
    flk_client_bytes_destroy(&mine->clients);
    free(mine);
}
