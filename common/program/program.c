/* SPDX-License-Identifier: MIT */
/* main of a daemon: flk_program_begin -> flk_program_run: settings, log, signals, hardening -> serve: its parts ->
 * flk_program_wait until FLK_WAKE_STOP -> its parts in reverse. Signals are blocked from the start on, so one that
 * comes while a part starts is kept until the first wait; a start that takes long asks flk_program_stop_asked. */
#include "common/program/program.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/log_writer.h"
#include "common/metrics_process.h"
#include "common/program/allocator.h"
#include "common/program/harden.h"
#include "common/program/inherited.h"
#include "common/program/settings_names.h"
#include "common/program/settings_row.h"

enum { LAST_LINES_MS = 1000 };

static sigset_t taken;                   /* empty in a tool */
static volatile sig_atomic_t stop_asked; /* in a tool */

int flk_exit_status(flk_err_t err) {
    return err == FLK_OK ? FLK_EXIT_OK : err == FLK_E_CONFIG ? FLK_EXIT_USAGE : FLK_EXIT_FAILED;
}

/* A tool that was told to stop drops output that nobody reads: a flush would wait for a reader. */
static void give_up_output(void) {
    struct pollfd entry = {.fd = STDOUT_FILENO, .events = POLLOUT};
    if (flk_program_stop_asked() && poll(&entry, 1, 0) == 0) {
        __fpurge(stdout);
    }
}

/* Output that nobody got is no success. */
static void check_output(int status, void *arg) {
    (void)arg;
    flk_log_writer_flush(LAST_LINES_MS);
    give_up_output();
    bool failed = ferror(stdout) != 0;
    if ((fflush(stdout) != 0 || failed) && status == FLK_EXIT_OK) {
        fprintf(stderr, "cannot write to standard output: %s\n", strerror(errno));
        _exit(FLK_EXIT_FAILED);
    }
}

void flk_program_begin(void) {
    flk_inherited_reset();
    FLK_ASSERT(on_exit(check_output, NULL) == 0);
    sigemptyset(&taken);
    FLK_ASSERT(sodium_init() >= 0);
}

/* ---- the log ---- */

static void set_log(const flk_settings_t *settings) {
    flk_log_level_t level;
    flk_log_format_t format;
    FLK_ASSERT(flk_log_level_parse(flk_settings_str(settings, FLK_SET_LOG_LEVEL), &level));
    FLK_ASSERT(flk_log_format_parse(flk_settings_str(settings, FLK_SET_LOG_FORMAT), &format));
    flk_log_init(flk_program_name(flk_settings_program(settings)), level, format);
}

void flk_program_start_log(const flk_settings_t *settings) {
    set_log(settings);
    (void)!flk_log_start(NULL); /* else it waits for its reader */
}

/* Tells about settings that may be meant otherwise than they are taken. */
static void log_remarks(const flk_settings_t *settings) {
    const char *name;
    size_t count = flk_settings_platform_names(&name);
    if (count > 0) {
        char first[64];
        snprintf(first, sizeof first, "%.*s", (int)strcspn(name, "="), name);
        flk_log(FLK_LOG_INFO, "platform_names_passed_over", FLK_U("names", count), FLK_S("first", first));
    }
    for (size_t i = 0; (name = flk_settings_blank_secret(settings, i)) != NULL; i++) {
        flk_log(FLK_LOG_WARN, "secret_has_blank_end", FLK_S("setting", name),
                FLK_S("effect", "the blank or line end is part of the secret"));
    }
}

/* ---- arguments ---- */

static void print_help(const flk_start_t *start) {
    const char *name = flk_program_name(start->program);
    printf("%s - %s\n\n"
           "Usage: %s [--help | --version | --check [--json]]\n\n"
           "  --help     this page\n"
           "  --version  the version\n"
           "  --check    check the settings and print those in effect, secrets masked\n"
           "  --json     print them as one JSON document\n\n",
           name, start->summary, name);
    flk_settings_print(start->program, stdout);
    printf("\nSignals: SIGTERM and SIGINT finish the work in hand, then end with 0.\n"
           "Exit codes: 0 ended as asked, 1 failed in a way that may pass, 2 wrong setting or\nargument.\n");
}

/* The last line of a daemon. */
static int complain(flk_program_t program, flk_err_t err, const char *errmsg) {
    char line[FLK_LOG_LINE_BYTES];
    int len = snprintf(line, sizeof line, "%s: %s\n", flk_program_name(program), errmsg);
    (void)!flk_log_start(NULL);
    flk_log_writer_put(line, (size_t)len);
    flk_log_writer_flush(LAST_LINES_MS);
    return flk_exit_status(err);
}

static int load_settings(flk_program_t program, flk_settings_t **settings) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_err_t err = flk_settings_load(program, settings, errmsg);
    return err == FLK_OK ? -1 : complain(program, err, errmsg);
}

static int check(const flk_start_t *start, bool json) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_settings_t *settings;
    int status = load_settings(start->program, &settings);
    if (status >= 0) {
        return status;
    }
    set_log(settings);
    log_remarks(settings);
    flk_err_t err = start->check != NULL ? start->check(settings, errmsg) : FLK_OK;
    if (err == FLK_OK) {
        (json ? flk_settings_print_effective_json : flk_settings_print_effective)(settings, stdout);
    } else {
        (void)complain(start->program, err, errmsg);
    }
    flk_settings_destroy(&settings);
    return flk_exit_status(err);
}

static int take_arguments(const flk_start_t *start, int argc, char **argv) {
    const char *name = flk_program_name(start->program);
    bool json = argc == 3 && strcmp(argv[2], "--json") == 0;
    if (argc == 1) {
        return -1;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        print_help(start);
        return FLK_EXIT_OK;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("%s %s\n", name, FLK_VERSION);
        return FLK_EXIT_OK;
    }
    if ((argc == 2 || json) && strcmp(argv[1], "--check") == 0) {
        return check(start, json);
    }
    char errmsg[FLK_ERRMSG_BYTES];
    flk_errmsg(errmsg, "'%.200s' is not an argument; settings come from the environment, see %s --help",
               argc > 2 ? argv[2] : argv[1], name);
    return complain(start->program, FLK_E_CONFIG, errmsg);
}

/* ---- a daemon's start ---- */

/* Threads inherit it. */
static void schedule(const flk_settings_t *settings) {
    const struct sched_param param = {.sched_priority = 0};
    if (strcmp(flk_settings_str(settings, FLK_SET_SCHEDULER), "batch") == 0 &&
        sched_setscheduler(0, SCHED_BATCH, &param) != 0) {
        flk_log(FLK_LOG_WARN, "not_scheduled_as_batch", FLK_S("error", strerror(errno)));
    }
}

static flk_err_t set_up(const flk_settings_t *settings, char *errmsg) {
    set_log(settings);
    flk_log_writer_hold();
    flk_inherited_take_signals(&taken);
    schedule(settings);
    flk_allocator_bound();
    flk_harden(flk_settings_bool(settings, FLK_SET_DEV)); /* before the first thread, which it would not reach */
    flk_descriptors_raise();
    flk_err_t err = flk_log_start(errmsg);
    if (err == FLK_OK) {
        log_remarks(settings);
    }
    return err;
}

int flk_program_run(const flk_start_t *start, int argc, char **argv) {
    flk_settings_t *settings = NULL;
    char errmsg[FLK_ERRMSG_BYTES] = "";
    int status = take_arguments(start, argc, argv);
    status = status >= 0 ? status : load_settings(start->program, &settings);
    if (status >= 0) {
        return status;
    }
    flk_err_t err = set_up(settings, errmsg);
    err = err != FLK_OK ? err : start->serve(settings, errmsg);
    flk_settings_destroy(&settings);
    if (err != FLK_OK) {
        return complain(start->program, err, errmsg);
    }
    flk_log(FLK_LOG_INFO, "stopped");
    return FLK_EXIT_OK;
}

static double read_lost(void *arg) {
    (void)arg;
    return (double)flk_log_writer_lost();
}

flk_metrics_t *flk_program_metrics(void) {
    flk_metrics_t *metrics = flk_metrics_new();
    flk_metrics_add_process(metrics);
    flk_metrics_counter_fn(
        metrics, "flk_log_lines_lost_total", NULL,
        "Log lines that found no room, because the reader of stderr stalled, or could not be written.", read_lost,
        NULL);
    return metrics;
}

/* ---- signals ---- */

flk_wake_t flk_program_wait(uint64_t period_ms) {
    const struct timespec period = {.tv_sec = (time_t)(period_ms / 1000),
                                    .tv_nsec = (long)(period_ms % 1000) * 1000000};
    int number;
    do {
        number = period_ms > 0 ? sigtimedwait(&taken, NULL, &period) : sigwaitinfo(&taken, NULL);
    } while (number < 0 && errno == EINTR); /* a debugger came or went */
    if (number < 0) {
        FLK_ASSERT(errno == EAGAIN);
        return FLK_WAKE_PERIOD;
    }
    if (number == SIGHUP) {
        return FLK_WAKE_RELOAD;
    }
    char name[16];
    snprintf(name, sizeof name, "SIG%s", sigabbrev_np(number));
    flk_log(FLK_LOG_INFO, "draining", FLK_S("signal", name));
    return FLK_WAKE_STOP;
}

/* A write that waits for a reader would keep the tool from ending: the stop interrupts it, and from then on the alarm
 * does, once a second. */
static void on_stop(int number) {
    stop_asked = stop_asked || number != SIGALRM;
    alarm(1);
}

void flk_program_catch_stop(void) { /* without SA_RESTART: a poll returns */
    const struct sigaction once = {.sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND},
                           stop = {.sa_handler = on_stop};
    struct sigaction before;
    sigaction(SIGINT, NULL, &before);
    if (before.sa_handler != SIG_IGN) { /* of a job in the background it is not meant */
        sigaction(SIGINT, &once, NULL);
    }
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGALRM, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
}

bool flk_program_stop_asked(void) {
    sigset_t pending;
    if (stop_asked || sigpending(&pending) != 0) {
        return stop_asked != 0;
    }
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1 ||
           sigismember(&pending, SIGQUIT) == 1 || sigismember(&pending, SIGXCPU) == 1;
}
