/* SPDX-License-Identifier: MIT */
/* Signing and verifying PCS: HMAC-SHA256 or Ed25519 over the SHA-256 of the canonical bytes, base64 in `sig`.
 * A keyring is immutable once made; several threads may verify with it. Secrets are wiped on destroy. */
#ifndef FLK_COMMON_KEYS_H
#define FLK_COMMON_KEYS_H

#include "common/canonical.h"

typedef enum flk_sign_alg { FLK_SIGN_NONE, FLK_SIGN_HMAC, FLK_SIGN_ED25519 } flk_sign_alg_t;
FLK_MUST_CHECK bool flk_sign_alg_parse(const char *text, flk_sign_alg_t *alg); /* "none", "hmac", "ed25519" */
const char *flk_sign_alg_name(flk_sign_alg_t alg);

enum { FLK_KEYS_MAX = 16 };

typedef struct flk_keyring flk_keyring_t; /* Opaque. */

/* Makes a keyring for verification.
 * `hmac_key` is one key, `hmac_keys` a comma-separated list (overlap while rotating); either may be NULL or "".
 * `ed25519_pub_b64` is a comma-separated list of base64 public keys. Errors: FLK_E_CONFIG with the setting named
 * in errmsg (never the key), FLK_E_NOMEM. Caller frees with flk_keyring_destroy. */
FLK_MUST_CHECK flk_err_t flk_keyring_new(flk_sign_alg_t alg, const char *hmac_key, const char *hmac_keys,
                                         const char *ed25519_pub_b64, flk_keyring_t **keyring, char *errmsg);
void flk_keyring_destroy(flk_keyring_t **keyring);
flk_sign_alg_t flk_keyring_alg(const flk_keyring_t *keyring);

/* FLK_OK when signing is off, or when some key verifies either number print; FLK_E_SIGNATURE otherwise, with the
 * reason ("missing", "not base64", "does not verify") in *reason, a static string. digest is always filled: SHA-256
 * of the Python print, which tells two contents of one pcs_id apart. */
FLK_MUST_CHECK flk_err_t flk_keyring_verify(const flk_keyring_t *keyring, const flk_pcs_t *pcs,
                                            uint8_t digest[FLK_DIGEST_BYTES], const char **reason);

typedef struct flk_signer flk_signer_t; /* Opaque. */

/* Makes a signer for the agent: `hmac_key` for HMAC, `ed25519_secret_b64` (32-byte seed or 64-byte secret key) for
 * Ed25519. Errors as flk_keyring_new. Caller frees with flk_signer_destroy. */
FLK_MUST_CHECK flk_err_t flk_signer_new(flk_sign_alg_t alg, const char *hmac_key, const char *ed25519_secret_b64,
                                        flk_signer_t **signer, char *errmsg);
void flk_signer_destroy(flk_signer_t **signer);
/* Fills pcs->sig ("" when alg is none). */
void flk_signer_sign(const flk_signer_t *signer, flk_pcs_t *pcs);

#endif
