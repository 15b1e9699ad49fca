/* SPDX-License-Identifier: MIT */
/* What people see of the settings table: --help, --check, the table of OPERATING.md; and the start that all daemons share. */
#include <errno.h>
#include <sched.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/harden.h"
#include "common/log.h"
#include "common/settings.h"
#include "common/settings_row.h"

enum { EXIT_WRONG_SETTING = 2 };

static bool is_secret(const flk_setting_row_t *row) {
    return row->type == FLK_SETTING_SECRET;
}

static const char *row_limits(const flk_setting_row_t *row) {
    return row->type == FLK_SETTING_BOOL ? "0|1" : row->limits;
}

/* " (ms, 100..600000)", " (memory|lmdb)", " (host:port)" or "". */
static void print_unit_and_limits(FILE *out, const flk_setting_row_t *row) {
    const char *limits = row_limits(row);
    bool both = row->unit[0] != '\0' && limits[0] != '\0';
    if (row->unit[0] != '\0' || limits[0] != '\0') {
        fprintf(out, " (%s%s%s)", row->unit, both ? ", " : "", limits);
    }
}

void flk_settings_print(flk_program_t program, FILE *out) {
    fprintf(out, "Settings, from the environment. NAME_FILE names a file that holds the value of NAME.\n\n");
    for (size_t i = 0; i < FLK_SETTINGS_COUNT; i++) {
        const flk_setting_row_t *row = &flk_setting_rows[i];
        if ((row->programs & program) == 0) {
            continue;
        }
        const char *value = flk_setting_default(row, program);
        const char *shown = value[0] != '\0' ? value : "(none)";
        fprintf(out, "  %-24s %s", row->name, shown);
        print_unit_and_limits(out, row);
        fprintf(out, "\n      %s\n", row->help);
    }
}

static void print_help(flk_program_t program, const char *summary) {
    const char *name = flk_program_name(program);
    printf("%s - %s\n\n"
           "Usage: %s [--help | --version | --check [--json]]\n\n"
           "  --help     this page\n"
           "  --version  the version\n"
           "  --check    check the settings and print those in effect, secrets masked\n"
           "  --json     print them as one JSON document\n\n",
           name, summary, name);
    flk_settings_print(program, stdout);
    printf("\nSignals: SIGTERM and SIGINT finish what is in hand, then end with 0.\n"
           "Exit codes: 0 ended as asked, 1 failed while starting or running, 2 wrong setting or argument.\n");
}

void flk_settings_print_effective(const flk_settings_t *settings, FILE *out) {
    flk_program_t program = flk_settings_program(settings);
    for (size_t i = 0; i < FLK_SETTINGS_COUNT; i++) {
        const flk_setting_row_t *row = &flk_setting_rows[i];
        if ((row->programs & program) == 0) {
            continue;
        }
        fprintf(out, "%s=", row->name);
        if (row->type == FLK_SETTING_UINT) {
            fprintf(out, "%llu\n", (unsigned long long)flk_settings_uint(settings, (flk_setting_id_t)i));
        } else if (row->type == FLK_SETTING_BOOL) {
            fprintf(out, "%d\n", flk_settings_bool(settings, (flk_setting_id_t)i));
        } else {
            const char *value = flk_settings_str(settings, (flk_setting_id_t)i);
            fprintf(out, "%s\n", is_secret(row) && value[0] != '\0' ? "****" : value);
        }
    }
}

void flk_settings_print_markdown(FILE *out) {
    static const flk_program_t programs[] = {FLK_PROGRAM_GATEWAY, FLK_PROGRAM_BROKER, FLK_PROGRAM_WORKER,
                                             FLK_PROGRAM_AGENT,   FLK_PROGRAM_REPLAY, FLK_PROGRAM_FLK};
    fprintf(out, "| Setting | Programs | Default | Unit, limits | What it does |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < FLK_SETTINGS_COUNT; i++) {
        const flk_setting_row_t *row = &flk_setting_rows[i];
        fprintf(out, "| `%s` | ", row->name);
        const char *separator = "";
        for (size_t p = 0; p < FLK_COUNT_OF(programs); p++) {
            if ((row->programs & programs[p]) != 0) {
                const char *name = flk_program_name(programs[p]);
                fprintf(out, "%s%s", separator, programs[p] == FLK_PROGRAM_FLK ? name : name + strlen("flk-"));
                separator = ", ";
            }
        }
        const char *tick = row->default_value[0] != '\0' ? "`" : "";
        fprintf(out, " | %s%s%s | ", tick, row->default_value, tick);
        const char *limits = row_limits(row);
        fprintf(out, "%s%s", row->unit, row->unit[0] != '\0' && limits[0] != '\0' ? ", " : "");
        for (const char *c = limits; *c != '\0'; c++) {
            fprintf(out, *c == '|' ? "\\|" : "%c", *c);
        }
        fprintf(out, " | %s |\n", row->help);
    }
}

/* Loads the settings and turns the log to them. */
static int load_or_complain(flk_program_t program, flk_settings_t **settings) {
    char errmsg[FLK_ERRMSG_BYTES];
    if (flk_settings_load(program, settings, errmsg) != FLK_OK) {
        fprintf(stderr, "%s: %s\n", flk_program_name(program), errmsg);
        return EXIT_WRONG_SETTING;
    }
    flk_log_level_t level;
    flk_log_format_t format;
    FLK_ASSERT(flk_log_level_parse(flk_settings_str(*settings, FLK_SET_LOG_LEVEL), &level));
    FLK_ASSERT(flk_log_format_parse(flk_settings_str(*settings, FLK_SET_LOG_FORMAT), &format));
    flk_log_init(flk_program_name(program), level, format);
    return -1;
}

/* Called before there are threads: they inherit it. */
static void schedule(const flk_settings_t *settings) {
    const struct sched_param param = {.sched_priority = 0};
    if (strcmp(flk_settings_str(settings, FLK_SET_SCHEDULER), "batch") == 0 &&
        sched_setscheduler(0, SCHED_BATCH, &param) != 0) {
        flk_log(FLK_LOG_WARN, "not_scheduled_as_batch", FLK_S("error", strerror(errno)));
    }
}

int flk_settings_start(flk_program_t program, const char *summary, int argc, char **argv, flk_settings_t **settings) {
    *settings = NULL;
    const char *name = flk_program_name(program);
    if (sodium_init() < 0) {
        fprintf(stderr, "%s: libsodium cannot start\n", name);
        return 1;
    }
    if (argc == 1) {
        int status = load_or_complain(program, settings);
        if (status < 0) {
            schedule(*settings);
            flk_harden(flk_settings_bool(*settings, FLK_SET_DEV));
        }
        return status;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        print_help(program, summary);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("%s %s\n", name, FLK_VERSION);
        return 0;
    }
    bool json = argc == 3 && strcmp(argv[2], "--json") == 0;
    if ((argc == 2 || json) && strcmp(argv[1], "--check") == 0) {
        int status = load_or_complain(program, settings);
        if (status == -1) {
            (json ? flk_settings_print_effective_json : flk_settings_print_effective)(*settings, stdout);
            flk_settings_destroy(settings);
            status = 0;
        }
        return status;
    }
    fprintf(stderr, "%s: '%s' is not an argument; settings come from the environment, see %s --help\n", name,
            argc > 2 ? argv[2] : argv[1], name);
    return EXIT_WRONG_SETTING;
}
