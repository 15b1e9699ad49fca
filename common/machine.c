/* SPDX-License-Identifier: MIT */
/* /proc/self/cgroup names a cgroup for each controller ("4:memory:/a/b"; version 2: "0::/a/b"). Its limit, and that of
 * each cgroup above, lies in /sys/fs/cgroup/[CONTROLLER]/a/b, …/a, …/. In a container the names are often those of the
 * host, of which nothing is mounted: then only the topmost directory is there, and it is the container's own. A limit
 * that cannot be read limits nothing. */
#include "common/machine.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 768, LINE_BYTES = 512, MILLI = 1000, SHARE_BYTES_MIN = 1 << 20 };

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* Two numbers of a file, or of two files; a text that is no number ("max", "-1") leaves `first` as it is. */
static bool read_numbers(const char *directory, const char *file, uint64_t *first, uint64_t *second) {
    char path[PATH_BYTES + 64], text[64] = "";
    snprintf(path, sizeof path, "%s/%s", directory, file);
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        return false;
    }
    bool there = fgets(text, sizeof text, stream) != NULL;
    fclose(stream);
    return there && text[0] >= '0' && text[0] <= '9' && sscanf(text, "%" SCNu64 " %" SCNu64, first, second) >= 1;
}

static uint64_t quota_in(const char *directory, bool unified) {
    uint64_t quota_us = 0, period_us = 0, ignored;
    if (unified) {
        (void)read_numbers(directory, "cpu.max", &quota_us, &period_us);
    } else if (read_numbers(directory, "cpu.cfs_quota_us", &quota_us, &ignored)) {
        (void)read_numbers(directory, "cpu.cfs_period_us", &period_us, &ignored);
    }
    return quota_us == 0 || period_us == 0 || quota_us > UINT64_MAX / MILLI ? UINT64_MAX : quota_us * MILLI / period_us;
}

static uint64_t limit_in(const char *directory, bool unified) {
    uint64_t bytes, ignored;
    return read_numbers(directory, unified ? "memory.max" : "memory.limit_in_bytes", &bytes, &ignored) ? bytes
                                                                                                       : UINT64_MAX;
}

typedef uint64_t reader_fn(const char *directory, bool unified);

/* The least of a cgroup and all above it. `path` is cut on the way. */
static uint64_t least_upwards(const char *base, char *path, bool unified, reader_fn *read) {
    uint64_t found = UINT64_MAX;
    for (;;) {
        char directory[PATH_BYTES];
        snprintf(directory, sizeof directory, "%s%s", base, strcmp(path, "/") == 0 ? "" : path);
        found = least(found, read(directory, unified));
        char *slash = strrchr(path, '/');
        if (slash == NULL) {
            return found;
        }
        *slash = '\0';
    }
}

static bool names_controller(const char *list, const char *controller) {
    size_t bytes = strlen(controller);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, controller, bytes) == 0 && (at[bytes] == ',' || at[bytes] == '\0')) {
            return true;
        }
    }
    return false;
}

static uint64_t limit_of(const char *root, const char *controller, reader_fn *read) {
    char line[LINE_BYTES], base[PATH_BYTES];
    uint64_t found = UINT64_MAX;
    snprintf(base, sizeof base, "%s/proc/self/cgroup", root);
    FILE *stream = fopen(base, "re");
    while (stream != NULL && fgets(line, sizeof line, stream) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *list = strchr(line, ':'), *path = list == NULL ? NULL : strchr(list + 1, ':');
        if (path == NULL) {
            continue;
        }
        *list++ = '\0';
        *path++ = '\0';
        bool unified = *list == '\0';
        if (unified) {
            snprintf(base, sizeof base, "%s/sys/fs/cgroup", root);
        } else if (names_controller(list, controller)) {
            snprintf(base, sizeof base, "%s/sys/fs/cgroup/%s", root, controller);
        } else {
            continue;
        }
        found = least(found, least_upwards(base, path, unified, read));
    }
    if (stream != NULL) {
        fclose(stream);
    }
    return found;
}

uint64_t flk_machine_quota_millicores(const char *root) {
    return limit_of(root, "cpu", quota_in);
}

uint64_t flk_machine_limit_bytes(const char *root) {
    return limit_of(root, "memory", limit_in);
}

unsigned flk_machine_cores(void) {
    cpu_set_t allowed;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t cores = online < 1 ? 1 : (uint64_t)online, quota = flk_machine_quota_millicores("");
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        cores = least(cores, (uint64_t)CPU_COUNT(&allowed));
    }
    cores = least(cores, quota / MILLI + (quota % MILLI != 0));
    return cores < 1 ? 1 : (unsigned)cores;
}

uint64_t flk_machine_memory_bytes(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t physical = pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : UINT64_MAX;
    return least(physical, flk_machine_limit_bytes(""));
}

uint64_t flk_machine_share_bytes(unsigned parts, uint64_t most) {
    uint64_t share = least(flk_machine_memory_bytes() / parts, most);
    return share < SHARE_BYTES_MIN ? SHARE_BYTES_MIN : share;
}
