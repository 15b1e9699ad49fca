/* SPDX-License-Identifier: MIT */
/* CURVE keys of a whole process, where the programs look for them: DIR/NAME.key and DIR/ROLEs/NAME.pub. One thread. */
#ifndef FLK_AGENT_FLK_CLUSTER_KEYPAIR_H
#define FLK_AGENT_FLK_CLUSTER_KEYPAIR_H

#include <limits.h>

#include "proto/curve.h"

typedef struct flk_keypair {
    char secret_path[PATH_MAX], public_path[PATH_MAX];
    char public_key[FLK_CURVE_TEXT_BYTES];
} flk_keypair_t;

/* Makes a pair, and its directories (mode 0755: the secret key's own mode protects it); `role` FLK_ROLE_NONE puts the
 * public key into DIR itself. `name` must be flk_curve_name_valid. Errors: FLK_E_CONFIG (dir too long), FLK_E_EXISTS (a
 * key is never overwritten; the paths are filled in all the same), those of common/io.h. */
FLK_MUST_CHECK flk_err_t flk_keypair_make(const char *dir, flk_role_t role, const char *name, flk_keypair_t *pair,
                                          char *errmsg);

#endif
