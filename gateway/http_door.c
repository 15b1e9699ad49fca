/* SPDX-License-Identifier: MIT */
/* Each connection has a thread. A request: check type and framing, read the body within its limit, let it in (or 429,
 * 503), parse it (or 400), hand it to the log; that is all that its thread does. The relay prints the answer and sends
 * it, so that the thread need not be woken for that (common/http/exchange.h).
 *
 * A body that does not come in time or in full is refused and the connection closed; nothing is kept. Should the relay
 * or the log be stuck, the server's watch answers 503 a little after the deadline. */
#include "gateway/http_door.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/address.h"
#include "common/http/admin.h"
#include "common/http/server.h"
#include "common/log.h"
#include "gateway/admission.h"
#include "gateway/answer.h"
#include "gateway/client_bytes.h"
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
    READ_STEP = 16384,
};

static const char path[] = "/v1/pcs/submit";
static const char no_such_page[] = "there is no such page; PCS go to POST /v1/pcs/submit";
static const char late[] = "the log did not answer in time; send again for the outcome";
static const char too_large[] = "the body may have at most 1048576 bytes";

struct flk_http_door {
    flk_gateway_t *gateway;
    flk_http_server_t *server;
    flk_admin_t *admin;
    flk_client_bytes_t *clients; /* NULL: no bound on the bytes of one */
    bool is_behind_proxy;
};

/* ---- answering ---- */

/* In whole seconds, never 0: a client that may come back at once is asked to wait all the same. */
static unsigned retry_after_s(const flk_answer_t *answer) {
    bool later = answer->status == 429 || answer->status == 503;
    return !later ? 0 : answer->retry_ms <= 1000 ? 1 : (answer->retry_ms - 1) / 1000 + 1;
}

static flk_http_answer_t print(const flk_answer_t *answer, char text[FLK_ANSWER_BYTES]) {
    size_t bytes = flk_answer_print(answer, text);
    bool outcome = answer->status == FLK_STATUS_ACCEPTED || answer->status == FLK_STATUS_ESCALATED;
    return (flk_http_answer_t){
        .status = answer->status,
        .content_type = outcome ? "application/json" : flk_http_problem_type,
        .body = text,
        .body_bytes = bytes,
        .retry_after_s = retry_after_s(answer),
    };
}

static void send_later(flk_http_exchange_t *exchange, const flk_answer_t *answer) {
    char text[FLK_ANSWER_BYTES];
    flk_http_answer_t printed = print(answer, text);
    flk_http_exchange_answer(exchange, &printed);
}

/* A request that is no submission. Where its body was not read in full, the connection is closed. */
static void refuse_for(flk_http_request_t *request, const flk_http_door_t *door, uint16_t status, const char *detail,
                       uint32_t retry_ms) {
    flk_answer_t answer;
    flk_counter_add(door->gateway->metrics.http_refused, 1);
    flk_answer_init_problem(&answer, status, "", detail, retry_ms);
    char text[FLK_ANSWER_BYTES];
    flk_http_answer_t printed = print(&answer, text);
    printed.accept_encoding = status == 415 ? "identity" : NULL;
    printed.close = true;
    flk_http_send(request, &printed);
}

static void refuse(flk_http_request_t *request, const flk_http_door_t *door, uint16_t status, const char *detail) {
    refuse_for(request, door, status, detail, RETRY_MS);
}

/* ---- reading the body ---- */

typedef struct body {
    char *text; /* heap */
    size_t bytes;
} body_t;

/* A chunked body grows by doubling. */
static bool make_room(body_t *body, size_t *room) {
    if (body->bytes + 1 < *room) {
        return true;
    }
    char *more = realloc(body->text, *room * 2);
    if (more == NULL) {
        return false;
    }
    body->text = more;
    *room *= 2;
    return true;
}

/* FLK_E_TOO_LARGE, FLK_E_NOMEM, and those of flk_http_request_body; body->text is the caller's to free in any case. */
static flk_err_t read_body(flk_http_request_t *request, body_t *body) {
    const flk_http_head_t *head = flk_http_request_head(request);
    size_t room = head->chunked ? READ_STEP : (size_t)head->length + 2;
    *body = (body_t){.text = malloc(room)};
    for (size_t got = 1; got > 0;) {
        if (body->text == NULL || !make_room(body, &room)) {
            return FLK_E_NOMEM;
        }
        flk_err_t err = flk_http_request_body(request, body->text + body->bytes, room - body->bytes - 1, &got);
        if (err != FLK_OK) {
            return err;
        }
        body->bytes += got;
        if (body->bytes > FLK_PCS_BODY_BYTES_MAX) {
            return FLK_E_TOO_LARGE;
        }
    }
    body->text[body->bytes] = '\0';
    return FLK_OK;
}

/* "application/json", with or without parameters. */
static bool is_json(const char *type) {
    static const char json[] = "application/json";
    size_t len = sizeof json - 1;
    if (type == NULL || strncasecmp(type, json, len) != 0) {
        return false;
    }
    size_t blanks = strspn(type + len, " \t");
    return type[len + blanks] == '\0' || type[len + blanks] == ';';
}

/* A body that is coded in some way would be stored and signed as it is. */
static bool is_identity(const flk_http_head_t *head) {
    for (unsigned i = 0; i < head->fields_len; i++) {
        if (strcasecmp(head->fields[i].name, "Content-Encoding") == 0 &&
            strcasecmp(head->fields[i].value, "identity") != 0 && head->fields[i].value[0] != '\0') {
            return false;
        }
    }
    return true;
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
static void submit(flk_gateway_t *gateway, flk_http_exchange_t *exchange, body_t *body, uint64_t began_ns) {
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

static void refuse_body(flk_http_request_t *request, const flk_http_door_t *door, flk_err_t err) {
    switch (err) {
    case FLK_OK:
        refuse(request, door, 503, "too many requests at once");
        break;
    case FLK_E_TOO_LARGE:
        refuse(request, door, 413, too_large);
        break;
    case FLK_E_NOMEM:
        refuse(request, door, 503, "out of memory");
        break;
    case FLK_E_TIMEOUT:
        refuse(request, door, 408, "the body came too slowly");
        break;
    case FLK_E_INVALID:
        refuse(request, door, 400, "the chunks of the body are malformed");
        break;
    default:
        refuse(request, door, 400, "the connection ended before the body did");
        break;
    }
}

/* Whose bytes they are. A trusted proxy writes the last address of the last X-Forwarded-For; all before it is the
 * client's word. */
static flk_http_peer_t client_of(const flk_http_door_t *door, const flk_http_request_t *request) {
    const flk_http_head_t *head = flk_http_request_head(request);
    flk_http_peer_t client = *flk_http_request_peer(request);
    for (unsigned i = head->fields_len; door->is_behind_proxy && i-- > 0;) {
        if (strcasecmp(head->fields[i].name, "X-Forwarded-For") == 0) {
            (void)!flk_http_peer_forwarded(head->fields[i].value, &client); /* else the proxy's own */
            break;
        }
    }
    return client;
}

static void read_and_submit(flk_http_request_t *request, flk_http_door_t *door, uint64_t began_ns) {
    body_t body;
    uint32_t retry_ms;
    const flk_http_peer_t client = client_of(door, request);
    if (!flk_client_bytes_may(door->clients, &client, began_ns, &retry_ms)) {
        flk_counter_add(door->gateway->metrics.address_throttled, 1);
        refuse_for(request, door, 429, "more bytes from this address than FLK_HTTP_ADDRESS_BYTES allows", retry_ms);
        return;
    }
    flk_err_t err = read_body(request, &body);
    flk_client_bytes_take(door->clients, &client, body.bytes, began_ns);
    flk_http_exchange_t *exchange = err == FLK_OK ? flk_http_request_detach(request) : NULL;
    if (exchange != NULL) {
        submit(door->gateway, exchange, &body, began_ns);
        return;
    }
    free(body.text);
    refuse_body(request, door, err);
}

static void on_submit(flk_http_request_t *request, void *arg) {
    flk_http_door_t *door = arg;
    const flk_http_head_t *head = flk_http_request_head(request);
    uint64_t began_ns = flk_mono_ns();
    if (!is_json(flk_http_head_field(head, "Content-Type"))) {
        refuse(request, door, 415, "the media type must be application/json");
    } else if (!is_identity(head)) {
        refuse(request, door, 415, "the body must not be encoded");
    } else if (!head->has_length) {
        refuse(request, door, 411, "Content-Length or chunks must tell the length of the body");
    } else if (head->length > FLK_PCS_BODY_BYTES_MAX) {
        refuse(request, door, 413, too_large);
    } else {
        read_and_submit(request, door, began_ns);
    }
}

/* ---- start and stop ---- */

static const char plain_advice[] = "put a proxy that ends TLS in front and set FLK_HTTP_BEHIND_PROXY=1";

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
    flk_http_route_t routes[FLK_ADMIN_ROUTES + 1];
    flk_admin_routes(door->admin, routes);
    routes[FLK_ADMIN_ROUTES] = (flk_http_route_t){path, "POST", on_submit, door, FLK_HTTP_EXACT};
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
