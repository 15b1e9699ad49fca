/* SPDX-License-Identifier: MIT */
/* The system call filter lists the calls that fail, not those that may be made: which calls the C library, libpq or
 * libzmq make differs by release, and none of them makes these. They fail with EPERM rather than kill, so that a
 * library which tries one says so. Calls by another ABI of the same machine (32 bits, x32) fail as a whole: their
 * numbers would slip through. */
#include "common/program/harden.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/log.h"

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE_ARCH AUDIT_ARCH_RISCV64
#endif

enum { X32_BIT = 0x40000000 };

static void warn(const char *what) {
    flk_log(FLK_LOG_WARN, "not_hardened", FLK_S("what", what), FLK_S("error", strerror(errno)));
}

#ifdef NATIVE_ARCH

static const unsigned denied[] = {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they trace for leaks and start a symbolizer */
    __NR_execve,
    __NR_execveat,
    __NR_ptrace,
#endif
    __NR_process_vm_readv,
    __NR_process_vm_writev,
    __NR_kcmp,
    __NR_mount,
    __NR_umount2,
    __NR_pivot_root,
    __NR_chroot,
    __NR_setns,
    __NR_unshare,
    __NR_init_module,
    __NR_finit_module,
    __NR_delete_module,
    __NR_kexec_load,
    __NR_reboot,
    __NR_swapon,
    __NR_swapoff,
    __NR_acct,
    __NR_settimeofday,
    __NR_clock_settime,
    __NR_adjtimex,
    __NR_clock_adjtime,
    __NR_sethostname,
    __NR_setdomainname,
    __NR_add_key,
    __NR_request_key,
    __NR_keyctl,
    __NR_bpf,
    __NR_perf_event_open,
    __NR_userfaultfd,
    __NR_open_by_handle_at,
    __NR_name_to_handle_at,
    __NR_personality,
    __NR_quotactl,
    __NR_vhangup,
    __NR_fanotify_init,

#ifdef __NR_io_uring_setup
    __NR_io_uring_setup,
    __NR_io_uring_enter,
    __NR_io_uring_register,
#endif
#ifdef __NR_pidfd_getfd
    __NR_pidfd_getfd,
#endif
#ifdef __NR_move_mount
    __NR_open_tree,
    __NR_move_mount,
    __NR_fsopen,
    __NR_fsconfig,
    __NR_fsmount,
    __NR_fspick,
#endif
#ifdef __NR_iopl
    __NR_iopl,
    __NR_ioperm,
#endif
};

static void filter_system_calls(void) {
    enum { HEAD = 5, DENIED = FLK_COUNT_OF(denied), LEN = HEAD + DENIED + 2 };
    _Static_assert(DENIED + 2 < 256, "a jump is a byte");
    struct sock_filter program[LEN] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, DENIED + 1, 0),
    };
    for (unsigned i = 0; i < DENIED; i++) {
        program[HEAD + i] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denied[i], (uint8_t)(DENIED - i), 0);
    }
    program[HEAD + DENIED] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program[HEAD + DENIED + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    struct sock_fprog whole = {.len = LEN, .filter = program};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole) != 0) {
        warn("system call filter");
    }
}

#else

static void filter_system_calls(void) {
    errno = ENOSYS; /* a machine whose numbers nobody has checked */
    warn("system call filter");
}

#endif

void flk_harden(bool developer) {
    const struct rlimit none = {0};
    umask(077);
    if (setrlimit(RLIMIT_CORE, &none) != 0) {
        warn("core dumps");
    }
    bool no_new = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    if (!no_new) {
        warn("no new privileges");
    }
    if (developer) {
        return;
    }
    if (prctl(PR_SET_DUMPABLE, 0) != 0) {
        warn("dumpable");
    }
    if (no_new) {
        filter_system_calls();
    }
}
