/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/daemon_rig.h"

/* In the child. */
static void rig_become(const char *log_path, uid_t uid, gid_t gid) {
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

pid_t rig_start(const char *log_path, uid_t uid, gid_t gid, const char *const *argv) {
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

int rig_reap(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        ck_assert_int_eq(errno, EINTR);
    }
    return status;
}

void rig_run(const char *log_path, uid_t uid, gid_t gid, const char *const *argv) {
    int status = rig_reap(rig_start(log_path, uid, gid, argv));
    ck_assert_msg(status == 0, "%s ended with %d; see %s", argv[0], status, log_path);
}

void rig_alive(pid_t pid, const char *program) {
    int status;
    ck_assert_msg(waitpid(pid, &status, WNOHANG) == 0, "%s did not start; is it installed?", program);
}
