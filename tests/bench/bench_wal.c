/* SPDX-License-Identifier: MIT */
/* bench_wal [directory [seconds a round [records [rounds]]]]: records a second that the log makes durable with so many
 * outstanding, beside a bare loop that writes as many records in one pwrite and syncs them: the most that the disk
 * allows. Both in one run, in turn, and the medians of many short rounds, since other users of the disk change its
 * speed by the second.
 * Then the time and memory of a start with a million un-acked records, or so many. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/io.h"
#include "common/wal/wal.h"

enum { BODY_BYTES = 1000, OUTSTANDING_MAX = 256, ROUNDS_MAX = 11, SEGMENT_BYTES = 64 << 20 };

static const char *parent = "/tmp";
static double seconds = 0.3;
static size_t unacked = 1000000;
static int rounds = ROUNDS_MAX;
static uint8_t body[BODY_BYTES];
static char errmsg[FLK_ERRMSG_BYTES];

static void must(flk_err_t err) {
    if (err != FLK_OK) {
        fprintf(stderr, "bench_wal: %s\n", errmsg);
        exit(1);
    }
}

static double now(void) {
    return (double)flk_mono_ns() / 1e9;
}

static char *make_dir(void) {
    static char dir[256];
    snprintf(dir, sizeof dir, "%s/flk-bench-XXXXXX", parent);
    if (mkdtemp(dir) == NULL) {
        fprintf(stderr, "bench_wal: cannot make a directory in %s: %s\n", parent, strerror(errno));
        exit(1);
    }
    return dir;
}

static void remove_dir(const char *dir) {
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    if (system(command) != 0) {
        fprintf(stderr, "bench_wal: cannot remove %s\n", dir);
    }
}

/* ---- the bare loop ---- */

static double bare(unsigned outstanding) {
    const char *dir = make_dir();
    char path[300];
    size_t group_bytes = outstanding * (BODY_BYTES + 40), count = 0;
    uint64_t offset = 0;
    uint8_t *group = calloc(1, group_bytes), *zeros = calloc(1, 1 << 20);
    int fd;
    snprintf(path, sizeof path, "%s/bare", dir);
    must(flk_io_open(path, O_WRONLY | O_CREAT, &fd, errmsg));
    must(flk_io_allocate(fd, path, SEGMENT_BYTES, errmsg));
    for (; offset < SEGMENT_BYTES; offset += 1 << 20) {
        struct iovec iov = {.iov_base = zeros, .iov_len = 1 << 20};
        must(flk_io_pwritev(fd, path, &iov, 1, offset, errmsg));
    }
    must(flk_io_sync(fd, path, errmsg));
    double start = now(), end;
    for (offset = 0; (end = now()) < start + seconds; offset += group_bytes) {
        if (offset + group_bytes > SEGMENT_BYTES) {
            offset = 0;
        }
        struct iovec iov = {.iov_base = group, .iov_len = group_bytes};
        must(flk_io_pwritev(fd, path, &iov, 1, offset, errmsg));
        must(flk_io_sync(fd, path, errmsg));
        count += outstanding;
    }
    must(flk_io_close(fd, path, errmsg));
    free(group);
    free(zeros);
    remove_dir(dir);
    return (double)count / (end - start);
}

/* ---- one event loop ---- */

typedef struct loop {
    int event;
    _Atomic(flk_wal_entry_t *) done; /* stack of groups' entries */
} loop_t;

static void to_loop(void *arg, flk_wal_entry_t *group) {
    loop_t *loop = arg;
    flk_wal_entry_t *last = group;
    while (last->next != NULL) {
        last = last->next;
    }
    flk_wal_entry_t *top = atomic_load(&loop->done);
    do {
        last->next = top;
    } while (!atomic_compare_exchange_weak(&loop->done, &top, group));
    if (top == NULL) {
        uint64_t one = 1;
        (void)!write(loop->event, &one, sizeof one);
    }
}

static double event_loop(unsigned outstanding, double *records_per_group) {
    static flk_wal_entry_t entries[OUTSTANDING_MAX];
    loop_t loop = {.event = eventfd(0, EFD_CLOEXEC)};
    const char *dir = make_dir();
    flk_wal_t *wal;
    flk_wal_stats_t stats;
    must(flk_wal_open(&(flk_wal_options_t){.dir = dir, .on_commit = to_loop, .on_commit_arg = &loop}, &wal, errmsg));
    double start = now(), end;
    size_t count = 0;
    for (unsigned i = 0; i < outstanding; i++) {
        entries[i] = (flk_wal_entry_t){.body = body, .body_bytes = BODY_BYTES};
        flk_wal_append(wal, &entries[i]);
    }
    while ((end = now()) < start + seconds) {
        uint64_t signals;
        (void)!read(loop.event, &signals, sizeof signals);
        flk_wal_entry_t *entry = atomic_exchange(&loop.done, NULL);
        while (entry != NULL) {
            flk_wal_entry_t *next = entry->next;
            must(entry->err);
            flk_wal_append(wal, entry);
            entry = next;
            count++;
        }
    }
    flk_wal_stats(wal, &stats);
    *records_per_group = (double)stats.records_total / (double)stats.groups_total;
    flk_wal_close(&wal);
    close(loop.event);
    remove_dir(dir);
    return (double)count / (end - start);
}

/* ---- threads that wait ---- */

typedef struct threads {
    flk_wal_t *wal;
    double until;
    atomic_size_t count;
} threads_t;

static void *append_until(void *arg) {
    threads_t *threads = arg;
    char detail[FLK_ERRMSG_BYTES];
    while (now() < threads->until) {
        if (flk_wal_append_wait(threads->wal, 0, body, BODY_BYTES, NULL, detail) != FLK_OK) {
            fprintf(stderr, "bench_wal: %s\n", detail);
            exit(1);
        }
        atomic_fetch_add(&threads->count, 1);
    }
    return NULL;
}

static double with_threads(unsigned outstanding, double *records_per_group) {
    static pthread_t ids[OUTSTANDING_MAX];
    threads_t threads = {0};
    const char *dir = make_dir();
    flk_wal_stats_t stats;
    must(flk_wal_open(&(flk_wal_options_t){.dir = dir}, &threads.wal, errmsg));
    double start = now();
    threads.until = start + seconds;
    for (unsigned i = 0; i < outstanding; i++) {
        if (pthread_create(&ids[i], NULL, append_until, &threads) != 0) {
            exit(1);
        }
    }
    for (unsigned i = 0; i < outstanding; i++) {
        pthread_join(ids[i], NULL);
    }
    double end = now();
    flk_wal_stats(threads.wal, &stats);
    *records_per_group = (double)stats.records_total / (double)stats.groups_total;
    flk_wal_close(&threads.wal);
    remove_dir(dir);
    return (double)atomic_load(&threads.count) / (end - start);
}

static int by_value(const void *a, const void *b) {
    return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

static double median(double values[ROUNDS_MAX]) {
    qsort(values, (size_t)rounds, sizeof values[0], by_value);
    return values[rounds / 2];
}

static void compare(unsigned outstanding) {
    double bares[ROUNDS_MAX], loops[ROUNDS_MAX], threads[ROUNDS_MAX], loop_ratios[ROUNDS_MAX],
        thread_ratios[ROUNDS_MAX];
    double loop_group = 0, threads_group = 0;
    for (int round = 0; round < rounds; round++) {
        bares[round] = bare(outstanding);
        loops[round] = event_loop(outstanding, &loop_group);
        threads[round] = with_threads(outstanding, &threads_group);
        loop_ratios[round] = loops[round] / bares[round];
        thread_ratios[round] = threads[round] / bares[round];
    }
    printf("%11u %12.0f %12.0f %6.2f %7.0f %12.0f %6.2f %7.0f\n", outstanding, median(bares), median(loops),
           median(loop_ratios), loop_group, median(threads), median(thread_ratios), threads_group);
    fflush(stdout);
}

/* ---- start ---- */

static void count_commits(void *arg, flk_wal_entry_t *group) {
    for (; group != NULL; group = group->next) {
        atomic_fetch_add((atomic_size_t *)arg, 1);
    }
}

static void start_with_unacked(void) {
    static flk_wal_entry_t entries[1024];
    static uint8_t small[200];
    const char *dir = make_dir();
    atomic_size_t commits = 0;
    flk_wal_options_t options = {.dir = dir, .on_commit = count_commits, .on_commit_arg = &commits};
    flk_wal_t *wal;
    must(flk_wal_open(&options, &wal, errmsg));
    for (size_t done = 0; done < unacked;) {
        size_t batch = unacked - done < 1024 ? unacked - done : 1024;
        for (size_t i = 0; i < batch; i++) {
            entries[i] = (flk_wal_entry_t){.body = small, .body_bytes = sizeof small};
            flk_wal_append(wal, &entries[i]);
        }
        done += batch;
        while (atomic_load(&commits) < done) {
            usleep(50);
        }
    }
    flk_wal_stats_t stats;
    flk_wal_stats(wal, &stats);
    flk_wal_close(&wal);
    struct mallinfo2 before = mallinfo2();
    double start = now();
    must(flk_wal_open(&options, &wal, errmsg));
    double took = now() - start;
    struct mallinfo2 after = mallinfo2();
    size_t bytes = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
    printf("start with %zu un-acked records: %.2f s, %.1f million records/s, %.0f MB/s, %.2f MB of memory\n", unacked,
           took, (double)unacked * 1e-6 / took, (double)stats.bytes_total / took / 1e6, (double)bytes / 1e6);
    flk_wal_close(&wal);
    remove_dir(dir);
}

int main(int argc, char **argv) {
    static const unsigned outstanding[] = {1, 64, 256};
    parent = argc > 1 ? argv[1] : parent;
    seconds = argc > 2 ? atof(argv[2]) : seconds;
    unacked = argc > 3 ? strtoull(argv[3], NULL, 10) : unacked;
    rounds = argc > 4 && atoi(argv[4]) > 0 && atoi(argv[4]) < ROUNDS_MAX ? atoi(argv[4]) : ROUNDS_MAX;
    printf("records/s of %d bytes; ratio to the bare loop; records a group\n", BODY_BYTES);
    printf("%11s %12s %12s %6s %7s %12s %6s %7s\n", "outstanding", "bare", "event loop", "ratio", "group", "threads",
           "ratio", "group");
    for (size_t i = 0; i < FLK_COUNT_OF(outstanding); i++) {
        compare(outstanding[i]);
    }
    start_with_unacked();
    return 0;
}
