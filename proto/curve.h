/* SPDX-License-Identifier: MIT */
/* CURVE key pairs as files, and the roles that they are for. A key file is one line of 40 characters of Z85 (ZeroMQ
 * RFC 32) and nothing else: NAME.key is a secret key, NAME.pub the public key that belongs to it. */
#ifndef FLK_PROTO_CURVE_H
#define FLK_PROTO_CURVE_H

#include "common/err.h"

enum {
    FLK_CURVE_KEY_BYTES = 32,
    FLK_CURVE_TEXT_BYTES = 41, /* a key in Z85, and the NUL */
    FLK_CURVE_NAME_MAX = 64,   /* of a key: A-Z a-z 0-9 . _ -, begins with a letter or digit */
};

/* The kinds of a key's owner. role, its name, the directory of the public keys of its kind */
#define FLK_ROLES(X)                                                                                                   \
    X(BROKER, "broker", "brokers")                                                                                     \
    X(GATEWAY, "gateway", "gateways")                                                                                  \
    X(WORKER, "worker", "workers")                                                                                     \
    X(AGENT, "agent", "agents")                                                                                        \
    X(ADMIN, "admin", "admins") /* tools of people (flk-replay): let in where agents are */

typedef enum flk_role {
#define FLK_ROLE_ID(id, name, dir) FLK_ROLE_##id,
    FLK_ROLES(FLK_ROLE_ID)
#undef FLK_ROLE_ID
        FLK_ROLES_COUNT,
    FLK_ROLE_NONE = FLK_ROLES_COUNT
} flk_role_t;

const char *flk_role_name(flk_role_t role); /* "worker" */
const char *flk_role_dir(flk_role_t role);  /* "workers" */
FLK_MUST_CHECK bool flk_role_parse(const char *text, flk_role_t *role);

FLK_MUST_CHECK bool flk_curve_name_valid(const char *name);

/* Makes a pair and writes secret_path (0600) and public_path (0644). Neither may exist: a key is never overwritten.
 * `public` gets the public key; the secret one is wiped from memory. Errors: FLK_E_EXISTS and those of common/io.h;
 * then neither file is left. */
FLK_MUST_CHECK flk_err_t flk_curve_make_files(const char *secret_path, const char *public_path,
                                              char public_key[FLK_CURVE_TEXT_BYTES], char *errmsg);

/* Reads a secret key and derives its public key. A file that everybody can read or write is refused. Errors:
 * FLK_E_CONFIG with path and reason, never with content. The caller wipes `secret`. */
FLK_MUST_CHECK flk_err_t flk_curve_read_secret(const char *path, uint8_t secret[FLK_CURVE_KEY_BYTES],
                                               char public_key[FLK_CURVE_TEXT_BYTES], char *errmsg);

/* Reads a public key. Errors: FLK_E_INVALID (its text is no key), and those of flk_io_read_file. */
FLK_MUST_CHECK flk_err_t flk_curve_read_public(const char *path, char public_key[FLK_CURVE_TEXT_BYTES], char *errmsg);

#endif
