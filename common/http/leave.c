/* SPDX-License-Identifier: MIT */
/* Two races, and the remedy of each:
 *   a close with unread bytes resets the connection, and a reset may overtake the answer: we half-close, and read on
 *   a client sends its next request while we end its idle connection: it reads a 503, which is true, since the request
 *   was not read. A client that sends nothing finds the connection readable, and opens another. */
#include "common/http/leave.h"

#include <poll.h>
#include <sys/socket.h>

#include "common/http/read.h"

enum { LINGER_MS = 2000, LINGER_PRESSED_MS = 200, LINGER_SLICE_MS = 50, LINGER_BYTES = 4 << 20 };

/* The socket of an idle connection has room for it. */
static void say_goodbye(int fd) {
    char body[FLK_HTTP_PROBLEM_BYTES], message[FLK_HTTP_MESSAGE_BYTES];
    flk_http_answer_t answer = {
        .status = 503, .content_type = flk_http_problem_type, .body = body, .retry_after_s = 1, .close = true};
    answer.body_bytes =
        flk_http_problem(body, sizeof body, answer.status, flk_http_status_text(answer.status), "shutting down", NULL);
    (void)!send(fd, message, flk_http_print(&answer, message), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool has_more(const flk_http_connection_t *connection) {
    struct pollfd wanted = {.fd = connection->fd, .events = POLLIN};
    return !connection->request.complete || ppoll(&wanted, 1, &(struct timespec){0}, NULL) != 0;
}

static unsigned patience_ms(const flk_http_connections_t *connections) {
    bool pressed = !atomic_load(&connections->draining) && flk_http_connections_pressed(connections);
    return pressed ? LINGER_PRESSED_MS : LINGER_MS;
}

static void read_on(flk_http_connection_t *connection) {
    flk_http_request_t *request = &connection->request;
    struct pollfd wanted = {.fd = connection->fd, .events = POLLIN};
    uint64_t began_ms = flk_mono_ms();
    for (size_t bytes = 0; bytes < LINGER_BYTES && !atomic_load(&connection->all->over);) {
        if (flk_mono_ms() - began_ms >= patience_ms(connection->all)) {
            return;
        }
        if (ppoll(&wanted, 1, &(struct timespec){.tv_nsec = LINGER_SLICE_MS * 1000000L}, NULL) > 0) {
            ssize_t got = flk_http_receive_now(connection->fd, request->buffer, sizeof request->buffer);
            if (got <= 0) {
                return;
            }
            bytes += (size_t)got;
        }
    }
}

void flk_http_leave(flk_http_connection_t *connection, bool was_told) {
    if (connection->request.ended || (!atomic_load(&connection->all->draining) && !has_more(connection))) {
        return;
    }
    if (connection->is_sent_away && !was_told) {
        say_goodbye(connection->fd);
    }
    shutdown(connection->fd, SHUT_WR);
    read_on(connection);
}
