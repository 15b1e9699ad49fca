/* SPDX-License-Identifier: MIT */
/* Two doors of a cluster that is not there: an HTTP server (civetweb) and a ROUTER, which answer the n-th submission as
 * the n-th step of a script says, and accept everything beyond it. For tests only. */
#ifndef FLK_TESTS_UNIT_AGENT_DOORS_H
#define FLK_TESTS_UNIT_AGENT_DOORS_H

#include "proto/body.h"
#include "proto/link.h"

#include <check.h>
#include <civetweb.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum step {
    STEP_ACCEPT,
    STEP_ESCALATE,  /* 202, reason degraded */
    STEP_DUPLICATE, /* 200 */
    STEP_REFUSE,    /* 400, field D_hat */
    STEP_SIGNATURE, /* 401 */
    STEP_BUSY,      /* HTTP 429 with Retry-After: 1; BUSY with retry_ms 300 */
    STEP_DOWN,      /* HTTP 503 without Retry-After; UNAVAILABLE with retry_ms 10 */
    STEP_FOREIGN,   /* 200 with a body that is no verdict */
    STEP_MIXED_UP,  /* 200 with a verdict on another PCS */
    STEP_CONFLICT,  /* 200, duplicate of a PCS with other content */
    STEP_OTHER,     /* 200 without pcs_id, as other implementations answer; ZeroMQ: STEP_ACCEPT */
    STEP_ELSEWHERE, /* a gateway's 404: no PCS go here */
    /* answers that are no gateway's; ZeroMQ: a VERDICT of that status without a body */
    STEP_PROXY_502,
    STEP_PROXY_404,
    STEP_PROXY_403,
    STEP_PROXY_405,
    STEP_PROXY_401,
    STEP_REDIRECT,      /* 302 */
    STEP_BARE_400,      /* JSON, but no problem */
    STEP_FRAMEWORK_400, /* another framework's problem */
    STEP_OTHER_STATUS,  /* 400 with the problem of a 503 */
    STEP_HANG_UP,       /* HTTP: closes without an answer; ZeroMQ: forgets the peer and its submissions */
    STEP_SILENT,        /* never answers */
} step_t;

enum { DOOR_SEEN_MAX = 4096, DOOR_CREDIT = 8 };

typedef struct door {
    const step_t *script;
    size_t script_len;
    char endpoint[64];
    /* the input; read it after the run, or under the lock */
    pthread_mutex_t lock;
    size_t seen;
    struct {
        char pcs_id[FLK_PCS_ID_HEX + 1];
        uint64_t at_ms, attempt, outbox_seq;
        bool has_sig;
        step_t step;
    } log[DOOR_SEEN_MAX];
    atomic_int at_once, at_once_max;
    atomic_bool stopping;
    /* ZeroMQ; NULL at an HTTP door */
    void *context, *router;
    pthread_t thread;
    bool known; /* the agent has introduced itself */
    unsigned hellos;
} door_t;

/* ---- HTTP ---- */

void door_http_open(door_t *door, const step_t *script, size_t script_len);

/* ---- ZeroMQ ---- */

/* `endpoint` NULL: a free port. */
void door_zmq_open(door_t *door, const char *endpoint, const step_t *script, size_t script_len);

void door_close(door_t *door);

#endif
