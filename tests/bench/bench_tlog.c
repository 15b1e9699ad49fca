/* SPDX-License-Identifier: MIT */
/* bench_tlog DIR KEY_FILE ORIGIN LEAVES [STEP [SEED]]: grows the transparency log in DIR to so many made-up leaves, a
 * checkpoint each STEP of them and at the end, and tells leaves a second and the largest memory. Another SEED gives
 * other leaves: a fork. The tests of tests/tlog use it, too. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/io.h"
#include "common/number.h"
#include "follow/tlog/log.h"

static char errmsg[FLK_ERRMSG_BYTES];
static uint64_t seed;

static void must(flk_err_t err) {
    if (err != FLK_OK && err != FLK_E_AGAIN) {
        fprintf(stderr, "bench_tlog: %s\n", errmsg);
        exit(1);
    }
}

static void make_leaf(uint64_t i, flk_tlog_leaf_t *leaf) {
    *leaf = (flk_tlog_leaf_t){.log = 7,
                              .lsn = 2 * i + 2,
                              .record_lsn = 2 * i + 1,
                              .status = 200,
                              .key = "k1",
                              .has_body = true,
                              .has_pcs_id = true,
                              .has_digest = true,
                              .has_outcome = true};
    leaf->received_ms = 1767225600000 + (int64_t)(i / 30);
    leaf->time_ms = leaf->received_ms + 3;
    uint64_t name[2] = {seed, i};
    flk_sha256(name, sizeof name, leaf->pcs_id);
    flk_sha256(leaf->pcs_id, sizeof leaf->pcs_id, leaf->body_sha256);
    flk_sha256(leaf->body_sha256, sizeof leaf->body_sha256, leaf->digest);
    leaf->outcome = (flk_outcome_t){.status = 200,
                                    .has_d_hat = true,
                                    .regime = FLK_REGIME_MIXED,
                                    .policy_version = "default-1",
                                    .budget = 0.5,
                                    .budget_claimed = 0.5};
    leaf->outcome.d_hat = flk_round9(1.0 + (double)(i % 1000) / 997);
}

static void publish(flk_tlog_log_t *log) {
    static flk_tlog_signed_t made;
    flk_err_t err = flk_tlog_log_sign(log, &made, errmsg);
    must(err);
    if (err == FLK_OK) {
        must(flk_tlog_log_publish(log, &made, errmsg));
    }
}

static void grow(flk_tlog_log_t *log, uint64_t leaves, uint64_t step) {
    for (uint64_t i = flk_tlog_log_lsn(log) / 2; i < leaves; i++) {
        flk_tlog_leaf_t leaf;
        make_leaf(i, &leaf);
        flk_err_t err = flk_tlog_log_add(log, &leaf, errmsg);
        if (err == FLK_E_FULL) {
            must(flk_tlog_log_flush(log, false, errmsg));
            err = flk_tlog_log_add(log, &leaf, errmsg);
        }
        must(err);
        if ((i + 1) % step == 0) {
            publish(log);
        }
    }
    publish(log);
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: bench_tlog DIR KEY_FILE ORIGIN LEAVES [STEP [SEED]]\n");
        return 2;
    }
    static flk_note_signer_t signer;
    char *key;
    size_t key_bytes;
    uint64_t leaves = strtoull(argv[4], NULL, 10), step = argc > 5 ? strtoull(argv[5], NULL, 10) : 500000;
    seed = argc > 6 ? strtoull(argv[6], NULL, 10) : 0;
    must(flk_io_read_file(argv[2], 4096, &key, &key_bytes, errmsg));
    must(flk_note_signer_parse(key, &signer, errmsg));
    free(key);
    flk_tlog_log_options_t options = {.dir = argv[1], .origin = argv[3], .signer = &signer};
    flk_tlog_log_t *log;
    must(flk_tlog_log_open(&options, &log, errmsg));
    uint64_t first = flk_tlog_log_size(log), begin_ns = flk_mono_ns();
    grow(log, leaves, step);
    double seconds = (double)(flk_mono_ns() - begin_ns) / 1e9;
    flk_tlog_log_close(&log);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    printf("%" PRIu64 " leaves, %.0f a second, %.0f a second of CPU, %ld MiB\n", leaves - first,
           (double)(leaves - first) / seconds, (double)(leaves - first) / cpu, usage.ru_maxrss / 1024);
    return 0;
}
