/* SPDX-License-Identifier: MIT */
/* The metrics that every process has: process_* under the names of the Prometheus client libraries, and
 * flk_build_info. Read from /proc at each scrape. */
#ifndef FLK_COMMON_METRICS_PROCESS_H
#define FLK_COMMON_METRICS_PROCESS_H

#include "common/metrics.h"

/* Registers them; at start. */
void flk_metrics_add_process(flk_metrics_t *metrics);

#endif
