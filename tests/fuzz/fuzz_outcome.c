/* SPDX-License-Identifier: MIT */
/* Outcomes as stores keep them, from both ends. The first byte says which: a stored value that is read is written to
 * bytes that read back as the same; a record of any content is either refused by the writers, or read back as the
 * same. */
#include "proto/stored_outcome.h"
#include "tests/fuzz/fuzz.h"

static const uint8_t key[FLK_PCS_ID_BYTES] = {0xab};

static void check_same(const flk_outcome_record_t *a, const flk_outcome_record_t *b) {
    uint8_t left[FLK_OUTCOME_BYTES], right[FLK_OUTCOME_BYTES];
    size_t bytes = flk_outcome_encode(a, left);
    FLK_ASSERT(bytes != 0 && flk_outcome_encode(b, right) == bytes && memcmp(left, right, bytes) == 0);
}

static void check_written(const flk_outcome_record_t *record) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_outcome_record_t again;
    uint8_t stored[FLK_STORED_OUTCOME_BYTES_MAX], wire[FLK_OUTCOME_BYTES];
    size_t bytes = flk_stored_outcome_write(record, stored), wire_bytes = flk_outcome_encode(record, wire);
    FLK_ASSERT((bytes != 0) == (wire_bytes != 0 && record->pcs_id[0] != '\0'));
    if (wire_bytes != 0) {
        FLK_ASSERT(flk_outcome_decode(wire, wire_bytes, &again, errmsg) == FLK_OK);
        check_same(record, &again);
    }
    if (bytes != 0) {
        FLK_ASSERT(flk_stored_outcome_read(key, stored, bytes, &again, errmsg) == FLK_OK);
        memcpy(again.pcs_id, record->pcs_id, sizeof again.pcs_id);
        check_same(record, &again);
    }
}

static void stored(const uint8_t *data, size_t data_bytes) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_outcome_record_t record;
    if (flk_stored_outcome_read(key, data, data_bytes, &record, errmsg) != FLK_OK) {
        fuzz_check_text(errmsg);
        return;
    }
    check_written(&record);
}

static void any_record(const uint8_t *data, size_t data_bytes) {
    flk_outcome_record_t record = {0};
    uint8_t *whole = (uint8_t *)&record;
    memcpy(whole, data, data_bytes < sizeof record ? data_bytes : sizeof record);
    whole[offsetof(flk_outcome_record_t, has_unsigned_digest)] &= 1; /* a bool is one of two bytes */
    whole[offsetof(flk_outcome_record_t, outcome.has_d_hat)] &= 1;
    if (!record.outcome.has_d_hat) {
        record.outcome.d_hat = 0; /* nobody reads it then */
    }
    check_written(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes) {
    static void (*const readers[])(const uint8_t *, size_t) = {stored, any_record};
    if (data_bytes == 0) {
        return -1;
    }
    readers[data[0] % FLK_COUNT_OF(readers)](data + 1, data_bytes - 1);
    return 0;
}
