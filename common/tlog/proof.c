/* SPDX-License-Identifier: MIT */
/* A proof is the hashes of the ranges that a walk from the root to its leaf leaves aside. The walk goes down, and a
 * proof goes up, so the hashes are turned round at the end. */
#include "common/tlog/proof.h"

/* The largest power of two below n, which is at least 2. */
static uint64_t split_of(uint64_t n) {
    return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

/* The tree hash over leaves [from, to), of which each complete subtree is read. `from` is where a subtree of that size
 * can begin. The largest ones come first; they are joined from the last one upwards. */
static flk_err_t range_hash(uint64_t from, uint64_t to, flk_tlog_read_fn *read, void *arg, flk_tlog_hash_t *hash,
                            char *errmsg) {
    flk_tlog_hash_t parts[FLK_TLOG_LEVELS];
    size_t len = 0;
    while (from < to) {
        unsigned level = (unsigned)(63 - __builtin_clzll(to - from));
        flk_err_t err = read(arg, level, from >> level, &parts[len++], errmsg);
        if (err != FLK_OK) {
            return err;
        }
        from += UINT64_C(1) << level;
    }
    *hash = parts[--len];
    while (len-- > 0) {
        flk_tlog_hash_node(&parts[len], hash, hash);
    }
    return FLK_OK;
}

flk_err_t flk_tlog_root(uint64_t size, flk_tlog_read_fn *read, void *arg, flk_tlog_hash_t *root, char *errmsg) {
    if (size == 0) {
        flk_tlog_hash_empty(root);
        return FLK_OK;
    }
    return range_hash(0, size, read, arg, root, errmsg);
}

static void turn_round(flk_tlog_proof_t *proof) {
    for (size_t i = 0; i < proof->len / 2; i++) {
        flk_tlog_hash_t kept = proof->hashes[i];
        proof->hashes[i] = proof->hashes[proof->len - 1 - i];
        proof->hashes[proof->len - 1 - i] = kept;
    }
}

flk_err_t flk_tlog_inclusion(uint64_t index, uint64_t size, flk_tlog_read_fn *read, void *arg, flk_tlog_proof_t *proof,
                             char *errmsg) {
    FLK_ASSERT(index < size);
    uint64_t from = 0, to = size;
    proof->len = 0;
    while (to - from > 1) {
        uint64_t middle = from + split_of(to - from);
        bool is_left = index < middle;
        flk_err_t err =
            range_hash(is_left ? middle : from, is_left ? to : middle, read, arg, &proof->hashes[proof->len++], errmsg);
        if (err != FLK_OK) {
            return err;
        }
        *(is_left ? &to : &from) = middle;
    }
    turn_round(proof);
    return FLK_OK;
}

flk_err_t flk_tlog_consistency(uint64_t old_size, uint64_t size, flk_tlog_read_fn *read, void *arg,
                               flk_tlog_proof_t *proof, char *errmsg) {
    FLK_ASSERT(old_size <= size);
    uint64_t from = 0, to = size;
    flk_err_t err = FLK_OK;
    proof->len = 0;
    if (old_size == 0 || old_size == size) {
        return FLK_OK;
    }
    while (err == FLK_OK && old_size != to) {
        uint64_t middle = from + split_of(to - from);
        bool is_left = old_size <= middle;
        err =
            range_hash(is_left ? middle : from, is_left ? to : middle, read, arg, &proof->hashes[proof->len++], errmsg);
        *(is_left ? &to : &from) = middle;
    }
    if (err == FLK_OK && from > 0) { /* else the verifier has it: it is the old root */
        err = range_hash(from, to, read, arg, &proof->hashes[proof->len++], errmsg);
    }
    turn_round(proof);
    return err;
}

/* Joins the hashes of the proof from the i-th on to `hash`, node by node from `at` to the root of a tree whose last
 * node of that level is `last`; `old` grows by those alone that the old tree has too (RFC 9162, sections 2.1.3.2 and
 * 2.1.4.2), and may be NULL. False: the proof is too short or too long. */
static bool climb(const flk_tlog_proof_t *proof, size_t i, uint64_t at, uint64_t last, flk_tlog_hash_t *old,
                  flk_tlog_hash_t *hash) {
    for (; i < proof->len; i++) {
        const flk_tlog_hash_t *next = &proof->hashes[i];
        if (last == 0) {
            return false;
        }
        if ((at & 1) != 0 || at == last) {
            if (old != NULL) {
                flk_tlog_hash_node(next, old, old);
            }
            flk_tlog_hash_node(next, hash, hash);
            while ((at & 1) == 0 && at != 0) {
                at >>= 1;
                last >>= 1;
            }
        } else {
            flk_tlog_hash_node(hash, next, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0;
}

bool flk_tlog_inclusion_verify(const flk_tlog_proof_t *proof, uint64_t index, uint64_t size,
                               const flk_tlog_hash_t *leaf, const flk_tlog_hash_t *root) {
    if (index >= size) {
        return false;
    }
    flk_tlog_hash_t hash = *leaf;
    return climb(proof, 0, index, size - 1, NULL, &hash) && flk_tlog_hash_equal(&hash, root);
}

bool flk_tlog_consistency_verify(const flk_tlog_proof_t *proof, uint64_t old_size, uint64_t size,
                                 const flk_tlog_hash_t *old_root, const flk_tlog_hash_t *root) {
    flk_tlog_hash_t empty, old_hash, hash;
    if (old_size == 0) {
        flk_tlog_hash_empty(&empty);
        return proof->len == 0 && flk_tlog_hash_equal(&empty, old_root) &&
               (size > 0 || flk_tlog_hash_equal(&empty, root));
    }
    if (old_size >= size) {
        return old_size == size && proof->len == 0 && flk_tlog_hash_equal(old_root, root);
    }
    size_t i = 0;
    bool is_power = (old_size & (old_size - 1)) == 0;
    if (!is_power && proof->len == 0) {
        return false;
    }
    hash = old_hash = is_power ? *old_root : proof->hashes[i++];
    uint64_t at = old_size - 1, last = size - 1;
    while ((at & 1) != 0) {
        at >>= 1;
        last >>= 1;
    }
    return climb(proof, i, at, last, &old_hash, &hash) && flk_tlog_hash_equal(&old_hash, old_root) &&
           flk_tlog_hash_equal(&hash, root);
}
