/* SPDX-License-Identifier: MIT */
/* Output of a loop that must go on although nobody reads it. */
#ifndef FLK_COMMON_PATIENCE_H
#define FLK_COMMON_PATIENCE_H

#include "common/base.h"

/* Writes to `fd` as long as its reader takes it, and waits for `ms` at most in all. False: not all of it went out.
 * Exact for a pipe or terminal that no other process writes to; beside others one write may wait for the reader. */
bool flk_write_within(int fd, const char *text, size_t bytes, uint64_t ms);

#endif
