/* SPDX-License-Identifier: MIT */
/* Planning before starting: every fault that shows here is refused here, in one line, while nothing runs yet. A change
 * between here and the start (another process takes a port) is the child's own error, in its log. */
#include "agent/flk/cluster/cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/flk/cluster/keypair.h"
#include "agent/flk/cluster/port.h"
#include "agent/flk/cluster/sibling.h"
#include "common/io.h"
#include "common/listen.h"
#include "common/machine.h"
#include "common/program/settings.h"

enum { BROKER_PAGES_PORT = 8081, WORKER_PAGES_PORT = 8082, FEED_PORT = 8084, FREE_PORT_FROM = 18080 };

typedef struct all_settings {
    flk_settings_t *front, *gateway, *broker, *worker, *follow;
} all_settings_t;

static flk_err_t load_all(all_settings_t *all, char *errmsg) {
    const struct {
        flk_program_t program;
        flk_settings_t **settings;
    } loads[] = {{FLK_PROGRAM_FLK, &all->front},
                 {FLK_PROGRAM_GATEWAY, &all->gateway},
                 {FLK_PROGRAM_BROKER, &all->broker},
                 {FLK_PROGRAM_WORKER, &all->worker},
                 {FLK_PROGRAM_FOLLOW, &all->follow}};
    for (size_t i = 0; i < FLK_COUNT_OF(loads); i++) {
        flk_err_t err = flk_settings_load(loads[i].program, loads[i].settings, errmsg);
        if (err != FLK_OK) {
            return err;
        }
    }
    return FLK_OK;
}

static void destroy_all(all_settings_t *all) {
    flk_settings_destroy(&all->front);
    flk_settings_destroy(&all->gateway);
    flk_settings_destroy(&all->broker);
    flk_settings_destroy(&all->worker);
    flk_settings_destroy(&all->follow);
}

/* ---- the directory ---- */

static flk_err_t lock_directory(flk_cluster_t *cluster, char *errmsg) {
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/cluster.lock", cluster->data_dir) >= sizeof path) {
        flk_errmsg(errmsg, "the data directory's name is too long");
        return FLK_E_CONFIG;
    }
    cluster->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (cluster->lock_fd < 0) {
        flk_errmsg(errmsg, "cannot write %.200s: %s", path, strerror(errno));
        return FLK_E_IO;
    }
    if (flock(cluster->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        flk_errmsg(errmsg, "a cluster runs already in %.160s; see flk status, or choose another --data-dir",
                   cluster->data_dir);
        return FLK_E_LOCKED;
    }
    return FLK_OK;
}

static flk_err_t make_directory(flk_cluster_t *cluster, const char *dir, char *errmsg) {
    char logs[PATH_MAX];
    if ((size_t)snprintf(logs, sizeof logs, "%s/logs", dir) >= sizeof logs) {
        flk_errmsg(errmsg, "the data directory's name is too long");
        return FLK_E_CONFIG;
    }
    flk_err_t err = flk_io_mkdirs(logs, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (realpath(dir, cluster->data_dir) == NULL) {
        flk_errmsg(errmsg, "%.200s: %s", dir, strerror(errno));
        return FLK_E_IO;
    }
    return lock_directory(cluster, errmsg);
}

/* ---- the addresses ---- */

static bool is_set(const char *name) {
    char file_name[64];
    snprintf(file_name, sizeof file_name, "%s_FILE", name);
    return getenv(name) != NULL || getenv(file_name) != NULL;
}

/* The HTTP door's address as the gateway gets it: a port 0 is a free one from here on, so that it can be told. */
static flk_err_t settle_http(char http[FLK_CLUSTER_ENDPOINT_BYTES], char *errmsg) {
    char text[FLK_LISTEN_TEXT_BYTES], reason[FLK_ERRMSG_BYTES];
    flk_listen_t listen;
    if (flk_listen_parse(http, &listen, reason) != FLK_OK) {
        flk_errmsg(errmsg, "HTTP door: '%.160s' %.160s; it is set by --http or FLK_HTTP_LISTEN", http, reason);
        return FLK_E_CONFIG;
    }
    unsigned port = listen.port != 0 ? listen.port : flk_port_pick(FREE_PORT_FROM);
    flk_listen_print(&listen, port, text);
    snprintf(http, FLK_CLUSTER_ENDPOINT_BYTES, "%.250s", text);
    return FLK_OK;
}

/* An address as its setting has it; when nobody set it, `offset` further on. */
static void shift_address(const char *address, const char *name, unsigned offset, char *out, size_t out_bytes) {
    const char *colon = strrchr(address, ':');
    if (offset == 0 || is_set(name) || colon == NULL) {
        snprintf(out, out_bytes, "%s", address);
    } else {
        snprintf(out, out_bytes, "%.*s:%lu", (int)(colon - address), address, strtoul(colon + 1, NULL, 10) + offset);
    }
}

typedef struct port_check {
    const char *what;
    char *errmsg;
    flk_err_t err;
} port_check_t;

static void check_one_port(void *arg, const char *address, size_t index) {
    (void)index;
    port_check_t *check = arg;
    if (check->err == FLK_OK) {
        check->err = flk_port_check(address, check->errmsg);
    }
}

static flk_err_t check_ports(const char *list, const char *what, const char *advice, char *errmsg) {
    char reason[FLK_ERRMSG_BYTES] = "";
    port_check_t check = {.what = what, .errmsg = reason, .err = FLK_OK};
    flk_settings_each(list, check_one_port, &check);
    if (check.err == FLK_E_CONFIG) {
        flk_errmsg(errmsg, "%s: %.200s; it is set by %s", what, reason, advice);
    } else if (check.err != FLK_OK) {
        flk_errmsg(errmsg,
                   "%s: %.200s; stop the process that holds it, or choose another with %s, or all with --ports +100",
                   what, reason, advice);
    }
    return check.err;
}

static flk_err_t check_doors(const flk_cluster_t *cluster, const char *http, char *errmsg) {
    const struct {
        const char *address, *what, *advice;
    } doors[] = {
        {http, "HTTP door", "--http HOST:PORT"},
        {cluster->zmq, "ZeroMQ door", "FLK_ZMQ_LISTEN"},
        {cluster->frontends, "broker's side towards gateways", "FLK_FRONTENDS"},
        {cluster->backends, "broker's side towards workers", "FLK_BACKENDS"},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(doors); i++) {
        flk_err_t err = check_ports(doors[i].address, doors[i].what, doors[i].advice, errmsg);
        if (err != FLK_OK) {
            return err;
        }
    }
    return FLK_OK;
}

/* ---- the keys ---- */

/* One pair a role; those that exist stay. The agent's is for all that submit at the ZeroMQ door. */
static flk_err_t make_keys(flk_cluster_t *cluster, char *errmsg) {
    static const flk_role_t roles[] = {FLK_ROLE_BROKER, FLK_ROLE_GATEWAY, FLK_ROLE_WORKER, FLK_ROLE_AGENT};
    if ((size_t)snprintf(cluster->keys, sizeof cluster->keys, "%s/keys", cluster->data_dir) >= sizeof cluster->keys) {
        flk_errmsg(errmsg, "the data directory's name is too long");
        return FLK_E_CONFIG;
    }
    for (size_t i = 0; i < FLK_COUNT_OF(roles); i++) {
        flk_keypair_t pair;
        flk_err_t err = flk_keypair_make(cluster->keys, roles[i], flk_role_name(roles[i]), &pair, errmsg);
        if (err != FLK_OK && err != FLK_E_EXISTS) {
            return err;
        }
    }
    return FLK_OK;
}

static void give_keys(const flk_cluster_t *cluster, flk_child_t *child) {
    char path[PATH_MAX];
    if (cluster->keys[0] != '\0') {
        snprintf(path, sizeof path, "%.4000s/%s.key", cluster->keys, child->program);
        flk_child_set(child, "FLK_CURVE_DIR", cluster->keys);
        flk_child_set(child, "FLK_CURVE_KEY_FILE", path);
    }
}

/* ---- the children ---- */

static flk_err_t add_child(flk_cluster_t *cluster, const char *program, unsigned number, flk_child_t **added,
                           char *errmsg) {
    flk_child_t *child = *added = &cluster->children[cluster->children_len++];
    child->program = program;
    if (number > 0) {
        snprintf(child->name, sizeof child->name, "%s-%u", program, number);
    } else {
        snprintf(child->name, sizeof child->name, "%s", program);
    }
    int len = snprintf(child->log_path, sizeof child->log_path, "%s/logs/%s.log", cluster->data_dir, child->name);
    if ((size_t)len >= sizeof child->log_path) {
        flk_errmsg(errmsg, "the data directory's name is too long");
        return FLK_E_CONFIG;
    }
    flk_child_set(child, "FLK_DATA_DIR", cluster->data_dir);
    give_keys(cluster, child);
    return flk_sibling_path(program, child->path, sizeof child->path, errmsg);
}

/* The pages of broker and workers may be anywhere: the first free port does. */
static flk_err_t give_pages(flk_child_t *child, unsigned *next_port, char *errmsg) {
    unsigned port = flk_port_pick(*next_port);
    if (port == 0) {
        flk_errmsg(errmsg, "there is no free port from %u on for the pages of %s", *next_port, child->name);
        return FLK_E_LOCKED;
    }
    *next_port = port + 1;
    snprintf(child->address, sizeof child->address, "127.0.0.1:%u", port);
    flk_child_set(child, "FLK_ADMIN_LISTEN", child->address);
    return FLK_OK;
}

/* Without a wish of the user's the workers share the cores instead of each taking all. */
static void give_threads(flk_child_t *child, unsigned workers) {
    if (getenv("FLK_WORKER_THREADS") == NULL && getenv("FLK_WORKER_THREADS_FILE") == NULL) {
        unsigned cores = flk_machine_cores();
        char threads[24];
        snprintf(threads, sizeof threads, "%u", cores > workers ? cores / workers : 1);
        flk_child_set(child, "FLK_WORKER_THREADS", threads);
    }
}

/* A setting of the user's stays; else the first free port behind those of the workers does. */
static flk_err_t add_follow(flk_cluster_t *cluster, const char *listen, unsigned from_port, char *errmsg) {
    flk_child_t *child;
    flk_err_t err = add_child(cluster, "follow", 0, &child, errmsg);
    unsigned port = is_set("FLK_FOLLOW_LISTEN") ? 0 : flk_port_pick(from_port);
    if (port != 0) {
        snprintf(child->address, sizeof child->address, "127.0.0.1:%u", port);
        flk_child_set(child, "FLK_FOLLOW_LISTEN", child->address);
    } else {
        flk_port_connectable(listen, child->address, sizeof child->address);
    }
    snprintf(cluster->feed, sizeof cluster->feed, "%s", child->address);
    return err;
}

static flk_err_t lay_out(flk_cluster_t *cluster, const flk_cluster_options_t *options, const char *http,
                         const char *feed, char *errmsg) {
    cluster->children = flk_start_alloc((options->workers + 3) * sizeof *cluster->children);
    flk_child_t *child;
    unsigned broker_port = BROKER_PAGES_PORT + options->ports_offset;
    flk_err_t err = add_child(cluster, "broker", 0, &child, errmsg);
    if (err == FLK_OK) {
        flk_child_set(child, "FLK_FRONTENDS", cluster->frontends);
        flk_child_set(child, "FLK_BACKENDS", cluster->backends);
        err = give_pages(child, &broker_port, errmsg);
    }
    unsigned worker_port = WORKER_PAGES_PORT + options->ports_offset;
    worker_port = broker_port > worker_port ? broker_port : worker_port;
    for (unsigned i = 1; i <= options->workers && err == FLK_OK; i++) {
        err = add_child(cluster, "worker", i, &child, errmsg);
        if (err == FLK_OK) {
            give_threads(child, options->workers);
            flk_child_set(child, "FLK_BACKENDS", cluster->backends);
            err = give_pages(child, &worker_port, errmsg);
        }
    }
    if (err == FLK_OK) {
        err = add_child(cluster, "gateway", 0, &child, errmsg);
        flk_child_set(child, "FLK_HTTP_LISTEN", http);
        flk_child_set(child, "FLK_ZMQ_LISTEN", cluster->zmq);
        flk_child_set(child, "FLK_FRONTENDS", cluster->frontends);
        flk_port_connectable(http, child->address, sizeof child->address);
        snprintf(cluster->http, sizeof cluster->http, "%s", child->address);
    }
    unsigned feed_port = FEED_PORT + options->ports_offset;
    return err == FLK_OK ? add_follow(cluster, feed, worker_port > feed_port ? worker_port : feed_port, errmsg) : err;
}

static flk_err_t plan(flk_cluster_t *cluster, const flk_cluster_options_t *options, all_settings_t *all, char *errmsg) {
    flk_err_t err = load_all(all, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    char http[FLK_CLUSTER_ENDPOINT_BYTES];
    unsigned offset = options->ports_offset;
    if (options->http != NULL) {
        snprintf(http, sizeof http, "%s", options->http);
    } else {
        shift_address(flk_settings_str(all->front, FLK_SET_HTTP_LISTEN), "FLK_HTTP_LISTEN", offset, http, sizeof http);
    }
    const char *dir = options->data_dir != NULL ? options->data_dir : flk_settings_str(all->front, FLK_SET_DATA_DIR);
    shift_address(flk_settings_str(all->gateway, FLK_SET_ZMQ_LISTEN), "FLK_ZMQ_LISTEN", offset, cluster->zmq,
                  sizeof cluster->zmq);
    shift_address(flk_settings_str(all->broker, FLK_SET_FRONTENDS), "FLK_FRONTENDS", offset, cluster->frontends,
                  sizeof cluster->frontends);
    shift_address(flk_settings_str(all->broker, FLK_SET_BACKENDS), "FLK_BACKENDS", offset, cluster->backends,
                  sizeof cluster->backends);
    cluster->is_signed = strcmp(flk_settings_str(all->worker, FLK_SET_SIGN_ALG), "none") != 0;
    snprintf(cluster->user, sizeof cluster->user, "%s", flk_settings_str(all->front, FLK_SET_METRICS_USER));
    snprintf(cluster->pass, sizeof cluster->pass, "%s", flk_settings_str(all->front, FLK_SET_METRICS_PASS));
    err = settle_http(http, errmsg);
    if (err == FLK_OK) {
        err = make_directory(cluster, dir, errmsg);
    }
    if (err == FLK_OK) {
        err = check_doors(cluster, http, errmsg);
    }
    if (err == FLK_OK && options->curve) {
        err = make_keys(cluster, errmsg);
    }
    return err == FLK_OK ? lay_out(cluster, options, http, flk_settings_str(all->follow, FLK_SET_FOLLOW_LISTEN), errmsg)
                         : err;
}

flk_err_t flk_cluster_plan(const flk_cluster_options_t *options, flk_cluster_t **cluster, char *errmsg) {
    all_settings_t all = {0};
    *cluster = flk_start_alloc(sizeof **cluster);
    (*cluster)->lock_fd = -1;
    flk_err_t err = plan(*cluster, options, &all, errmsg);
    destroy_all(&all);
    return err;
}

void flk_cluster_destroy(flk_cluster_t **cluster) {
    if (*cluster == NULL) {
        return;
    }
    if ((*cluster)->lock_fd >= 0) {
        close((*cluster)->lock_fd);
    }
    free((*cluster)->children);
    free(*cluster);
    *cluster = NULL;
}
