/* SPDX-License-Identifier: MIT */
/* The vectors under tests/data/vectors, and a PCS to sign. For tests only. */
#ifndef FLK_TESTS_UNIT_PCS_VECTORS_H
#define FLK_TESTS_UNIT_PCS_VECTORS_H

#include "common/pcs/pcs.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The file's root object. Caller frees with json_decref. */
json_t *vectors_load(const char *name);

double vectors_number(const json_t *object, const char *key);

const char *vectors_text(const json_t *object, const char *key);

/* Reads a PCS that must be valid from a JSON value, through text. */
void vectors_read_pcs(const json_t *value, flk_pcs_t *pcs);

/* The PCS that a case of canonical.json signs, with the id that it must have. */
flk_pcs_t vectors_subset_pcs(const json_t *subset);

/* An unsigned PCS whose two number prints differ: 1.0 and 1. */
flk_pcs_t pcs_to_sign(void);

#endif
