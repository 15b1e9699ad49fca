/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/redis_rig.h"

redisContext *redis_rig_connect(const redis_rig_t *rig) {
    redisContext *context = redisConnectWithTimeout("127.0.0.1", (int)rig->port, (struct timeval){.tv_sec = 10});
    ck_assert_ptr_nonnull(context);
    return context;
}

static bool redis_rig_answers(const redis_rig_t *rig) {
    redisContext *context = redis_rig_connect(rig);
    redisReply *reply = context->err == 0 ? redisCommand(context, "PING") : NULL;
    bool answers = reply != NULL && (reply->type == REDIS_REPLY_STATUS || strncmp(reply->str, "NOAUTH", 6) == 0);
    freeReplyObject(reply);
    redisFree(context);
    return answers;
}

void redis_rig_spawn(redis_rig_t *rig, const char *parent) {
    char port[16], log_path[128];
    if (rig->port == 0) {
        rig->port = rig_free_port();
    }
    snprintf(rig->address, sizeof rig->address, "127.0.0.1:%u", rig->port);
    snprintf(rig->dir, sizeof rig->dir, "%s/redis-%u", parent, rig->port);
    snprintf(log_path, sizeof log_path, "%s/redis-%u.log", parent, rig->port);
    snprintf(port, sizeof port, "%u", rig->port);
    const char *mkdir_argv[] = {"mkdir", "-p", rig->dir, NULL};
    rig_run(log_path, 0, 0, mkdir_argv);
    const char *argv[32] = {"redis-server", "--port",        port,       "--bind", "127.0.0.1",
                            "--dir",        rig->dir,        "--save",   "",       "--appendonly",
                            "yes",          "--appendfsync", "everysec", "--hz",   "100"};
    size_t argc = 15;
    for (size_t i = 0; rig->extra[i] != NULL; i++) {
        argv[argc++] = rig->extra[i];
    }
    rig->pid = rig_start(log_path, 0, 0, argv);
}

void redis_rig_wait(const redis_rig_t *rig) {
    uint64_t give_up_ms = flk_mono_ms() + RIG_PATIENCE_MS;
    while (!redis_rig_answers(rig)) {
        rig_alive(rig->pid, "redis-server");
        ck_assert_msg(flk_mono_ms() < give_up_ms, "redis-server does not answer; see %s.log", rig->dir);
        poll(NULL, 0, 2);
    }
}

void redis_rig_start(redis_rig_t *rig, const char *parent) {
    redis_rig_spawn(rig, parent);
    redis_rig_wait(rig);
}

void redis_rig_signal(redis_rig_t *rig, int signo) {
    ck_assert_int_eq(kill(rig->pid, signo), 0);
}

/* SIGTERM lets it write its data, SIGKILL does not. */
static void redis_rig_end(redis_rig_t *rig, int signo) {
    if (rig->pid != 0) {
        kill(rig->pid, signo);
        (void)rig_reap(rig->pid);
        rig->pid = 0;
    }
}

void redis_rig_stop(redis_rig_t *rig) {
    redis_rig_end(rig, SIGTERM);
}

void redis_rig_kill(redis_rig_t *rig) {
    redis_rig_end(rig, SIGKILL);
}

void redis_rig_wipe(const redis_rig_t *rig) {
    const char *argv[] = {"rm", "-rf", rig->dir, NULL};
    rig_run("/dev/null", 0, 0, argv);
}

long long redis_rig_do(const redis_rig_t *rig, const char *command) {
    redisContext *context = redis_rig_connect(rig);
    ck_assert_msg(context->err == 0, "%s", context->errstr);
    redisReply *reply = redisCommand(context, command);
    ck_assert_ptr_nonnull(reply);
    ck_assert_msg(reply->type != REDIS_REPLY_ERROR, "%s: %s", command, reply->str);
    long long number = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
    freeReplyObject(reply);
    redisFree(context);
    return number;
}
