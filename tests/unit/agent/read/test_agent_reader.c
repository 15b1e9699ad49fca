/* SPDX-License-Identifier: MIT */
/* Cells, CSV and NDJSON: values, missing cells, bad rows and their names. */
#include "tests/unit/rig/agent_parts.h"

#include "agent/read/cell.h"

#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

/* ---- cells ---- */

static void check_cell(const char *text, const char *canonical) {
    flk_cell_t cell;
    ck_assert_msg(flk_cell_parse(text, strlen(text), &cell), "%s", text);
    ck_assert_msg(cell.text_bytes == strlen(canonical) && memcmp(cell.text, canonical, cell.text_bytes) == 0,
                  "%s became %.*s, not %s", text, cell.text_bytes, cell.text, canonical);
    ck_assert_double_eq(cell.value, strtod(text, NULL));
}

/* A number's canonical text depends on its value alone, however it is spelled. */
START_TEST(test_cell_canonical_text) {
    static const char *const cases[][2] = {{"3.28", "3.28"},
                                           {"3.280", "3.28"},
                                           {" 3.28\t", "3.28"},
                                           {"+3.28", "3.28"},
                                           {"0003.28", "3.28"},
                                           {"328e-2", "3.28"},
                                           {"5", "5.0"},
                                           {"5.", "5.0"},
                                           {"5.000", "5.0"},
                                           {"-2.15", "-2.15"},
                                           {"0", "0.0"},
                                           {"-0.0", "0.0"},
                                           {".5", "0.5"},
                                           {"0.1", "0.1"},
                                           {"0.05", "0.05"},
                                           {"0.00001", "1e-05"},
                                           {"1517363399.650", "1517363399.65"},
                                           {"100000000000000000000", "1e+20"},
                                           {"123456789012345", "123456789012345.0"},
                                           {"0.12345678901234567890", "0.12345678901234568"},
                                           {"1e100", "1e+100"}};
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        check_cell(cases[i][0], cases[i][1]);
    }
}
END_TEST

/* A text that is no finite decimal number is refused, with nothing half read. */
START_TEST(test_cell_refuses) {
    static const char *const cases[] = {"",     " ",   "x",   "1x",    "1 2",   "0x10",     "nan", "inf",
                                        "-inf", "1e",  "1e+", "--1",   "+-1",   ".",        "-",   "1.2.3",
                                        "1,5",  "1_0", "e5",  "1e101", "1e999", "\xd9\xa1", "1\n"};
    flk_cell_t cell;
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        ck_assert_msg(!flk_cell_parse(cases[i], strlen(cases[i]), &cell), "\"%s\" was read", cases[i]);
    }
    ck_assert(!flk_cell_parse("1\0", 2, &cell));
}
END_TEST

/* The quick way for plain decimals and the careful one agree, bit for bit, on value and text. */
START_TEST(test_cell_both_ways_agree) {
    uint64_t random = agent_seed();
    for (int i = 0; i < 200000; i++) {
        char text[64], careful_text[80];
        uint64_t digits = agent_random(&random) >> agent_below(&random, 60);
        int places = (int)(agent_random(&random) % 16);
        snprintf(text, sizeof text, "%s%llu.%0*llu", i % 2 == 0 ? "" : "-", (unsigned long long)digits % 1000000,
                 places + 1, (unsigned long long)digits % 9973);
        snprintf(careful_text, sizeof careful_text, "%se0", text); /* an exponent takes it off the quick way */
        flk_cell_t quick, careful;
        ck_assert(flk_cell_parse(text, strlen(text), &quick));
        ck_assert(flk_cell_parse(careful_text, strlen(careful_text), &careful));
        ck_assert_mem_eq(&quick.value, &careful.value, sizeof(double));
        ck_assert_msg(quick.text_bytes == careful.text_bytes && memcmp(quick.text, careful.text, quick.text_bytes) == 0,
                      "%s: %.*s and %.*s", text, quick.text_bytes, quick.text, careful.text_bytes, careful.text);
    }
}
END_TEST

/* Times are Unix seconds or RFC 3339 with any offset; impossible dates and times before 1970 are refused. */
START_TEST(test_cell_time) {
    static const struct {
        const char *text;
        double seconds; /* -1 = refused */
    } cases[] = {{"1517363399.650", 1517363399.65},
                 {"1970-01-01T00:00:00Z", 0},
                 {"2018-02-07T01:49:00Z", 1517968140},
                 {"2018-02-07T01:49:00.25Z", 1517968140.25},
                 {"2018-02-07t03:49:00+02:00", 1517968140},
                 {"2018-02-06 20:19:00-05:30", 1517968140},
                 {"2000-02-29T12:00:00Z", 951825600},
                 {"2016-12-31T23:59:60Z", 1483228800},
                 {"9999-12-31T23:59:59Z", 253402300799},
                 {"1900-02-29T00:00:00Z", -1},
                 {"2018-13-01T00:00:00Z", -1},
                 {"2018-02-30T00:00:00Z", -1},
                 {"2000-04-31T00:00:00Z", -1},
                 {"2018-02-07T24:00:00Z", -1},
                 {"2018-02-07T01:49:00", -1},
                 {"2018-02-07T01:49:00+0200", -1},
                 {"2018-02-07", -1},
                 {"1969-12-31T23:59:59Z", -1},
                 {"-1", -1},
                 {"1e30", -1},
                 {"yesterday", -1}};
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        flk_cell_t cell;
        bool read = flk_cell_parse_time(cases[i].text, strlen(cases[i].text), &cell);
        ck_assert_msg(read == (cases[i].seconds >= 0), "%s", cases[i].text);
        if (read) {
            ck_assert_double_eq(cell.value, cases[i].seconds);
        }
    }
    flk_cell_t cell; /* a quoted cell of CSV may hold a NUL */
    ck_assert(!flk_cell_parse_time("2018-02-07\0"
                                   "01:49:00Z",
                                   20, &cell));
}
END_TEST

/* ---- readers ---- */

/* Reads a whole text; each row becomes "canonical" or "!message", one a line. */
static void read_all(const char *suffix, const char *text, size_t text_bytes, const flk_reader_options_t *options,
                     char *out, size_t out_bytes) {
    char path[64], errmsg[FLK_ERRMSG_BYTES];
    flk_reader_t *reader;
    size_t used = 0;
    agent_temp_file(path, suffix, text, text_bytes);
    ck_assert_int_eq(flk_reader_open(path, options, &reader, errmsg), FLK_OK);
    unlink(path);
    for (;;) {
        static flk_row_t row;
        flk_err_t err = flk_reader_next(reader, &row, errmsg);
        if (err == FLK_E_NOT_FOUND) {
            break;
        }
        const char *said = strstr(errmsg, suffix);
        if (err == FLK_OK) {
            used += (size_t)snprintf(out + used, out_bytes - used, "%.*s\n", (int)row.text_bytes, row.text);
        } else {
            used += (size_t)snprintf(out + used, out_bytes - used, "!%s\n", said == NULL ? errmsg : said + 6);
            if (err != FLK_E_INVALID) {
                break;
            }
        }
        ck_assert_uint_lt(used, out_bytes);
    }
    out[used] = '\0';
    flk_reader_close(&reader);
}

/* `suffix` has four characters so that messages can be cut behind "….csv: ". */
static void check_read(const char *suffix, const char *text, const flk_reader_options_t *options,
                       const char *expected) {
    char out[4096];
    read_all(suffix, text, strlen(text), options, out, sizeof out);
    ck_assert_str_eq(out, expected);
}

static const flk_reader_options_t any;

/* Header, quotes with commas and line ends inside, CRLF, a byte-order mark, blank lines, no line end at the end. */
START_TEST(test_csv_forms) {
    check_read(".csv", "time,x,y\n10,1,2\n20,3,4\n", &any, "10.0,1.0,2.0\n20.0,3.0,4.0\n");
    flk_reader_options_t x = {.columns = "x"};
    check_read(".csv", "\xEF\xBB\xBFx,y\r\n1,2\r\n\r\n3,4", &any, "1.0,2.0\n3.0,4.0\n");
    check_read(".csv", "\xEF\xBB\xBFx,y\n1,2\n", &x, "1.0\n");
    check_read(".csv", "x,name,y\n1,\"a, \"\"b\"\"\nc\",2\n\"3\",d,\"4\"\r\n", &any, "1.0,2.0\n3.0,4.0\n");
    check_read(".csv", "x\n1\n", &any, "1.0\n");
    check_read(".csv", "x,y\n", &any, "");
    check_read(".csv", "x,y\n1,\"2\"", &any, "1.0,2.0\n");
    check_read(".csv", "\xEF\xBB\xBF\"x\",\"y\"\n1,2\n", &any, "1.0,2.0\n");
    check_read(".csv", "\xEF\xBB\xBF\"x\"\n1\n", &x, "1.0\n");
    check_read(".csv", "\xEF\xBB\xBF", &any, "!empty: a header line with column names is needed\n");
    check_read(".csv", "x\n\xEF\xBB\xBF\n", &x, "!row 1 (line 2), column x: not a number\n");
}
END_TEST

/* Lines of commas alone are blank lines, wherever they stand: spreadsheets write them for empty rows. */
START_TEST(test_csv_lines_of_commas) {
    check_read(".csv", ",,\nx,y,n\n1,2,q\n,,\n 3,4,\n , ,\t\r\n\"\",,\n,,", &any, "1.0,2.0\n3.0,4.0\n");
    flk_reader_options_t x = {.columns = "x"};
    check_read(".csv", "x,y\n,5\n,,\n,,,\n1,1\n", &x, "\n1.0\n");
}
END_TEST

/* A column that is asked for must be there once; others may share a name. */
START_TEST(test_csv_column_twice) {
    static const char text[] = "time,x,y,x,time\n1,2,3,4,5\n";
    flk_reader_options_t x = {.columns = "x", .time_column = "y"}, y = {.columns = "y", .time_column = "y"};
    check_read(".csv", text, &x, "!the header has column \"x\" twice: give them different names\n");
    check_read(".csv", text, &y, "3.0,3.0\n");
    y.time_column = NULL;
    check_read(".csv", text, &y, "!the header has column \"time\" twice: give them different names\n");
    check_read(".csv", "x,y,x\n1,2,3\n", &any, "!the header has column \"x\" twice: give them different names\n");
    check_read(".csv", "n,y,n\nq,2,r\n", &any, "2.0\n");
}
END_TEST

static void read_bytes(const char *text, size_t text_bytes, const flk_reader_options_t *options, char out[4096]) {
    read_all(".csv", text, text_bytes, options, out, 4096);
}

/* Files that are no UTF-8 text are named by their kind, in either format. */
START_TEST(test_reader_no_text) {
    static const struct {
        const char *bytes, *words;
        size_t bytes_len;
    } cases[] = {{"\xFF\xFEx\0,\0y\0\n\0", "UTF-16 text", 10},
                 {"\xFE\xFF\0x\0,\0y", "UTF-16 text", 8},
                 {"\x1F\x8B\x08\x00xxxx", "compressed by gzip", 8},
                 {"\x28\xB5\x2F\xFDxxxx", "compressed by zstd", 8},
                 {"PK\x03\x04xxxx", "a ZIP file", 8},
                 {"x\0,\0y\0\n\0", "a NUL", 8},
                 {"x,y\r1,2\r3,4\r", "CR inside a name", 12},
                 {"\"x\0\",y\n", "a NUL", 7}};
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        char out[4096];
        read_bytes(cases[i].bytes, cases[i].bytes_len, &any, out);
        ck_assert_msg(strstr(out, cases[i].words) != NULL && strchr(out, '\n')[1] == '\0', "case %zu: %s", i, out);
        flk_reader_options_t ndjson = {.format = FLK_FORMAT_NDJSON};
        read_bytes(cases[i].bytes, cases[i].bytes_len, &ndjson, out);
        ck_assert_msg(out[0] == '!' && (i > 4 || strstr(out, cases[i].words) != NULL), "case %zu: %s", i, out);
    }
}
END_TEST

/* A pipe that gives a byte at a time: a byte-order mark in pieces, a quoted cell over many lines, all rows in the
 * end. */
START_TEST(test_reader_byte_by_byte) {
    static const char text[] = "\xEF\xBB\xBF\"x\",n\n1,\"a\nb\"\n2,c\n";
    char path[64], errmsg[FLK_ERRMSG_BYTES], out[64] = "";
    static flk_row_t row;
    flk_reader_t *reader;
    agent_temp_dir(path);
    strcat(path, "/f");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    int writer = open(path, O_RDWR);
    flk_reader_options_t x = {.columns = "x"};
    ck_assert_int_eq(flk_reader_open(path, &x, &reader, errmsg), FLK_OK);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        flk_err_t err;
        ck_assert_int_eq(write(writer, text + i, 1), 1);
        while ((err = flk_reader_next(reader, &row, errmsg)) == FLK_OK) {
            strncat(out, row.text, row.text_bytes);
        }
        ck_assert_int_eq(err, FLK_E_AGAIN);
    }
    ck_assert_str_eq(out, "1.02.0");
    close(writer);
    flk_reader_close(&reader);
    path[strlen(path) - 2] = '\0';
    agent_remove_dir(path);
}
END_TEST

/* Named columns come in the order named; the time comes first; by default every column of numbers but the time. */
START_TEST(test_csv_columns) {
    const char *text = "when,id,b,a,time\n2018-02-07T01:49:00Z,q7,1,2,99\n";
    flk_reader_options_t options = {.columns = "a, b", .time_column = "when"};
    check_read(".csv", text, &options, "1517968140.0,2.0,1.0\n");
    options.time_column = NULL;
    check_read(".csv", text, &options, "99.0,2.0,1.0\n");
    check_read(".csv", text, &any, "99.0,1.0,2.0\n");
}
END_TEST

/* Empty cells are missing: nothing between the commas, no number, and a bit that says which. */
START_TEST(test_csv_missing_cells) {
    char path[64], errmsg[FLK_ERRMSG_BYTES];
    flk_reader_options_t options = {.columns = "x,y"};
    flk_reader_t *reader;
    static flk_row_t row;
    agent_temp_file(path, ".csv", "time,x,y\n,1,\n5,,2\n", 19);
    ck_assert_int_eq(flk_reader_open(path, &options, &reader, errmsg), FLK_OK);
    unlink(path);
    ck_assert_int_eq(flk_reader_next(reader, &row, errmsg), FLK_OK);
    ck_assert_uint_eq(row.missing, FLK_MISSING_TIME | 2);
    ck_assert_uint_eq(row.text_bytes, 5);
    ck_assert_mem_eq(row.text, ",1.0,", 5);
    ck_assert_int_eq(flk_reader_next(reader, &row, errmsg), FLK_OK);
    ck_assert_uint_eq(row.missing, 1);
    ck_assert_mem_eq(row.text, "5.0,,2.0", 8);
    ck_assert_double_eq(row.values[1], 2);
    ck_assert_double_eq(row.time_s, 5);
    flk_reader_close(&reader);
}
END_TEST

/* Every bad row is named by row, line and column; the rows behind it are read. */
START_TEST(test_csv_bad_rows) {
    flk_reader_options_t xy = {.columns = "x,y"};
    check_read(".csv", "x,y\n1,2\n1,two\n3,4\n", &xy, "1.0,2.0\n!row 2 (line 3), column y: not a number\n3.0,4.0\n");
    check_read(".csv", "x,y\n1\n1,2,3\n5,6\n", &xy,
               "!row 1 (line 2): 1 cells, the header has 2\n!row 2 (line 3): 3 cells, the header has 2\n5.0,6.0\n");
    check_read(".csv", "time,x,y\nnoon,1,2\n3,1,2\n", &xy,
               "!row 1 (line 2), column time: not a time (Unix seconds or RFC 3339)\n3.0,1.0,2.0\n");
    check_read(".csv", "x,y\n1,\"2\"z\n3,4\n", &xy, "!row 1 (line 2): text behind a closing quote\n3.0,4.0\n");
    check_read(".csv", "x,y\n1,2\"\n3,4\n", &xy,
               "!row 1 (line 2): a quote inside a cell that is not quoted\n3.0,4.0\n");
    /* A quote that is never closed costs its own line only. */
    check_read(".csv", "x,y\n1,\"2\n3,4\n5,6\n", &xy, "!row 1 (line 2): a quote is not closed\n3.0,4.0\n5.0,6.0\n");
}
END_TEST

static void check_open_fault(const char *text, const flk_reader_options_t *options, const char *expected) {
    char out[4096];
    read_all(".csv", text, strlen(text), options, out, sizeof out);
    ck_assert_str_eq(out, expected);
}

/* A header that does not fit the choice ends reading with the present and the missing names. */
START_TEST(test_csv_wrong_header) {
    flk_reader_options_t depth = {.columns = "depth"}, when = {.time_column = "when"}, twice = {.columns = "x,x"};
    check_open_fault("x,y\n1,2\n", &depth, "!no column \"depth\" in the header; it has: x, y\n");
    check_open_fault("x,y\n1,2\n", &when, "!no column \"when\" in the header; it has: x, y\n");
    check_open_fault("", &any, "!empty: a header line with column names is needed\n");
    check_open_fault("a,b\nq,w\n", &any, "!no column has a number in the first row: name some with --columns\n");
    char errmsg[FLK_ERRMSG_BYTES];
    flk_reader_t *reader = NULL;
    ck_assert_int_eq(flk_reader_open("/dev/null", &twice, &reader, errmsg), FLK_E_CONFIG);
    ck_assert_int_eq(flk_reader_open("/nonexistent", &any, &reader, errmsg), FLK_E_NOT_FOUND);
    ck_assert_int_eq(flk_reader_open("/tmp", &any, &reader, errmsg), FLK_E_IO);
    ck_assert_ptr_null(reader);
}
END_TEST

/* NDJSON gives the very rows that CSV of the same numbers gives. */
START_TEST(test_ndjson_same_rows_as_csv) {
    char csv[4096], ndjson[4096];
    const char *csv_text = "time,x,y\n1517363399.650,-122.197,3\n1517364015.660,1e-7,\n";
    const char *ndjson_text = "{\"time\":1517363399.65,\"x\":-122.197,\"y\":3}\n\n"
                              "{\"y\":null,\"note\":\"z\",\"x\":0.0000001,\"time\":\"2018-01-31T02:00:15.66Z\"}";
    read_all(".csv", csv_text, strlen(csv_text), &any, csv, sizeof csv);
    read_all(".jsonl", ndjson_text, strlen(ndjson_text), &any, ndjson, sizeof ndjson);
    ck_assert_str_eq(csv, ndjson);
    ck_assert_str_eq(csv, "1517363399.65,-122.197,3.0\n1517364015.66,1e-07,\n");
}
END_TEST

/* Bad lines of NDJSON are named; the lines behind them are read. */
START_TEST(test_ndjson_bad_rows) {
    flk_reader_options_t x = {.columns = "x", .format = FLK_FORMAT_NDJSON};
    check_read(".csv", "{\"x\":1}\n{\"x\":\"1\"}\n[1]\n{\"x\":9007199254740993}\n{\"x\":true}\n{\"x\":2}\n", &x,
               "1.0\n!row 2 (line 2), column x: not a number\n!row 3 (line 3): not a JSON object\n"
               "!row 4 (line 4), column x: an integer beyond 2^53 - 1: it would lose digits\n!row 5 (line 5), column "
               "x: not a number\n2.0\n");
    char out[4096];
    read_all(".csv", "{\"x\":1\n{\"x\":1,\"x\":2}\n{\"x\":3}", 28, &x, out, sizeof out);
    ck_assert_ptr_nonnull(strstr(out, "!row 1 (line 1): "));
    ck_assert_ptr_nonnull(strstr(out, "!row 2 (line 2), column x: occurs twice\n"));
    ck_assert_ptr_nonnull(strstr(out, "\n3.0\n"));
}
END_TEST

/* An event is judged by the members that are asked for: numbers of any size, any encoding, words that are no JSON, and
 * names that occur twice elsewhere do not refuse it. Where they are asked for, they do. */
START_TEST(test_ndjson_only_what_is_asked) {
    static const char *const others[] = {"18446744073709551615",
                                         "-99999999999999999999999999",
                                         "1e999",
                                         "NaN",
                                         "-Infinity",
                                         "0123",
                                         "\"caf\xe9\"",
                                         "\"\\ud800\"",
                                         "\"\\x\"",
                                         "\"tab\there\"",
                                         "[1e999,{\"x\":5,\"y\":[[[]]]},\"]\"]",
                                         "{\"x\":7,\"x\":8}",
                                         "\"\\\"}\""};
    flk_reader_options_t x = {.columns = "x", .format = FLK_FORMAT_NDJSON},
                         o = {.columns = "o", .format = FLK_FORMAT_NDJSON};
    for (size_t i = 0; i < FLK_COUNT_OF(others); i++) {
        char text[256], out[4096];
        int bytes = snprintf(text, sizeof text, "{\"o\":%s,\"x\":3, \"o\" : %s}\n", others[i], others[i]);
        read_bytes(text, (size_t)bytes, &x, out);
        ck_assert_msg(strcmp(out, "3.0\n") == 0, "%s: %s", text, out);
        bytes = snprintf(text, sizeof text, "{\"o\":%s}\n", others[i]);
        read_bytes(text, (size_t)bytes, &o, out);
        ck_assert_msg(strstr(out, "!row 1 (line 1), column o: ") == out, "%s: %s", text, out);
    }
    check_read(".csv", "{\"x\":1,\"y\":2,\"x\":3}\n", &x, "!row 1 (line 1), column x: occurs twice\n");
    check_read(".csv", "\xEF\xBB\xBF{\"x\":1}\r\n{\"x\":2}", &x, "1.0\n2.0\n");
    check_read(".csv", "{\"\\u0078\":1}\n{\"\\ud83d\\ude00\":1,\"x\":2}\n", &x, "1.0\n2.0\n");
    flk_reader_options_t all = {.format = FLK_FORMAT_NDJSON};
    check_read(".csv", "{\"id\":18446744073709551615,\"a\":1,\"s\":\"\xff\",\"b\":2}\n", &all, "1.0,2.0\n");
}
END_TEST

/* A line whose structure does not hold is a bad row for any choice of columns, with the reason. */
START_TEST(test_ndjson_structure) {
    static const char *const cases[][2] = {{"{", "the object is not closed"},
                                           {"{\"x\":1", "the object is not closed"},
                                           {"{\"x\":1,", "the object is not closed"},
                                           {"{\"x\":1,}", "a name is missing"},
                                           {"{\"x\" 1}", "a colon is missing"},
                                           {"{\"x\":}", "a value is missing"},
                                           {"{\"x\":1 \"y\":2}", "a comma is missing"},
                                           {"{\"x\":1}}", "text behind the object"},
                                           {"{\"x\":1}{\"x\":2}", "text behind the object"},
                                           {"{\"x\":\"1}", "a string is not closed"},
                                           {"{\"x\":1,\"y\":[1}", "brackets do not match"},
                                           {"{\"x\":1,\"y\":[1", "a bracket is not closed"},
                                           {"{\"x\":1,\"y\":[\"", "a string is not closed"},
                                           {"{x:1}", "a name is missing"},
                                           {"7", "not a JSON object"},
                                           {"\"x\"", "not a JSON object"}};
    flk_reader_options_t x = {.columns = "x", .format = FLK_FORMAT_NDJSON};
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        char text[128], expected[128], out[4096];
        int bytes = snprintf(text, sizeof text, "%s\n", cases[i][0]);
        snprintf(expected, sizeof expected, "!row 1 (line 1): %s\n", cases[i][1]);
        read_bytes(text, (size_t)bytes, &x, out);
        ck_assert_msg(strcmp(out, expected) == 0, "%s: %s", text, out);
    }
    char deep[2048] = "{\"x\":1,\"y\":", out[4096];
    memset(deep + strlen(deep), '[', 1000);
    read_bytes(deep, strlen(deep), &x, out);
    ck_assert_str_eq(out, "!row 1 (line 1): nested too deep\n");
}
END_TEST

/* A row longer than the limit is a bad row, in either format; memory stays bounded and the next row is whole. */
START_TEST(test_reader_row_too_long) {
    size_t bytes = 3 * FLK_ROW_BYTES_MAX;
    char *text = malloc(bytes), out[1024];
    for (int csv = 0; csv < 2; csv++) {
        memset(text, '1', bytes);
        memcpy(text, csv ? "x\n\"" : "{ \"", 3);
        memcpy(text + bytes - 9, csv ? "\n2\n3\n4\n5\n" : "\n{\"x\":2}\n", 9);
        read_all(csv ? ".csv" : ".jsonl", text, bytes, &any, out, sizeof out);
        ck_assert_msg(out[0] == '!' && strstr(out, "\n2.0\n") != NULL, "%s", out);
        ck_assert_ptr_nonnull(strstr(out, "longer than 1 MiB"));
    }
    free(text);
}
END_TEST

/* A pipe that has nothing says so instead of blocking, also in the middle of a row; the row is whole later. */
START_TEST(test_reader_never_blocks) {
    char path[64], errmsg[FLK_ERRMSG_BYTES];
    static flk_row_t row;
    flk_reader_t *reader;
    agent_temp_dir(path);
    strcat(path, "/f");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    int writer = open(path, O_RDWR);
    ck_assert_int_eq(flk_reader_open(path, &any, &reader, errmsg), FLK_OK);
    ck_assert_int_eq(flk_reader_next(reader, &row, errmsg), FLK_E_AGAIN);
    ck_assert_int_eq(write(writer, "x,y\n1,\"", 7), 7);
    ck_assert_int_eq(flk_reader_next(reader, &row, errmsg), FLK_E_AGAIN);
    ck_assert_int_eq(flk_reader_next(reader, &row, errmsg), FLK_E_AGAIN);
    ck_assert_int_eq(write(writer, "2\"\n", 3), 3);
    ck_assert_int_eq(flk_reader_next(reader, &row, errmsg), FLK_OK);
    ck_assert_mem_eq(row.text, "1.0,2.0", 7);
    close(writer);
    ck_assert_int_eq(flk_reader_next(reader, &row, errmsg), FLK_E_NOT_FOUND);
    flk_reader_close(&reader);
    path[strlen(path) - 2] = '\0';
    agent_remove_dir(path);
}
END_TEST

/* Damaged files of every kind end, give only finite numbers, and never overrun: mutations of a good one. */
START_TEST(test_reader_survives_damage) {
    static const char *const good[] = {"time,x,name,y\n1,2.5,\"a,b\",3\n2,-1e3,c,\"4\"\n3,0.001,\"d\"\"\",5\n",
                                       "{\"time\":1,\"x\":2.5,\"y\":3}\n{\"time\":2,\"x\":-1e3,\"y\":4}\n"};
    static const char bits[] = "\",\n\r{}:\\0e-\0\xff 9";
    uint64_t random = agent_seed();
    char text[128], out[16384];
    for (int round = 0; round < 4000; round++) {
        const char *from = good[round % 2];
        size_t bytes = strlen(from);
        memcpy(text, from, bytes);
        for (uint64_t changes = 1 + agent_below(&random, 4); changes > 0; changes--) {
            text[agent_below(&random, bytes)] = bits[agent_below(&random, sizeof bits - 1)];
        }
        read_all(round % 2 == 0 ? ".csv" : ".jsonl", text, 1 + agent_below(&random, bytes), &any, out, sizeof out);
        ck_assert(strstr(out, "inf") == NULL);
    }
}
END_TEST

/* The sample of real events: 1707 rows, every cell of which is there. */
START_TEST(test_reader_earthquakes) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_reader_t *reader;
    static flk_row_t row;
    uint64_t rows = 0, missing = 0;
    ck_assert_int_eq(flk_reader_open(FLK_TEST_DATA "/earthquakes.csv", &any, &reader, errmsg), FLK_OK);
    while (flk_reader_next(reader, &row, errmsg) == FLK_OK) {
        rows++;
        missing += row.missing != 0;
    }
    const flk_columns_t *columns = flk_reader_columns(reader);
    ck_assert_uint_eq(rows, 1707);
    ck_assert_uint_eq(missing, 0);
    ck_assert_uint_eq(columns->len, 4);
    ck_assert_str_eq(columns->names[2], "depth_km");
    ck_assert(columns->has_time);
    flk_reader_close(&reader);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("agent_reader");
    TCase *tests = tcase_create("reader");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, test_cell_canonical_text);
    tcase_add_test(tests, test_cell_refuses);
    tcase_add_test(tests, test_cell_both_ways_agree);
    tcase_add_test(tests, test_cell_time);
    tcase_add_test(tests, test_csv_forms);
    tcase_add_test(tests, test_csv_columns);
    tcase_add_test(tests, test_csv_lines_of_commas);
    tcase_add_test(tests, test_csv_column_twice);
    tcase_add_test(tests, test_reader_no_text);
    tcase_add_test(tests, test_reader_byte_by_byte);
    tcase_add_test(tests, test_ndjson_only_what_is_asked);
    tcase_add_test(tests, test_ndjson_structure);
    tcase_add_test(tests, test_csv_missing_cells);
    tcase_add_test(tests, test_csv_bad_rows);
    tcase_add_test(tests, test_csv_wrong_header);
    tcase_add_test(tests, test_ndjson_same_rows_as_csv);
    tcase_add_test(tests, test_ndjson_bad_rows);
    tcase_add_test(tests, test_reader_row_too_long);
    tcase_add_test(tests, test_reader_never_blocks);
    tcase_add_test(tests, test_reader_survives_damage);
    tcase_add_test(tests, test_reader_earthquakes);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
