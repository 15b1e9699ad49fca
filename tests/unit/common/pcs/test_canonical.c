/* SPDX-License-Identifier: MIT */
#include "common/pcs/canonical.h"
#include "tests/unit/rig/pcs_vectors.h"

#include "tests/unit/rig/suite.h"
#include <locale.h>
#include <math.h>
#include <sodium.h>

/* Every canonical vector gives the bytes of both prints and the digest. */
START_TEST(test_canonical_vectors) {
    json_t *root = vectors_load("canonical.json");
    json_t *cases = json_object_get(root, "cases");
    ck_assert_uint_eq(json_array_size(cases), 134);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        json_t *vector = json_array_get(cases, i);
        flk_pcs_t pcs = vectors_subset_pcs(json_object_get(vector, "subset"));
        char text[FLK_CANONICAL_BYTES];
        ck_assert_uint_eq(flk_canonical(&pcs, FLK_PRINT_PYTHON, text), strlen(text));
        ck_assert_str_eq(text, vectors_text(vector, "python"));
        ck_assert_uint_eq(flk_canonical(&pcs, FLK_PRINT_ES, text), strlen(text));
        ck_assert_str_eq(text, vectors_text(vector, "es"));

        uint8_t digest[FLK_DIGEST_BYTES];
        char hex[2 * FLK_DIGEST_BYTES + 1];
        flk_canonical_digest(&pcs, FLK_PRINT_PYTHON, digest);
        sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
        ck_assert_str_eq(hex, vectors_text(vector, "sha256_python"));
    }
    json_decref(root);
}
END_TEST

/* The longest members still fit, with room for the NUL. */
START_TEST(test_canonical_longest) {
    flk_pcs_t pcs;
    flk_pcs_init(&pcs);
    memset(pcs.merkle_root, 'a', FLK_PCS_MERKLE_MAX);
    memset(pcs.shard_id, 's', FLK_PCS_SHARD_MAX);
    pcs.epoch = FLK_PCS_INTEGER_MAX;
    pcs.d_hat = pcs.coh_star = pcs.r = pcs.budget = -1.2345678901234567e-300;
    flk_pcs_set_id(&pcs);
    char text[FLK_CANONICAL_BYTES];
    ck_assert_uint_lt(flk_canonical(&pcs, FLK_PRINT_ES, text), FLK_CANONICAL_BYTES);
    pcs.d_hat = pcs.coh_star = pcs.r = pcs.budget = -1.2345678901234567e+300;
    ck_assert_uint_lt(flk_canonical(&pcs, FLK_PRINT_PYTHON, text), FLK_CANONICAL_BYTES);
}
END_TEST

static void check_print(double value, const char *python, const char *es) {
    char text[FLK_NUMBER_BYTES];
    ck_assert_uint_eq(flk_number_print(value, FLK_PRINT_PYTHON, text), strlen(python));
    ck_assert_str_eq(text, python);
    ck_assert_uint_eq(flk_number_print(value, FLK_PRINT_ES, text), strlen(es));
    ck_assert_str_eq(text, es);
}

/* Numbers are printed as Python and ECMAScript print them, at every change of layout. */
START_TEST(test_canonical_number_layout) {
    check_print(0.0, "0.0", "0");
    check_print(-0.0, "-0.0", "0");
    check_print(1, "1.0", "1");
    check_print(-1.5, "-1.5", "-1.5");
    check_print(100, "100.0", "100");
    check_print(0.1, "0.1", "0.1");
    check_print(0.0001, "0.0001", "0.0001");
    check_print(0.00001, "1e-05", "0.00001");
    check_print(0.000001, "1e-06", "0.000001");
    check_print(0.0000012, "1.2e-06", "0.0000012");
    check_print(0.0000001, "1e-07", "1e-7");
    check_print(1e-9, "1e-09", "1e-9");
    check_print(999999.999999999, "999999.999999999", "999999.999999999");
    check_print(1000000, "1000000.0", "1000000");
    check_print(1234567.123456789, "1234567.123456789", "1234567.123456789");
    check_print(1e15, "1000000000000000.0", "1000000000000000");
    check_print(9007199254740993.0, "9007199254740992.0", "9007199254740992");
    check_print(1e16, "1e+16", "10000000000000000");
    check_print(123456789012345680000.0, "1.2345678901234568e+20", "123456789012345680000");
    check_print(1e21, "1e+21", "1e+21");
    check_print(1e22, "1e+22", "1e+22");
    check_print(1e100, "1e+100", "1e+100");
    check_print(1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e+308");
    check_print(2.2250738585072014e-308, "2.2250738585072014e-308", "2.2250738585072014e-308");
    check_print(5e-324, "5e-324", "5e-324");
    check_print(1.0 / 3, "0.3333333333333333", "0.3333333333333333");
    check_print(0x1p-1017, "7.120236347223045e-307", "7.120236347223045e-307"); /* the closest 16 digits miss */
    check_print(0x1p-44, "5.684341886080802e-14", "5.684341886080802e-14");
}
END_TEST

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Any double: all bit patterns, or near 9 decimals, or exactly half-way between two. */
static double any_double(uint64_t *state) {
    uint64_t bits = next_random(state);
    double value;
    switch (next_random(state) % 5) {
    case 0:
        memcpy(&value, &bits, sizeof value);
        return isfinite(value) ? value : 1;
    case 1:
        return (double)(int64_t)bits / 1e18;
    case 2:
        return (double)(bits % 10000000000u) / 1e9;
    case 3: /* k / 2^m: ties when m > 9 */
        return ldexp((double)(bits % 100000000u), -(int)(bits >> 58));
    default:
        return ldexp((double)(int64_t)bits, -(int)(next_random(state) % 128));
    }
}

/* Rounding equals printing with 9 decimals and reading back, both exact in glibc, for a million doubles. */
START_TEST(test_canonical_round9_equals_glibc) {
    uint64_t seed = 20260102, state = seed;
    for (int i = 0; i < 1000000; i++) {
        double value = any_double(&state);
        char text[512];
        snprintf(text, sizeof text, "%.9f", value);
        double expected = strtod(text, NULL);
        expected = expected == 0 ? 0.0 : expected;
        double rounded = flk_round9(value);
        ck_assert_msg(bits_of(rounded) == bits_of(expected), "seed %lu: %a -> %a, not %a", seed, value, rounded,
                      expected);
    }
    ck_assert(!signbit(flk_round9(-0.0)));
    ck_assert(!signbit(flk_round9(-4e-10)));
    ck_assert_double_eq(flk_round9(0x1p-10), 0.000976562); /* 0.0009765625: half, to even */
    ck_assert_double_eq(flk_round9(3 * 0x1p-10), 0.002929688);
}
END_TEST

/* Shortest digits by the book: the fewest that read back, and of those the closest. */
static void expected_print(double value, char out[64]) {
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(out, 64, "%.*e", precision - 1, value);
        if (strtod(out, NULL) == value) {
            return;
        }
    }
}

/* A printed number reads back as the same double, and has as few digits as any decimal that does. */
START_TEST(test_canonical_number_round_trips_shortest) {
    uint64_t seed = 20260103, state = seed;
    for (int i = 0; i < 100000; i++) {
        double value = any_double(&state);
        value = i % 2 == 0 ? flk_round9(value) : value;
        if (value == 0) {
            continue;
        }
        char text[FLK_NUMBER_BYTES], book[64], again[64];
        flk_number_print(value, FLK_PRINT_PYTHON, text);
        ck_assert_msg(strtod(text, NULL) == value, "seed %lu: %a printed %s", seed, value, text);
        flk_number_print(value, FLK_PRINT_ES, text);
        ck_assert_msg(strtod(text, NULL) == value, "seed %lu: %a printed %s", seed, value, text);
        expected_print(value, book);
        int digits = (int)(strcspn(book, "e") - strspn(book, "-"));
        digits -= digits > 1; /* the point */
        snprintf(again, sizeof again, "%.*e", digits - 1, strtod(text, NULL));
        ck_assert_msg(strcmp(again, book) == 0, "seed %lu: %a printed %s, not %s", seed, value, text, book);
        int printed_digits = 0, zeros = 0, seen = 0;
        for (const char *at = text; *at != '\0' && *at != 'e'; at++) {
            seen |= *at >= '1' && *at <= '9';
            printed_digits += seen && *at >= '0' && *at <= '9';
            zeros = *at == '0' ? zeros + 1 : *at == '.' ? zeros : 0;
        }
        ck_assert_msg(printed_digits - (seen ? zeros : 0) <= digits, "seed %lu: %a printed %s, not %s", seed, value,
                      text, book);
    }
}
END_TEST

/* A number is read to the nearest double, by the quick way and by glibc's. */
START_TEST(test_canonical_number_read) {
    static const char *const fixed[] = {"0",
                                        "-0.0",
                                        "0.1",
                                        "1e5",
                                        "1E-5",
                                        "5e-324",
                                        "1e400",
                                        "-1e400",
                                        "0.0000000000000000000001",
                                        "9007199254740993.0",
                                        "123456789012345.0",
                                        "999999999999999.9",
                                        "1.7976931348623157e308",
                                        "0.00000000000000000000000000000000000000001",
                                        "179769313486231580793.5"};
    uint64_t seed = 20260105, state = seed;
    for (size_t i = 0; i < 100000 + FLK_COUNT_OF(fixed); i++) {
        char text[64];
        double value = any_double(&state), expected;
        int precision = (int)(i % 18);
        if (i < FLK_COUNT_OF(fixed)) {
            snprintf(text, sizeof text, "%s", fixed[i]);
        } else if (fabs(value) < 1e20 && i % 2 == 0) {
            snprintf(text, sizeof text, "%.*f", precision, value);
        } else {
            snprintf(text, sizeof text, "%.*e", precision, value);
        }
        expected = strtod(text, NULL);
        size_t text_bytes = strlen(text);
        strcat(text, ",");
        double read = flk_number_read(text, text_bytes);
        ck_assert_msg(bits_of(read) == bits_of(expected), "seed %lu: %s read as %a, not %a", seed, text, read,
                      expected);
    }
}
END_TEST

/* A locale with a decimal comma changes neither print nor reading back. */
START_TEST(test_canonical_ignores_locale) {
    static const char *const locales[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "es_ES.UTF-8", "ru_RU.UTF-8"};
    size_t i = 0;
    while (i < FLK_COUNT_OF(locales) && setlocale(LC_ALL, locales[i]) == NULL) {
        i++;
    }
    if (i == FLK_COUNT_OF(locales)) {
        printf("skipped test_canonical_ignores_locale: no locale with a decimal comma is installed\n");
        return;
    }
    ck_assert_double_eq(flk_number_read("0.12345678901234567", 19), 0x1.f9add3746f65fp-4);
    check_print(1.0 / 3, "0.3333333333333333", "0.3333333333333333");
    check_print(1234567.123456789, "1234567.123456789", "1234567.123456789");
    ck_assert_double_eq(flk_round9(0.1234567894), 0.123456789);
    setlocale(LC_ALL, "C");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("canonical");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_canonical_vectors);
    tcase_add_test(tcase, test_canonical_longest);
    tcase_add_test(tcase, test_canonical_number_layout);
    tcase_add_test(tcase, test_canonical_round9_equals_glibc);
    tcase_add_test(tcase, test_canonical_number_round_trips_shortest);
    tcase_add_test(tcase, test_canonical_number_read);
    tcase_add_test(tcase, test_canonical_ignores_locale);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
