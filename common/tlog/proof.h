/* SPDX-License-Identifier: MIT */
/* Inclusion and consistency proofs (RFC 6962, sections 2.1.1 and 2.1.2), made from stored hashes and verified without
 * them (RFC 9162, sections 2.1.3.2 and 2.1.4.2). No state; any thread whose reader allows it. */
#ifndef FLK_COMMON_TLOG_PROOF_H
#define FLK_COMMON_TLOG_PROOF_H

#include "common/err.h"
#include "common/tlog/tile.h"

typedef struct flk_tlog_proof {
    size_t len;
    flk_tlog_hash_t hashes[FLK_TLOG_LEVELS]; /* from the leaf upwards */
} flk_tlog_proof_t;

/* Gives the hash of the complete subtree over leaves [index << level, (index + 1) << level). Its errors are those of
 * the functions that call it. */
typedef flk_err_t flk_tlog_read_fn(void *arg, unsigned level, uint64_t index, flk_tlog_hash_t *hash, char *errmsg);

/* The tree hash over the first `size` leaves. */
FLK_MUST_CHECK flk_err_t flk_tlog_root(uint64_t size, flk_tlog_read_fn *read, void *arg, flk_tlog_hash_t *root,
                                       char *errmsg);

/* index < size. */
FLK_MUST_CHECK flk_err_t flk_tlog_inclusion(uint64_t index, uint64_t size, flk_tlog_read_fn *read, void *arg,
                                            flk_tlog_proof_t *proof, char *errmsg);

/* old_size <= size; the proof is empty when old_size is 0 or size. */
FLK_MUST_CHECK flk_err_t flk_tlog_consistency(uint64_t old_size, uint64_t size, flk_tlog_read_fn *read, void *arg,
                                              flk_tlog_proof_t *proof, char *errmsg);

/* True when the leaf of that hash is leaf `index` of the tree of `size` leaves with that root. */
FLK_MUST_CHECK bool flk_tlog_inclusion_verify(const flk_tlog_proof_t *proof, uint64_t index, uint64_t size,
                                              const flk_tlog_hash_t *leaf, const flk_tlog_hash_t *root);

/* True when the tree of `size` leaves with `root` begins with that of `old_size` leaves with `old_root`. */
FLK_MUST_CHECK bool flk_tlog_consistency_verify(const flk_tlog_proof_t *proof, uint64_t old_size, uint64_t size,
                                                const flk_tlog_hash_t *old_root, const flk_tlog_hash_t *root);

#endif
