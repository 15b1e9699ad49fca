/* SPDX-License-Identifier: MIT */
/* One table holds every option: getopt_long, the verbs it belongs to, --help. */
#include "gateway/replay/options.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/settings.h"

enum { WAIT_MS = 30000 };

#define BIT(verb) (1u << FLK_VERB_##verb)
enum {
    SENDS = BIT(REPLAY),
    CHANGES = BIT(DLQ_PURGE) | BIT(DLQ_REPLAY),
    FILTERED = BIT(LIST) | BIT(STATS) | BIT(EXPORT) | BIT(AUDIT) | SENDS | BIT(DLQ_LIST) | CHANGES,
    ALL = FILTERED | BIT(SHOW) | BIT(VERIFY) | BIT(DLQ_SHOW),
};

/* id, name, argument (NULL: none), verbs, help */
#define OPTIONS(X)                                                                                                     \
    X(DIR, "dir", "DIR", ALL, "the log; default FLK_DATA_DIR/inbox, for dlq FLK_DATA_DIR/dlq")                         \
    X(JSON, "json", NULL, ALL, "JSON, one object a line")                                                              \
    X(SINCE, "since", "TIME", FILTERED, "written then or later")                                                       \
    X(UNTIL, "until", "TIME", FILTERED, "written before")                                                              \
    X(ID, "id", "HEX", FILTERED, "pcs_id begins with this")                                                            \
    X(SHARD, "shard", "ID", FILTERED, "of this shard_id")                                                              \
    X(STATUS, "status", "CODE|unacked", FILTERED, "answered with this status, or not at all")                          \
    X(REASON, "reason", "NAME", FILTERED, "escalated for this reason; again for one more")                             \
    X(SEGMENT, "segment", "FILE", FILTERED, "in this segment, also one set aside as *.damaged")                        \
    X(BARE, "bare", NULL, BIT(EXPORT), "only the PCS, as flk-agent submit --pcs reads them")                           \
    X(TO, "to", "ENDPOINT", SENDS, "the gateway's ZeroMQ door; default FLK_ZMQ_LISTEN")                                \
    X(RATE, "rate", "N/s", SENDS, "at most so many records a second")                                                  \
    X(STATE, "state", "FILE", SENDS, "note there how far it got, and go on from there")                                \
    X(DRY_RUN, "dry-run", NULL, SENDS | CHANGES, "show which records, and do nothing")                                 \
    X(WAIT, "wait", "SECONDS", CHANGES, "for a gateway that runs to do it; default 30")                                \
    X(EVERY, "all", NULL, CHANGES, "without a filter: really all")

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
    unsigned verbs;
    const char *help;
} table[] = {
#define OPTION_ROW(id, name, argument, verbs, help) {name, argument, verbs, help},
    OPTIONS(OPTION_ROW)
#undef OPTION_ROW
};

static const struct option getopt_table[] = {
#define OPTION_GETOPT(id, name, argument, verbs, help)                                                                 \
    {name, (argument) == NULL ? no_argument : required_argument, NULL, OPTION_##id},
    OPTIONS(OPTION_GETOPT)
#undef OPTION_GETOPT
        {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static const struct {
    const char *name, *arguments, *help;
} verbs[] = {
    [FLK_VERB_LIST] = {"list", "", "one line a record"},
    [FLK_VERB_SHOW] = {"show", "LSN|PCS_ID", "all about a record, PCS included"},
    [FLK_VERB_VERIFY] = {"verify", "",
                         "check every byte; name each damage by segment and offset, and segments that are gone"},
    [FLK_VERB_STATS] = {"stats", "", "how many, of which status, how large, from when to when"},
    [FLK_VERB_EXPORT] = {"export", "", "records with their PCS as NDJSON"},
    [FLK_VERB_AUDIT] = {"audit", "", "verify each record again and compare with what was answered"},
    [FLK_VERB_REPLAY] = {"replay", "", "submit the records again through a gateway"},
    [FLK_VERB_DLQ_LIST] = {"dlq list", "", "the dead letters"},
    [FLK_VERB_DLQ_SHOW] = {"dlq show", "LSN|PCS_ID", "all about a dead letter"},
    [FLK_VERB_DLQ_PURGE] = {"dlq purge", "", "forget dead letters"},
    [FLK_VERB_DLQ_REPLAY] = {"dlq replay", "", "put dead letters back into the inbox beside the queue"},
};

bool flk_verb_is_dlq(flk_verb_t verb) {
    return verb >= FLK_VERB_DLQ_LIST;
}

/* ---- help ---- */

static void print_help(void) {
    printf("flk-replay: reads a gateway's log: what came in, what was answered, and whether that stands\n\n");
    for (size_t i = 0; i < FLK_COUNT_OF(verbs); i++) {
        printf("  flk-replay %-10s [options] %-11s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].help);
    }
    printf("\nOptions:\n");
    for (size_t i = 0; i < FLK_COUNT_OF(table); i++) {
        char left[48];
        snprintf(left, sizeof left, "--%s %s", table[i].name, table[i].argument == NULL ? "" : table[i].argument);
        printf("  %-24s %s", left, table[i].help);
        if (table[i].verbs != ALL && table[i].verbs != FILTERED) {
            const char *separator = " (";
            for (unsigned verb = 0; verb < FLK_COUNT_OF(verbs); verb++) {
                if (table[i].verbs & 1u << verb) {
                    printf("%s%s", separator, verbs[verb].name);
                    separator = ", ";
                }
            }
            putchar(')');
        }
        putchar('\n');
    }
    printf("  %-24s this text\n  %-24s the version\n\n", "--help", "--version");
    printf(
        "TIME is like 2026-01-31, 2026-01-31T12:00:00Z, Unix seconds, or 90s, 15m, 6h, 2d ago.\n"
        "Filters belong to all verbs but show and verify; those that are given must all hold.\n\n"
        "Reading takes no lock and writes nothing: it works beside a running gateway and on a copy. dlq purge and\n"
        "dlq replay leave an order to a gateway that runs, which carries it out within a second or so, and wait for\n"
        "it; on the queue of one that does not run they do it themselves, and the gateway verifies the records when\n"
        "it starts again.\n"
        "audit goes by the policy and the keys below, which must be those of the workers. A duplicate's first\n"
        "submission may be in another gateway's log: it is then counted as unproven, not as a difference.\n\n");
    flk_settings_print(FLK_PROGRAM_REPLAY, stdout);
    printf("\nExit status:\n"
           "  0  done; verify: no damage; audit: no difference\n"
           "  1  failed; damage or a difference was found; nothing matched show\n"
           "  2  wrong options or settings\n");
}

/* ---- parsing ---- */

static int usage_error(const char *what, const char *why) {
    fprintf(stderr, "flk-replay: %s %s; see flk-replay --help\n", what, why);
    return FLK_EXIT_USAGE;
}

/* "dlq" "list" or "list": takes one word or two. */
static bool parse_verb(int argc, char **argv, flk_verb_t *verb, int *words) {
    const bool dlq = argc > 1 && strcmp(argv[1], "dlq") == 0;
    *words = dlq ? 2 : 1;
    for (size_t i = 0; argc > *words && i < FLK_COUNT_OF(verbs); i++) {
        const char *name = verbs[i].name + (flk_verb_is_dlq((flk_verb_t)i) ? strlen("dlq ") : 0);
        if (flk_verb_is_dlq((flk_verb_t)i) == dlq && strcmp(argv[*words], name) == 0) {
            *verb = (flk_verb_t)i;
            return true;
        }
    }
    return false;
}

/* Lowercases `text` in place: it is argv's. */
static bool parse_id(char *text) {
    for (char *at = text; *at != '\0'; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
    size_t digits = strspn(text, "0123456789abcdef");
    return digits > 0 && digits <= FLK_PCS_ID_HEX && text[digits] == '\0';
}

static bool parse_rate(const char *text, uint64_t *rate) {
    char *end;
    *rate = strtoull(text, &end, 10);
    return *text >= '1' && *text <= '9' && *rate <= 1000000 && (*end == '\0' || strcmp(end, "/s") == 0);
}

static bool parse_seconds(const char *text, uint64_t *ms) {
    *ms = strtoull(text, NULL, 10) * 1000;
    return strspn(text, "0123456789") == strlen(text) && strlen(text) > 0 && strlen(text) < 7;
}

/* False: the value is wrong. */
static bool take_option(flk_replay_options_t *options, int id, char *value) {
    switch (id) {
    case OPTION_DIR:
        options->dir = value;
        return *value != '\0';
    case OPTION_JSON:
        return options->json = true;
    case OPTION_SINCE:
        return flk_filter_parse_time(value, flk_wall_ms(), &options->filter.since_ms);
    case OPTION_UNTIL:
        return flk_filter_parse_time(value, flk_wall_ms(), &options->filter.until_ms);
    case OPTION_ID:
        options->filter.id = value;
        return parse_id(value);
    case OPTION_SHARD:
        options->filter.shard = value;
        return *value != '\0';
    case OPTION_STATUS:
        return flk_filter_parse_status(value, &options->filter);
    case OPTION_REASON:
        return flk_filter_parse_reason(value, &options->filter);
    case OPTION_SEGMENT:
        options->filter.segment = value;
        return *value != '\0';
    case OPTION_BARE:
        return options->bare = true;
    case OPTION_TO:
        options->to = value;
        return *value != '\0';
    case OPTION_RATE:
        return parse_rate(value, &options->rate);
    case OPTION_STATE:
        options->state = value;
        return *value != '\0';
    case OPTION_DRY_RUN:
        return options->dry_run = true;
    case OPTION_WAIT:
        return parse_seconds(value, &options->wait_ms);
    case OPTION_EVERY:
        return options->all = true;
    default:
        FLK_ASSERT(false); /* every option has a case */
    }
}

static int check_together(const flk_replay_options_t *options, char **rest) {
    const bool shows = options->verb == FLK_VERB_SHOW || options->verb == FLK_VERB_DLQ_SHOW;
    if (shows && rest[0] == NULL) {
        return usage_error("show", "needs an LSN or a pcs_id");
    }
    if (rest[shows ? 1 : 0] != NULL) {
        return usage_error(rest[shows ? 1 : 0], "is one argument too many");
    }
    if ((BIT(DLQ_PURGE) | BIT(DLQ_REPLAY)) & 1u << options->verb && !options->all && !options->dry_run &&
        flk_filter_is_empty(&options->filter)) {
        return usage_error(verbs[options->verb].name, "needs a filter or --all");
    }
    return -1;
}

/* Digits alone are an LSN as long as one can be that long; anything longer, or with letters, begins a pcs_id. */
static bool take_what(flk_replay_options_t *options, char *what) {
    if (what[strspn(what, "0123456789")] == '\0' && strlen(what) < 20) {
        options->filter.lsn = strtoull(what, NULL, 10);
        return options->filter.lsn > 0;
    }
    options->filter.id = what;
    return parse_id(what);
}

int flk_replay_options_parse(int argc, char **argv, flk_replay_options_t *options) {
    *options = (flk_replay_options_t){.wait_ms = WAIT_MS};
    int words, id;
    const bool has_verb = parse_verb(argc, argv, &options->verb, &words);
    opterr = 0;
    optind = has_verb ? words + 1 : 1;
    while ((id = getopt_long(argc, argv, ":", getopt_table, NULL)) != -1) {
        if (id == OPTION_HELP) {
            print_help();
            return FLK_EXIT_OK;
        }
        if (id == OPTION_VERSION) {
            printf("flk-replay %s\n", FLK_VERSION);
            return FLK_EXIT_OK;
        }
        if (id == ':' || id == '?') {
            return usage_error(argv[optind - 1], id == ':' ? "needs a value" : "is no option");
        }
        if (has_verb && (table[id - OPTION_FIRST - 1].verbs & 1u << options->verb) == 0) {
            return usage_error(argv[optind - 1], "does not belong to this verb");
        }
        if (!take_option(options, id, optarg)) {
            return usage_error(optarg, "is no value for that option");
        }
    }
    if (!has_verb) {
        return usage_error(argc > 1 ? argv[argc > 2 && words == 2 ? 2 : 1] : "a verb",
                           argc > 1 ? "is no verb" : "is needed");
    }
    int status = check_together(options, argv + optind);
    if (status < 0 && argv[optind] != NULL) {
        options->what = argv[optind];
        if (!take_what(options, argv[optind])) {
            return usage_error(argv[optind], "is neither an LSN nor the beginning of a pcs_id");
        }
    }
    return status;
}
