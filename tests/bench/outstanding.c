/* SPDX-License-Identifier: MIT */
#include "tests/bench/outstanding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/load/histogram.h"

typedef struct mark {
    uint32_t slot, turn;
    uint64_t sent_ns;
} mark_t;
_Static_assert(sizeof(mark_t) == RECORD_BYTES_MIN, "it opens each record");

/* A window in which nothing was answered lasts so much longer, or until the first answer. */
#define FIRST_NS_MAX UINT64_C(20000000000)

static outstanding_t load;
static mark_t *marks;
static uint64_t begin_ns, end_ns;
static histogram_t latencies;
static char record[RECORD_BYTES_MAX];

void outstanding_open(outstanding_t *options, int argc, char **argv) {
    *options = (outstanding_t){
        .slots = argc > 0 ? (unsigned)atoi(argv[0]) : 256,
        .seconds = argc > 1 ? atof(argv[1]) : 1,
        .warm_seconds = argc > 2 ? atof(argv[2]) : 0.5,
        .record_bytes = argc > 3 ? (size_t)atoi(argv[3]) : 640,
    };
    FLK_ASSERT(options->slots > 0 && options->record_bytes >= RECORD_BYTES_MIN &&
               options->record_bytes <= RECORD_BYTES_MAX);
    load = *options;
    marks = flk_start_alloc(load.slots * sizeof *marks);
    memset(record, 'x', sizeof record);
    begin_ns = flk_mono_ns() + (uint64_t)(load.warm_seconds * 1e9);
    end_ns = begin_ns + (uint64_t)(load.seconds * 1e9);
}

bool outstanding_running(void) {
    uint64_t now_ns = flk_mono_ns();
    return now_ns < end_ns || (latencies.count == 0 && now_ns < end_ns + FIRST_NS_MAX);
}

const char *outstanding_record(unsigned slot) {
    mark_t *mark = &marks[slot];
    *mark = (mark_t){.slot = slot, .turn = mark->turn + 1, .sent_ns = flk_mono_ns()};
    memcpy(record, mark, sizeof *mark);
    return record;
}

int outstanding_answered(const void *answer, size_t bytes) {
    mark_t mark;
    if (bytes < sizeof mark) {
        return -1;
    }
    memcpy(&mark, answer, sizeof mark);
    if (mark.slot >= load.slots || memcmp(&mark, &marks[mark.slot], sizeof mark) != 0) {
        return -1;
    }
    uint64_t now_ns = flk_mono_ns();
    if (now_ns >= begin_ns && (now_ns < end_ns || latencies.count == 0)) {
        histogram_add(&latencies, now_ns - mark.sent_ns);
    }
    return (int)mark.slot;
}

void outstanding_print(void) {
    printf("%.0f %.0f %.0f\n", (double)latencies.count / load.seconds, (double)histogram_ns(&latencies, 0.5) * 1e-3,
           (double)histogram_ns(&latencies, 0.99) * 1e-3);
    free(marks);
}
