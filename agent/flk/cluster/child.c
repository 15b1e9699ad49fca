/* SPDX-License-Identifier: MIT */
#include "agent/flk/cluster/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BACKOFF_MS_MIN = 100, BACKOFF_MS_MAX = 10000, STABLE_MS = 10000, EXIT_CANNOT_RUN = 127, END_BYTES = 4096 };

void flk_child_set(flk_child_t *child, const char *name, const char *value) {
    FLK_ASSERT(child->settings_len < FLK_CHILD_SETTINGS_MAX && strlen(value) < sizeof child->settings[0].value);
    flk_child_setting_t *setting = &child->settings[child->settings_len++];
    setting->name = name;
    strcpy(setting->value, value);
}

static void apply_settings(const flk_child_t *child) {
    for (size_t i = 0; i < child->settings_len; i++) {
        char file_name[64];
        snprintf(file_name, sizeof file_name, "%s_FILE", child->settings[i].name);
        unsetenv(file_name);
        setenv(child->settings[i].name, child->settings[i].value, 1);
    }
}

FLK_NORETURN static void become(const flk_child_t *child, int log_fd, pid_t parent) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        _exit(0); /* it died before the line above */
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null_fd, STDIN_FILENO);
    dup2(log_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    apply_settings(child);
    const char *argv[FLK_CHILD_ARGS_MAX + 2] = {child->path};
    for (size_t i = 0; child->args != NULL && child->args[i] != NULL && i < FLK_CHILD_ARGS_MAX; i++) {
        argv[i + 1] = child->args[i];
    }
    execv(child->path, (char *const *)argv);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", child->path, strerror(errno));
    _exit(EXIT_CANNOT_RUN);
}

flk_err_t flk_child_start(flk_child_t *child, char *errmsg) {
    int log_fd = open(child->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) {
        flk_errmsg(errmsg, "cannot write %.200s: %s", child->log_path, strerror(errno));
        return FLK_E_IO;
    }
    child->log_bytes = lseek(log_fd, 0, SEEK_END);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(child, log_fd, parent);
    }
    int fork_errno = errno;
    close(log_fd);
    if (pid < 0) {
        flk_errmsg(errmsg, "cannot start %s: %s", child->name, strerror(fork_errno));
        return FLK_E_IO;
    }
    child->pid = pid;
    child->started_ms = flk_mono_ms();
    child->started_wall_ms = flk_wall_ms();
    return FLK_OK;
}

bool flk_child_reap(flk_child_t *child, char how[32]) {
    int status;
    if (child->pid == 0 || waitpid(child->pid, &status, WNOHANG) != child->pid) {
        return false;
    }
    bool signalled = WIFSIGNALED(status);
    snprintf(how, 32, "%s %d", signalled ? "signal" : "status", signalled ? WTERMSIG(status) : WEXITSTATUS(status));
    child->exit_status = signalled ? -1 : WEXITSTATUS(status);
    child->pid = 0;
    return true;
}

void flk_child_last_line(const flk_child_t *child, char *line, size_t line_bytes) {
    char end[END_BYTES + 1];
    line[0] = '\0';
    int fd = open(child->log_path, O_RDONLY | O_CLOEXEC);
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    off_t from = size - child->log_bytes > END_BYTES ? size - END_BYTES : child->log_bytes;
    ssize_t got = fd >= 0 && size > from ? pread(fd, end, END_BYTES, from) : 0;
    if (fd >= 0) {
        close(fd);
    }
    while (got > 0 && end[got - 1] == '\n') {
        got--;
    }
    end[got > 0 ? got : 0] = '\0';
    const char *last = strrchr(end, '\n');
    last = last != NULL ? last + 1 : end;
    char name[FLK_CHILD_NAME_BYTES + 8];
    bool is_front = strcmp(child->program, "flk") == 0;
    int name_len = snprintf(name, sizeof name, "%s%s: ", is_front ? "" : "flk-", child->program);
    bool named = strncmp(last, name, (size_t)name_len) == 0;
    snprintf(line, line_bytes, "%s", last + (named ? name_len : 0));
}

void flk_child_back_off(flk_child_t *child, uint64_t now_ms) {
    bool stable = now_ms - child->started_ms >= STABLE_MS;
    unsigned doubled = child->backoff_ms * 2 < BACKOFF_MS_MAX ? child->backoff_ms * 2 : BACKOFF_MS_MAX;
    child->backoff_ms = stable || child->backoff_ms == 0 ? BACKOFF_MS_MIN : doubled;
    child->restart_at_ms = now_ms + child->backoff_ms;
}

void flk_child_signal(const flk_child_t *child, int signal_number) {
    if (child->pid > 0) {
        kill(child->pid, signal_number);
    }
}
