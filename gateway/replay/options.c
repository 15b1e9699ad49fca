/* SPDX-License-Identifier: MIT */
/* One table holds every option: its argument and limits, the verbs that it belongs to, its help. */
#include "gateway/replay/options.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/program/nearest.h"
#include "common/program/options.h"
#include "common/program/settings.h"

enum { WAIT_MS = 30000 };

#define BIT(verb) (1u << FLK_VERB_##verb)
enum {
    SENDS = BIT(REPLAY) | BIT(HANDOVER),
    CHANGES = BIT(DLQ_PURGE) | BIT(DLQ_REPLAY),
    FILTERED = BIT(LIST) | BIT(STATS) | BIT(EXPORT) | BIT(AUDIT) | BIT(REPLAY) | BIT(DLQ_LIST) | CHANGES,
    ALL = FILTERED | BIT(SHOW) | BIT(VERIFY) | BIT(HANDOVER) | BIT(DLQ_SHOW),
    DLQ = BIT(DLQ_LIST) | BIT(DLQ_SHOW) | CHANGES,
};

#define TIMES "like 2026-01-31, 2026-01-31T12:00:00Z, Unix seconds, or 90s, 15m, 6h, 2d ago"

/* id, name, argument (NULL: none), limits, default, verbs, help */
#define OPTIONS(X)                                                                                                     \
    X(DIR, "dir", "DIR", "", "FLK_DATA_DIR/inbox, for dlq FLK_DATA_DIR/dlq", ALL, "the log")                           \
    X(JSON, "json", NULL, "", "", ALL, "JSON, one object a line")                                                      \
    X(SINCE, "since", "TIME", TIMES, "", FILTERED, "written then or later")                                            \
    X(UNTIL, "until", "TIME", TIMES, "", FILTERED, "written before")                                                   \
    X(ID, "id", "HEX", "1 to 64 hex digits", "", FILTERED, "pcs_id begins with this")                                  \
    X(SHARD, "shard", "ID", "", "", FILTERED, "of this shard_id")                                                      \
    X(STATUS, "status", "CODE", "100 to 999, or unacked", "", FILTERED, "answered with this status, or not at all")    \
    X(REASON, "reason", "NAME", "a reason like regime_mismatch", "", FILTERED,                                         \
      "escalated for this reason; again for one more")                                                                 \
    X(SEGMENT, "segment", "FILE", "", "", FILTERED, "in this segment, also one set aside as *.damaged")                \
    X(BARE, "bare", NULL, "", "", BIT(EXPORT), "only the PCS, as flk-agent submit --pcs reads them")                   \
    X(TO, "to", "ENDPOINT", "", "FLK_ZMQ_LISTEN", SENDS, "the gateway's ZeroMQ door")                                  \
    X(RATE, "rate", "N/s", "1 to 1000000", "", SENDS, "at most so many records a second")                              \
    X(STATE, "state", "FILE", "", "", BIT(REPLAY), "keep the position there, and go on from it")                       \
    X(DRY_RUN, "dry-run", NULL, "", "", BIT(REPLAY) | CHANGES, "show which records, and do nothing")                   \
    X(WAIT, "wait", "SECONDS", "0 to 999999", "30", BIT(HANDOVER) | CHANGES,                                           \
      "for a gateway that runs to do it; handover: for it to end")                                                     \
    X(EVERY, "all", NULL, "", "", CHANGES, "without a filter: really all")

enum option_id { OPTIONS(FLK_OPTION_ID) };
static const flk_option_t rows[] = {OPTIONS(FLK_OPTION_VERBS_ROW)};

static const char *const verbs[] = {
    [FLK_VERB_LIST] = "list",         [FLK_VERB_SHOW] = "show",           [FLK_VERB_VERIFY] = "verify",
    [FLK_VERB_STATS] = "stats",       [FLK_VERB_EXPORT] = "export",       [FLK_VERB_AUDIT] = "audit",
    [FLK_VERB_REPLAY] = "replay",     [FLK_VERB_HANDOVER] = "handover",   [FLK_VERB_DLQ_LIST] = "dlq list",
    [FLK_VERB_DLQ_SHOW] = "dlq show", [FLK_VERB_DLQ_PURGE] = "dlq purge", [FLK_VERB_DLQ_REPLAY] = "dlq replay",
};

static const char *const verbs_help[] = {
    [FLK_VERB_LIST] = "one line a record",
    [FLK_VERB_SHOW] = "LSN|PCS_ID: all about a record, PCS included",
    [FLK_VERB_VERIFY] = "check every byte; name each damage, and segments that are gone",
    [FLK_VERB_STATS] = "how many, of which status, how large, from when to when",
    [FLK_VERB_EXPORT] = "records with their PCS as NDJSON",
    [FLK_VERB_AUDIT] = "verify each record again and compare with its answer",
    [FLK_VERB_REPLAY] = "submit the records again through a gateway",
    [FLK_VERB_HANDOVER] = "have another gateway answer the un-acked records of this one",
    [FLK_VERB_DLQ_LIST] = "the dead letters",
    [FLK_VERB_DLQ_SHOW] = "LSN|PCS_ID: all about a dead letter",
    [FLK_VERB_DLQ_PURGE] = "forget dead letters",
    [FLK_VERB_DLQ_REPLAY] = "put dead letters back into the inbox beside the queue",
};

static void print_help(void);
static bool take_option(void *arg, size_t row, char *value);

static flk_options_t command_line = {
    .title = "flk-replay", /* or "flk wal", "flk dlq", when flk calls it so */
    .rows = rows,
    .rows_len = FLK_COUNT_OF(rows),
    .verbs = verbs,
    .verbs_len = FLK_COUNT_OF(verbs),
    .print_help = print_help,
    .take = take_option,
};

const char *flk_replay_title(void) {
    return command_line.title;
}

bool flk_verb_is_dlq(flk_verb_t verb) {
    return verb >= FLK_VERB_DLQ_LIST;
}

/* ---- verbs ---- */

static bool is_called(const char *title) {
    return strcmp(command_line.title, title) == 0;
}

/* The verb as people type it after the title; NULL: it is not called by this title. */
static const char *verb_of_title(unsigned verb) {
    const bool dlq = flk_verb_is_dlq((flk_verb_t)verb);
    return is_called("flk dlq")          ? (dlq ? verbs[verb] + strlen("dlq ") : NULL)
           : dlq && is_called("flk wal") ? NULL
                                         : verbs[verb];
}

static const char *name_of_verb(const void *list, size_t index) {
    (void)list;
    return index < FLK_COUNT_OF(verbs) ? verbs[index] : NULL;
}

/* Takes the first word of `*rest`, or two that begin with "dlq". */
static int take_verb(char ***rest, flk_verb_t *verb) {
    char words[32];
    const bool dlq = **rest != NULL && strcmp(**rest, "dlq") == 0;
    const char *second = dlq && (*rest)[1] != NULL ? (*rest)[1] : "";
    if (**rest == NULL || (dlq && *second == '\0')) {
        return flk_options_wrong(&command_line, "a verb is needed");
    }
    snprintf(words, sizeof words, "%s%s%s", **rest, dlq ? " " : "", second);
    for (size_t i = 0; i < FLK_COUNT_OF(verbs); i++) {
        if (strcmp(words, verbs[i]) == 0) {
            *verb = (flk_verb_t)i;
            *rest += 1 + dlq;
            return -1;
        }
    }
    const char *nearest = flk_nearest(words, name_of_verb, NULL);
    return nearest != NULL ? flk_options_wrong(&command_line, "'%s' is no verb (did you mean %s?)", words, nearest)
                           : flk_options_wrong(&command_line, "'%s' is no verb", words);
}

/* ---- help ---- */

static void print_help(void) {
    printf("%s - reads a gateway's log: submissions and their answers\n\n"
           "Usage: %s VERB [OPTION...] [LSN|PCS_ID]\n\n",
           command_line.title, command_line.title);
    for (unsigned verb = 0; verb < FLK_COUNT_OF(verbs); verb++) {
        if (verb_of_title(verb) != NULL) {
            printf("  %-10s  %s\n", verb_of_title(verb), verbs_help[verb]);
        }
    }
    printf("\n");
    flk_options_print(&command_line, is_called("flk dlq") ? DLQ : is_called("flk wal") ? ALL & ~DLQ : ALL, stdout);
    printf("\nFilters that are given must all hold.\n\n"
           "Reading takes no lock and writes nothing: it works beside a running gateway and\n"
           "on a copy. dlq purge and dlq replay leave an order to a gateway that runs, which\n"
           "carries it out within a second or so, and wait for it. On the queue of one that\n"
           "does not run they do it themselves, and the gateway verifies the records when it\n"
           "starts again.\n"
           "handover is for a gateway that is gone for good: it locks the log and settles\n"
           "each record there by its answer. Status 0 says that the log may be removed.\n"
           "audit goes by the policy and the keys below, which must be those of the workers.\n"
           "A duplicate's first submission may be in another gateway's log: it is then\n"
           "counted as unproven, not as a difference.\n\n");
    flk_settings_print(FLK_PROGRAM_REPLAY, stdout);
    printf("\nExit status:\n"
           "  0  done; verify: no damage; audit: no difference\n"
           "  1  failed; damage or a difference was found; nothing matched show; handover:\n"
           "     something is left\n"
           "  2  wrong options or settings\n");
}

/* ---- values ---- */

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
    bool read = flk_option_uint(text, 0, 999999, ms);
    *ms *= 1000;
    return read;
}

static bool take_option(void *arg, size_t row, char *value) {
    flk_replay_options_t *options = arg;
    switch ((enum option_id)row) {
    case OPTION_DIR:
        options->dir = value;
        return true;
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
        return true;
    case OPTION_STATUS:
        return flk_filter_parse_status(value, &options->filter);
    case OPTION_REASON:
        return flk_filter_parse_reason(value, &options->filter);
    case OPTION_SEGMENT:
        options->filter.segment = value;
        return true;
    case OPTION_BARE:
        return options->bare = true;
    case OPTION_TO:
        options->to = value;
        return true;
    case OPTION_RATE:
        return parse_rate(value, &options->rate);
    case OPTION_STATE:
        options->state = value;
        return true;
    case OPTION_DRY_RUN:
        return options->dry_run = true;
    case OPTION_WAIT:
        return parse_seconds(value, &options->wait_ms);
    case OPTION_EVERY:
        return options->all = true;
    }
    FLK_ASSERT(false); /* every option has a case */
}

/* ---- parsing ---- */

static int check_together(const flk_replay_options_t *options, char **rest) {
    const bool shows = options->verb == FLK_VERB_SHOW || options->verb == FLK_VERB_DLQ_SHOW;
    if (shows && rest[0] == NULL) {
        return flk_options_wrong(&command_line, "show needs an LSN or a pcs_id");
    }
    if (rest[shows ? 1 : 0] != NULL) {
        return flk_options_wrong(&command_line, "'%s' is one argument too many", rest[shows ? 1 : 0]);
    }
    if ((CHANGES & 1u << options->verb) != 0 && !options->all && !options->dry_run &&
        flk_filter_is_empty(&options->filter)) {
        return flk_options_wrong(&command_line, "%s needs a filter or --all", verbs[options->verb]);
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
    uint64_t given;
    char **rest;
    *options = (flk_replay_options_t){.wait_ms = WAIT_MS};
    if (strncmp(argv[0], "flk ", strlen("flk ")) == 0) {
        command_line.title = argv[0];
    }
    int status = flk_options_parse(&command_line, argc, argv, options, &given, &rest);
    status = status < 0 ? take_verb(&rest, &options->verb) : status;
    status = status < 0 ? flk_options_belong(&command_line, given, options->verb) : status;
    status = status < 0 ? check_together(options, rest) : status;
    if (status < 0 && *rest != NULL) {
        options->what = *rest;
        if (!take_what(options, *rest)) {
            status = flk_options_wrong(&command_line, "'%s' is neither an LSN nor the beginning of a pcs_id", *rest);
        }
    }
    return status;
}
