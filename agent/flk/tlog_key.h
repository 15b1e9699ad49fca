/* SPDX-License-Identifier: MIT */
/* A key that signs the checkpoints of transparency logs, as two files: the secret for flk-follow, and the verifier key
 * for everybody. One thread. */
#ifndef FLK_AGENT_FLK_TLOG_KEY_H
#define FLK_AGENT_FLK_TLOG_KEY_H

#include <limits.h>

#include "common/tlog/note_key.h"

typedef struct flk_tlog_key {
    char secret_path[PATH_MAX], verifier_path[PATH_MAX];
    char verifier_key[FLK_NOTE_KEY_TEXT_BYTES];
} flk_tlog_key_t;

/* Makes DIR/NAME.key (mode 0600), for FLK_TLOG_KEY_FILE, and DIR/NAME.vkey, the verifier key's text. `name` is the
 * key's, and flk_curve_name_valid. Errors: FLK_E_CONFIG (dir too long), those of common/io.h; nothing is overwritten,
 * and no secret stays behind an error. */
FLK_MUST_CHECK flk_err_t flk_tlog_key_make(const char *dir, const char *name, flk_tlog_key_t *key, char *errmsg);

#endif
