/* SPDX-License-Identifier: MIT */
#include "gateway/replay/own.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/program/program.h"
#include "gateway/replay/journal.h"

static const uint64_t FOR_EVER_MS = UINT64_C(100) * 365 * 86400 * 1000;

enum { LOOK_US = 50000 };

flk_err_t flk_replay_own(const char *dir, uint64_t wait_ms, flk_wal_t **wal, char *errmsg) {
    const flk_wal_options_t options = {.dir = dir, .retention_ms = FOR_EVER_MS};
    const uint64_t until_ms = flk_mono_ms() + wait_ms;
    flk_journal_t *journal;
    flk_err_t err = flk_journal_open(dir, &journal, errmsg); /* opening would make a log that is not there */
    flk_journal_close(&journal);
    if (err != FLK_OK) {
        return err;
    }
    while ((err = flk_wal_open(&options, wal, errmsg)) == FLK_E_LOCKED && flk_mono_ms() < until_ms &&
           !flk_program_stop_asked()) {
        usleep(LOOK_US);
    }
    if (err == FLK_E_LOCKED) {
        flk_errmsg(errmsg, "the gateway of %.200s runs; stop it, do this, and start it again", dir);
    }
    return err;
}

bool flk_replay_beside(const char *dir, const char *own, const char *name, char *path, size_t path_bytes) {
    const size_t own_len = strlen(own);
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/') {
        len--;
    }
    if (len <= own_len || dir[len - own_len - 1] != '/' || strncmp(dir + len - own_len, own, own_len) != 0) {
        return false;
    }
    int bytes = snprintf(path, path_bytes, "%.*s%s", (int)(len - own_len), dir, name);
    return bytes > 0 && (size_t)bytes < path_bytes;
}
