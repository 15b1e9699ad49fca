/* SPDX-License-Identifier: MIT */
#include "worker/policy_info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABELS_BYTES = FLK_POLICY_VERSION_BYTES + FLK_POLICY_DIGEST_HEX + sizeof "version=\"\",digest=\"\"" };

struct flk_policy_info {
    flk_metrics_t *metrics;
    size_t len;
    struct {
        char labels[LABELS_BYTES]; /* the registry borrows them */
        flk_gauge_t *gauge;
    } series[FLK_POLICY_SERIES_MAX];
};

flk_policy_info_t *flk_policy_info_new(flk_metrics_t *metrics) {
    flk_policy_info_t *info = flk_start_alloc(sizeof *info);
    info->metrics = metrics;
    return info;
}

void flk_policy_info_destroy(flk_policy_info_t **info) {
    free(*info);
    *info = NULL;
}

/* A policy beyond the last series has none. */
static void add_series(flk_policy_info_t *info, const char *labels) {
    if (info->len == FLK_POLICY_SERIES_MAX) {
        return;
    }
    size_t place = info->len++;
    snprintf(info->series[place].labels, LABELS_BYTES, "%s", labels);
    info->series[place].gauge = flk_metrics_gauge(info->metrics, "flk_policy_info", info->series[place].labels,
                                                  "1 for the policy that holds, 0 for those of before.");
}

void flk_policy_info_show(flk_policy_info_t *info, const flk_policy_t *policy) {
    char labels[LABELS_BYTES], digest[FLK_POLICY_DIGEST_HEX + 1];
    bool known = false;
    flk_policy_digest(policy, digest);
    snprintf(labels, sizeof labels, "version=\"%s\",digest=\"%s\"", policy->version,
             digest); /* neither needs escapes */
    for (size_t i = 0; i < info->len; i++) {
        known = known || strcmp(info->series[i].labels, labels) == 0;
    }
    if (!known) {
        add_series(info, labels);
    }
    for (size_t i = 0; i < info->len; i++) {
        flk_gauge_set(info->series[i].gauge, strcmp(info->series[i].labels, labels) == 0);
    }
}
