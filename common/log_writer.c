/* SPDX-License-Identifier: MIT */
/* put copies a line into the ring -> the thread takes the oldest one -> one write(2) a line, so that lines of
 * several processes on one stderr do not mix.
 *
 * stderr is shared with others, so its O_NONBLOCK is not ours to set, and neither poll nor a socket's flags keep a
 * write to a pipe or a terminal from waiting: another process may fill it in between. So the only thread that writes
 * is one that may wait. When it waits for long:
 *   the ring is full                lines are lost, counted, and told of in the log once there is room, and as a metric
 *   the process ends                flush waits for a second at most
 *   it ends of a fault of its own   a failed assertion flushes first; a signal loses the lines that are kept */
#include "common/log_writer.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/thread.h"

enum { FATAL_FLUSH_MS = 1000, TELL_MS = 1000 };

typedef enum mode { DIRECT, HELD, WRITING } log_mode_t;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards all but the atomics */
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER, written;
static _Atomic log_mode_t mode = DIRECT;
static atomic_uint_fast64_t lost_lines;
static flk_log_lost_fn *make_lost;
static char ring[FLK_LOG_RING_BYTES]; /* each line: its bytes as uint16_t, then the line */
static uint64_t head, tail;           /* bytes ever put in and taken out */
static bool under_way;                /* the thread has a line in hand */

_Static_assert(FLK_LOG_LINE_BYTES <= UINT16_MAX, "its length is kept in 16 bits");

/* ---- the ring; with the mutex held ---- */

static void copy_in(const void *data, size_t bytes) {
    size_t at = head % sizeof ring, before_end = sizeof ring - at < bytes ? sizeof ring - at : bytes;
    memcpy(ring + at, data, before_end);
    memcpy(ring, (const char *)data + before_end, bytes - before_end);
    head += bytes;
}

static void copy_out(void *data, size_t bytes) {
    size_t at = tail % sizeof ring, before_end = sizeof ring - at < bytes ? sizeof ring - at : bytes;
    memcpy(data, ring + at, before_end);
    memcpy((char *)data + before_end, ring, bytes - before_end);
    tail += bytes;
}

static bool push(const char *line, size_t bytes) {
    uint16_t length = (uint16_t)bytes;
    if (sizeof ring - (head - tail) < sizeof length + bytes) {
        return false;
    }
    copy_in(&length, sizeof length);
    copy_in(line, bytes);
    return true;
}

/* The oldest line, or 0. */
static size_t pop(char line[FLK_LOG_LINE_BYTES]) {
    uint16_t length = 0;
    if (head != tail) {
        copy_out(&length, sizeof length);
        copy_out(line, length);
    }
    return length;
}

/* ---- writing ---- */

static bool may_go_on(int code) {
    if (code == EAGAIN || code == EWOULDBLOCK) { /* somebody else has made it non-blocking */
        struct pollfd entry = {.fd = STDERR_FILENO, .events = POLLOUT};
        return ppoll(&entry, 1, NULL, NULL) >= 0 || errno == EINTR;
    }
    return code == EINTR;
}

static bool write_all(const char *line, size_t bytes) {
    size_t done = 0;
    while (done < bytes) {
        ssize_t got = write(STDERR_FILENO, line + done, bytes - done);
        if (got < 0 && !may_go_on(errno)) {
            return false;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static bool write_counted(const char *line, size_t bytes) {
    bool good = write_all(line, bytes);
    if (!good) {
        atomic_fetch_add(&lost_lines, 1);
    }
    return good;
}

/* Once a second at most, after a line that could be written. */
static void tell_lost(void) {
    static uint64_t told_lines, told_ms; /* the thread's */
    char line[FLK_LOG_LINE_BYTES];
    uint64_t lost = atomic_load(&lost_lines), now_ms = flk_mono_ms();
    if (lost != told_lines && now_ms >= told_ms + TELL_MS && write_all(line, make_lost(lost - told_lines, line))) {
        told_lines = lost;
        told_ms = now_ms;
    }
}

static void *run(void *arg) {
    char line[FLK_LOG_LINE_BYTES];
    (void)arg;
    pthread_mutex_lock(&mutex);
    for (;;) {
        size_t bytes = pop(line);
        under_way = bytes > 0;
        if (bytes == 0) {
            pthread_cond_broadcast(&written);
            pthread_cond_wait(&wake, &mutex);
            continue;
        }
        pthread_mutex_unlock(&mutex);
        if (write_counted(line, bytes)) {
            tell_lost();
        }
        pthread_mutex_lock(&mutex);
    }
    return NULL;
}

/* ---- for others ---- */

void flk_log_writer_hold(void) {
    atomic_store(&mode, HELD);
}

static void flush_before_abort(void) {
    flk_log_writer_flush(FATAL_FLUSH_MS);
}

flk_err_t flk_log_writer_start(flk_log_lost_fn *lost, char *errmsg) {
    char line[FLK_LOG_LINE_BYTES];
    pthread_t thread;
    if (atomic_load(&mode) == WRITING) {
        return FLK_OK;
    }
    make_lost = lost;
    flk_cond_init(&written);
    flk_err_t err = flk_thread_start(&thread, "flk-log", run, NULL, errmsg);
    atomic_store(&mode, err == FLK_OK ? WRITING : DIRECT);
    if (err == FLK_OK) {
        pthread_detach(thread);
        flk_on_fatal(flush_before_abort);
    }
    for (size_t bytes; err != FLK_OK && (bytes = pop(line)) > 0;) {
        (void)write_counted(line, bytes);
    }
    return err;
}

void flk_log_writer_put(const char *line, size_t bytes) {
    if (atomic_load(&mode) == DIRECT) {
        (void)write_counted(line, bytes);
        return;
    }
    pthread_mutex_lock(&mutex);
    bool fits = push(line, bytes);
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&mutex);
    if (!fits) {
        atomic_fetch_add(&lost_lines, 1);
    }
}

void flk_log_writer_flush(uint64_t ms) {
    static uint64_t stalled_tail = UINT64_MAX; /* where one gave up: while nothing moves another need not wait */
    uint64_t until_ms = flk_mono_ms() + ms;
    if (atomic_load(&mode) != WRITING) {
        return;
    }
    pthread_mutex_lock(&mutex);
    bool waits = tail != stalled_tail;
    while ((head != tail || under_way) && waits) {
        waits = flk_cond_wait_until(&written, &mutex, until_ms);
    }
    stalled_tail = waits ? UINT64_MAX : tail;
    pthread_mutex_unlock(&mutex);
}

uint64_t flk_log_writer_lost(void) {
    return atomic_load(&lost_lines);
}
