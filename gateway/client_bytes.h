/* SPDX-License-Identifier: MIT */
/* A bucket of bytes for each client address: `rate` bytes a second, and never less than one body at once. A client
 * may go over its bucket by its last body, and waits that time off. A bounded table; any thread. */
#ifndef FLK_GATEWAY_CLIENT_BYTES_H
#define FLK_GATEWAY_CLIENT_BYTES_H

#include "common/http/peer.h"

typedef struct flk_client_bytes flk_client_bytes_t; /* Opaque; fields are commented in client_bytes.c. */

/* Start-up allocation. NULL for rate 0: no bound. Caller frees with flk_client_bytes_destroy, which takes NULL. */
flk_client_bytes_t *flk_client_bytes_new(uint64_t rate_per_s);
void flk_client_bytes_destroy(flk_client_bytes_t **clients);

/* False: the client's bucket is empty; *retry_ms tells until when. `clients` NULL: true. */
FLK_MUST_CHECK bool flk_client_bytes_may(flk_client_bytes_t *clients, const flk_http_peer_t *client, uint64_t now_ns,
                                         uint32_t *retry_ms);
/* The client sent so many bytes. `clients` NULL is allowed. */
void flk_client_bytes_take(flk_client_bytes_t *clients, const flk_http_peer_t *client, uint64_t bytes, uint64_t now_ns);

#endif
