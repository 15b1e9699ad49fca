/* SPDX-License-Identifier: MIT */
/* The keys that verify PCS, each with an id and, from a file, with a time from which and until which it does. Immutable
 * once made (keyring_load.h); several threads may verify with it. Secrets are wiped on destroy. */
#ifndef FLK_COMMON_PCS_KEYRING_H
#define FLK_COMMON_PCS_KEYRING_H

#include "common/pcs/keys.h"

enum { FLK_KEYS_MAX = 16, FLK_KEY_ID_BYTES = 33 }; /* an id with its NUL */

typedef struct flk_keyring flk_keyring_t; /* Opaque. */

void flk_keyring_destroy(flk_keyring_t **keyring);

flk_sign_alg_t flk_keyring_alg(const flk_keyring_t *keyring);
size_t flk_keyring_len(const flk_keyring_t *keyring);
const char *flk_keyring_id(const flk_keyring_t *keyring, size_t key); /* lives as long as the keyring */

typedef enum flk_key_state { FLK_KEY_ACTIVE, FLK_KEY_EXPIRED, FLK_KEY_FUTURE, FLK_KEY_STATES } flk_key_state_t;
/* The state of key number `key` at `now_s`, Unix time. */
flk_key_state_t flk_keyring_state(const flk_keyring_t *keyring, size_t key, int64_t now_s);
/* When the first of the active keys ends, as Unix time; 0 when none ends. */
int64_t flk_keyring_next_end(const flk_keyring_t *keyring, int64_t now_s);

typedef enum flk_signature_fault {
    FLK_SIGNATURE_GOOD, /* also when signing is off */
    FLK_SIGNATURE_MISSING,
    FLK_SIGNATURE_NOT_BASE64,
    FLK_SIGNATURE_WRONG,
    FLK_SIGNATURE_PAYLOAD,     /* an HMAC over the canonical bytes themselves, which this ring does not take */
    FLK_SIGNATURE_KEY_EXPIRED, /* a key of the ring made it, which verifies no more */
    FLK_SIGNATURE_KEY_FUTURE,  /* or not yet */
    FLK_SIGNATURE_FAULTS,
} flk_signature_fault_t;

typedef struct flk_signature {
    flk_signature_fault_t fault;
    size_t key;   /* that made it; FLK_KEYS_MAX: none of the ring's */
    bool payload; /* over the canonical bytes themselves */
} flk_signature_t;

const char *flk_signature_text(flk_signature_fault_t fault); /* "missing", "does not verify", "key has expired", … */

/* Looks for a key that is active at `now_s` (Unix time) and made the signature, over either number print. FLK_OK, or
 * FLK_E_SIGNATURE with the reason in *signature. Pure: no clock, no I/O. digest is always filled: SHA-256 of the
 * Python print, which tells two contents of one pcs_id apart. */
FLK_MUST_CHECK flk_err_t flk_keyring_verify(const flk_keyring_t *keyring, const flk_pcs_t *pcs, int64_t now_s,
                                            uint8_t digest[FLK_DIGEST_BYTES], flk_signature_t *signature);

#endif
