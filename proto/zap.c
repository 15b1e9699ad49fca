/* SPDX-License-Identifier: MIT */
/* A handshake: libzmq sends a request with domain (the role that the listener lets in), address and client key -> the
 * key is looked up in the lists of that role -> 200 with the key as User-Id, which every later message of that
 * connection carries, or 400. Between requests the lists are looked at again.
 *
 * Failures: any request but a CURVE one for a known role gets 400. A client that never gets as far as showing a key
 * (another mechanism, no ZMTP at all) is seen by the listener's monitor only, and counted. Logs are limited: strangers
 * must not fill disks.
 *
 * libzmq cannot disconnect one peer of a ROUTER. A peer whose key is gone is cut off so: its messages are dropped
 * from the next look on; the owner of the socket forgets it and sends it nothing more; and its next message names the
 * descriptor that it came over, which is shut down. libzmq sees the end of the connection as if the peer had ended
 * it. That descriptor's number may belong to another connection by then: it is shut down only if it is one of this
 * listener's from the same address, and once a route. The worst case is a neighbour that reconnects. */
#include "proto/zap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/thread.h"

enum { GUARDS_MAX = 4, ROUTES_CUT = 16, BATCH = 256, PART_BYTES = 256 };
enum { SEEN_FAILURES = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL };

/* Of messages; zmq.h names them for drafts only. The first one is the handler's answer. */
static const char user_property[] = "User-Id", address_property[] = "Peer-Address";

/* The reasons why a peer is not let in, or not heard: the label, and its help. */
#define REASONS(X)                                                                                                     \
    X(UNKNOWN_KEY, "unknown_key")                                                                                      \
    X(WRONG_ROLE, "wrong_role") /* a key that we know, in another role */                                              \
    X(UNREADABLE, "list_unreadable")                                                                                   \
    X(HANDSHAKE, "handshake") /* no CURVE client, or none that knows our key */                                        \
    X(REMOVED, "removed_key") /* messages of a peer whose key was taken out */

typedef enum reason {
#define REASON_ID(id, label) REASON_##id,
    REASONS(REASON_ID)
#undef REASON_ID
        REASONS_COUNT
} reason_t;

static const char *const reason_names[] = {
#define REASON_NAME(id, label) label,
    REASONS(REASON_NAME)
#undef REASON_NAME
};

typedef struct guard {
    void *socket;  /* its owner's */
    void *monitor; /* ours: tells of handshakes that failed */
    flk_role_t role;
} guard_t;

/* How many keys one role has, for a scrape. */
typedef struct gauge {
    flk_keydir_t *keys;
    flk_role_t role;
} gauge_t;

struct flk_zap {
    void *context;
    const flk_security_t *security;
    flk_keydir_t *keys; /* NULL: no CURVE, and nothing below */
    void *handler;      /* REP; the thread's once it runs */
    int wake_fd;
    pthread_t thread;
    atomic_bool stopping;

    pthread_mutex_t mutex; /* guards the table of guards; its owner's thread only adds */
    guard_t guards[GUARDS_MAX];
    size_t guards_len;

    flk_counter_t *admitted, *refused[REASONS_COUNT];
    gauge_t gauges[FLK_ROLES_COUNT];

    flk_route_t cut[ROUTES_CUT]; /* of the connections ended last; the owner's thread */
    size_t cut_at;

    uint64_t log_period_ms; /* the thread's: since when, and how much */
    unsigned logged, unlogged;
};

/* ---- judging ---- */

/* The roles whose lists open a listener for `role`. */
static unsigned lists_of(flk_role_t role) {
    return FLK_ROLE_BIT(role) | (role == FLK_ROLE_AGENT ? FLK_ROLE_BIT(FLK_ROLE_ADMIN) : 0);
}

static reason_t why_not(flk_zap_t *zap, flk_role_t role, const char *key) {
    return flk_keydir_has(zap->keys, lists_of(role), key, NULL) ? REASON_UNREADABLE
           : flk_keydir_has(zap->keys, ~0u, key, NULL)          ? REASON_WRONG_ROLE
                                                                : REASON_UNKNOWN_KEY;
}

static void refuse_key(flk_zap_t *zap, reason_t reason, const char *domain, const char *address, const char *key) {
    flk_counter_add(zap->refused[reason], 1);
    flk_log(FLK_LOG_WARN, "peer_refused", FLK_S("why", reason_names[reason]), FLK_S("as", domain),
            FLK_S("address", address), FLK_S("key", key));
}

/* ---- the handler ---- */

typedef enum part { VERSION, REQUEST_ID, DOMAIN, ADDRESS, ROUTING_ID, MECHANISM, KEY, PARTS } part_t;

typedef struct request {
    size_t bytes[PARTS];
    char part[PARTS][PART_BYTES + 1]; /* NUL-terminated */
    bool whole;                       /* as many parts as it should have, none too long */
} request_t;

/* False: none is there. */
static bool receive(flk_zap_t *zap, request_t *request) {
    memset(request, 0, sizeof *request);
    size_t parts = 0;
    int more = 1;
    request->whole = true;
    for (; more; parts++) {
        char spare[PART_BYTES + 1];
        char *place = parts < PARTS ? request->part[parts] : spare;
        int bytes = zmq_recv(zap->handler, place, PART_BYTES, parts == 0 ? ZMQ_DONTWAIT : 0);
        if (bytes < 0) {
            FLK_ASSERT(errno == EAGAIN || errno == EINTR);
            return false;
        }
        request->whole = request->whole && parts < PARTS && bytes <= PART_BYTES;
        if (request->whole) {
            request->bytes[parts] = (size_t)bytes;
        }
        size_t more_bytes = sizeof more;
        FLK_ASSERT(zmq_getsockopt(zap->handler, ZMQ_RCVMORE, &more, &more_bytes) == 0);
    }
    request->whole = request->whole && parts == PARTS;
    return true;
}

static void answer(flk_zap_t *zap, const request_t *request, bool welcome, const char *user) {
    const struct {
        const char *data;
        size_t bytes;
    } parts[] = {{"1.0", 3},
                 {request->part[REQUEST_ID], request->bytes[REQUEST_ID]},
                 {welcome ? "200" : "400", 3},
                 {"", 0},
                 {user, strlen(user)},
                 {"", 0}};
    for (size_t i = 0; i < FLK_COUNT_OF(parts); i++) {
        int more = i + 1 < FLK_COUNT_OF(parts) ? ZMQ_SNDMORE : 0;
        FLK_ASSERT(zmq_send(zap->handler, parts[i].data, parts[i].bytes, more | ZMQ_DONTWAIT) >= 0 || errno == EAGAIN);
    }
}

static void judge(flk_zap_t *zap, const request_t *request) {
    char key[FLK_CURVE_TEXT_BYTES] = "";
    flk_role_t role;
    bool ours = request->whole && strcmp(request->part[VERSION], "1.0") == 0 &&
                strcmp(request->part[MECHANISM], "CURVE") == 0 && request->bytes[KEY] == FLK_CURVE_KEY_BYTES &&
                flk_role_parse(request->part[DOMAIN], &role);
    if (ours) {
        zmq_z85_encode(key, (const uint8_t *)request->part[KEY], FLK_CURVE_KEY_BYTES);
    }
    char name[FLK_CURVE_NAME_MAX + 1];
    bool welcome = ours && flk_keydir_admits(zap->keys, lists_of(role), key, name);
    if (welcome) {
        flk_counter_add(zap->admitted, 1);
        flk_log(FLK_LOG_DEBUG, "peer_admitted", FLK_S("as", request->part[DOMAIN]), FLK_S("name", name),
                FLK_S("address", request->part[ADDRESS]));
    } else {
        reason_t reason = ours ? why_not(zap, role, key) : REASON_HANDSHAKE;
        refuse_key(zap, reason, request->part[DOMAIN], request->part[ADDRESS], key);
    }
    answer(zap, request, welcome, welcome ? key : "");
}

/* ---- the monitors' events ---- */

static void read_monitor(flk_zap_t *zap, const guard_t *guard) {
    for (int i = 0; i < BATCH; i++) {
        uint8_t event[8];
        char endpoint[PART_BYTES];
        int bytes = zmq_recv(guard->monitor, event, sizeof event, ZMQ_DONTWAIT);
        if (bytes < 0) {
            return;
        }
        int endpoint_bytes = zmq_recv(guard->monitor, endpoint, sizeof endpoint - 1, 0);
        endpoint[endpoint_bytes < 0                          ? 0
                 : (size_t)endpoint_bytes >= sizeof endpoint ? sizeof endpoint - 1
                                                             : (size_t)endpoint_bytes] = '\0';
        uint16_t kind;
        memcpy(&kind, event, sizeof kind);
        if (kind & SEEN_FAILURES) {
            refuse_key(zap, REASON_HANDSHAKE, flk_role_name(guard->role), endpoint, "");
        }
    }
}

/* ---- the thread ---- */

static void turn(flk_zap_t *zap) {
    zmq_pollitem_t items[2 + GUARDS_MAX] = {{.socket = zap->handler, .events = ZMQ_POLLIN},
                                            {.fd = zap->wake_fd, .events = ZMQ_POLLIN}};
    guard_t guards[GUARDS_MAX];
    pthread_mutex_lock(&zap->mutex);
    size_t guards_len = zap->guards_len;
    memcpy(guards, zap->guards, sizeof guards);
    pthread_mutex_unlock(&zap->mutex);
    for (size_t i = 0; i < guards_len; i++) {
        items[2 + i] = (zmq_pollitem_t){.socket = guards[i].monitor, .events = ZMQ_POLLIN};
    }
    (void)zmq_poll(items, (int)(2 + guards_len), FLK_KEYDIR_LOOK_MS);
    uint64_t wakes;
    if (read(zap->wake_fd, &wakes, sizeof wakes) < 0) {
        FLK_ASSERT(errno == EAGAIN || errno == EINTR);
    }
    request_t request;
    for (int i = 0; i < BATCH && receive(zap, &request); i++) {
        judge(zap, &request);
    }
    for (size_t i = 0; i < guards_len; i++) {
        read_monitor(zap, &guards[i]);
    }
    flk_keydir_look(zap->keys, flk_mono_ms());
}

static void *run_zap(void *arg) {
    flk_zap_t *zap = arg;
    while (!atomic_load(&zap->stopping)) {
        turn(zap);
    }
    return NULL;
}

static void wake(flk_zap_t *zap) {
    ssize_t written = write(zap->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)written; /* fails only when the counter is full: it is awake */
}

/* ---- for the owners of listeners ---- */

void flk_zap_guard(flk_zap_t *zap, void *socket, flk_role_t role) {
    FLK_ASSERT(zap->guards_len < GUARDS_MAX);
    char endpoint[64];
    static const int unbounded = 0, at_once = 0;
    snprintf(endpoint, sizeof endpoint, "inproc://flk-zap-monitor-%zu", zap->guards_len);
    guard_t guard = {.socket = socket, .role = role, .monitor = zmq_socket(zap->context, ZMQ_PAIR)};
    FLK_ASSERT(guard.monitor != NULL && zmq_socket_monitor(socket, endpoint, SEEN_FAILURES) == 0);
    /* libzmq's I/O threads block when a monitor is full, so it must never be. */
    FLK_ASSERT(zmq_setsockopt(guard.monitor, ZMQ_RCVHWM, &unbounded, sizeof unbounded) == 0);
    FLK_ASSERT(zmq_setsockopt(guard.monitor, ZMQ_LINGER, &at_once, sizeof at_once) == 0);
    FLK_ASSERT(zmq_connect(guard.monitor, endpoint) == 0);
    pthread_mutex_lock(&zap->mutex);
    zap->guards[zap->guards_len++] = guard;
    pthread_mutex_unlock(&zap->mutex);
    wake(zap);
}

static const guard_t *guard_of(const flk_zap_t *zap, const void *socket) {
    for (size_t i = 0; zap != NULL && i < zap->guards_len; i++) {
        if (zap->guards[i].socket == socket) {
            return &zap->guards[i];
        }
    }
    return NULL;
}

const char *flk_zap_user(const flk_message_t *message) {
    const char *user = zmq_msg_gets(&message->head, user_property);
    return user == NULL ? "" : user;
}

static in_port_t port_of(const struct sockaddr_storage *address) {
    return address->ss_family == AF_INET    ? ((const struct sockaddr_in *)(const void *)address)->sin_port
           : address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
                                            : 0;
}

/* Whether `fd` is a connection that `socket` accepted from `address`. */
static bool is_connection(int fd, void *socket, const char *address) {
    struct sockaddr_storage local, peer;
    socklen_t local_bytes = sizeof local, peer_bytes = sizeof peer;
    char endpoint[PART_BYTES] = "", peer_text[INET6_ADDRSTRLEN] = "";
    size_t endpoint_bytes = sizeof endpoint;
    if (getsockname(fd, (struct sockaddr *)&local, &local_bytes) != 0 ||
        getpeername(fd, (struct sockaddr *)&peer, &peer_bytes) != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &endpoint_bytes) != 0) {
        return false;
    }
    const char *port = strrchr(endpoint, ':');
    return port != NULL && port_of(&local) == htons((uint16_t)strtoul(port + 1, NULL, 10)) &&
           getnameinfo((struct sockaddr *)&peer, peer_bytes, peer_text, sizeof peer_text, NULL, 0, NI_NUMERICHOST) ==
               0 &&
           strcmp(peer_text, address) == 0;
}

static void cut(flk_zap_t *zap, void *socket, const flk_message_t *message) {
    for (size_t i = 0; i < ROUTES_CUT; i++) {
        if (flk_route_equal(&zap->cut[i], &message->route)) {
            return;
        }
    }
    zap->cut[zap->cut_at++ % ROUTES_CUT] = message->route;
    int fd = zmq_msg_get(&message->head, ZMQ_SRCFD);
    const char *address = zmq_msg_gets(&message->head, address_property);
    bool ended = fd >= 0 && address != NULL && is_connection(fd, socket, address) && shutdown(fd, SHUT_RDWR) == 0;
    flk_log(FLK_LOG_WARN, "peer_cut_off", FLK_S("why", reason_names[REASON_REMOVED]),
            FLK_S("key", flk_zap_user(message)), FLK_S("address", address == NULL ? "" : address),
            FLK_B("connection_ended", ended));
}

bool flk_zap_admits(flk_zap_t *zap, void *socket, const flk_message_t *message) {
    const guard_t *guard = guard_of(zap, socket);
    if (guard == NULL || zmq_msg_size(&message->head) == 0 || /* no header: nothing that anybody would act on */
        flk_keydir_has(zap->keys, lists_of(guard->role), flk_zap_user(message), NULL)) {
        return true;
    }
    flk_counter_add(zap->refused[REASON_REMOVED], 1);
    cut(zap, socket, message);
    return false;
}

bool flk_zap_keeps(flk_zap_t *zap, const void *socket, const char *user) {
    const guard_t *guard = guard_of(zap, socket);
    return guard == NULL || flk_keydir_has(zap->keys, lists_of(guard->role), user, NULL);
}

uint64_t flk_zap_generation(const flk_zap_t *zap) {
    return zap == NULL || zap->keys == NULL ? 0 : flk_keydir_generation(zap->keys);
}

const flk_security_t *flk_zap_security(const flk_zap_t *zap) {
    return zap == NULL ? NULL : zap->security;
}

/* ---- life ---- */

static double read_keys(void *arg) {
    const gauge_t *gauge = arg;
    return (double)flk_keydir_len(gauge->keys, gauge->role);
}

static void register_metrics(flk_zap_t *zap, flk_metrics_t *metrics) {
    static const char *const reason_labels[] = {
#define REASON_LABEL(id, label) "reason=\"" label "\"",
        REASONS(REASON_LABEL)
#undef REASON_LABEL
    };
    static const char *const role_labels[] = {
#define ROLE_LABEL(id, name, dir) "role=\"" name "\"",
        FLK_ROLES(ROLE_LABEL)
#undef ROLE_LABEL
    };
    zap->admitted = flk_metrics_counter(metrics, "flk_curve_admitted_total", NULL, "CURVE peers that were let in.");
    for (size_t i = 0; i < REASONS_COUNT; i++) {
        zap->refused[i] = flk_metrics_counter(metrics, "flk_curve_refused_total", reason_labels[i],
                                              "Handshakes of peers that were not let in, and messages of peers whose "
                                              "key was removed.");
    }
    for (flk_role_t role = 0; role < FLK_ROLES_COUNT; role++) {
        zap->gauges[role] = (gauge_t){.keys = zap->keys, .role = role};
        flk_metrics_gauge_fn(metrics, "flk_curve_keys", role_labels[role], "Public keys that count in this role.",
                             read_keys, &zap->gauges[role]);
    }
}

static flk_err_t start(flk_zap_t *zap, char *errmsg) {
    static const int at_once = 0;
    zap->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    zap->handler = zmq_socket(zap->context, ZMQ_REP);
    if (zap->wake_fd < 0 || zap->handler == NULL) {
        flk_errmsg(errmsg, "out of memory or descriptors");
        return FLK_E_NOMEM;
    }
    FLK_ASSERT(zmq_setsockopt(zap->handler, ZMQ_LINGER, &at_once, sizeof at_once) == 0);
    if (zmq_bind(zap->handler, "inproc://zeromq.zap.01") != 0) {
        flk_errmsg(errmsg, "cannot take the place of the ZAP handler: %s", zmq_strerror(errno));
        return FLK_E_CONFIG;
    }
    return flk_thread_start(&zap->thread, "flk-zap", run_zap, zap, errmsg);
}

static void release(flk_zap_t *zap) {
    for (size_t i = 0; i < zap->guards_len; i++) {
        zmq_close(zap->guards[i].monitor);
    }
    if (zap->handler != NULL) {
        zmq_close(zap->handler);
    }
    if (zap->wake_fd >= 0) {
        close(zap->wake_fd);
    }
    pthread_mutex_destroy(&zap->mutex);
    free(zap);
}

flk_err_t flk_zap_start(void *context, const flk_security_t *security, flk_metrics_t *metrics, flk_zap_t **zap,
                        char *errmsg) {
    flk_zap_t *made = flk_start_alloc(sizeof *made);
    *zap = NULL;
    made->context = context;
    made->security = security;
    made->wake_fd = -1;
    pthread_mutex_init(&made->mutex, NULL);
    if (flk_security_has_key(security)) {
        made->keys = flk_security_keys(security);
        register_metrics(made, metrics);
        flk_err_t err = start(made, errmsg);
        if (err != FLK_OK) {
            release(made);
            return err;
        }
    }
    *zap = made;
    return FLK_OK;
}

void flk_zap_stop(flk_zap_t **zap) {
    flk_zap_t *gone = *zap;
    *zap = NULL;
    if (gone == NULL) {
        return;
    }
    if (gone->keys != NULL) {
        atomic_store(&gone->stopping, true);
        wake(gone);
        pthread_join(gone->thread, NULL);
    }
    release(gone);
}
