/* SPDX-License-Identifier: MIT */
/* A look at one subdirectory: stat its files -> nothing changed since the last look: done -> read every key into a new
 * list -> put it in the old one's place. Callers wait for that exchange only, never for the disk.
 *
 * A file that changes within the grain of the clock keeps its times. So a file changed within the last two seconds is
 * read again at the next look, even with equal times. A key file that cannot be read stands for no key; one log line
 * names it and the reason. */
#include "proto/keydir.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/log.h"

enum { FRESH_MS = 2000, ENTRIES_MIN = 16 };

typedef struct entry {
    char key[FLK_CURVE_TEXT_BYTES]; /* first: lists are searched by it */
    char name[FLK_CURVE_NAME_MAX + 1];
} entry_t;

typedef struct list {
    entry_t *entries; /* by key */
    size_t len;
} list_t;

/* One role. Guarded by the mutex but for `print` and `why`, which belong to the thread that looks. */
typedef struct shelf {
    list_t list;
    bool readable;  /* false: nobody new is let in */
    uint64_t print; /* fingerprint of the files read; 0: read again */
    int why;        /* errno of the last failure; 0: none */
} shelf_t;

struct flk_keydir {
    char path[PATH_MAX - NAME_MAX];
    unsigned roles;
    pthread_mutex_t mutex;
    shelf_t shelves[FLK_ROLES_COUNT];
    _Atomic uint64_t generation;
    _Atomic uint64_t looked_ms;
    atomic_flag looking; /* some thread is at the disk */
};

/* ---- the files on the disk ---- */

static bool is_key_file(const char *name) {
    size_t len = strlen(name);
    return name[0] != '.' && len > 4 && strcmp(name + len - 4, ".pub") == 0;
}

/* Adds one file's times, size and identity to the fingerprint, which does not depend on the order of files. */
static uint64_t print_of(const char *name, const struct stat *status) {
    const struct {
        uint64_t inode, size;
        int64_t mtime_s, mtime_ns, ctime_s, ctime_ns;
    } facts = {status->st_ino,          (uint64_t)status->st_size, status->st_mtim.tv_sec,
               status->st_mtim.tv_nsec, status->st_ctim.tv_sec,    status->st_ctim.tv_nsec};
    return XXH3_64bits_withSeed(&facts, sizeof facts, XXH3_64bits(name, strlen(name)));
}

static bool is_fresh(const struct timespec *time) {
    int64_t age_ms = flk_wall_ms() - ((int64_t)time->tv_sec * 1000 + time->tv_nsec / 1000000);
    return age_ms < FRESH_MS; /* from the future too */
}

/* Calls `each` for every key file, if not NULL, and fingerprints them. Returns 0 or an errno. */
typedef int each_fn(void *arg, const char *path, const char *name);
static int walk(const char *dir, each_fn *each, void *arg, uint64_t *print) {
    DIR *stream = opendir(dir);
    if (stream == NULL) {
        return errno;
    }
    bool fresh = false;
    int code = 0;
    *print = 1;
    while (code == 0) {
        errno = 0;
        const struct dirent *file = readdir(stream);
        if (file == NULL) {
            code = errno;
            break;
        }
        struct stat status;
        if (!is_key_file(file->d_name) || fstatat(dirfd(stream), file->d_name, &status, 0) != 0 ||
            !S_ISREG(status.st_mode)) {
            continue;
        }
        *print += print_of(file->d_name, &status);
        fresh = fresh || is_fresh(&status.st_ctim);
        if (each != NULL) {
            char path[PATH_MAX + NAME_MAX];
            snprintf(path, sizeof path, "%s/%s", dir, file->d_name);
            code = each(arg, path, file->d_name);
        }
    }
    closedir(stream);
    if (fresh) {
        *print = 0;
    }
    return code;
}

/* ---- reading ---- */

typedef struct reading {
    list_t list;
    size_t capacity;
} reading_t;

static int take_file(void *arg, const char *path, const char *file_name) {
    reading_t *reading = arg;
    char errmsg[FLK_ERRMSG_BYTES], key[FLK_CURVE_TEXT_BYTES];
    flk_err_t err = flk_curve_read_public(path, key, errmsg);
    if (err == FLK_E_NOMEM || (err == FLK_E_IO && access(path, R_OK) == 0)) { /* no descriptors, a failing disk */
        return err == FLK_E_NOMEM ? ENOMEM : EIO;
    }
    if (err != FLK_OK) {
        flk_log(FLK_LOG_WARN, "key_file_passed_over", FLK_S("why", errmsg));
        return 0;
    }
    if (reading->list.len == FLK_KEYDIR_KEYS_MAX) {
        return E2BIG;
    }
    if (reading->list.len == reading->capacity) {
        size_t capacity = reading->capacity == 0 ? ENTRIES_MIN : 2 * reading->capacity;
        entry_t *grown = realloc(reading->list.entries, capacity * sizeof *grown);
        if (grown == NULL) {
            return ENOMEM;
        }
        reading->list.entries = grown;
        reading->capacity = capacity;
    }
    entry_t *entry = &reading->list.entries[reading->list.len++];
    memset(entry, 0, sizeof *entry); /* lists are compared as bytes */
    memcpy(entry->key, key, sizeof key);
    snprintf(entry->name, sizeof entry->name, "%.*s", (int)(strlen(file_name) - 4), file_name);
    return 0;
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const entry_t *)a)->key, ((const entry_t *)b)->key);
}

static int by_key_and_name(const void *a, const void *b) {
    int order = by_key(a, b);
    return order != 0 ? order : strcmp(((const entry_t *)a)->name, ((const entry_t *)b)->name);
}

/* These are somebody's decision; every other failure is this machine's. */
static bool is_deliberate(int code) {
    return code == ENOENT || code == ENOTDIR || code == EACCES || code == EPERM || code == ELOOP;
}

static void put(flk_keydir_t *keydir, shelf_t *shelf, list_t *list, bool readable) {
    pthread_mutex_lock(&keydir->mutex);
    list_t old = shelf->list;
    shelf->list = *list;
    shelf->readable = readable;
    pthread_mutex_unlock(&keydir->mutex);
    atomic_fetch_add(&keydir->generation, 1);
    free(old.entries);
}

static void fail(flk_keydir_t *keydir, shelf_t *shelf, const char *dir, int code) {
    if (shelf->why != code) {
        flk_log(code == ENOENT ? FLK_LOG_WARN : FLK_LOG_ERROR, "keys_unreadable", FLK_S("directory", dir),
                FLK_S("why", strerror(code)),
                FLK_S("effect", is_deliberate(code) ? "nobody of this role is let in" : "nobody new is let in"));
        shelf->why = code;
    }
    shelf->print = 0;
    if (is_deliberate(code) && shelf->list.len > 0) {
        put(keydir, shelf, &(list_t){0}, false);
    }
    pthread_mutex_lock(&keydir->mutex);
    shelf->readable = false;
    pthread_mutex_unlock(&keydir->mutex);
}

static void look_at(flk_keydir_t *keydir, flk_role_t role) {
    char dir[PATH_MAX];
    uint64_t print;
    shelf_t *shelf = &keydir->shelves[role];
    snprintf(dir, sizeof dir, "%s/%s", keydir->path, flk_role_dir(role));
    int code = walk(dir, NULL, NULL, &print);
    if (code == 0 && print == shelf->print && print != 0) {
        return;
    }
    reading_t reading = {0};
    code = code != 0 ? code : walk(dir, take_file, &reading, &print);
    if (code != 0) {
        free(reading.list.entries);
        fail(keydir, shelf, dir, code);
        return;
    }
    if (reading.list.len > 1) {
        qsort(reading.list.entries, reading.list.len, sizeof(entry_t), by_key_and_name);
    }
    shelf->print = print;
    bool same = shelf->readable && shelf->list.len == reading.list.len &&
                (reading.list.len == 0 ||
                 memcmp(shelf->list.entries, reading.list.entries, reading.list.len * sizeof(entry_t)) == 0);
    if (same) {
        free(reading.list.entries);
        return;
    }
    shelf->why = 0;
    put(keydir, shelf, &reading.list, true);
    flk_log(reading.list.len > 0 ? FLK_LOG_INFO : FLK_LOG_WARN, "keys_read", FLK_S("directory", dir),
            FLK_U("keys", reading.list.len));
}

static void look(flk_keydir_t *keydir, uint64_t now_ms) {
    for (flk_role_t role = 0; role < FLK_ROLES_COUNT; role++) {
        if (keydir->roles & FLK_ROLE_BIT(role)) {
            look_at(keydir, role);
        }
    }
    atomic_store(&keydir->looked_ms, now_ms);
}

void flk_keydir_look(flk_keydir_t *keydir, uint64_t now_ms) {
    if (now_ms - atomic_load(&keydir->looked_ms) >= FLK_KEYDIR_LOOK_MS && !atomic_flag_test_and_set(&keydir->looking)) {
        look(keydir, now_ms);
        atomic_flag_clear(&keydir->looking);
    }
}

/* ---- asking ---- */

static bool find(flk_keydir_t *keydir, unsigned roles, const char *key, char *name, bool readable_only) {
    entry_t wanted;
    const entry_t *found = NULL;
    snprintf(wanted.key, sizeof wanted.key, "%s", key);
    pthread_mutex_lock(&keydir->mutex);
    for (flk_role_t role = 0; role < FLK_ROLES_COUNT && found == NULL; role++) {
        const shelf_t *shelf = &keydir->shelves[role];
        if ((roles & FLK_ROLE_BIT(role)) != 0 && shelf->list.len > 0 && (shelf->readable || !readable_only)) {
            found = bsearch(&wanted, shelf->list.entries, shelf->list.len, sizeof wanted, by_key);
        }
    }
    if (found != NULL && name != NULL) {
        memcpy(name, found->name, sizeof found->name);
    }
    pthread_mutex_unlock(&keydir->mutex);
    return found != NULL;
}

bool flk_keydir_has(flk_keydir_t *keydir, unsigned roles, const char *key, char *name) {
    return find(keydir, roles, key, name, false);
}

bool flk_keydir_admits(flk_keydir_t *keydir, unsigned roles, const char *key, char *name) {
    return find(keydir, roles, key, name, true);
}

bool flk_keydir_pick(flk_keydir_t *keydir, flk_role_t role, size_t turn, char key[FLK_CURVE_TEXT_BYTES]) {
    pthread_mutex_lock(&keydir->mutex);
    const list_t *list = &keydir->shelves[role].list;
    bool any = list->len > 0;
    if (any) {
        memcpy(key, list->entries[turn % list->len].key, FLK_CURVE_TEXT_BYTES);
    }
    pthread_mutex_unlock(&keydir->mutex);
    return any;
}

size_t flk_keydir_len(flk_keydir_t *keydir, flk_role_t role) {
    pthread_mutex_lock(&keydir->mutex);
    size_t len = keydir->shelves[role].list.len;
    pthread_mutex_unlock(&keydir->mutex);
    return len;
}

uint64_t flk_keydir_generation(const flk_keydir_t *keydir) {
    return atomic_load_explicit(&keydir->generation, memory_order_acquire);
}

/* ---- life ---- */

flk_err_t flk_keydir_new(const char *path, unsigned roles, flk_keydir_t **keydir, char *errmsg) {
    *keydir = NULL;
    if (strlen(path) >= sizeof(*keydir)->path) {
        flk_errmsg(errmsg, "FLK_CURVE_DIR is longer than a path may be");
        return FLK_E_CONFIG;
    }
    flk_keydir_t *made = flk_start_alloc(sizeof *made);
    snprintf(made->path, sizeof made->path, "%s", path);
    made->roles = roles;
    atomic_flag_clear(&made->looking);
    pthread_mutex_init(&made->mutex, NULL);
    look(made, flk_mono_ms());
    *keydir = made;
    return FLK_OK;
}

void flk_keydir_destroy(flk_keydir_t **keydir) {
    flk_keydir_t *gone = *keydir;
    if (gone == NULL) {
        return;
    }
    for (size_t i = 0; i < FLK_ROLES_COUNT; i++) {
        free(gone->shelves[i].list.entries);
    }
    pthread_mutex_destroy(&gone->mutex);
    free(gone);
    *keydir = NULL;
}
