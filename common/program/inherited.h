/* SPDX-License-Identifier: MIT */
/* State that a process inherits from its parent and must not rely on: standard streams, signals, umask. */
#ifndef FLK_COMMON_PROGRAM_INHERITED_H
#define FLK_COMMON_PROGRAM_INHERITED_H

#include <signal.h>

#include "common/base.h"

/* First call of every main, before any descriptor is opened. Streams that are closed become descriptors on which
 * every read and write fails with EBADF, so that no file of ours gets their numbers. No signal is blocked, and each
 * has its default action; but SIGHUP, SIGINT and SIGQUIT stay ignored where they were (nohup, jobs in the
 * background), and SIGXFSZ is ignored: over a limit of file size a write fails with EFBIG, as on a full disk. The
 * umask leaves files to their owner at least. */
void flk_inherited_reset(void);

/* For daemons, after the reset and before any thread: SIGTERM, SIGINT, SIGQUIT, SIGXCPU and SIGHUP are blocked and
 * put into `taken` for sigtimedwait; every other signal that would end the process without a fault of its own is
 * ignored. */
void flk_inherited_take_signals(sigset_t *taken);

#endif
