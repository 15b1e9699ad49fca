/* SPDX-License-Identifier: MIT */
/* The common part of the fuzz targets. A target is one file fuzz_<name>.c with LLVMFuzzerTestOneInput; it aborts when a
 * promise of the header that it exercises is broken. clang links it with libFuzzer; every build links it with replay.c,
 * which runs the seeds and the inputs of earlier finds. */
#ifndef FLK_TESTS_FUZZ_FUZZ_H
#define FLK_TESTS_FUZZ_FUZZ_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/base.h"
#include "common/err.h"
#include "common/pcs/canonical.h"
#include "common/pcs/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes); /* 0; -1: not worth keeping */

static char fuzz_path[64];

static inline void fuzz_remove_file(void) {
    unlink(fuzz_path);
}

/* The path of a file in memory, ours alone, that holds the data until the next call. */
static inline const char *fuzz_file(const uint8_t *data, size_t data_bytes) {
    static int fd = -1;
    if (fd < 0) {
        snprintf(fuzz_path, sizeof fuzz_path, "/dev/shm/flk-fuzz-%d", (int)getpid());
        fd = open(fuzz_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        FLK_ASSERT(fd >= 0 && atexit(fuzz_remove_file) == 0);
    }
    FLK_ASSERT(pwrite(fd, data, data_bytes, 0) == (ssize_t)data_bytes);
    FLK_ASSERT(ftruncate(fd, (off_t)data_bytes) == 0);
    return fuzz_path;
}

/* True for one input of `every`, by a hash that no mutation keeps; without libFuzzer for each: a step that costs a
 * hundred times as much as the rest of a target must not take all of the fuzzer's time. */
static inline bool fuzz_turn(const uint8_t *data, size_t data_bytes, unsigned every) {
#ifdef FLK_FUZZ
    return XXH3_64bits(data, data_bytes) % every == 0;
#else
    (void)data, (void)data_bytes, (void)every;
    return true;
#endif
}

/* A fault or an error line is text that may be shown: there is some, and it is printable ASCII. */
static inline void fuzz_check_text(const char *text) {
    FLK_ASSERT(text[0] != '\0');
    for (const char *at = text; *at != '\0'; at++) {
        FLK_ASSERT(*at >= ' ' && *at <= '~');
    }
}

/* A PCS that was read can be judged and signed, and two that are the same have one digest. */
static inline void fuzz_check_pcs(const flk_pcs_t *pcs, uint8_t digest[FLK_DIGEST_BYTES]) {
    static flk_policy_t policy;
    if (policy.version[0] == '\0') {
        flk_policy_default(&policy);
    }
    char text[FLK_CANONICAL_BYTES];
    FLK_ASSERT(flk_canonical(pcs, FLK_PRINT_ES, text) == strlen(text));
    FLK_ASSERT(flk_canonical(pcs, FLK_PRINT_PYTHON, text) == strlen(text));
    flk_canonical_digest(pcs, FLK_PRINT_PYTHON, digest);
    flk_outcome_t outcome;
    flk_verdict(pcs, &policy, &outcome);
    FLK_ASSERT(outcome.status == (outcome.reasons == 0 ? FLK_STATUS_ACCEPTED : FLK_STATUS_ESCALATED));
    FLK_ASSERT(outcome.budget >= 0 && outcome.budget <= 1);
}

#endif
