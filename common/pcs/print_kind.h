/* SPDX-License-Identifier: MIT */
/* The print of the four claims in the signed bytes. Almost every agent prints them as Python's json.dumps or as
 * ECMAScript does; the others (Rust, Java, C's printf) sign prints of their own, so their texts are kept beside the
 * numbers. */
#ifndef FLK_COMMON_PCS_PRINT_KIND_H
#define FLK_COMMON_PCS_PRINT_KIND_H

#include "common/pcs/pcs.h"

/* The claims as they were written; len 0: not known. Borrowed. */
typedef struct flk_written {
    const char *text;
    size_t text_bytes;
} flk_written_t;

/* Fills pcs->prints when the texts of all four claims are known, none of them is longer than FLK_PCS_PRINT_MAX, all
 * are numbers of nine decimals at most, and neither of the two usual prints fits all of them. Cheap when one of them
 * does: it looks at the shape of the texts alone. */
void flk_prints_keep(flk_pcs_t *pcs, const flk_written_t written[FLK_CLAIMS]);

/* Whether each print that was sent reads as its claim, rounded to 9 decimals; else the first one that does not. */
FLK_MUST_CHECK bool flk_prints_agree(const flk_pcs_t *pcs, flk_claim_t *wrong);

#endif
