/* SPDX-License-Identifier: MIT */
/* Tells the service manager how this process does (systemd's Type=notify, sd_notify(3)), without its library. */
#ifndef FLK_COMMON_PROGRAM_NOTIFY_H
#define FLK_COMMON_PROGRAM_NOTIFY_H

#include "common/base.h"

#define FLK_NOTIFY_READY    "READY=1\nSTATUS=ready"
#define FLK_NOTIFY_STOPPING "STOPPING=1\nSTATUS=draining"
#define FLK_NOTIFY_ALIVE    "WATCHDOG=1"

/* Sends `state`, lines of NAME=VALUE, as one datagram to the socket that NOTIFY_SOCKET names, a path or "@abstract".
 * Without a manager, nothing. Any thread; waits 1 s at most for a manager that does not read. A manager that cannot be
 * told is no reason to stop: it is logged, and that is all. */
void flk_notify(const char *state);

/* The keep-alive that the manager's watchdog wants (WATCHDOG_USEC, WATCHDOG_PID): one loop of the process calls it
 * at each turn, and no other thread. Never blocks. Sends at most one in half of the manager's time, and none while
 * any loop has not turned for too long (beat.h); without a watchdog, nothing. */
void flk_notify_alive(uint64_t now_ms);

#endif
