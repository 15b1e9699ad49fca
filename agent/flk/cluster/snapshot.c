/* SPDX-License-Identifier: MIT */
#include "agent/flk/cluster/snapshot.h"

#include "agent/flk/cluster/probe.h"

enum { PAGE_MS_MAX = 1000 };

const char *flk_snapshot_metric_name(flk_snapshot_metric_t metric) {
    static const char *const names[] = {
#define FLK_SNAPSHOT_NAME(id, name) name,
        FLK_SNAPSHOT_METRICS(FLK_SNAPSHOT_NAME)
#undef FLK_SNAPSHOT_NAME
    };
    return names[metric];
}

const char *flk_member_state_name(flk_member_state_t state) {
    static const char *const names[] = {"down", "not ready", "no access", "ready"};
    return names[state];
}

static void take_ready(const char *address, flk_member_snapshot_t *snapshot) {
    flk_probe_t page;
    if (flk_probe_get(address, "/readyz", "", "", PAGE_MS_MAX, &page) == FLK_OK && page.status != 0) {
        snapshot->state = page.status == 200 ? FLK_MEMBER_READY : FLK_MEMBER_NOT_READY;
        flk_probe_reason(&page, snapshot->why);
    }
    flk_probe_fini(&page);
}

static void take_metrics(const char *address, const char *user, const char *pass, flk_member_snapshot_t *snapshot) {
    flk_probe_t page;
    if (flk_probe_get(address, "/metrics", user, pass, PAGE_MS_MAX, &page) == FLK_OK) {
        snapshot->taken_ns = flk_mono_ns();
        for (unsigned i = 0; i < FLK_SNAPSHOT_LEN && page.status == 200; i++) {
            const char *name = flk_snapshot_metric_name((flk_snapshot_metric_t)i);
            snapshot->has[i] = flk_probe_metric(page.body, name, NULL, &snapshot->value[i]);
        }
        if (page.status == 401 && snapshot->state == FLK_MEMBER_READY) {
            snapshot->state = FLK_MEMBER_LOCKED;
        }
    }
    flk_probe_fini(&page);
}

void flk_snapshot_take(const flk_cluster_member_t *member, const char *user, const char *pass,
                       flk_member_snapshot_t *snapshot) {
    *snapshot = (flk_member_snapshot_t){.state = FLK_MEMBER_DOWN};
    if (member->pid == 0) {
        return; /* waits to be started again; its port may be somebody else's by now */
    }
    take_ready(member->address, snapshot);
    if (snapshot->state != FLK_MEMBER_DOWN) {
        take_metrics(member->address, user, pass, snapshot);
    }
}

double flk_snapshot_rate(const flk_member_snapshot_t *before, const flk_member_snapshot_t *after,
                         flk_snapshot_metric_t metric) {
    bool usable = before->has[metric] && after->has[metric] && after->taken_ns > before->taken_ns;
    double rise = after->value[metric] - before->value[metric];
    return usable && rise > 0 ? rise / ((double)(after->taken_ns - before->taken_ns) * 1e-9) : 0;
}
