/* SPDX-License-Identifier: MIT */
/* The body frames: PCS, outcome and problem as msgpack maps. The only encoder and decoder of each. */
#ifndef FLK_PROTO_BODY_H
#define FLK_PROTO_BODY_H

#include "common/pcs/canonical.h"
#include "common/pcs/verdict.h"
#include "proto/frame.h"

/* ---- PCS: the JSON member names, N_j keys as strings ---- */

/* Reads one msgpack PCS through `reader`, with the rules and words of the JSON door. Errors as flk_pcs_from_json. */
FLK_MUST_CHECK flk_err_t flk_pcs_from_msgpack(flk_pcs_reader_t *reader, const void *body, size_t body_bytes,
                                              flk_pcs_t *pcs, flk_pcs_fault_t *fault);

/* Bytes that flk_pcs_to_msgpack may need at most for this PCS. */
size_t flk_pcs_msgpack_bound(const flk_pcs_t *pcs);
/* Writes the PCS and returns its bytes. `out` has flk_pcs_msgpack_bound(pcs). */
size_t flk_pcs_to_msgpack(const flk_pcs_t *pcs, void *out);

/* ---- outcome: kept by the store, and the body of a VERDICT 200 or 202 ---- */

enum { FLK_OUTCOME_BYTES = 896 };

typedef struct flk_outcome_record {
    flk_outcome_t outcome;
    char pcs_id[FLK_PCS_ID_HEX + 1];
    flk_id_t origin;                  /* the submission that was first: a redelivery of it is no duplicate */
    uint8_t digest[FLK_DIGEST_BYTES]; /* of the signed content: another one is a conflict */
    bool has_unsigned_digest;         /* outcomes of earlier versions have none */
    uint8_t unsigned_digest[FLK_UNSIGNED_DIGEST_BYTES]; /* of flk_verdict_digest: another one is a conflict, too */
} flk_outcome_record_t;

/* The reason why a record makes no outcome: static, plain ASCII. NULL: it makes one. */
const char *flk_outcome_fault(const flk_outcome_record_t *record);

/* Writes the outcome and returns its bytes; 0, and nothing is written, when the decoder would refuse it. */
size_t flk_outcome_encode(const flk_outcome_record_t *record, uint8_t out[FLK_OUTCOME_BYTES]);
/* Reads the outcome. FLK_E_INVALID: it is none; errmsg gives the reason. */
FLK_MUST_CHECK flk_err_t flk_outcome_decode(const void *data, size_t data_bytes, flk_outcome_record_t *record,
                                            char *errmsg);

/* ---- problem: the body of a VERDICT with another status ---- */

typedef struct flk_problem {
    char field[48];   /* member at fault; "" = none */
    char detail[200]; /* plain ASCII, nothing that the sender chose */
} flk_problem_t;
enum { FLK_PROBLEM_BYTES = 288 };
/* As flk_outcome_encode. */
size_t flk_problem_encode(const flk_problem_t *problem, uint8_t out[FLK_PROBLEM_BYTES]);
/* As flk_outcome_decode. */
FLK_MUST_CHECK flk_err_t flk_problem_decode(const void *data, size_t data_bytes, flk_problem_t *problem, char *errmsg);

#endif
