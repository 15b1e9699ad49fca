/* SPDX-License-Identifier: MIT */
/* A key that signs PCS, as two files: the secret for an agent, and a key ring with the one entry that verifies it. One
 * thread. */
#ifndef FLK_AGENT_FLK_SIGNING_KEY_H
#define FLK_AGENT_FLK_SIGNING_KEY_H

#include <limits.h>

#include "common/err.h"
#include "common/pcs/keys.h"

enum { FLK_SIGNING_TEXT_BYTES = 45 }; /* 32 bytes as base64 */

typedef struct flk_signing_key {
    char secret_path[PATH_MAX], ring_path[PATH_MAX];
    char public_key[FLK_SIGNING_TEXT_BYTES]; /* "" for HMAC */
} flk_signing_key_t;

/* Makes DIR/NAME.secret, for PCS_HMAC_KEY_FILE or PCS_ED25519_SECRET_B64_FILE of agents, and DIR/NAME.ring.json, for
 * PCS_KEYRING_FILE of workers, both with mode 0600. `alg` is not NONE; `name` is the id of the key. Errors:
 * FLK_E_CONFIG (dir too long, name no id), those of common/io.h; nothing is overwritten, and no secret stays behind an
 * error. */
FLK_MUST_CHECK flk_err_t flk_signing_key_make(const char *dir, flk_sign_alg_t alg, const char *name,
                                              flk_signing_key_t *key, char *errmsg);

#endif
