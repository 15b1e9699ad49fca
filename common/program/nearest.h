/* SPDX-License-Identifier: MIT */
/* The name that a mistyped one is nearest to: "did you mean". Any thread. */
#ifndef FLK_COMMON_PROGRAM_NEAREST_H
#define FLK_COMMON_PROGRAM_NEAREST_H

#include <stddef.h>

/* The name number `index` of a list, NULL after the last one. */
typedef const char *flk_nearest_fn(const void *list, size_t index);

/* The name of `list` that `name` may be meant for: with at most one letter in three wrong, and four in all; or the only
 * one that begins so. NULL: none is near. */
const char *flk_nearest(const char *name, flk_nearest_fn *name_of, const void *list);

#endif
