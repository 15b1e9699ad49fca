/* SPDX-License-Identifier: MIT */
/* The problem body: {"field": text, "detail": text}. Members that a later version adds are passed over. */
#include "proto/body.h"

#include <string.h>

#include "proto/msgpack.h"

/* Printable ASCII that ends within its place, as flk_mp_text takes it. */
static bool is_text(const char *text, size_t text_bytes) {
    size_t len = strnlen(text, text_bytes);
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e) {
            return false;
        }
    }
    return len < text_bytes;
}

size_t flk_problem_encode(const flk_problem_t *problem, uint8_t out[FLK_PROBLEM_BYTES]) {
    if (!is_text(problem->field, sizeof problem->field) || !is_text(problem->detail, sizeof problem->detail)) {
        return 0;
    }
    flk_mp_buffer_t buffer = {.at = out, .end = out + FLK_PROBLEM_BYTES};
    msgpack_packer packer;
    msgpack_packer_init(&packer, &buffer, flk_mp_write);
    msgpack_pack_map(&packer, 2);
    flk_mp_put_text(&packer, "field");
    flk_mp_put_text(&packer, problem->field);
    flk_mp_put_text(&packer, "detail");
    flk_mp_put_text(&packer, problem->detail);
    return (size_t)(buffer.at - out);
}

flk_err_t flk_problem_decode(const void *data, size_t data_bytes, flk_problem_t *problem, char *errmsg) {
    memset(problem, 0, sizeof *problem);
    flk_mp_cursor_t cursor;
    flk_mp_open(&cursor, data, data_bytes);
    uint32_t pairs = flk_mp_map(&cursor);
    bool has_detail = false;
    for (uint32_t i = 0; i < pairs && cursor.error == NULL; i++) {
        char key[FLK_MP_KEY_BYTES];
        flk_mp_text(&cursor, key, sizeof key);
        if (strcmp(key, "field") == 0) {
            flk_mp_text(&cursor, problem->field, sizeof problem->field);
        } else if (strcmp(key, "detail") == 0) {
            flk_mp_text(&cursor, problem->detail, sizeof problem->detail);
            has_detail = true;
        } else {
            flk_mp_skip(&cursor);
        }
    }
    if (!flk_mp_done(&cursor) || !has_detail) {
        flk_errmsg(errmsg, "problem is malformed: %s", cursor.error != NULL ? cursor.error : "no detail");
        return FLK_E_INVALID;
    }
    return FLK_OK;
}
