/* SPDX-License-Identifier: MIT */
/* The base of every file: attributes, the assertion that stays on in release, clocks. */
#ifndef FLK_COMMON_BASE_H
#define FLK_COMMON_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLK_MUST_CHECK                    __attribute__((warn_unused_result))
#define FLK_PRINTF(format_arg, first_arg) __attribute__((format(printf, format_arg, first_arg)))
#define FLK_NORETURN                      __attribute__((noreturn))
#define FLK_COUNT_OF(array)               (sizeof(array) / sizeof((array)[0]))

/* Room for one line that tells a person the event and the remedy; callers own the buffer. */
enum { FLK_ERRMSG_BYTES = 320 };

/* Ends the process with file, line and condition on stderr: a bug, never a reaction to input. */
#define FLK_ASSERT(condition) ((condition) ? (void)0 : flk_assert_failed(#condition, __FILE__, __LINE__))
FLK_NORETURN void flk_assert_failed(const char *condition, const char *file, int line);
/* `before` is called first. It may wait for a moment, so that no line of the log is lost. */
void flk_on_fatal(void (*before)(void));

/* Monotonic time, for deadlines and durations. */
uint64_t flk_mono_ns(void);
uint64_t flk_thread_cpu_ns(void); /* that the calling thread has used */
uint64_t flk_mono_ms(void);
/* Milliseconds since the Unix epoch, for records and logs; may jump. */
int64_t flk_wall_ms(void);

/* `size` bytes, zeroed; out of memory ends the process with one line. For start-up only: code that serves a
 * record uses calloc and answers FLK_E_NOMEM. Caller frees with free(). */
void *flk_start_alloc(size_t size);
FLK_NORETURN void flk_start_out_of_memory(size_t size);

/* Takes as many descriptors as the hard limit allows, at start. Each peer is a connection, strangers at a handshake
 * too, and libzmq spins when descriptors run out. */
void flk_descriptors_raise(void);

/* 64 bits from the system's generator: instance numbers, log numbers, jitter. */
uint64_t flk_random_u64(void);

/* Formats into a caller-owned buffer of FLK_ERRMSG_BYTES; NULL is allowed and ignored. */
void flk_errmsg(char *errmsg, const char *format, ...) FLK_PRINTF(2, 3);
/* Puts "step: " before the text in errmsg. */
void flk_errmsg_prefix(char *errmsg, const char *step);

#endif
