/* SPDX-License-Identifier: MIT */
/* The form of each text of a PCS. Pure functions; texts are not NUL-terminated. */
#ifndef FLK_COMMON_PCS_TEXT_H
#define FLK_COMMON_PCS_TEXT_H

#include "common/base.h"

/* Valid UTF-8 (RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF) without U+0000. */
FLK_MUST_CHECK bool flk_text_is_utf8(const char *text, size_t text_bytes);

/* 1 to max of A-Z a-z 0-9 . _ : - */
FLK_MUST_CHECK bool flk_text_is_name(const char *text, size_t text_bytes, size_t max);

/* 1 to max of A-Z a-z 0-9 space . _ : / - */
FLK_MUST_CHECK bool flk_text_is_label(const char *text, size_t text_bytes, size_t max);

/* 1 to max hex digits; upper case only where `upper` allows it. */
FLK_MUST_CHECK bool flk_text_is_hex(const char *text, size_t text_bytes, size_t max, bool upper);

/* MAJOR.MINOR or MAJOR.MINOR.PATCH, numbers without leading zeros, at most FLK_PCS_VERSION_MAX bytes. Fills *major,
 * which stops at UINT32_MAX. */
FLK_MUST_CHECK bool flk_text_is_version(const char *text, size_t text_bytes, uint32_t *major);

/* RFC 3339 date-time, section 5.6, with a day that the month has; a leap second is allowed in any minute. At most
 * FLK_PCS_SENT_AT_MAX bytes. */
FLK_MUST_CHECK bool flk_text_is_rfc3339(const char *text, size_t text_bytes);

/* A number as JSON has it (RFC 8259, section 6). */
FLK_MUST_CHECK bool flk_text_is_number(const char *text, size_t text_bytes);

/* A decimal integer without sign and leading zeros, at most FLK_PCS_INTEGER_MAX. */
FLK_MUST_CHECK bool flk_text_is_integer(const char *text, size_t text_bytes, uint64_t *value);

#endif
