/* SPDX-License-Identifier: MIT */
/* One table holds every option: getopt_long, the commands it belongs to, --help. */
#include "agent/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/settings.h"

enum { C = 1, S = 2, D = 4, T = 8 }; /* compute, submit, drain, status */

/* id, name, argument (NULL: none), commands, help */
#define OPTIONS(X)                                                                                                     \
    X(FORMAT, "format", "csv|ndjson", C | S, "format of the input; default by file name, else csv")                    \
    X(COLUMNS, "columns", "NAME,...", C | S, "coordinates of a point; default all columns of numbers but the time")    \
    X(TIME_COLUMN, "time-column", "NAME", C | S, "Unix seconds or RFC 3339; default \"time\" when there is one")       \
    X(ON_BAD_ROW, "on-bad-row", "fail|skip", C | S, "what to do about a row that cannot be read; default fail")        \
    X(WINDOW, "window", "N|DURATION", C | S, "rows a window, or its time like 90s, 15m, 6h, 1d; default 100")          \
    X(SLIDE, "slide", "N|DURATION", C | S, "from one window's start to the next; default the window's length")         \
    X(SHARD, "shard", "ID", C | S, "shard_id: 1-128 of A-Z a-z 0-9 . _ : -; default shard-001")                        \
    X(EPOCH, "epoch", "N", C | S, "added to epoch, the window's number (by time: its start in seconds); default 0")    \
    X(SCALES, "scales", "N,...", C | S, "scales of the box counts, 1-64 of at least 2; default 2,4,8,16,32")           \
    X(GRID, "grid", "unit|absolute", C | S, "unit cube of the bounding box, or floor(x * scale); default unit")        \
    X(DIRECTIONS, "directions", "N", C | S, "directions tried for coh_star, 1-10000; default 100")                     \
    X(BINS, "bins", "N", C | S, "bins along a direction, 1-4096; default 20")                                          \
    X(SEED, "seed", "N", C | S, "seed of the directions; default from the window's Merkle root")                       \
    X(POLICY, "policy", "FILE", C | S, "policy whose weights make the budget; default the built-in one")               \
    X(OUT, "out", "FILE", C, "where PCS go, one a line; default standard output")                                      \
    X(PCS, "pcs", NULL, S, "the files hold ready PCS, one a line, as compute prints them")                             \
    X(DEAD_LETTERS, "dead-letters", NULL, D, "send what is in the dead-letter queue instead of what is pending")       \
    X(PARALLEL, "parallel", "N", S | D, "submissions under way at once, 1-1024; default 16")                           \
    X(TRIES, "tries", "N", S | D, "before a PCS goes to the dead-letter queue; 0 is for ever; default 8")              \
    X(TIMEOUT, "timeout", "DURATION", S | D, "of one try; default 15s")                                                \
    X(CACERT, "cacert", "FILE", S | D, "CA certificates that https:// is checked against; default the system's")       \
    X(RESULTS, "results", "FILE", S | D, "one line of JSON for each PCS and its answer")                               \
    X(JSON, "json", NULL, C | S | D | T, "summary or status as one line of JSON on standard output; PCS are JSON")     \
    X(QUIET, "quiet", NULL, C | S | D, "no progress bar and no summary line")

enum option_id {
    OPTION_FIRST = 256, /* above every character */
#define OPTION_ID(id, ...) OPTION_##id,
    OPTIONS(OPTION_ID)
#undef OPTION_ID
        OPTION_HELP,
    OPTION_VERSION,
};

static const struct {
    const char *name, *argument;
    unsigned commands;
    const char *help;
} table[] = {
#define OPTION_ROW(id, name, argument, commands, help) {name, argument, commands, help},
    OPTIONS(OPTION_ROW)
#undef OPTION_ROW
};

_Static_assert(FLK_COUNT_OF(table) <= 32, "a bit each in 32");

static const struct option getopt_table[] = {
#define OPTION_GETOPT(id, name, argument, commands, help)                                                              \
    {name, (argument) == NULL ? no_argument : required_argument, NULL, OPTION_##id},
    OPTIONS(OPTION_GETOPT)
#undef OPTION_GETOPT
        {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static const struct {
    const char *name, *arguments, *help;
    unsigned bit;
} commands[] = {
    [FLK_COMMAND_COMPUTE] = {"compute", "FILE...|-", "print PCS, one a line, and send nothing", C},
    [FLK_COMMAND_SUBMIT] = {"submit", "FILE...|-", "compute, keep in the outbox, and send, with what is pending", S},
    [FLK_COMMAND_DRAIN] = {"drain", "", "send what is pending in the outbox", D},
    [FLK_COMMAND_STATUS] = {"status", "", "show what is pending and what is dead", T},
};

/* ---- help ---- */

static void print_help(void) {
    printf("flk-agent: boils event streams down to signed PCS and delivers each of them\n\n");
    for (size_t i = 0; i < FLK_COUNT_OF(commands); i++) {
        printf("  flk-agent %-8s [options] %-10s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
    }
    printf("\nOptions (c compute, s submit, d drain, t status):\n");
    for (size_t i = 0; i < FLK_COUNT_OF(table); i++) {
        char left[48], of[5];
        snprintf(left, sizeof left, "--%s %s", table[i].name, table[i].argument == NULL ? "" : table[i].argument);
        snprintf(of, sizeof of, "%s%s%s%s", table[i].commands & C ? "c" : "", table[i].commands & S ? "s" : "",
                 table[i].commands & D ? "d" : "", table[i].commands & T ? "t" : "");
        printf("  %-26s %-3s %s\n", left, of, table[i].help);
    }
    printf("  %-26s     this text\n  %-26s     the version\n", "--help", "--version");
    printf("\n");
    flk_settings_print(FLK_PROGRAM_AGENT, stdout);
    printf("\nExit status:\n"
           "  0  every PCS was answered (compute: printed)\n"
           "  1  an error of this machine: input or output, memory\n"
           "  2  wrong options or settings\n"
           "  3  some PCS went to the dead-letter queue or stay pending\n"
           "  4  a bad row, and --on-bad-row is fail; PCS before it were delivered\n");
}

/* ---- values ---- */

static FLK_PRINTF(1, 2) int usage_error(const char *format, ...) {
    char line[FLK_ERRMSG_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fprintf(stderr, "flk-agent: %s; see flk-agent --help\n", line);
    return FLK_EXIT_USAGE;
}

/* Reads digits up to `*end`; false: none, or over 2^53 - 1. */
static bool parse_digits(const char *text, uint64_t *value, const char **end) {
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        number = number * 10 + (uint64_t)(*at - '0');
        if (number > FLK_PCS_INTEGER_MAX) {
            return false;
        }
    }
    *value = number;
    *end = at;
    return at != text;
}

static bool parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value) {
    const char *end;
    return parse_digits(text, value, &end) && *end == '\0' && *value >= min && *value <= max;
}

static bool parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *value) {
    uint64_t wide;
    bool read = parse_uint(text, min, max, &wide);
    *value = read ? (uint32_t)wide : *value;
    return read;
}

/* "100" (a count) or "90s", "15m", "6h", "1d" (seconds). */
static bool parse_length(const char *text, bool *is_time, uint64_t *value) {
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    const char *end;
    if (!parse_digits(text, value, &end) || *value == 0) {
        return false;
    }
    *is_time = *end != '\0';
    for (size_t i = 0; i < FLK_COUNT_OF(units) && *is_time; i++) {
        if (end[0] == units[i].unit && end[1] == '\0') {
            *value *= units[i].seconds;
            return *value <= FLK_PCS_INTEGER_MAX;
        }
    }
    return !*is_time;
}

static bool parse_choice(const char *text, const char *first, const char *second, bool *is_second) {
    *is_second = strcmp(text, second) == 0;
    return *is_second || strcmp(text, first) == 0;
}

static bool is_shard(const char *text) {
    size_t bytes = strlen(text);
    return bytes >= 1 && bytes <= FLK_PCS_SHARD_MAX &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-") == bytes;
}

static bool parse_scales(const char *text, flk_builder_options_t *builder) {
    builder->scales_len = 0;
    for (const char *at = text; at != NULL;) {
        uint64_t scale;
        const char *end;
        if (builder->scales_len == FLK_PCS_SCALES_MAX || !parse_digits(at, &scale, &end) || scale < 2 ||
            (*end != ',' && *end != '\0')) {
            return false;
        }
        for (size_t i = 0; i < builder->scales_len; i++) {
            if (builder->scales[i] == scale) {
                return false;
            }
        }
        builder->scales[builder->scales_len++] = scale;
        at = *end == ',' ? end + 1 : NULL;
    }
    return true;
}

/* ---- parsing ---- */

static void set_defaults(flk_agent_options_t *options) {
    static const uint64_t scales[] = {2, 4, 8, 16, 32};
    memset(options, 0, sizeof *options);
    options->window = (flk_window_options_t){.length = 100};
    options->builder.shard_id = "shard-001";
    options->builder.scales_len = FLK_COUNT_OF(scales);
    memcpy(options->builder.scales, scales, sizeof scales);
    options->builder.directions = 100;
    options->builder.bins = 20;
    flk_policy_default(&options->builder.policy);
    options->parallel = 16;
    options->tries = 8;
    options->timeout_ms = 15000;
}

/* What the parser keeps beside the options until all are read. */
typedef struct parse {
    bool slide_by_time;
    const char *policy_file;
} parse_t;

static bool parse_timeout(const char *text, uint32_t *timeout_ms) {
    bool is_time;
    uint64_t seconds;
    bool read = parse_length(text, &is_time, &seconds) && is_time && seconds <= 3600;
    *timeout_ms = read ? (uint32_t)seconds * 1000 : *timeout_ms;
    return read;
}

/* Takes one option; false: its value is wrong. */
static bool take_option(int id, const char *value, flk_agent_options_t *options, parse_t *parse) {
    flk_builder_options_t *builder = &options->builder;
    bool second, read = true;
    switch (id) {
    case OPTION_FORMAT:
        read = parse_choice(value, "csv", "ndjson", &second);
        options->reader.format = second ? FLK_FORMAT_NDJSON : FLK_FORMAT_CSV;
        return read;
    case OPTION_COLUMNS:
        options->reader.columns = value;
        return true;
    case OPTION_TIME_COLUMN:
        options->reader.time_column = value;
        return *value != '\0';
    case OPTION_ON_BAD_ROW:
        return parse_choice(value, "fail", "skip", &options->skip_bad_rows);
    case OPTION_WINDOW:
        return parse_length(value, &options->window.by_time, &options->window.length);
    case OPTION_SLIDE:
        return parse_length(value, &parse->slide_by_time, &options->window.slide);
    case OPTION_SHARD:
        builder->shard_id = value;
        return is_shard(value);
    case OPTION_EPOCH:
        return parse_uint(value, 0, FLK_PCS_INTEGER_MAX, &builder->first_epoch);
    case OPTION_SCALES:
        return parse_scales(value, builder);
    case OPTION_GRID:
        read = parse_choice(value, "unit", "absolute", &second);
        builder->grid = second ? FLK_GRID_ABSOLUTE : FLK_GRID_UNIT;
        return read;
    case OPTION_DIRECTIONS:
        return parse_u32(value, 1, FLK_DIRECTIONS_MAX, &builder->directions);
    case OPTION_BINS:
        return parse_u32(value, 1, FLK_BINS_MAX, &builder->bins);
    case OPTION_SEED:
        builder->has_seed = true;
        return parse_uint(value, 0, FLK_PCS_INTEGER_MAX, &builder->seed);
    case OPTION_POLICY:
        parse->policy_file = value;
        return true;
    case OPTION_OUT:
        options->out = strcmp(value, "-") == 0 ? NULL : value;
        return true;
    case OPTION_PCS:
        return options->ready = true;
    case OPTION_DEAD_LETTERS:
        return options->dead_letters = true;
    case OPTION_PARALLEL:
        return parse_u32(value, 1, 1024, &options->parallel);
    case OPTION_TRIES:
        return parse_u32(value, 0, 1000000, &options->tries);
    case OPTION_TIMEOUT:
        return parse_timeout(value, &options->timeout_ms);
    case OPTION_CACERT:
        options->ca_file = value;
        return true;
    case OPTION_RESULTS:
        options->results = value;
        return true;
    case OPTION_JSON:
        return options->json = true;
    case OPTION_QUIET:
        return options->quiet = true;
    default:
        FLK_ASSERT(false);
    }
}

/* What can only be judged when all options are there. */
static int check_together(flk_agent_options_t *options, const parse_t *parse) {
    flk_window_options_t *window = &options->window;
    if (window->slide == 0) {
        window->slide = window->length;
    } else if (parse->slide_by_time != window->by_time) {
        return usage_error("--window and --slide must both be counts or both be times");
    }
    if (window->slide > window->length) {
        return usage_error("--slide is longer than --window: rows between windows would be in no PCS");
    }
    if (!window->by_time && window->length > FLK_WINDOW_ROWS_MAX) {
        return usage_error("--window: at most %d rows", FLK_WINDOW_ROWS_MAX);
    }
    bool reads = options->command == FLK_COMMAND_COMPUTE || options->command == FLK_COMMAND_SUBMIT;
    if (reads && options->files_len == 0) {
        return usage_error("%s needs a file, or - for standard input", commands[options->command].name);
    }
    if (!reads && options->files_len > 0) {
        return usage_error("%s takes no file", commands[options->command].name);
    }
    char errmsg[FLK_ERRMSG_BYTES];
    if (parse->policy_file != NULL && flk_policy_load(parse->policy_file, &options->builder.policy, errmsg) != FLK_OK) {
        return usage_error("%s", errmsg);
    }
    return -1;
}

static int find_command(const char *name, flk_command_t *command) {
    for (size_t i = 0; i < FLK_COUNT_OF(commands); i++) {
        if (strcmp(name, commands[i].name) == 0) {
            *command = (flk_command_t)i;
            return -1;
        }
    }
    return usage_error("unknown command \"%s\": compute, submit, drain or status", name);
}

/* The first option that `command` does not know; NULL: none. `given` has a bit for each place in the table. */
static const char *foreign_option(uint32_t given, flk_command_t command) {
    for (size_t i = 0; i < FLK_COUNT_OF(table); i++) {
        if ((given >> i & 1) != 0 && (table[i].commands & commands[command].bit) == 0) {
            return table[i].name;
        }
    }
    return NULL;
}

int flk_agent_options_parse(int argc, char **argv, flk_agent_options_t *options) {
    parse_t parse = {0};
    uint32_t given = 0;
    int id;
    set_defaults(options);
    optind = 1;
    opterr = 0;
    while ((id = getopt_long(argc, argv, "", getopt_table, NULL)) != -1) {
        if (id == OPTION_HELP) {
            print_help();
            return FLK_EXIT_OK;
        }
        if (id == OPTION_VERSION) {
            printf("flk-agent %s\n", FLK_VERSION);
            return FLK_EXIT_OK;
        }
        if (id == '?') {
            bool known = optopt > OPTION_FIRST;
            return usage_error("%s %s", known ? "a value is missing behind" : "unknown option", argv[optind - 1]);
        }
        size_t at = (size_t)(id - OPTION_FIRST - 1);
        given |= UINT32_C(1) << at;
        if (!take_option(id, optarg, options, &parse)) {
            return usage_error("--%s \"%.100s\": want %s", table[at].name, optarg, table[at].argument);
        }
    }
    if (optind == argc) {
        return usage_error("no command: compute, submit, drain or status");
    }
    int status = find_command(argv[optind], &options->command);
    if (status >= 0) {
        return status;
    }
    const char *foreign = foreign_option(given, options->command);
    if (foreign != NULL) {
        return usage_error("--%s does not belong to %s", foreign, argv[optind]);
    }
    options->files = argv + optind + 1;
    options->files_len = (size_t)(argc - optind - 1);
    return check_together(options, &parse);
}
