/* SPDX-License-Identifier: MIT */
/* The common part of the agent's tests: seeded random numbers, temporary files and directories, rows. For tests
 * only. */
#ifndef FLK_TESTS_UNIT_AGENT_PARTS_H
#define FLK_TESTS_UNIT_AGENT_PARTS_H

#include "agent/read/reader.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/rig/suite.h"

/* TEST_SEED in the environment repeats a run. */
uint64_t agent_seed(void);

uint64_t agent_random(uint64_t *state);

/* 0 <= n < below */
uint64_t agent_below(uint64_t *state, uint64_t below);

/* -1 <= x < 1 */
double agent_real(uint64_t *state);

/* Makes a directory that does not exist yet; `path` has 64 bytes. */
void agent_temp_dir(char path[64]);

void agent_remove_dir(const char *path);

/* Writes a file with the given suffix; `path` has 64 bytes. Remove it with unlink. */
void agent_temp_file(char path[64], const char *suffix, const void *data, size_t data_bytes);

#endif
