/* SPDX-License-Identifier: MIT */
/* Rights that every daemon gives up at its start, so that a fault in it is worth less to an attacker. */
#ifndef FLK_COMMON_PROGRAM_HARDEN_H
#define FLK_COMMON_PROGRAM_HARDEN_H

#include "common/base.h"

/* For the whole process, its children and for good: files are made for their owner only (umask 077), no core dumps,
 * no privileges gained by exec. Without `developer` also: no debugger of the same user, /proc/PID is root's, and the
 * system calls that no daemon of ours needs fail with EPERM: starting programs, tracing, mounting, namespaces,
 * modules, kernel keys, BPF. Call it from main, before any thread; call it once. A refusal of the kernel is logged
 * and goes without: a daemon that serves is worth more. */
void flk_harden(bool developer);

#endif
