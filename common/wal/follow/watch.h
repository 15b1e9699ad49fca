/* SPDX-License-Identifier: MIT */
/* Waits until something happens in a log's directory: inotify, or a look every 20 ms where there is none. */
#ifndef FLK_COMMON_WAL_FOLLOW_WATCH_H
#define FLK_COMMON_WAL_FOLLOW_WATCH_H

#include "common/err.h"

typedef struct flk_wal_watch {
    int inotify_fd; /* -1: there is none */
    bool renamed;   /* a segment may have come since flk_wal_watch_renamed was asked */
    bool stirred;   /* anything happened since flk_wal_watch_look */
} flk_wal_watch_t;

/* Ended by flk_wal_watch_fini. */
void flk_wal_watch_init(flk_wal_watch_t *watch, const char *dir);
void flk_wal_watch_fini(flk_wal_watch_t *watch);
/* Begins a look at the log: an event from here on ends the next sleep. */
void flk_wal_watch_look(flk_wal_watch_t *watch);
/* True unless it is known that no segment came into the directory since the last question. Asked after a durable LSN
 * was read, it tells of every segment that was there when that was written. */
bool flk_wal_watch_renamed(flk_wal_watch_t *watch);
/* Sleeps until something was written or renamed since the look began, or `wait_ms` passed. */
void flk_wal_watch_sleep(flk_wal_watch_t *watch, uint32_t wait_ms);

#endif
