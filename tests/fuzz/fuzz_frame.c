/* SPDX-License-Identifier: MIT */
/* The header frame and the small bodies: the first byte says which. A header that is read is written to bytes that read
 * back as the same; a refused one gives the reason. */
#include "proto/body.h"
#include "tests/fuzz/fuzz.h"

static void frame(const uint8_t *data, size_t data_bytes) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_frame_t first, second;
    flk_err_t err = flk_frame_decode(data, data_bytes, &first, errmsg);
    if (err != FLK_OK) {
        FLK_ASSERT(err == FLK_E_INVALID || err == FLK_E_NOT_FOUND);
        return;
    }
    static uint8_t out[2][FLK_FRAME_BYTES_MAX];
    size_t bytes = flk_frame_encode(&first, out[0]);
    FLK_ASSERT(flk_frame_decode(out[0], bytes, &second, errmsg) == FLK_OK);
    FLK_ASSERT(flk_frame_encode(&second, out[1]) == bytes && memcmp(out[0], out[1], bytes) == 0);
}

static void outcome(const uint8_t *data, size_t data_bytes) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_outcome_record_t record, again;
    if (flk_outcome_decode(data, data_bytes, &record, errmsg) != FLK_OK) {
        fuzz_check_text(errmsg);
        return;
    }
    uint8_t out[2][FLK_OUTCOME_BYTES];
    size_t bytes = flk_outcome_encode(&record, out[0]);
    FLK_ASSERT(flk_outcome_decode(out[0], bytes, &again, errmsg) == FLK_OK);
    FLK_ASSERT(flk_outcome_encode(&again, out[1]) == bytes && memcmp(out[0], out[1], bytes) == 0);
}

static void problem(const uint8_t *data, size_t data_bytes) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_problem_t read, again;
    if (flk_problem_decode(data, data_bytes, &read, errmsg) != FLK_OK) {
        fuzz_check_text(errmsg);
        return;
    }
    uint8_t out[FLK_PROBLEM_BYTES];
    size_t bytes = flk_problem_encode(&read, out);
    FLK_ASSERT(flk_problem_decode(out, bytes, &again, errmsg) == FLK_OK);
    FLK_ASSERT(strcmp(read.field, again.field) == 0 && strcmp(read.detail, again.detail) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes) {
    static void (*const readers[])(const uint8_t *, size_t) = {frame, outcome, problem};
    if (data_bytes == 0) {
        return -1;
    }
    readers[data[0] % FLK_COUNT_OF(readers)](data + 1, data_bytes - 1);
    return 0;
}
