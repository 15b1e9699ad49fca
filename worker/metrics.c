/* SPDX-License-Identifier: MIT */
#include "worker/metrics.h"

const uint32_t flk_worker_statuses[FLK_WORKER_STATUSES] = {200, 202, 400, 401, 413};

void flk_worker_metrics_register(flk_metrics_t *metrics, flk_worker_metrics_t *out) {
    static const double batch_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};
    static const char *const labels[FLK_WORKER_STATUSES] = {"status=\"200\"", "status=\"202\"", "status=\"400\"",
                                                            "status=\"401\"", "status=\"413\""};
    *out = (flk_worker_metrics_t){
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
    flk_signature_metrics_register(metrics, &out->keys);
    for (size_t i = 0; i < FLK_WORKER_STATUSES; i++) {
        out->verdicts[i] =
            flk_metrics_counter(metrics, "flk_worker_verdicts_total", labels[i], "Deliveries answered with a verdict.");
    }
}
