/* SPDX-License-Identifier: MIT */
/* One page of a daemon, over HTTP; and the numbers in a page of metrics. Any thread, after curl_global_init. */
#ifndef FLK_AGENT_FLK_CLUSTER_PROBE_H
#define FLK_AGENT_FLK_CLUSTER_PROBE_H

#include "common/err.h"

typedef struct flk_probe {
    long status;    /* HTTP; 0 = no answer */
    int64_t date_s; /* the answer's Date, seconds since the Unix epoch; -1 without one */
    uint64_t after; /* the answer's Flk-After; 0 without one */
    char *body;     /* NUL-terminated, "" without one; freed by flk_probe_fini */
} flk_probe_t;

/* GET http://address/path (an address may begin with https://) within timeout_ms. `user` "" sends no credentials.
 * Blocks. No answer is not an error: status is 0. Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_probe_get(const char *address, const char *path, const char *user, const char *pass,
                                       unsigned timeout_ms, flk_probe_t *probe);
/* POST of `body` as application/json to http://address/path; otherwise the same. */
FLK_MUST_CHECK flk_err_t flk_probe_post(const char *address, const char *path, const char *body, unsigned timeout_ms,
                                        flk_probe_t *probe);
void flk_probe_fini(flk_probe_t *probe);

/* Why a page said no, as printable ASCII: the `reason` of its JSON, or "no answer"; "" for a page that says yes. `why`
 * has FLK_ERRMSG_BYTES. */
void flk_probe_reason(const flk_probe_t *probe, char *why);

/* Sum over the series of `name` in a metrics page, those only that have `label` (`status="200"`; NULL = all).
 * False when there is none. */
bool flk_probe_metric(const char *page, const char *name, const char *label, double *sum);

#endif
