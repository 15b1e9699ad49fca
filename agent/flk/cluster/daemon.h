/* SPDX-License-Identifier: MIT */
/* The programs that serve, and where each has its pages by the settings of this environment. */
#ifndef FLK_AGENT_FLK_CLUSTER_DAEMON_H
#define FLK_AGENT_FLK_CLUSTER_DAEMON_H

#include "common/program/settings.h"

enum { FLK_DAEMONS = 4, FLK_DAEMON_ADDRESS_BYTES = 256 };

typedef struct flk_daemon {
    const char *name; /* "gateway" */
    flk_program_t program;
    flk_setting_id_t listen; /* of /readyz, /healthz and /metrics */
    unsigned port;           /* of those, by default */
} flk_daemon_t;

extern const flk_daemon_t flk_daemons[FLK_DAEMONS];

const flk_daemon_t *flk_daemon_named(const char *name); /* NULL: none */

/* The host:port that a client on this host connects to. Errors: FLK_E_CONFIG, also when the pages are off; one line in
 * errmsg. */
FLK_MUST_CHECK flk_err_t flk_daemon_address(const flk_daemon_t *daemon, char address[FLK_DAEMON_ADDRESS_BYTES],
                                            char *errmsg);

#endif
