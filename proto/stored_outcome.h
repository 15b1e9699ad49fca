/* SPDX-License-Identifier: MIT */
/* An outcome as stores and the acks of a gateway's log keep it, a third of its size on the wire. Integers are
 * big-endian, numbers IEEE 754 binary64:
 *
 *   0x02 · regime (1) · d_hat is there (1) · reasons (4) · d_hat (8) · budget (8) · budget_claimed (8)
 *   · origin (16) · digest (32) · unsigned_digest (16) · policy_version, the rest
 *
 * regime and reasons are numbers of flk_regime_t and flk_reason_t, which therefore never change their meaning.
 * pcs_id is the key, status follows from the reasons. Another layout takes the next first byte, at most 0x0f, and
 * every reader reads those of all earlier versions:
 *
 *   0x80 and more   the wire's map (proto/body.h)
 *   0x03            behind policy_version a comma, then the names of rules, joined by commas; for outcomes that have
 * some 0x01            without unsigned_digest; also written for a record that has none
 *
 * A first byte that is none of these marks damage, unless it is at most 0x0f: then a later version wrote it, and its
 * outcome is as good as any. */
#ifndef FLK_PROTO_STORED_OUTCOME_H
#define FLK_PROTO_STORED_OUTCOME_H

#include "proto/body.h"

enum {
    FLK_STORED_OUTCOME_HEAD_BYTES = 79 + FLK_UNSIGNED_DIGEST_BYTES,
    FLK_STORED_OUTCOME_BYTES_MAX = FLK_STORED_OUTCOME_HEAD_BYTES + FLK_POLICY_VERSION_BYTES + FLK_RULES_BYTES,
};

/* Writes the value of an outcome and returns its bytes; 0, and nothing is written, when the reader would refuse it. */
size_t flk_stored_outcome_write(const flk_outcome_record_t *record, uint8_t out[FLK_STORED_OUTCOME_BYTES_MAX]);

/* The same of a record that flk_outcome_decode gave, which need not be checked again. */
size_t flk_stored_outcome_put(const flk_outcome_record_t *record, uint8_t out[FLK_STORED_OUTCOME_BYTES_MAX]);

/* Reads the value, of any version, that is kept under `pcs_id`. Errors: FLK_E_INVALID (it is damaged, or another id's),
 * FLK_E_UNAVAILABLE (a later version wrote it). */
FLK_MUST_CHECK flk_err_t flk_stored_outcome_read(const uint8_t pcs_id[FLK_PCS_ID_BYTES], const uint8_t *value,
                                                 size_t value_bytes, flk_outcome_record_t *record, char *errmsg);

#endif
