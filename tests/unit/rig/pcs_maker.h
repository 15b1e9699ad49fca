/* SPDX-License-Identifier: MIT */
/* Valid PCS by number. For tests only. */
#ifndef FLK_TESTS_UNIT_PCS_MAKER_H
#define FLK_TESTS_UNIT_PCS_MAKER_H

#include <string.h>

#include "common/pcs/signals.h"
#include "proto/body.h"

/* The n-th PCS: valid, unsigned, accepted under the default policy. */
void pcs_make(uint64_t n, double coh_star, flk_pcs_t *pcs);

#endif
