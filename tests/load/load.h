/* SPDX-License-Identifier: MIT */
/* Closed-loop load on one door: a number of submissions outstanding, each answered one replaced by the next. The PCS are made
 * and signed before the clock starts. One thread. */
#ifndef FLK_TESTS_LOAD_H
#define FLK_TESTS_LOAD_H

#include "proto/body.h"

typedef struct load_body {
    char *bytes; /* heap */
    uint32_t bytes_len;
} load_body_t;

typedef struct load_options {
    const char *http; /* "host:port", or NULL */
    const char *zmq;  /* endpoint, or NULL */
    const char *key;  /* HMAC; NULL = unsigned */
    unsigned outstanding;
    double seconds, warm_seconds;
    size_t distinct; /* PCS made before the start; sent round robin when they run out */
    uint64_t seed;
} load_options_t;

/* Makes `count` distinct valid PCS, as JSON or msgpack. Ends the process when memory runs out. */
load_body_t *load_make(const load_options_t *options, bool msgpack);

/* The measured window: counts what is answered between warm-up and end, with latencies. */
void window_open(const load_options_t *options);
bool window_running(void);
void window_count(uint64_t sent_ns, unsigned status);
void window_print(void); /* rate_per_s p50_us p99_us answered other_than_2xx */

int http_run(const load_options_t *options, const load_body_t *bodies);
int zmq_run(const load_options_t *options, const load_body_t *bodies);

#endif
