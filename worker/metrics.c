/* SPDX-License-Identifier: MIT */
#include "worker/metrics.h"

void flk_worker_metrics_register(flk_metrics_t *metrics, flk_worker_metrics_t *out) {
    static const double batch_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};
    const char *verdicts = "flk_worker_verdicts_total", *verdicts_help = "Deliveries answered with a verdict.";
    *out = (flk_worker_metrics_t){
        .verdict_200 = flk_metrics_counter(metrics, verdicts, "status=\"200\"", verdicts_help),
        .verdict_202 = flk_metrics_counter(metrics, verdicts, "status=\"202\"", verdicts_help),
        .verdict_400 = flk_metrics_counter(metrics, verdicts, "status=\"400\"", verdicts_help),
        .verdict_401 = flk_metrics_counter(metrics, verdicts, "status=\"401\"", verdicts_help),
        .duplicates = flk_metrics_counter(metrics, "flk_worker_duplicates_total", NULL,
                                          "Verdicts that another submission was the origin of."),
        .conflicts = flk_metrics_counter(metrics, "flk_dedup_conflicts_total", NULL,
                                         "Duplicates whose signed content differs from the first."),
        .unavailable = flk_metrics_counter(metrics, "flk_worker_unavailable_total", NULL,
                                           "Deliveries given back because a needed part was down."),
        .malformed = flk_metrics_counter(metrics, "flk_worker_malformed_total", NULL,
                                         "Messages that were no frame, or not one for a worker."),
        .unsent = flk_metrics_counter(metrics, "flk_worker_unsent_total", NULL,
                                      "Answers whose broker was gone; it delivers those again."),
        .threads = flk_metrics_gauge(metrics, "flk_worker_threads", NULL, "Verify threads that run."),
        .batch_size = flk_metrics_histogram(metrics, "flk_worker_batch_size", NULL, "Deliveries taken at once.",
                                            batch_bounds, FLK_COUNT_OF(batch_bounds)),
        .verify_seconds = flk_metrics_histogram(metrics, "flk_worker_verify_seconds", NULL,
                                                "Decoding, signatures and verdicts of one batch, without the store.",
                                                flk_latency_bounds, flk_latency_bounds_len),
    };
}
