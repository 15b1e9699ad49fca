/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/agent_parts.h"

uint64_t agent_seed(void) {
    const char *given = getenv("TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : flk_random_u64();
    printf("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

uint64_t agent_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

uint64_t agent_below(uint64_t *state, uint64_t below) {
    return agent_random(state) % below;
}

double agent_real(uint64_t *state) {
    return (double)(agent_random(state) >> 11) * 0x1p-52 - 1;
}

void agent_temp_dir(char path[64]) {
    snprintf(path, 64, "/tmp/flk-test-agent-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
}

void agent_remove_dir(const char *path) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    ck_assert_int_eq(system(command), 0);
}

void agent_temp_file(char path[64], const char *suffix, const void *data, size_t data_bytes) {
    snprintf(path, 64, "/tmp/flk-test-agent-XXXXXX%s", suffix);
    int fd = mkstemps(path, (int)strlen(suffix));
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, data_bytes), (ssize_t)data_bytes);
    close(fd);
}
