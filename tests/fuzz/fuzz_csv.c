/* SPDX-License-Identifier: MIT */
/* Events as CSV, columns by the first byte: every row is read or refused, and the reader comes to an end. */
#include "agent/read/reader.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes) {
    static const char *const columns[] = {NULL, "a", "a,b", "longitude,latitude"};
    if (data_bytes == 0) {
        return -1;
    }
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_reader_options_t options = {
        .format = FLK_FORMAT_CSV,
        .columns = columns[(data[0] >> 1) % FLK_COUNT_OF(columns)],
    };
    flk_reader_t *reader = NULL;
    if (flk_reader_open(fuzz_file(data + 1, data_bytes - 1), &options, &reader, errmsg) != FLK_OK) {
        FLK_ASSERT(errmsg[0] != '\0');
        return 0;
    }
    flk_row_t row;
    flk_err_t err;
    size_t calls = 0;
    do {
        err = flk_reader_next(reader, &row, errmsg);
        FLK_ASSERT(++calls <= 2 * data_bytes + 2);
    } while (err == FLK_OK || err == FLK_E_INVALID);
    FLK_ASSERT(err == FLK_E_NOT_FOUND || err == FLK_E_CONFIG);
    flk_reader_close(&reader);
    return 0;
}
