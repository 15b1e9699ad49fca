/* SPDX-License-Identifier: MIT */
/* Real servers for tests: started on a free loopback port, with files in the test's directory, and gone with the test.
 */
#ifndef FLK_TESTS_DAEMON_RIG_H
#define FLK_TESTS_DAEMON_RIG_H

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base.h"
#include "tests/unit/rig/ports.h"

enum { RIG_PATIENCE_MS = 30000 };

/* Waits for a condition with a deadline; a test that waits in vain fails. */
#define wait_until(condition)                                                                                          \
    do {                                                                                                               \
        uint64_t give_up_ms = flk_mono_ms() + RIG_PATIENCE_MS;                                                         \
        while (!(condition)) {                                                                                         \
            ck_assert_msg(flk_mono_ms() < give_up_ms, "waited in vain for: %s", #condition);                           \
            poll(NULL, 0, 5);                                                                                          \
        }                                                                                                              \
    } while (0)

/* Starts a program; uid 0: as the present user. */
pid_t rig_start(const char *log_path, uid_t uid, gid_t gid, const char *const *argv);

/* Waits for a child's end and gives its status. */
int rig_reap(pid_t pid);

void rig_run(const char *log_path, uid_t uid, gid_t gid, const char *const *argv);

/* Fails the test with a clear line when the program is not there. */
void rig_alive(pid_t pid, const char *program);

#endif
