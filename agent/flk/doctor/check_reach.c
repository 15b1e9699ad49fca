/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "agent/flk/cluster/daemon.h"
#include "agent/flk/cluster/port.h"
#include "agent/flk/cluster/probe.h"
#include "agent/flk/doctor/checks.h"

static const char check[] = "reach";

/* One list of ZeroMQ endpoints that a program connects to. */
typedef struct links {
    const flk_patient_t *patient;
    flk_findings_t *findings;
    const char *program, *setting, *advice;
} links_t;

static void check_link(void *arg, const char *endpoint, size_t index) {
    const links_t *links = arg;
    char errmsg[FLK_ERRMSG_BYTES];
    (void)index;
    flk_err_t err = flk_port_reach(endpoint, links->patient->timeout_ms, errmsg);
    if (err == FLK_OK) {
        flk_findings_add(links->findings, check, FLK_FINDING_OK, "", "%s -> %s %.160s", links->program, links->setting,
                         endpoint);
    } else {
        flk_findings_add(links->findings, check, FLK_FINDING_FAULT, links->advice, "%s cannot reach %s: %s",
                         links->program, links->setting, errmsg);
    }
}

static void check_links(const flk_patient_t *patient, flk_findings_t *findings, const flk_settings_t *settings,
                        const char *program, const char *name, flk_setting_id_t setting, const char *advice) {
    links_t links = {patient, findings, program, name, advice};
    if (settings != NULL) {
        flk_settings_each(flk_settings_str(settings, setting), check_link, &links);
    }
}

/* Whether the page of metrics opens to METRICS_USER and METRICS_PASS. */
static void check_access(const flk_patient_t *patient, flk_findings_t *findings, const flk_settings_t *settings,
                         const char *name, const char *address) {
    flk_probe_t page;
    if (flk_probe_get(address, "/metrics", flk_settings_str(settings, FLK_SET_METRICS_USER),
                      flk_settings_str(settings, FLK_SET_METRICS_PASS), patient->timeout_ms, &page) == FLK_OK &&
        page.status == 401) {
        flk_findings_add(findings, check, FLK_FINDING_FAULT, "set METRICS_USER and METRICS_PASS as it has them",
                         "%s at %.160s refuses METRICS_USER and METRICS_PASS of here", name, address);
    }
    flk_probe_fini(&page);
}

static void check_page(const flk_patient_t *patient, flk_findings_t *findings, const flk_settings_t *settings,
                       const char *name, const char *address) {
    char why[FLK_ERRMSG_BYTES];
    flk_probe_t page;
    if (flk_probe_get(address, "/readyz", "", "", patient->timeout_ms, &page) != FLK_OK) {
        return;
    }
    flk_probe_reason(&page, why);
    if (page.status == 200) {
        flk_findings_add(findings, check, FLK_FINDING_OK, "", "%s at %.160s is ready", name, address);
        check_access(patient, findings, settings, name, address);
    } else if (page.status == 0) {
        flk_findings_add(findings, check, FLK_FINDING_FAULT, "start it, or set its address as it has it",
                         "%s at %.160s does not answer", name, address);
    } else {
        flk_findings_add(findings, check, FLK_FINDING_FAULT, "its log tells more; it becomes ready by itself",
                         "%s at %.160s is not ready: %.100s", name, address, why);
    }
    flk_probe_fini(&page);
}

/* Each process of the program: those of flk up where that runs, else the one whose address the settings have. */
static void check_pages(const flk_patient_t *patient, flk_findings_t *findings, const flk_settings_t *settings,
                        const char *program) {
    char address[FLK_DAEMON_ADDRESS_BYTES];
    if (settings == NULL) {
        return;
    }
    for (size_t i = 0; patient->cluster != NULL && i < patient->cluster->members_len; i++) {
        const flk_cluster_member_t *member = &patient->cluster->members[i];
        if (strcmp(member->program, program) == 0) {
            check_page(patient, findings, settings, member->name, member->address);
        }
    }
    if (patient->cluster == NULL && flk_daemon_address(flk_daemon_named(program), address, NULL) == FLK_OK) {
        check_page(patient, findings, settings, program, address);
    }
}

void flk_check_reach(const flk_patient_t *patient, flk_findings_t *findings) {
    check_pages(patient, findings, patient->broker, "broker");
    check_pages(patient, findings, patient->worker, "worker");
    check_pages(patient, findings, patient->gateway, "gateway");
    check_pages(patient, findings, patient->follow, "follow");
    check_links(patient, findings, patient->gateway, "gateway", "FLK_FRONTENDS", FLK_SET_FRONTENDS,
                "start the broker, or set FLK_FRONTENDS as the brokers have it; see the network's rules");
    check_links(patient, findings, patient->worker, "worker", "FLK_BACKENDS", FLK_SET_BACKENDS,
                "start the broker, or set FLK_BACKENDS as the brokers have it; see the network's rules");
    check_links(patient, findings, patient->agent, "agent", "ENDPOINT", FLK_SET_ENDPOINT,
                "set ENDPOINT to the gateway's HTTP or ZeroMQ door; see the network's rules");
}
