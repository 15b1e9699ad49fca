/* SPDX-License-Identifier: MIT */
#include "common/program/options.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/rig/suite.h"

enum { COUNT, NAME, JSON, WORKERS };
enum { RUN = 1, SHOW = 2 };

static struct {
    uint64_t count;
    const char *name;
    bool json, helped;
} taken;

static void print_help(void) {
    taken.helped = true;
}

static bool take(void *arg, size_t row, char *value) {
    ck_assert_ptr_eq(arg, &taken);
    switch (row) {
    case COUNT:
        return flk_option_uint(value, 1, 10, &taken.count);
    case NAME:
        taken.name = value;
        return true;
    default:
        ck_assert_ptr_null(value);
        taken.json = true;
        return true;
    }
}

static const flk_option_t rows[] = {
    {"count", "N", "1 to 10", "3", RUN, "how many of a long line of words that does not fit into eighty columns"},
    {"name", "TEXT", "", "", RUN | SHOW, "a name"},
    {"json", NULL, "", "", RUN | SHOW, "one document"},
    {"workers", NULL, "", "", SHOW, "them too"},
};
static const char *const verbs[] = {"run", "show"};
static const flk_options_t options = {
    .title = "flk test",
    .rows = rows,
    .rows_len = FLK_COUNT_OF(rows),
    .verbs = verbs,
    .verbs_len = FLK_COUNT_OF(verbs),
    .print_help = print_help,
    .take = take,
};

static char words[256], said[1024];
static char *argv[16], **rest;
static uint64_t given;

/* Parses the words of `line`; its output on stderr is kept in `said`. */
static int parse(const char *line) {
    int argc = 0;
    snprintf(words, sizeof words, "flk-test %s", line);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
        argv[argc++] = strcmp(word, "''") == 0 ? word + 2 : word;
    }
    argv[argc] = NULL;
    memset(&taken, 0, sizeof taken);
    memset(said, 0, sizeof said);
    FILE *before = stderr;
    stderr = fmemopen(said, sizeof said - 1, "w");
    int status = flk_options_parse(&options, argc, argv, &taken, &given, &rest);
    status = status < 0 ? flk_options_belong(&options, given, 0) : status;
    fclose(stderr);
    stderr = before;
    return status;
}

/* Options may stand anywhere, be cut short where that is clear, and end at "--"; other words are left over. */
START_TEST(test_options_are_taken) {
    ck_assert_int_eq(parse("run --count 7 file --json --name=x -- --count"), -1);
    ck_assert_uint_eq(taken.count, 7);
    ck_assert_str_eq(taken.name, "x");
    ck_assert(taken.json);
    ck_assert_uint_eq(given, 1u << COUNT | 1u << NAME | 1u << JSON);
    ck_assert_str_eq(rest[0], "run");
    ck_assert_str_eq(rest[1], "file");
    ck_assert_str_eq(rest[2], "--count");
    ck_assert_ptr_null(rest[3]);
    ck_assert_int_eq(parse("--co 2"), -1);
    ck_assert_uint_eq(taken.count, 2);
    ck_assert_int_eq(parse("-h"), 0);
    ck_assert(taken.helped);
    ck_assert_int_eq(parse(""), -1);
    ck_assert_ptr_null(rest[0]);
}
END_TEST

/* Each mistake is one line that names the option, the value and its limits, and status 2. */
START_TEST(test_options_mistakes) {
    static const char *const cases[][2] = {
        {"--count 0", "--count: '0' is not 1 to 10"},
        {"--count 11", "--count: '11' is not 1 to 10"},
        {"--count 99999999999999999999", "is not 1 to 10"},
        {"--count=-1", "--count: '-1' is not 1 to 10"},
        {"--count ''", "--count needs a value, N"},
        {"--count", "--count needs a value, N"},
        {"--name ''", "--name needs a value, TEXT"},
        {"--json=yes", "--json takes no value"},
        {"--wokers", "--wokers is no option (did you mean --workers?)"},
        {"--cuont=3", "--cuont is no option (did you mean --count?)"},
        {"--unheard-of", "--unheard-of is no option;"},
        {"-x", "-x is no option;"},
        {"run -jx", "-j is no option;"},
        {"--workers", "run does not take --workers"},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        ck_assert_int_eq(parse(cases[i][0]), 2);
        ck_assert_msg(strstr(said, cases[i][1]) != NULL, "%s: %s", cases[i][0], said);
        ck_assert_msg(strncmp(said, "flk test: ", 10) == 0 && strstr(said, "; see flk test --help\n") != NULL, "%s",
                      said);
        ck_assert_ptr_eq(strchr(said, '\n'), said + strlen(said) - 1);
    }
}
END_TEST

/* Help has limits and default of each option, a heading where the verbs that take it change, and 80 columns. */
START_TEST(test_options_help) {
    char text[2048] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    flk_options_print(&options, RUN | SHOW, out);
    fclose(out);
    ck_assert_ptr_nonnull(
        strstr(text, "\nOptions of run:\n  --count N                how many of a long line of words"));
    ck_assert_ptr_nonnull(strstr(text, "1 to 10; default 3\n\nOptions:\n  --name TEXT"));
    ck_assert_ptr_nonnull(strstr(text, "\nOptions of show:\n  --workers"));
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        ck_assert_msg(strlen(line) <= 80, "%s", line);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("options");
    TCase *tcase = tcase_create("options");
    tcase_add_test(tcase, test_options_are_taken);
    tcase_add_test(tcase, test_options_mistakes);
    tcase_add_test(tcase, test_options_help);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
