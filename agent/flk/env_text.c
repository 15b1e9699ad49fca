/* SPDX-License-Identifier: MIT */
#include "agent/flk/env_text.h"

#include <stdlib.h>
#include <string.h>

#include "common/base.h"

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static const char *skip_blanks(const char *at) {
    while (is_blank(*at)) {
        at++;
    }
    return at;
}

/* Copies the text at `from` without quotes and escapes, and without blanks at its end, up to a newline or, with
 * `blank_ends`, an unquoted blank. Returns where it ended. */
static const char *take_text(const char *from, bool blank_ends, char *to) {
    char quote = '\0', *kept = to; /* blanks from `kept` on may be the end's */
    while (*from != '\0' && (quote != '\0' || (*from != '\n' && !(blank_ends && is_blank(*from))))) {
        if (*from == '\\' && quote != '\'' && from[1] != '\0') {
            if (from[1] != '\n') {
                *to++ = from[1];
                kept = to;
            }
            from += 2;
        } else if (*from == quote || (quote == '\0' && (*from == '"' || *from == '\''))) {
            quote = quote == '\0' ? *from : '\0';
            kept = to;
            from++;
        } else {
            bool blank = quote == '\0' && is_blank(*from);
            *to++ = *from++;
            kept = blank ? kept : to;
        }
    }
    *kept = '\0';
    return from;
}

static void give(char *text, flk_env_text_fn *fn, void *arg) {
    char *equals = strchr(text, '=');
    if (equals != NULL && equals > text) {
        *equals = '\0';
        fn(arg, text, equals + 1);
    }
}

void flk_env_text_words(const char *line, flk_env_text_fn *fn, void *arg) {
    char *word = flk_start_alloc(strlen(line) + 1);
    for (const char *at = skip_blanks(line); *at != '\0' && *at != '\n'; at = skip_blanks(at)) {
        at = take_text(at, true, word);
        give(word, fn, arg);
    }
    free(word);
}

/* NAME and its blanks, up to the '=', go to `name`. Returns where the value begins; NULL: the line is no assignment. */
static const char *take_name(const char *from, char *name) {
    size_t len = strcspn(from, "=\n"), kept = len;
    while (kept > 0 && is_blank(from[kept - 1])) {
        kept--;
    }
    memcpy(name, from, kept);
    name[kept] = '\0';
    return from[len] == '=' && kept > 0 ? skip_blanks(from + len + 1) : NULL;
}

void flk_env_text_lines(const char *text, flk_env_text_fn *fn, void *arg) {
    size_t bytes = strlen(text) + 1;
    char *name = flk_start_alloc(2 * bytes), *value = name + bytes;
    for (const char *at = skip_blanks(text); *at != '\0'; at = skip_blanks(at)) {
        const char *from = *at == '#' || *at == ';' ? NULL : take_name(at, name);
        if (from == NULL) {
            at += strcspn(at, "\n");
        } else {
            at = take_text(from, false, value);
            fn(arg, name, value);
        }
        at += *at == '\n';
    }
    free(name);
}
