/* SPDX-License-Identifier: MIT */
/* Keeps a daemon's memory where it is however long it runs. Sources: mallopt(3); glibc's malloc/arena.c. */
#ifndef FLK_COMMON_PROGRAM_ALLOCATOR_H
#define FLK_COMMON_PROGRAM_ALLOCATOR_H

/* glibc gives each core eight arenas, and each of them keeps the most that any of its threads ever needed; a large
 * block that was freed once raises the size from which on blocks are mapped, and given back, by themselves. From here
 * on there is one arena a core (two at least), and that size is fixed. Before the first thread. Does nothing with
 * another allocator. */
void flk_allocator_bound(void);

#endif
