/* SPDX-License-Identifier: MIT */
#include "common/http/answer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/escape.h"
#include "common/number.h"

enum { HEAD_BYTES = FLK_HTTP_HEAD_BYTES };

const char flk_http_problem_type[] = "application/problem+json";

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
    case 403:
        return "Forbidden";
    case 406:
        return "Not Acceptable";
    case 408:
        return "Request Timeout";
    case 410:
        return "Gone";
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

/* All header values are ours and short. */
static size_t append(char *out, size_t len, const char *text) {
    size_t bytes = strlen(text);
    FLK_ASSERT(len + bytes < HEAD_BYTES);
    memcpy(out + len, text, bytes + 1);
    return len + bytes;
}

static size_t append_number(char *out, size_t len, size_t number) {
    char digits[FLK_INTEGER_BYTES + 1];
    digits[flk_integer_print(number, digits)] = '\0';
    return append(out, len, digits);
}

static size_t append_header(char *out, size_t len, const char *name, const char *value) {
    return append(out, append(out, append(out, len, name), value), "\r\n");
}

/* Now, printed once a second by each thread. */
static const char *print_date(void) {
    static _Thread_local time_t printed;
    static _Thread_local char date[40];
    time_t now = time(NULL);
    if (now != printed) {
        struct tm utc;
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &utc));
        printed = now;
    }
    return date;
}

size_t flk_http_print_head(const flk_http_answer_t *answer, char head[HEAD_BYTES]) {
    size_t len = append_number(head, append(head, 0, "HTTP/1.1 "), (size_t)answer->status);
    len = append_header(head, len, " ", flk_http_status_text(answer->status));
    len = append_header(head, len, "Date: ", print_date());
    len = append_header(head, len, "Content-Type: ", answer->content_type);
    len = append_number(head, append(head, len, "Content-Length: "), answer->body_bytes);
    len = append(head, len, "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
    if (answer->retry_after_s > 0) {
        len = append(head, append_number(head, append(head, len, "Retry-After: "), answer->retry_after_s), "\r\n");
    }
    if (answer->allow != NULL) {
        len = append_header(head, len, "Allow: ", answer->allow);
    }
    if (answer->authenticate != NULL) {
        len = append_header(head, len, "WWW-Authenticate: ", answer->authenticate);
    }
    if (answer->accept_encoding != NULL) {
        len = append_header(head, len, "Accept-Encoding: ", answer->accept_encoding);
    }
    if (answer->after != NULL) {
        len = append_header(head, len, "Flk-After: ", answer->after);
    }
    if (answer->close) {
        len = append_header(head, len, "Connection: ", "close");
    }
    return append(head, len, "\r\n");
}

size_t flk_http_print(const flk_http_answer_t *answer, char message[FLK_HTTP_MESSAGE_BYTES]) {
    FLK_ASSERT(answer->body_bytes <= FLK_HTTP_SMALL_BODY_BYTES);
    size_t len = flk_http_print_head(answer, message);
    memcpy(message + len, answer->body, answer->body_bytes);
    return len + answer->body_bytes;
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
