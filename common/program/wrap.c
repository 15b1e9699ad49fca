/* SPDX-License-Identifier: MIT */
#include "common/program/wrap.h"

#include <string.h>

enum { COLUMNS = 80 };

void flk_print_wrapped(FILE *out, size_t column, const char *text) {
    size_t at = column;
    for (const char *word = text; *word != '\0';) {
        size_t bytes = strcspn(word, " ");
        bool first = at == column;
        if (!first && at + 1 + bytes > COLUMNS) {
            fprintf(out, "\n%*s", (int)column, "");
            at = column;
            first = true;
        }
        fprintf(out, "%s%.*s", first ? "" : " ", (int)bytes, word);
        at += bytes + !first;
        word += bytes + strspn(word + bytes, " ");
    }
    fputc('\n', out);
}
