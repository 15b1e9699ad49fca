/* SPDX-License-Identifier: MIT */
/* The public keys that a process goes by: a directory, one subdirectory a role, one NAME.pub a key (PROTOCOL.md,
 * section 10). Looked at again while the process runs. Any thread; only flk_keydir_look touches the disk. */
#ifndef FLK_PROTO_KEYDIR_H
#define FLK_PROTO_KEYDIR_H

#include "proto/curve.h"

enum { FLK_KEYDIR_LOOK_MS = 250, FLK_KEYDIR_KEYS_MAX = 65536 /* of one role */ };

#define FLK_ROLE_BIT(role) (1u << (role))

typedef struct flk_keydir flk_keydir_t; /* Opaque; fields are commented in keydir.c. */

/* Reads the subdirectories of `roles`, a set of FLK_ROLE_BITs. A subdirectory that cannot be read is logged and holds
 * no key; it may come later, so that is no error. Start-up allocation. Caller frees with flk_keydir_destroy. Errors:
 * FLK_E_CONFIG (path too long). */
FLK_MUST_CHECK flk_err_t flk_keydir_new(const char *path, unsigned roles, flk_keydir_t **keydir, char *errmsg);
void flk_keydir_destroy(flk_keydir_t **keydir);

/* Reads changed files again, when the last look was FLK_KEYDIR_LOOK_MS ago and no other thread looks now.
 *   A subdirectory that is absent, or may not be read, holds no key from now on.
 *   One that could not be read for want of descriptors, memory or a working disk lets nobody new in until it can be
 *   read. Peers that were let in stay: running out of descriptors must not throw everybody out. */
void flk_keydir_look(flk_keydir_t *keydir, uint64_t now_ms);

/* Whether the key is in one of `roles`; its name (FLK_CURVE_NAME_MAX + 1 bytes) unless NULL. */
FLK_MUST_CHECK bool flk_keydir_has(flk_keydir_t *keydir, unsigned roles, const char *key, char *name);
/* The same for a peer that comes in now: also false while the list of its role cannot be read. */
FLK_MUST_CHECK bool flk_keydir_admits(flk_keydir_t *keydir, unsigned roles, const char *key, char *name);
/* The turn-th key of a role, counted round and round. False: there is none. */
FLK_MUST_CHECK bool flk_keydir_pick(flk_keydir_t *keydir, flk_role_t role, size_t turn, char key[FLK_CURVE_TEXT_BYTES]);
size_t flk_keydir_len(flk_keydir_t *keydir, flk_role_t role);

/* Rises with each change of any list; a caller that keeps an earlier answer asks again then. */
uint64_t flk_keydir_generation(const flk_keydir_t *keydir);

#endif
