/* SPDX-License-Identifier: MIT */
#include "agent/send/causes.h"

#include <string.h>

static size_t kind_bytes(const char *text, size_t text_bytes) {
    static const char end[] = " (try";
    size_t bytes = 0;
    while (bytes < text_bytes && bytes < FLK_CAUSE_BYTES - 1 && text[bytes] >= ' ' && text[bytes] <= '~' &&
           text[bytes] != ';' &&
           (text_bytes - bytes < sizeof end - 1 || memcmp(text + bytes, end, sizeof end - 1) != 0)) {
        bytes++;
    }
    return bytes;
}

void flk_causes_add(flk_causes_t *causes, const char *text, size_t text_bytes) {
    size_t bytes = kind_bytes(text, text_bytes), i = 0;
    for (; i < FLK_CAUSES_MAX; i++) {
        char *kind = causes->text[i];
        if (causes->count[i] == 0) {
            memcpy(kind, text, bytes);
            kind[bytes] = '\0';
        }
        if (strlen(kind) == bytes && memcmp(kind, text, bytes) == 0) {
            break;
        }
    }
    causes->count[i]++;
}

static const char *kind_name(const flk_causes_t *causes, size_t i) {
    return i < FLK_CAUSES_MAX ? causes->text[i] : "other";
}

void flk_quoted_print(const char *text, FILE *out) {
    putc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            putc('\\', out);
        }
        putc(*text, out);
    }
    putc('"', out);
}

void flk_causes_print_json(const flk_causes_t *causes, FILE *out) {
    const char *comma = "";
    putc('{', out);
    for (size_t i = 0; i <= FLK_CAUSES_MAX; i++) {
        if (causes->count[i] > 0) {
            fputs(comma, out);
            flk_quoted_print(kind_name(causes, i), out);
            fprintf(out, ":%llu", (unsigned long long)causes->count[i]);
            comma = ",";
        }
    }
    putc('}', out);
}

void flk_causes_print(const flk_causes_t *causes, const char *first, const char *before, const char *between,
                      FILE *out) {
    const char *opening = first;
    for (size_t i = 0; i <= FLK_CAUSES_MAX; i++) {
        if (causes->count[i] > 0) {
            fprintf(out, "%s%llu%s%s", opening, (unsigned long long)causes->count[i], between, kind_name(causes, i));
            opening = before;
        }
    }
}
