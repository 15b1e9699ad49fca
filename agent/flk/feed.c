/* SPDX-License-Identifier: MIT */
/* flk feed: find flk-follow -> ask for a page behind the position -> print its lines -> ask again behind that, until
 * the head of the log, the limit, or a signal. With --follow it waits at the head, and through a restart of flk-follow.
 */
#include <curl/curl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/flk/cluster/daemon.h"
#include "agent/flk/cluster/probe.h"
#include "agent/flk/command.h"
#include "agent/flk/members.h"
#include "agent/flk/style.h"
#include "common/escape.h"
#include "common/program/options.h"
#include "common/terminal.h"

enum { PAGE_EVENTS = 1000, WAIT_S = 20, ANSWER_MS = 10000, RETRY_MS = 1000, QUERY_BYTES = 400, WIDE_COLUMNS = 150 };

typedef struct feed {
    const char *after, *from, *status, *shard, *reason;
    uint64_t limit; /* 0: none */
    bool follow, json;

    char address[FLK_DAEMON_ADDRESS_BYTES];
    char user[FLK_CLUSTER_SECRET_BYTES], pass[FLK_CLUSTER_SECRET_BYTES];
    char position[24]; /* as the next request has it; "": the oldest */
    uint64_t printed;
    unsigned columns; /* of the terminal; 0: a pipe */
    bool told_silence;
} feed_t;

/* id, name, argument (NULL: none), limits, default, help */
#define OPTIONS(X)                                                                                                     \
    X(AFTER, "after", "LSN|end", "", "",                                                                               \
      "only events behind that LSN, or that come from now on; else from the oldest one on, with --follow from now on") \
    X(FOLLOW, "follow", NULL, "", "", "go on with events as they come, until Ctrl-C")                                  \
    X(LIMIT, "limit", "N", "1 to 1000000000", "", "end after so many events")                                          \
    X(STATUS, "status", "CODE[,...]", "", "", "only those with one of these statuses")                                 \
    X(SHARD, "shard", "SHARD", "", "", "only those of that shard_id; NAME* is all that begin so")                      \
    X(REASON, "reason", "NAME[,...]", "", "", "only those with one of these reasons")                                  \
    X(FROM, "from", "ADDRESS", "", "FLK_FOLLOW_LISTEN", "flk-follow's HOST:PORT, or https://HOST:PORT")                \
    X(JSON, "json", NULL, "", "", "one JSON object an event, as the feed has it")

enum option_id { OPTIONS(FLK_OPTION_ID) };
static const flk_option_t rows[] = {OPTIONS(FLK_OPTION_ROW)};
FLK_COMMAND_LINE("flk feed");

static void print_help(void) {
    printf("Usage: flk feed [OPTION...]\n\n"
           "Prints the outcomes of a gateway's log in their order, a line each: LSN, time,\n"
           "status, recomputed D-hat, shard, pcs_id, and reasons or flags. Beside flk up it\n"
           "asks the flk-follow of that cluster.\n\n");
    flk_options_print(&command_line, 0, stdout);
    printf("\nWhere METRICS_USER and METRICS_PASS are set for flk-follow, set them here too.\n"
           "Exit codes: 0 all printed, 1 flk-follow does not answer, or the position is gone,\n"
           "2 wrong setting or argument.\n\n");
    flk_settings_print(FLK_PROGRAM_FLK, stdout);
}

static bool take_option(void *arg, size_t row, char *value) {
    feed_t *feed = arg;
    switch ((enum option_id)row) {
    case OPTION_AFTER:
        feed->after = value;
        return strlen(value) < sizeof feed->position;
    case OPTION_FOLLOW:
        return feed->follow = true;
    case OPTION_LIMIT:
        return flk_option_uint(value, 1, 1000000000, &feed->limit);
    case OPTION_STATUS:
        feed->status = value;
        return true;
    case OPTION_SHARD:
        feed->shard = value;
        return true;
    case OPTION_REASON:
        feed->reason = value;
        return true;
    case OPTION_FROM:
        feed->from = value;
        return strlen(value) < sizeof feed->address;
    case OPTION_JSON:
        return feed->json = true;
    }
    FLK_ASSERT(false); /* every option has a case */
}

/* -1 to go on, or the exit status. */
static int parse(int argc, char **argv, feed_t *feed) {
    char **rest;
    uint64_t given;
    int status = flk_options_parse(&command_line, argc, argv, feed, &given, &rest);
    return status < 0 && rest[0] != NULL ? flk_options_wrong(&command_line, "'%s' is no option", rest[0]) : status;
}

/* ---- the address ---- */

static void find_member(feed_t *feed) {
    flk_cluster_view_t *cluster = flk_start_alloc(sizeof *cluster);
    bool local = flk_members_local(cluster);
    for (size_t i = 0; local && i < cluster->members_len; i++) {
        if (strcmp(cluster->members[i].program, "follow") == 0) {
            snprintf(feed->address, sizeof feed->address, "%s", cluster->members[i].address);
        }
    }
    free(cluster);
}

static flk_err_t find_address(feed_t *feed, char *errmsg) {
    flk_settings_t *settings;
    flk_err_t err = flk_settings_load(FLK_PROGRAM_FLK, &settings, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    snprintf(feed->user, sizeof feed->user, "%s", flk_settings_str(settings, FLK_SET_METRICS_USER));
    snprintf(feed->pass, sizeof feed->pass, "%s", flk_settings_str(settings, FLK_SET_METRICS_PASS));
    flk_settings_destroy(&settings);
    if (feed->from != NULL) {
        snprintf(feed->address, sizeof feed->address, "%s", feed->from);
        return FLK_OK;
    }
    find_member(feed);
    return feed->address[0] != '\0' ? FLK_OK : flk_daemon_address(flk_daemon_named("follow"), feed->address, errmsg);
}

/* ---- one event ---- */

static const char *text_of(const json_t *event, const char *name) {
    const char *text = json_string_value(json_object_get(event, name));
    return text != NULL ? text : "-";
}

/* Reasons, then flags, with commas; cut when they do not fit. */
static void join_words(const json_t *event, char *out, size_t out_bytes) {
    static const char *const lists[] = {"reasons", "flags"};
    size_t used = 0;
    out[0] = '\0';
    for (size_t list = 0; list < FLK_COUNT_OF(lists); list++) {
        size_t i;
        json_t *word;
        json_array_foreach(json_object_get(event, lists[list]), i, word) {
            int len = snprintf(out + used, out_bytes - used, "%s%s", used > 0 ? "," : "", json_string_value(word));
            used += len > 0 && (size_t)len < out_bytes - used ? (size_t)len : 0;
        }
    }
}

static void print_gap(const feed_t *feed, const json_t *gap, const flk_style_t *style) {
    json_int_t first = json_integer_value(json_object_get(gap, "first_lsn"));
    json_int_t last = json_integer_value(json_object_get(gap, "last_lsn"));
    char line[128];
    snprintf(line, sizeof line, "-- LSN %lld to %lld: missing, %s --", (long long)first, (long long)last,
             text_of(gap, "why"));
    printf("%s%.*s%s\n", style->yellow, feed->columns > 0 ? (int)feed->columns : (int)sizeof line, line, style->end);
}

/* On a terminal a line has its width: the beginning of the pcs_id, and seconds. In a pipe all is there. */
static void print_event(const feed_t *feed, const json_t *event, const flk_style_t *style) {
    char line[1024], words[256], d_hat[16] = "-";
    bool wide = feed->columns == 0 || feed->columns >= WIDE_COLUMNS;
    int status = (int)json_integer_value(json_object_get(event, "status"));
    const json_t *number = json_object_get(event, "d_hat");
    if (json_is_number(number)) {
        snprintf(d_hat, sizeof d_hat, "%.4f", json_number_value(number));
    }
    join_words(event, words, sizeof words);
    const char *colour = status == 200 ? "" : status == 202 ? style->yellow : style->red;
    snprintf(line, sizeof line, "%-9lld %-*.*s %3d %8.8s %-*.*s %-*.*s %s",
             (long long)json_integer_value(json_object_get(event, "lsn")), wide ? 24 : 8, wide ? 24 : 8,
             text_of(event, "time") + (wide || strlen(text_of(event, "time")) < 19 ? 0 : 11), status, d_hat,
             wide ? 24 : 16, wide ? 128 : 16, text_of(event, "shard_id"), wide ? 64 : 12, wide ? 64 : 12,
             text_of(event, "pcs_id"), words);
    printf("%s%.*s%s\n", colour, feed->columns > 0 ? (int)feed->columns : (int)sizeof line, line,
           colour[0] != '\0' ? style->end : "");
}

static void print_line(feed_t *feed, const char *text, size_t bytes, const flk_style_t *style) {
    json_t *event = json_loadb(text, bytes, 0, NULL);
    const json_t *gap = json_object_get(event, "gap");
    if (event == NULL) { /* a stranger on that port */
        return;
    }
    feed->printed += gap == NULL;
    if (feed->json) {
        printf("%.*s\n", (int)bytes, text);
    } else if (gap != NULL) {
        print_gap(feed, gap, style);
    } else {
        print_event(feed, event, style);
    }
    json_decref(event);
}

/* ---- pages ---- */

static bool wants_more(const feed_t *feed) {
    return !flk_program_stop_asked() && !ferror(stdout) && (feed->limit == 0 || feed->printed < feed->limit);
}

static size_t add_filter(char query[QUERY_BYTES], size_t used, const char *name, const char *value) {
    char *escaped = value != NULL ? curl_easy_escape(NULL, value, 0) : NULL;
    int len = escaped != NULL ? snprintf(query + used, QUERY_BYTES - used, "&%s=%s", name, escaped) : 0;
    curl_free(escaped);
    return len > 0 && used + (size_t)len < QUERY_BYTES ? used + (size_t)len : used;
}

static void make_query(const feed_t *feed, char query[QUERY_BYTES]) {
    uint64_t left = feed->limit == 0 ? PAGE_EVENTS : feed->limit - feed->printed;
    size_t used = (size_t)snprintf(query, QUERY_BYTES, "/v1/feed?limit=%" PRIu64 "&wait=%d",
                                   left < PAGE_EVENTS ? left : PAGE_EVENTS, feed->follow ? WAIT_S : 0);
    used = add_filter(query, used, "after", feed->position[0] != '\0' ? feed->position : NULL);
    used = add_filter(query, used, "status", feed->status);
    used = add_filter(query, used, "shard", feed->shard);
    add_filter(query, used, "reason", feed->reason);
}

/* How many lines it had. */
static size_t print_page(feed_t *feed, const char *body, const flk_style_t *style) {
    size_t lines = 0;
    for (const char *at = body; *at != '\0'; lines++) {
        size_t bytes = strcspn(at, "\n");
        print_line(feed, at, bytes, style);
        at += bytes + (at[bytes] == '\n');
    }
    fflush(stdout);
    return lines;
}

static void tell_problem(const feed_t *feed, const flk_probe_t *page) {
    char shown[FLK_ERRMSG_BYTES];
    json_t *problem = json_loads(page->body, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *field = json_string_value(json_object_get(problem, "field"));
    size_t bytes =
        flk_escape(detail != NULL ? detail : "no page of flk-follow", FLK_ESCAPE_TEXT, shown, sizeof shown - 1, NULL);
    shown[bytes] = '\0';
    fprintf(stderr, "flk feed: %s answers %ld: %.40s%s%s\n", feed->address, page->status, field != NULL ? field : "",
            field != NULL ? " " : "", shown);
    json_decref(problem);
}

static void pause_ms(unsigned ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

/* It may be started again, or its log. -1 to go on, or the exit status. */
static int wait_for_it(feed_t *feed, const flk_probe_t *page) {
    if (!feed->follow) {
        if (page->status != 0) {
            tell_problem(feed, page);
        } else {
            fprintf(stderr, "flk feed: flk-follow at %s does not answer\n", feed->address);
        }
        return FLK_EXIT_FAILED;
    }
    if (!feed->told_silence) {
        fprintf(stderr, "flk feed: waiting for flk-follow at %s\n", feed->address);
    }
    feed->told_silence = true;
    pause_ms(RETRY_MS);
    return -1;
}

/* -1 to go on, or the exit status. */
static int take_page(feed_t *feed, const flk_probe_t *page, const flk_style_t *style) {
    if (page->status == 0 || page->status == 503) {
        return wait_for_it(feed, page);
    }
    if (page->status != 200) {
        tell_problem(feed, page);
        return page->status == 400 ? FLK_EXIT_USAGE : FLK_EXIT_FAILED;
    }
    feed->told_silence = false;
    size_t lines = print_page(feed, page->body, style);
    char position[sizeof feed->position];
    snprintf(position, sizeof position, "%" PRIu64, page->after);
    bool moved = strcmp(position, feed->position) != 0;
    strcpy(feed->position, position);
    return lines == 0 && !moved && !feed->follow ? FLK_EXIT_OK : -1;
}

static int print_feed(feed_t *feed) {
    const flk_style_t style = flk_style_for(stdout);
    int status = -1;
    feed->columns = flk_terminal_columns(STDOUT_FILENO);
    const char *start = feed->follow ? "end" : "";
    snprintf(feed->position, sizeof feed->position, "%s", feed->after != NULL ? feed->after : start);
    while (status < 0 && wants_more(feed)) {
        char query[QUERY_BYTES];
        flk_probe_t page;
        make_query(feed, query);
        flk_err_t err = flk_probe_get(feed->address, query, feed->user, feed->pass,
                                      ANSWER_MS + (feed->follow ? WAIT_S * 1000 : 0), &page);
        status = err == FLK_OK ? take_page(feed, &page, &style) : FLK_EXIT_FAILED;
        flk_probe_fini(&page);
    }
    return status < 0 ? FLK_EXIT_OK : status;
}

int flk_command_feed(int argc, char **argv) {
    feed_t *feed = flk_start_alloc(sizeof *feed);
    char errmsg[FLK_ERRMSG_BYTES] = "";
    int status = parse(argc, argv, feed);
    if (status < 0) {
        curl_global_init(CURL_GLOBAL_DEFAULT);
        flk_program_catch_stop();
        flk_err_t err = find_address(feed, errmsg);
        status = err == FLK_OK ? print_feed(feed) : flk_exit_status(err);
        curl_global_cleanup();
    }
    if (errmsg[0] != '\0') {
        fprintf(stderr, "flk feed: %s\n", errmsg);
    }
    free(feed);
    return status;
}
