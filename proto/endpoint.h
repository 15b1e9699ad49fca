/* SPDX-License-Identifier: MIT */
/* Endpoints of settings, checked before any socket is made: at a start, and by --check, with the same line. */
#ifndef FLK_PROTO_ENDPOINT_H
#define FLK_PROTO_ENDPOINT_H

#include "proto/security.h"

/* One endpoint to listen on: its form, and that it may be used (flk_security_check). A port may be * or 0: a free one.
 * Errors: FLK_E_CONFIG, with the setting's name in errmsg. */
FLK_MUST_CHECK flk_err_t flk_endpoint_check(const flk_security_t *security, const char *setting, const char *endpoint,
                                            char *errmsg);

/* The endpoints that a process connects to: 1 to FLK_BROKERS_MAX, separated by commas, none of them twice. */
FLK_MUST_CHECK flk_err_t flk_endpoints_check(const flk_security_t *security, const char *setting, const char *list,
                                             char *errmsg);

#endif
