/* SPDX-License-Identifier: MIT */
#include "common/patience.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

bool flk_write_within(int fd, const char *text, size_t bytes, uint64_t ms) {
    uint64_t until_ms = flk_mono_ms() + ms;
    size_t done = 0;
    while (done < bytes) {
        struct pollfd entry = {.fd = fd, .events = POLLOUT};
        uint64_t now_ms = flk_mono_ms();
        uint64_t left_ms = now_ms < until_ms ? until_ms - now_ms : 0;
        const struct timespec wait = {.tv_sec = (time_t)(left_ms / 1000), .tv_nsec = (long)(left_ms % 1000) * 1000000};
        int ready = ppoll(&entry, 1, &wait, NULL);
        if (ready == 0 || (ready < 0 && errno != EINTR)) {
            return false;
        }
        if (ready > 0) { /* a pipe has room for PIPE_BUF then */
            size_t left = bytes - done;
            ssize_t got = write(fd, text + done, left < PIPE_BUF ? left : PIPE_BUF);
            if (got < 0 && errno != EINTR && errno != EAGAIN) {
                return false;
            }
            done += got > 0 ? (size_t)got : 0;
        }
    }
    return true;
}
