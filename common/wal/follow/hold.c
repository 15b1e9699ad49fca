/* SPDX-License-Identifier: MIT */
#include "common/wal/follow/hold.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/wal/path.h"

enum { LINE_BYTES_MAX = 64 };

/* Nothing that could leave the folder, and no ".tmp" of flk_io_replace. */
static bool is_name(const char *name) {
    const size_t len = strlen(name);
    return len > 0 && len < FLK_WAL_HOLD_NAME_BYTES && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

static flk_err_t path_of(const char *dir, const char *name, char path[FLK_WAL_PATH_BYTES], char *errmsg) {
    const int len = snprintf(path, FLK_WAL_PATH_BYTES, "%s/holds/%s", dir, name);
    if (!is_name(name) || len < 0 || len >= FLK_WAL_PATH_BYTES) {
        flk_errmsg(errmsg, "%s is no name of a hold in %s", name, dir);
        return FLK_E_INVALID;
    }
    return FLK_OK;
}

flk_err_t flk_wal_hold_set(const char *dir, const char *name, flk_wal_hold_t hold, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES], holds[FLK_WAL_PATH_BYTES], line[LINE_BYTES_MAX];
    flk_err_t err = path_of(dir, name, path, errmsg);
    if (err == FLK_OK) {
        snprintf(holds, sizeof holds, "%.*s", (int)(strlen(path) - strlen(name) - 1), path);
        err = flk_io_mkdirs(holds, errmsg);
    }
    if (err == FLK_OK) {
        const int len = snprintf(line, sizeof line, "%" PRIu64 " %016" PRIx64 "\n", hold.lsn, hold.lineage);
        err = flk_io_replace(path, line, (size_t)len, errmsg);
    }
    return err;
}

/* The one form that flk_wal_hold_set writes. */
static bool parse(const char *line, size_t line_len, flk_wal_hold_t *hold) {
    char again[LINE_BYTES_MAX];
    if (sscanf(line, "%20" SCNu64 " %16" SCNx64, &hold->lsn, &hold->lineage) != 2) {
        return false;
    }
    const int len = snprintf(again, sizeof again, "%" PRIu64 " %016" PRIx64 "\n", hold->lsn, hold->lineage);
    return (size_t)len == line_len && memcmp(line, again, line_len) == 0;
}

flk_err_t flk_wal_hold_get(const char *dir, const char *name, flk_wal_hold_t *hold, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES], *line;
    size_t line_len;
    flk_err_t err = path_of(dir, name, path, errmsg);
    if (err == FLK_OK) {
        err = flk_io_read_own(path, LINE_BYTES_MAX, &line, &line_len, errmsg);
    }
    if (err == FLK_OK) {
        err = parse(line, line_len, hold) ? FLK_OK : FLK_E_CORRUPT;
        free(line);
    } else if (err == FLK_E_TOO_LARGE) {
        err = FLK_E_CORRUPT;
    }
    if (err == FLK_E_CORRUPT) {
        flk_errmsg(errmsg, "%s is not a line of an LSN and a log's number: remove it", path);
    }
    return err;
}
