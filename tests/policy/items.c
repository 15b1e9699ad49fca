/* SPDX-License-Identifier: MIT */
/* Policies from standard input, each with its length (4 bytes, big-endian) before it; a line each on standard output:
 * the items of its text, or "refused". */
#include <stdio.h>

#include "common/bytes.h"
#include "common/number.h"
#include "common/pcs/policy/source.h"

static void print_text(const char *text, FILE *out) {
    fprintf(out, ",\"%s\"", text); /* of characters that need no escape */
}

static void print_number(double value, FILE *out) {
    char text[FLK_NUMBER_BYTES];
    flk_number_print(value, FLK_PRINT_ES, text);
    fprintf(out, ",%s", text);
}

static void print_item(const flk_policy_item_t *item, FILE *out) {
    static const char *const kinds[FLK_ITEM_KINDS] = {
#define KIND(id, name) [id] = name,
        FLK_ITEMS(KIND)
#undef KIND
    };
    fprintf(out, "[\"%s\"", kinds[item->kind]);
    switch (item->kind) {
    case FLK_ITEM_POLICY:
    case FLK_ITEM_ESCALATE:
    case FLK_ITEM_SHARD:
        print_text(item->text, out);
        break;
    case FLK_ITEM_MEDIAN:
        print_text(item->code == FLK_MEDIAN_UPPER ? "upper" : "mean", out);
        break;
    case FLK_ITEM_TOLERANCE:
    case FLK_ITEM_WEIGHT:
        print_text(flk_term_name(item->code), out);
        print_number(item->number, out);
        if (item->code == FLK_TERM_beta) {
            print_number(item->second, out);
        }
        break;
    case FLK_ITEM_STICKY:
        print_number(item->number, out);
        print_number(item->second, out);
        break;
    case FLK_ITEM_NON_STICKY:
        print_number(item->number, out);
        break;
    case FLK_ITEM_KEEP:
        print_number(item->number, out);
        print_number(item->code, out);
        break;
    case FLK_ITEM_CONDITION:
        print_number(item->alternative, out);
        print_text(flk_signal_name((flk_signal_t)item->signal), out);
        print_text(flk_compare_name((flk_compare_t)item->code), out);
        print_number(item->number, out);
        break;
    case FLK_ITEM_MIXED:
    case FLK_ITEM_BUDGET:
    case FLK_ITEM_END:
    case FLK_ITEM_KINDS:
        break;
    }
    fputs("]", out);
}

static void print_source(const flk_policy_source_t *source, FILE *out) {
    fputs("[", out);
    for (size_t i = 0; i < source->items_len; i++) {
        fputs(i > 0 ? "," : "", out);
        print_item(&source->items[i], out);
    }
    fputs("]\n", out);
}

int main(void) {
    static char text[FLK_POLICY_TEXT_BYTES_MAX];
    static flk_policy_source_t source;
    char errmsg[FLK_ERRMSG_BYTES];
    uint8_t length[4];
    while (fread(length, 1, sizeof length, stdin) == sizeof length) {
        const size_t bytes = flk_get_be32(length);
        if (bytes > sizeof text || fread(text, 1, bytes, stdin) != bytes) {
            return 1;
        }
        if (flk_policy_parse(text, bytes, &source, errmsg) == FLK_OK) {
            print_source(&source, stdout);
        } else {
            puts("refused");
        }
    }
    return 0;
}
