/* SPDX-License-Identifier: MIT */
/* A put whose connection to the server is cut, for the tests of every store that has a server. */
#ifndef FLK_TESTS_STORE_CUT_H
#define FLK_TESTS_STORE_CUT_H

#include "tests/unit/rig/cut_proxy.h"
#include "tests/unit/rig/store_contract.h"
#include "tests/unit/rig/store_probe.h"

/* Cuts behind each `step`-th byte in turn, until a put comes through whole. Wherever the connection breaks, the batch
 * is answered in time as unknown or with the truth, and asking again, by `direct`, gives the first if the server at
 * `port` kept it, and the second otherwise. */
void check_cut_anywhere(const char *name, flk_store_t *direct, flk_store_t *(*open_at)(unsigned port), unsigned port,
                        uint64_t step, cut_direction_t direction);

#endif
