/* SPDX-License-Identifier: MIT */
/* The body of a request to the HTTP door: its rules, and reading it whole. The connection's thread. */
#ifndef FLK_GATEWAY_HTTP_BODY_H
#define FLK_GATEWAY_HTTP_BODY_H

#include "common/http/request.h"
#include "gateway/client_bytes.h"
#include "gateway/gateway.h"

typedef struct flk_http_body {
    char *text; /* heap, ends by NUL */
    size_t bytes;
    size_t room; /* of the buffer */
} flk_http_body_t;

/* The rules of one path. Texts are kept. */
typedef struct flk_http_body_rules {
    flk_gateway_t *gateway;
    flk_client_bytes_t *clients; /* NULL: no bound on the bytes of one */
    bool is_behind_proxy;        /* X-Forwarded-For names the client */
    const char *media_type;      /* without parameters */
    const char *other_type;      /* the detail of a 415 */
    size_t bytes_max;
    const char *too_large; /* the detail of a 413 */
    size_t all_bytes_max;  /* of buffers of this path at once; 0 = no bound */
    atomic_size_t all_bytes;
} flk_http_body_rules_t;

/* Checks the head and reads the body. False: the client was refused, and its connection ends; `body` holds nothing.
 * Caller frees with flk_http_body_free. */
FLK_MUST_CHECK bool flk_http_body_read(flk_http_request_t *request, flk_http_body_rules_t *rules, uint64_t began_ns,
                                       flk_http_body_t *body);
/* Frees it. `body` may hold nothing. */
void flk_http_body_free(flk_http_body_rules_t *rules, flk_http_body_t *body);

/* Refuses a request that is no submission, with a problem. Where its body was not read in full, the connection ends. */
void flk_http_body_refuse(flk_http_request_t *request, const flk_gateway_t *gateway, uint16_t status,
                          const char *detail);

#endif
