/* SPDX-License-Identifier: MIT */
/* One thread, one loop: wait for a signal or the next deadline -> reap -> start children that are due. Signals arrive
 * through a signalfd, so nothing runs in a handler.
 *
 * A child that ends -> one line, started again after a back-off; cluster.json follows. cluster.json cannot be written
 * -> a line; the cluster goes on, only `flk status` sees old pids. We are killed -> the kernel sends each child
 * SIGTERM. */
#include "agent/flk/cluster/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/flk/cluster/cluster_file.h"
#include "agent/flk/cluster/probe.h"
#include "common/log.h"
#include "common/program/program.h"

enum { READY_MS_MAX = 30000, READY_POLL_MS = 25, PROBE_MS_MAX = 2000, STOP_MS_MAX = 30000, IDLE_MS = 60000 };

struct flk_supervisor {
    flk_cluster_t *cluster;
    int signal_fd;
    unsigned stop_requests; /* SIGINT, SIGTERM, and SIGHUP of a terminal that was closed */
    bool on_terminal;
    bool stopping;
};

flk_err_t flk_supervisor_new(flk_cluster_t *cluster, flk_supervisor_t **supervisor, char *errmsg) {
    sigset_t taken;
    sigemptyset(&taken);
    sigaddset(&taken, SIGINT);
    sigaddset(&taken, SIGTERM);
    sigaddset(&taken, SIGHUP);
    sigaddset(&taken, SIGCHLD);
    sigprocmask(SIG_BLOCK, &taken, NULL);
    *supervisor = flk_start_alloc(sizeof **supervisor);
    (*supervisor)->cluster = cluster;
    (*supervisor)->on_terminal = isatty(STDIN_FILENO) == 1;
    (*supervisor)->signal_fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    if ((*supervisor)->signal_fd < 0) {
        flk_errmsg(errmsg, "cannot watch signals: %s", strerror(errno));
        flk_supervisor_destroy(supervisor);
        return FLK_E_IO;
    }
    return FLK_OK;
}

void flk_supervisor_destroy(flk_supervisor_t **supervisor) {
    if (*supervisor == NULL) {
        return;
    }
    if ((*supervisor)->signal_fd >= 0) {
        close((*supervisor)->signal_fd);
    }
    free(*supervisor);
    *supervisor = NULL;
}

static flk_child_t *end_of(const flk_cluster_t *cluster) {
    return cluster->children + cluster->children_len;
}

static void write_cluster_file(const flk_cluster_t *cluster) {
    char errmsg[FLK_ERRMSG_BYTES];
    if (flk_cluster_file_write(cluster, errmsg) != FLK_OK) {
        flk_log(FLK_LOG_WARN, "cluster_file_not_written", FLK_S("reason", errmsg));
    }
}

/* ---- one turn ---- */

static void take_signal(flk_supervisor_t *supervisor, unsigned number) {
    if (number == SIGINT || number == SIGTERM || (number == SIGHUP && supervisor->on_terminal)) {
        supervisor->stop_requests++;
    } else if (number == SIGHUP) {
        for (flk_child_t *child = supervisor->cluster->children; child < end_of(supervisor->cluster); child++) {
            flk_child_signal(child, SIGHUP);
        }
    }
}

/* Waits for a signal or until deadline_ms; takes all that came. */
static void wait_for_signals(flk_supervisor_t *supervisor, uint64_t deadline_ms) {
    uint64_t now_ms = flk_mono_ms();
    struct pollfd entry = {.fd = supervisor->signal_fd, .events = POLLIN};
    poll(&entry, 1, deadline_ms > now_ms ? (int)(deadline_ms - now_ms) : 0);
    struct signalfd_siginfo info;
    while (read(supervisor->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        take_signal(supervisor, info.ssi_signo);
    }
}

/* Reaps ended children; returns one that did so without being asked, or NULL. */
static flk_child_t *reap_all(flk_supervisor_t *supervisor) {
    flk_child_t *unexpected = NULL;
    for (flk_child_t *child = supervisor->cluster->children; child < end_of(supervisor->cluster); child++) {
        char how[32];
        if (!flk_child_reap(child, how) || supervisor->stopping) {
            continue;
        }
        flk_child_back_off(child, flk_mono_ms());
        flk_log(FLK_LOG_WARN, "child_ended", FLK_S("name", child->name), FLK_S("how", how),
                FLK_U("restart_in_ms", child->backoff_ms), FLK_S("log", child->log_path));
        unexpected = child;
    }
    return unexpected;
}

static void restart_due(flk_supervisor_t *supervisor) {
    for (flk_child_t *child = supervisor->cluster->children; child < end_of(supervisor->cluster); child++) {
        char errmsg[FLK_ERRMSG_BYTES];
        if (child->pid != 0 || flk_mono_ms() < child->restart_at_ms) {
            continue;
        }
        child->restarts++;
        if (flk_child_start(child, errmsg) == FLK_OK) {
            flk_log(FLK_LOG_INFO, "child_restarted", FLK_S("name", child->name), FLK_I("pid", child->pid));
        } else {
            flk_child_back_off(child, flk_mono_ms());
            flk_log(FLK_LOG_ERROR, "child_not_started", FLK_S("reason", errmsg),
                    FLK_U("retry_in_ms", child->backoff_ms));
        }
        write_cluster_file(supervisor->cluster);
    }
}

static uint64_t next_restart_ms(const flk_cluster_t *cluster) {
    uint64_t next_ms = flk_mono_ms() + IDLE_MS;
    for (const flk_child_t *child = cluster->children; child < end_of(cluster); child++) {
        if (child->pid == 0 && child->restart_at_ms < next_ms) {
            next_ms = child->restart_at_ms;
        }
    }
    return next_ms;
}

void flk_supervisor_run(flk_supervisor_t *supervisor) {
    while (supervisor->stop_requests == 0) {
        wait_for_signals(supervisor, next_restart_ms(supervisor->cluster));
        if (reap_all(supervisor) != NULL) {
            write_cluster_file(supervisor->cluster);
        }
        restart_due(supervisor);
    }
}

/* ---- starting ---- */

static bool is_ready(const flk_child_t *child, char why[FLK_ERRMSG_BYTES]) {
    flk_probe_t probe;
    flk_err_t err = flk_probe_get(child->address, "/readyz", "", "", PROBE_MS_MAX, &probe);
    bool ready = err == FLK_OK && probe.status == 200;
    snprintf(why, FLK_ERRMSG_BYTES, "%.200s",
             err == FLK_OK && probe.status != 0 ? probe.body : "its pages do not answer");
    why[strcspn(why, "\n")] = '\0';
    flk_probe_fini(&probe);
    return ready;
}

/* In its own words, when it had any. */
static flk_err_t tell_end(const flk_child_t *child, char *errmsg) {
    char line[FLK_ERRMSG_BYTES];
    flk_child_last_line(child, line, sizeof line);
    if (line[0] != '\0') {
        flk_errmsg(errmsg, "%s: %s", child->name, line);
    } else {
        flk_errmsg(errmsg, "%s ended while starting, without a word in %.200s", child->name, child->log_path);
    }
    return child->exit_status == FLK_EXIT_USAGE ? FLK_E_CONFIG : FLK_E_UNAVAILABLE;
}

static flk_err_t wait_ready(flk_supervisor_t *supervisor, const flk_child_t *child, uint64_t deadline_ms,
                            char *errmsg) {
    char why[FLK_ERRMSG_BYTES];
    while (!is_ready(child, why)) {
        wait_for_signals(supervisor, flk_mono_ms() + READY_POLL_MS);
        const flk_child_t *ended = reap_all(supervisor);
        if (ended != NULL) {
            return tell_end(ended, errmsg);
        }
        if (supervisor->stop_requests > 0) {
            flk_errmsg(errmsg, "stopped while starting");
            return FLK_E_CLOSED;
        }
        if (flk_mono_ms() >= deadline_ms) {
            flk_errmsg(errmsg, "%s is not ready after %d s: %.100s; see %.100s", child->name, READY_MS_MAX / 1000, why,
                       child->log_path);
            return FLK_E_UNAVAILABLE;
        }
    }
    return FLK_OK;
}

flk_err_t flk_supervisor_start(flk_supervisor_t *supervisor, char *errmsg) {
    flk_cluster_t *cluster = supervisor->cluster;
    uint64_t deadline_ms = flk_mono_ms() + READY_MS_MAX;
    flk_err_t err = FLK_OK;
    for (flk_child_t *child = cluster->children; child < end_of(cluster) && err == FLK_OK; child++) {
        err = flk_child_start(child, errmsg);
    }
    for (flk_child_t *child = cluster->children; child < end_of(cluster) && err == FLK_OK; child++) {
        err = wait_ready(supervisor, child, deadline_ms, errmsg);
    }
    if (err == FLK_OK) {
        err = flk_cluster_file_write(cluster, errmsg);
    }
    return err;
}

/* ---- stopping ---- */

static bool none_runs(const flk_cluster_t *cluster, const char *program) {
    for (const flk_child_t *child = cluster->children; child < end_of(cluster); child++) {
        if (child->pid != 0 && strcmp(child->program, program) == 0) {
            return false;
        }
    }
    return true;
}

static void signal_program(const flk_cluster_t *cluster, const char *program, int number) {
    for (const flk_child_t *child = cluster->children; child < end_of(cluster); child++) {
        if (strcmp(child->program, program) == 0) {
            flk_child_signal(child, number);
        }
    }
}

static bool stop_program(flk_supervisor_t *supervisor, const char *program, unsigned patience) {
    uint64_t deadline_ms = flk_mono_ms() + STOP_MS_MAX;
    bool killed = false;
    signal_program(supervisor->cluster, program, SIGTERM);
    while (!none_runs(supervisor->cluster, program)) {
        wait_for_signals(supervisor, killed ? flk_mono_ms() + IDLE_MS : deadline_ms);
        reap_all(supervisor);
        bool enough = supervisor->stop_requests > patience || flk_mono_ms() >= deadline_ms;
        if (enough && !killed && !none_runs(supervisor->cluster, program)) {
            flk_log(FLK_LOG_WARN, "children_killed", FLK_S("program", program));
            signal_program(supervisor->cluster, program, SIGKILL);
            killed = true;
        }
    }
    return !killed;
}

bool flk_supervisor_stop(flk_supervisor_t *supervisor) {
    static const char *const order[] = {"gateway", "follow", "worker", "broker"};
    supervisor->stopping = true;
    unsigned patience = supervisor->stop_requests > 0 ? supervisor->stop_requests : 1;
    bool clean = true;
    for (size_t i = 0; i < FLK_COUNT_OF(order); i++) {
        clean &= stop_program(supervisor, order[i], patience);
    }
    flk_cluster_file_remove(supervisor->cluster);
    return clean;
}
