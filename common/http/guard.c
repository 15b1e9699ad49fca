/* SPDX-License-Identifier: MIT */
/* 1. Scan: each byte once, as it comes. A control character, a CR without its LF or an LF without its CR ends it at
 *    once.
 * 2. At the empty line: the request line, then each field line, cut into texts in place.
 * 3. Framing: the fields that tell how long the body is and whether the connection goes on.
 *
 * Where RFC 9112 lets a recipient choose between repair and refusal, the guard refuses: lone LF, blanks before a
 * colon, folded lines, blank lines in front, repeated lengths. */
#include "common/http/guard.h"

#include <string.h>
#include <strings.h>

enum { TLS_HANDSHAKE = 0x16 };

static const char bad_line[] = "the request line must be METHOD TARGET HTTP/1.1 with one space between them";
static const char bad_ends[] = "lines must end with CRLF, and have no other control characters";

static bool is_one_of(char c, const char *set) {
    return c != '\0' && strchr(set, c) != NULL;
}

static bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool flk_http_is_token_char(char c) {
    return is_alphanumeric(c) || is_one_of(c, "!#$%&'*+-.^_`|~");
}

static bool is_control(char c) {
    return (unsigned char)c < ' ' || c == 0x7f;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static bool refuse(flk_http_head_t *head, int status, const char *why) {
    head->bytes = 0;
    head->status = status;
    head->why = why;
    head->method = head->path = "";
    head->fields_len = 0;
    head->close = true;
    return true;
}

/* ---- the scan ---- */

typedef enum scan { SCAN_MORE, SCAN_END, SCAN_BAD } scan_t;

/* *at: the first byte behind the empty line; SCAN_BAD: the bad one. */
static scan_t scan(const char *data, size_t bytes, size_t *at) {
    for (; *at < bytes; (*at)++) {
        char c = data[*at];
        bool behind_cr = *at > 0 && data[*at - 1] == '\r';
        if (behind_cr != (c == '\n') || (is_control(c) && !is_one_of(c, "\t\r\n"))) {
            return SCAN_BAD;
        }
        if (c == '\n' && *at >= 3 && data[*at - 2] == '\n') {
            (*at)++;
            return SCAN_END;
        }
    }
    return SCAN_MORE;
}

static bool refuse_first(char first, flk_http_head_t *head) {
    return refuse(head, 400,
                  first == TLS_HANDSHAKE ? "this door speaks plain HTTP, and the client began with TLS"
                  : is_one_of(first, "\r\n\t\v\f ")
                      ? "nothing may stand before the request line, no blank and no empty line"
                      : bad_line);
}

static bool refuse_length(const char *data, size_t bytes, flk_http_head_t *head) {
    bool has_line = memchr(data, '\n', bytes) != NULL;
    return has_line ? refuse(head, 431, "the head may have at most 16384 bytes")
                    : refuse(head, 414, "the request line may have at most 8192 bytes");
}

/* ---- the request line ---- */

/* Ends the text at `at` with a NUL over `mark`, and gives the text behind it; NULL: there is no such mark before
 * `end`. */
static char *cut(char *at, char *end, char mark) {
    char *found = memchr(at, mark, (size_t)(end - at));
    if (found == NULL) {
        return NULL;
    }
    *found = '\0';
    return found + 1;
}

static bool is_token(const char *text) {
    size_t len = 0;
    while (flk_http_is_token_char(text[len])) {
        len++;
    }
    return len > 0 && text[len] == '\0';
}

static bool is_visible(const char *text) {
    size_t len = 0;
    while (text[len] > ' ' && text[len] <= '~') {
        len++;
    }
    return len > 0 && text[len] == '\0';
}

/* A host with or without a port; may be empty. Which host it is makes no difference here. */
static bool is_authority(const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (!is_alphanumeric(text[i]) && !is_one_of(text[i], "-._~%!$&'()*+,;=:[]")) {
            return false;
        }
    }
    return true;
}

/* "http://host/path" -> "/path" (RFC 9112, section 3.2.2). NULL: the authority is none. */
static const char *path_of(const char *target) {
    size_t scheme = strncasecmp(target, "http://", 7) == 0 ? 7 : strncasecmp(target, "https://", 8) == 0 ? 8 : 0;
    if (scheme == 0) {
        return target;
    }
    size_t authority = strcspn(target + scheme, "/?#");
    if (authority == 0 || !is_authority(target + scheme, authority)) {
        return NULL;
    }
    const char *path = target + scheme + authority;
    return path[0] != '\0' ? path : "/";
}

/* `line` ends with a NUL. */
static bool read_request_line(char *line, char *end, flk_http_head_t *head) {
    char *target = cut(line, end, ' ');
    char *version = target != NULL ? cut(target, end, ' ') : NULL;
    if (version == NULL || !is_token(line) || !is_visible(target)) {
        return !refuse(head, 400, bad_line);
    }
    bool named = strlen(version) == 8 && strncmp(version, "HTTP/", 5) == 0 && version[6] == '.';
    if (!named || version[5] < '0' || version[5] > '9' || version[7] < '0' || version[7] > '9') {
        return !refuse(head, 400, bad_line);
    }
    if (version[5] != '1') {
        return !refuse(head, 505, "this door speaks HTTP/1.1 and HTTP/1.0");
    }
    head->old = version[7] == '0';
    head->method = line;
    head->path = path_of(target);
    return head->path != NULL || !refuse(head, 400, "the target names no host that one can read");
}

/* ---- field lines ---- */

/* `line` ends with a NUL at `end`. */
static bool read_field(char *line, char *end, flk_http_head_t *head) {
    char *value = cut(line, end, ':');
    if (value == NULL || !is_token(line)) {
        return !refuse(head, 400, "a header line must be a name, its colon at once, and a value, and is not folded");
    }
    if (head->fields_len == FLK_HTTP_FIELDS_MAX) {
        return !refuse(head, 431, "at most 63 header fields are allowed");
    }
    while (is_blank(*value)) {
        value++;
    }
    while (end > value && is_blank(end[-1])) {
        *--end = '\0';
    }
    head->fields[head->fields_len++] = (flk_http_field_t){.name = line, .value = value};
    return true;
}

/* Each line of `data` ends with CRLF, the last one is empty. */
static bool read_lines(char *data, size_t bytes, flk_http_head_t *head) {
    char *line = data, *end = memchr(line, '\r', bytes);
    *end = '\0';
    if (!read_request_line(line, end, head)) {
        return false;
    }
    for (line = end + 2; *line != '\r'; line = end + 2) {
        end = memchr(line, '\r', bytes - (size_t)(line - data));
        *end = '\0';
        if (!read_field(line, end, head)) {
            return false;
        }
    }
    return true;
}

/* ---- framing ---- */

typedef struct framing {
    unsigned lengths, encodings, hosts, types, authorizations;
    const char *length, *encoding, *host;
} framing_t;

static const char *next_option(const char **list, size_t *bytes) {
    const char *at = *list + strspn(*list, ", \t");
    *bytes = strcspn(at, ",");
    *list = at + *bytes;
    while (*bytes > 0 && is_blank(at[*bytes - 1])) {
        (*bytes)--;
    }
    return *bytes > 0 ? at : NULL;
}

static bool has_option(const char *list, const char *option) {
    size_t bytes;
    for (const char *at; (at = next_option(&list, &bytes)) != NULL;) {
        if (bytes == strlen(option) && strncasecmp(at, option, bytes) == 0) {
            return true;
        }
    }
    return false;
}

static void note_field(const flk_http_field_t *field, flk_http_head_t *head, framing_t *framing) {
    if (strcasecmp(field->name, "Content-Length") == 0) {
        framing->lengths++;
        framing->length = field->value;
    } else if (strcasecmp(field->name, "Transfer-Encoding") == 0) {
        framing->encodings++;
        framing->encoding = field->value;
    } else if (strcasecmp(field->name, "Host") == 0) {
        framing->hosts++;
        framing->host = field->value;
    } else if (strcasecmp(field->name, "Content-Type") == 0) {
        framing->types++;
    } else if (strcasecmp(field->name, "Authorization") == 0) {
        framing->authorizations++;
    } else if (strcasecmp(field->name, "Connection") == 0) {
        head->close |= has_option(field->value, "close");
    }
}

/* Of any length: a number that overflows becomes the largest one, which is over every limit. */
static bool read_length(const char *text, uint64_t *length) {
    *length = 0;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        unsigned digit = (unsigned)(*at - '0');
        *length = *length > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *length * 10 + digit;
    }
    return text[0] != '\0';
}

/* Finds the fault of a Transfer-Encoding that is there. A coding that we do not know is named as such only in front of
 * chunks: without them nobody can tell where the body ends. */
static bool check_encoding(const framing_t *framing, flk_http_head_t *head) {
    static const char must[] = "Transfer-Encoding must stand once, be chunked, and needs HTTP/1.1";
    const char *encoding = framing->encoding;
    if (framing->lengths > 0) {
        return !refuse(head, 400, "Transfer-Encoding and Content-Length must not stand together");
    }
    if (framing->encodings > 1 || head->old) {
        return !refuse(head, 400, must);
    }
    if (strcasecmp(encoding, "chunked") == 0) {
        return head->chunked = true;
    }
    const char *last = strrchr(encoding, ',');
    last = last != NULL ? last + 1 + strspn(last + 1, " \t") : encoding;
    bool framed = strcasecmp(last, "chunked") == 0 && strcasestr(encoding, "chunked") == last;
    return framed ? !refuse(head, 501, "no transfer coding but chunked is known here") : !refuse(head, 400, must);
}

static bool check_fields(const framing_t *framing, flk_http_head_t *head) {
    if (framing->hosts > 1 || (framing->hosts == 0 && !head->old)) {
        return !refuse(head, 400, "Host must stand once");
    }
    if (framing->hosts == 1 && !is_authority(framing->host, strlen(framing->host))) {
        return !refuse(head, 400, "Host must be a host, with or without a port");
    }
    if (framing->types > 1 || framing->authorizations > 1) {
        return !refuse(head, 400, "Content-Type and Authorization must not stand twice");
    }
    if (framing->encodings > 0) {
        return check_encoding(framing, head);
    }
    if (framing->lengths > 1 || (framing->lengths == 1 && !read_length(framing->length, &head->length))) {
        return !refuse(head, 400, "Content-Length must stand once, as a decimal number");
    }
    return true;
}

/* An HTTP/1.0 client cannot have meant it (RFC 9110, section 10.1.1). */
static bool check_expectations(flk_http_head_t *head) {
    const char *expect = head->old ? NULL : flk_http_head_field(head, "Expect");
    head->awaits_go = expect != NULL && strcasecmp(expect, "100-continue") == 0;
    return expect == NULL || head->awaits_go || !refuse(head, 417, "the only expectation known here is 100-continue");
}

static bool read_framing(flk_http_head_t *head) {
    framing_t framing = {0};
    for (unsigned i = 0; i < head->fields_len; i++) {
        note_field(&head->fields[i], head, &framing);
    }
    head->close |= head->old;
    head->has_length = framing.lengths + framing.encodings > 0;
    return check_fields(&framing, head) && check_expectations(head);
}

bool flk_http_guard_read(char *data, size_t bytes, size_t *scanned, flk_http_head_t *head) {
    head->status = 0;
    if (bytes == 0) {
        return false;
    }
    if (!flk_http_is_token_char(data[0])) {
        return refuse_first(data[0], head);
    }
    size_t seen = bytes < FLK_HTTP_HEAD_BYTES_MAX ? bytes : FLK_HTTP_HEAD_BYTES_MAX;
    switch (scan(data, seen, scanned)) {
    case SCAN_BAD:
        return refuse(head, 400, bad_ends);
    case SCAN_MORE:
        if (seen == FLK_HTTP_HEAD_BYTES_MAX ||
            (seen > FLK_HTTP_LINE_BYTES_MAX && memchr(data, '\n', FLK_HTTP_LINE_BYTES_MAX) == NULL)) {
            return refuse_length(data, seen, head);
        }
        return false;
    case SCAN_END:
        break;
    }
    *head = (flk_http_head_t){.bytes = *scanned};
    if (memchr(data, '\n', *scanned < FLK_HTTP_LINE_BYTES_MAX ? *scanned : FLK_HTTP_LINE_BYTES_MAX) == NULL) {
        return refuse_length(data, 0, head);
    }
    return (read_lines(data, *scanned, head) && read_framing(head)) || head->status != 0;
}

const char *flk_http_head_field(const flk_http_head_t *head, const char *name) {
    for (unsigned i = 0; i < head->fields_len; i++) {
        if (strcasecmp(head->fields[i].name, name) == 0) {
            return head->fields[i].value;
        }
    }
    return NULL;
}
