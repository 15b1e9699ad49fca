/* SPDX-License-Identifier: MIT */
/* use:  takes the link's connection from the dialer
 * add:  puts a command into its pipeline
 * end:  write until full, poll, write on, read, hand the replies out; until nobody owes one
 *
 * A link that fails is given up at once, the others go on and stay usable. At the deadline every link that owes a
 * reply is given up, and at the end each that has one too many: it must not be taken for the answer of a later command.
 * An error reply counts as the answer to its command: the link stays, unless the error is of a kind that lasts
 * (redis/error.h). */
#include "worker/store/redis/roundtrip.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "worker/store/redis/error.h"

void flk_redis_roundtrip_begin(flk_redis_roundtrip_t *trip, flk_redis_link_t *links, size_t links_len,
                               uint64_t deadline_ms, const flk_store_metrics_t *metrics, flk_redis_reply_fn *on_reply,
                               void *arg, char *errmsg) {
    *trip = (flk_redis_roundtrip_t){.links = links,
                                    .links_len = links_len,
                                    .deadline_ms = deadline_ms,
                                    .metrics = metrics,
                                    .on_reply = on_reply,
                                    .arg = arg,
                                    .errmsg = errmsg};
    FLK_ASSERT(links_len <= 2 * FLK_REDIS_SHARDS_MAX);
}

static void fail(flk_redis_roundtrip_t *trip, flk_err_t err, flk_store_fault_t fault, const char *errmsg) {
    trip->failures++;
    if (trip->err == FLK_OK) {
        trip->err = err;
        trip->fault = fault;
        flk_errmsg(trip->errmsg, "%s", errmsg);
    }
}

static void give_up(flk_redis_roundtrip_t *trip, flk_redis_link_t *link, flk_dialer_cause_t cause, flk_err_t err,
                    flk_store_fault_t fault, const char *errmsg) {
    fail(trip, err, fault, errmsg);
    trip->closes += cause == FLK_DIALER_CLOSED;
    link->connection = NULL;
    link->tags_len = link->tags_answered = 0;
    flk_dialer_drop(link->dialer, cause, fault, errmsg);
}

static void give_up_broken(flk_redis_roundtrip_t *trip, flk_redis_link_t *link) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_errmsg(errmsg, "%s: %s", link->shard->name, link->connection->context->errstr);
    int context_err = link->connection->context->err;
    bool memory = context_err == REDIS_ERR_OOM;
    bool closed = link->tags_answered == 0 && (context_err == REDIS_ERR_EOF || context_err == REDIS_ERR_IO);
    give_up(trip, link, closed ? FLK_DIALER_CLOSED : FLK_DIALER_FAILED, memory ? FLK_E_NOMEM : FLK_E_UNAVAILABLE,
            memory ? FLK_FAULT_NO_MEMORY : FLK_FAULT_UNAVAILABLE, errmsg);
}

/* ---- collecting ---- */

void flk_redis_roundtrip_use(flk_redis_roundtrip_t *trip, flk_redis_link_t *link) {
    if (trip->err != FLK_OK || link->connection != NULL) {
        return;
    }
    void *connection;
    flk_store_fault_t fault = FLK_FAULT_NONE;
    char errmsg[FLK_ERRMSG_BYTES];
    flk_err_t err = flk_dialer_get(link->dialer, trip->metrics, trip->deadline_ms, &connection, &fault, errmsg);
    if (err != FLK_OK) {
        fail(trip, err, fault, errmsg);
        return;
    }
    link->connection = connection;
    link->tags_len = link->tags_answered = 0;
    if (link->connection->emptied) {
        link->connection->emptied = false;
        flk_store_metrics_add(trip->metrics, trip->metrics->emptied, 1);
    }
}

static bool push_tag(flk_redis_link_t *link, uint32_t tag) {
    if (link->tags_len == link->tags_cap) {
        size_t cap = link->tags_cap == 0 ? 256 : 2 * link->tags_cap;
        uint32_t *grown = realloc(link->tags, cap * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        link->tags = grown;
        link->tags_cap = cap;
    }
    link->tags[link->tags_len++] = tag;
    return true;
}

void flk_redis_roundtrip_add(flk_redis_roundtrip_t *trip, flk_redis_link_t *link, uint32_t tag, int argc,
                             const char **argv, const size_t *argv_bytes) {
    if (trip->err != FLK_OK) {
        return;
    }
    FLK_ASSERT(link->connection != NULL);
    if (!push_tag(link, tag)) {
        fail(trip, FLK_E_NOMEM, FLK_FAULT_NO_MEMORY, "out of memory");
    } else if (redisAppendCommandArgv(link->connection->context, argc, argv, argv_bytes) != REDIS_OK) {
        give_up_broken(trip, link);
    }
}

/* ---- exchanging ---- */

static size_t owed(const flk_redis_link_t *link) {
    return link->connection != NULL ? link->tags_len - link->tags_answered : 0;
}

static void take_error(flk_redis_roundtrip_t *trip, flk_redis_link_t *link, const char *text) {
    flk_store_fault_t fault;
    bool lasting;
    char errmsg[FLK_ERRMSG_BYTES];
    flk_err_t err = flk_redis_error(link->shard->name, text, &fault, &lasting, errmsg);
    fail(trip, err, fault, errmsg);
    link->distrusted = link->distrusted || lasting;
}

static void take_reply(flk_redis_roundtrip_t *trip, flk_redis_link_t *link, const redisReply *reply) {
    uint32_t tag = link->tags[link->tags_answered++];
    if (reply->type == REDIS_REPLY_ERROR) {
        take_error(trip, link, reply->str);
        return;
    }
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_err_t err = trip->on_reply(trip->arg, link, tag, reply, errmsg);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, link->shard->name);
        fail(trip, err, FLK_FAULT_CORRUPT, errmsg);
    }
}

static void read_replies(flk_redis_roundtrip_t *trip, flk_redis_link_t *link) {
    redisContext *context = link->connection->context;
    if (redisBufferRead(context) != REDIS_OK) {
        give_up_broken(trip, link);
        return;
    }
    while (owed(link) > 0) {
        void *reply = NULL;
        if (redisGetReplyFromReader(context, &reply) != REDIS_OK) {
            give_up_broken(trip, link);
            return;
        }
        if (reply == NULL) {
            return;
        }
        take_reply(trip, link, reply);
        freeReplyObject(reply);
    }
}

/* True when everything was written. */
static bool write_commands(flk_redis_roundtrip_t *trip, flk_redis_link_t *link) {
    int done = 0;
    if (redisBufferWrite(link->connection->context, &done) != REDIS_OK) {
        give_up_broken(trip, link);
        return true;
    }
    return done != 0;
}

static void give_up_late(flk_redis_roundtrip_t *trip) {
    for (size_t i = 0; i < trip->links_len; i++) {
        if (owed(&trip->links[i]) > 0) {
            char errmsg[FLK_ERRMSG_BYTES];
            flk_errmsg(errmsg, "%s: no answer within the store timeout", trip->links[i].shard->name);
            give_up(trip, &trip->links[i], FLK_DIALER_FAILED, FLK_E_UNAVAILABLE, FLK_FAULT_TIMEOUT, errmsg);
        }
    }
}

/* One turn; false when nobody owes a reply. `unwritten` tells which links have commands left. */
static bool exchange(flk_redis_roundtrip_t *trip, bool *unwritten) {
    struct pollfd polls[2 * FLK_REDIS_SHARDS_MAX];
    flk_redis_link_t *polled[2 * FLK_REDIS_SHARDS_MAX];
    nfds_t polls_len = 0;
    for (size_t i = 0; i < trip->links_len; i++) {
        flk_redis_link_t *link = &trip->links[i];
        if (owed(link) > 0 && unwritten[i]) {
            unwritten[i] = !write_commands(trip, link);
        }
        if (owed(link) > 0) {
            short events = (short)(unwritten[i] ? POLLIN | POLLOUT : POLLIN);
            polled[polls_len] = link;
            polls[polls_len++] = (struct pollfd){.fd = link->connection->context->fd, .events = events};
        }
    }
    if (polls_len == 0) {
        return false;
    }
    uint64_t now_ms = flk_mono_ms();
    int left_ms = now_ms < trip->deadline_ms ? (int)(trip->deadline_ms - now_ms) : 0;
    int ready = poll(polls, polls_len, left_ms);
    if (ready == 0 || (ready < 0 && errno != EINTR)) {
        give_up_late(trip);
        return false;
    }
    for (nfds_t i = 0; ready > 0 && i < polls_len; i++) {
        if ((polls[i].revents & (POLLIN | POLLERR | POLLHUP | POLLNVAL)) != 0) {
            read_replies(trip, polled[i]);
        }
    }
    return true;
}

bool flk_redis_roundtrip_may_repeat(const flk_redis_roundtrip_t *trip) {
    return trip->failures > 0 && trip->failures == trip->closes && flk_mono_ms() < trip->deadline_ms;
}

/* Whichever of its replies was the one too many, those of this round trip may be another command's. */
static void judge_order(flk_redis_roundtrip_t *trip, flk_redis_link_t *link) {
    if (link->connection != NULL && flk_redis_is_ahead(link->connection->context)) {
        char errmsg[FLK_ERRMSG_BYTES];
        flk_errmsg(errmsg, "%s: a reply that nobody asked for", link->shard->name);
        give_up(trip, link, FLK_DIALER_FAILED, FLK_E_CORRUPT, FLK_FAULT_CORRUPT, errmsg);
    }
}

flk_err_t flk_redis_roundtrip_end(flk_redis_roundtrip_t *trip) {
    bool unwritten[2 * FLK_REDIS_SHARDS_MAX];
    for (size_t i = 0; i < trip->links_len; i++) {
        unwritten[i] = true;
        flk_store_metrics_add(trip->metrics, trip->metrics->round_trips, owed(&trip->links[i]) > 0);
    }
    while (exchange(trip, unwritten)) {
    }
    for (size_t i = 0; i < trip->links_len; i++) {
        flk_redis_link_t *link = &trip->links[i];
        judge_order(trip, link);
        if (link->connection != NULL && link->distrusted) {
            char errmsg[FLK_ERRMSG_BYTES];
            flk_errmsg(errmsg, "%s", trip->err != FLK_OK ? trip->errmsg : "its outcomes are gone");
            link->connection = NULL;
            flk_dialer_drop(link->dialer, FLK_DIALER_FAILED, trip->fault, errmsg);
        }
        link->connection = NULL;
        link->distrusted = false;
    }
    return trip->err;
}
