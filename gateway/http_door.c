/* SPDX-License-Identifier: MIT */
/* civetweb serves each connection with a thread of its own. A request: check method, type and framing, read the body
 * within its limit, let it in (or 429, 503), parse it (or 400), hand it to the log; that is all that its thread does.
 * The relay prints the answer and sends it, so that the thread need not be woken for that (common/http/exchange.h).
 *
 * A body that does not come in time or in full is refused and the connection closed; nothing is kept. Should the relay
 * or the log be stuck, the server's watch answers 503 a little after the deadline. */
#include "gateway/http_door.h"

#include <civetweb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/address.h"
#include "common/http/admin.h"
#include "common/http/http.h"
#include "common/log.h"
#include "gateway/admission.h"
#include "gateway/answer.h"
#include "gateway/ingest.h"
#include "gateway/slow_body.h"

enum {
    BODY_DEADLINE_MS = 10000, /* for the whole body, however slowly it drips */
    IDLE_MS = 15000,          /* between two requests of one connection */
    SPARE_THREADS = 16,       /* for heads and bodies on their way, and to refuse what is too much */
    QUEUE = 2048,           /* connections that wait for a thread: slow ones in front of them are cut within a second */
    BODY_GRACE_MS = 2000,   /* until a body has begun to come; from then on it must come at BODY_BYTES_PER_MS */
    BODY_PRESSED_MS = 1500, /* less of that while others wait for a thread */
    BODY_BYTES_PER_MS = 128, /* 1 Mbit/s: 1 MiB just fits the deadline */
    SLACK_MS = 500,          /* the relay answers at the deadline; this is for when it cannot */
    RETRY_MS = 1000,         /* told to clients where nobody knows better */
    READ_STEP = 16384,
    LATER = 200, /* for civetweb, which only logs it: answered, or going to be */
};

static const char path[] = "/v1/pcs/submit";
static const char no_such_page[] = "there is no such page; PCS go to POST /v1/pcs/submit";
static const char late[] = "the log did not answer in time; send again for the outcome";
static const char too_large[] = "the body may have at most 1048576 bytes";

struct flk_http_door {
    flk_gateway_t *gateway;
    struct mg_context *context;
    unsigned port;
    flk_admin_t *admin;
    flk_slow_body_t *slow_body;
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

/* A request that is no submission: its body was not read, or not in full. What follows on the connection may be the
 * rest of it, so it is closed. */
static int refuse(struct mg_connection *connection, const flk_http_door_t *door, uint16_t status, const char *detail,
                  const char *allow) {
    flk_answer_t answer;
    flk_counter_add(door->gateway->metrics.http_refused, 1);
    flk_answer_init_problem(&answer, status, "", detail, RETRY_MS);
    char text[FLK_ANSWER_BYTES];
    flk_http_answer_t printed = print(&answer, text);
    printed.allow = allow;
    printed.close = true;
    flk_http_send(connection, &printed);
    return status;
}

/* ---- reading the body ---- */

typedef struct body {
    char *text; /* heap */
    size_t bytes;
} body_t;

/* Who watches over the reading. */
typedef struct slow {
    flk_slow_body_t *watch;
    flk_body_slot_t *slot;
} slow_t;

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

/* `announced` < 0: chunked. FLK_E_TOO_LARGE, FLK_E_CLOSED (cut off, malformed, or too slow), FLK_E_NOMEM; body->text is
 * the caller's to free in any case. */
static flk_err_t read_body(struct mg_connection *connection, long long announced, const slow_t *slow, body_t *body) {
    bool chunked = announced < 0;
    size_t room = chunked ? READ_STEP : (size_t)announced + 1;
    *body = (body_t){.text = malloc(room)};
    if (body->text == NULL) {
        return FLK_E_NOMEM;
    }
    while (chunked || body->bytes < (size_t)announced) {
        if (!make_room(body, &room)) {
            return FLK_E_NOMEM;
        }
        size_t wanted = room - body->bytes - 1, allowed = FLK_PCS_BODY_BYTES_MAX + 1 - body->bytes;
        int got = mg_read(connection, body->text + body->bytes, wanted < allowed ? wanted : allowed);
        if (got == 0 && chunked) {
            break;
        }
        if (got <= 0) {
            return FLK_E_CLOSED;
        }
        body->bytes += (size_t)got;
        flk_slow_body_progress(slow->watch, slow->slot, body->bytes);
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
    return type[len] == '\0' || type[len] == ';' || type[len] == ' ';
}

/* ---- one submission ---- */

static void observe(const flk_submission_t *submission) {
    double seconds = (double)(flk_mono_ns() - submission->began_ns) * 1e-9;
    flk_histogram_observe(submission->gateway->metrics.request_seconds_http, seconds);
}

/* The relay's thread. */
static void tell(flk_submission_t *submission, flk_answer_t *answer) {
    observe(submission);
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
    observe(submission);
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

/* An HTTP/1.0 client cannot have meant it (RFC 9110, section 10.1.1). */
static bool expects_continue(struct mg_connection *connection, const struct mg_request_info *request) {
    const char *expect = mg_get_header(connection, "Expect");
    return expect != NULL && strcasecmp(expect, "100-continue") == 0 && strcmp(request->http_version, "1.0") != 0;
}

static int read_and_submit(struct mg_connection *connection, flk_http_door_t *door, uint64_t began_ns) {
    const struct mg_request_info *request = mg_get_request_info(connection);
    body_t body;
    slow_t slow = {door->slow_body, flk_slow_body_begin(door->slow_body, request->remote_addr, request->remote_port)};
    flk_err_t err = read_body(connection, request->content_length, &slow, &body);
    flk_slow_body_end(slow.slot);
    flk_http_exchange_t *exchange = err == FLK_OK ? flk_http_exchange_open(connection) : NULL;
    if (exchange != NULL) {
        submit(door->gateway, exchange, &body, began_ns);
        flk_http_exchange_leave(exchange, connection);
        return LATER;
    }
    free(body.text);
    switch (err) {
    case FLK_OK:
        return refuse(connection, door, 503, "too many requests at once", NULL);
    case FLK_E_TOO_LARGE:
        return refuse(connection, door, 413, too_large, NULL);
    case FLK_E_NOMEM:
        return refuse(connection, door, 503, "out of memory", NULL);
    default:
        return refuse(connection, door, 400, "the body did not come in full in time", NULL);
    }
}

static int on_submit(struct mg_connection *connection, void *arg) {
    flk_http_door_t *door = arg;
    const struct mg_request_info *request = mg_get_request_info(connection);
    uint64_t began_ns = flk_mono_ns();
    if (strcmp(request->local_uri, path) != 0) { /* civetweb also gives us what lies below our path */
        return refuse(connection, door, 404, no_such_page, NULL);
    }
    if (strcmp(request->request_method, "POST") != 0) {
        return refuse(connection, door, 405, "PCS are submitted by POST", "POST");
    }
    if (!is_json(mg_get_header(connection, "Content-Type"))) {
        return refuse(connection, door, 415, "the media type must be application/json", NULL);
    }
    if (request->content_length > FLK_PCS_BODY_BYTES_MAX) {
        return refuse(connection, door, 413, too_large, NULL);
    }
    if (expects_continue(connection, request)) {
        mg_printf(connection, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    return read_and_submit(connection, door, began_ns);
}

static int on_other(struct mg_connection *connection, void *arg) {
    return refuse(connection, arg, 404, no_such_page, NULL);
}

/* ---- start and stop ---- */

static void warn_beyond_loopback(const flk_settings_t *settings) {
    const char *listen = flk_settings_str(settings, FLK_SET_HTTP_LISTEN);
    bool loopback =
        strncmp(listen, "127.", 4) == 0 || strncmp(listen, "[::1]", 5) == 0 || strncmp(listen, "localhost:", 10) == 0;
    if (!loopback && !flk_settings_bool(settings, FLK_SET_HTTP_BEHIND_PROXY)) {
        char shown[128];
        flk_address_show(listen, shown, sizeof shown);
        flk_log(FLK_LOG_WARN, "http_without_tls", FLK_S("listen", shown),
                FLK_S("do", "put a proxy that ends TLS in front and set FLK_HTTP_BEHIND_PROXY=1"));
    }
}

static bool is_pressed(const void *context) {
    return flk_http_is_pressed(context);
}

static flk_err_t attach(struct mg_context *context, void *arg) {
    flk_http_door_t *door = arg;
    const flk_settings_t *settings = door->gateway->settings;
    struct mg_server_port bound = {0};
    (void)!mg_get_server_ports(context, 1, &bound);
    const flk_slow_body_options_t slow = {.bodies_max = (unsigned)flk_settings_uint(settings, FLK_SET_HTTP_THREADS),
                                          .port = bound.port,
                                          .deadline_ms = BODY_DEADLINE_MS,
                                          .grace_ms = BODY_GRACE_MS,
                                          .pressed_ms = BODY_PRESSED_MS,
                                          .bytes_per_ms = BODY_BYTES_PER_MS,
                                          .pressed = is_pressed,
                                          .arg = context};
    flk_err_t err = flk_slow_body_start(&slow, &door->slow_body, NULL);
    if (err != FLK_OK) {
        return err;
    }
    mg_set_request_handler(context, path, on_submit, door);
    mg_set_request_handler(context, "**", on_other, door);
    err = flk_admin_attach(context,
                           &(flk_admin_options_t){.metrics = door->gateway->registry,
                                                  .ready = flk_gateway_ready,
                                                  .ready_arg = door->gateway,
                                                  .user = flk_settings_str(settings, FLK_SET_METRICS_USER),
                                                  .pass = flk_settings_str(settings, FLK_SET_METRICS_PASS)},
                           &door->admin);
    if (err != FLK_OK) {
        flk_slow_body_relax(door->slow_body); /* the context ends now */
    }
    return err;
}

flk_err_t flk_http_door_start(flk_gateway_t *gateway, flk_http_door_t **door, char *errmsg) {
    const flk_settings_t *settings = gateway->settings;
    flk_http_door_t *mine = flk_start_alloc(sizeof *mine);
    mine->gateway = gateway;
    warn_beyond_loopback(settings);
    unsigned threads = (unsigned)flk_settings_uint(settings, FLK_SET_HTTP_THREADS);
    flk_http_options_t options = {.listen = flk_settings_str(settings, FLK_SET_HTTP_LISTEN),
                                  .threads = threads,
                                  .spare_threads = SPARE_THREADS,
                                  .queue = QUEUE,
                                  .per_address_max = (unsigned)flk_settings_uint(settings, FLK_SET_HTTP_PER_ADDRESS),
                                  .metrics = gateway->registry,
                                  .request_timeout_ms = BODY_DEADLINE_MS,
                                  .keep_alive_ms = IDLE_MS,
                                  .attach = attach,
                                  .attach_arg = mine};
    flk_err_t err = flk_http_start(&options, &mine->context, &mine->port, errmsg);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "FLK_HTTP_LISTEN");
        flk_http_door_stop(&mine);
    }
    *door = mine;
    return err;
}

unsigned flk_http_door_port(const flk_http_door_t *door) {
    return door->port;
}

void flk_http_door_stop(flk_http_door_t **door) {
    flk_http_door_t *mine = *door;
    *door = NULL;
    if (mine == NULL) {
        return;
    }
    flk_slow_body_relax(mine->slow_body);
    flk_http_stop(&mine->context);
    flk_slow_body_stop(&mine->slow_body);
    flk_admin_stop(&mine->admin);
    free(mine);
}
