/* SPDX-License-Identifier: MIT */
/* bench_broker [deliveries] [body bytes] [queue depth]: a broker process of its own, with peers in this process over
 * ipc.
 *
 *   steady  one gateway keeps a window of submissions open, WORKERS workers answer at once
 *   fill    no worker: the queue grows to its depth
 *   drain   the workers are there: the queue empties
 *
 * The machine's cores are shared with the peers, so beside the rate on the clock it prints the broker's CPU time for
 * each delivery: of its loop's thread, and of the whole process with libzmq's I/O threads. */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker.h"
#include "common/log.h"
#include "proto/link.h"

enum { WORKERS = 4, WORKER_CREDIT = 64, WINDOW = 4096, GATEWAYS = 40 /* x credit 32768 > a million */ };

static char frontend[64], backend[64];
static size_t body_bytes;

/* ---- the broker's process ---- */

static flk_broker_t *broker;

static void on_term(int number) {
    (void)number;
    flk_broker_stop(broker); /* NOLINT(bugprone-signal-handler): it may be called from one, broker.h says */
}

static int run_broker(uint64_t count_max, int ready_fd) {
    flk_log_init("bench", FLK_LOG_ERROR, FLK_LOG_TEXT);
    flk_metrics_t *metrics = flk_metrics_new();
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_broker_options_t options = {.frontend = frontend,
                                    .backend = backend,
                                    .heartbeat_ms = 60000,
                                    .count_max = count_max,
                                    .bytes_max = UINT64_C(1) << 40,
                                    .metrics = metrics};
    if (flk_broker_new(&options, &broker, errmsg) != FLK_OK) {
        fprintf(stderr, "bench_broker: %s\n", errmsg);
        return 1;
    }
    signal(SIGTERM, on_term);
    if (write(ready_fd, "", 1) != 1) {
        return 1;
    }
    flk_broker_run(broker);
    flk_broker_destroy(&broker);
    flk_metrics_destroy(&metrics);
    return 0;
}

static pid_t broker_pid;

/* utime + stime of one task in seconds; fields 14 and 15 of its stat file. */
static double task_cpu_s(const char *task) {
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/task/%s/stat", (int)broker_pid, task);
    FILE *file = fopen(path, "r");
    double seconds = 0;
    if (file != NULL && fgets(line, sizeof line, file) != NULL) {
        unsigned long user, system;
        const char *at = strrchr(line, ')');
        if (at != NULL && sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2) {
            seconds = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return seconds;
}

typedef struct usage {
    double loop_s, all_s;
    uint64_t wall_ns, rss_bytes;
} usage_t;

static usage_t read_usage(void) {
    usage_t usage = {.wall_ns = flk_mono_ns()};
    char path[64], loop[16];
    snprintf(loop, sizeof loop, "%d", (int)broker_pid);
    snprintf(path, sizeof path, "/proc/%d/task", (int)broker_pid);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') {
            usage.all_s += task_cpu_s(entry->d_name);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    usage.loop_s = task_cpu_s(loop); /* the main thread runs the loop */
    snprintf(path, sizeof path, "/proc/%d/statm", (int)broker_pid);
    FILE *file = fopen(path, "r");
    unsigned long pages = 0;
    if (file != NULL && fscanf(file, "%*u %lu", &pages) == 1) {
        usage.rss_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    }
    if (file != NULL) {
        fclose(file);
    }
    return usage;
}

static void print_phase(const char *phase, const usage_t *from, const usage_t *to, uint64_t deliveries) {
    double n = (double)deliveries;
    printf("%-7s %9llu deliveries  %9.0f/s on the clock  loop %5.2f us each (%7.0f/s a core)  process %5.2f us\n",
           phase, (unsigned long long)deliveries, n * 1e9 / (double)(to->wall_ns - from->wall_ns),
           (to->loop_s - from->loop_s) * 1e6 / n, n / (to->loop_s - from->loop_s + 1e-9),
           (to->all_s - from->all_s) * 1e6 / n);
    fflush(stdout);
}

/* ---- the peers ---- */

static void *context;
static atomic_bool workers_stop;

static void *open_peer(const char *endpoint, const flk_frame_t *hello) {
    void *socket;
    char errmsg[FLK_ERRMSG_BYTES];
    if (flk_link_connect(context, endpoint, NULL, &(flk_server_t){0}, &socket, errmsg) != FLK_OK) {
        fprintf(stderr, "bench_broker: %s\n", errmsg);
        exit(1);
    }
    flk_frame_t frame = *hello;
    flk_id_random(&frame.id);
    while (flk_link_send(socket, NULL, &frame, NULL) == FLK_E_UNAVAILABLE) {
        zmq_poll(NULL, 0, 1);
    }
    return socket;
}

static void wait_in(void *socket) {
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    zmq_poll(&item, 1, 50);
}

static void *run_worker(void *arg) {
    (void)arg;
    void *socket = open_peer(backend, &(flk_frame_t){.kind = FLK_READY, .credit = WORKER_CREDIT, .name = "bench"});
    flk_message_t message;
    flk_message_init(&message);
    static const char outcome[300];
    while (!atomic_load(&workers_stop)) {
        while (flk_link_recv(socket, false, &message, NULL) == FLK_OK) {
            if (message.frame.kind == FLK_WORK) {
                flk_frame_t verdict = {
                    .kind = FLK_VERDICT, .id = message.frame.id, .delivery = message.frame.delivery, .status = 200};
                flk_err_t err = flk_link_send_copy(socket, NULL, &verdict, outcome, sizeof outcome);
                FLK_ASSERT(err == FLK_OK);
            }
        }
        wait_in(socket);
    }
    flk_message_fini(&message);
    flk_link_close(&socket);
    return NULL;
}

static void start_workers(pthread_t threads[WORKERS]) {
    atomic_store(&workers_stop, false);
    for (int i = 0; i < WORKERS; i++) {
        FLK_ASSERT(pthread_create(&threads[i], NULL, run_worker, NULL) == 0);
    }
}

static void stop_workers(pthread_t threads[WORKERS]) {
    atomic_store(&workers_stop, true);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void send_submit(void *socket, uint64_t lsn, const void *body) {
    flk_frame_t submit = {.kind = FLK_SUBMIT};
    flk_id_from_lsn(7, lsn, &submit.id);
    flk_err_t err;
    do {
        err = flk_link_send_copy(socket, NULL, &submit, body, body_bytes);
    } while (err == FLK_E_UNAVAILABLE);
    FLK_ASSERT(err == FLK_OK);
}

/* Receives the messages that are there; returns how many verdicts it was. */
static uint64_t take_verdicts(void *socket, flk_message_t *message) {
    uint64_t verdicts = 0;
    while (flk_link_recv(socket, false, message, NULL) == FLK_OK) {
        FLK_ASSERT(message->frame.kind != FLK_BUSY);
        verdicts += message->frame.kind == FLK_VERDICT;
    }
    return verdicts;
}

static void steady(uint64_t deliveries, const void *body) {
    pthread_t threads[WORKERS];
    start_workers(threads);
    void *gateway = open_peer(frontend, &(flk_frame_t){.kind = FLK_HELLO, .name = "bench"});
    flk_message_t message;
    flk_message_init(&message);
    usage_t from = read_usage();
    for (uint64_t sent = 0, done = 0; done < deliveries;) {
        for (int i = 0; i < 256 && sent < deliveries && sent - done < WINDOW; i++) {
            send_submit(gateway, sent++, body);
        }
        uint64_t got = take_verdicts(gateway, &message);
        done += got;
        if (got == 0) {
            wait_in(gateway);
        }
    }
    usage_t to = read_usage();
    print_phase("steady", &from, &to, deliveries);
    flk_message_fini(&message);
    flk_link_close(&gateway);
    stop_workers(threads);
}

/* Waits until the broker has handled everything that was sent on this connection. */
static void barrier(void *gateway, flk_message_t *message) {
    flk_err_t err = flk_link_send(gateway, NULL, &(flk_frame_t){.kind = FLK_PING}, NULL);
    FLK_ASSERT(err == FLK_OK);
    do {
        wait_in(gateway);
    } while (flk_link_recv(gateway, false, message, NULL) != FLK_OK || message->frame.kind != FLK_PONG);
}

static void fill(void *const *gateways, uint64_t count, const void *body, flk_message_t *message) {
    usage_t empty = read_usage(), from = empty, to = empty;
    for (uint64_t step = 0; step < 10; step++) {
        for (uint64_t i = 0; i < count / 10; i++) {
            send_submit(gateways[i % GATEWAYS], (UINT64_C(1) << 32) + step * (count / 10) + i, body);
        }
        for (int i = 0; i < GATEWAYS; i++) {
            barrier(gateways[i], message);
        }
        to = read_usage();
        print_phase("fill", &from, &to, count / 10);
        from = to;
    }
    double payload = (double)(count * body_bytes), grown = (double)(to.rss_bytes - empty.rss_bytes);
    printf("memory  %.0f MB for %.0f MB of bodies: %.2f x, %.0f bytes a delivery beside its body\n", grown / 1e6,
           payload / 1e6, grown / payload, (grown - payload) / (double)count);
}

static void drain(void *const *gateways, uint64_t count, flk_message_t *message) {
    pthread_t threads[WORKERS];
    usage_t from = read_usage();
    start_workers(threads);
    for (uint64_t step = 0, done = 0; step < 10; step++) {
        while (done < (step + 1) * (count / 10)) {
            uint64_t got = 0;
            for (int i = 0; i < GATEWAYS; i++) {
                got += take_verdicts(gateways[i], message);
            }
            done += got;
            zmq_poll(NULL, 0, got == 0);
        }
        usage_t to = read_usage();
        print_phase("drain", &from, &to, count / 10);
        from = to;
    }
    stop_workers(threads);
}

/* Each phase in ten steps, so that a rate that falls with the depth shows. */
static void depth(uint64_t count, const void *body) {
    void *gateways[GATEWAYS];
    flk_message_t message;
    flk_message_init(&message);
    for (int i = 0; i < GATEWAYS; i++) {
        gateways[i] = open_peer(frontend, &(flk_frame_t){.kind = FLK_HELLO, .name = "bench"});
    }
    fill(gateways, count, body, &message);
    drain(gateways, count, &message);
    flk_message_fini(&message);
    for (int i = 0; i < GATEWAYS; i++) {
        flk_link_close(&gateways[i]);
    }
}

static uint64_t argument(int argc, char **argv, int at, uint64_t otherwise) {
    return argc > at ? strtoull(argv[at], NULL, 10) : otherwise;
}

int main(int argc, char **argv) {
    uint64_t deliveries = argument(argc, argv, 1, 500000), count = argument(argc, argv, 3, 1000000);
    body_bytes = argument(argc, argv, 2, 700);
    int ready[2];
    snprintf(frontend, sizeof frontend, "ipc:///tmp/flk-bench-%d-f", (int)getpid());
    snprintf(backend, sizeof backend, "ipc:///tmp/flk-bench-%d-b", (int)getpid());
    FLK_ASSERT(pipe(ready) == 0);
    broker_pid = fork();
    if (broker_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        return run_broker(count, ready[1]);
    }
    char byte;
    if (read(ready[0], &byte, 1) != 1) {
        return 1;
    }
    context = zmq_ctx_new();
    void *body = calloc(1, body_bytes);
    steady(deliveries, body);
    depth(count, body);
    free(body);
    kill(broker_pid, SIGTERM);
    int status;
    waitpid(broker_pid, &status, 0);
    zmq_ctx_term(context);
    return status == 0 ? 0 : 1;
}
