/* SPDX-License-Identifier: MIT */
/* The checks of flk doctor, one family a file. Each adds its findings, the good with the bad. */
#ifndef FLK_AGENT_FLK_DOCTOR_CHECKS_H
#define FLK_AGENT_FLK_DOCTOR_CHECKS_H

#include "agent/flk/cluster/cluster_file.h"
#include "agent/flk/doctor/findings.h"
#include "common/program/settings.h"

/* The settings of the programs that the doctor looks at; NULL: not asked for, or wrong. */
typedef struct flk_patient {
    const flk_settings_t *gateway, *broker, *worker, *agent, *follow;
    const flk_cluster_view_t *cluster; /* that flk up runs here; NULL: none */
    unsigned timeout_ms;               /* of each connection */
} flk_patient_t;

/* Whether the agent signs so that the worker believes it; whether secrets in files are for their owner alone; the
 * policy. */
void flk_check_keys(const flk_patient_t *patient, flk_findings_t *findings);

/* The CURVE keys of ZeroMQ links: there, for their owner alone, a fitting pair, and a handshake with each server; or
 * whether links may go without. Blocks up to timeout_ms for each server and key of it. */
void flk_check_curve(const flk_patient_t *patient, flk_findings_t *findings);

/* Pages and doors that answer, peers that can be connected to. Blocks up to timeout_ms for each. */
void flk_check_reach(const flk_patient_t *patient, flk_findings_t *findings);

/* Whether the kernel thinks the clock right, and how far the gateway's is from it. */
void flk_check_clock(const flk_patient_t *patient, flk_findings_t *findings);

/* Space in the data directory, and how long it takes to make a write durable there. Writes a few pages and removes
 * them. */
void flk_check_disk(const flk_patient_t *patient, flk_findings_t *findings);

/* Asks the store by way of `flk-worker store check`. */
void flk_check_store(const flk_patient_t *patient, flk_findings_t *findings);

/* The log that flk-follow reads, whether its feed is open to readers, and how its sinks do. Blocks as
 * flk_check_reach. */
void flk_check_follow(const flk_patient_t *patient, flk_findings_t *findings);

#endif
