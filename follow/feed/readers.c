/* SPDX-License-Identifier: MIT */
#include "follow/feed/readers.h"

#include <pthread.h>
#include <stdlib.h>

enum { IDLE_MAX = 32, IDLE_MS_MAX = 60000 };

typedef struct idle {
    flk_feed_reader_t reader; /* follow NULL: the place is free */
    uint64_t since_ms;
} idle_t;

struct flk_feed_readers {
    const char *log_dir;
    pthread_mutex_t lock;
    idle_t idle[IDLE_MAX];
};

flk_feed_readers_t *flk_feed_readers_new(const char *log_dir) {
    flk_feed_readers_t *readers = flk_start_alloc(sizeof *readers);
    readers->log_dir = log_dir;
    pthread_mutex_init(&readers->lock, NULL);
    return readers;
}

void flk_feed_reader_drop(flk_feed_reader_t *reader) {
    flk_wal_follow_close(&reader->follow);
    flk_decoder_destroy(&reader->decoder);
}

void flk_feed_readers_destroy(flk_feed_readers_t **out) {
    flk_feed_readers_t *readers = *out;
    *out = NULL;
    if (readers == NULL) {
        return;
    }
    for (size_t i = 0; i < IDLE_MAX; i++) {
        flk_feed_reader_drop(&readers->idle[i].reader);
    }
    pthread_mutex_destroy(&readers->lock);
    free(readers);
}

static flk_err_t open_reader(const char *log_dir, uint64_t after, flk_feed_reader_t *reader, char *errmsg) {
    *reader = (flk_feed_reader_t){.position = after};
    flk_err_t err = flk_wal_follow_open(log_dir, after, &reader->follow, errmsg);
    err = err != FLK_OK ? err : flk_decoder_new(&reader->decoder, errmsg);
    if (err != FLK_OK) {
        flk_feed_reader_drop(reader);
    }
    return err;
}

flk_err_t flk_feed_readers_take(flk_feed_readers_t *readers, uint64_t after, flk_feed_reader_t *reader, char *errmsg) {
    bool found = false;
    pthread_mutex_lock(&readers->lock);
    for (size_t i = 0; i < IDLE_MAX && !found; i++) {
        idle_t *idle = &readers->idle[i];
        found = idle->reader.follow != NULL && idle->reader.position == after;
        if (found) {
            *reader = idle->reader;
            idle->reader = (flk_feed_reader_t){0};
        }
    }
    pthread_mutex_unlock(&readers->lock);
    return found ? FLK_OK : open_reader(readers->log_dir, after, reader, errmsg);
}

/* A free place, or else that of the longest idle; those that idle too long make room first. The lock is held. */
static idle_t *find_place(flk_feed_readers_t *readers, uint64_t now_ms) {
    idle_t *place = &readers->idle[0];
    for (size_t i = 0; i < IDLE_MAX; i++) {
        idle_t *idle = &readers->idle[i];
        if (idle->reader.follow != NULL && now_ms - idle->since_ms > IDLE_MS_MAX) {
            flk_feed_reader_drop(&idle->reader);
        }
        bool better = idle->reader.follow == NULL || idle->since_ms < place->since_ms;
        place = place->reader.follow != NULL && better ? idle : place;
    }
    return place;
}

void flk_feed_readers_give(flk_feed_readers_t *readers, flk_feed_reader_t *reader) {
    uint64_t now_ms = flk_mono_ms();
    pthread_mutex_lock(&readers->lock);
    idle_t *place = find_place(readers, now_ms);
    flk_feed_reader_t former = place->reader;
    *place = (idle_t){.reader = *reader, .since_ms = now_ms};
    pthread_mutex_unlock(&readers->lock);
    flk_feed_reader_drop(&former);
    *reader = (flk_feed_reader_t){0};
}
