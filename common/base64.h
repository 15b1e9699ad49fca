/* SPDX-License-Identifier: MIT */
/* Standard base64 with padding (RFC 4648, section 4), as strangers write it. Any thread. */
#ifndef FLK_COMMON_BASE64_H
#define FLK_COMMON_BASE64_H

#include "common/base.h"

/* Decodes the whole text. False: it is not the one base64 text of some bytes, or of more than `out_max`. In constant
 * time for the bytes, as secrets want it. */
FLK_MUST_CHECK bool flk_base64_decode(const char *text, size_t text_bytes, uint8_t *out, size_t out_max,
                                      size_t *out_bytes);

#endif
