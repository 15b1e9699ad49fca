/* SPDX-License-Identifier: MIT */
/* flk-worker. Reading order: worker, loop, batch, verify, rules, pulse; then store/: store, its backends, tool.
 *
 * Start: settings, rules (keys and policy), stores and sockets, admin pages, threads. Then signals: SIGHUP loads the
 * rules anew, a signal to stop drains. Once a second the main thread looks at the files that rules and secrets come
 * from: a change is as good as a SIGHUP. */
#include <stdio.h>
#include <string.h>

#include "common/file_watch.h"
#include "common/http/admin.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/pcs/policy/compare.h"
#include "common/program/notify.h"
#include "common/program/program.h"
#include "proto/endpoint.h"
#include "proto/uplink.h"
#include "worker/policy_info.h"
#include "worker/store/tool.h"
#include "worker/worker.h"

enum { DRAIN_MS = 5000, VOUCH_MS = 30000, LOOK_MS = 1000 };

struct program {
    const flk_settings_t *settings;
    flk_metrics_t *metrics;
    flk_store_options_t store;
    flk_key_metrics_t *key_metrics;
    flk_policy_info_t *policy_info;
    flk_rulebook_t *book;
    flk_file_watch_t watch; /* of the files that the rules were read from */
    flk_security_t *security;
    flk_worker_t *worker;
    flk_admin_t *admin;
};

static unsigned threads_wanted(const flk_settings_t *settings) {
    uint64_t threads = flk_settings_uint(settings, FLK_SET_WORKER_THREADS);
    unsigned cores = flk_machine_cores();
    return threads != 0 ? (unsigned)threads : cores > FLK_INSTANCES_MAX ? FLK_INSTANCES_MAX : cores;
}

static flk_err_t open_store(void *arg, flk_store_t **store, char *errmsg) {
    return flk_store_open(arg, store, errmsg);
}

static void watch_files(struct program *program, const flk_settings_t *settings) {
    const char *paths[FLK_WATCHED_MAX];
    const flk_setting_id_t files[] = {FLK_SET_KEYRING_FILE, FLK_SET_POLICY_FILE};
    size_t len = flk_settings_files(settings, paths, FLK_WATCHED_MAX - FLK_COUNT_OF(files));
    for (size_t i = 0; i < FLK_COUNT_OF(files); i++) {
        const char *path = flk_settings_str(settings, files[i]);
        if (path[0] != '\0') {
            paths[len++] = path;
        }
    }
    flk_file_watch_init(&program->watch, paths, len);
}

static void warn_unsigned(struct program *program) {
    const flk_rules_t *rules = flk_rulebook_turn_to(program->book, NULL);
    bool is_signed = flk_keyring_alg(rules->keyring) != FLK_SIGN_NONE;
    flk_rulebook_leave(program->book, rules);
    if (!is_signed) {
        flk_log(FLK_LOG_WARN, "signing_off", FLK_S("effect", "anybody's PCS is believed"),
                FLK_S("do", "set PCS_SIGN_ALG, and the keys of the agents"));
    }
}

static void show_rules(struct program *program) {
    const flk_rules_t *rules = flk_rulebook_turn_to(program->book, NULL);
    flk_key_metrics_show(program->key_metrics, rules->keyring, flk_wall_ms() / 1000);
    flk_policy_info_show(program->policy_info, &rules->policy);
    flk_rulebook_leave(program->book, rules);
}

static flk_err_t make_rulebook(struct program *program, const flk_settings_t *settings, char *errmsg) {
    flk_rules_t *rules;
    program->key_metrics = flk_key_metrics_new(program->metrics);
    program->policy_info = flk_policy_info_new(program->metrics);
    watch_files(program, settings);
    flk_err_t err = flk_rules_load(settings, program->key_metrics, &rules, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_store_options(settings, rules->policy.dedup_ttl_s, &program->store);
    program->store.metrics = program->metrics;
    program->book = flk_rulebook_new(rules);
    if (program->book == NULL) {
        flk_rules_destroy(&rules);
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    show_rules(program);
    return FLK_OK;
}

static uint32_t credit_wanted(const flk_settings_t *settings) {
    uint64_t wanted = flk_settings_uint(settings, FLK_SET_WORKER_CREDIT);
    return wanted != FLK_SETTING_AUTO ? (uint32_t)wanted : 0;
}

static flk_err_t make_worker(struct program *program, char *errmsg) {
    const flk_settings_t *settings = program->settings;
    char name[FLK_NAME_MAX + 1];
    flk_uplink_own_name("worker", name);
    flk_worker_options_t options = {
        .backends = flk_settings_str(settings, FLK_SET_BACKENDS),
        .security = program->security,
        .name = name,
        .threads = threads_wanted(settings),
        .credit = credit_wanted(settings),
        .heartbeat_ms = (uint32_t)flk_settings_uint(settings, FLK_SET_HEARTBEAT_MS),
        .drain_ms = DRAIN_MS,
        .vouch_ms = VOUCH_MS,
        .book = program->book,
        .metrics = program->metrics,
        .open_store = open_store,
        .open_store_arg = &program->store,
    };
    return flk_worker_new(&options, &program->worker, errmsg);
}

static flk_err_t start_admin(struct program *program, char *errmsg) {
    flk_admin_options_t options = {
        .metrics = program->metrics,
        .ready = flk_worker_ready,
        .ready_arg = program->worker,
        .user = flk_settings_str(program->settings, FLK_SET_METRICS_USER),
        .pass = flk_settings_str(program->settings, FLK_SET_METRICS_PASS),
    };
    flk_err_t err =
        flk_admin_start(flk_settings_str(program->settings, FLK_SET_ADMIN_LISTEN), &options, &program->admin, errmsg);
    return flk_err_at(err, "FLK_ADMIN_LISTEN", errmsg);
}

/* Tolerances never widen within one version. */
static bool may_follow(const struct program *program, const flk_rules_t *rules, char *errmsg) {
    const flk_rules_t *held = flk_rulebook_turn_to(program->book, NULL);
    flk_err_t err = flk_policy_may_follow(&held->policy, &rules->policy, errmsg);
    flk_rulebook_leave(program->book, held);
    return err == FLK_OK;
}

/* Loads keys and policy from the files anew. A fault is logged and counted, and the rules of before stay in force. */
static void reload_rules(struct program *program) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_settings_t *settings = NULL;
    flk_rules_t *rules = NULL;
    flk_file_watch_mark(&program->watch); /* first: a file written from now on is another change */
    bool ok = flk_settings_load(FLK_PROGRAM_WORKER, &settings, errmsg) == FLK_OK &&
              flk_rules_load(settings, program->key_metrics, &rules, errmsg) == FLK_OK;
    ok = ok && may_follow(program, rules, errmsg);
    flk_key_metrics_reloaded(program->key_metrics, ok);
    if (ok) {
        flk_log(FLK_LOG_INFO, "rules_reloaded", FLK_S("policy_version", rules->policy.version),
                FLK_U("keys", flk_keyring_len(rules->keyring)));
        flk_rulebook_publish(program->book, rules);
        warn_unsigned(program);
    } else {
        flk_log(FLK_LOG_ERROR, "rules_refused", FLK_S("error", errmsg), FLK_S("kept", "the keys and policy of before"));
        flk_rules_destroy(&rules);
    }
    flk_settings_destroy(&settings);
}

static void look_around(struct program *program) {
    if (flk_file_watch_look(&program->watch)) {
        flk_log(FLK_LOG_INFO, "files_changed");
        reload_rules(program);
    }
    show_rules(program);
    flk_notify_alive(flk_mono_ms());
}

static void wait_for_stop(struct program *program) {
    for (;;) {
        switch (flk_program_wait(LOOK_MS)) {
        case FLK_WAKE_PERIOD:
            look_around(program);
            break;
        case FLK_WAKE_RELOAD:
            reload_rules(program);
            break;
        case FLK_WAKE_STOP:
            return;
        }
    }
}

/* All that comes before the first socket and the first write. */
static flk_err_t prepare(struct program *program, const flk_settings_t *settings, char *errmsg) {
    const char *admin = flk_settings_str(settings, FLK_SET_ADMIN_LISTEN);
    program->metrics = flk_program_metrics();
    flk_err_t err = flk_security_load(settings, FLK_ROLE_BROKER, 0, &program->security, errmsg);
    err = err != FLK_OK ? err : make_rulebook(program, settings, errmsg);
    err = err != FLK_OK ? err
                        : flk_endpoints_check(program->security, "FLK_BACKENDS",
                                              flk_settings_str(settings, FLK_SET_BACKENDS), errmsg);
    err = err != FLK_OK ? err : flk_store_check(&program->store, errmsg);
    err = err != FLK_OK ? err : flk_err_at(flk_admin_check(admin, errmsg), "FLK_ADMIN_LISTEN", errmsg);
    if (err == FLK_OK) {
        warn_unsigned(program);
    }
    return err;
}

static flk_err_t start(struct program *program, char *errmsg) {
    flk_err_t err = prepare(program, program->settings, errmsg);
    err = err != FLK_OK ? err : make_worker(program, errmsg);
    err = err != FLK_OK ? err : start_admin(program, errmsg);
    return err != FLK_OK ? err : flk_worker_start(program->worker, errmsg);
}

static void stop(struct program *program) {
    if (program->worker != NULL) {
        flk_worker_drain(program->worker);
    }
    flk_admin_stop(&program->admin); /* while it drained, /readyz said so */
    flk_worker_destroy(&program->worker);
    flk_security_destroy(&program->security);
    flk_rulebook_destroy(&program->book);
    flk_metrics_destroy(&program->metrics);
    flk_key_metrics_destroy(&program->key_metrics);
    flk_policy_info_destroy(&program->policy_info);
}

static flk_err_t check(const flk_settings_t *settings, char *errmsg) {
    struct program program = {0};
    flk_err_t err = prepare(&program, settings, errmsg);
    stop(&program);
    return err;
}

static flk_err_t serve(const flk_settings_t *settings, char *errmsg) {
    struct program program = {.settings = settings};
    flk_err_t err = start(&program, errmsg);
    if (err == FLK_OK) {
        flk_log(FLK_LOG_INFO, "worker_started", FLK_U("threads", threads_wanted(settings)),
                FLK_S("store", program.store.backend),
                FLK_U("admin_port", program.admin != NULL ? flk_admin_port(program.admin) : 0));
        flk_notify(FLK_NOTIFY_READY); /* with its store down it answers "unavailable": it serves, and /readyz tells */
        wait_for_stop(&program);
        flk_notify(FLK_NOTIFY_STOPPING);
    }
    stop(&program);
    return err;
}

static const flk_start_t start_as = {
    .program = FLK_PROGRAM_WORKER,
    .summary = "verifies PCS: takes them from brokers, answers each one way for ever\n\n"
               "Commands about the store:\n\n" FLK_STORE_TOOL_USAGE,
    .check = check,
    .serve = serve,
};

int main(int argc, char **argv) {
    int status;
    flk_program_begin();
    return flk_store_tool(argc, argv, &status) ? status : flk_program_run(&start_as, argc, argv);
}
