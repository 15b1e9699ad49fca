/* SPDX-License-Identifier: MIT */
/* civetweb reports why it cannot listen only through its log callback, before it returns NULL and in the calling
 * thread: flk_http_start keeps the first line, the cause, for the error message. */
#include "common/http.h"

#include <civetweb.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/escape.h"
#include "common/http_guard.h"
#include "common/log.h"

enum { HEAD_BYTES = 768, SMALL_BODY_BYTES = 4096, OPTIONS_MAX = 24, NUMBER_BYTES = 12 };

static const char problem_type[] = "application/problem+json";

/* Where this thread's civetweb lines go while it starts a server; NULL otherwise. */
static _Thread_local char *start_message;

const char *flk_http_status_text(int status) {
    switch (status) {
    case 200:
        return "OK";
    case 202:
        return "Accepted";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 411:
        return "Length Required";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 417:
        return "Expectation Failed";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return status < 500 ? "Error" : "Server Error";
    }
}

/* ---- answers ---- */

static size_t append(char *out, size_t len, const char *format, ...) FLK_PRINTF(3, 4);
static size_t append(char *out, size_t len, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int added = vsnprintf(out + len, HEAD_BYTES - len, format, args);
    va_end(args);
    FLK_ASSERT(added >= 0 && len + (size_t)added < HEAD_BYTES); /* all header values are ours and short */
    return len + (size_t)added;
}

static size_t print_head(char head[HEAD_BYTES], const flk_http_answer_t *answer) {
    char date[40];
    time_t now = time(NULL);
    struct tm utc;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &utc));

    size_t len =
        append(head, 0, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", answer->status,
               flk_http_status_text(answer->status), date, answer->content_type, answer->body_bytes);
    len = append(head, len, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
    if (answer->retry_after_s > 0) {
        len = append(head, len, "Retry-After: %u\r\n", answer->retry_after_s);
    }
    if (answer->allow != NULL) {
        len = append(head, len, "Allow: %s\r\n", answer->allow);
    }
    if (answer->authenticate != NULL) {
        len = append(head, len, "WWW-Authenticate: %s\r\n", answer->authenticate);
    }
    if (answer->close) {
        len = append(head, len, "Connection: close\r\n");
    }
    return append(head, len, "\r\n");
}

static bool is_head(const struct mg_connection *connection) {
    const struct mg_request_info *request = mg_get_request_info(connection);
    return request != NULL && request->request_method != NULL && strcmp(request->request_method, "HEAD") == 0;
}

void flk_http_send(struct mg_connection *connection, const flk_http_answer_t *answer) {
    if (answer->close) {
        mg_disable_keep_alive(connection);
    }
    char message[HEAD_BYTES + SMALL_BODY_BYTES];
    size_t len = print_head(message, answer);
    size_t body_bytes = is_head(connection) ? 0 : answer->body_bytes;
    bool small = body_bytes <= SMALL_BODY_BYTES;
    if (small && body_bytes > 0) {
        memcpy(message + len, answer->body, body_bytes);
        len += body_bytes;
    }
    mg_write(connection, message, len);
    if (!small) {
        mg_write(connection, answer->body, body_bytes);
    }
}

/* Appends `text` escaped, always leaving `reserve` bytes. */
static size_t append_escaped(char *out, size_t out_bytes, size_t len, const char *text, size_t reserve) {
    size_t room = out_bytes > len + reserve ? out_bytes - len - reserve : 0;
    return len + flk_escape(text, FLK_ESCAPE_JSON, out + len, room, NULL);
}

static size_t append_literal(char *out, size_t len, const char *text) {
    size_t bytes = strlen(text);
    memcpy(out + len, text, bytes);
    return len + bytes;
}

size_t flk_http_problem(char *out, size_t out_bytes, int status, const char *title, const char *detail,
                        const char *field) {
    static const char detail_key[] = "\",\"detail\":\"";
    static const char field_key[] = "\",\"field\":\"";
    enum { CLOSE_BYTES = 3, FIELD_BYTES = 96 }; /* kept free for `"}` and NUL, and for the field */
    FLK_ASSERT(out_bytes >= FLK_HTTP_PROBLEM_BYTES_MIN);
    bool has_field = field != NULL && field[0] != '\0';
    size_t for_field = has_field ? sizeof field_key + FIELD_BYTES : 0;
    size_t for_detail = sizeof detail_key + for_field + CLOSE_BYTES;

    size_t len = (size_t)snprintf(out, out_bytes, "{\"type\":\"about:blank\",\"status\":%d,\"title\":\"", status);
    len = append_escaped(out, out_bytes, len, title, for_detail);
    len = append_literal(out, len, detail_key);
    len = append_escaped(out, out_bytes, len, detail, for_field + CLOSE_BYTES);
    if (has_field) {
        len = append_literal(out, len, field_key);
        len = append_escaped(out, out_bytes, len, field, CLOSE_BYTES);
    }
    len = append_literal(out, len, "\"}");
    out[len] = '\0';
    return len;
}

void flk_http_send_problem(struct mg_connection *connection, const flk_http_answer_t *answer, const char *detail,
                           const char *field) {
    char body[FLK_HTTP_PROBLEM_BYTES];
    flk_http_answer_t problem = *answer;
    problem.content_type = problem_type;
    problem.body = body;
    problem.body_bytes =
        flk_http_problem(body, sizeof body, answer->status, flk_http_status_text(answer->status), detail, field);
    flk_http_send(connection, &problem);
}

/* ---- civetweb's own errors and messages ---- */

/* What civetweb refuses by itself (a malformed request line, say) looks like what we refuse. */
static int on_http_error(struct mg_connection *connection, int status, const char *message) {
    (void)message; /* may quote the request */
    flk_http_send_problem(connection, &(flk_http_answer_t){.status = status, .close = true},
                          "the request is not one that this door can read", NULL);
    return 0;
}

static int on_log_message(const struct mg_connection *connection, const char *message) {
    (void)connection;
    if (start_message != NULL) {
        if (start_message[0] == '\0') {
            flk_errmsg(start_message, "%s", message);
        }
    } else {
        flk_log(FLK_LOG_DEBUG, "http_library", FLK_S("message", message));
    }
    return 1;
}

/* ---- listening ---- */

/* "cannot bind to 127.0.0.1:80: 13 (Permission denied)" -> "Permission denied". */
static const char *shorten(char *message) {
    char *open = strrchr(message, '(');
    char *close = open != NULL ? strchr(open, ')') : NULL;
    if (close == NULL) {
        return message;
    }
    *close = '\0';
    return open + 1;
}

static const char *print_number(char number[NUMBER_BYTES], unsigned value) {
    snprintf(number, NUMBER_BYTES, "%u", value);
    return number;
}

static struct mg_context *start_civetweb(const flk_http_options_t *options, char *message) {
    char threads[NUMBER_BYTES], queue[NUMBER_BYTES], timeout[NUMBER_BYTES], keep_alive[NUMBER_BYTES];
    const char *pairs[OPTIONS_MAX] = {
        "listening_ports",
        options->listen,
        "num_threads",
        print_number(threads, options->threads),
        "connection_queue",
        print_number(queue, options->queue),
        "request_timeout_ms",
        print_number(timeout, options->request_timeout_ms),
        "enable_keep_alive",
        options->keep_alive_ms > 0 ? "yes" : "no",
        "keep_alive_timeout_ms",
        print_number(keep_alive, options->keep_alive_ms),
        "tcp_nodelay",
        "1",
        "access_control_allow_methods",
        "", /* else civetweb answers CORS preflights by itself */
        "access_control_allow_origin",
        "",
        "enable_directory_listing",
        "no",
    };
    struct mg_callbacks callbacks = {0};
    if (options->callbacks != NULL) {
        callbacks = *options->callbacks;
    }
    callbacks.begin_request = callbacks.begin_request != NULL ? callbacks.begin_request : flk_http_guard;
    callbacks.http_error = callbacks.http_error != NULL ? callbacks.http_error : on_http_error;
    callbacks.log_message = callbacks.log_message != NULL ? callbacks.log_message : on_log_message;
    start_message = message;
    struct mg_context *context = mg_start(&callbacks, options->user_data, pairs);
    start_message = NULL;
    return context;
}

flk_err_t flk_http_start(const flk_http_options_t *options, struct mg_context **context, unsigned *port, char *errmsg) {
    char message[FLK_ERRMSG_BYTES] = "";
    mg_init_library(MG_FEATURES_DEFAULT);
    *context = start_civetweb(options, message);
    if (*context == NULL) {
        mg_exit_library();
        flk_errmsg(errmsg, "cannot listen on %s: %s", options->listen, shorten(message));
        return FLK_E_CONFIG;
    }
    struct mg_server_port bound;
    *port = mg_get_server_ports(*context, 1, &bound) == 1 ? (unsigned)bound.port : 0;
    return FLK_OK;
}

/* civetweb's accepting thread looks at its stop flag only every two seconds, or when somebody connects. */
typedef struct waker {
    char host[64], port[NUMBER_BYTES];
    atomic_bool done;
} waker_t;

static void connect_once(const struct addrinfo *address) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        (void)!connect(fd, address->ai_addr, address->ai_addrlen); /* refused: it has stopped already */
        close(fd);
    }
}

static void *keep_connecting(void *arg) {
    enum { PAUSE_NS = 5000000 };
    waker_t *waker = arg;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *address;
    if (getaddrinfo(waker->host, waker->port, &hints, &address) == 0) {
        while (!atomic_load(&waker->done)) {
            connect_once(address);
            nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
        }
        freeaddrinfo(address);
    }
    return NULL;
}

/* Where to connect to: the host that was asked for (without brackets) and the port that was given. */
static void waker_init(waker_t *waker, const struct mg_context *context) {
    struct mg_server_port bound = {0};
    (void)!mg_get_server_ports(context, 1, &bound);
    const char *listen = mg_get_option(context, "listening_ports");
    const char *colon = listen != NULL ? strrchr(listen, ':') : NULL;
    size_t host_len = colon != NULL ? (size_t)(colon - listen) : 0;
    bool brackets = host_len > 2 && listen[0] == '[';
    snprintf(waker->host, sizeof waker->host, "%.*s", (int)(host_len - 2 * brackets), listen + brackets);
    snprintf(waker->port, sizeof waker->port, "%d", bound.port);
}

void flk_http_stop(struct mg_context **context) {
    if (*context == NULL) {
        return;
    }
    waker_t waker = {.done = false};
    waker_init(&waker, *context);
    pthread_t thread;
    bool waking = pthread_create(&thread, NULL, keep_connecting, &waker) == 0; /* else it only takes longer */
    mg_stop(*context);
    atomic_store(&waker.done, true);
    if (waking) {
        pthread_join(thread, NULL);
    }
    mg_exit_library();
    *context = NULL;
}
