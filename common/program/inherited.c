/* SPDX-License-Identifier: MIT */
/* A supervisor, a container runtime or a shell may hand down anything: `2>&-`, a mask that blocks SIGTERM, SIGCHLD
 * ignored, umask 0777. The cost of each shows much later: log lines in the head of a WAL segment, a drain that never
 * begins, a child that cannot be waited for, a directory that its owner cannot enter. */
#include "common/program/inherited.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* O_PATH: reads and writes fail with EBADF, just as on the closed stream, and it needs no /dev. */
static void open_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            FLK_ASSERT(open("/", O_PATH) == fd); /* the lowest that is free */
        }
    }
}

/* From one of SIG_DFL and SIG_IGN to the other. A handler is no inheritance but a library's, and stays; so do
 * numbers that the C library or the kernel keep to themselves. */
static void turn_action(int number, void (*from)(int), void (*to)(int)) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler == from) {
        (void)sigaction(number, &(struct sigaction){.sa_handler = to}, NULL);
    }
}

void flk_inherited_reset(void) {
    sigset_t none;
    open_streams();
    for (int number = 1; number <= SIGRTMAX; number++) {
        if (number != SIGHUP && number != SIGINT && number != SIGQUIT) {
            turn_action(number, SIG_IGN, SIG_DFL);
        }
    }
    turn_action(SIGXFSZ, SIG_DFL, SIG_IGN);
    sigemptyset(&none);
    FLK_ASSERT(sigprocmask(SIG_SETMASK, &none, NULL) == 0);
    umask(umask(077) & 077);
}

void flk_inherited_take_signals(sigset_t *taken) {
    static const int wanted[] = {SIGTERM, SIGINT, SIGQUIT, SIGXCPU, SIGHUP};
    static const int ignored[] = {SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR, SIGSTKFLT};
    for (size_t i = 0; i < FLK_COUNT_OF(ignored); i++) {
        turn_action(ignored[i], SIG_DFL, SIG_IGN);
    }
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
        turn_action(number, SIG_DFL, SIG_IGN);
    }
    sigemptyset(taken);
    for (size_t i = 0; i < FLK_COUNT_OF(wanted); i++) {
        turn_action(wanted[i], SIG_IGN, SIG_DFL);
        sigaddset(taken, wanted[i]);
    }
    FLK_ASSERT(sigprocmask(SIG_BLOCK, taken, NULL) == 0);
}
