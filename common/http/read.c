/* SPDX-License-Identifier: MIT */
/* 1. head: waits for bytes until the guard has a whole head or a refusal. Bytes behind the head stay in the buffer.
 * 2. body: bytes from the buffer first, then off the socket; chunks are taken apart on the way.
 *
 * A client that trickles is not timed here: the watch ends its socket, and the read that waits for it returns. */
#include "common/http/read.h"

#include <civetweb.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* By recvmsg, which the thread sanitizer follows from one end of a socket to the other, as it does not recvfrom. */
ssize_t flk_http_receive_now(int fd, void *out, size_t room) {
    struct iovec place = {.iov_base = out, .iov_len = room};
    struct msghdr message = {.msg_iov = &place, .msg_iovlen = 1};
    return recvmsg(fd, &message, MSG_DONTWAIT);
}

/* False: it is time to go, and nothing of a next request has come. */
static bool wait_for_request(flk_http_connection_t *connection) {
    struct pollfd wanted[] = {{.fd = connection->fd, .events = POLLIN},
                              {.fd = connection->all->leave_fd, .events = POLLIN}};
    while (ppoll(wanted, 2, NULL, NULL) < 0 && errno == EINTR) {
    }
    connection->is_sent_away = wanted[0].revents == 0 && wanted[1].revents != 0;
    return !connection->is_sent_away;
}

/* The hooks are for civetweb, so these are not poll and recv. -1: error; 0: the end. */
static ssize_t receive(flk_http_connection_t *connection, void *out, size_t room) {
    for (;;) {
        ssize_t got = flk_http_receive_now(connection->fd, out, room);
        if (got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
            connection->request.ended |= got <= 0;
            return got;
        }
        struct pollfd wanted = {.fd = connection->fd, .events = POLLIN};
        if (ppoll(&wanted, 1, NULL, NULL) < 0 && errno != EINTR) {
            return -1;
        }
    }
}

/* ---- the head ---- */

static void begin_request(flk_http_request_t *request) {
    memmove(request->buffer, request->buffer + request->at, request->end - request->at);
    request->end -= request->at;
    request->at = request->scanned = 0;
    request->reading = request->detached = false;
    request->body_bytes = 0;
    request->chunks = (flk_http_chunks_t){.state = FLK_CHUNK_SIZE};
}

bool flk_http_read_head(flk_http_connection_t *connection) {
    flk_http_request_t *request = &connection->request;
    FLK_ASSERT(request->complete); /* else the next bytes are still the body before it */
    begin_request(request);
    for (;;) {
        if (request->end > 0 && !flk_http_connection_enter(connection, FLK_HTTP_HEAD)) {
            return false;
        }
        if (flk_http_guard_read(request->buffer, request->end, &request->scanned, &request->head)) {
            break;
        }
        if (request->end == 0 && !wait_for_request(connection)) {
            return false;
        }
        ssize_t got = receive(connection, request->buffer + request->end, sizeof request->buffer - request->end);
        if (got <= 0) {
            return false;
        }
        request->end += (size_t)got;
    }
    flk_http_head_t *head = &request->head;
    head->close |= connection->all->bounds.idle_ms == 0;
    request->at = head->bytes;
    request->complete = head->status == 0 && head->length == 0 && !head->chunked;
    request->ready = true;
    return flk_http_connection_enter(connection, FLK_HTTP_BUSY);
}

/* ---- the body ---- */

static size_t least(size_t a, size_t b, uint64_t c) {
    size_t less = a < b ? a : b;
    return less < c ? less : (size_t)c;
}

static flk_err_t take_plain(flk_http_connection_t *connection, char *out, size_t room, size_t *got) {
    flk_http_request_t *request = &connection->request;
    uint64_t left = request->head.length - request->body_bytes;
    size_t buffered = least(request->end - request->at, room, left);
    if (buffered > 0) {
        memcpy(out, request->buffer + request->at, buffered);
        request->at += buffered;
        *got = buffered;
    } else if (left > 0) {
        ssize_t came = receive(connection, out, least(room, room, left));
        *got = came > 0 ? (size_t)came : 0;
        if (came <= 0) {
            return FLK_E_CLOSED;
        }
    }
    request->complete = left == *got;
    return FLK_OK;
}

/* More of the body into the buffer, behind the head, which stays. */
static bool refill(flk_http_connection_t *connection) {
    flk_http_request_t *request = &connection->request;
    request->at = request->end = request->head.bytes;
    ssize_t got = receive(connection, request->buffer + request->end, sizeof request->buffer - request->end);
    request->end += got > 0 ? (size_t)got : 0;
    return got > 0;
}

static flk_err_t take_chunked(flk_http_connection_t *connection, char *out, size_t room, size_t *got) {
    flk_http_request_t *request = &connection->request;
    while (*got == 0 && request->chunks.state != FLK_CHUNK_DONE) {
        if (request->at == request->end && !refill(connection)) {
            return FLK_E_CLOSED;
        }
        request->at += flk_http_chunks_take(&request->chunks, request->buffer + request->at, request->end - request->at,
                                            out, room, got);
        if (request->chunks.state == FLK_CHUNK_BAD) {
            return FLK_E_INVALID;
        }
        if (!flk_http_connection_enter(connection, FLK_HTTP_BODY)) {
            return FLK_E_TIMEOUT;
        }
    }
    request->complete = *got == 0;
    return FLK_OK;
}

/* A client may wait with its body until it is told to go on. */
static void begin_body(flk_http_connection_t *connection) {
    flk_http_request_t *request = &connection->request;
    request->reading = true;
    request->body_began_ms = flk_mono_ms();
    if (request->head.awaits_go && request->at == request->end) {
        static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
        mg_write(connection->civetweb, go, sizeof go - 1);
    }
}

flk_err_t flk_http_read_body(flk_http_connection_t *connection, char *out, size_t room, size_t *got) {
    flk_http_request_t *request = &connection->request;
    *got = 0;
    if (request->complete) {
        return FLK_OK;
    }
    if (!request->reading) {
        begin_body(connection);
    }
    if (!flk_http_connection_enter(connection, FLK_HTTP_BODY)) {
        return FLK_E_TIMEOUT;
    }
    flk_err_t err =
        request->head.chunked ? take_chunked(connection, out, room, got) : take_plain(connection, out, room, got);
    request->body_bytes += *got;
    flk_http_phase_t next = request->complete ? FLK_HTTP_BUSY : FLK_HTTP_BODY;
    return flk_http_connection_enter(connection, next) || err == FLK_E_INVALID ? err : FLK_E_TIMEOUT;
}

/* ---- the end ---- */

bool flk_http_request_closes(const flk_http_request_t *request) {
    return request->head.close || !request->complete;
}
