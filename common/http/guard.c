/* SPDX-License-Identifier: MIT */
#include "common/http/guard.h"

#include <civetweb.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "common/http/http.h"

enum { HEADERS_MAX = 63 }; /* civetweb keeps 64 and silently drops the rest */

/* Of any length: civetweb takes what overflows for the largest number, which is over every limit. */
static bool is_decimal(const char *text) {
    size_t digits = strspn(text, "0123456789");
    return digits >= 1 && text[digits] == '\0';
}

/* civetweb cuts the spaces before a colon off the name: it writes a NUL over each, and one over the colon. */
static bool has_space_before_colon(const struct mg_header *header) {
    const char *after = header->name + strlen(header->name) + 1;
    return after < header->value && *after == '\0';
}

/* civetweb drops, without a word, a line that begins with a space (a folded header) or with a byte that no name may have,
 * and every line behind it; and it takes a lone LF for the end of a line. Where it cut the request into strings it left
 * NULs, so what it read shows: each header begins right behind the CRLF of the line before, and the empty line follows the last one.
 * Over that line's LF there is a NUL too, and it takes no NUL from a client; anything else there is a lone CR, and all
 * behind it was dropped. The byte looked at last may be the first one behind the request, which civetweb's buffer has. */
static bool is_read_in_full(const struct mg_request_info *request) {
    const char *end = request->http_version + strlen(request->http_version);
    if (request->num_headers == 0) {
        return end[1] == '\0' && end[2] == '\0'; /* it cut at each byte of the two CRLF */
    }
    for (int i = 0; i < request->num_headers; i++) {
        const struct mg_header *header = &request->http_headers[i];
        if (header->name != end + 2) {
            return false;
        }
        end = header->value + strlen(header->value);
    }
    return end[1] == '\0' && end[2] == '\r' && end[3] == '\0';
}

typedef struct framing {
    unsigned lengths, encodings, hosts;
    bool bad_length, bad_encoding, bad_name;
} framing_t;

static framing_t read_framing(const struct mg_request_info *request) {
    framing_t framing = {0};
    for (int i = 0; i < request->num_headers; i++) {
        const struct mg_header *header = &request->http_headers[i];
        framing.bad_name |= has_space_before_colon(header);
        if (strcasecmp(header->name, "Content-Length") == 0) {
            framing.lengths++;
            framing.bad_length |= !is_decimal(header->value);
        } else if (strcasecmp(header->name, "Transfer-Encoding") == 0) {
            framing.encodings++;
            framing.bad_encoding |= strcasecmp(header->value, "chunked") != 0;
        } else if (strcasecmp(header->name, "Host") == 0) {
            framing.hosts++;
        }
    }
    return framing;
}

/* NULL when there is nothing to say against it. */
static const char *objection(const struct mg_request_info *request, const framing_t *framing) {
    bool old = strcmp(request->http_version, "1.0") == 0;
    if (!is_read_in_full(request)) {
        return "header lines must be names with values, not folded, and end with CRLF";
    }
    if (framing->bad_name) {
        return "a header name must be followed by its colon at once";
    }
    if (framing->lengths > 1 || framing->bad_length) {
        return "Content-Length must stand once, as a decimal number";
    }
    if (framing->encodings > 0 && framing->lengths > 0) {
        return "Transfer-Encoding and Content-Length must not stand together";
    }
    if (framing->encodings > 1 || framing->bad_encoding || (framing->encodings > 0 && old)) {
        return "Transfer-Encoding must stand once, be chunked, and needs HTTP/1.1";
    }
    if (framing->hosts > 1 || (framing->hosts == 0 && !old)) {
        return "Host must stand once";
    }
    return NULL;
}

static int refuse(struct mg_connection *connection, int status, const char *why) {
    flk_http_send_problem(connection, &(flk_http_answer_t){.status = status, .close = true}, why, NULL);
    return status;
}

int flk_http_guard(struct mg_connection *connection) {
    const struct mg_request_info *request = mg_get_request_info(connection);
    if (request->num_headers > HEADERS_MAX) {
        return refuse(connection, 431, "at most 63 header fields are allowed");
    }
    framing_t framing = read_framing(request);
    const char *why = objection(request, &framing);
    return why == NULL ? 0 : refuse(connection, 400, why);
}
