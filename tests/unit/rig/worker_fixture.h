/* SPDX-License-Identifier: MIT */
/* The common part of the worker tests: rules, valid PCS, and a store that obeys the test. */
#ifndef FLK_TESTS_WORKER_FIXTURE_H
#define FLK_TESTS_WORKER_FIXTURE_H

#include <check.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/body.h"
#include "tests/unit/rig/pcs_maker.h"
#include "worker/rules.h"
#include "worker/store/memory/table.h"

#define TEST_KEY "a key for tests"
extern char errmsg[FLK_ERRMSG_BYTES];

/* ---- rules ---- */

flk_rules_t *rules_of(const char *version);

/* ---- PCS ---- */

/* The n-th PCS: valid, signed, accepted; `seed` changes nothing that is judged, `coh_star` the signed bytes. */
void pcs_of(uint64_t n, double coh_star, flk_pcs_t *pcs);

typedef struct body {
    size_t bytes;
    uint8_t data[4096];
} body_t;

void body_of_pcs(const flk_pcs_t *pcs, body_t *body);

void body_of(uint64_t n, body_t *body);

flk_id_t submission(uint64_t n);

/* ---- a store that does as it is told; several handles share one table ---- */

typedef struct told_store {
    flk_store_t base;
} told_store_t;

extern flk_table_t *told_table;
extern int told_lookups, told_puts, told_items; /* calls and items so far; atomic */
extern flk_err_t told_lookup_err, told_put_err; /* the answers of calls; atomic */
extern uint32_t told_block_ms; /* how long each call takes before that, or until it is told 0; atomic */

extern const flk_store_ops_t told_ops;

flk_store_t *told_store_new(void);

void told_setup(void);

void told_teardown(void);

#endif
