/* SPDX-License-Identifier: MIT */
/* Preloaded into a program under test: while it is armed, one of N of the allocations that the program's own code makes
 * fails; those of libraries do not (libzmq ends the process when it has no memory, on purpose).
 *
 * CHAOS_MALLOC names a file of 16 bytes that is shared with the test: one_in u32 (0: not armed), seed u32, failed
 * u64. */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct control {
    volatile uint32_t one_in, seed;
    uint64_t failed;
} control_t;

/* glibc's own names: no lookup is needed, and so no allocation before there can be one. */
/* NOLINTBEGIN(bugprone-reserved-identifier): they are */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
/* NOLINTEND(bugprone-reserved-identifier) */

static control_t unarmed;
static control_t *control = &unarmed;
static uintptr_t program_begin, program_end;
static uint64_t calls;

/* The first object is the program itself. */
static int note_program(struct dl_phdr_info *info, size_t info_bytes, void *arg) {
    (void)info_bytes;
    (void)arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD && (header->p_flags & PF_X) != 0) {
            program_begin = info->dlpi_addr + header->p_vaddr;
            program_end = program_begin + header->p_memsz;
        }
    }
    return 1;
}

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("CHAOS_MALLOC");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    dl_iterate_phdr(note_program, NULL);
    if (shared != MAP_FAILED) {
        control = shared;
    }
}

static bool is_to_fail(void *caller) {
    uint32_t one_in = control->one_in;
    if (one_in == 0 || (uintptr_t)caller < program_begin || (uintptr_t)caller >= program_end) {
        return false;
    }
    uint64_t mixed = (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) + control->seed) * UINT64_C(0x9e3779b97f4a7c15);
    if ((mixed >> 32) % one_in != 0) {
        return false;
    }
    __atomic_add_fetch(&control->failed, 1, __ATOMIC_RELAXED);
    errno = ENOMEM;
    return true;
}

void *malloc(size_t bytes) {
    return is_to_fail(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes) {
    return is_to_fail(__builtin_return_address(0)) ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes) {
    return is_to_fail(__builtin_return_address(0)) ? NULL : __libc_realloc(old, bytes);
}
