/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/flk/doctor/checks.h"
#include "agent/flk/specimen.h"
#include "common/pcs/keyring_load.h"
#include "common/pcs/policy/load.h"
#include "common/secret.h"

static const char check[] = "keys";

static flk_sign_alg_t alg_of(const flk_settings_t *settings) {
    flk_sign_alg_t alg;
    FLK_ASSERT(flk_sign_alg_parse(flk_settings_str(settings, FLK_SET_SIGN_ALG), &alg));
    return alg;
}

static flk_keyring_t *load_keyring(const flk_settings_t *worker, flk_findings_t *findings) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_keyring_t *keyring = NULL;
    if (flk_keyring_load(worker, &keyring, errmsg) != FLK_OK) {
        flk_findings_add(findings, check, FLK_FINDING_FAULT, "give the worker the keys that its agents sign with",
                         "worker: %s", errmsg);
    }
    return keyring;
}

static flk_signer_t *load_signer(const flk_settings_t *agent, flk_findings_t *findings) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_signer_t *signer = NULL;
    if (flk_signer_new(alg_of(agent), flk_settings_str(agent, FLK_SET_HMAC_KEY),
                       flk_settings_str(agent, FLK_SET_ED25519_SECRET), &signer, errmsg) != FLK_OK) {
        flk_findings_add(findings, check, FLK_FINDING_FAULT, "give the agent its key", "agent: %s", errmsg);
    }
    return signer;
}

static void check_agreement(const flk_signer_t *signer, const flk_keyring_t *keyring, flk_findings_t *findings) {
    flk_pcs_t pcs;
    uint8_t digest[FLK_DIGEST_BYTES];
    flk_signature_t signature;
    flk_specimen_fill(&pcs, 0, 0);
    flk_signer_sign(signer, &pcs);
    if (flk_keyring_verify(keyring, &pcs, flk_wall_ms() / 1000, digest, &signature) == FLK_OK) {
        flk_findings_add(findings, check, FLK_FINDING_OK, "", "the worker verifies the agent's signatures (%s)",
                         flk_sign_alg_name(flk_keyring_alg(keyring)));
    } else {
        flk_findings_add(findings, check, FLK_FINDING_FAULT,
                         "give the agent a key that the worker has in PCS_HMAC_KEY, PCS_HMAC_KEYS, PCS_ED25519_PUB_B64 "
                         "or its keyring",
                         "the worker would answer the agent 401: the signature %s",
                         flk_signature_text(signature.fault));
    }
    flk_pcs_fini(&pcs);
}

static void check_unsigned(const flk_settings_t *worker, flk_findings_t *findings) {
    if (alg_of(worker) == FLK_SIGN_NONE) {
        flk_findings_add(findings, check, FLK_FINDING_NOTE, "set PCS_SIGN_ALG to hmac or ed25519",
                         "PCS_SIGN_ALG is none: the worker believes anybody's PCS");
    }
}

static void check_strength(const char *program, const flk_settings_t *settings, flk_findings_t *findings) {
    size_t bytes = strlen(flk_settings_str(settings, FLK_SET_HMAC_KEY));
    if (alg_of(settings) == FLK_SIGN_HMAC && bytes > 0 && bytes < FLK_SECRET_KEY_BYTES_MIN) {
        flk_findings_add(findings, check, FLK_FINDING_NOTE, "take 32 random bytes: openssl rand -hex 32",
                         "%s: PCS_HMAC_KEY has only %zu bytes: it can be guessed", program, bytes);
    }
}

/* A blank that an editor, or a file of another system, leaves at the end of a line is part of a secret: the other side
 * hardly has it. */
static void check_blanks(const char *program, const flk_settings_t *settings, flk_findings_t *findings) {
    const char *name;
    for (size_t i = 0; (name = flk_settings_blank_secret(settings, i)) != NULL; i++) {
        flk_findings_add(findings, check, FLK_FINDING_NOTE,
                         "write it without that, as printf does and an editor may not",
                         "%s: %s begins or ends in a blank or line end, which counts", program, name);
    }
}

/* Secrets in files are there for one user or group; the world must not read them. */
static void check_files(flk_findings_t *findings) {
    static const char *const secrets[] = {
#define SECRET_NAME_STR(name)
#define SECRET_NAME_UINT(name)
#define SECRET_NAME_BOOL(name)
#define SECRET_NAME_ENUM(name)
#define SECRET_NAME_SECRET(name)         name "_FILE",
#define SECRET_NAME(id, name, type, ...) SECRET_NAME_##type(name)
        FLK_SETTINGS(SECRET_NAME)};
    for (size_t i = 0; i < FLK_COUNT_OF(secrets); i++) {
        const char *path = getenv(secrets[i]);
        struct stat status;
        if (path == NULL || path[0] == '\0' || stat(path, &status) != 0) {
            continue; /* a file that is not there is the settings' own fault, told with them */
        }
        bool open = (status.st_mode & S_IRWXO) != 0;
        flk_findings_add(findings, check, open ? FLK_FINDING_NOTE : FLK_FINDING_OK,
                         open ? "chmod o-rwx, and let the program's user or group own it" : "",
                         open ? "%s: every user of this host may read %.200s" : "%s: %.200s is not for everybody",
                         secrets[i], path);
    }
}

static void check_policy(const flk_settings_t *worker, flk_findings_t *findings) {
    const char *path = flk_settings_str(worker, FLK_SET_POLICY_FILE);
    char errmsg[FLK_ERRMSG_BYTES];
    flk_policy_t policy;
    flk_policy_default(&policy);
    if (path[0] != '\0' && flk_policy_load(path, &policy, errmsg) != FLK_OK) {
        flk_findings_add(findings, "policy", FLK_FINDING_FAULT, "put the file right, or unset FLK_POLICY_FILE", "%s",
                         errmsg);
    } else {
        flk_findings_add(findings, "policy", FLK_FINDING_OK, "", "version %s", policy.version);
    }
}

void flk_check_keys(const flk_patient_t *patient, flk_findings_t *findings) {
    flk_keyring_t *keyring = NULL;
    flk_signer_t *signer = NULL;
    if (patient->worker != NULL) {
        keyring = load_keyring(patient->worker, findings);
        check_unsigned(patient->worker, findings);
        check_strength("worker", patient->worker, findings);
        check_blanks("worker", patient->worker, findings);
        check_policy(patient->worker, findings);
    }
    if (patient->agent != NULL) {
        signer = load_signer(patient->agent, findings);
        check_strength("agent", patient->agent, findings);
        check_blanks("agent", patient->agent, findings);
    }
    if (keyring != NULL && signer != NULL && flk_keyring_alg(keyring) != FLK_SIGN_NONE) {
        check_agreement(signer, keyring, findings);
    }
    if (patient->gateway != NULL) {
        check_blanks("gateway", patient->gateway, findings);
    }
    check_files(findings);
    flk_keyring_destroy(&keyring);
    flk_signer_destroy(&signer);
}
