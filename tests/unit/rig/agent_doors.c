/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/agent_doors.h"

static step_t door_note(door_t *door, const flk_pcs_t *pcs) {
    pthread_mutex_lock(&door->lock);
    step_t step = door->seen < door->script_len ? door->script[door->seen] : STEP_ACCEPT;
    ck_assert_uint_lt(door->seen, DOOR_SEEN_MAX);
    memcpy(door->log[door->seen].pcs_id, pcs->id, sizeof pcs->id);
    door->log[door->seen].at_ms = flk_mono_ms();
    door->log[door->seen].attempt = pcs->attempt;
    door->log[door->seen].outbox_seq = pcs->outbox_seq;
    door->log[door->seen].has_sig = pcs->sig[0] != '\0';
    door->log[door->seen].step = step;
    door->seen++;
    pthread_mutex_unlock(&door->lock);
    return step;
}

static void door_init(door_t *door, const step_t *script, size_t script_len) {
    memset(door, 0, sizeof *door);
    door->script = script;
    door->script_len = script_len;
    pthread_mutex_init(&door->lock, NULL);
}

static void http_answer_as(struct mg_connection *connection, int status, const char *media_type, const char *headers,
                           const char *body) {
    mg_printf(connection, "HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n%s", status, media_type,
              strlen(body), headers, body);
}

static void http_answer(struct mg_connection *connection, int status, const char *headers, const char *body) {
    http_answer_as(connection, status, "application/json", headers, body);
}

static void http_problem(struct mg_connection *connection, int status, const char *members) {
    char body[256];
    snprintf(body, sizeof body, "{\"type\":\"about:blank\",\"title\":\"X\",%s}", members);
    http_answer_as(connection, status, "application/problem+json", "", body);
}

/* Answers that come from something in between. */
static void http_stranger(struct mg_connection *connection, step_t step) {
    static const char page[] = "<html><h1>It works!</h1></html>";
    int status = step == STEP_PROXY_502   ? 502
                 : step == STEP_PROXY_404 ? 404
                 : step == STEP_PROXY_405 ? 405
                 : step == STEP_PROXY_401 ? 401
                                          : 403;
    switch (step) {
    case STEP_REDIRECT:
        http_answer_as(connection, 302, "text/html", "Location: http://user:secret@192.0.2.1/login\r\n", page);
        break;
    case STEP_BARE_400:
        http_answer(connection, 400, "", "{\"status\":400,\"detail\":\"bad\"}");
        break;
    case STEP_FRAMEWORK_400:
        http_problem(connection, 400, "\"status\":400,\"detail\":\"bad\",\"instance\":\"/v1/pcs/submit\"");
        break;
    case STEP_OTHER_STATUS:
        http_problem(connection, 400, "\"status\":503,\"detail\":\"no worker\"");
        break;
    default:
        http_answer_as(connection, status, "text/html", "", page);
        break;
    }
}

static void http_step(struct mg_connection *connection, step_t step, const char *pcs_id) {
    char body[512];
    static const char nobody[] = "0000000000000000000000000000000000000000000000000000000000000000";
    bool accepted = step != STEP_ESCALATE;
    switch (step) {
    case STEP_ACCEPT:
    case STEP_ESCALATE:
    case STEP_DUPLICATE:
    case STEP_CONFLICT:
    case STEP_MIXED_UP:
        snprintf(body, sizeof body,
                 "{\"accepted\":%s,\"escalated\":%s,\"pcs_id\":\"%s\",\"reasons\":[%s],\"duplicate\":%s%s}",
                 accepted ? "true" : "false", accepted ? "false" : "true", step == STEP_MIXED_UP ? nobody : pcs_id,
                 accepted ? "" : "\"degraded\"", step == STEP_DUPLICATE || step == STEP_CONFLICT ? "true" : "false",
                 step == STEP_CONFLICT ? ",\"conflict\":true" : "");
        http_answer(connection, accepted ? 200 : 202, "", body);
        break;
    case STEP_OTHER:
        http_answer(connection, 200, "", "{\"accepted\":true,\"message\":\"stored\"}");
        break;
    case STEP_REFUSE:
        http_problem(connection, 400, "\"status\":400,\"field\":\"D_hat\",\"detail\":\"must be a number\"");
        break;
    case STEP_SIGNATURE:
        http_problem(connection, 401, "\"status\":401,\"field\":\"sig\",\"detail\":\"does not verify\"");
        break;
    case STEP_ELSEWHERE:
        http_problem(connection, 404, "\"status\":404,\"detail\":\"there is no such page\"");
        break;
    case STEP_PROXY_502:
    case STEP_PROXY_404:
    case STEP_PROXY_403:
    case STEP_PROXY_405:
    case STEP_PROXY_401:
    case STEP_REDIRECT:
    case STEP_BARE_400:
    case STEP_FRAMEWORK_400:
    case STEP_OTHER_STATUS:
        http_stranger(connection, step);
        break;
    case STEP_BUSY:
        http_answer(connection, 429, "Retry-After: 1\r\n", "{}");
        break;
    case STEP_DOWN:
        http_answer(connection, 503, "", "not even JSON");
        break;
    case STEP_FOREIGN:
        http_answer(connection, 200, "", "<html>Welcome to the airport WLAN</html>");
        break;
    case STEP_HANG_UP:
    case STEP_SILENT:
        mg_disable_connection_keep_alive(connection);
        break;
    }
}

static int http_handle(struct mg_connection *connection, void *arg) {
    door_t *door = arg;
    char body[16384];
    int bytes = 0, got;
    while ((got = mg_read(connection, body + bytes, sizeof body - (size_t)bytes)) > 0) {
        bytes += got;
    }
    int now = atomic_fetch_add(&door->at_once, 1) + 1, most = atomic_load(&door->at_once_max);
    while (now > most && !atomic_compare_exchange_weak(&door->at_once_max, &most, now)) {
    }
    flk_pcs_t *pcs = malloc(sizeof *pcs);
    flk_pcs_fault_t fault;
    FLK_ASSERT(flk_pcs_from_json(body, (size_t)bytes, pcs, &fault) == FLK_OK);
    step_t step = door_note(door, pcs);
    for (int i = 0; step == STEP_SILENT && i < 600 && !atomic_load(&door->stopping); i++) {
        usleep(10000);
    }
    http_step(connection, step, pcs->id);
    flk_pcs_fini(pcs);
    free(pcs);
    atomic_fetch_sub(&door->at_once, 1);
    return 200;
}

/* One server for all HTTP doors of a program, one after the other: civetweb takes two seconds to stop. */
static struct mg_context *http_server;

static void http_stop(void) {
    mg_stop(http_server);
    mg_exit_library();
}

void door_http_open(door_t *door, const step_t *script, size_t script_len) {
    static const char *const options[] = {
        "listening_ports",    "127.0.0.1:0", "num_threads", "40", "enable_keep_alive", "yes",
        "request_timeout_ms", "1000",        NULL};
    struct mg_server_port port;
    door_init(door, script, script_len);
    if (http_server == NULL) {
        mg_init_library(0);
        http_server = mg_start(NULL, NULL, (const char **)options);
        ck_assert_ptr_nonnull(http_server);
        atexit(http_stop);
    }
    mg_set_request_handler(http_server, "/v1/pcs/submit", http_handle, door);
    ck_assert_int_eq(mg_get_server_ports(http_server, 1, &port), 1);
    snprintf(door->endpoint, sizeof door->endpoint, "http://127.0.0.1:%d/v1/pcs/submit", port.port);
}

/* An agent may stop while its door answers: then nobody is there to be sent to. */
static void sent_or_gone(flk_err_t err) {
    FLK_ASSERT(err == FLK_OK || err == FLK_E_UNAVAILABLE);
}

static void zmq_verdict(door_t *door, const flk_message_t *message, const flk_pcs_t *pcs, step_t step) {
    flk_frame_t frame = {.kind = FLK_VERDICT, .id = message->frame.id, .status = step == STEP_ESCALATE ? 202 : 200};
    flk_outcome_record_t record = {.outcome = {.status = (uint16_t)frame.status, .policy_version = "test"}};
    uint8_t body[FLK_OUTCOME_BYTES];
    memcpy(record.pcs_id, pcs->id, sizeof record.pcs_id);
    if (step == STEP_ESCALATE) {
        record.outcome.reasons = 1u << FLK_REASON_DEGRADED;
    }
    if (step == STEP_MIXED_UP) {
        memset(record.pcs_id, '0', FLK_PCS_ID_HEX);
    }
    frame.flags = step == STEP_DUPLICATE || step == STEP_CONFLICT ? FLK_FLAG_DUPLICATE : 0;
    frame.flags |= step == STEP_CONFLICT ? FLK_FLAG_CONFLICT : 0;
    size_t body_bytes = step == STEP_FOREIGN ? 0 : flk_outcome_encode(&record, body);
    sent_or_gone(flk_link_send_copy(door->router, &message->route, &frame, body, body_bytes));
}

static void zmq_step(door_t *door, const flk_message_t *message, const flk_pcs_t *pcs, step_t step) {
    flk_frame_t frame = {.id = message->frame.id};
    uint8_t body[FLK_PROBLEM_BYTES];
    size_t body_bytes;
    switch (step) {
    case STEP_PROXY_502:
    case STEP_PROXY_404:
    case STEP_PROXY_403:
    case STEP_PROXY_405:
    case STEP_PROXY_401:
    case STEP_REDIRECT:
    case STEP_BARE_400:
    case STEP_FRAMEWORK_400:
    case STEP_OTHER_STATUS:
        frame.kind = FLK_VERDICT;
        frame.status = step == STEP_PROXY_404 ? 404 : step == STEP_PROXY_401 ? 401 : 400;
        sent_or_gone(flk_link_send(door->router, &message->route, &frame, NULL));
        break;
    case STEP_REFUSE:
    case STEP_SIGNATURE:
    case STEP_ELSEWHERE:
        frame.kind = FLK_VERDICT;
        frame.status = step == STEP_REFUSE ? 400 : step == STEP_SIGNATURE ? 401 : 404;
        body_bytes = flk_problem_encode(&(flk_problem_t){.field = "D_hat", .detail = "must be a number"}, body);
        sent_or_gone(flk_link_send_copy(door->router, &message->route, &frame, body, body_bytes));
        break;
    case STEP_BUSY:
    case STEP_DOWN:
        frame.kind = step == STEP_BUSY ? FLK_BUSY : FLK_UNAVAILABLE;
        frame.retry_ms = step == STEP_BUSY ? 300 : 10;
        snprintf(frame.name, sizeof frame.name, "throttled");
        (void)!flk_link_send(door->router, &message->route, &frame, NULL); /* it may have left: then it asks again */
        break;
    case STEP_HANG_UP:
        door->known = false;
        break;
    case STEP_SILENT:
        break;
    default:
        zmq_verdict(door, message, pcs, step);
        break;
    }
}

static void zmq_submit(door_t *door, flk_pcs_reader_t *reader, flk_message_t *message) {
    flk_pcs_t *pcs = malloc(sizeof *pcs);
    flk_pcs_fault_t fault;
    FLK_ASSERT(flk_pcs_from_msgpack(reader, zmq_msg_data(&message->body), zmq_msg_size(&message->body), pcs, &fault) ==
               FLK_OK);
    step_t step = door_note(door, pcs);
    zmq_step(door, message, pcs, step);
    flk_pcs_fini(pcs);
    free(pcs);
}

static void *zmq_serve(void *arg) {
    door_t *door = arg;
    flk_message_t message;
    flk_pcs_reader_t *reader = flk_pcs_reader_new();
    flk_id_t instance;
    flk_id_random(&instance);
    flk_message_init(&message);
    while (!atomic_load(&door->stopping)) {
        zmq_pollitem_t item = {.socket = door->router, .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, 20);
        while (flk_link_recv(door->router, true, &message, NULL) == FLK_OK) {
            flk_frame_t frame = {.id = instance, .credit = DOOR_CREDIT, .heartbeat_ms = 100, .known = door->known};
            if (message.frame.kind == FLK_HELLO) {
                frame.kind = FLK_WELCOME;
                door->known = true;
                door->hellos++;
            } else if (message.frame.kind == FLK_PING) {
                frame.kind = FLK_PONG;
            } else if (message.frame.kind == FLK_SUBMIT && door->known) {
                zmq_submit(door, reader, &message);
                continue;
            } else {
                continue;
            }
            FLK_ASSERT(flk_link_send(door->router, &message.route, &frame, NULL) != FLK_E_INVALID); /* or it is gone */
        }
    }
    flk_message_fini(&message);
    flk_pcs_reader_destroy(&reader);
    return NULL;
}

void door_zmq_open(door_t *door, const char *endpoint, const step_t *script, size_t script_len) {
    char errmsg[FLK_ERRMSG_BYTES];
    door_init(door, script, script_len);
    size_t bytes = sizeof door->endpoint;
    door->context = zmq_ctx_new();
    ck_assert_msg(flk_link_bind(door->context, endpoint == NULL ? "tcp://127.0.0.1:*" : endpoint, NULL, FLK_ROLE_AGENT,
                                &door->router, errmsg) == FLK_OK,
                  "%s", errmsg);
    ck_assert_int_eq(zmq_getsockopt(door->router, ZMQ_LAST_ENDPOINT, door->endpoint, &bytes), 0);
    ck_assert_int_eq(pthread_create(&door->thread, NULL, zmq_serve, door), 0);
}

void door_close(door_t *door) {
    atomic_store(&door->stopping, true);
    if (door->context == NULL) {
        mg_set_request_handler(http_server, "/v1/pcs/submit", NULL, NULL); /* waits for those that run */
    } else {
        pthread_join(door->thread, NULL);
        flk_link_close(&door->router);
        zmq_ctx_term(door->context);
    }
    pthread_mutex_destroy(&door->lock);
}
