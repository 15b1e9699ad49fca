/* SPDX-License-Identifier: MIT */
/* One cell of a row: a number and its canonical text. The text depends on the number alone, not on its spelling, so
 * that CSV and NDJSON of the same events give the same Merkle root. */
#ifndef FLK_AGENT_READ_CELL_H
#define FLK_AGENT_READ_CELL_H

#include "common/pcs/canonical.h"

#define FLK_CELL_ABS_MAX 1e100 /* larger magnitudes are refused: sums and extents of rows stay finite */

typedef struct flk_cell {
    double value; /* finite, never -0.0 */
    uint8_t text_bytes;
    char text[FLK_NUMBER_BYTES]; /* shortest decimal that reads back the same, as Python's json.dumps prints a float;
                                    not NUL-terminated */
} flk_cell_t;

/* Reads a decimal number: [+-]digits[.digits][e[+-]digits]; spaces and tabs around it are allowed. False: not one, or
 * beyond FLK_CELL_ABS_MAX. No hexadecimal, no "nan" or "inf". */
FLK_MUST_CHECK bool flk_cell_parse(const char *text, size_t text_bytes, flk_cell_t *cell);

/* The same for a number that was read elsewhere (JSON). False: not finite or too large. */
FLK_MUST_CHECK bool flk_cell_from_double(double value, flk_cell_t *cell);

/* Reads a time: a number of seconds since the Unix epoch, or RFC 3339 ("2018-02-07T01:49:00.5Z"), which becomes that
 * number. False also before 1970 and after the year 9999. */
FLK_MUST_CHECK bool flk_cell_parse_time(const char *text, size_t text_bytes, flk_cell_t *cell);

/* False: a number that is no time (before 1970, after the year 9999). */
bool flk_cell_is_time(const flk_cell_t *cell);

/* Moves the ends inwards over spaces and tabs. */
void flk_text_trim(const char **text, size_t *text_bytes);

#endif
