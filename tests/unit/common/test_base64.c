/* SPDX-License-Identifier: MIT */
/* Reading base64 of strangers: each text that is taken is the one print of its bytes. */
#include "common/base64.h"

#include <check.h>
#include <sodium.h>
#include <string.h>

#include "tests/unit/rig/suite.h"

/* RFC 4648, section 10. */
START_TEST(test_base64_vectors) {
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < FLK_COUNT_OF(vectors); i++) {
        uint8_t out[8];
        size_t bytes;
        ck_assert(flk_base64_decode(vectors[i][1], strlen(vectors[i][1]), out, sizeof out, &bytes));
        ck_assert(bytes == strlen(vectors[i][0]) && memcmp(out, vectors[i][0], bytes) == 0);
    }
    uint8_t two[2];
    size_t bytes;
    ck_assert(!flk_base64_decode("Zm9v", 4, two, sizeof two, &bytes));
}
END_TEST

/* Any byte in any place of a good text: a text that is taken prints as it was read. */
START_TEST(test_base64_one_text) {
    static const char *const good[] = {"Zm9vYmFy", "Zm9vYmE=", "Zm8v", "+/+/"};
    for (size_t i = 0; i < FLK_COUNT_OF(good); i++) {
        for (size_t at = 0; at < strlen(good[i]); at++) {
            for (int byte = 0; byte < 256; byte++) {
                char text[16], again[16];
                uint8_t out[16];
                size_t bytes;
                strcpy(text, good[i]);
                text[at] = (char)byte;
                if (flk_base64_decode(text, strlen(good[i]), out, sizeof out, &bytes)) {
                    sodium_bin2base64(again, sizeof again, out, bytes, sodium_base64_VARIANT_ORIGINAL);
                    ck_assert_msg(memcmp(again, text, strlen(good[i])) == 0, "byte %d at %zu of %s", byte, at, good[i]);
                }
            }
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("base64");
    TCase *tcase = tcase_create("base64");
    tcase_add_test(tcase, test_base64_vectors);
    tcase_add_test(tcase, test_base64_one_text);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
