/* SPDX-License-Identifier: MIT */
/* One request as its handler has it: its head, its body, and the ways to answer it. The connection's thread owns it
 * until the handler returns. A handler either
 *   - sends one answer itself (flk_http_send, flk_http_send_problem), and takes a place first if it will wait for other
 *     threads; or
 *   - reads the body, detaches the request, hands the exchange to the thread that will answer it, and returns. It
 *     writes nothing itself. */
#ifndef FLK_COMMON_HTTP_REQUEST_H
#define FLK_COMMON_HTTP_REQUEST_H

#include "common/err.h"
#include "common/http/answer.h"
#include "common/http/exchange.h"
#include "common/http/guard.h"
#include "common/http/peer.h"

typedef struct flk_http_request flk_http_request_t; /* Opaque; fields are commented in http/connections.h. */

/* Borrowed until the handler returns. */
const flk_http_head_t *flk_http_request_head(const flk_http_request_t *request);
/* The far end of the connection. */
const flk_http_peer_t *flk_http_request_peer(const flk_http_request_t *request);

/* Reads some of the body; *got 0: it is complete. Sends 100 Continue first if the client waits for that. Blocks until
 * bytes come or the body is late. Errors: FLK_E_TIMEOUT (too slow), FLK_E_CLOSED (the client ended it), FLK_E_INVALID
 * (malformed chunks). */
FLK_MUST_CHECK flk_err_t flk_http_request_body(flk_http_request_t *request, char *out, size_t room, size_t *got);

/* Opens an exchange for a request whose body is read. NULL: too many are open; answer 503. */
FLK_MUST_CHECK flk_http_exchange_t *flk_http_request_detach(flk_http_request_t *request);

/* Takes one of the places that detached requests have too, so that a thread is left to refuse the next request. It is
 * given back when the handler returns. False: none is free; answer 503. */
FLK_MUST_CHECK bool flk_http_request_take_place(flk_http_request_t *request);

/* Sends the answer; to HEAD the body is announced, not sent. The connection is closed behind it if the answer, the
 * client, or an unread body says so. A client that is gone makes no difference. */
void flk_http_send(flk_http_request_t *request, const flk_http_answer_t *answer);
/* Sends `answer` with a problem of its status as type and body. */
void flk_http_send_problem(flk_http_request_t *request, const flk_http_answer_t *answer, const char *detail,
                           const char *field);

#endif
