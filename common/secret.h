/* SPDX-License-Identifier: MIT */
/* Memory for secrets, and the secrets that are none because a document prints them. */
#ifndef FLK_COMMON_SECRET_H
#define FLK_COMMON_SECRET_H

#include "common/base.h"

enum { FLK_SECRET_KEY_BYTES_MIN = 16 }; /* of an HMAC key outside a developer's machine */

/* Zeroed memory between guard pages: locked where the limits allow, left out of core dumps, wiped when freed. Caller
 * frees with sodium_free. NULL: out of memory. */
FLK_MUST_CHECK void *flk_secret_alloc(size_t bytes);

/* True when an item of the comma-separated list is a password or key that documents use as an example ("change-me",
 * "supersecret", …), in any letter case. */
FLK_MUST_CHECK bool flk_secret_is_sample(const char *list);

/* Bytes of the shortest item of a comma-separated list that is not empty; 0: there is none. */
size_t flk_secret_shortest(const char *list);

/* True when an item of the list begins or ends in a blank, a tab or a line end. */
FLK_MUST_CHECK bool flk_secret_has_blank_end(const char *list);

#endif
