/* SPDX-License-Identifier: MIT */
/* Each reader opens its file in /proc at the scrape; one that cannot be read gives NaN, never a wrong number. */
#include "common/metrics_process.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double read_resident_bytes(void *arg) {
    (void)arg;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm == NULL) {
        return (double)NAN;
    }
    unsigned long resident_pages;
    int fields = fscanf(statm, "%*u %lu", &resident_pages);
    fclose(statm);
    return fields == 1 ? (double)resident_pages * (double)sysconf(_SC_PAGESIZE) : (double)NAN;
}

static double count_entries(const char *path) {
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return (double)NAN;
    }
    double count = 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static double read_open_fds(void *arg) {
    (void)arg;
    return count_entries("/proc/self/fd") - 1; /* without the one that counts */
}

static double read_threads(void *arg) {
    (void)arg;
    return count_entries("/proc/self/task");
}

static double read_max_fds(void *arg) {
    (void)arg;
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : (double)NAN;
}

static double timeval_seconds(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static double read_cpu_seconds(void *arg) {
    (void)arg;
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? timeval_seconds(usage.ru_utime) + timeval_seconds(usage.ru_stime)
                                               : (double)NAN;
}

/* Field 22 of /proc/self/stat: clock ticks between boot and the start. Field 2 may hold spaces and parentheses. */
static double read_start_ticks(void) {
    char text[1024];
    FILE *stat = fopen("/proc/self/stat", "re");
    if (stat == NULL) {
        return (double)NAN;
    }
    size_t got = fread(text, 1, sizeof text - 1, stat);
    fclose(stat);
    text[got] = '\0';
    const char *after_name = strrchr(text, ')');
    unsigned long long ticks;
    const char *format = ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu";
    return after_name != NULL && sscanf(after_name, format, &ticks) == 1 ? (double)ticks : (double)NAN;
}

static double clock_seconds(clockid_t clock) {
    struct timespec now;
    FLK_ASSERT(clock_gettime(clock, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Computed once: a scraper takes a value that moves, as it would with the wall clock, for a restart. */
static double start_seconds;

static double compute_start_seconds(void) {
    double age = clock_seconds(CLOCK_BOOTTIME) - read_start_ticks() / (double)sysconf(_SC_CLK_TCK);
    return round((clock_seconds(CLOCK_REALTIME) - age) * 100) / 100;
}

static double read_start_seconds(void *arg) {
    (void)arg;
    return start_seconds;
}

static double read_one(void *arg) {
    (void)arg;
    return 1;
}

void flk_metrics_add_process(flk_metrics_t *metrics) {
    if (start_seconds == 0) {
        start_seconds = compute_start_seconds();
    }
    flk_metrics_gauge_fn(metrics, "flk_build_info", "version=\"" FLK_VERSION "\",commit=\"" FLK_COMMIT "\"",
                         "Version of this program and the commit it was built from, as labels.", read_one, NULL);
    flk_metrics_counter_fn(metrics, "process_cpu_seconds_total", NULL, "User and system CPU time spent.",
                           read_cpu_seconds, NULL);
    flk_metrics_gauge_fn(metrics, "process_max_fds", NULL, "Limit of open file descriptors.", read_max_fds, NULL);
    flk_metrics_gauge_fn(metrics, "process_open_fds", NULL, "Open file descriptors.", read_open_fds, NULL);
    flk_metrics_gauge_fn(metrics, "process_resident_memory_bytes", NULL, "Resident memory.", read_resident_bytes, NULL);
    flk_metrics_gauge_fn(metrics, "process_start_time_seconds", NULL, "Start of the process since the Unix epoch.",
                         read_start_seconds, NULL);
    flk_metrics_gauge_fn(metrics, "process_threads", NULL, "Threads of the process.", read_threads, NULL);
}
