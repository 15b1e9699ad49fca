/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/flk/cluster/sibling.h"
#include "agent/flk/doctor/checks.h"

enum { OUTPUT_BYTES = 512 };

/* Runs `flk-worker store check`; `said` is its first line on either output. Returns its exit status, or -1. */
static int run_check(char said[OUTPUT_BYTES], char *errmsg) {
    int ends[2];
    char *argv[] = {NULL, (char[]){"store"}, (char[]){"check"}, NULL};
    said[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        if (flk_sibling_exec("worker", NULL, argv, errmsg) != FLK_OK) {
            fprintf(stderr, "%s\n", errmsg);
        }
        _exit(127);
    }
    close(ends[1]);
    size_t len = 0;
    for (ssize_t got;
         pid > 0 && len < OUTPUT_BYTES - 1 && (got = read(ends[0], said + len, OUTPUT_BYTES - 1 - len)) > 0;) {
        len += (size_t)got;
    }
    said[len] = '\0';
    said[strcspn(said, "\n")] = '\0';
    close(ends[0]);
    int status = -1;
    bool ended = pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status);
    return ended ? WEXITSTATUS(status) : -1;
}

void flk_check_store(const flk_patient_t *patient, flk_findings_t *findings) {
    char said[OUTPUT_BYTES], errmsg[FLK_ERRMSG_BYTES] = "";
    if (patient->worker == NULL) {
        return;
    }
    const char *backend = flk_settings_str(patient->worker, FLK_SET_DEDUP_BACKEND);
    if (run_check(said, errmsg) == 0) {
        flk_findings_add(findings, "store", FLK_FINDING_OK, "", "%s takes outcomes", backend);
    } else {
        bool has_files = strcmp(backend, "lmdb") == 0 || strcmp(backend, "memory") == 0;
        flk_findings_add(findings, "store", FLK_FINDING_FAULT,
                         has_files
                             ? "set FLK_DATA_DIR as the worker has it (--unit does), and run this as its user or root"
                             : "see that its server runs and that address, user and password are right; until then "
                               "the cluster answers 503 and keeps all in the log",
                         "%s: %.240s", backend, said);
    }
}
