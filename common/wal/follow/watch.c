/* SPDX-License-Identifier: MIT */
/* The writer makes a segment by a rename, then writes items, syncs, and writes `durable`; each is an event of the
 * directory, in this order. A look takes the events, reads `durable`, and takes the events again: so it knows of all
 * segments that were there when that was written, and when it found nothing new the next event ends the sleep. A sleep
 * never lasts longer than a second, for file systems that tell nothing. */
#include "common/wal/follow/watch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { POLL_MS = 20, SLEEP_MS_MAX = 1000, EVENTS_BYTES = 4096 };

void flk_wal_watch_init(flk_wal_watch_t *watch, const char *dir) {
    *watch = (flk_wal_watch_t){.inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .renamed = true};
    if (watch->inotify_fd >= 0 && inotify_add_watch(watch->inotify_fd, dir, IN_MODIFY | IN_MOVED_TO) < 0) {
        close(watch->inotify_fd);
        watch->inotify_fd = -1;
    }
}

void flk_wal_watch_fini(flk_wal_watch_t *watch) {
    if (watch->inotify_fd >= 0) {
        close(watch->inotify_fd);
    }
}

static void take_events(flk_wal_watch_t *watch) {
    _Alignas(struct inotify_event) char events[EVENTS_BYTES];
    for (ssize_t got; (got = read(watch->inotify_fd, events, sizeof events)) > 0;) {
        const struct inotify_event *event;
        watch->stirred = true;
        for (const char *at = events; at < events + got; at += sizeof *event + event->len) {
            event = (const struct inotify_event *)(const void *)at;
            watch->renamed = watch->renamed || (event->mask & (IN_Q_OVERFLOW | IN_IGNORED)) != 0 ||
                             ((event->mask & IN_MOVED_TO) != 0 && strncmp(event->name, "wal-", 4) == 0);
        }
    }
}

void flk_wal_watch_look(flk_wal_watch_t *watch) {
    if (watch->inotify_fd >= 0) {
        take_events(watch);
    }
    watch->stirred = false;
}

bool flk_wal_watch_renamed(flk_wal_watch_t *watch) {
    if (watch->inotify_fd < 0) {
        return true;
    }
    take_events(watch);
    const bool renamed = watch->renamed;
    watch->renamed = false;
    return renamed;
}

void flk_wal_watch_sleep(flk_wal_watch_t *watch, uint32_t wait_ms) {
    const uint32_t bound_ms = watch->stirred ? 0 : watch->inotify_fd < 0 ? POLL_MS : SLEEP_MS_MAX;
    struct pollfd fd = {.fd = watch->inotify_fd, .events = POLLIN}; /* without one it is a plain sleep */
    (void)poll(&fd, 1, (int)(wait_ms < bound_ms ? wait_ms : bound_ms));
}
