/* SPDX-License-Identifier: MIT */
/* The common part of the store tests: a directory and a clock of their own for each test, items, batches. */
#ifndef FLK_TESTS_STORE_FIXTURE_H
#define FLK_TESTS_STORE_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/store/store.h"

extern char dir[64];
extern char errmsg[FLK_ERRMSG_BYTES];
extern int64_t now_ms;
#define START_MS INT64_C(1700000000000)

int64_t test_clock(void);

void pass_ms(int64_t ms);

void setup(void);

void teardown(void);

flk_store_options_t options_for(const char *backend);

flk_store_t *open_with(const flk_store_options_t *options);

/* The n-th key; any two differ in their first and in their last bytes. */
void item_key(flk_store_item_t *item, uint64_t n);

flk_store_item_t item_of(uint64_t n, const char *value);

bool item_is(const flk_store_item_t *item, const char *value);

/* Puts one value; true when it was the first. */
bool put_one(flk_store_t *store, uint64_t n, const char *value, flk_store_item_t *item);

bool lookup_one(flk_store_t *store, uint64_t n, flk_store_item_t *item);

#endif
