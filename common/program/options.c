/* SPDX-License-Identifier: MIT */
#include "common/program/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "common/program/nearest.h"
#include "common/program/program.h"
#include "common/program/wrap.h"

enum { FIRST_ROW = 256, HELP = 'h', VERSION = 'V' }; /* rows are above every character */
enum { HELP_COLUMN = 27, TEXT_BYTES = 1024 };

int flk_options_wrong(const flk_options_t *options, const char *format, ...) {
    char line[2 * FLK_ERRMSG_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fprintf(stderr, "%s: %s; see %s --help\n", options->title, line, options->title);
    return FLK_EXIT_USAGE;
}

/* ---- parsing ---- */

static void fill_getopt(const flk_options_t *options, struct option *known) {
    FLK_ASSERT(options->rows_len <= FLK_OPTIONS_MAX);
    for (size_t i = 0; i < options->rows_len; i++) {
        const flk_option_t *row = &options->rows[i];
        int has_argument = row->argument != NULL ? required_argument : no_argument;
        *known++ = (struct option){row->name, has_argument, NULL, FIRST_ROW + (int)i};
    }
    *known++ = (struct option){"help", no_argument, NULL, HELP};
    *known++ = (struct option){"version", no_argument, NULL, VERSION};
    *known = (struct option){0};
}

static const char *name_of_row(const void *list, size_t index) {
    const flk_options_t *options = list;
    return index < options->rows_len ? options->rows[index].name : NULL;
}

static int unknown(const flk_options_t *options, const char *word) {
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    const char *nearest = flk_nearest(name + strspn(name, "-"), name_of_row, options);
    return nearest == NULL ? flk_options_wrong(options, "%s is no option", name)
                           : flk_options_wrong(options, "%s is no option (did you mean --%s?)", name, nearest);
}

/* Tells about a word that getopt_long refused. */
static int mistake(const flk_options_t *options, int result, char **argv) {
    char letter[] = {'-', (char)optopt, '\0'};
    const char *name = optopt >= FIRST_ROW ? options->rows[optopt - FIRST_ROW].name : NULL;
    if (result == ':') {
        return flk_options_wrong(options, "--%s needs a value, %s", name, options->rows[optopt - FIRST_ROW].argument);
    }
    if (name != NULL) {
        return flk_options_wrong(options, "--%s takes no value", name);
    }
    return unknown(options, optopt != 0 && optopt < FIRST_ROW ? letter : argv[optind - 1]);
}

static int take(const flk_options_t *options, size_t index, char *value, void *arg) {
    const flk_option_t *row = &options->rows[index];
    if ((value == NULL || value[0] != '\0') && options->take(arg, index, value)) {
        return -1;
    }
    return value[0] == '\0' ? flk_options_wrong(options, "--%s needs a value, %s", row->name, row->argument)
                            : flk_options_wrong(options, "--%s: '%s' is not %s", row->name, value, row->limits);
}

int flk_options_parse(const flk_options_t *options, int argc, char **argv, void *arg, uint64_t *given, char ***rest) {
    struct option known[FLK_OPTIONS_MAX + 3];
    fill_getopt(options, known);
    *given = 0;
    opterr = 0;
    optind = 0; /* anew: flk parses the arguments of a verb after its own */
    for (int result; (result = getopt_long(argc, argv, ":h", known, NULL)) != -1;) {
        int status = -1;
        if (result == HELP) {
            options->print_help();
            return FLK_EXIT_OK;
        }
        if (result == VERSION) {
            printf("%s %s\n", options->title, FLK_VERSION);
            return FLK_EXIT_OK;
        }
        if (result < FIRST_ROW) {
            status = mistake(options, result, argv);
        } else {
            size_t index = (size_t)(result - FIRST_ROW);
            *given |= UINT64_C(1) << index;
            status = take(options, index, options->rows[index].argument != NULL ? optarg : NULL, arg);
        }
        if (status >= 0) {
            return status;
        }
    }
    *rest = argv + optind;
    return -1;
}

int flk_options_belong(const flk_options_t *options, uint64_t given, unsigned verb) {
    for (size_t i = 0; i < options->rows_len; i++) {
        if ((given >> i & 1) != 0 && (options->rows[i].verbs >> verb & 1) == 0) {
            return flk_options_wrong(options, "%s does not take --%s", options->verbs[verb], options->rows[i].name);
        }
    }
    return -1;
}

/* ---- help ---- */

/* "Options of compute, submit:", or "Options:" when all of `verbs` have them. */
static void print_heading(const flk_options_t *options, unsigned having, unsigned verbs, FILE *out) {
    const char *separator = " of ";
    fputs("Options", out);
    for (unsigned verb = 0; verb < options->verbs_len && having != verbs; verb++) {
        if ((having >> verb & 1) != 0) {
            fprintf(out, "%s%s", separator, options->verbs[verb]);
            separator = ", ";
        }
    }
    fputs(":\n", out);
}

static void print_row(const flk_option_t *row, FILE *out) {
    char left[64], text[TEXT_BYTES];
    const char *argument = row->argument != NULL ? row->argument : "";
    int width = snprintf(left, sizeof left, "  --%s%s%s", row->name, argument[0] != '\0' ? " " : "", argument);
    snprintf(text, sizeof text, "%s%s%s%s%s", row->help, row->limits[0] != '\0' ? ": " : "", row->limits,
             row->preset[0] != '\0' ? "; default " : "", row->preset);
    if (width + 2 > HELP_COLUMN) {
        fprintf(out, "%s\n%*s", left, HELP_COLUMN, "");
    } else {
        fprintf(out, "%-*s", HELP_COLUMN, left);
    }
    flk_print_wrapped(out, HELP_COLUMN, text);
}

void flk_options_print(const flk_options_t *options, unsigned verbs, FILE *out) {
    unsigned having = verbs;
    print_heading(options, verbs, verbs, out);
    fprintf(out, "%-*sthis text\n%-*sthe version\n", HELP_COLUMN, "  --help", HELP_COLUMN, "  --version");
    for (size_t i = 0; i < options->rows_len; i++) {
        const flk_option_t *row = &options->rows[i];
        if (options->verbs != NULL && (row->verbs & verbs) == 0) {
            continue;
        }
        if ((row->verbs & verbs) != having) {
            having = row->verbs & verbs;
            fputc('\n', out);
            print_heading(options, having, verbs, out);
        }
        print_row(row, out);
    }
}

/* ---- values ---- */

bool flk_option_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value) {
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number)) {
            return false;
        }
    }
    *value = number;
    return at != text && *at == '\0' && number >= min && number <= max;
}
