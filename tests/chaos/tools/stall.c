/* SPDX-License-Identifier: MIT */
/* Preloaded into a daemon: holds up one thread in poll(2), ppoll(2) or fdatasync(2) for as long as the file that
 * CHAOS_STALL names holds the thread's name ("flk-relay"). The process's other threads go on, so its pages answer:
 * nothing but its loop hangs. */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static char path[4096]; /* read before main, for daemons clear their environment */

__attribute__((constructor)) static void read_path(void) {
    const char *value = getenv("CHAOS_STALL");
    snprintf(path, sizeof path, "%s", value == NULL ? "" : value);
}

static bool is_held_up(void) {
    char name[16] = "", wanted[64] = "";
    int fd = path[0] == '\0' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t bytes = read(fd, wanted, sizeof wanted - 1);
    close(fd);
    (void)prctl(PR_GET_NAME, name);
    return bytes > 0 && strcmp(name, wanted) == 0;
}

static void wait_while_held_up(void) {
    while (is_held_up()) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

/* libzmq calls poll, or the poll that our programs have in its place, which calls ppoll. */
int poll(struct pollfd *fds, nfds_t len, int timeout_ms) {
    static int (*real)(struct pollfd *, nfds_t, int);
    if (real == NULL) {
        real = (int (*)(struct pollfd *, nfds_t, int))dlsym(RTLD_NEXT, "poll");
    }
    wait_while_held_up();
    return real(fds, len, timeout_ms);
}

int ppoll(struct pollfd *fds, nfds_t len, const struct timespec *timeout, const sigset_t *signals) {
    static int (*real)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
    if (real == NULL) {
        real = (int (*)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *))dlsym(RTLD_NEXT, "ppoll");
    }
    wait_while_held_up();
    return real(fds, len, timeout, signals);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (real == NULL) {
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    }
    wait_while_held_up();
    return real(fd);
}
