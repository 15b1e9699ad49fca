/* SPDX-License-Identifier: MIT */
/* The shape of a number's text tells which printer could have made it, without printing anything:
 *
 *   12             ECMAScript           0.00012    ECMAScript (Python: 0.00012 only down to 0.0001)
 *   12.0           Python               1.2e-05    Python
 *   12.5  0.0012   both                 1.2e-7     ECMAScript
 *
 * All others, such as 1.20, 1.2E-5 and 8.312e-6, are neither's. Only when the shapes of all four have no printer in
 * common are the numbers printed, to be sure. */
#include "common/pcs/print_kind.h"

#include <string.h>

#include "common/number.h"

enum { PYTHON = 1, ES = 2, DIGITS_EXACT = 15 };

static const double *claim_of(const flk_pcs_t *pcs, flk_claim_t claim) {
    const double *const claims[FLK_CLAIMS] = {
        [FLK_CLAIM_D_HAT] = &pcs->d_hat,
        [FLK_CLAIM_BUDGET] = &pcs->budget,
        [FLK_CLAIM_COH_STAR] = &pcs->coh_star,
        [FLK_CLAIM_R] = &pcs->r,
    };
    return claims[claim];
}

static size_t digits_at(const char *at, const char *end) {
    const char *first = at;
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return (size_t)(at - first);
}

/* d.ddde-0N with a negative exponent that the printer writes so. */
static unsigned kind_of_scientific(const char *mantissa, const char *exponent, const char *end) {
    size_t whole = digits_at(mantissa, exponent);
    bool point = mantissa + whole < exponent;
    if (exponent - mantissa > DIGITS_EXACT || whole != 1 || *mantissa == '0' || (point && exponent[-1] == '0') ||
        *exponent != 'e' || exponent[1] != '-') {
        return 0;
    }
    if (end - exponent == 4 && exponent[2] == '0' && exponent[3] >= '5') {
        return PYTHON;
    }
    return end - exponent == 3 && exponent[2] >= '7' ? ES : 0;
}

/* d.ddd: by the zeros behind the point. */
static unsigned kind_of_fraction(const char *whole, size_t whole_digits, const char *fraction, const char *end) {
    size_t zeros = 0, digits = (size_t)(end - fraction);
    while (zeros < digits && fraction[zeros] == '0') {
        zeros++;
    }
    if (zeros == digits) {
        return digits == 1 ? PYTHON : 0;
    }
    if (end[-1] == '0') {
        return 0;
    }
    bool below_one = whole_digits == 1 && *whole == '0';
    return !below_one || zeros <= 3 ? PYTHON | ES : zeros <= 5 ? ES : 0;
}

static unsigned kind_of(const flk_written_t *written) {
    const char *at = written->text, *end = at + written->text_bytes;
    const char *exponent = memchr(at, 'e', written->text_bytes);
    exponent = exponent == NULL ? memchr(at, 'E', written->text_bytes) : exponent;
    bool negative = *at == '-';
    at += negative;
    if (exponent != NULL) {
        return kind_of_scientific(at, exponent, end);
    }
    size_t whole_digits = digits_at(at, end);
    if ((size_t)(end - at) > DIGITS_EXACT) {
        return 0;
    }
    const char *fraction = at + whole_digits + 1;
    bool zero = *at == '0' && (fraction > end || strspn(fraction, "0") >= (size_t)(end - fraction));
    if (negative && zero) {
        return 0;
    }
    return fraction > end ? ES : kind_of_fraction(at, whole_digits, fraction, end);
}

static bool reads_as(const char *text, double claim) {
    return flk_number_read(text, strlen(text)) == flk_round9(claim);
}

/* The same by printing, for texts whose shape tells nothing: 17 digits, large exponents, -0.0. */
static unsigned exact_kind_of(const flk_written_t *written, double claim) {
    unsigned kinds = 0;
    for (int i = 0; i < 2; i++) {
        char text[FLK_NUMBER_BYTES];
        size_t bytes = flk_number_print(claim, i == 0 ? FLK_PRINT_PYTHON : FLK_PRINT_ES, text);
        bool same = bytes == written->text_bytes && memcmp(text, written->text, bytes) == 0;
        kinds |= same ? (i == 0 ? PYTHON : ES) : 0;
    }
    return kinds;
}

void flk_prints_keep(flk_pcs_t *pcs, const flk_written_t written[FLK_CLAIMS]) {
    unsigned kinds = PYTHON | ES, exact = PYTHON | ES;
    for (int i = 0; i < FLK_CLAIMS; i++) {
        if (written[i].text_bytes == 0 || written[i].text_bytes > FLK_PCS_PRINT_MAX) {
            return;
        }
        kinds &= kind_of(&written[i]);
    }
    for (int i = 0; kinds == 0 && i < FLK_CLAIMS; i++) {
        exact &= exact_kind_of(&written[i], *claim_of(pcs, (flk_claim_t)i));
    }
    if (kinds != 0 || exact != 0) {
        return;
    }
    pcs->has_prints = true;
    for (int i = 0; i < FLK_CLAIMS; i++) {
        memcpy(pcs->prints[i], written[i].text, written[i].text_bytes);
        pcs->prints[i][written[i].text_bytes] = '\0';
        pcs->has_prints &= reads_as(pcs->prints[i], *claim_of(pcs, (flk_claim_t)i));
    }
    if (!pcs->has_prints) {
        memset(pcs->prints, 0, sizeof pcs->prints);
    }
}

bool flk_prints_agree(const flk_pcs_t *pcs, flk_claim_t *wrong) {
    for (int i = 0; i < FLK_CLAIMS; i++) {
        if (pcs->prints[i][0] != '\0' && !reads_as(pcs->prints[i], *claim_of(pcs, (flk_claim_t)i))) {
            *wrong = (flk_claim_t)i;
            return false;
        }
    }
    return true;
}
