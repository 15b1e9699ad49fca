/* SPDX-License-Identifier: MIT */
/* Makes a keyring of settings and of a file. */
#ifndef FLK_COMMON_PCS_KEYRING_LOAD_H
#define FLK_COMMON_PCS_KEYRING_LOAD_H

#include "common/pcs/keyring.h"
#include "common/program/settings.h"

typedef struct flk_keyring_options {
    flk_sign_alg_t alg;          /* of the keys in the settings; NONE: everything verifies */
    const char *hmac_key;        /* one key, id PCS_HMAC_KEY; texts may be NULL or "" */
    const char *hmac_keys;       /* a comma-separated list; ids PCS_HMAC_KEYS.1 and so on */
    const char *ed25519_pub_b64; /* a comma-separated list of base64; ids PCS_ED25519_PUB_B64.1 and so on */
    const char *file;            /* JSON, see below; its keys may be of either algorithm */
    bool accept_payload;         /* an HMAC over the canonical bytes themselves is as good */
    bool allow_weak;             /* keys that documents print are no error */
} flk_keyring_options_t;

/* Makes a keyring. The file:
 *
 *   {"keys": [{"id": "2026-11", "alg": "hmac", "key": "text as in PCS_HMAC_KEY",
 *              "not_before": "2026-11-01T00:00:00Z", "not_after": "2027-05-01T00:00:00Z"},
 *             {"id": "berlin-1", "alg": "ed25519", "public_key": "base64 as in PCS_ED25519_PUB_B64"}]}
 *
 * Times are optional, in UTC; a key verifies from not_before on and no longer at not_after. An id is 1 to 32 of A-Z
 * a-z 0-9 . _ : - and does not begin with PCS_. Nothing else is allowed in it. A file with an HMAC key must not be
 * readable by everybody, nor writable by the group. Errors: FLK_E_CONFIG with the setting, or file, key and member,
 * named in errmsg (never the key), FLK_E_NOMEM. Blocks on the file. Caller frees with flk_keyring_destroy. */
FLK_MUST_CHECK flk_err_t flk_keyring_new(const flk_keyring_options_t *options, flk_keyring_t **keyring, char *errmsg);
/* The same from the settings of a worker or of flk-replay. */
FLK_MUST_CHECK flk_err_t flk_keyring_load(const flk_settings_t *settings, flk_keyring_t **keyring, char *errmsg);

#endif
