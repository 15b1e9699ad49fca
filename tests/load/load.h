/* SPDX-License-Identifier: MIT */
/* Load on one door, by one thread. The PCS are made and signed before the clock starts.
 *
 * Closed loop: a number of submissions outstanding, each answered one replaced by the next. It finds the highest rate;
 * its latencies are those of a client that waits politely whenever the door is slow. Open loop: submissions fall due at
 * even distances, at any speed of the door, and a latency counts from that moment, also when all connections were busy
 * and the submission had to wait in the client. So no stall is left out ("coordinated omission"). */
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
    double rate; /* open loop, submissions/s; 0 = closed loop */
    double seconds, warm_seconds;
    size_t distinct; /* PCS made before the start; sent round robin when they run out */
    uint64_t seed;
    bool json; /* print a JSON object with the latencies' distribution */
} load_options_t;

/* Makes `count` distinct valid PCS, as JSON or msgpack. Ends the process when memory runs out. */
load_body_t *load_make(const load_options_t *options, bool msgpack);

/* The measured window, after the warm-up. Closed loop: the submissions answered in it. Open loop: those that fall due
 * in it. */
void window_open(const load_options_t *options);
/* False when all is counted, or when an open loop's answers have been missing for two seconds. A window in which
 * nothing was answered lasts until the first answer, or 20 s more. */
bool window_running(void);
/* True when a submission is due; *due_ns is the moment from which its latency counts. */
bool window_due(uint64_t *due_ns);
uint64_t window_wait_ns(void); /* until the next one is due; at most 10 ms */
void window_count(uint64_t due_ns, unsigned status);
/* rate_per_s p50_us p99_us answered other_than_2xx, or an object. Returns 0, or 1 when nothing was answered. */
int window_print(void);

int http_run(const load_options_t *options, const load_body_t *bodies);
int zmq_run(const load_options_t *options, const load_body_t *bodies);

#endif
