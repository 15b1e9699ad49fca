/* SPDX-License-Identifier: MIT */
/* flk-follow: settings, sinks, feed and pages, then a wait for a signal; stops them in reverse. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/http/admin.h"
#include "common/http/listener.h"
#include "common/listen.h"
#include "common/log.h"
#include "common/program/notify.h"
#include "common/program/program.h"
#include "follow/feed/feed.h"
#include "follow/lock.h"
#include "follow/sink.h"
#include "follow/tlog/serve.h"
#include "follow/tlog/sink.h"

enum { PAGE_THREADS = 4, SPARE_THREADS = 8, QUEUE = 256, WRITE_TIMEOUT_MS = 5000, IDLE_MS = 15000, PATH_BYTES = 4096 };

/* Every sink; each is on when its settings are there. */
static const flk_sink_ops_t *const all_sinks[] = {&flk_tlog_sink};

typedef struct follow {
    const flk_settings_t *settings;
    char log_dir[PATH_BYTES], tlog_dir[PATH_BYTES];
    flk_metrics_t *metrics;
    flk_lock_t lock;
    flk_sinks_t *sinks;
    flk_admin_t *admin;
    flk_feed_t *feed;
    flk_tlog_pages_t tlog_pages;
    flk_http_server_t *server;
} follow_t;

static const char closed_why[] =
    "beyond loopback the feed wants METRICS_USER and METRICS_PASS, or FLK_HTTP_BEHIND_PROXY=1 where a proxy asks";

/* Outcomes name shards and keys: strangers read none. The other pages are open as every process's are. */
static bool is_open(const flk_settings_t *settings) {
    flk_listen_t listen;
    bool loopback = flk_listen_parse(flk_settings_str(settings, FLK_SET_FOLLOW_LISTEN), &listen, NULL) == FLK_OK &&
                    flk_listen_is_loopback(&listen);
    return loopback || flk_settings_str(settings, FLK_SET_METRICS_PASS)[0] != '\0' ||
           flk_settings_bool(settings, FLK_SET_HTTP_BEHIND_PROXY);
}

/* ---- start ---- */

/* Fills log_dir, checks the address and makes the sinks that are on. */
static flk_err_t prepare(follow_t *follow, char *errmsg) {
    const flk_settings_t *settings = follow->settings;
    const char *listen = flk_settings_str(settings, FLK_SET_FOLLOW_LISTEN);
    int len = snprintf(follow->log_dir, PATH_BYTES, "%s/inbox", flk_settings_str(settings, FLK_SET_DATA_DIR));
    if (len >= PATH_BYTES) {
        flk_errmsg(errmsg, "FLK_DATA_DIR: the path is too long");
        return FLK_E_CONFIG;
    }
    follow->metrics = flk_program_metrics();
    flk_err_t err = flk_err_at(flk_http_listener_check(listen, errmsg), "FLK_FOLLOW_LISTEN", errmsg);
    err = err != FLK_OK ? err : flk_tlog_sink_dir(settings, follow->tlog_dir, errmsg);
    return err != FLK_OK ? err
                         : flk_sinks_make(all_sinks, FLK_COUNT_OF(all_sinks), settings, follow->log_dir,
                                          follow->metrics, &follow->sinks, errmsg);
}

static bool is_ready(void *arg, char *why) {
    const follow_t *follow = arg;
    struct stat there;
    if (stat(follow->log_dir, &there) == 0) {
        return true;
    }
    flk_errmsg(why, "there is no log in %s yet", follow->log_dir);
    return false;
}

static flk_err_t make_pages(follow_t *follow, char *errmsg) {
    const flk_settings_t *settings = follow->settings;
    const flk_admin_options_t admin = {.metrics = follow->metrics,
                                       .ready = is_ready,
                                       .ready_arg = follow,
                                       .user = flk_settings_str(settings, FLK_SET_METRICS_USER),
                                       .pass = flk_settings_str(settings, FLK_SET_METRICS_PASS)};
    flk_err_t err = flk_admin_new(&admin, &follow->admin);
    if (err != FLK_OK) {
        flk_errmsg(errmsg, "%s", flk_err_text(err));
        return err;
    }
    const flk_feed_options_t feed = {.log_dir = follow->log_dir,
                                     .readers_max = (unsigned)flk_settings_uint(settings, FLK_SET_FEED_READERS),
                                     .closed_why = is_open(settings) ? NULL : closed_why,
                                     .admin = follow->admin,
                                     .metrics = follow->metrics};
    if (feed.closed_why != NULL) {
        flk_log(FLK_LOG_WARN, "feed_closed", FLK_S("do", closed_why));
    }
    follow->feed = flk_feed_new(&feed);
    follow->tlog_pages =
        (flk_tlog_pages_t){.dir = follow->tlog_dir, .closed_why = feed.closed_why, .admin = follow->admin};
    return FLK_OK;
}

static flk_err_t start_server(follow_t *follow, char *errmsg) {
    flk_http_route_t routes[FLK_ADMIN_ROUTES + 2];
    flk_admin_routes(follow->admin, routes);
    routes[FLK_ADMIN_ROUTES] = flk_feed_route(follow->feed);
    routes[FLK_ADMIN_ROUTES + 1] = flk_tlog_route(&follow->tlog_pages);
    const unsigned readers = (unsigned)flk_settings_uint(follow->settings, FLK_SET_FEED_READERS);
    const flk_http_options_t options = {.listen = flk_settings_str(follow->settings, FLK_SET_FOLLOW_LISTEN),
                                        .threads = PAGE_THREADS + readers,
                                        .spare_threads = SPARE_THREADS,
                                        .queue = QUEUE,
                                        .write_timeout_ms = WRITE_TIMEOUT_MS,
                                        .keep_alive_ms = IDLE_MS,
                                        .routes = routes,
                                        .routes_len = FLK_COUNT_OF(routes),
                                        .metrics = follow->metrics};
    return flk_err_at(flk_http_start(&options, &follow->server, errmsg), "FLK_FOLLOW_LISTEN", errmsg);
}

/* One process moves the sinks' positions. The feed needs no lock: it writes nothing. */
static flk_err_t start_sinks(follow_t *follow, char *errmsg) {
    flk_err_t err = FLK_OK;
    if (flk_sinks_len(follow->sinks) > 0) {
        err = flk_lock_take(&follow->lock, flk_settings_str(follow->settings, FLK_SET_DATA_DIR), errmsg);
    }
    return err != FLK_OK ? err : flk_sinks_start(follow->sinks, errmsg);
}

static void run(follow_t *follow) {
    flk_listen_t listen;
    char http[FLK_LISTEN_TEXT_BYTES];
    FLK_ASSERT(flk_listen_parse(flk_settings_str(follow->settings, FLK_SET_FOLLOW_LISTEN), &listen, NULL) == FLK_OK);
    flk_listen_print(&listen, flk_http_port(follow->server), http);
    flk_log(FLK_LOG_INFO, "ready", FLK_S("http", http), FLK_S("log", follow->log_dir),
            FLK_U("sinks", flk_sinks_len(follow->sinks)));
    flk_notify(FLK_NOTIFY_READY);
    while (flk_program_wait(0) != FLK_WAKE_STOP) { /* there is nothing to reload here */
    }
    flk_notify(FLK_NOTIFY_STOPPING);
}

/* ---- stop ---- */

static void stop(follow_t *follow) {
    if (follow->feed != NULL) {
        flk_feed_drain(follow->feed);
    }
    flk_http_stop(&follow->server);
    flk_sinks_stop(&follow->sinks);
    flk_lock_drop(&follow->lock);
    flk_feed_destroy(&follow->feed);
    flk_admin_stop(&follow->admin);
    flk_metrics_destroy(&follow->metrics);
}

static flk_err_t check(const flk_settings_t *settings, char *errmsg) {
    follow_t follow = {.settings = settings, .lock = FLK_LOCK_NONE};
    flk_err_t err = prepare(&follow, errmsg);
    stop(&follow);
    return err;
}

static flk_err_t serve(const flk_settings_t *settings, char *errmsg) {
    follow_t follow = {.settings = settings, .lock = FLK_LOCK_NONE};
    flk_err_t err = prepare(&follow, errmsg);
    err = err != FLK_OK ? err : make_pages(&follow, errmsg);
    err = err != FLK_OK ? err : start_server(&follow, errmsg);
    err = err != FLK_OK ? err : start_sinks(&follow, errmsg);
    if (err == FLK_OK) {
        run(&follow);
    }
    stop(&follow);
    return err;
}

static const flk_start_t start_as = {
    .program = FLK_PROGRAM_FOLLOW,
    .summary = "reads a gateway's log beside it and hands its outcomes on",
    .check = check,
    .serve = serve,
};

int main(int argc, char **argv) {
    flk_program_begin();
    return flk_program_run(&start_as, argc, argv);
}
