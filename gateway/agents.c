/* SPDX-License-Identifier: MIT */
#include "gateway/agents.h"

#include <stdlib.h>
#include <xxhash.h>

enum { BUCKETS = 1024 };

typedef struct agent {
    struct agent *next; /* in its bucket */
    flk_route_t route;
    uint64_t heard_ms;
} agent_t;

struct flk_agents {
    agent_t *buckets[BUCKETS];
    size_t len;
};

flk_agents_t *flk_agents_new(void) {
    return flk_start_alloc(sizeof(flk_agents_t));
}

/* The place of the pointer to the agent, or of the NULL where it would be. */
static agent_t **find(flk_agents_t *agents, const flk_route_t *route) {
    agent_t **at = &agents->buckets[XXH3_64bits(route->id, route->bytes) % BUCKETS];
    while (*at != NULL && !flk_route_equal(&(*at)->route, route)) {
        at = &(*at)->next;
    }
    return at;
}

static void unlink_at(flk_agents_t *agents, agent_t **at) {
    agent_t *gone = *at;
    *at = gone->next;
    free(gone);
    agents->len--;
}

flk_err_t flk_agents_add(flk_agents_t *agents, const flk_route_t *route, uint64_t now_ms) {
    agent_t **at = find(agents, route);
    if (*at == NULL) {
        if (agents->len >= FLK_AGENTS_MAX) {
            return FLK_E_FULL;
        }
        agent_t *agent = calloc(1, sizeof *agent);
        if (agent == NULL) {
            return FLK_E_NOMEM;
        }
        agent->route = *route;
        *at = agent;
        agents->len++;
    }
    (*at)->heard_ms = now_ms;
    return FLK_OK;
}

bool flk_agents_heard(flk_agents_t *agents, const flk_route_t *route, uint64_t now_ms) {
    agent_t *agent = *find(agents, route);
    if (agent != NULL) {
        agent->heard_ms = now_ms;
    }
    return agent != NULL;
}

void flk_agents_remove(flk_agents_t *agents, const flk_route_t *route) {
    agent_t **at = find(agents, route);
    if (*at != NULL) {
        unlink_at(agents, at);
    }
}

void flk_agents_sweep(flk_agents_t *agents, uint64_t now_ms) {
    for (size_t i = 0; i < BUCKETS; i++) {
        agent_t **at = &agents->buckets[i];
        while (*at != NULL) {
            if (now_ms - (*at)->heard_ms > FLK_AGENT_SILENCE_MS_MAX) {
                unlink_at(agents, at);
            } else {
                at = &(*at)->next;
            }
        }
    }
}

size_t flk_agents_len(const flk_agents_t *agents) {
    return agents->len;
}

void flk_agents_destroy(flk_agents_t **agents) {
    flk_agents_t *mine = *agents;
    *agents = NULL;
    if (mine == NULL) {
        return;
    }
    flk_agents_sweep(mine, UINT64_MAX); /* everybody was silent until then */
    free(mine);
}
