/* SPDX-License-Identifier: MIT */
/* Events as NDJSON, columns by the first byte: every row is read or refused, and the reader comes to an end. A line
 * that a strict parser takes is read, with the numbers that the strict parser has. */
#include <jansson.h>
#include <string.h>

#include "agent/read/members.h"
#include "agent/read/reader.h"
#include "common/pcs/pcs.h"
#include "tests/fuzz/fuzz.h"

static flk_err_t read_rows(flk_reader_t *reader, flk_row_t *row, size_t calls_max, char *errmsg) {
    flk_err_t err;
    size_t calls = 0;
    do {
        err = flk_reader_next(reader, row, errmsg);
        FLK_ASSERT(++calls <= calls_max);
    } while (err == FLK_OK || err == FLK_E_INVALID);
    return err;
}

/* The strict parser's number for a column; false: it has none that would do. */
static bool strict_number(const json_t *value, double *number) {
    if (json_is_integer(value)) {
        json_int_t integer = json_integer_value(value), most = (json_int_t)FLK_PCS_INTEGER_MAX;
        *number = (double)integer;
        return integer <= most && integer >= -most;
    }
    *number = json_real_value(value);
    return json_is_real(value) && *number <= FLK_CELL_ABS_MAX && *number >= -FLK_CELL_ABS_MAX;
}

/* Jansson passes over a NUL behind a number, so those lines are left out. */
static void compare_line(const uint8_t *data, size_t data_bytes, char *errmsg) {
    if (memchr(data, '\n', data_bytes) != NULL || memchr(data, '\0', data_bytes) != NULL) {
        return;
    }
    double strict;
    json_t *object = json_loadb((const char *)data, data_bytes, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(object) && strict_number(json_object_get(object, "a"), &strict)) {
        flk_reader_options_t options = {.format = FLK_FORMAT_NDJSON, .columns = "a", .time_column = "no such member"};
        flk_reader_t *reader = NULL;
        flk_row_t row;
        FLK_ASSERT(flk_reader_open(fuzz_file(data, data_bytes), &options, &reader, errmsg) == FLK_OK);
        FLK_ASSERT(flk_reader_next(reader, &row, errmsg) == FLK_OK);
        FLK_ASSERT(row.values[0] == strict);
        FLK_ASSERT(flk_reader_next(reader, &row, errmsg) == FLK_E_NOT_FOUND);
        flk_reader_close(&reader);
    }
    json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes) {
    static const char *const columns[] = {NULL, "a", "a,b", "longitude,latitude"};
    if (data_bytes == 0) {
        return -1;
    }
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_reader_options_t options = {.format = FLK_FORMAT_NDJSON, .columns = columns[data[0] % FLK_COUNT_OF(columns)]};
    flk_reader_t *reader = NULL;
    flk_row_t row;
    FLK_ASSERT(flk_reader_open(fuzz_file(data + 1, data_bytes - 1), &options, &reader, errmsg) == FLK_OK);
    flk_err_t err = read_rows(reader, &row, 2 * data_bytes + 2, errmsg);
    FLK_ASSERT(err == FLK_E_NOT_FOUND || err == FLK_E_CONFIG);
    flk_reader_close(&reader);
    compare_line(data + 1, data_bytes - 1, errmsg);
    return 0;
}
