/* SPDX-License-Identifier: MIT */
#include "gateway/agents.h"

#include <stdlib.h>

typedef struct agent {
    flk_peer_t peer;
    bool introduced;
    uint32_t unanswered; /* submissions */
} agent_t;

struct flk_agents {
    flk_peers_t peers;
    uint32_t credit;
};

flk_agents_t *flk_agents_new(uint32_t credit) {
    flk_agents_t *agents = flk_start_alloc(sizeof *agents);
    agents->credit = credit;
    return agents;
}

static agent_t *find(const flk_agents_t *agents, const flk_route_t *route) {
    return (agent_t *)flk_peers_by_route(&agents->peers, route);
}

static void remove_agent(void *arg, flk_peer_t *peer) {
    flk_agents_t *agents = arg;
    flk_peers_remove(&agents->peers, peer);
    free(peer); /* an agent: its peer is its first member */
}

static flk_err_t enter(flk_agents_t *agents, const flk_route_t *route, const char *user, uint64_t now_ms,
                       agent_t **agent) {
    *agent = find(agents, route);
    if (*agent == NULL) {
        if (agents->peers.count >= FLK_AGENTS_MAX) {
            return FLK_E_FULL;
        }
        *agent = calloc(1, sizeof **agent);
        if (*agent == NULL) {
            return FLK_E_NOMEM;
        }
        flk_peers_add(&agents->peers, &(*agent)->peer, route, user, now_ms);
    }
    (*agent)->peer.heard_ms = now_ms;
    return FLK_OK;
}

flk_err_t flk_agents_introduce(flk_agents_t *agents, const flk_route_t *route, const char *user, uint64_t now_ms) {
    agent_t *agent;
    flk_err_t err = enter(agents, route, user, now_ms, &agent);
    if (err == FLK_OK) {
        agent->introduced = true;
    }
    return err;
}

bool flk_agents_heard(flk_agents_t *agents, const flk_route_t *route, uint64_t now_ms) {
    agent_t *agent = find(agents, route);
    if (agent == NULL) {
        return false;
    }
    agent->peer.heard_ms = now_ms;
    return agent->introduced;
}

void flk_agents_remove(flk_agents_t *agents, const flk_route_t *route) {
    agent_t *agent = find(agents, route);
    if (agent != NULL) {
        remove_agent(agents, &agent->peer);
    }
}

flk_err_t flk_agents_take(flk_agents_t *agents, const flk_route_t *route, const char *user, uint64_t now_ms) {
    agent_t *agent;
    flk_err_t err = enter(agents, route, user, now_ms, &agent);
    if (err == FLK_OK && agent->unanswered >= agents->credit) {
        err = FLK_E_FULL;
    }
    if (err == FLK_OK) {
        agent->unanswered++;
    }
    return err;
}

bool flk_agents_give(flk_agents_t *agents, const flk_route_t *route) {
    agent_t *agent = find(agents, route);
    if (agent != NULL && agent->unanswered > 0) {
        agent->unanswered--;
    }
    return agent != NULL;
}

void flk_agents_each(const flk_agents_t *agents, flk_agents_visit_fn *visit, void *arg) {
    for (const flk_peer_t *peer = agents->peers.first; peer != NULL; peer = peer->next) {
        if (((const agent_t *)peer)->introduced) {
            visit(arg, &peer->route);
        }
    }
}

void flk_agents_sweep(flk_agents_t *agents, uint64_t now_ms) {
    flk_peer_t *next;
    for (flk_peer_t *peer = agents->peers.first; peer != NULL; peer = next) {
        next = peer->next;
        if (now_ms - peer->heard_ms > FLK_AGENT_SILENCE_MS_MAX && ((agent_t *)peer)->unanswered == 0) {
            remove_agent(agents, peer);
        }
    }
}

void flk_agents_judge(flk_agents_t *agents, flk_zap_t *zap, const void *socket) {
    flk_peers_judge(&agents->peers, zap, socket, remove_agent, agents);
}

void flk_agents_destroy(flk_agents_t **agents) {
    if (*agents != NULL) {
        flk_peers_each(&(*agents)->peers, remove_agent, *agents);
        free(*agents);
        *agents = NULL;
    }
}
