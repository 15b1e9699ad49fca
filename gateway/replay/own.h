/* SPDX-License-Identifier: MIT */
/* The log of a gateway that does not run, taken over: to settle records in it. One thread. */
#ifndef FLK_GATEWAY_REPLAY_OWN_H
#define FLK_GATEWAY_REPLAY_OWN_H

#include "common/wal/wal.h"

/* Opens and locks the log in `dir`, which must be there; waits up to wait_ms for a gateway that runs to end. Nothing is
 * given up by age or size. Errors: FLK_E_LOCKED, FLK_E_NOT_FOUND, FLK_E_CLOSED (stop), and those of flk_wal_open.
 * Caller frees with flk_wal_close. */
FLK_MUST_CHECK flk_err_t flk_replay_own(const char *dir, uint64_t wait_ms, flk_wal_t **wal, char *errmsg);

/* Prints into `path` where the log `name` of the same gateway is: DIR/dlq, "inbox" -> DIR/inbox. False: `dir` is not
 * named `own`, or too long. */
FLK_MUST_CHECK bool flk_replay_beside(const char *dir, const char *own, const char *name, char *path,
                                      size_t path_bytes);

#endif
