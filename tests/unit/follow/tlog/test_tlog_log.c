/* SPDX-License-Identifier: MIT */
/* The log on disk: the same leaves give the same log after any failure, and it never contradicts its own checkpoints.
 */
#include "follow/tlog/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "common/tlog/index.h"
#include "common/tlog/tiles.h"
#include "tests/unit/rig/suite.h"

enum { LEAVES = 700 };

static char dir[64], errmsg[FLK_ERRMSG_BYTES];
static flk_note_signer_t signer;
static unsigned countdown; /* the operation that fails; 0: none */
static int fault_code;

static int fault(flk_io_op_t op, const char *path, void *arg) {
    (void)op, (void)arg;
    return strstr(path, dir) != NULL && countdown > 0 && --countdown == 0 ? fault_code : 0;
}

static void setup(void) {
    strcpy(dir, "/dev/shm/flk-tlog-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    flk_note_signer_draw("log.example", &signer);
}

static void remove_dir(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static void teardown(void) {
    flk_io_set_fault(NULL, NULL);
    remove_dir();
}

/* Leaf i has LSN 2i + 2, and is a gap now and then. */
static void make_leaf(uint64_t i, flk_tlog_leaf_t *leaf) {
    *leaf = (flk_tlog_leaf_t){.log = 7,
                              .lsn = 2 * i + 2,
                              .record_lsn = 2 * i + 1,
                              .time_ms = 1767225600000 + (int64_t)i,
                              .has_pcs_id = true,
                              .has_body = true,
                              .status = 200};
    memcpy(leaf->pcs_id, &i, sizeof i);
    if (i % 97 == 5) {
        *leaf = (flk_tlog_leaf_t){.log = 7, .is_gap = true, .gap_first = 2 * i + 1, .gap_last = 2 * i + 2};
    }
}

static flk_err_t open_as(const char *origin, flk_tlog_log_t **log) {
    flk_tlog_log_options_t options = {.dir = dir, .origin = origin, .signer = &signer};
    *log = NULL;
    return flk_tlog_log_open(&options, log, errmsg);
}

static flk_tlog_log_t *must_open(void) {
    flk_tlog_log_t *log;
    flk_err_t err = open_as("log.example/7", &log);
    ck_assert_msg(err == FLK_OK, "%s", errmsg);
    return log;
}

static flk_err_t publish(flk_tlog_log_t *log) {
    static flk_tlog_signed_t made;
    flk_err_t err = flk_tlog_log_sign(log, &made, errmsg);
    return err != FLK_OK ? err : flk_tlog_log_publish(log, &made, errmsg);
}

/* Goes on behind the position up to `end` leaves. A checkpoint each `step`, and a flush between. */
static flk_err_t feed(flk_tlog_log_t *log, uint64_t end, uint64_t step) {
    flk_err_t err = FLK_OK;
    for (uint64_t i = flk_tlog_log_lsn(log) / 2; err == FLK_OK && i < end; i++) {
        flk_tlog_leaf_t leaf;
        make_leaf(i, &leaf);
        err = flk_tlog_log_add(log, &leaf, errmsg);
        if (err == FLK_OK && (i + 1) % step == 0) {
            err = publish(log);
        } else if (err == FLK_OK && (i + 1) % step == step / 2) {
            err = flk_tlog_log_flush(log, false, errmsg);
        }
    }
    return err == FLK_E_AGAIN ? FLK_OK : err;
}

static void write_leaves(uint64_t end, uint64_t step) {
    flk_tlog_log_t *log = must_open();
    flk_err_t err = feed(log, end, step);
    ck_assert_msg(err == FLK_OK, "%s", errmsg);
    err = publish(log);
    ck_assert_msg(err == FLK_OK || err == FLK_E_AGAIN, "%s", errmsg);
    flk_tlog_log_close(&log);
}

/* The published checkpoint, which must be ours and of these leaves. */
static void check_log(uint64_t size) {
    static flk_note_t note;
    static flk_tlog_tiles_t tiles;
    char path[128], *data, text[FLK_TLOG_LEAF_BYTES_MAX];
    size_t data_bytes, entry_bytes;
    uint8_t entry[FLK_TLOG_LEAF_BYTES_MAX];
    flk_tlog_checkpoint_t checkpoint;
    flk_tlog_hash_t hash;
    snprintf(path, sizeof path, "%s/checkpoint", dir);
    ck_assert_int_eq(flk_io_read_own(path, FLK_NOTE_BYTES_MAX, &data, &data_bytes, errmsg), FLK_OK);
    ck_assert_int_eq(flk_tlog_checkpoint_open(data, data_bytes, &signer.key, &note, &checkpoint, errmsg), FLK_OK);
    free(data);
    ck_assert_uint_eq(checkpoint.size, size);
    flk_tlog_source_t source = flk_tlog_source_dir(dir);
    flk_tlog_tiles_init(&tiles, source, size);
    for (uint64_t i = 0; i < size; i += 1 + size / 40) {
        flk_tlog_leaf_t leaf;
        flk_tlog_proof_t proof;
        make_leaf(i, &leaf);
        ck_assert_msg(flk_tlog_entry_fetch(&source, i, size, entry, &entry_bytes, errmsg) == FLK_OK, "%s", errmsg);
        ck_assert_uint_eq(flk_tlog_leaf_print(&leaf, text), entry_bytes);
        ck_assert_mem_eq(text, entry, entry_bytes);
        ck_assert_msg(flk_tlog_inclusion(i, size, flk_tlog_tiles_read, &tiles, &proof, errmsg) == FLK_OK, "%s", errmsg);
        flk_tlog_hash_leaf(entry, entry_bytes, &hash);
        ck_assert(flk_tlog_inclusion_verify(&proof, i, size, &hash, &checkpoint.root));
    }
}

static void check_index(uint64_t size) {
    char path[128];
    flk_tlog_index_t *index;
    uint64_t covered, found;
    snprintf(path, sizeof path, "%s/private/index", dir);
    ck_assert_msg(flk_tlog_index_open(path, false, &index, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_int_eq(flk_tlog_index_size(index, &covered, errmsg), FLK_OK);
    ck_assert_uint_eq(covered, size);
    for (uint64_t i = 0; i < size; i++) {
        flk_tlog_leaf_t leaf;
        make_leaf(i, &leaf);
        if (!leaf.is_gap) {
            ck_assert_int_eq(flk_tlog_index_find(index, leaf.pcs_id, &found, errmsg), FLK_OK);
            ck_assert_uint_eq(found, i);
        }
    }
    uint8_t nobody[FLK_PCS_ID_BYTES];
    memset(nobody, 0xff, sizeof nobody);
    ck_assert_int_eq(flk_tlog_index_find(index, nobody, &found, errmsg), FLK_E_NOT_FOUND);
    flk_tlog_index_close(&index);
}

/* Any step between two checkpoints gives a log that verifies, goes on after a close, and has every PCS in its index. */
START_TEST(test_log_grows) {
    static const uint64_t steps[] = {1, 255, 256, 257, 1000};
    for (size_t i = 0; i < FLK_COUNT_OF(steps); i++) {
        uint64_t size = steps[i] == 1 ? 20 : LEAVES;
        write_leaves(size / 3, steps[i]);
        check_log(size / 3);
        write_leaves(size, steps[i]);
        check_log(size);
        check_index(size);
        remove_dir();
    }
    ck_assert_int_eq(mkdir(dir, 0700), 0);
}
END_TEST

/* Whichever operation on the disk fails, with an error or for want of space, the log goes on from its position when it
 * is opened again, and each published checkpoint stays true. */
START_TEST(test_log_failures) {
    static const int codes[] = {EIO, ENOSPC};
    for (unsigned n = 1, passed = 0; passed < 2; n += 1 + n / 24) {
        fault_code = codes[n % 2];
        countdown = n;
        flk_io_set_fault(fault, NULL);
        flk_tlog_log_t *log;
        flk_err_t err = open_as("log.example/7", &log);
        err = err != FLK_OK ? err : feed(log, 600, 130);
        bool hit = countdown == 0;
        flk_io_set_fault(NULL, NULL);
        ck_assert_msg(hit == (err != FLK_OK), "%u: %s", n, errmsg);
        flk_tlog_log_close(&log);
        write_leaves(LEAVES, 130);
        check_log(LEAVES);
        check_index(LEAVES);
        remove_dir();
        ck_assert_int_eq(mkdir(dir, 0700), 0);
        passed += hit ? 0 : 1;
    }
}
END_TEST

static void file_path(const char *name, char path[128]) {
    snprintf(path, 128, "%s/%s", dir, name);
}

static void flip_byte(const char *name, off_t at) {
    char path[128], byte;
    file_path(name, path);
    int fd = open(path, O_RDWR);
    ck_assert_msg(fd >= 0, "%s", path);
    ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void remove_file(const char *name) {
    char path[128];
    file_path(name, path);
    ck_assert_int_eq(unlink(path), 0);
}

static void copy_file(const char *from, const char *to) {
    char a[128], b[128], *data;
    size_t bytes;
    file_path(from, a);
    file_path(to, b);
    ck_assert_int_eq(flk_io_read_own(a, 1 << 20, &data, &bytes, errmsg), FLK_OK);
    ck_assert_int_eq(flk_io_replace(b, data, bytes, errmsg), FLK_OK);
    free(data);
}

/* A state that is lost, damaged or older than the last signed checkpoint is rebuilt, and so is an index. */
START_TEST(test_log_rebuilds) {
    write_leaves(300, 100);
    copy_file("private/state", "old-state");
    write_leaves(600, 100);
    remove_file("private/state");
    write_leaves(610, 100);
    check_log(610);
    flip_byte("private/state", 5);
    write_leaves(620, 100);
    check_log(620);
    copy_file("old-state", "private/state");
    write_leaves(630, 100);
    check_log(630);
    remove_file("private/signed");
    remove_file("private/state");
    remove_file("private/index/data.mdb");
    write_leaves(LEAVES, 100);
    check_log(LEAVES);
    check_index(LEAVES);
}
END_TEST

static void check_refused(const char *origin, flk_err_t wanted, const char *reason) {
    flk_tlog_log_t *log;
    errmsg[0] = '\0';
    flk_err_t err = open_as(origin, &log);
    ck_assert_msg(err == wanted && strstr(errmsg, reason) != NULL, "%s: %s", flk_err_text(err), errmsg);
    flk_tlog_log_close(&log);
}

/* Tiles, entries or checkpoints that were changed, and a log of another key or origin, are refused with their reason.
 */
START_TEST(test_log_refusals) {
    flk_tlog_log_t *log;
    write_leaves(600, 600);
    flip_byte("tile/0/002.p/88", 40);
    check_refused("log.example/7", FLK_E_CORRUPT, "are not those of their tile");
    flip_byte("tile/0/002.p/88", 40);
    flip_byte("tile/entries/002.p/88", 40);
    check_refused("log.example/7", FLK_E_CORRUPT, "are not those of their tile");
    flip_byte("tile/entries/002.p/88", 40);
    flip_byte("tile/0/001", 40);
    check_refused("log.example/7", FLK_E_CORRUPT, "do not have the root");
    flip_byte("tile/0/001", 40);
    flip_byte("checkpoint", 20);
    check_refused("log.example/7", FLK_E_CORRUPT, "does not verify");
    flip_byte("checkpoint", 20);
    check_refused("log.example/8", FLK_E_CONFIG, "is of origin log.example/7");
    flk_note_signer_t kept = signer;
    flk_note_signer_draw("log.example", &signer);
    check_refused("log.example/7", FLK_E_CONFIG, "there is no signature of log.example");
    signer = kept;
    ck_assert_int_eq(open_as("log.example/7", &log), FLK_OK);
    check_refused("log.example/7", FLK_E_LOCKED, "in use");
    flk_tlog_log_close(&log);
    remove_file("private/state");
    remove_file("private/signed");
    remove_file("checkpoint");
    check_refused("log.example/7", FLK_E_CORRUPT, "neither state nor checkpoint");
}
END_TEST

/* A log whose earlier tiles were changed, or that was rolled back and grew otherwise, signs nothing more. */
START_TEST(test_log_never_forks) {
    write_leaves(200, 400);
    flk_tlog_log_t *log = must_open();
    ck_assert_int_eq(feed(log, 500, 1000), FLK_OK);
    flip_byte("tile/0/000", 32 * 210);
    ck_assert_msg(publish(log) == FLK_E_CORRUPT && strstr(errmsg, "nothing is signed") != NULL, "%s", errmsg);
    flk_tlog_log_close(&log);
    check_refused("log.example/7", FLK_E_CORRUPT, "do not have the root");
}
END_TEST

/* A partial tile goes when the full one is published, and no file is left under a temporary name. */
START_TEST(test_log_partials) {
    char command[512];
    write_leaves(100, 1000);
    write_leaves(200, 1000);
    snprintf(command, sizeof command, "test -f %s/tile/0/000.p/100 -a -f %s/tile/entries/000.p/200", dir, dir);
    ck_assert_int_eq(system(command), 0);
    write_leaves(300, 1000);
    snprintf(command, sizeof command, "test ! -e %s/tile/0/000.p -a ! -e %s/tile/entries/000.p -a -f %s/tile/1/000.p/1",
             dir, dir, dir);
    ck_assert_int_eq(system(command), 0);
    snprintf(command, sizeof command, "test -z \"$(find %s -name '*.new')\"", dir);
    ck_assert_int_eq(system(command), 0);
    check_log(300);
}
END_TEST

/* A pcs_id names its first verdict; a dead letter or a duplicate gives way to one. */
START_TEST(test_index_first_verdict) {
    char path[128];
    flk_tlog_index_t *index;
    flk_tlog_index_item_t item;
    uint64_t found;
    flk_tlog_leaf_t leaf;
    file_path("private/index", path);
    ck_assert_int_eq(flk_tlog_index_open(path, true, &index, errmsg), FLK_OK);
    static const struct {
        uint16_t status;
        uint32_t flags;
        bool has_item;
        uint64_t found;
    } cases[] = {{401, 0, false, 0}, {202, 1u << FLK_TLOG_DEAD_LETTER, true, 1},
                 {200, 1, true, 1},  {200, 0, true, 3},
                 {200, 2, true, 3},  {200, 1, true, 3}};
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        make_leaf(1, &leaf);
        leaf.status = cases[i].status;
        leaf.flags = cases[i].flags;
        ck_assert(flk_tlog_index_item(&leaf, i, &item) == cases[i].has_item);
        if (cases[i].has_item) {
            ck_assert_int_eq(flk_tlog_index_add(index, &item, 1, i + 1, errmsg), FLK_OK);
            ck_assert_int_eq(flk_tlog_index_find(index, leaf.pcs_id, &found, errmsg), FLK_OK);
            ck_assert_uint_eq(found, cases[i].found);
        }
    }
    flk_tlog_index_close(&index);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tlog_log");
    TCase *tcase = tcase_create("disk");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_log_grows);
    tcase_add_test(tcase, test_log_failures);
    tcase_add_test(tcase, test_log_rebuilds);
    tcase_add_test(tcase, test_log_refusals);
    tcase_add_test(tcase, test_log_never_forks);
    tcase_add_test(tcase, test_log_partials);
    tcase_add_test(tcase, test_index_first_verdict);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
