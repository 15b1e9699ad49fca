/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "common/io.h"
#include "proto/curve.h"
#include "tests/unit/rig/suite.h"

static char dir[] = "/tmp/flk-curve-XXXXXX", secret_path[64], public_path[64], errmsg[FLK_ERRMSG_BYTES];

static void setup(void) {
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(secret_path, sizeof secret_path, "%s/w1.key", dir);
    snprintf(public_path, sizeof public_path, "%s/w1.pub", dir);
}

static void teardown(void) {
    unlink(secret_path);
    unlink(public_path);
    ck_assert_int_eq(rmdir(dir), 0);
}

static unsigned mode_of(const char *path) {
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static void write_file(const char *path, const char *text, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    ck_assert(fchmod(fd, mode) == 0 && close(fd) == 0);
}

/* A pair that was made is read back: the public key that belongs to the secret one is the one in the other file. */
START_TEST(test_curve_reads_what_it_made) {
    char made[FLK_CURVE_TEXT_BYTES], derived[FLK_CURVE_TEXT_BYTES], read[FLK_CURVE_TEXT_BYTES];
    uint8_t secret[FLK_CURVE_KEY_BYTES];
    mode_t before = umask(0077);
    ck_assert_msg(flk_curve_make_files(secret_path, public_path, made, errmsg) == FLK_OK, "%s", errmsg);
    umask(before);
    ck_assert_uint_eq(mode_of(secret_path), 0600);
    ck_assert_uint_eq(mode_of(public_path), 0644); /* with any umask: others must be able to read it */
    ck_assert_int_eq(flk_curve_read_secret(secret_path, secret, derived, errmsg), FLK_OK);
    ck_assert_int_eq(flk_curve_read_public(public_path, read, errmsg), FLK_OK);
    ck_assert_str_eq(made, derived);
    ck_assert_str_eq(made, read);
}
END_TEST

/* Neither file is ever overwritten, and a pair that could not be made in full leaves nothing behind. */
START_TEST(test_curve_never_overwrites) {
    char made[FLK_CURVE_TEXT_BYTES];
    write_file(public_path, "mine\n", 0644);
    ck_assert_int_eq(flk_curve_make_files(secret_path, public_path, made, errmsg), FLK_E_EXISTS);
    ck_assert_int_ne(access(secret_path, F_OK), 0);
    unlink(public_path);
    ck_assert_int_eq(flk_curve_make_files(secret_path, public_path, made, errmsg), FLK_OK);
    ck_assert_int_eq(flk_curve_make_files(secret_path, public_path, made, errmsg), FLK_E_EXISTS);
}
END_TEST

/* A secret key that everybody may read or write is refused; group rights are the administrator's affair. */
START_TEST(test_curve_refuses_open_secrets) {
    static const struct {
        mode_t mode;
        flk_err_t err;
    } cases[] = {{0600, FLK_OK},       {0400, FLK_OK},       {0640, FLK_OK},       {0440, FLK_OK},
                 {0644, FLK_E_CONFIG}, {0604, FLK_E_CONFIG}, {0602, FLK_E_CONFIG}, {0777, FLK_E_CONFIG}};
    char public_key[FLK_CURVE_TEXT_BYTES];
    uint8_t secret[FLK_CURVE_KEY_BYTES];
    ck_assert_int_eq(flk_curve_make_files(secret_path, public_path, public_key, errmsg), FLK_OK);
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        ck_assert_int_eq(chmod(secret_path, cases[i].mode), 0);
        ck_assert_int_eq(flk_curve_read_secret(secret_path, secret, public_key, errmsg), cases[i].err);
    }
    ck_assert_ptr_nonnull(strstr(errmsg, "everybody"));
}
END_TEST

/* A file that is no key is refused with the path and without the content. */
START_TEST(test_curve_refuses_what_is_no_key) {
    static const char *const refused[] = {"",
                                          "\n",
                                          "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI\n",
                                          "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\n\n",
                                          "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hIDD\n",
                                          "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{h\"D\n",
                                          "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{h D\n",
                                          "#####################################################################\n"};
    char public_key[FLK_CURVE_TEXT_BYTES];
    uint8_t secret[FLK_CURVE_KEY_BYTES];
    for (size_t i = 0; i < FLK_COUNT_OF(refused); i++) {
        write_file(public_path, refused[i], 0644);
        write_file(secret_path, refused[i], 0600);
        ck_assert_int_eq(flk_curve_read_public(public_path, public_key, errmsg), FLK_E_INVALID);
        ck_assert_int_eq(flk_curve_read_secret(secret_path, secret, public_key, errmsg), FLK_E_CONFIG);
        ck_assert_ptr_nonnull(strstr(errmsg, secret_path));
        ck_assert_ptr_null(strstr(errmsg, "Yne"));
    }
    write_file(public_path, "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", 0644); /* without the newline it is one */
    ck_assert_int_eq(flk_curve_read_public(public_path, public_key, errmsg), FLK_OK);
    unlink(public_path);
    ck_assert_int_eq(flk_curve_read_public(public_path, public_key, errmsg), FLK_E_NOT_FOUND);
}
END_TEST

/* The pair of ZeroMQ's own manual: the file form is the one that other tools write and read. */
START_TEST(test_curve_agrees_with_zeromq) {
    char public_key[FLK_CURVE_TEXT_BYTES];
    uint8_t secret[FLK_CURVE_KEY_BYTES];
    write_file(secret_path, "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs\n", 0600);
    write_file(public_path, "", 0600);
    ck_assert_int_eq(flk_curve_read_secret(secret_path, secret, public_key, errmsg), FLK_OK);
    ck_assert_str_eq(public_key, "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID");
    ck_assert_int_eq(secret[0], 0x7b);
    ck_assert_int_eq(secret[31], 0x88);
}
END_TEST

/* Names become file names: nothing that leaves the directory, hides, or looks like an option. */
START_TEST(test_curve_checks_names) {
    static const char *const good[] = {"w1", "worker-3.example", "A", "0_x"};
    static const char *const bad[] = {
        "",   ".",   "..",  ".hidden",  "-r",
        "_x", "a/b", "a b", "\xc3\xa4", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < FLK_COUNT_OF(good); i++) {
        ck_assert_msg(flk_curve_name_valid(good[i]), "%s", good[i]);
    }
    for (size_t i = 0; i < FLK_COUNT_OF(bad); i++) {
        ck_assert_msg(!flk_curve_name_valid(bad[i]), "%s", bad[i]);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("curve");
    TCase *tc = tcase_create("curve");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_curve_reads_what_it_made);
    tcase_add_test(tc, test_curve_never_overwrites);
    tcase_add_test(tc, test_curve_refuses_open_secrets);
    tcase_add_test(tc, test_curve_refuses_what_is_no_key);
    tcase_add_test(tc, test_curve_agrees_with_zeromq);
    tcase_add_test(tc, test_curve_checks_names);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
