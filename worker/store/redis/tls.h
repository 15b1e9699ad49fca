/* SPDX-License-Identifier: MIT */
/* TLS to a Redis server, where hiredis has it (1.0 and later). */
#ifndef FLK_WORKER_STORE_REDIS_TLS_H
#define FLK_WORKER_STORE_REDIS_TLS_H

#include <hiredis/hiredis.h>

#include "common/err.h"

/* FLK_OK when rediss:// can be served; else FLK_E_CONFIG with the way out. */
FLK_MUST_CHECK flk_err_t flk_redis_tls_check(char *errmsg);

/* Does the handshake on a connected, blocking context, within its timeout. The server's certificate must be signed
 * by one of ca_file ("": of the system's) and name host. Errors: FLK_E_CONFIG for ca_file, FLK_E_UNAVAILABLE. */
FLK_MUST_CHECK flk_err_t flk_redis_tls_start(redisContext *context, const char *host, const char *ca_file,
                                             char *errmsg);

#endif
