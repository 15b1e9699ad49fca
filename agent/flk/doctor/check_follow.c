/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/flk/cluster/daemon.h"
#include "agent/flk/cluster/probe.h"
#include "agent/flk/doctor/checks.h"
#include "common/listen.h"

static const char check[] = "follow";

enum { PATH_BYTES = 4096, LAG_S_NOTED = 60 };

static void check_log(const flk_patient_t *patient, flk_findings_t *findings) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%.4000s/inbox", flk_settings_str(patient->follow, FLK_SET_DATA_DIR));
    if (access(path, R_OK | X_OK) == 0) {
        flk_findings_add(findings, check, FLK_FINDING_OK, "", "the log %.200s can be read", path);
    } else if (access(path, F_OK) == 0) {
        flk_findings_add(findings, check, FLK_FINDING_FAULT, "run flk-follow as the user that flk-gateway has",
                         "the log %.200s cannot be read", path);
    } else {
        flk_findings_add(findings, check, FLK_FINDING_FAULT, "start the gateway, or set FLK_DATA_DIR as it has it",
                         "there is no log %.200s", path);
    }
}

static void check_open(const flk_patient_t *patient, flk_findings_t *findings) {
    const flk_settings_t *settings = patient->follow;
    flk_listen_t listen;
    const char *text = flk_settings_str(settings, FLK_SET_FOLLOW_LISTEN);
    if (flk_listen_parse(text, &listen, NULL) == FLK_OK && !flk_listen_is_loopback(&listen) &&
        flk_settings_str(settings, FLK_SET_METRICS_PASS)[0] == '\0' &&
        !flk_settings_bool(settings, FLK_SET_HTTP_BEHIND_PROXY)) {
        flk_findings_add(findings, check, FLK_FINDING_NOTE,
                         "set METRICS_USER and METRICS_PASS, or FLK_HTTP_BEHIND_PROXY=1 where a proxy asks for them",
                         "the feed is closed: FLK_FOLLOW_LISTEN %.100s is beyond loopback", text);
    }
}

static void check_sinks(const char *page, flk_findings_t *findings) {
    double gaps, lag_s, failures;
    if (flk_probe_metric(page, "flk_follow_gaps_total", NULL, &gaps) && gaps > 0) {
        flk_findings_add(findings, check, FLK_FINDING_NOTE,
                         "raise FLK_FEED_HOLD_BYTES or the retention; its log names the LSNs",
                         "%.0f range(s) of the log were gone before they were read", gaps);
    }
    if (flk_probe_metric(page, "flk_follow_lag_seconds", NULL, &lag_s) && lag_s > LAG_S_NOTED) {
        flk_findings_add(findings, check, FLK_FINDING_NOTE, "its log tells the step that fails",
                         "its sinks are %.0f s behind", lag_s);
    }
    if (flk_probe_metric(page, "flk_follow_failures_total", NULL, &failures) && failures > 0) {
        flk_findings_add(findings, check, FLK_FINDING_NOTE, "its log tells step and cause; it tries again by itself",
                         "%.0f call(s) of its sinks failed", failures);
    }
}

void flk_check_follow(const flk_patient_t *patient, flk_findings_t *findings) {
    char address[FLK_DAEMON_ADDRESS_BYTES] = "";
    flk_probe_t page;
    if (patient->follow == NULL) {
        return;
    }
    if (patient->cluster == NULL) { /* flk up gives its own directory and address */
        check_log(patient, findings);
        check_open(patient, findings);
        (void)!flk_daemon_address(flk_daemon_named(check), address, NULL);
    }
    for (size_t i = 0; patient->cluster != NULL && i < patient->cluster->members_len; i++) {
        const flk_cluster_member_t *member = &patient->cluster->members[i];
        if (strcmp(member->program, check) == 0) {
            snprintf(address, sizeof address, "%s", member->address);
        }
    }
    if (address[0] != '\0' &&
        flk_probe_get(address, "/metrics", flk_settings_str(patient->follow, FLK_SET_METRICS_USER),
                      flk_settings_str(patient->follow, FLK_SET_METRICS_PASS), patient->timeout_ms, &page) == FLK_OK) {
        check_sinks(page.status == 200 ? page.body : "", findings);
        flk_probe_fini(&page);
    }
}
