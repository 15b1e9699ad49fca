/* SPDX-License-Identifier: MIT */
/* The processes that a look at a cluster asks: those of flk up, of systemd's units, or at given addresses. One thread.
 */
#ifndef FLK_AGENT_FLK_MEMBERS_H
#define FLK_AGENT_FLK_MEMBERS_H

#include "agent/flk/cluster/cluster_file.h"
#include "agent/flk/cluster/daemon.h"

/* One --gateway, --broker, --worker or --follow. */
typedef struct flk_members_place {
    const flk_daemon_t *daemon;
    const char *address; /* host[:port] or http[s]://host[:port] */
} flk_members_place_t;

typedef struct flk_members_options {
    const char *data_dir; /* of flk up; NULL: FLK_DATA_DIR */
    bool units;           /* those that a target of this host wants */
    flk_members_place_t places[FLK_CLUSTER_MEMBERS_MAX];
    size_t places_len;
} flk_members_options_t;

typedef struct flk_members {
    flk_cluster_view_t view;
    char source[PATH_MAX + 16];                                          /* "in ./flk-data", "of 3 units" */
    char user[FLK_CLUSTER_SECRET_BYTES], pass[FLK_CLUSTER_SECRET_BYTES]; /* of their /metrics */
} flk_members_t;

/* The places when there are any: a name with more than one address of a family is as many processes. Else the units
 * when they are asked for, or when there is no cluster file, no directory was named and this host has units. Else the
 * cluster file. Units change this process' environment. Errors: those of flk_cluster_file_read, flk_unit_enter and
 * settings; FLK_E_NOT_FOUND for a name without an address. */
FLK_MUST_CHECK flk_err_t flk_members_find(const flk_members_options_t *options, flk_members_t *members, char *errmsg);

/* The cluster that flk up runs in this environment's FLK_DATA_DIR now; false when there is none. */
bool flk_members_local(flk_cluster_view_t *view);

#endif
