/* SPDX-License-Identifier: MIT */
/* Memory for secrets, and the secrets that are none because a document prints them. */
#ifndef FLK_COMMON_SECRET_H
#define FLK_COMMON_SECRET_H

#include "common/base.h"

/* Zeroed memory between guard pages: locked where the limits allow, left out of core dumps, wiped when freed. Caller
 * frees with sodium_free. NULL: out of memory. */
FLK_MUST_CHECK void *flk_secret_alloc(size_t bytes);

/* True when an item of the comma-separated list is a password or key that documents use as an example ("change-me",
 * "supersecret", …), in any letter case. */
FLK_MUST_CHECK bool flk_secret_is_sample(const char *list);

#endif
