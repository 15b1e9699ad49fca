/* SPDX-License-Identifier: MIT */
/* An HTTP answer: its contents, and its form on the wire. Any thread. */
#ifndef FLK_COMMON_HTTP_ANSWER_H
#define FLK_COMMON_HTTP_ANSWER_H

#include "common/base.h"

/* Becomes one response with Date, Content-Length, no-store, nosniff and the body. */
typedef struct flk_http_answer {
    int status;
    const char *content_type;
    const char *body;
    size_t body_bytes;
    unsigned retry_after_s;      /* 0 = no such header */
    const char *allow;           /* NULL = no such header */
    const char *authenticate;    /* WWW-Authenticate; NULL = no such header */
    const char *accept_encoding; /* NULL = no such header */
    const char *after;           /* Flk-After, the position behind an answer of the feed; NULL = no such header */
    bool close;                  /* ends the connection */
} flk_http_answer_t;

enum { FLK_HTTP_HEAD_BYTES = 768, FLK_HTTP_SMALL_BODY_BYTES = 4096 };
enum { FLK_HTTP_MESSAGE_BYTES = FLK_HTTP_HEAD_BYTES + FLK_HTTP_SMALL_BODY_BYTES };

/* The head of an answer as it goes over the wire. Returns its bytes. */
size_t flk_http_print_head(const flk_http_answer_t *answer, char head[FLK_HTTP_HEAD_BYTES]);
/* A whole answer; body_bytes <= FLK_HTTP_SMALL_BODY_BYTES. Returns its bytes. */
size_t flk_http_print(const flk_http_answer_t *answer, char message[FLK_HTTP_MESSAGE_BYTES]);

/* RFC 9457 problem as one JSON text; `field` "" or NULL leaves it out. Strings are escaped, and cut when they would
 * not fit. Returns bytes written without the NUL. `out_bytes` >= FLK_HTTP_PROBLEM_BYTES_MIN. */
enum { FLK_HTTP_PROBLEM_BYTES_MIN = 256, FLK_HTTP_PROBLEM_BYTES = 1024 };
size_t flk_http_problem(char *out, size_t out_bytes, int status, const char *title, const char *detail,
                        const char *field);
const char *flk_http_status_text(int status);
extern const char flk_http_problem_type[]; /* its media type */

#endif
