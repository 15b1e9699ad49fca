/* SPDX-License-Identifier: MIT */
/* An outcome as stores keep it, a third of what it takes on the wire. Integers are big-endian, numbers IEEE 754 binary64:
 *
 *   0x01 · regime (1) · d_hat is there (1) · reasons (4) · d_hat (8) · budget (8) · budget_claimed (8)
 *   · origin (16) · digest (32) · policy_version, the rest
 *
 * regime and reasons are numbers of flk_regime_t and flk_reason_t, which therefore never change their meaning. pcs_id is the key,
 * status follows from the reasons. Another layout takes another first byte; every reader reads those of all
 * earlier versions. The first of them kept the wire's map (proto/body.h), whose first byte is 0x80 or more. */
#ifndef FLK_WORKER_STORE_STORED_OUTCOME_H
#define FLK_WORKER_STORE_STORED_OUTCOME_H

#include "proto/body.h"
#include "worker/store/store.h"

enum {
    FLK_STORED_OUTCOME_HEAD_BYTES = 79,
    FLK_STORED_OUTCOME_BYTES_MAX = FLK_STORED_OUTCOME_HEAD_BYTES + FLK_POLICY_VERSION_BYTES
};

/* Writes the value of an outcome and returns its bytes. */
size_t flk_stored_outcome_write(const flk_outcome_record_t *record, uint8_t out[FLK_STORED_OUTCOME_BYTES_MAX]);

/* Reads the value, of whatever version, that a store has for `key`. FLK_E_INVALID: it is no outcome, or another id's. */
FLK_MUST_CHECK flk_err_t flk_stored_outcome_read(const uint8_t key[FLK_STORE_KEY_BYTES], const uint8_t *value,
                                                 size_t value_bytes, flk_outcome_record_t *record, char *errmsg);

#endif
