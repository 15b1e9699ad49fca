/* SPDX-License-Identifier: MIT */
/* Signing PCS: HMAC-SHA256 or Ed25519 over the SHA-256 of the canonical bytes, base64 in `sig`. keyring.h verifies. */
#ifndef FLK_COMMON_PCS_KEYS_H
#define FLK_COMMON_PCS_KEYS_H

#include "common/pcs/canonical.h"

typedef enum flk_sign_alg { FLK_SIGN_NONE, FLK_SIGN_HMAC, FLK_SIGN_ED25519 } flk_sign_alg_t;
FLK_MUST_CHECK bool flk_sign_alg_parse(const char *text, flk_sign_alg_t *alg); /* "none", "hmac", "ed25519" */
const char *flk_sign_alg_name(flk_sign_alg_t alg);

typedef struct flk_signer flk_signer_t; /* Opaque. */

/* Makes a signer for the agent: `hmac_key` for HMAC, `ed25519_secret_b64` (32-byte seed or 64-byte secret key) for
 * Ed25519. Errors: FLK_E_CONFIG with the setting named in errmsg (never the key), FLK_E_NOMEM. Caller frees with
 * flk_signer_destroy, which wipes the key. */
FLK_MUST_CHECK flk_err_t flk_signer_new(flk_sign_alg_t alg, const char *hmac_key, const char *ed25519_secret_b64,
                                        flk_signer_t **signer, char *errmsg);
void flk_signer_destroy(flk_signer_t **signer);
/* Fills pcs->sig ("" when alg is none). */
void flk_signer_sign(const flk_signer_t *signer, flk_pcs_t *pcs);

#endif
