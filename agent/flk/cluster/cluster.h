/* SPDX-License-Identifier: MIT */
/* A local cluster: which processes, with which addresses, in which directory. Owned by one thread. */
#ifndef FLK_AGENT_FLK_CLUSTER_CLUSTER_H
#define FLK_AGENT_FLK_CLUSTER_CLUSTER_H

#include "agent/flk/cluster/child.h"

enum {
    FLK_CLUSTER_WORKERS_MAX = 64,
    FLK_CLUSTER_MEMBERS_MAX = 256,
    FLK_CLUSTER_ENDPOINT_BYTES = 256,
    FLK_CLUSTER_SECRET_BYTES = 256
};

typedef struct flk_cluster_options {
    unsigned workers;      /* 1..FLK_CLUSTER_WORKERS_MAX */
    const char *data_dir;  /* NULL = FLK_DATA_DIR */
    const char *http;      /* NULL = FLK_HTTP_LISTEN */
    unsigned ports_offset; /* added to the port of each address that nobody set */
    bool curve;            /* ZeroMQ links encrypted, with keys in the data directory */
} flk_cluster_options_t;

typedef struct flk_cluster {
    char data_dir[PATH_MAX];                                             /* absolute */
    char http[FLK_CHILD_ADDRESS_BYTES];                                  /* connectable host:port of the HTTP door */
    char zmq[FLK_CLUSTER_ENDPOINT_BYTES];                                /* endpoint of the ZeroMQ door, or "off" */
    char user[FLK_CLUSTER_SECRET_BYTES], pass[FLK_CLUSTER_SECRET_BYTES]; /* of /metrics; "" = open */
    char keys[PATH_MAX]; /* FLK_CURVE_DIR of all; "" = links without CURVE, or by the environment's keys */
    char frontends[FLK_CLUSTER_ENDPOINT_BYTES], backends[FLK_CLUSTER_ENDPOINT_BYTES]; /* of the broker */
    char feed[FLK_CHILD_ADDRESS_BYTES];                                               /* connectable host:port */
    bool is_signed; /* the workers verify signatures */
    int lock_fd;
    flk_child_t *children; /* in the order of starting: broker, workers, gateway, follow */
    size_t children_len;
} flk_cluster_t;

/* Reads and checks the settings of all programs, makes and locks the directory, checks that every address is free,
 * makes the keys that are not there yet, and lays out the children; starts nothing. Errors: FLK_E_CONFIG, FLK_E_LOCKED,
 * FLK_E_NOT_FOUND, FLK_E_IO, each with one line in errmsg. Caller frees with flk_cluster_destroy also after an error.
 */
FLK_MUST_CHECK flk_err_t flk_cluster_plan(const flk_cluster_options_t *options, flk_cluster_t **cluster, char *errmsg);
void flk_cluster_destroy(flk_cluster_t **cluster);

#endif
