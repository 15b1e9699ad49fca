/* SPDX-License-Identifier: MIT */
#include "common/pcs/policy/scan_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/escape.h"
#include "common/number.h"

void *flk_scan_alloc(flk_scan_t *scan, size_t bytes) {
    const size_t whole = (bytes + 15) / 16 * 16;
    FLK_ASSERT(whole <= sizeof scan->arena - scan->arena_used);
    void *memory = scan->arena + scan->arena_used;
    scan->arena_used += whole;
    return memory;
}

void flk_scan_fatal(const char *text) {
    FLK_ASSERT(text == NULL);
    abort();
}

double flk_scan_number(flk_scan_t *scan, const char *text, size_t text_bytes) {
    char digits[FLK_SCAN_DIGITS_MAX + 2] = "";
    if (text_bytes > FLK_SCAN_DIGITS_MAX) {
        scan->too_long = (flk_place_t){scan->line, scan->column - (int)text_bytes};
        return 0;
    }
    memcpy(digits, text, text_bytes);
    return flk_number_read(digits, text_bytes);
}

void flk_scan_text(flk_scan_t *scan, const char *text, size_t text_bytes, char out[FLK_ITEM_TEXT_BYTES]) {
    (void)scan;
    size_t bytes = text_bytes - 2;
    bytes = bytes < FLK_ITEM_TEXT_BYTES ? bytes : FLK_ITEM_TEXT_BYTES - 1;
    memset(out, 0, FLK_ITEM_TEXT_BYTES);
    memcpy(out, text + 1, bytes);
}

flk_policy_item_t *flk_scan_item(flk_scan_t *scan, flk_item_kind_t kind, int line, int column) {
    flk_policy_source_t *source = scan->source;
    const flk_place_t place = {line, column};
    if (source->items_len == FLK_SOURCE_ITEMS_MAX) {
        scan->too_long = scan->too_long.line == 0 ? place : scan->too_long;
        source->items_len--; /* the policy is refused anyway */
    }
    flk_policy_item_t *item = &source->items[source->items_len++];
    memset(item, 0, sizeof *item);
    item->kind = kind;
    item->place = place;
    return item;
}

void flk_scan_unexpected(flk_scan_t *scan, flk_place_t place, bool at_end, const char *const *expected,
                         size_t expected_len) {
    char found[FLK_SHOWN_BYTES], token[FLK_SHOWN_BYTES], words[FLK_ERRMSG_BYTES / 2] = "";
    size_t len = scan->token_bytes < sizeof token ? scan->token_bytes : sizeof token - 1;
    memcpy(token, at_end ? "" : scan->token, at_end ? 0 : len);
    token[at_end ? 0 : len] = '\0';
    for (size_t i = 0, used = 0; i < expected_len && used < sizeof words; i++) {
        used += (size_t)snprintf(words + used, sizeof words - used, "%s%s",
                                 i == 0                  ? ""
                                 : i + 1 == expected_len ? " or "
                                                         : ", ",
                                 expected[i]);
    }
    (void)flk_place_fault(place, scan->errmsg, "%s%s%s, expected %s", at_end ? "the end" : "'",
                          at_end ? "" : flk_escape_name(token, found), at_end ? "" : "'", words);
}
