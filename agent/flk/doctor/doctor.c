/* SPDX-License-Identifier: MIT */
/* flk doctor: load the settings of the programs asked for -> check keys, CURVE, reach, clock, disk, store -> tell the
 * faults and their remedies. A program whose settings are wrong is left out of the other checks. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/flk/command.h"
#include "agent/flk/doctor/checks.h"
#include "agent/flk/members.h"
#include "agent/flk/unit.h"
#include "common/log.h"
#include "common/program/options.h"

enum { TIMEOUT_MS = 2000 };

typedef struct doctor {
    bool json;
    bool is_unnamed;   /* all that there are */
    unsigned programs; /* flk_program_t, or-ed */
} doctor_t;

typedef struct subject {
    const char *name;
    flk_program_t program;
} subject_t;

static const subject_t subjects[] = {
    {"gateway", FLK_PROGRAM_GATEWAY}, {"broker", FLK_PROGRAM_BROKER}, {"worker", FLK_PROGRAM_WORKER},
    {"agent", FLK_PROGRAM_AGENT},     {"follow", FLK_PROGRAM_FOLLOW},
};

/* id, name, argument (NULL: none), limits, default, help */
#define OPTIONS(X) X(JSON, "json", NULL, "", "", "one JSON document")

enum option_id { OPTIONS(FLK_OPTION_ID) };
static const flk_option_t rows[] = {OPTIONS(FLK_OPTION_ROW)};
FLK_COMMAND_LINE("flk doctor");

static void print_help(void) {
    printf("Usage: flk doctor [OPTION...] [gateway|broker|worker|agent|follow]...\n\n"
           "Looks at the needs of the named programs in this environment: settings, keys, CURVE\n"
           "handshakes with their servers, addresses that answer, clock, disk and store; and\n"
           "tells each fault with its remedy. Without a name: all, or the one that --unit\n"
           "runs. Give it the environment that the programs have: --unit takes that of a unit\n"
           "of this host. Beside flk up it asks every process of its cluster.\n\n");
    flk_options_print(&command_line, 0, stdout);
    printf("\nExit codes: 0 no faults (there may be notes), 1 faults, 2 wrong argument.\n");
}

static bool take_option(void *arg, size_t row, char *value) {
    doctor_t *doctor = arg;
    (void)value;
    return row == OPTION_JSON ? (doctor->json = true) : false;
}

/* False: there is no such program. */
static bool add_subject(doctor_t *doctor, const char *name) {
    for (size_t i = 0; i < FLK_COUNT_OF(subjects); i++) {
        if (strcmp(subjects[i].name, name) == 0) {
            doctor->programs |= subjects[i].program;
            return true;
        }
    }
    return false;
}

/* -1 to go on, or the exit status. */
static int parse(int argc, char **argv, doctor_t *doctor) {
    char **rest;
    uint64_t given;
    int status = flk_options_parse(&command_line, argc, argv, doctor, &given, &rest);
    if (status >= 0) {
        return status;
    }
    char unit[32];
    snprintf(unit, sizeof unit, "%s", flk_unit_program());
    char *only[] = {unit, NULL};
    for (char **name = rest[0] == NULL && unit[0] != '\0' ? only : rest; *name != NULL; name++) {
        if (!add_subject(doctor, *name)) {
            return flk_options_wrong(&command_line, "'%s' is not gateway, broker, worker, agent or follow", *name);
        }
    }
    doctor->is_unnamed = doctor->programs == 0;
    doctor->programs = doctor->is_unnamed ? ~0u : doctor->programs;
    return -1;
}

static flk_settings_t *load(const subject_t *subject, const doctor_t *doctor, flk_findings_t *findings) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_settings_t *settings = NULL;
    if ((doctor->programs & subject->program) == 0) {
        return NULL;
    }
    if (flk_settings_load(subject->program, &settings, errmsg) != FLK_OK) {
        flk_findings_add(findings, "settings", FLK_FINDING_FAULT,
                         "set it right; --help of the program tells the limits", "%s: %s", subject->name, errmsg);
        return NULL;
    }
    flk_findings_add(findings, "settings", FLK_FINDING_OK, "", "%s", subject->name);
    return settings;
}

static void examine(doctor_t *doctor, flk_findings_t *findings) {
    flk_settings_t *settings[FLK_COUNT_OF(subjects)];
    flk_cluster_view_t *cluster = flk_start_alloc(sizeof *cluster);
    bool local = flk_unit_program()[0] == '\0' && flk_members_local(cluster);
    if (doctor->is_unnamed && !local) {
        doctor->programs &= ~(unsigned)FLK_PROGRAM_FOLLOW; /* a cluster does without it */
    }
    for (size_t i = 0; i < FLK_COUNT_OF(subjects); i++) {
        settings[i] = load(&subjects[i], doctor, findings);
    }
    flk_patient_t patient = {
        settings[0], settings[1], settings[2], settings[3], settings[4], local ? cluster : NULL, TIMEOUT_MS,
    };
    flk_check_keys(&patient, findings);
    flk_check_curve(&patient, findings);
    flk_check_clock(&patient, findings);
    flk_check_disk(&patient, findings);
    flk_check_store(&patient, findings);
    flk_check_reach(&patient, findings);
    flk_check_follow(&patient, findings);
    free(cluster);
    for (size_t i = 0; i < FLK_COUNT_OF(subjects); i++) {
        flk_settings_destroy(&settings[i]);
    }
}

int flk_command_doctor(int argc, char **argv) {
    doctor_t doctor = {0};
    int status = parse(argc, argv, &doctor);
    if (status >= 0) {
        return status;
    }
    flk_findings_t findings = {0};
    flk_log_init("flk", FLK_LOG_ERROR, FLK_LOG_TEXT);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    examine(&doctor, &findings);
    flk_findings_print(&findings, doctor.json);
    status = flk_findings_count(&findings, FLK_FINDING_FAULT) == 0 ? FLK_EXIT_OK : FLK_EXIT_FAILED;
    flk_findings_fini(&findings);
    curl_global_cleanup();
    return status;
}
