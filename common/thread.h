/* SPDX-License-Identifier: MIT */
/* Threads with a name and without signals, and waits that a step of the wall clock neither shortens nor prolongs. */
#ifndef FLK_COMMON_THREAD_H
#define FLK_COMMON_THREAD_H

#include <pthread.h>
#include <time.h>

#include "common/err.h"

/* Starts run(arg) in a thread that top -H and gdb show as `name` (at most 15 bytes). Every signal is blocked in it but
 * those that a fault of its own raises: the main thread takes them (program.h). Caller joins with pthread_join.
 * Errors: FLK_E_NOMEM, with the thread's name in errmsg. */
FLK_MUST_CHECK flk_err_t flk_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg,
                                          char *errmsg);

/* A condition variable whose timed waits count by the monotonic clock. Caller frees it with pthread_cond_destroy. */
void flk_cond_init(pthread_cond_t *cond);

/* Waits until somebody signals, or flk_mono_ms() is `until_ms`: then it returns false. The mutex is held; a wait may
 * also end for no reason, as pthread_cond_wait may. */
bool flk_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t until_ms);

/* Now and `ms` by `clock`, for calls of the C library that take a point in time. */
struct timespec flk_time_in_ms(clockid_t clock, uint64_t ms);

#endif
