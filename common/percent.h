/* SPDX-License-Identifier: MIT */
/* Percent-encoding of URLs (RFC 3986, section 2.1). Any thread. */
#ifndef FLK_COMMON_PERCENT_H
#define FLK_COMMON_PERCENT_H

#include "common/base.h"

/* Decodes into `out`, ended by NUL. False: it does not fit, an escape is broken, or it holds a NUL. */
FLK_MUST_CHECK bool flk_percent_decode(const char *text, size_t text_bytes, char *out, size_t out_bytes);

#endif
