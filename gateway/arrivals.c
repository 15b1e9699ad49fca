/* SPDX-License-Identifier: MIT */
#include "gateway/arrivals.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

flk_err_t flk_arrivals_init(flk_arrivals_t *arrivals, char *errmsg) {
    atomic_init(&arrivals->newest, NULL);
    arrivals->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (arrivals->wake_fd < 0) {
        flk_errmsg(errmsg, "out of file descriptors or memory at start: %s", strerror(errno));
        return FLK_E_NOMEM;
    }
    return FLK_OK;
}

void flk_arrivals_fini(flk_arrivals_t *arrivals) {
    FLK_ASSERT(atomic_load(&arrivals->newest) == NULL);
    if (arrivals->wake_fd >= 0) {
        close(arrivals->wake_fd);
        arrivals->wake_fd = -1;
    }
}

void flk_arrivals_wake(flk_arrivals_t *arrivals) {
    uint64_t one = 1;
    ssize_t wrote = write(arrivals->wake_fd, &one, sizeof one);
    FLK_ASSERT(wrote == (ssize_t)sizeof one || errno == EAGAIN); /* EAGAIN: the relay is awake as it is */
}

void flk_arrivals_push(flk_arrivals_t *arrivals, flk_submission_t *newest, flk_submission_t *oldest) {
    flk_submission_t *head = atomic_load_explicit(&arrivals->newest, memory_order_relaxed);
    do {
        oldest->queue_next = head;
    } while (!atomic_compare_exchange_weak_explicit(&arrivals->newest, &head, newest, memory_order_release,
                                                    memory_order_relaxed));
    if (head == NULL) {
        flk_arrivals_wake(arrivals);
    }
}

flk_submission_t *flk_arrivals_take(flk_arrivals_t *arrivals) {
    flk_submission_t *newest = atomic_exchange_explicit(&arrivals->newest, NULL, memory_order_acquire);
    flk_submission_t *oldest = NULL;
    while (newest != NULL) {
        flk_submission_t *next = newest->queue_next;
        newest->queue_next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void flk_arrivals_slept(flk_arrivals_t *arrivals) {
    uint64_t woken;
    ssize_t got = read(arrivals->wake_fd, &woken, sizeof woken);
    FLK_ASSERT(got == (ssize_t)sizeof woken || errno == EAGAIN || errno == EINTR);
}
