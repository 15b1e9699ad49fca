/* SPDX-License-Identifier: MIT */
/* The API. A record's way: flk_wal_append pushes the entry on a stack without a lock and wakes the writer only if it
 * sleeps; the writer (writer.c) makes a group durable and calls on_commit. An ack sets the record's bit and waits
 * in a list for the next group. The lock is held for a few loads and stores, never over a system call or the copy of a
 * body. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/io.h"
#include "common/thread.h"
#include "common/wal/recover.h"
#include "common/wal/state.h"
#include "common/wal/writer.h"

enum { SEGMENT_BYTES_MIN = 4096 };

static void fill_options(flk_wal_t *wal, const flk_wal_options_t *options) {
    flk_wal_options_t *own = &wal->config.options;
    *own = *options;
    own->dir = strcpy(wal->config.dir, options->dir);
    own->segment_bytes_max = own->segment_bytes_max != 0 ? own->segment_bytes_max : 64u << 20;
    own->segment_age_ms = own->segment_age_ms != 0 ? own->segment_age_ms : 3600 * 1000u;
    own->retention_ms = own->retention_ms != 0 ? own->retention_ms : 14 * 24 * 3600 * UINT64_C(1000);
    own->low_water_bytes = own->low_water_bytes != 0 ? own->low_water_bytes : 64u << 20;
    own->held_bytes_max = own->held_bytes_max != 0 ? own->held_bytes_max : UINT64_C(1) << 30;
    own->body_bytes_max = own->body_bytes_max != 0 ? own->body_bytes_max : 2u << 20;
    FLK_ASSERT(own->body_bytes_max <= FLK_WAL_BODY_BYTES_MAX);
    FLK_ASSERT(own->segment_bytes_max <= FLK_WAL_SEGMENT_BYTES_MAX / 2);
    if (own->segment_bytes_max < SEGMENT_BYTES_MIN) {
        own->segment_bytes_max = SEGMENT_BYTES_MIN;
    }
}

static flk_err_t take_lock(flk_wal_t *wal, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(wal->config.dir, "lock", path);
    flk_err_t err = flk_io_open(path, O_RDWR, &wal->config.lock_fd, errmsg);
    if (err == FLK_E_NOT_FOUND) {
        wal->config.lock_made = true;
        err = flk_io_open(path, O_RDWR | O_CREAT, &wal->config.lock_fd, errmsg);
    }
    if (err != FLK_OK) {
        wal->config.lock_fd = -1;
        return err;
    }
    if (flock(wal->config.lock_fd, LOCK_EX | LOCK_NB) == 0) {
        return FLK_OK;
    }
    if (errno == EWOULDBLOCK) {
        flk_errmsg(errmsg, "%s is in use by another process: stop it, or choose another directory", wal->config.dir);
        return FLK_E_LOCKED;
    }
    flk_errmsg(errmsg, "cannot lock %s: %s", path, strerror(errno));
    return FLK_E_IO;
}

static void init_threads(flk_wal_t *wal) {
    FLK_ASSERT(pthread_mutex_init(&wal->shared.lock, NULL) == 0);
    FLK_ASSERT(pthread_mutex_init(&wal->shared.observer_lock, NULL) == 0);
    flk_cond_init(&wal->shared.wake);
    flk_cond_init(&wal->shared.done);
}

static void destroy(flk_wal_t *wal) {
    for (size_t i = 0; i < wal->shared.segments.len; i++) {
        flk_wal_segment_destroy(&wal->shared.segments.at[i]);
    }
    free(wal->shared.segments.at);
    if (wal->config.lock_fd >= 0) {
        close(wal->config.lock_fd);
    }
    pthread_cond_destroy(&wal->shared.done);
    pthread_cond_destroy(&wal->shared.wake);
    pthread_mutex_destroy(&wal->shared.observer_lock);
    pthread_mutex_destroy(&wal->shared.lock);
    free(wal);
}

static flk_err_t start(flk_wal_t *wal, char *errmsg) {
    flk_err_t err = flk_io_mkdirs(wal->config.dir, errmsg);
    if (err == FLK_OK) {
        err = take_lock(wal, errmsg);
    }
    if (err == FLK_OK) {
        err = flk_wal_recover(wal, errmsg);
    }
    if (err == FLK_OK) {
        err = flk_wal_writer_init(wal);
        if (err != FLK_OK) {
            flk_errmsg(errmsg, "cannot open the log %s: out of memory", wal->config.dir);
        }
    }
    if (err != FLK_OK) {
        return err;
    }
    err = flk_thread_start(&wal->writer.thread, "flk-wal", flk_wal_writer_run, wal, errmsg);
    if (err != FLK_OK) {
        flk_wal_writer_fini(wal);
        flk_errmsg_prefix(errmsg, wal->config.dir);
    }
    return err;
}

flk_err_t flk_wal_open(const flk_wal_options_t *options, flk_wal_t **wal, char *errmsg) {
    flk_wal_t *opened = calloc(1, sizeof *opened);
    if (opened == NULL || strlen(options->dir) >= sizeof opened->config.dir) {
        free(opened);
        flk_errmsg(errmsg, "cannot open the log %s: %s", options->dir, opened ? "path too long" : "out of memory");
        return opened ? FLK_E_CONFIG : FLK_E_NOMEM;
    }
    opened->config.lock_fd = opened->writer.durable_fd = -1;
    fill_options(opened, options);
    init_threads(opened);
    flk_err_t err = start(opened, errmsg);
    if (err != FLK_OK) {
        destroy(opened);
        return err;
    }
    *wal = opened;
    return FLK_OK;
}

/* With the lock held. */
static void wake_writer(flk_wal_t *wal) {
    if (atomic_load(&wal->shared.sleeping)) {
        pthread_cond_signal(&wal->shared.wake);
    }
}

void flk_wal_close(flk_wal_t **wal) {
    if (*wal == NULL) {
        return;
    }
    pthread_mutex_lock(&(*wal)->shared.lock);
    (*wal)->shared.stopping = true;
    wake_writer(*wal);
    pthread_mutex_unlock(&(*wal)->shared.lock);
    pthread_join((*wal)->writer.thread, NULL);
    flk_wal_writer_fini(*wal);
    destroy(*wal);
    *wal = NULL;
}

uint64_t flk_wal_id(const flk_wal_t *wal) {
    return wal->config.number;
}

flk_err_t flk_wal_fault(const flk_wal_t *wal) {
    return (flk_err_t)atomic_load(&wal->shared.fault);
}

void flk_wal_append(flk_wal_t *wal, flk_wal_entry_t *entry) {
    flk_wal_append_chain(wal, entry, entry);
}

void flk_wal_append_chain(flk_wal_t *wal, flk_wal_entry_t *newest, flk_wal_entry_t *oldest) {
    for (const flk_wal_entry_t *entry = newest;; entry = entry->next) {
        FLK_ASSERT(entry->body_bytes <= wal->config.options.body_bytes_max);
        if (entry == oldest) {
            break;
        }
    }
    flk_wal_entry_t *top = atomic_load(&wal->shared.incoming);
    do {
        oldest->next = top;
    } while (!atomic_compare_exchange_weak(&wal->shared.incoming, &top, newest));
    /* The writer says that it sleeps before it looks at `incoming`, we push before we look: one of the two sees it.
     * Only the first push on an empty stack can meet a sleeping writer. */
    if (top == NULL && atomic_load(&wal->shared.sleeping)) {
        pthread_mutex_lock(&wal->shared.lock);
        pthread_cond_signal(&wal->shared.wake);
        pthread_mutex_unlock(&wal->shared.lock);
    }
}

flk_err_t flk_wal_append_wait(flk_wal_t *wal, uint8_t kind, const void *body, uint32_t body_bytes, uint64_t *lsn,
                              char *errmsg) {
    FLK_ASSERT(wal->config.options.on_commit == NULL);
    flk_wal_waiter_t waiter = {.entry = {.kind = kind, .body = body, .body_bytes = body_bytes}};
    FLK_ASSERT(sem_init(&waiter.returned, 0, 0) == 0);
    flk_wal_append(wal, &waiter.entry);
    while (sem_wait(&waiter.returned) != 0) {
        FLK_ASSERT(errno == EINTR);
    }
    sem_destroy(&waiter.returned);
    if (waiter.entry.err != FLK_OK) {
        flk_errmsg(errmsg, "cannot write to the log %s: %s", wal->config.dir, flk_err_text(waiter.entry.err));
    } else if (lsn != NULL) {
        *lsn = waiter.entry.lsn;
    }
    return waiter.entry.err;
}

/* NULL: out of memory. */
static flk_wal_ack_node_t *new_ack(uint64_t lsn, const flk_wal_ending_t *ending) {
    uint8_t body[FLK_WAL_ACK_BYTES_MAX];
    const uint32_t body_bytes = flk_wal_ack_encode(lsn, ending, body);
    flk_wal_ack_node_t *node = malloc(sizeof *node + body_bytes);
    if (node != NULL) {
        *node = (flk_wal_ack_node_t){.lsn = lsn, .status = ending->mark.status, .body_bytes = body_bytes};
        memcpy(node->body, body, body_bytes);
    }
    return node;
}

/* With the lock held. True for the first one that waits. */
static bool push_ack(flk_wal_ack_list_t *acks, flk_wal_ack_node_t *node) {
    const bool first = acks->first == NULL;
    *(first ? &acks->first : &acks->last->next) = node;
    acks->last = node;
    acks->len++;
    acks->bytes += flk_wal_item_bytes(node->body_bytes);
    return first;
}

bool flk_wal_ack(flk_wal_t *wal, uint64_t lsn, flk_wal_mark_t mark) {
    const flk_wal_ending_t ending = {.mark = mark};
    return flk_wal_end(wal, lsn, &ending);
}

bool flk_wal_end(flk_wal_t *wal, uint64_t lsn, const flk_wal_ending_t *ending) {
    FLK_ASSERT(ending->mark.status != 0);
    flk_wal_ack_node_t *node = new_ack(lsn, ending);
    if (node == NULL) {
        return false; /* as if lost in a crash: the record is delivered again */
    }
    pthread_mutex_lock(&wal->shared.lock);
    flk_wal_segment_t *segment = flk_wal_segments_find(&wal->shared.segments, lsn);
    bool known = segment != NULL && flk_wal_segment_ack(segment, lsn);
    if (known) {
        wal->shared.acks_given++;
        if (push_ack(&wal->shared.acks, node)) {
            wake_writer(wal); /* it sets its timer */
        }
    }
    pthread_mutex_unlock(&wal->shared.lock);
    if (!known) {
        free(node);
    }
    return known;
}

flk_err_t flk_wal_flush(flk_wal_t *wal, char *errmsg) {
    flk_err_t err = FLK_OK;
    pthread_mutex_lock(&wal->shared.lock);
    uint64_t given = wal->shared.acks_given, failures = wal->shared.flush_failures;
    if (wal->shared.acks_durable < given) {
        wal->shared.flush_wanted = true;
        wake_writer(wal);
    }
    while (wal->shared.acks_durable < given && wal->shared.flush_failures == failures) {
        pthread_cond_wait(&wal->shared.done, &wal->shared.lock);
    }
    if (wal->shared.acks_durable < given) {
        err = wal->shared.flush_err;
    }
    pthread_mutex_unlock(&wal->shared.lock);
    if (err != FLK_OK) {
        flk_errmsg(errmsg, "cannot write acks to the log %s: %s", wal->config.dir, flk_err_text(err));
    }
    return err;
}

void flk_wal_stats(const flk_wal_t *wal, flk_wal_stats_t *stats) {
    flk_wal_t *locked = (flk_wal_t *)(uintptr_t)wal; /* the lock and a segment's search hint change, the log does not */
    int64_t oldest_ms = 0;
    pthread_mutex_lock(&locked->shared.lock);
    *stats = wal->shared.stats;
    for (size_t i = 0; i < wal->shared.segments.len; i++) {
        flk_wal_segment_t *segment = wal->shared.segments.at[i];
        stats->segments++;
        stats->bytes += segment->file_bytes;
        if (segment->unacked > 0 && stats->unacked == 0) {
            oldest_ms = flk_wal_segment_oldest(segment).time_ms;
        }
        stats->unacked += segment->unacked;
    }
    pthread_mutex_unlock(&locked->shared.lock);
    int64_t now_ms = flk_wall_ms();
    stats->oldest_unacked_ms = stats->unacked > 0 && now_ms > oldest_ms ? (uint64_t)(now_ms - oldest_ms) : 0;
}

void flk_wal_on_sync(flk_wal_t *wal, flk_wal_sync_fn *fn, void *arg) {
    pthread_mutex_lock(&wal->shared.observer_lock);
    wal->shared.on_sync = fn;
    wal->shared.on_sync_arg = arg;
    pthread_mutex_unlock(&wal->shared.observer_lock);
}
