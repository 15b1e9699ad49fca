/* SPDX-License-Identifier: MIT */
/* JSON text -> events of the PCS reader, by jansson.
 *
 * 1. A quick scan counts brackets and commas outside strings: jansson builds a tree and recurses, so depth and number
 *    of values must be bounded before it starts.
 * 2. jansson parses (RFC 8259; UTF-8 only, no duplicate keys, no U+0000, no bytes after the text).
 * 3. The tree is walked in the order of the text; the reader has all further rules.
 *
 * What goes wrong: jansson's message quotes the text, so it is never shown. Its code becomes the reader's words, and the
 * scan, run again up to the place of the fault, finds the member that the fault is in. jansson reports some failed
 * allocations as wrong syntax, which would make a permanent 400 of a passing shortage: an allocator that remembers
 * failures tells the two apart. */
#include "common/pcs.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- out of memory in jansson ---- */

static _Thread_local bool allocation_failed;
static json_malloc_t inner_malloc;

static void *remembering_malloc(size_t bytes) {
    void *memory = inner_malloc(bytes);
    if (memory == NULL) {
        allocation_failed = true;
    }
    return memory;
}

/* Keeps the free function, so trees made before are freed as they were allocated. */
static void watch_allocations(void) {
    json_free_t inner_free;
    json_get_alloc_funcs(&inner_malloc, &inner_free);
    json_set_alloc_funcs(remembering_malloc, inner_free);
}

/* ---- the scan ---- */

/* What lies before some place of a text that need not be valid JSON. */
typedef struct scan {
    size_t depth, values; /* values: an upper bound, at most twice their number plus one */
    const char *key;      /* of the root map's member that the place is in; NULL when in none */
    size_t key_bytes;
} scan_t;

/* The closing quote of the string that opens at `at`, or `end`. */
static const char *string_end(const char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\' && end - at > 1) {
            at++;
        }
    }
    return at;
}

static bool is_over_bounds(const scan_t *scan) {
    return scan->depth > FLK_PCS_DEPTH_MAX || scan->values > 2 * FLK_PCS_VALUES_MAX + 1;
}

/* Stops where a bound is passed. */
static scan_t scan_text(const char *text, size_t text_bytes) {
    scan_t scan = {.values = 1};
    const char *end = text + text_bytes;
    bool key_next = false;
    for (const char *at = text; at < end && !is_over_bounds(&scan); at++) {
        switch (*at) {
        case '"': {
            const char *close = string_end(at, end);
            if (key_next && scan.depth == 1) {
                scan.key = at + 1;
                scan.key_bytes = (size_t)(close - at - 1);
                key_next = false;
            }
            at = close;
            break;
        }
        case '{':
        case '[':
            scan.values++;
            scan.depth++;
            key_next = scan.depth == 1 && *at == '{';
            break;
        case '}':
        case ']':
            scan.depth -= scan.depth > 0;
            break;
        case ',':
            scan.values++;
            if (scan.depth == 1) {
                scan.key = NULL;
                key_next = true;
            }
            break;
        default:
            break;
        }
    }
    return scan;
}

/* ---- faults ---- */

/* Names the member that the scan ended in, when it is one that the schema knows. */
static void set_field(flk_pcs_fault_t *fault, const scan_t *scan) {
    const char *name = scan->key == NULL ? "" : flk_pcs_member_name(scan->key, scan->key_bytes);
    snprintf(fault->field, sizeof fault->field, "%s", name);
}

static flk_err_t no_memory(flk_pcs_fault_t *fault) {
    *fault = (flk_pcs_fault_t){.reason = "out of memory"};
    return FLK_E_NOMEM;
}

static flk_err_t report(const json_error_t *error, const char *body, size_t body_bytes, flk_pcs_fault_t *fault) {
    fault->field[0] = '\0';
    enum json_error_code code = json_error_code(error);
    if (code == json_error_end_of_input_expected) {
        snprintf(fault->reason, sizeof fault->reason, FLK_PCS_WHY_TRAILING);
        return FLK_E_INVALID;
    }
    if (code == json_error_premature_end_of_input) {
        snprintf(fault->reason, sizeof fault->reason, FLK_PCS_WHY_SHORT);
        return FLK_E_INVALID;
    }
    size_t position = error->position < 0 ? 0 : (size_t)error->position;
    scan_t scan = scan_text(body, position < body_bytes ? position : body_bytes);
    set_field(fault, &scan);
    switch (code) {
    case json_error_invalid_utf8:
    case json_error_null_character:
    case json_error_null_byte_in_key:
        snprintf(fault->reason, sizeof fault->reason, FLK_PCS_WHY_UTF8);
        break;
    case json_error_duplicate_key:
        snprintf(fault->reason, sizeof fault->reason, FLK_PCS_WHY_TWICE);
        break;
    case json_error_numeric_overflow:
        snprintf(fault->reason, sizeof fault->reason, FLK_PCS_WHY_RANGE);
        break;
    default:
        snprintf(fault->reason, sizeof fault->reason, "the body is not valid JSON at line %d, column %d", error->line,
                 error->column);
        break;
    }
    return FLK_E_INVALID;
}

/* ---- the walk ---- */

static flk_err_t send_text(flk_pcs_reader_t *reader, flk_pcs_event_t event, const char *text, size_t text_bytes) {
    return flk_pcs_reader_event(reader, event, &(flk_pcs_value_t){.text = text, .text_bytes = text_bytes});
}

static flk_err_t walk(flk_pcs_reader_t *reader, json_t *node);

static flk_err_t walk_object(flk_pcs_reader_t *reader, json_t *object) {
    flk_err_t err = flk_pcs_reader_event(reader, FLK_PCS_MAP, NULL);
    for (void *at = json_object_iter(object); at != NULL && err == FLK_OK; at = json_object_iter_next(object, at)) {
        err = send_text(reader, FLK_PCS_KEY, json_object_iter_key(at), json_object_iter_key_len(at));
        if (err == FLK_OK) {
            err = walk(reader, json_object_iter_value(at));
        }
    }
    return err != FLK_OK ? err : flk_pcs_reader_event(reader, FLK_PCS_MAP_END, NULL);
}

static flk_err_t walk_array(flk_pcs_reader_t *reader, json_t *array) {
    flk_err_t err = flk_pcs_reader_event(reader, FLK_PCS_ARRAY, NULL);
    for (size_t i = 0; i < json_array_size(array) && err == FLK_OK; i++) {
        err = walk(reader, json_array_get(array, i));
    }
    return err != FLK_OK ? err : flk_pcs_reader_event(reader, FLK_PCS_ARRAY_END, NULL);
}

/* Recursion ends with the reader's error on depth, if not with the tree. */
static flk_err_t walk(flk_pcs_reader_t *reader, json_t *node) {
    switch (json_typeof(node)) {
    case JSON_OBJECT:
        return walk_object(reader, node);
    case JSON_ARRAY:
        return walk_array(reader, node);
    case JSON_STRING:
        return send_text(reader, FLK_PCS_STRING, json_string_value(node), json_string_length(node));
    case JSON_INTEGER:
        return flk_pcs_reader_event(reader, FLK_PCS_INTEGER, &(flk_pcs_value_t){.integer = json_integer_value(node)});
    case JSON_REAL:
        return flk_pcs_reader_event(reader, FLK_PCS_REAL, &(flk_pcs_value_t){.real = json_real_value(node)});
    case JSON_TRUE:
    case JSON_FALSE:
        return flk_pcs_reader_event(reader, FLK_PCS_BOOL, &(flk_pcs_value_t){.boolean = json_is_true(node)});
    case JSON_NULL:
        break;
    }
    return flk_pcs_reader_event(reader, FLK_PCS_NULL, NULL);
}

static flk_err_t check_bounds(const char *body, size_t body_bytes, flk_pcs_fault_t *fault) {
    *fault = (flk_pcs_fault_t){0};
    if (body_bytes > FLK_PCS_BODY_BYTES_MAX) {
        snprintf(fault->reason, sizeof fault->reason, FLK_PCS_WHY_BODY, FLK_PCS_BODY_BYTES_MAX);
        return FLK_E_TOO_LARGE;
    }
    scan_t scan = scan_text(body, body_bytes);
    if (is_over_bounds(&scan)) {
        set_field(fault, &scan);
        if (scan.depth > FLK_PCS_DEPTH_MAX) {
            snprintf(fault->reason, sizeof fault->reason, FLK_PCS_WHY_DEPTH, FLK_PCS_DEPTH_MAX);
        } else {
            snprintf(fault->reason, sizeof fault->reason, FLK_PCS_WHY_VALUES, FLK_PCS_VALUES_MAX);
        }
        return FLK_E_INVALID;
    }
    return FLK_OK;
}

flk_err_t flk_pcs_from_json(const char *body, size_t body_bytes, flk_pcs_t *pcs, flk_pcs_fault_t *fault) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_allocations);
    flk_err_t err = check_bounds(body, body_bytes, fault);
    if (err != FLK_OK) {
        return err;
    }
    allocation_failed = false;
    json_error_t error;
    json_t *tree = json_loadb(body, body_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (tree == NULL) {
        return allocation_failed ? no_memory(fault) : report(&error, body, body_bytes, fault);
    }
    flk_pcs_reader_t *reader = flk_pcs_reader_new();
    if (reader == NULL) {
        json_decref(tree);
        return no_memory(fault);
    }
    flk_pcs_reader_begin(reader, pcs, fault);
    err = walk(reader, tree);
    if (err == FLK_OK) {
        err = flk_pcs_reader_finish(reader);
    }
    flk_pcs_reader_destroy(&reader);
    json_decref(tree);
    return err;
}
