/* SPDX-License-Identifier: MIT */
/*   connect, TLS, log in, select the database
 *   refuse a replica (it may be behind) and a node of Redis Cluster (another way to shard)
 *   warn of eviction and of missing persistence
 *   read the server's generation, or make one: see redis/watch.h
 *
 * All of it blocks, on the dialer's thread, within one deadline; only the resolver may take longer. A server that
 * does not let us read INFO or CONFIG is used nevertheless. */
#include "worker/store/redis/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "worker/store/redis/error.h"
#include "worker/store/redis/tls.h"
#include "worker/store/redis/watch.h"

struct dialling {
    const flk_redis_target_t *target;
    redisContext *context;
    uint64_t deadline_ms;
    flk_store_fault_t *fault;
    char *errmsg;
};

static struct timeval time_left(const struct dialling *d) {
    uint64_t now_ms = flk_mono_ms(), left_ms = now_ms < d->deadline_ms ? d->deadline_ms - now_ms : 1;
    return (struct timeval){.tv_sec = (time_t)(left_ms / 1000), .tv_usec = (suseconds_t)(left_ms % 1000) * 1000};
}

static flk_err_t broken(struct dialling *d) {
    const redisContext *context = d->context;
    bool timeout = context->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ETIMEDOUT);
    *d->fault = timeout ? FLK_FAULT_TIMEOUT : FLK_FAULT_UNAVAILABLE;
    flk_errmsg(d->errmsg, "%s: %s", d->target->shard.name, timeout ? "no answer in time" : context->errstr);
    return FLK_E_UNAVAILABLE;
}

/* One command and its reply. Error replies are replies; errors are FLK_E_UNAVAILABLE. */
static flk_err_t ask(struct dialling *d, int argc, const char **argv, redisReply **reply) {
    if (flk_mono_ms() >= d->deadline_ms) {
        *d->fault = FLK_FAULT_TIMEOUT;
        flk_errmsg(d->errmsg, "%s: no answer in time", d->target->shard.name);
        return FLK_E_UNAVAILABLE;
    }
    errno = 0;
    if (redisSetTimeout(d->context, time_left(d)) != REDIS_OK ||
        (*reply = redisCommandArgv(d->context, argc, argv, NULL)) == NULL) {
        return broken(d);
    }
    return FLK_OK;
}

/* A command that must succeed. */
static flk_err_t demand(struct dialling *d, int argc, const char **argv) {
    redisReply *reply;
    flk_err_t err = ask(d, argc, argv, &reply);
    if (err != FLK_OK) {
        return err;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        bool lasting;
        err = flk_redis_error(d->target->shard.name, reply->str, d->fault, &lasting, d->errmsg);
    }
    freeReplyObject(reply);
    return err;
}

static flk_err_t log_in(struct dialling *d) {
    const flk_redis_shard_t *shard = &d->target->shard;
    flk_err_t err = FLK_OK;
    if (shard->user[0] != '\0') {
        err = demand(d, 3, (const char *[]){"AUTH", shard->user, shard->password});
    } else if (shard->password[0] != '\0') {
        err = demand(d, 2, (const char *[]){"AUTH", shard->password});
    }
    if (err == FLK_OK && shard->database != 0) {
        char database[16];
        snprintf(database, sizeof database, "%u", shard->database);
        err = demand(d, 2, (const char *[]){"SELECT", database});
    }
    return err;
}

/* ---- the kind of server ---- */

/* The value of "name:value\r\n" in INFO; false when there is none. */
static bool info_value(const char *info, const char *name, char *value, size_t value_bytes) {
    size_t name_bytes = strlen(name);
    for (const char *at = info; (at = strstr(at, name)) != NULL; at += name_bytes) {
        if ((at == info || at[-1] == '\n') && at[name_bytes] == ':') {
            const char *from = at + name_bytes + 1;
            snprintf(value, value_bytes, "%.*s", (int)strcspn(from, "\r\n"), from);
            return true;
        }
    }
    return false;
}

static flk_err_t refuse(struct dialling *d, flk_store_fault_t fault, const char *why) {
    *d->fault = fault;
    flk_errmsg(d->errmsg, "%s: %s", d->target->shard.name, why);
    return FLK_E_UNAVAILABLE;
}

static flk_err_t judge_info(struct dialling *d, const char *info, const char *save) {
    char value[64], policy[64], aof[64];
    if (info_value(info, "role", value, sizeof value) && strcmp(value, "master") != 0) {
        return refuse(d, FLK_FAULT_READ_ONLY, "it is a replica, which may be behind; REDIS_ADDR must name the primary");
    }
    if (info_value(info, "cluster_enabled", value, sizeof value) && strcmp(value, "1") == 0) {
        return refuse(d, FLK_FAULT_OTHER, "Redis Cluster is not supported: list single servers in REDIS_ADDR");
    }
    bool has_policy = info_value(info, "maxmemory_policy", policy, sizeof policy);
    bool has_aof = info_value(info, "aof_enabled", aof, sizeof aof);
    const char *appendonly = !has_aof ? NULL : strcmp(aof, "1") == 0 ? "yes" : "no";
    flk_redis_watch_config(d->target->shard.name, has_policy ? policy : NULL, appendonly, save);
    return FLK_OK;
}

static flk_err_t examine(struct dialling *d) {
    redisReply *info, *save;
    flk_err_t err = ask(d, 1, (const char *[]){"INFO"}, &info);
    if (err != FLK_OK) {
        return err;
    }
    err = ask(d, 3, (const char *[]){"CONFIG", "GET", "save"}, &save);
    if (err == FLK_OK) {
        bool readable =
            save->type == REDIS_REPLY_ARRAY && save->elements == 2 && save->element[1]->type == REDIS_REPLY_STRING;
        err = judge_info(d, info->type == REDIS_REPLY_STRING ? info->str : "", readable ? save->element[1]->str : NULL);
        freeReplyObject(save);
    }
    freeReplyObject(info);
    return err;
}

/* ---- generation ---- */

/* Reads the server's mark; "" when it has none. */
static flk_err_t read_generation(struct dialling *d, char generation[FLK_REDIS_GENERATION_HEX + 1]) {
    redisReply *reply;
    generation[0] = '\0';
    flk_err_t err = ask(d, 2, (const char *[]){"GET", FLK_REDIS_GENERATION_KEY}, &reply);
    if (err != FLK_OK) {
        return err;
    }
    if (reply->type == REDIS_REPLY_STRING) {
        snprintf(generation, FLK_REDIS_GENERATION_HEX + 1, "%s", reply->str);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        bool lasting;
        err = flk_redis_error(d->target->shard.name, reply->str, d->fault, &lasting, d->errmsg);
    }
    freeReplyObject(reply);
    return err;
}

static flk_err_t meet_generation(struct dialling *d, bool *emptied) {
    char generation[FLK_REDIS_GENERATION_HEX + 1];
    flk_err_t err = read_generation(d, generation);
    if (err == FLK_OK && generation[0] == '\0') {
        char made[FLK_REDIS_GENERATION_HEX + 1];
        snprintf(made, sizeof made, "%016llx", (unsigned long long)flk_random_u64());
        err = demand(d, 4, (const char *[]){"SET", FLK_REDIS_GENERATION_KEY, made, "NX"});
        if (err == FLK_OK) {
            err = read_generation(d, generation);
        }
    }
    if (err == FLK_OK) {
        *emptied = flk_redis_watch_generation(d->target->shard.name, generation);
    }
    return err;
}

/* ---- dialler ---- */

static flk_err_t connect_server(struct dialling *d) {
    const flk_redis_shard_t *shard = &d->target->shard;
    errno = 0;
    d->context = redisConnectWithTimeout(shard->host, shard->port, time_left(d));
    if (d->context == NULL) {
        flk_errmsg(d->errmsg, "%s: out of memory", shard->name);
        return FLK_E_NOMEM;
    }
    if (d->context->err != 0) {
        return broken(d);
    }
    (void)redisEnableKeepAlive(d->context);
    if (!shard->tls) {
        return FLK_OK;
    }
    if (redisSetTimeout(d->context, time_left(d)) != REDIS_OK) {
        return broken(d);
    }
    flk_err_t err = flk_redis_tls_start(d->context, shard->host, d->target->ca_file, d->errmsg);
    if (err != FLK_OK) {
        flk_errmsg_prefix(d->errmsg, shard->name);
        *d->fault = FLK_FAULT_AUTH;
    }
    return err;
}

static flk_err_t make_non_blocking(struct dialling *d) {
    int flags = fcntl(d->context->fd, F_GETFL);
    if (flags < 0 || fcntl(d->context->fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        flk_errmsg(d->errmsg, "%s: %s", d->target->shard.name, strerror(errno));
        return FLK_E_IO;
    }
    d->context->flags &= ~REDIS_BLOCK;
    return FLK_OK;
}

static flk_err_t redis_dial(void *arg, uint64_t timeout_ms, void **out, flk_store_fault_t *fault, char *errmsg) {
    struct dialling d = {.target = arg, .deadline_ms = flk_mono_ms() + timeout_ms, .fault = fault, .errmsg = errmsg};
    flk_redis_connection_t *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    flk_err_t err = connect_server(&d);
    err = err != FLK_OK ? err : log_in(&d);
    err = err != FLK_OK ? err : examine(&d);
    err = err != FLK_OK ? err : meet_generation(&d, &connection->emptied);
    err = err != FLK_OK ? err : make_non_blocking(&d);
    if (err != FLK_OK) {
        if (d.context != NULL) {
            redisFree(d.context);
        }
        free(connection);
        return err;
    }
    connection->context = d.context;
    *out = connection;
    return FLK_OK;
}

/* A server that hung up has said so. One that said something unasked would be one reply ahead from here on: each key
 * would get the outcome of another. Bytes may be TLS's own, too. */
static bool redis_is_closed(void *arg) {
    const flk_redis_connection_t *connection = arg;
    char byte;
    ssize_t got = recv(connection->context->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0) {
        return errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
    }
    return got == 0 || redisBufferRead(connection->context) != REDIS_OK || flk_redis_is_ahead(connection->context);
}

/* Redis goes on with no command whose client has left for longer than the command takes. */
static void redis_hang_up(void *arg, uint64_t timeout_ms) {
    flk_redis_connection_t *connection = arg;
    (void)timeout_ms;
    redisFree(connection->context);
    free(connection);
}

static void redis_free_target(void *target) {
    explicit_bzero(target, sizeof(flk_redis_target_t)); /* the password */
    free(target);
}

const flk_dialer_ops_t flk_redis_dial_ops = {
    .dial = redis_dial, .hang_up = redis_hang_up, .is_closed = redis_is_closed, .free_arg = redis_free_target};
