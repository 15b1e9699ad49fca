/* SPDX-License-Identifier: MIT */
/* JSON text -> events of the PCS reader, by yajl: one pass, no tree.
 *
 * 1. Three bytes are looked for that yajl is lax about: form feed and vertical tab, which it takes for white space, and
 *    backslash: escapes of half a surrogate pair would become a question mark.
 * 2. yajl parses and calls back; each call is one event. The reader has all further rules: duplicate keys, UTF-8,
 *    depth, number of values. yajl keeps its state on the heap and does not recurse.
 * 3. When the root map ends, yajl is stopped: behind it only white space may stand, and yajl would take the beginning
 *    of a string for that.
 *
 * Failures: yajl's message quotes the text, so it is never shown; a scan up to where yajl stopped finds the member that
 * the fault is in. yajl does not check its allocations, so it gets all it can need in one piece beforehand. */
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "common/pcs/canonical.h"

/* ---- yajl's memory ---- */

/* A handle, a lexer and a stack of states take less than SMALL_BYTES. Beside them yajl has two buffers, one for a
 * string with escapes and one for a token that the body ends in; each doubles from 2 KiB until it is larger than its
 * contents. Only the newest allocation ever grows. */
enum { SMALL_BYTES = 4096, BUFFER_BYTES_MIN = 2048 };

typedef struct arena {
    size_t used, room;
    uint8_t *newest;
    _Alignas(max_align_t) uint8_t bytes[];
} arena_t;

static arena_t *arena_new(size_t body_bytes) {
    size_t room = SMALL_BYTES + 2 * (2 * body_bytes + 2 * BUFFER_BYTES_MIN);
    arena_t *arena = malloc(sizeof *arena + room);
    if (arena != NULL) {
        *arena = (arena_t){.room = room};
    }
    return arena;
}

static void *arena_malloc(void *context, size_t bytes) {
    arena_t *arena = context;
    size_t rounded = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    FLK_ASSERT(rounded >= bytes && rounded <= arena->room - arena->used);
    arena->newest = arena->bytes + arena->used;
    arena->used += rounded;
    return arena->newest;
}

static void *arena_realloc(void *context, void *memory, size_t bytes) {
    arena_t *arena = context;
    if (memory == NULL) {
        return arena_malloc(arena, bytes);
    }
    FLK_ASSERT(memory == arena->newest);
    arena->used = (size_t)(arena->newest - arena->bytes);
    return arena_malloc(arena, bytes);
}

static void arena_free(void *context, void *memory) {
    (void)context;
    (void)memory; /* all of it goes at the end */
}

/* ---- faults ---- */

/* A member of the root map; key NULL: none. */
typedef struct member {
    const char *key;
    size_t key_bytes;
} member_t;

/* The closing quote of the string that opens at `at`, or `end`. */
static const char *string_end(const char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\' && end - at > 1) {
            at++;
        }
    }
    return at;
}

/* The member that the end of a text stands in, which need not be valid JSON. */
static member_t member_at_end(const char *text, size_t text_bytes) {
    member_t member = {0};
    const char *end = text + text_bytes;
    size_t depth = 0;
    bool key_next = false;
    for (const char *at = text; at < end; at++) {
        switch (*at) {
        case '"': {
            const char *close = string_end(at, end);
            if (key_next && depth == 1) {
                member = (member_t){at + 1, (size_t)(close - at - 1)};
                key_next = false;
            }
            at = close;
            break;
        }
        case '{':
        case '[':
            depth++;
            key_next = depth == 1 && *at == '{';
            break;
        case '}':
        case ']':
            depth -= depth > 0;
            if (depth == 0) {
                member.key = NULL;
            }
            break;
        case ',':
            if (depth == 1) {
                member.key = NULL;
                key_next = true;
            }
            break;
        default:
            break;
        }
    }
    return member;
}

static flk_err_t refuse_body(flk_pcs_fault_t *fault, flk_err_t err, const char *reason) {
    *fault = (flk_pcs_fault_t){0};
    snprintf(fault->reason, sizeof fault->reason, "%s", reason);
    return err;
}

/* Lays the fault at the member that `at` is in, when it is one that the schema knows. */
static flk_err_t refuse_at(flk_pcs_fault_t *fault, const char *body, size_t at, const char *reason) {
    member_t member = member_at_end(body, at);
    flk_err_t err = refuse_body(fault, FLK_E_INVALID, reason);
    snprintf(fault->field, sizeof fault->field, "%s",
             member.key == NULL ? "" : flk_pcs_member_name(member.key, member.key_bytes));
    return err;
}

/* Lines and their bytes count from 1; `at` is how much was read. */
static flk_err_t refuse_text(flk_pcs_fault_t *fault, const char *body, size_t at) {
    char reason[sizeof fault->reason];
    size_t line = 1, start = 0;
    for (size_t i = 0; i < at; i++) {
        if (body[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    snprintf(reason, sizeof reason, "the body is not valid JSON at line %zu, column %zu", line, at - start);
    return refuse_at(fault, body, at, reason);
}

/* ---- where yajl is lax ---- */

static bool read_hex(const char *at, const char *end, unsigned *code) {
    *code = 0;
    for (int i = 0; i < 4; i++, at++) {
        if (at == end || !isxdigit((unsigned char)*at)) {
            return false;
        }
        *code = *code * 16 + (unsigned)(*at <= '9' ? *at - '0' : (*at | 0x20) - 'a' + 10);
    }
    return true;
}

/* The first escape of half a surrogate pair; NULL when there is none. Escapes that are no escapes are left to yajl. */
static const char *find_half_pair(const char *body, const char *end) {
    unsigned high, low;
    const char *at = body;
    while ((at = memchr(at, '\\', (size_t)(end - at))) != NULL) {
        if (end - at < 2 || at[1] != 'u' || !read_hex(at + 2, end, &high)) {
            at += end - at < 2 ? 1 : 2;
            continue;
        }
        if (high >= 0xD800 && high <= 0xDFFF) {
            bool paired = high < 0xDC00 && end - at >= 12 && at[6] == '\\' && at[7] == 'u' &&
                          read_hex(at + 8, end, &low) && low >= 0xDC00 && low <= 0xDFFF;
            if (!paired) {
                return at;
            }
            at += 6;
        }
        at += 6;
    }
    return NULL;
}

static flk_err_t check_text(const char *body, size_t body_bytes, flk_pcs_fault_t *fault) {
    static const char not_white[] = "\f\v";
    for (const char *c = not_white; *c != '\0'; c++) {
        const char *at = memchr(body, *c, body_bytes);
        if (at != NULL) {
            return refuse_text(fault, body, (size_t)(at - body) + 1);
        }
    }
    const char *half = find_half_pair(body, body + body_bytes);
    return half == NULL ? FLK_OK : refuse_at(fault, body, (size_t)(half - body), FLK_PCS_WHY_UTF8);
}

/* ---- events ---- */

typedef struct source {
    flk_pcs_reader_t *reader;
    yajl_handle yajl;
    unsigned depth;
    size_t root_end; /* 0: not yet */
} source_t;

/* The results of yajl's callbacks: whether to go on. */
static int feed(const source_t *source, flk_pcs_event_t event, const flk_pcs_value_t *value) {
    return flk_pcs_reader_event(source->reader, event, value) == FLK_OK;
}

static int on_null(void *arg) {
    return feed(arg, FLK_PCS_NULL, NULL);
}

static int on_boolean(void *arg, int value) {
    return feed(arg, FLK_PCS_BOOL, &(flk_pcs_value_t){.boolean = value != 0});
}

/* False when it does not fit. The text has digits, and a sign at most. */
static bool read_integer(const char *text, size_t text_bytes, int64_t *value) {
    bool negative = *text == '-';
    *value = 0;
    for (size_t i = negative; i < text_bytes; i++) {
        int digit = text[i] - '0';
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, negative ? -digit : digit, value)) {
            return false;
        }
    }
    return true;
}

/* The whole body is one chunk, so behind the number stands the byte that ended it. */
static int on_number(void *arg, const char *text, size_t text_bytes) {
    flk_pcs_value_t value = {.text = text, .text_bytes = text_bytes};
    for (size_t i = 0; i < text_bytes; i++) {
        if (text[i] == '.' || text[i] == 'e' || text[i] == 'E') {
            value.real = flk_number_read(text, text_bytes);
            return feed(arg, FLK_PCS_REAL, &value);
        }
    }
    if (read_integer(text, text_bytes, &value.integer)) {
        return feed(arg, FLK_PCS_INTEGER, &value);
    }
    value.real = flk_number_read(text, text_bytes);
    return feed(arg, FLK_PCS_REAL, &value);
}

static int on_text(source_t *source, flk_pcs_event_t event, const unsigned char *text, size_t text_bytes) {
    return feed(source, event, &(flk_pcs_value_t){.text = (const char *)text, .text_bytes = text_bytes});
}

static int on_string(void *arg, const unsigned char *text, size_t text_bytes) {
    return on_text(arg, FLK_PCS_STRING, text, text_bytes);
}

static int on_key(void *arg, const unsigned char *text, size_t text_bytes) {
    return on_text(arg, FLK_PCS_KEY, text, text_bytes);
}

static int on_open(source_t *source, flk_pcs_event_t event) {
    source->depth++;
    return feed(source, event, NULL);
}

static int on_close(source_t *source, flk_pcs_event_t event) {
    if (--source->depth > 0) {
        return feed(source, event, NULL);
    }
    source->root_end = yajl_get_bytes_consumed(source->yajl);
    (void)feed(source, event, NULL);
    return 0;
}

static int on_map(void *arg) {
    return on_open(arg, FLK_PCS_MAP);
}

static int on_map_end(void *arg) {
    return on_close(arg, FLK_PCS_MAP_END);
}

static int on_array(void *arg) {
    return on_open(arg, FLK_PCS_ARRAY);
}

static int on_array_end(void *arg) {
    return on_close(arg, FLK_PCS_ARRAY_END);
}

/* ---- one body ---- */

static bool is_white(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) {
        at++;
    }
    return at == end;
}

/* The reader has begun. On error its PCS may or may not be finished. */
static flk_err_t parse(source_t *source, arena_t *arena, const char *body, size_t body_bytes, flk_pcs_fault_t *fault) {
    static const yajl_callbacks callbacks = {
        .yajl_null = on_null,
        .yajl_boolean = on_boolean,
        .yajl_number = on_number,
        .yajl_string = on_string,
        .yajl_start_map = on_map,
        .yajl_map_key = on_key,
        .yajl_end_map = on_map_end,
        .yajl_start_array = on_array,
        .yajl_end_array = on_array_end,
    };
    yajl_alloc_funcs memory = {arena_malloc, arena_realloc, arena_free, arena};
    source->yajl = yajl_alloc(&callbacks, &memory, source);
    yajl_config(source->yajl, yajl_dont_validate_strings, 1); /* the reader does, and stricter */
    yajl_status status = yajl_parse(source->yajl, (const unsigned char *)body, body_bytes);
    if (status == yajl_status_error) {
        return refuse_text(fault, body, yajl_get_bytes_consumed(source->yajl));
    }
    if (status == yajl_status_ok) { /* it waits for more: of a number, for one */
        (void)yajl_complete_parse(source->yajl);
    } else if (source->root_end > 0 && !is_white(body + source->root_end, body + body_bytes)) {
        return refuse_body(fault, FLK_E_INVALID, FLK_PCS_WHY_TRAILING);
    }
    return flk_pcs_reader_finish(source->reader); /* its first fault, when that ended the parse */
}

flk_err_t flk_pcs_from_json(const char *body, size_t body_bytes, flk_pcs_t *pcs, flk_pcs_fault_t *fault) {
    if (body_bytes > FLK_PCS_BODY_BYTES_MAX) {
        flk_err_t err = refuse_body(fault, FLK_E_TOO_LARGE, "");
        snprintf(fault->reason, sizeof fault->reason, FLK_PCS_WHY_BODY, FLK_PCS_BODY_BYTES_MAX);
        return err;
    }
    flk_err_t err = check_text(body, body_bytes, fault);
    if (err != FLK_OK) {
        return err;
    }
    arena_t *arena = arena_new(body_bytes);
    source_t source = {.reader = flk_pcs_reader_new()};
    if (arena == NULL || source.reader == NULL) {
        err = refuse_body(fault, FLK_E_NOMEM, "out of memory");
    } else {
        flk_pcs_reader_begin(source.reader, pcs, fault);
        err = parse(&source, arena, body, body_bytes, fault);
        if (err != FLK_OK) {
            flk_pcs_fini(pcs);
        }
    }
    flk_pcs_reader_destroy(&source.reader);
    free(arena);
    return err;
}
