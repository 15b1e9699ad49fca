/* SPDX-License-Identifier: MIT */
/* The agents at the ZeroMQ door: peers, and how many answers each still waits for. An agent that outlived this
 * gateway's restart is not introduced; it is asked to do that again, and then sends each submission without an answer
 * again. One owner thread. */
#ifndef FLK_GATEWAY_AGENTS_H
#define FLK_GATEWAY_AGENTS_H

#include "proto/peers.h"

enum { FLK_AGENTS_MAX = 65536, FLK_AGENT_SILENCE_MS_MAX = 60000 };

typedef struct flk_agents flk_agents_t; /* Opaque; fields are commented in agents.c. */

/* `credit`: submissions that one agent may have unanswered. Start-up allocation. */
flk_agents_t *flk_agents_new(uint32_t credit);
void flk_agents_destroy(flk_agents_t **agents);

/* A HELLO; `user` is the agent's key ("" over a plain link). FLK_E_FULL above FLK_AGENTS_MAX, FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_agents_introduce(flk_agents_t *agents, const flk_route_t *route, const char *user,
                                              uint64_t now_ms);
/* Any frame; false when that route has not introduced itself. */
bool flk_agents_heard(flk_agents_t *agents, const flk_route_t *route, uint64_t now_ms);
/* A GOODBYE: answers for it are of no use any more. Unknown is fine. */
void flk_agents_remove(flk_agents_t *agents, const flk_route_t *route);

/* A SUBMIT takes credit, introduced or not; its answer gives it back. FLK_E_FULL: over credit, or above FLK_AGENTS_MAX;
 * FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_agents_take(flk_agents_t *agents, const flk_route_t *route, const char *user,
                                         uint64_t now_ms);
/* False: the agent is not known any more, since it said GOODBYE or was put out: it shall get no answer. */
bool flk_agents_give(flk_agents_t *agents, const flk_route_t *route);

/* Removes the agents whose key is no longer allowed on `socket`. */
void flk_agents_judge(flk_agents_t *agents, flk_zap_t *zap, const void *socket);

/* Forgets those that wait for nothing and were silent for longer than FLK_AGENT_SILENCE_MS_MAX. */
void flk_agents_sweep(flk_agents_t *agents, uint64_t now_ms);

/* Calls `visit` for each that has introduced itself; it must not change the table. */
typedef void flk_agents_visit_fn(void *arg, const flk_route_t *route);
void flk_agents_each(const flk_agents_t *agents, flk_agents_visit_fn *visit, void *arg);

#endif
