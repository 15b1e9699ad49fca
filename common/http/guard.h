/* SPDX-License-Identifier: MIT */
/* Reads the head of an HTTP/1 request in exactly one way, or refuses it (RFC 9110, RFC 9112).
 *
 * civetweb never sees a head that a client sent: it trims, folds, skips and decodes bytes that two servers may read in
 * two ways, so that a proxy and this door could see different requests. The guard proves where a head ends, that it
 * begins with its request line, and how long its body is; a byte that leaves room for a second reading ends the
 * connection with a reason.
 *
 * Pure functions over bytes; no state but the caller's. */
#ifndef FLK_COMMON_HTTP_GUARD_H
#define FLK_COMMON_HTTP_GUARD_H

#include "common/base.h"

enum {
    FLK_HTTP_HEAD_BYTES_MAX = 16384,
    FLK_HTTP_LINE_BYTES_MAX = 8192, /* of the request line */
    FLK_HTTP_FIELDS_MAX = 63
};

typedef struct flk_http_field {
    const char *name, *value; /* the value without the blanks and tabs around it */
} flk_http_field_t;

/* The texts point into the bytes that were read, each ended by a NUL. */
typedef struct flk_http_head {
    size_t bytes; /* up to and with the empty line; 0 while status != 0 */
    int status;   /* 0: a request; otherwise the refusal: `why` says it, no field is there */
    const char *why;
    const char *method;
    const char *path; /* the target as it was sent, nothing decoded; without scheme and authority if it had them */
    bool old;         /* HTTP/1.0 */
    bool close;       /* the client wants no further request on this connection */
    bool awaits_go;   /* Expect: 100-continue */
    bool has_length;  /* Content-Length or chunks */
    bool chunked;     /* `length` is 0 */
    uint64_t length;  /* UINT64_MAX: that, or more */
    unsigned fields_len;
    flk_http_field_t fields[FLK_HTTP_FIELDS_MAX];
} flk_http_head_t;

/* Reads `data`, which holds all bytes so far; false: more must come. `*scanned` (0 at first) remembers the bytes of it
 * that earlier calls saw. A refusal does not wait for the end of the head. Writes NULs into `data` when the head is a
 * request. */
FLK_MUST_CHECK bool flk_http_guard_read(char *data, size_t bytes, size_t *scanned, flk_http_head_t *head);

/* The first field of that name, in any case of letters; NULL: there is none. */
const char *flk_http_head_field(const flk_http_head_t *head, const char *name);

/* True for a byte that a method or a field name may have. */
bool flk_http_is_token_char(char c);

#endif
