/* SPDX-License-Identifier: MIT */
/* The bytes that a signature covers: JSON of eight members, keys sorted by byte, no spaces, the four floats rounded
 * to 9 decimals. A contract with every deployed agent (PROTOCOL.md, "What is signed"): changing it is a
 * coordinated rollout. */
#ifndef FLK_COMMON_PCS_CANONICAL_H
#define FLK_COMMON_PCS_CANONICAL_H

#include "common/number.h"
#include "common/pcs/pcs.h"

enum {
    FLK_CANONICAL_BYTES = 1024, /* the longest canonical form with its NUL */
    FLK_DIGEST_BYTES = 32,
};

/* Writes the canonical bytes of a PCS and a NUL. Returns their number without the NUL. */
size_t flk_canonical(const flk_pcs_t *pcs, flk_print_t print, char out[FLK_CANONICAL_BYTES]);

/* The same with the claims as pcs->prints has them, in the Python print where it has none. */
size_t flk_canonical_as_sent(const flk_pcs_t *pcs, char out[FLK_CANONICAL_BYTES]);

/* SHA-256 of the canonical bytes. */
void flk_canonical_digest(const flk_pcs_t *pcs, flk_print_t print, uint8_t digest[FLK_DIGEST_BYTES]);

#endif
