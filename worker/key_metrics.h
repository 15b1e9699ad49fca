/* SPDX-License-Identifier: MIT */
/* Counters, gauges and log lines about keys and signatures. */
#ifndef FLK_WORKER_KEY_METRICS_H
#define FLK_WORKER_KEY_METRICS_H

#include "common/metrics.h"
#include "common/pcs/keyring.h"
#include "common/pcs/pcs.h"

/* ---- per key: flk_signature_verified_total{key="…"} ---- */

/* Counters by key id. Keys come and go with each reload, series only come: after FLK_KEY_SERIES_MAX ids in the life
 * of the process the others share key="other". Owned by the thread that loads rules. */
typedef struct flk_key_metrics flk_key_metrics_t; /* Opaque. */
enum { FLK_KEY_SERIES_MAX = 64 };

/* Start-up allocation. Caller frees with flk_key_metrics_destroy, after `metrics`. */
flk_key_metrics_t *flk_key_metrics_new(flk_metrics_t *metrics);
void flk_key_metrics_destroy(flk_key_metrics_t **keys);
/* Lives as long as the registry. */
flk_counter_t *flk_key_metrics_of(flk_key_metrics_t *keys, const char *id);
/* Shows whether signatures are verified, how many keys of the ring are active, expired and future, and when the next
 * one ends. */
void flk_key_metrics_show(flk_key_metrics_t *keys, const flk_keyring_t *keyring, int64_t now_s);
/* Counts a reload of the rules. */
void flk_key_metrics_reloaded(flk_key_metrics_t *keys, bool ok);

/* ---- per signature ---- */

typedef struct flk_signature_metrics {
    flk_counter_t *refused[FLK_SIGNATURE_FAULTS]; /* [GOOD] is NULL */
    flk_counter_t *payload;
} flk_signature_metrics_t;

void flk_signature_metrics_register(flk_metrics_t *metrics, flk_signature_metrics_t *out);

/* Counts one signature; one that an expired or future key made is logged too. `verified` is by
 * key of the ring, `pcs_id` raw. Any thread. */
void flk_key_metrics_count(const flk_signature_metrics_t *metrics, const flk_keyring_t *keyring,
                           flk_counter_t *const verified[FLK_KEYS_MAX], const flk_signature_t *signature,
                           const uint8_t pcs_id[FLK_PCS_ID_BYTES]);

#endif
