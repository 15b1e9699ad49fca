/* SPDX-License-Identifier: MIT */
/* How much of the machine this process may use: its cgroups (version 1 and 2) may give it less than there is. Read anew
 * at each call, from files; for starts, not for loops. Source: Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst of
 * Linux. */
#ifndef FLK_COMMON_MACHINE_H
#define FLK_COMMON_MACHINE_H

#include "common/base.h"

/* Cores: those that the affinity mask allows, or the CPU quota rounded up if that is less. At least 1. */
unsigned flk_machine_cores(void);

/* Bytes of memory: the machine's, or the least limit of the cgroups. */
uint64_t flk_machine_memory_bytes(void);

/* One part in `parts` of the memory, `most` at most and 1 MiB at least. */
uint64_t flk_machine_share_bytes(unsigned parts, uint64_t most);

/* The two limits as the files below `root` tell them: "" is the machine itself, tests give a directory of their own.
 * UINT64_MAX: no limit. The quota is in thousandths of a core. */
uint64_t flk_machine_quota_millicores(const char *root);
uint64_t flk_machine_limit_bytes(const char *root);

#endif
