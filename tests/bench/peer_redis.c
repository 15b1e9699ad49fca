/* SPDX-License-Identifier: MIT */
/* peer_redis PORT [OUTSTANDING SECONDS WARM_SECONDS RECORD_BYTES]: a peer for the ZeroMQ door. The same errand by Redis
 * Streams: a record is durable (appendfsync always) before it is worked on, another process does its HMAC-SHA256, and
 * publishes the answer. The client keeps records outstanding by pipelined XADD; the worker takes up to 64 at a time by
 * XREADGROUP, and sends all its answers and acks with the next XREADGROUP in one write. */
#include <hiredis/hiredis.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/outstanding.h"

enum { BATCH = 64, ANSWER_BYTES = RECORD_BYTES_MIN + crypto_auth_hmacsha256_BYTES };

static redisContext *dial(int port) {
    redisContext *redis = redisConnect("127.0.0.1", port);
    if (redis == NULL || redis->err != 0) {
        fprintf(stderr, "peer_redis: cannot connect to port %d\n", port);
        exit(1);
    }
    redisEnableKeepAlive(redis);
    return redis;
}

static redisReply *must(redisContext *redis, redisReply *reply) {
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        fprintf(stderr, "peer_redis: %s\n", reply != NULL ? reply->str : redis->errstr);
        exit(1);
    }
    return reply;
}

static void command(redisContext *redis, const char *text) {
    freeReplyObject(must(redis, redisCommand(redis, text)));
}

static redisReply *next_reply(redisContext *redis) {
    void *reply = NULL;
    if (redisGetReply(redis, &reply) != REDIS_OK) {
        reply = NULL;
    }
    return must(redis, reply);
}

/* ---- the worker ---- */

static void work_on(redisContext *redis, const redisReply *entry) {
    static const uint8_t key[crypto_auth_hmacsha256_KEYBYTES] = "peer";
    const redisReply *id = entry->element[0], *record = entry->element[1]->element[1];
    uint8_t answer[ANSWER_BYTES];
    memcpy(answer, record->str, RECORD_BYTES_MIN);
    crypto_auth_hmacsha256(answer + RECORD_BYTES_MIN, (const uint8_t *)record->str, record->len, key);
    redisAppendCommand(redis, "PUBLISH answers %b", answer, sizeof answer);
    redisAppendCommand(redis, "XACK records workers %b", id->str, (size_t)id->len);
}

static void run_worker(int port) {
    redisContext *redis = dial(port);
    size_t replies = 0;
    for (;;) {
        redisAppendCommand(redis, "XREADGROUP GROUP workers one COUNT %d BLOCK 0 STREAMS records >", BATCH);
        for (; replies > 0; replies--) {
            freeReplyObject(next_reply(redis));
        }
        redisReply *batch = next_reply(redis);
        if (batch->type == REDIS_REPLY_ARRAY) {
            const redisReply *entries = batch->element[0]->element[1];
            for (size_t i = 0; i < entries->elements; i++) {
                work_on(redis, entries->element[i]);
            }
            replies = 2 * entries->elements;
        }
        freeReplyObject(batch);
    }
}

/* ---- the client ---- */

static void add(redisContext *redis, const outstanding_t *load, unsigned slot) {
    redisAppendCommand(redis, "XADD records MAXLEN ~ 10000 * r %b", outstanding_record(slot), load->record_bytes);
}

/* Takes the replies that have arrived, without waiting; NULL when that is all. */
static redisReply *arrived(redisContext *redis) {
    void *reply = NULL;
    if (redisGetReplyFromReader(redis, &reply) != REDIS_OK) {
        must(redis, NULL);
    }
    return reply == NULL ? NULL : must(redis, reply);
}

static void flush(redisContext *redis) {
    int done = 0;
    while (!done) {
        if (redisBufferWrite(redis, &done) != REDIS_OK) {
            must(redis, NULL);
        }
    }
}

static void take_answer(redisContext *adds, const outstanding_t *load, const redisReply *message) {
    if (message->type == REDIS_REPLY_ARRAY && message->elements == 3 &&
        message->element[2]->type == REDIS_REPLY_STRING) {
        int slot = outstanding_answered(message->element[2]->str, message->element[2]->len);
        if (slot >= 0) {
            add(adds, load, (unsigned)slot);
        }
    }
}

static void run_client(int port, const outstanding_t *load) {
    redisContext *adds = dial(port), *answers = dial(port);
    command(answers, "SUBSCRIBE answers");
    for (unsigned slot = 0; slot < load->slots; slot++) {
        add(adds, load, slot);
    }
    while (outstanding_running()) {
        flush(adds);
        struct pollfd items[] = {{.fd = adds->fd, .events = POLLIN}, {.fd = answers->fd, .events = POLLIN}};
        if (poll(items, FLK_COUNT_OF(items), 100) <= 0) {
            continue;
        }
        for (size_t i = 0; i < FLK_COUNT_OF(items); i++) {
            redisContext *redis = i == 0 ? adds : answers;
            if (items[i].revents != 0 && redisBufferRead(redis) != REDIS_OK) {
                must(redis, NULL);
            }
            for (redisReply *reply; (reply = arrived(redis)) != NULL; freeReplyObject(reply)) {
                take_answer(adds, load, reply);
            }
        }
    }
    outstanding_print();
    redisFree(adds);
    redisFree(answers);
}

int main(int argc, char **argv) {
    int port = argc > 1 ? atoi(argv[1]) : 6379;
    outstanding_t load;
    FLK_ASSERT(sodium_init() >= 0);
    redisContext *redis = dial(port);
    command(redis, "DEL records");
    command(redis, "XGROUP CREATE records workers $ MKSTREAM");
    redisFree(redis);
    pid_t worker = fork();
    if (worker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run_worker(port);
    }
    outstanding_open(&load, argc - 2, argv + 2);
    run_client(port, &load);
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    return 0;
}
