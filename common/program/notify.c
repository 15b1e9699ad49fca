/* SPDX-License-Identifier: MIT */
#include "common/program/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/beat.h"
#include "common/log.h"

enum { STATE_WAIT_MS = 1000 };

/* The length to pass to sendto; 0 when `name` is neither a path nor abstract, or too long. */
static socklen_t fill_address(const char *name, struct sockaddr_un *address) {
    size_t len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof address->sun_path) {
        return 0;
    }
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, name, len);
    if (name[0] == '@') {
        address->sun_path[0] = '\0'; /* an abstract name is as long as it is: no NUL belongs to it */
    }
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
}

/* Waits for room in the manager's queue at most for so long. */
static void send_state(const char *state, int wait_ms) {
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    if (name == NULL || name[0] == '\0') {
        return;
    }
    socklen_t address_len = fill_address(name, &address);
    const struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
    int flags = MSG_NOSIGNAL | (wait_ms == 0 ? MSG_DONTWAIT : 0);
    int fd = address_len > 0 ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) != 0 ||
        sendto(fd, state, strlen(state), flags, (const struct sockaddr *)&address, address_len) < 0) {
        flk_log(FLK_LOG_WARN, "notify_failed", FLK_S("socket", name),
                FLK_S("error", address_len > 0 ? strerror(errno) : "not a path or @name"));
    }
    if (fd >= 0) {
        close(fd);
    }
}

void flk_notify(const char *state) {
    send_state(state, STATE_WAIT_MS);
}

/* Half of the manager's time in ms; 0: no watchdog, or one for another process, whose environment we have. */
static uint64_t watchdog_period_ms(void) {
    const char *limit_us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (limit_us == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid())) {
        return 0;
    }
    uint64_t period_ms = strtoull(limit_us, NULL, 10) / 2000;
    return period_ms > 0 ? period_ms : 1;
}

void flk_notify_alive(uint64_t now_ms) {
    static uint64_t period_ms, due_ms;
    static bool asked;
    if (!asked) {
        asked = true;
        period_ms = watchdog_period_ms();
    }
    if (period_ms > 0 && now_ms >= due_ms && flk_beats_alive(now_ms, NULL)) {
        due_ms = now_ms + period_ms;
        send_state(FLK_NOTIFY_ALIVE, 0); /* the next one comes in time as well */
    }
}
