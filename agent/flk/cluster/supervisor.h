/* SPDX-License-Identifier: MIT */
/* Runs a planned cluster: starts it, waits until it is ready, starts ended processes again, stops it in order. Blocks;
 * takes SIGINT, SIGTERM, SIGHUP and SIGCHLD of the process for itself. */
#ifndef FLK_AGENT_FLK_CLUSTER_SUPERVISOR_H
#define FLK_AGENT_FLK_CLUSTER_SUPERVISOR_H

#include "agent/flk/cluster/cluster.h"

typedef struct flk_supervisor flk_supervisor_t; /* Opaque. */

/* `cluster` is borrowed until flk_supervisor_destroy. Blocks the signals, so call it before any thread is
 * made. Errors: FLK_E_IO. Caller frees with flk_supervisor_destroy. */
FLK_MUST_CHECK flk_err_t flk_supervisor_new(flk_cluster_t *cluster, flk_supervisor_t **supervisor, char *errmsg);
void flk_supervisor_destroy(flk_supervisor_t **supervisor);

/* Starts all and waits until each /readyz says 200. Errors: FLK_E_CLOSED, asked to stop meanwhile; FLK_E_CONFIG,
 * one refused its settings; FLK_E_UNAVAILABLE, one ended or was not ready in time: errmsg names it, with the last line
 * of its log. The caller stops the rest. */
FLK_MUST_CHECK flk_err_t flk_supervisor_start(flk_supervisor_t *supervisor, char *errmsg);

/* Until SIGINT, SIGTERM, or the SIGHUP of a terminal that is closed. Without a terminal SIGHUP goes on to all: they
 * reload keys and policy. */
void flk_supervisor_run(flk_supervisor_t *supervisor);

/* SIGTERM to the gateway, then the workers, then the broker, each once the former have ended. A second SIGINT or
 * SIGTERM, or 30 s without an end, kills the rest. False when something had to be killed. */
bool flk_supervisor_stop(flk_supervisor_t *supervisor);

#endif
