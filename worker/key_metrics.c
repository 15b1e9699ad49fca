/* SPDX-License-Identifier: MIT */
#include "worker/key_metrics.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

enum { LABEL_BYTES = FLK_KEY_ID_BYTES + sizeof "key=\"\"" };

struct flk_key_metrics {
    flk_metrics_t *metrics;
    flk_gauge_t *states[FLK_KEY_STATES], *next_end, *enabled;
    flk_counter_t *reloads_ok, *reloads_refused;
    size_t len;
    struct {
        char label[LABEL_BYTES]; /* the registry borrows it */
        flk_counter_t *counter;
    } series[FLK_KEY_SERIES_MAX + 1];
};

flk_key_metrics_t *flk_key_metrics_new(flk_metrics_t *metrics) {
    static const char *const states[FLK_KEY_STATES] = {[FLK_KEY_ACTIVE] = "state=\"active\"",
                                                       [FLK_KEY_EXPIRED] = "state=\"expired\"",
                                                       [FLK_KEY_FUTURE] = "state=\"future\""};
    flk_key_metrics_t *keys = flk_start_alloc(sizeof *keys);
    keys->metrics = metrics;
    for (size_t i = 0; i < FLK_KEY_STATES; i++) {
        keys->states[i] = flk_metrics_gauge(metrics, "flk_keyring_keys", states[i], "Keys that verify, by state.");
    }
    keys->next_end = flk_metrics_gauge(metrics, "flk_keyring_next_end_timestamp_seconds", NULL,
                                       "When the first of the active keys expires, as Unix time; 0 when none does.");
    keys->enabled = flk_metrics_gauge(metrics, "flk_signing_enabled", NULL,
                                      "Whether signatures are verified (1), or anybody's PCS is believed (0).");
    static const char reloads[] = "flk_rules_reloads_total";
    static const char help[] = "Reloads of keys and policy.";
    keys->reloads_ok = flk_metrics_counter(metrics, reloads, "result=\"ok\"", help);
    keys->reloads_refused = flk_metrics_counter(metrics, reloads, "result=\"refused\"", help);
    return keys;
}

void flk_key_metrics_destroy(flk_key_metrics_t **keys) {
    free(*keys);
    *keys = NULL;
}

flk_counter_t *flk_key_metrics_of(flk_key_metrics_t *keys, const char *id) {
    char label[LABEL_BYTES];
    bool full = keys->len >= FLK_KEY_SERIES_MAX;
    snprintf(label, sizeof label, "key=\"%s\"", id); /* an id needs no escapes */
    for (size_t i = 0; i < keys->len; i++) {
        if (strcmp(keys->series[i].label, label) == 0) {
            return keys->series[i].counter;
        }
    }
    size_t place = full ? FLK_KEY_SERIES_MAX : keys->len++;
    snprintf(keys->series[place].label, LABEL_BYTES, "%s", full ? "key=\"other\"" : label);
    keys->series[place].counter =
        flk_metrics_counter(keys->metrics, "flk_signature_verified_total", keys->series[place].label,
                            "Signatures by the key that made them.");
    return keys->series[place].counter;
}

void flk_key_metrics_show(flk_key_metrics_t *keys, const flk_keyring_t *keyring, int64_t now_s) {
    int64_t counts[FLK_KEY_STATES] = {0};
    for (size_t i = 0; i < flk_keyring_len(keyring); i++) {
        counts[flk_keyring_state(keyring, i, now_s)]++;
    }
    for (size_t i = 0; i < FLK_KEY_STATES; i++) {
        flk_gauge_set(keys->states[i], counts[i]);
    }
    flk_gauge_set(keys->enabled, flk_keyring_alg(keyring) != FLK_SIGN_NONE);
    flk_gauge_set(keys->next_end, flk_keyring_next_end(keyring, now_s));
}

void flk_key_metrics_reloaded(flk_key_metrics_t *keys, bool ok) {
    flk_counter_add(ok ? keys->reloads_ok : keys->reloads_refused, 1);
}

void flk_signature_metrics_register(flk_metrics_t *metrics, flk_signature_metrics_t *out) {
    static const char *const reasons[FLK_SIGNATURE_FAULTS] = {
        [FLK_SIGNATURE_MISSING] = "reason=\"missing\"",
        [FLK_SIGNATURE_NOT_BASE64] = "reason=\"not_base64\"",
        [FLK_SIGNATURE_WRONG] = "reason=\"wrong\"",
        [FLK_SIGNATURE_PAYLOAD] = "reason=\"payload\"",
        [FLK_SIGNATURE_KEY_EXPIRED] = "reason=\"key_expired\"",
        [FLK_SIGNATURE_KEY_FUTURE] = "reason=\"key_not_yet\"",
    };
    out->refused[FLK_SIGNATURE_GOOD] = NULL;
    for (size_t i = FLK_SIGNATURE_GOOD + 1; i < FLK_SIGNATURE_FAULTS; i++) {
        out->refused[i] =
            flk_metrics_counter(metrics, "flk_signature_refused_total", reasons[i], "PCS refused for their signature.");
    }
    out->payload = flk_metrics_counter(metrics, "flk_signature_payload_total", NULL,
                                       "Signatures over the canonical bytes themselves (PCS_SIGN_ACCEPT=payload).");
}

static void log_refused(const char *key, const char *reason, const uint8_t pcs_id[FLK_PCS_ID_BYTES]) {
    char hex[2 * FLK_PCS_ID_BYTES + 1];
    sodium_bin2hex(hex, sizeof hex, pcs_id, FLK_PCS_ID_BYTES);
    flk_log(FLK_LOG_WARN, "signature_refused", FLK_S("reason", reason), FLK_S("key", key), FLK_S("pcs_id", hex));
}

void flk_key_metrics_count(const flk_signature_metrics_t *metrics, const flk_keyring_t *keyring,
                           flk_counter_t *const verified[FLK_KEYS_MAX], const flk_signature_t *signature,
                           const uint8_t pcs_id[FLK_PCS_ID_BYTES]) {
    bool known = signature->key < FLK_KEYS_MAX;
    if (signature->fault != FLK_SIGNATURE_GOOD) {
        flk_counter_add(metrics->refused[signature->fault], 1);
        if (known) {
            log_refused(flk_keyring_id(keyring, signature->key), flk_signature_text(signature->fault), pcs_id);
        }
        return;
    }
    if (known && verified[signature->key] != NULL) {
        flk_counter_add(verified[signature->key], 1);
    }
    if (signature->payload) {
        flk_counter_add(metrics->payload, 1);
    }
}
