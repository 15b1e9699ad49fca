/* SPDX-License-Identifier: MIT */
#include "common/program/allocator.h"

#include <malloc.h>

#include "common/machine.h"

enum { ARENAS_MIN = 2, MAPPED_BYTES = 128 << 10, TRIMMED_BYTES = 128 << 10 };

void flk_allocator_bound(void) {
#ifdef M_ARENA_MAX
    unsigned cores = flk_machine_cores();
    (void)mallopt(M_ARENA_MAX, cores > ARENAS_MIN ? (int)cores : ARENAS_MIN);
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, TRIMMED_BYTES);
#endif
}
