/* SPDX-License-Identifier: MIT */
/* slow_worker ENDPOINT THREADS WORK_US: flk-worker with a store that takes WORK_US for each PCS and keeps nothing, so
 * that its threads limit it and not the cores of the machine. Settings (keys) from the environment. Prints "ready";
 * ends with SIGTERM. */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/log.h"
#include "worker/worker.h"

enum { CREDIT = 16 };

static uint64_t work_ns;

static void slow_close(flk_store_t *store) {
    free(store);
}

static flk_err_t slow_lookup(flk_store_t *store, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    (void)store;
    (void)errmsg;
    uint64_t until_ns = flk_mono_ns() + work_ns * items_len;
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000), .tv_nsec = (long)(until_ns % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
    for (size_t i = 0; i < items_len; i++) {
        items[i]->found = false;
    }
    return FLK_OK;
}

static flk_err_t slow_put(flk_store_t *store, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    (void)store;
    (void)errmsg;
    for (size_t i = 0; i < items_len; i++) {
        items[i]->found = false;
    }
    return FLK_OK;
}

static flk_err_t slow_health(flk_store_t *store, char *errmsg) {
    (void)store;
    (void)errmsg;
    return FLK_OK;
}

static void slow_tick(flk_store_t *store, uint64_t mono_ms) {
    (void)store;
    (void)mono_ms;
}

static flk_err_t slow_open(void *arg, flk_store_t **store, char *errmsg) {
    static const flk_store_ops_t ops = {.name = "slow",
                                        .close = slow_close,
                                        .lookup = slow_lookup,
                                        .put = slow_put,
                                        .health = slow_health,
                                        .tick = slow_tick};
    (void)arg;
    (void)errmsg;
    *store = flk_start_alloc(sizeof **store);
    (*store)->ops = &ops;
    (*store)->clock = flk_wall_ms;
    return FLK_OK;
}

static void must(flk_err_t err, const char *errmsg) {
    if (err != FLK_OK) {
        fprintf(stderr, "slow_worker: %s\n", errmsg);
        exit(1);
    }
}

int main(int argc, char **argv) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_settings_t *settings;
    flk_rules_t *rules;
    flk_worker_t *worker;
    sigset_t term;
    int signo;
    if (argc != 4) {
        fprintf(stderr, "usage: slow_worker ENDPOINT THREADS WORK_US\n");
        return 2;
    }
    work_ns = strtoull(argv[3], NULL, 10) * 1000;
    FLK_ASSERT(sodium_init() >= 0);
    flk_log_init("slow_worker", FLK_LOG_ERROR, FLK_LOG_TEXT);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL);
    must(flk_settings_load(FLK_PROGRAM_WORKER, &settings, errmsg), errmsg);
    must(flk_rules_load(settings, NULL, &rules, errmsg), errmsg);
    flk_rulebook_t *book = flk_rulebook_new(rules);
    flk_metrics_t *metrics = flk_metrics_new();
    flk_worker_options_t options = {.backends = argv[1],
                                    .name = "slow",
                                    .threads = (unsigned)atoi(argv[2]),
                                    .credit = CREDIT,
                                    .heartbeat_ms = 1000,
                                    .drain_ms = 1000,
                                    .vouch_ms = 30000,
                                    .book = book,
                                    .metrics = metrics,
                                    .open_store = slow_open};
    must(flk_worker_new(&options, &worker, errmsg), errmsg);
    must(flk_worker_start(worker, errmsg), errmsg);
    while (!flk_worker_ready(worker, errmsg)) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    puts("ready");
    fflush(stdout);
    sigwait(&term, &signo);
    flk_worker_drain(worker);
    flk_worker_destroy(&worker);
    flk_rulebook_destroy(&book);
    flk_metrics_destroy(&metrics);
    flk_settings_destroy(&settings);
    return 0;
}
