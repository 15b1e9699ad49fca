/* SPDX-License-Identifier: MIT */
/* Policies from files: JSON, or the text of the policy language (OPERATING, "The policy language"). */
#ifndef FLK_COMMON_PCS_POLICY_LOAD_H
#define FLK_COMMON_PCS_POLICY_LOAD_H

#include "common/pcs/policy.h"

enum { FLK_POLICY_FILE_BYTES_MAX = 65536 };

/* Reads the file in either form: text that begins with a letter or # is the language, other text JSON. A member or
 * statement that is absent keeps its default, but the version is required: another policy is another version; the
 * built-in one's is for the defaults alone. Refuses a policy that breaks the guard-rails (guard.h). Errors:
 * FLK_E_CONFIG, with the file, the place or member, and the limit in errmsg; *policy is as it was then. */
FLK_MUST_CHECK flk_err_t flk_policy_load(const char *path, flk_policy_t *policy, char *errmsg);

/* The same for text in memory, of FLK_POLICY_FILE_BYTES_MAX at most. It need not end with a NUL. */
FLK_MUST_CHECK flk_err_t flk_policy_read(const char *text, size_t text_bytes, flk_policy_t *policy, char *errmsg);

#endif
