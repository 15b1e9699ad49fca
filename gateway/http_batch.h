/* SPDX-License-Identifier: MIT */
/* POST /v1/pcs/batch: many PCS in one request, one a line, and as many answers. */
#ifndef FLK_GATEWAY_HTTP_BATCH_H
#define FLK_GATEWAY_HTTP_BATCH_H

#include "gateway/http_body.h"

enum { FLK_BATCH_LINES_MAX = 1000, FLK_BATCH_BYTES_MAX = 8 << 20 };

extern const char flk_batch_type[]; /* its media type, both ways */

/* flk_http_handler_fn; `arg`: the path's flk_http_body_rules_t. Blocks until each line has its answer. */
void flk_http_batch(flk_http_request_t *request, void *arg);

#endif
