/* SPDX-License-Identifier: MIT */
/* How the ZeroMQ links of one process are protected: its own CURVE key, the keys of its peers, and whether TCP beyond
 * loopback may go without. Made once at start, before the sockets; any thread may use it. NULL, wherever one is asked
 * for, is a process without a key: plain links, on loopback and ipc:// only. */
#ifndef FLK_PROTO_SECURITY_H
#define FLK_PROTO_SECURITY_H

#include "common/program/settings.h"
#include "proto/keydir.h"

typedef struct flk_security flk_security_t; /* Opaque; fields are commented in security.c. */

typedef struct flk_security_options {
    const char *key_file, *key_dir; /* FLK_CURVE_KEY_FILE and FLK_CURVE_DIR; both "": no CURVE */
    bool plaintext;                 /* FLK_PLAINTEXT */
    flk_role_t servers;             /* of the servers that this process connects to; FLK_ROLE_NONE: none */
    unsigned guests;                /* FLK_ROLE_BITs: of the clients that connect to it */
} flk_security_options_t;

/* Reads the key and looks at the directory. Errors: FLK_E_CONFIG with the setting and the reason. Caller frees with
 * flk_security_destroy, which wipes the key. */
FLK_MUST_CHECK flk_err_t flk_security_new(const flk_security_options_t *options, flk_security_t **security,
                                          char *errmsg);
/* The same by the settings of the program. */
FLK_MUST_CHECK flk_err_t flk_security_load(const flk_settings_t *settings, flk_role_t servers, unsigned guests,
                                           flk_security_t **security, char *errmsg);
void flk_security_destroy(flk_security_t **security);

/* True when links over TCP are CURVE. */
bool flk_security_has_key(const flk_security_t *security);
/* True when `endpoint` goes over TCP and there is a key. */
bool flk_security_covers(const flk_security_t *security, const char *endpoint);

/* Checks the form of an endpoint, and that it may be used: FLK_E_CONFIG with both in errmsg. The first one that is
 * allowed beyond loopback without encryption is warned about, once a process. */
FLK_MUST_CHECK flk_err_t flk_security_check(const flk_security_t *security, const char *endpoint, char *errmsg);

/* Makes a socket a CURVE server whose peers a ZAP handler judges under the domain `role`; before it is bound. */
void flk_security_serve(const flk_security_t *security, void *socket, flk_role_t role);
/* Makes a socket a CURVE client of the turn-th server that is trusted; before it connects. `server` gets that one's
 * key. Errors: FLK_E_UNAVAILABLE: none is. */
FLK_MUST_CHECK flk_err_t flk_security_enter(const flk_security_t *security, void *socket, size_t turn,
                                            char server[FLK_CURVE_TEXT_BYTES], char *errmsg);
/* Whether a server of that key is still trusted; looks at the directory when it is time. */
FLK_MUST_CHECK bool flk_security_trusts(const flk_security_t *security, const char *server, uint64_t now_ms);

/* The keys of the peers; NULL without CURVE. Borrowed. */
flk_keydir_t *flk_security_keys(const flk_security_t *security);

#endif
