/* SPDX-License-Identifier: MIT */
/* Limits of cgroups, read from files as both versions lay them out. integration/cgroup has real ones. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/machine.h"
#include "tests/unit/rig/suite.h"

static char root[64];

static void setup(void) {
    snprintf(root, sizeof root, "/tmp/flk-machine-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void teardown(void) {
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", root);
    ck_assert_int_eq(system(command), 0);
}

static void put(const char *path, const char *text) {
    char whole[256], errmsg[FLK_ERRMSG_BYTES];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    *strrchr(whole, '/') = '\0';
    ck_assert_int_eq(flk_io_mkdirs(whole, errmsg), FLK_OK);
    snprintf(whole, sizeof whole, "%s%s", root, path);
    ck_assert_int_eq(flk_io_replace(whole, text, strlen(text), errmsg), FLK_OK);
}

/* Version 1: each controller has a tree of its own, and the least limit on the way up counts. */
START_TEST(test_machine_version_1) {
    put("/proc/self/cgroup", "9:name=systemd:/x\n4:memory:/a/b\n2:cpu,cpuacct:/a\n0::/\n");
    put("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "300000000\n");
    put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "200000000\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "150000\n");
    put("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(flk_machine_limit_bytes(root), 200000000);
    ck_assert_uint_eq(flk_machine_quota_millicores(root), 1500);
}
END_TEST

/* Version 2: one tree; "max" is no limit. */
START_TEST(test_machine_version_2) {
    put("/proc/self/cgroup", "0::/pod/container\n");
    put("/sys/fs/cgroup/pod/container/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/pod/container/memory.max", "max\n");
    ck_assert_uint_eq(flk_machine_limit_bytes(root), UINT64_MAX);
    ck_assert_uint_eq(flk_machine_quota_millicores(root), UINT64_MAX);
    put("/sys/fs/cgroup/pod/cpu.max", "40000 100000\n");
    put("/sys/fs/cgroup/pod/memory.max", "134217728\n");
    ck_assert_uint_eq(flk_machine_limit_bytes(root), 134217728);
    ck_assert_uint_eq(flk_machine_quota_millicores(root), 400);
}
END_TEST

/* A container that sees the host's names has its own limits at the top. */
START_TEST(test_machine_names_of_the_host) {
    put("/proc/self/cgroup", "4:memory:/kubepods/pod1/c1\n2:cpu:/kubepods/pod1/c1\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "67108864\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "4000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(flk_machine_limit_bytes(root), 67108864);
    ck_assert_uint_eq(flk_machine_quota_millicores(root), 40);
}
END_TEST

/* Files that are missing, empty or odd limit nothing. */
START_TEST(test_machine_odd_files) {
    ck_assert_uint_eq(flk_machine_limit_bytes(root), UINT64_MAX);
    put("/proc/self/cgroup", "\nx\n:\n::\n4:memory\n4:memorial:/\n0::/\n");
    put("/sys/fs/cgroup/memory.max", "");
    put("/sys/fs/cgroup/cpu.max", "one core\n");
    ck_assert_uint_eq(flk_machine_limit_bytes(root), UINT64_MAX);
    ck_assert_uint_eq(flk_machine_quota_millicores(root), UINT64_MAX);
    put("/sys/fs/cgroup/cpu.max", "100000 0\n");
    ck_assert_uint_eq(flk_machine_quota_millicores(root), UINT64_MAX);
}
END_TEST

/* A share is a part of the memory within bounds. */
START_TEST(test_machine_share) {
    ck_assert_uint_eq(flk_machine_share_bytes(4, 2 << 20), 2 << 20);
    ck_assert_uint_eq(flk_machine_share_bytes(UINT32_MAX, 2 << 20), 1 << 20);
    ck_assert_uint_ge(flk_machine_cores(), 1);
    ck_assert_uint_gt(flk_machine_memory_bytes(), 1 << 20);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("machine");
    TCase *tcase = tcase_create("machine");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_machine_version_1);
    tcase_add_test(tcase, test_machine_version_2);
    tcase_add_test(tcase, test_machine_names_of_the_host);
    tcase_add_test(tcase, test_machine_odd_files);
    tcase_add_test(tcase, test_machine_share);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
