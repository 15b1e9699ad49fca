/* SPDX-License-Identifier: MIT */
/* A keyring file: it is refused with one line that never quotes a key, or each of its keys has an id and a state, and a
 * PCS that none of them signed is refused. */
#include "common/pcs/key_internal.h"
#include "common/pcs/keyring_load.h"
#include "tests/fuzz/fuzz.h"

static void check(const flk_keyring_t *keyring) {
    static const int64_t times[] = {0, 1767225600, INT64_MAX};
    flk_pcs_t pcs;
    flk_pcs_init(&pcs);
    snprintf(pcs.sig, sizeof pcs.sig, "%s", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    FLK_ASSERT(flk_keyring_len(keyring) <= FLK_KEYS_MAX);
    for (size_t t = 0; t < FLK_COUNT_OF(times); t++) {
        for (size_t key = 0; key < flk_keyring_len(keyring); key++) {
            fuzz_check_text(flk_keyring_id(keyring, key));
            FLK_ASSERT(flk_keyring_state(keyring, key, times[t]) < FLK_KEY_STATES);
        }
        (void)flk_keyring_next_end(keyring, times[t]);
        uint8_t digest[FLK_DIGEST_BYTES];
        flk_signature_t signature;
        flk_err_t err = flk_keyring_verify(keyring, &pcs, times[t], digest, &signature);
        FLK_ASSERT(err == FLK_E_SIGNATURE || flk_keyring_alg(keyring) == FLK_SIGN_NONE);
        fuzz_check_text(flk_signature_text(signature.fault));
    }
    flk_pcs_fini(&pcs);
}

static void check_refusal(flk_err_t err, const char *errmsg) {
    FLK_ASSERT(err == FLK_E_CONFIG && errmsg[0] != '\0' && strchr(errmsg, '\n') == NULL);
}

/* As a program does it: a file, and secret memory, whose guard pages cost the time. */
static void from_file(const uint8_t *data, size_t data_bytes) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_keyring_options_t options = {.alg = FLK_SIGN_HMAC, .file = fuzz_file(data, data_bytes)};
    flk_keyring_t *keyring = NULL;
    flk_err_t err = flk_keyring_new(&options, &keyring, errmsg);
    if (err != FLK_OK) {
        check_refusal(err, errmsg);
        return;
    }
    check(keyring);
    flk_keyring_destroy(&keyring);
}

static void from_text(const uint8_t *data, size_t data_bytes) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_keyring_t *keyring = calloc(1, sizeof *keyring);
    FLK_ASSERT(keyring != NULL);
    keyring->alg = FLK_SIGN_HMAC;
    flk_err_t err = flk_keyring_add_text(keyring, (const char *)data, data_bytes, 0600, false, errmsg);
    if (err == FLK_OK) {
        check(keyring);
    } else {
        check_refusal(err, errmsg);
    }
    free(keyring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes) {
    from_text(data, data_bytes);
    if (fuzz_turn(data, data_bytes, 32)) {
        from_file(data, data_bytes);
    }
    return 0;
}
