/* SPDX-License-Identifier: MIT */
/* Real servers for tests: started on a free loopback port, with files in the test's directory, and gone with the test. */
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

static inline unsigned rig_free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static inline bool rig_listens(unsigned port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool listens = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return listens;
}

/* In the child. */
static inline void rig_become(const char *log_path, uid_t uid, gid_t gid) {
    int log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(log_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    if (uid != 0 && (setgroups(0, NULL) != 0 || setgid(gid) != 0 || setuid(uid) != 0)) {
        _exit(126);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* after setuid, which clears it */
}

/* Starts a program; uid 0: as whoever we are. */
static inline pid_t rig_start(const char *log_path, uid_t uid, gid_t gid, const char *const *argv) {
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        rig_become(log_path, uid, gid);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    return pid;
}

/* Waits for a child's end and gives its status. */
static inline int rig_reap(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        ck_assert_int_eq(errno, EINTR);
    }
    return status;
}

static inline void rig_run(const char *log_path, uid_t uid, gid_t gid, const char *const *argv) {
    int status = rig_reap(rig_start(log_path, uid, gid, argv));
    ck_assert_msg(status == 0, "%s ended with %d; see %s", argv[0], status, log_path);
}

/* Fails the test with a clear line when the program is not there. */
static inline void rig_alive(pid_t pid, const char *program) {
    int status;
    ck_assert_msg(waitpid(pid, &status, WNOHANG) == 0, "%s did not start; is it installed?", program);
}

#endif
