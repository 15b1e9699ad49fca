/* SPDX-License-Identifier: MIT */
/* Clock and disk of this host. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include "agent/flk/cluster/daemon.h"
#include "agent/flk/cluster/probe.h"
#include "agent/flk/doctor/checks.h"
#include "agent/flk/style.h"
#include "common/io.h"

enum { SKEW_S_MAX = 5, SYNCS = 15, PAGE_BYTES = 4096, SLOW_SYNC_US = 20000, LOW_SPACE_TIMES = 10 };

/* ---- clock ---- */

static void check_gateway_clock(const flk_patient_t *patient, flk_findings_t *findings) {
    char address[FLK_DAEMON_ADDRESS_BYTES], errmsg[FLK_ERRMSG_BYTES];
    flk_probe_t page;
    if (patient->gateway == NULL || flk_daemon_address(&flk_daemons[0], address, errmsg) != FLK_OK ||
        flk_probe_get(address, "/healthz", "", "", patient->timeout_ms, &page) != FLK_OK) {
        return;
    }
    long long skew_s = (long long)(flk_wall_ms() / 1000) - page.date_s;
    bool far = skew_s > SKEW_S_MAX || skew_s < -SKEW_S_MAX;
    if (page.date_s >= 0) {
        flk_findings_add(findings, "clock", far ? FLK_FINDING_NOTE : FLK_FINDING_OK,
                         far ? "let one time service set both; only times in logs and audits depend on it" : "",
                         "%lld s from the gateway's", skew_s);
    }
    flk_probe_fini(&page);
}

void flk_check_clock(const flk_patient_t *patient, flk_findings_t *findings) {
    struct timex state = {0};
    bool synced = adjtimex(&state) != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
    flk_findings_add(findings, "clock", synced ? FLK_FINDING_OK : FLK_FINDING_NOTE,
                     synced ? "" : "run chrony or systemd-timesyncd on the host", "%s",
                     synced ? "set by a time service" : "the kernel does not know of a time service");
    check_gateway_clock(patient, findings);
}

/* ---- disk ---- */

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* How long each of SYNCS small durable writes took, sorted. */
static flk_err_t time_syncs(const char *dir, uint64_t us[SYNCS], char *errmsg) {
    static char page[PAGE_BYTES];
    char path[4096];
    int fd;
    snprintf(path, sizeof path, "%.4000s/.doctor-%016llx", dir, (unsigned long long)flk_random_u64());
    flk_err_t err = flk_io_open(path, O_CREAT | O_EXCL | O_WRONLY, &fd, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    for (size_t i = 0; i < SYNCS && err == FLK_OK; i++) {
        struct iovec part = {page, sizeof page};
        uint64_t start_ns = flk_mono_ns();
        err = flk_io_pwritev(fd, path, &part, 1, i * sizeof page, errmsg);
        err = err == FLK_OK ? flk_io_sync(fd, path, errmsg) : err;
        us[i] = (flk_mono_ns() - start_ns) / 1000;
    }
    flk_err_t close_err = flk_io_close(fd, path, err == FLK_OK ? errmsg : NULL);
    flk_err_t unlink_err = flk_io_unlink(path, NULL);
    qsort(us, SYNCS, sizeof us[0], by_value);
    return err != FLK_OK ? err : close_err != FLK_OK ? close_err : unlink_err;
}

static void check_syncs(const char *dir, flk_findings_t *findings) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    uint64_t us[SYNCS] = {0};
    if (time_syncs(dir, us, errmsg) != FLK_OK) {
        flk_findings_add(findings, "disk", FLK_FINDING_FAULT, "let the user of flk own the directory", "%s", errmsg);
        return;
    }
    uint64_t median_us = us[SYNCS / 2];
    bool slow = median_us > SLOW_SYNC_US;
    flk_findings_add(findings, "disk", slow ? FLK_FINDING_NOTE : FLK_FINDING_OK,
                     slow ? "put it on a faster disk: every submission waits for a sync of the log" : "",
                     "%.160s makes a write durable in %.2f ms (the slowest of %d in %.2f ms)", dir,
                     (double)median_us / 1000, SYNCS, (double)us[SYNCS - 1] / 1000);
}

static void check_space(const char *dir, uint64_t low_water, flk_findings_t *findings) {
    char errmsg[FLK_ERRMSG_BYTES];
    uint64_t bytes;
    if (flk_io_free_bytes(dir, &bytes, errmsg) != FLK_OK) {
        flk_findings_add(findings, "disk", FLK_FINDING_FAULT, "see whether the directory is still mounted", "%s",
                         errmsg);
        return;
    }
    char free_text[FLK_GROUPED_BYTES], low_text[FLK_GROUPED_BYTES];
    bool none = bytes < low_water, little = bytes / LOW_SPACE_TIMES < low_water;
    flk_findings_add(findings, "disk",
                     none     ? FLK_FINDING_FAULT
                     : little ? FLK_FINDING_NOTE
                              : FLK_FINDING_OK,
                     none || little ? "give the log more room, or lower FLK_WAL_RETENTION_S or FLK_WAL_RETAINED_BYTES"
                                    : "",
                     "%.160s has %s free; below %s (FLK_WAL_LOW_WATER_BYTES) settled segments go, then work is refused",
                     dir, flk_style_bytes((double)bytes, free_text), flk_style_bytes((double)low_water, low_text));
}

void flk_check_disk(const flk_patient_t *patient, flk_findings_t *findings) {
    const flk_settings_t *settings = patient->gateway != NULL ? patient->gateway
                                     : patient->agent != NULL ? patient->agent
                                                              : patient->worker;
    if (settings == NULL) {
        return;
    }
    const char *dir = flk_settings_str(settings, FLK_SET_DATA_DIR);
    struct stat status;
    if (stat(dir, &status) != 0) {
        flk_findings_add(findings, "disk", FLK_FINDING_NOTE, "nothing, if no program ran here yet: it makes it",
                         "FLK_DATA_DIR %.200s is not there", dir);
        return;
    }
    check_space(dir, settings == patient->worker ? 0 : flk_settings_uint(settings, FLK_SET_WAL_LOW_WATER_BYTES),
                findings);
    check_syncs(dir, findings);
}
