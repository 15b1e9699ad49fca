/* SPDX-License-Identifier: MIT */
#include "gateway/admission.h"

enum { RETRY_MS = 1000 }; /* after a refusal whose end nobody can tell */

void flk_admission_observe(flk_gateway_t *gateway) {
    flk_counter_add(gateway->metrics.ingest, 1);
}

void flk_admission_refuse(flk_gateway_t *gateway, uint16_t status, const char *why, uint32_t retry_ms,
                          flk_answer_t *answer) {
    flk_counter_add(status == 429 ? gateway->metrics.throttled : gateway->metrics.refused, 1);
    flk_answer_init_problem(answer, status, "", why, retry_ms);
}

void flk_admission_release(flk_gateway_t *gateway, size_t body_bytes) {
    atomic_fetch_sub_explicit(&gateway->admitted, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&gateway->admitted_bytes, body_bytes, memory_order_relaxed);
}

/* Bytes may go over their limit by the last body that came in. */
static bool take_place(flk_gateway_t *gateway, size_t body_bytes) {
    size_t count = atomic_fetch_add_explicit(&gateway->admitted, 1, memory_order_relaxed);
    size_t bytes = atomic_fetch_add_explicit(&gateway->admitted_bytes, body_bytes, memory_order_relaxed);
    if (count < gateway->inflight_max && bytes < gateway->inflight_bytes_max) {
        return true;
    }
    flk_admission_release(gateway, body_bytes);
    return false;
}

flk_err_t flk_admission_admit(flk_gateway_t *gateway, size_t body_bytes, flk_answer_t *answer) {
    uint32_t retry_ms;
    const char *why;
    flk_admission_observe(gateway);
    if (atomic_load_explicit(&gateway->draining, memory_order_relaxed)) {
        why = "the gateway is shutting down; send again, another one may answer";
    } else if (!flk_throttle_take(&gateway->throttle, flk_mono_ns(), &retry_ms)) {
        flk_admission_refuse(gateway, 429, "more submissions than TOKEN_RATE allows; send again later", retry_ms,
                             answer);
        return FLK_E_FULL;
    } else if (flk_wal_fault(gateway->inbox) == FLK_E_NO_SPACE) {
        why = "the disk of the inbox log is full; nothing was accepted";
    } else if (!flk_wal_healthy(gateway->inbox)) {
        why = "the inbox log cannot make records durable now; nothing was accepted";
    } else if (!take_place(gateway, body_bytes)) {
        why = "as many submissions are in flight as FLK_INFLIGHT_MAX or FLK_INFLIGHT_BYTES_MAX allows";
    } else {
        atomic_fetch_add_explicit(&gateway->awaited, 1, memory_order_relaxed);
        return FLK_OK;
    }
    flk_admission_refuse(gateway, 503, why, RETRY_MS, answer);
    return FLK_E_UNAVAILABLE;
}

void flk_admission_leave(flk_gateway_t *gateway, size_t body_bytes) {
    flk_admission_release(gateway, body_bytes);
    atomic_fetch_sub_explicit(&gateway->awaited, 1, memory_order_relaxed);
}
