/* SPDX-License-Identifier: MIT */
/* DATA_DIR/cluster.json: the processes that `flk up` runs, for `flk status` and for people. Written anew at each
 * change, gone when the cluster has stopped. */
#ifndef FLK_AGENT_FLK_CLUSTER_CLUSTER_FILE_H
#define FLK_AGENT_FLK_CLUSTER_CLUSTER_FILE_H

#include "agent/flk/cluster/cluster.h"

/* Replaces the file, synced. Errors: FLK_E_NOMEM, and those of flk_io_replace. */
FLK_MUST_CHECK flk_err_t flk_cluster_file_write(const flk_cluster_t *cluster, char *errmsg);
void flk_cluster_file_remove(const flk_cluster_t *cluster);

typedef struct flk_cluster_member {
    char name[FLK_CHILD_NAME_BYTES];
    char program[FLK_CHILD_NAME_BYTES];
    char address[FLK_CLUSTER_ENDPOINT_BYTES]; /* of its pages: host:port, or https://host:port */
    long pid;                                 /* 0: not running now; -1: not known */
    unsigned restarts;
    int64_t started_ms;
} flk_cluster_member_t;

typedef struct flk_cluster_view {
    char http[FLK_CHILD_ADDRESS_BYTES];
    char zmq[FLK_CLUSTER_ENDPOINT_BYTES];
    long pid; /* of flk up */
    int64_t started_ms;
    flk_cluster_member_t members[FLK_CLUSTER_MEMBERS_MAX];
    size_t members_len;
} flk_cluster_view_t;

/* FLK_E_NOT_FOUND: no cluster there; FLK_E_CORRUPT: not a file of ours. Both with a line in errmsg. */
FLK_MUST_CHECK flk_err_t flk_cluster_file_read(const char *data_dir, flk_cluster_view_t *view, char *errmsg);

#endif
