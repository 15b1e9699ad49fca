/* SPDX-License-Identifier: MIT */
/* The meaning of an error reply of Redis for the store. */
#ifndef FLK_WORKER_STORE_REDIS_ERROR_H
#define FLK_WORKER_STORE_REDIS_ERROR_H

#include "worker/store/metrics.h"

/* `text` is an error reply's. Always FLK_E_UNAVAILABLE or FLK_E_CORRUPT, with the remedy in errmsg. `lasting`: the
 * server would refuse the connection's next commands as well, so it should be made anew. */
flk_err_t flk_redis_error(const char *server, const char *text, flk_store_fault_t *fault, bool *lasting, char *errmsg);

#endif
