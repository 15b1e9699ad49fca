/* SPDX-License-Identifier: MIT */
#include "common/http/request.h"

#include <civetweb.h>
#include <string.h>

#include "common/http/connections.h"
#include "common/http/read.h"
#include "common/list.h"

static flk_http_connection_t *connection_of(const flk_http_request_t *request) {
    return FLK_CONTAINER_OF(request, flk_http_connection_t, request);
}

const flk_http_head_t *flk_http_request_head(const flk_http_request_t *request) {
    return &request->head;
}

const flk_http_peer_t *flk_http_request_peer(const flk_http_request_t *request) {
    return &connection_of(request)->peer;
}

flk_err_t flk_http_request_body(flk_http_request_t *request, char *out, size_t room, size_t *got) {
    return flk_http_read_body(connection_of(request), out, room, got);
}

static bool take_place(flk_http_connections_t *connections) {
    if (atomic_fetch_add(&connections->running, 1) < connections->bounds.requests_max) {
        return true;
    }
    atomic_fetch_sub(&connections->running, 1);
    flk_counter_add(connections->refused, 1);
    return false;
}

bool flk_http_request_take_place(flk_http_request_t *request) {
    FLK_ASSERT(!request->detached && !request->has_place);
    request->has_place = take_place(connection_of(request)->all);
    return request->has_place;
}

flk_http_exchange_t *flk_http_request_detach(flk_http_request_t *request) {
    flk_http_connection_t *connection = connection_of(request);
    FLK_ASSERT(request->complete && !request->detached && !request->has_place);
    if (!take_place(connection->all)) {
        return NULL;
    }
    request->detached = true;
    flk_http_exchange_begin(&connection->exchange, connection->fd, request->head.close);
    return &connection->exchange;
}

void flk_http_send(flk_http_request_t *request, const flk_http_answer_t *answer) {
    struct mg_connection *civetweb = connection_of(request)->civetweb;
    flk_http_answer_t mine = *answer;
    mine.close |= flk_http_request_closes(request) || atomic_load(&connection_of(request)->all->draining);
    request->head.close |= mine.close;
    bool bodiless = strcmp(request->head.method, "HEAD") == 0;
    char message[FLK_HTTP_MESSAGE_BYTES];
    bool whole = !bodiless && mine.body_bytes <= FLK_HTTP_SMALL_BODY_BYTES;
    size_t bytes = whole ? flk_http_print(&mine, message) : flk_http_print_head(&mine, message);
    mg_write(civetweb, message, bytes);
    if (!whole && !bodiless) {
        mg_write(civetweb, mine.body, mine.body_bytes);
    }
}

void flk_http_send_problem(flk_http_request_t *request, const flk_http_answer_t *answer, const char *detail,
                           const char *field) {
    char body[FLK_HTTP_PROBLEM_BYTES];
    flk_http_answer_t problem = *answer;
    problem.content_type = flk_http_problem_type;
    problem.body = body;
    problem.body_bytes =
        flk_http_problem(body, sizeof body, answer->status, flk_http_status_text(answer->status), detail, field);
    flk_http_send(request, &problem);
}
