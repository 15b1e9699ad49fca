/* SPDX-License-Identifier: MIT */
#include "gateway/agents.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

enum { BUCKETS = 4096 };

typedef struct agent {
    struct agent *next; /* in its bucket */
    flk_route_t route;
    char user[FLK_CURVE_TEXT_BYTES];
    bool introduced;
    uint32_t unanswered; /* submissions */
    uint64_t heard_ms;
} agent_t;

struct flk_agents {
    agent_t *buckets[BUCKETS];
    size_t len;
    uint32_t credit;
};

flk_agents_t *flk_agents_new(uint32_t credit) {
    flk_agents_t *agents = flk_start_alloc(sizeof *agents);
    agents->credit = credit;
    return agents;
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

static flk_err_t enter(flk_agents_t *agents, const flk_route_t *route, const char *user, uint64_t now_ms,
                       agent_t **agent) {
    agent_t **at = find(agents, route);
    if (*at == NULL) {
        if (agents->len >= FLK_AGENTS_MAX) {
            return FLK_E_FULL;
        }
        *at = calloc(1, sizeof **at);
        if (*at == NULL) {
            return FLK_E_NOMEM;
        }
        (*at)->route = *route;
        snprintf((*at)->user, sizeof(*at)->user, "%s", user);
        agents->len++;
    }
    (*at)->heard_ms = now_ms;
    *agent = *at;
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
    agent_t *agent = *find(agents, route);
    if (agent == NULL) {
        return false;
    }
    agent->heard_ms = now_ms;
    return agent->introduced;
}

void flk_agents_remove(flk_agents_t *agents, const flk_route_t *route) {
    agent_t **at = find(agents, route);
    if (*at != NULL) {
        unlink_at(agents, at);
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
    agent_t *agent = *find(agents, route);
    if (agent != NULL && agent->unanswered > 0) {
        agent->unanswered--;
    }
    return agent != NULL;
}

typedef bool leaves_fn(const agent_t *agent, void *arg);

static void remove_all(flk_agents_t *agents, leaves_fn *leaves, void *arg) {
    for (size_t i = 0; i < BUCKETS; i++) {
        agent_t **at = &agents->buckets[i];
        while (*at != NULL) {
            if (leaves(*at, arg)) {
                unlink_at(agents, at);
            } else {
                at = &(*at)->next;
            }
        }
    }
}

void flk_agents_each(const flk_agents_t *agents, flk_agents_visit_fn *visit, void *arg) {
    for (size_t i = 0; i < BUCKETS; i++) {
        for (const agent_t *agent = agents->buckets[i]; agent != NULL; agent = agent->next) {
            if (agent->introduced) {
                visit(arg, &agent->route);
            }
        }
    }
}

static bool is_forgotten(const agent_t *agent, void *now_ms) {
    return *(uint64_t *)now_ms - agent->heard_ms > FLK_AGENT_SILENCE_MS_MAX && agent->unanswered == 0;
}

void flk_agents_sweep(flk_agents_t *agents, uint64_t now_ms) {
    remove_all(agents, is_forgotten, &now_ms);
}

typedef struct judge {
    flk_agents_keep_fn *keeps;
    void *arg;
} judge_t;

static bool is_put_out(const agent_t *agent, void *arg) {
    const judge_t *judge = arg;
    return !judge->keeps(judge->arg, agent->user);
}

void flk_agents_judge(flk_agents_t *agents, flk_agents_keep_fn *keeps, void *arg) {
    judge_t judge = {.keeps = keeps, .arg = arg};
    remove_all(agents, is_put_out, &judge);
}

size_t flk_agents_len(const flk_agents_t *agents) {
    return agents->len;
}

void flk_agents_destroy(flk_agents_t **agents) {
    flk_agents_t *mine = *agents;
    *agents = NULL;
    for (size_t i = 0; mine != NULL && i < BUCKETS; i++) {
        while (mine->buckets[i] != NULL) {
            unlink_at(mine, &mine->buckets[i]);
        }
    }
    free(mine);
}
