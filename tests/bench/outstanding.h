/* SPDX-License-Identifier: MIT */
/* A closed loop for the limits and peers: records of a fixed size, so many outstanding, each with its slot and turn in
 * front so that an answer is told from a stale one. Prints: rate_per_s p50_us p99_us. One thread. */
#ifndef FLK_TESTS_BENCH_OUTSTANDING_H
#define FLK_TESTS_BENCH_OUTSTANDING_H

#include "common/base.h"

enum { RECORD_BYTES_MAX = 4096, RECORD_BYTES_MIN = 16 };

typedef struct outstanding {
    unsigned slots;
    size_t record_bytes;
    double seconds, warm_seconds;
} outstanding_t;

/* Fills in from the command line: OUTSTANDING SECONDS WARM_SECONDS RECORD_BYTES, each of which may be left out. */
void outstanding_open(outstanding_t *load, int argc, char **argv);
bool outstanding_running(void);
/* The slot's next record, of record_bytes; its clock starts. Valid until the next call. */
const char *outstanding_record(unsigned slot);
/* The slot of an answer that begins as its record did; -1: stale, or no record of ours. Counts it. */
int outstanding_answered(const void *answer, size_t bytes);
void outstanding_print(void);

#endif
