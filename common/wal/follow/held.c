/* SPDX-License-Identifier: MIT */
#include "common/wal/follow/held.h"

#include <dirent.h>
#include <string.h>

#include "common/log.h"

static void tell_unread(const char *dir, const char *name, const char *reason) {
    flk_log(FLK_LOG_WARN, "hold_unread", FLK_S("log", dir), FLK_S("hold", name), FLK_S("reason", reason));
}

/* `len`: it is not among them. */
static size_t index_of(const flk_wal_held_t *held, const char *name) {
    size_t i = 0;
    while (i < held->len && strcmp(held->at[i].name, name) != 0) {
        i++;
    }
    return i;
}

static void take(const flk_wal_held_t *before, flk_wal_held_t *now, const char *dir, uint64_t lineage,
                 const char *name) {
    char errmsg[FLK_ERRMSG_BYTES] = "it is of another log";
    flk_wal_hold_t hold;
    flk_err_t err = flk_wal_hold_get(dir, name, &hold, errmsg);
    if (err == FLK_E_INVALID || err == FLK_E_NOT_FOUND || now->len == FLK_WAL_HOLDS_MAX) {
        return; /* no name of a hold: a temporary file; or it is gone */
    }
    const size_t was = index_of(before, name), at = now->len++;
    memcpy(now->at[at].name, name, strnlen(name, FLK_WAL_HOLD_NAME_BYTES - 1) + 1);
    now->at[at].unread = err != FLK_OK || hold.lineage != lineage;
    now->at[at].lsn = now->at[at].unread ? UINT64_MAX : hold.lsn;
    now->at[at].broken = was < before->len && before->at[was].broken && before->at[was].lsn == now->at[at].lsn;
    if (now->at[at].unread && (was == before->len || !before->at[was].unread)) {
        tell_unread(dir, name, errmsg);
    }
}

void flk_wal_held_look(flk_wal_held_t *held, const char *dir, uint64_t lineage) {
    const flk_wal_held_t before = *held;
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(dir, "holds", path);
    held->len = 0;
    DIR *stream = opendir(path);
    if (stream == NULL) {
        return;
    }
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        take(&before, held, dir, lineage, entry->d_name);
    }
    closedir(stream);
}

static bool needs(const flk_wal_held_t *held, size_t i, const flk_wal_segment_t *segment) {
    return !held->at[i].broken && (held->at[i].lsn < segment->end_lsn - 1 || held->at[i].lsn < segment->acked_to_lsn);
}

bool flk_wal_held_needs(const flk_wal_held_t *held, const flk_wal_segment_t *segment) {
    bool needed = false;
    for (size_t i = 0; i < held->len; i++) {
        needed = needed || needs(held, i, segment);
    }
    return needed;
}

size_t flk_wal_held_break(flk_wal_held_t *held, const char *dir, const flk_wal_segment_t *segment) {
    size_t count = 0;
    for (size_t i = 0; i < held->len; i++) {
        if (needs(held, i, segment)) {
            held->at[i].broken = true;
            count++;
            flk_log(FLK_LOG_WARN, "hold_broken", FLK_S("log", dir), FLK_S("hold", held->at[i].name),
                    FLK_U("lsn", held->at[i].lsn), FLK_U("lost_to_lsn", segment->end_lsn - 1),
                    FLK_S("do", "see why its reader is behind; it goes on behind a gap"));
        }
    }
    return count;
}
