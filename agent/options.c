/* SPDX-License-Identifier: MIT */
/* One table holds every option: its argument and limits, the commands that it belongs to, its help. */
#include "agent/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/pcs/policy/load.h"
#include "common/program/nearest.h"
#include "common/program/options.h"
#include "common/program/settings.h"

enum {
    C = 1 << FLK_COMMAND_COMPUTE,
    S = 1 << FLK_COMMAND_SUBMIT,
    D = 1 << FLK_COMMAND_DRAIN,
    T = 1 << FLK_COMMAND_STATUS,
    E = 1 << FLK_COMMAND_DEAD,
    K = 1 << FLK_COMMAND_CHECK,
};

#define LENGTHS "1 to 16777216 rows, or a time like 90s, 15m, 6h, 1d"
_Static_assert(FLK_WINDOW_ROWS_MAX == 16777216 && FLK_DIRECTIONS_MAX == 10000 && FLK_BINS_MAX == 4096,
               "limits below say so");

/* id, name, argument (NULL: none), limits, default, commands, help */
#define OPTIONS(X)                                                                                                     \
    X(JSON, "json", NULL, "", "", C | S | D | T | E | K, "summary, status or list as JSON on standard output")         \
    X(QUIET, "quiet", NULL, "", "", C | S | D | E, "no progress bar and no summary line")                              \
    X(FORMAT, "format", "NAME", "csv or ndjson", "by file name, else csv", C | S, "format of the input")               \
    X(COLUMNS, "columns", "NAME,...", "", "all columns of numbers but the time", C | S, "coordinates of a point")      \
    X(TIME_COLUMN, "time-column", "NAME", "", "\"time\" when there is one", C | S, "Unix seconds or RFC 3339")         \
    X(ON_BAD_ROW, "on-bad-row", "WHAT", "fail or skip", "fail", C | S, "for a row that cannot be read")                \
    X(WINDOW, "window", "LENGTH", LENGTHS, "100", C | S, "how much goes into one PCS")                                 \
    X(SLIDE, "slide", "LENGTH", LENGTHS, "the window's length", C | S, "from one window's start to the next")          \
    X(SHARD, "shard", "ID", "1 to 128 of A-Z a-z 0-9 . _ : -", "shard-001", C | S, "shard_id")                         \
    X(EPOCH, "epoch", "N", "0 to 9007199254740991", "0", C | S,                                                        \
      "added to epoch, the window's number (by time: its start in seconds)")                                           \
    X(SCALES, "scales", "N,...", "1 to 64 different numbers of at least 2", "2,4,8,16,32", C | S,                      \
      "scales of the box counts")                                                                                      \
    X(GRID, "grid", "NAME", "unit or absolute", "unit", C | S, "unit cube of the bounding box, or floor(x * scale)")   \
    X(DIRECTIONS, "directions", "N", "1 to 10000", "100", C | S, "directions tried for coh_star")                      \
    X(BINS, "bins", "N", "1 to 4096", "20", C | S, "bins along a direction")                                           \
    X(SEED, "seed", "N", "0 to 9007199254740991", "from the window's Merkle root", C | S, "seed of the directions")    \
    X(POLICY, "policy", "FILE", "", "the built-in one", C | S, "policy whose weights make the budget")                 \
    X(OUT, "out", "FILE", "", "standard output", C, "where PCS go, one a line")                                        \
    X(PCS, "pcs", NULL, "", "", S, "the files hold ready PCS, one a line, as compute prints them")                     \
    X(PARALLEL, "parallel", "N", "1 to 1024", "16", S | D | E, "submissions under way at once")                        \
    X(TRIES, "tries", "N", "0 to 1000000", "0: for ever", S | D | E,                                                   \
      "tries of a PCS in this run; then it stays pending")                                                             \
    X(TIMEOUT, "timeout", "TIME", "1s to 3600s, or as 5m", "15s", S | D | E, "of one try")                             \
    X(CACERT, "cacert", "FILE", "", "the system's", S | D | E, "CA certificates that https:// is checked against")     \
    X(RESULTS, "results", "FILE", "", "", S | D | E, "one line of JSON for each PCS and its answer")                   \
    X(DEAD_LETTERS, "dead-letters", NULL, "", "", D, "send the dead letters, as they are, instead of pending PCS")     \
    X(RESIGN, "resign", NULL, "", "", D, "sign each PCS anew, with today's key, before it is sent")                    \
    X(ALL, "all", NULL, "", "", E, "purge: every dead letter")

enum option_id { OPTIONS(FLK_OPTION_ID) };
static const flk_option_t rows[] = {OPTIONS(FLK_OPTION_VERBS_ROW)};

static const char *const commands[] = {
    [FLK_COMMAND_COMPUTE] = "compute", [FLK_COMMAND_SUBMIT] = "submit", [FLK_COMMAND_DRAIN] = "drain",
    [FLK_COMMAND_STATUS] = "status",   [FLK_COMMAND_DEAD] = "dead",     [FLK_COMMAND_CHECK] = "check",
};

static const char *const verbs[] = {
    [FLK_DEAD_LIST] = "list", [FLK_DEAD_SHOW] = "show", [FLK_DEAD_PURGE] = "purge", [FLK_DEAD_RESIGN] = "resign"};

enum { ID_BYTES_MIN = 8 };

static void print_help(void);
static bool take_option(void *arg, size_t row, char *value);

static const flk_options_t command_line = {
    .title = "flk-agent",
    .rows = rows,
    .rows_len = FLK_COUNT_OF(rows),
    .verbs = commands,
    .verbs_len = FLK_COUNT_OF(commands),
    .print_help = print_help,
    .take = take_option,
};

/* ---- help ---- */

static void print_help(void) {
    printf("flk-agent - boils event streams down to signed PCS and delivers each of them\n\n"
           "  flk-agent compute [options] FILE...|-  print PCS, one a line, and send nothing\n"
           "  flk-agent submit [options] FILE...|-   compute, keep in the outbox, and send,\n"
           "                                         with pending ones\n"
           "  flk-agent drain [options]              send the pending PCS of the outbox\n"
           "  flk-agent status [options]             show pending PCS and dead letters\n"
           "  flk-agent check [options]              check the settings and print those in effect\n"
           "  flk-agent dead list|show [ID...]       dead letters: refused, or too old\n"
           "  flk-agent dead purge ID...|--all       drop them\n"
           "  flk-agent dead resign [ID...]          sign them anew and send them\n\n"
           "An ID is the beginning of a pcs_id, 8 characters at least.\n\n");
    flk_options_print(&command_line, C | S | D | T | E | K, stdout);
    printf("\n");
    flk_settings_print(FLK_PROGRAM_AGENT, stdout);
    printf("\nExit status:\n"
           "  0  every PCS was answered (compute: printed)\n"
           "  1  an error of this machine: input or output, memory\n"
           "  2  wrong options or settings, an ENDPOINT that is no address for PCS\n"
           "  3  some PCS became dead letters or stay pending; no dead letter has that ID\n"
           "  4  a bad row, and --on-bad-row is fail; PCS before it were delivered\n"
           "  5  20 signatures in a row were refused: the key is wrong\n");
}

/* ---- values ---- */

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

static bool parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *value) {
    uint64_t wide;
    bool read = flk_option_uint(text, min, max, &wide);
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
            bool fits = *value <= FLK_PCS_INTEGER_MAX / units[i].seconds;
            *value *= fits ? units[i].seconds : 1;
            return fits;
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
    options->timeout_ms = 15000;
}

/* The options, and values that can only be judged when all options are there. */
typedef struct parse {
    flk_agent_options_t *options;
    bool slide_by_time;
    const char *policy_file;
    bool all;
} parse_t;

static bool parse_timeout(const char *text, uint32_t *timeout_ms) {
    bool is_time;
    uint64_t seconds;
    bool read = parse_length(text, &is_time, &seconds) && is_time && seconds <= 3600;
    *timeout_ms = read ? (uint32_t)seconds * 1000 : *timeout_ms;
    return read;
}

/* Options of output, delivery and dead letters. */
static bool take_delivery_option(parse_t *parse, enum option_id id, const char *value) {
    flk_agent_options_t *options = parse->options;
    switch (id) {
    case OPTION_OUT:
        options->out = strcmp(value, "-") == 0 ? NULL : value;
        return true;
    case OPTION_PCS:
        return options->ready = true;
    case OPTION_DEAD_LETTERS:
        return options->dead_letters = true;
    case OPTION_RESIGN:
        return options->resign = true;
    case OPTION_ALL:
        return parse->all = true;
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
        FLK_ASSERT(false); /* every option has a case */
    }
}

static bool take_option(void *arg, size_t row, char *value) {
    parse_t *parse = arg;
    flk_agent_options_t *options = parse->options;
    flk_builder_options_t *builder = &options->builder;
    bool second, read = true;
    switch ((enum option_id)row) {
    case OPTION_FORMAT:
        read = parse_choice(value, "csv", "ndjson", &second);
        options->reader.format = second ? FLK_FORMAT_NDJSON : FLK_FORMAT_CSV;
        return read;
    case OPTION_COLUMNS:
        options->reader.columns = value;
        return true;
    case OPTION_TIME_COLUMN:
        options->reader.time_column = value;
        return true;
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
        return flk_option_uint(value, 0, FLK_PCS_INTEGER_MAX, &builder->first_epoch);
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
        return flk_option_uint(value, 0, FLK_PCS_INTEGER_MAX, &builder->seed);
    case OPTION_POLICY:
        parse->policy_file = value;
        return true;
    default:
        return take_delivery_option(parse, (enum option_id)row, value);
    }
}

/* Judges options that depend on each other. */
static int check_together(const parse_t *parse) {
    flk_agent_options_t *options = parse->options;
    flk_window_options_t *window = &options->window;
    if (window->slide == 0) {
        window->slide = window->length;
    } else if (parse->slide_by_time != window->by_time) {
        return flk_options_wrong(&command_line, "--window and --slide must both be counts or both be times");
    }
    if (window->slide > window->length) {
        return flk_options_wrong(&command_line,
                                 "--slide is longer than --window: rows between windows would be in no PCS");
    }
    if (!window->by_time && window->length > FLK_WINDOW_ROWS_MAX) {
        return flk_options_wrong(&command_line, "--window: at most %d rows", FLK_WINDOW_ROWS_MAX);
    }
    bool reads = options->command == FLK_COMMAND_COMPUTE || options->command == FLK_COMMAND_SUBMIT;
    if (reads && options->files_len == 0) {
        return flk_options_wrong(&command_line, "%s needs a file, or - for standard input", commands[options->command]);
    }
    if (!reads && options->files_len > 0) {
        return flk_options_wrong(&command_line, "%s takes no file", commands[options->command]);
    }
    char errmsg[FLK_ERRMSG_BYTES];
    if (parse->policy_file != NULL && flk_policy_load(parse->policy_file, &options->builder.policy, errmsg) != FLK_OK) {
        return flk_options_wrong(&command_line, "%s", errmsg);
    }
    return -1;
}

static bool is_id(const char *text) {
    size_t bytes = strlen(text);
    return bytes >= ID_BYTES_MIN && bytes <= FLK_PCS_ID_HEX && strspn(text, "0123456789abcdef") == bytes;
}

static int find_verb(const char *name, flk_dead_verb_t *verb) {
    for (size_t i = 0; name != NULL && i < FLK_COUNT_OF(verbs); i++) {
        if (strcmp(name, verbs[i]) == 0) {
            *verb = (flk_dead_verb_t)i;
            return -1;
        }
    }
    return flk_options_wrong(&command_line, "dead takes list, show, purge or resign");
}

/* The verb and the ids behind "dead"; `words` ends with NULL. */
static int parse_dead(char *const *words, size_t words_len, const parse_t *parse) {
    flk_agent_options_t *options = parse->options;
    int status = find_verb(words[0], &options->verb);
    if (status >= 0) {
        return status;
    }
    options->ids = words + 1;
    options->ids_len = words_len - 1;
    for (size_t i = 0; i < options->ids_len; i++) {
        if (!is_id(options->ids[i])) {
            return flk_options_wrong(&command_line, "'%.80s' is no ID: %d to %d hexadecimal digits of a pcs_id",
                                     options->ids[i], ID_BYTES_MIN, FLK_PCS_ID_HEX);
        }
    }
    bool purge = options->verb == FLK_DEAD_PURGE;
    if (parse->all && (!purge || options->ids_len > 0)) {
        return flk_options_wrong(&command_line, "--all belongs to dead purge, without an ID");
    }
    if (purge && !parse->all && options->ids_len == 0) {
        return flk_options_wrong(&command_line, "dead purge needs an ID, or --all");
    }
    options->dead_letters = options->resign = options->verb == FLK_DEAD_RESIGN;
    return -1;
}

static const char *name_of_command(const void *list, size_t index) {
    (void)list;
    return index < FLK_COUNT_OF(commands) ? commands[index] : NULL;
}

static int find_command(const char *name, flk_command_t *command) {
    for (size_t i = 0; i < FLK_COUNT_OF(commands); i++) {
        if (strcmp(name, commands[i]) == 0) {
            *command = (flk_command_t)i;
            return -1;
        }
    }
    const char *nearest = flk_nearest(name, name_of_command, NULL);
    return nearest != NULL
               ? flk_options_wrong(&command_line, "'%s' is no command (did you mean %s?)", name, nearest)
               : flk_options_wrong(&command_line, "'%s' is no command: compute, submit, drain, status, check or dead",
                                   name);
}

int flk_agent_options_parse(int argc, char **argv, flk_agent_options_t *options) {
    parse_t parse = {.options = options};
    uint64_t given;
    char **rest;
    set_defaults(options);
    int status = flk_options_parse(&command_line, argc, argv, &parse, &given, &rest);
    if (status < 0 && *rest == NULL) {
        return flk_options_wrong(&command_line, "no command: compute, submit, drain, status, check or dead");
    }
    status = status < 0 ? find_command(*rest, &options->command) : status;
    status = status < 0 ? flk_options_belong(&command_line, given, options->command) : status;
    if (status < 0 && options->command == FLK_COMMAND_DEAD) {
        return parse_dead(rest + 1, (size_t)(argv + argc - rest - 1), &parse);
    }
    if (status < 0) {
        options->files = rest + 1;
        options->files_len = (size_t)(argv + argc - options->files);
        status = check_together(&parse);
    }
    return status;
}
