/* SPDX-License-Identifier: MIT */
/* One table says which fields each kind has and in which order; encoder and decoder both walk it, so they cannot
 * disagree. Nothing here allocates; a decoded PING borrows its instances from the bytes it came in. */
#include "proto/frame.h"

#include <string.h>

#include "common/bytes.h"
#include "proto/msgpack.h"

enum field {
    DELIVERY = 1,
    ATTEMPT,
    STATUS,
    FLAGS,
    CREDIT,
    HEARTBEAT_MS,
    RETRY_MS,
    KNOWN,
    NAME,
    INSTANCES,
    KEY,
    CPU_US
};
enum { FIELDS_MAX = 5, FIXED_ELEMENTS = 3 };

/* The wire's contract (PROTOCOL.md, "Kinds"). A new field goes to the end of its row and is optional: peers of before
 * do not send it. A row's order never changes. */
static const struct shape {
    const char *name;
    uint8_t fields[FIELDS_MAX]; /* ended by 0 */
    uint8_t optional;           /* so many of the last ones */
} shapes[] = {
    [FLK_HELLO] = {"HELLO", {NAME}, 0},
    [FLK_WELCOME] = {"WELCOME", {CREDIT, HEARTBEAT_MS}, 0},
    [FLK_READY] = {"READY", {CREDIT, NAME}, 0},
    [FLK_SUBMIT] = {"SUBMIT", {0}, 0},
    [FLK_WORK] = {"WORK", {DELIVERY, ATTEMPT}, 0},
    [FLK_VERDICT] = {"VERDICT", {DELIVERY, STATUS, FLAGS, KEY, CPU_US}, 2},
    [FLK_UNAVAILABLE] = {"UNAVAILABLE", {DELIVERY, RETRY_MS, NAME}, 0},
    [FLK_BUSY] = {"BUSY", {RETRY_MS, NAME}, 0},
    [FLK_PING] = {"PING", {INSTANCES}, 0},
    [FLK_PONG] = {"PONG", {KNOWN}, 0},
    [FLK_GOODBYE] = {"GOODBYE", {0}, 0},
};

static const struct shape *shape_of(uint64_t kind) {
    return kind < FLK_COUNT_OF(shapes) && shapes[kind].name != NULL ? &shapes[kind] : NULL;
}

static uint32_t fields_of(const struct shape *shape) {
    uint32_t count = 0;
    while (count < FIELDS_MAX && shape->fields[count] != 0) {
        count++;
    }
    return count;
}

const char *flk_kind_name(unsigned kind) {
    const struct shape *shape = shape_of(kind);
    return shape == NULL ? "unknown" : shape->name;
}

void flk_id_from_lsn(uint64_t log_id, uint64_t lsn, flk_id_t *id) {
    flk_put_be64(id->bytes, log_id);
    flk_put_be64(id->bytes + 8, lsn);
}

bool flk_id_to_lsn(const flk_id_t *id, uint64_t log_id, uint64_t *lsn) {
    *lsn = flk_get_be64(id->bytes + 8);
    return flk_get_be64(id->bytes) == log_id;
}

void flk_id_random(flk_id_t *id) {
    flk_put_be64(id->bytes, flk_random_u64());
    flk_put_be64(id->bytes + 8, flk_random_u64());
}

void flk_id_print(const flk_id_t *id, char out[FLK_ID_TEXT_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < FLK_ID_BYTES; i++) {
        out[2 * i] = digits[id->bytes[i] >> 4];
        out[2 * i + 1] = digits[id->bytes[i] & 15];
    }
    out[2 * FLK_ID_BYTES] = '\0';
}

bool flk_id_equal(const flk_id_t *a, const flk_id_t *b) {
    return memcmp(a->bytes, b->bytes, FLK_ID_BYTES) == 0;
}

static void put_field(msgpack_packer *packer, enum field field, const flk_frame_t *frame) {
    switch (field) {
    case DELIVERY:
        msgpack_pack_uint64(packer, frame->delivery);
        break;
    case ATTEMPT:
        msgpack_pack_uint32(packer, frame->attempt);
        break;
    case STATUS:
        msgpack_pack_uint32(packer, frame->status);
        break;
    case FLAGS:
        msgpack_pack_uint32(packer, frame->flags);
        break;
    case CREDIT:
        msgpack_pack_uint32(packer, frame->credit);
        break;
    case HEARTBEAT_MS:
        msgpack_pack_uint32(packer, frame->heartbeat_ms);
        break;
    case RETRY_MS:
        msgpack_pack_uint32(packer, frame->retry_ms);
        break;
    case KNOWN:
        frame->known ? msgpack_pack_true(packer) : msgpack_pack_false(packer);
        break;
    case NAME:
        flk_mp_put_text(packer, frame->name);
        break;
    case KEY:
        flk_mp_put_text(packer, frame->key);
        break;
    case CPU_US:
        msgpack_pack_uint32(packer, frame->cpu_us);
        break;
    case INSTANCES:
        FLK_ASSERT(frame->instances_len <= FLK_INSTANCES_MAX);
        msgpack_pack_bin_with_body(packer, frame->instances, (size_t)frame->instances_len * FLK_ID_BYTES);
        break;
    }
}

size_t flk_frame_encode(const flk_frame_t *frame, uint8_t *out) {
    const struct shape *shape = shape_of(frame->kind);
    FLK_ASSERT(shape != NULL);
    uint32_t fields_len = fields_of(shape);
    flk_mp_buffer_t buffer = {.at = out, .end = out + FLK_FRAME_BYTES + (size_t)frame->instances_len * FLK_ID_BYTES};
    msgpack_packer packer;
    msgpack_packer_init(&packer, &buffer, flk_mp_write);
    msgpack_pack_array(&packer, FIXED_ELEMENTS + fields_len);
    msgpack_pack_uint8(&packer, FLK_PROTOCOL);
    msgpack_pack_uint8(&packer, (uint8_t)frame->kind);
    msgpack_pack_bin_with_body(&packer, frame->id.bytes, FLK_ID_BYTES);
    for (uint32_t i = 0; i < fields_len; i++) {
        put_field(&packer, shape->fields[i], frame);
    }
    return (size_t)(buffer.at - out);
}

static void take_instances(flk_mp_cursor_t *cursor, flk_frame_t *frame) {
    uint32_t bytes;
    frame->instances = flk_mp_bin(cursor, &bytes);
    frame->instances_len = bytes / FLK_ID_BYTES;
    if (bytes % FLK_ID_BYTES != 0 || frame->instances_len > FLK_INSTANCES_MAX) {
        flk_mp_fail(cursor, "instances that are not whole ids, or too many");
    }
}

static void take_field(flk_mp_cursor_t *cursor, enum field field, flk_frame_t *frame) {
    switch (field) {
    case DELIVERY:
        frame->delivery = flk_mp_uint(cursor, UINT64_MAX);
        break;
    case ATTEMPT:
        frame->attempt = (uint32_t)flk_mp_uint(cursor, UINT32_MAX);
        break;
    case STATUS:
        frame->status = (uint32_t)flk_mp_uint(cursor, 599);
        break;
    case FLAGS:
        frame->flags = (uint32_t)flk_mp_uint(cursor, UINT32_MAX);
        break;
    case CREDIT:
        frame->credit = (uint32_t)flk_mp_uint(cursor, UINT32_MAX);
        break;
    case HEARTBEAT_MS:
        frame->heartbeat_ms = (uint32_t)flk_mp_uint(cursor, UINT32_MAX);
        break;
    case RETRY_MS:
        frame->retry_ms = (uint32_t)flk_mp_uint(cursor, UINT32_MAX);
        break;
    case KNOWN:
        frame->known = flk_mp_bool(cursor);
        break;
    case NAME:
        flk_mp_text(cursor, frame->name, sizeof frame->name);
        break;
    case KEY:
        flk_mp_text(cursor, frame->key, sizeof frame->key);
        break;
    case CPU_US:
        frame->cpu_us = (uint32_t)flk_mp_uint(cursor, UINT32_MAX);
        break;
    case INSTANCES:
        take_instances(cursor, frame);
        break;
    }
}

static void take_id(flk_mp_cursor_t *cursor, flk_id_t *id) {
    uint32_t len;
    const uint8_t *bytes = flk_mp_bin(cursor, &len);
    if (bytes == NULL || len != FLK_ID_BYTES) {
        flk_mp_fail(cursor, "an id that is not 16 bytes");
        return;
    }
    memcpy(id->bytes, bytes, FLK_ID_BYTES);
}

/* Passes over `elements` values and the end. */
static bool skip_rest(flk_mp_cursor_t *cursor, uint32_t elements) {
    for (; elements > 0 && cursor->error == NULL; elements--) {
        flk_mp_skip(cursor);
    }
    return flk_mp_done(cursor);
}

/* Fills the frame; FLK_E_INVALID leaves the reason in the cursor. */
static flk_err_t decode(flk_mp_cursor_t *cursor, flk_frame_t *frame) {
    uint32_t elements = flk_mp_array(cursor);
    if (elements < FIXED_ELEMENTS) {
        flk_mp_fail(cursor, "fewer than three elements");
        return FLK_E_INVALID;
    }
    uint64_t protocol = flk_mp_uint(cursor, UINT64_MAX);
    uint64_t kind = flk_mp_uint(cursor, UINT64_MAX);
    const struct shape *shape = protocol == FLK_PROTOCOL ? shape_of(kind) : NULL;
    if (shape == NULL) {
        return skip_rest(cursor, elements - 2) ? FLK_E_NOT_FOUND : FLK_E_INVALID;
    }
    frame->kind = (flk_kind_t)kind;
    take_id(cursor, &frame->id);
    elements -= FIXED_ELEMENTS;
    const size_t fields_len = fields_of(shape);
    for (size_t i = 0; i < fields_len; i++, elements--) {
        if (elements == 0 && i + shape->optional >= fields_len) {
            break;
        }
        if (elements == 0) {
            flk_mp_fail(cursor, "a field is missing");
            return FLK_E_INVALID;
        }
        take_field(cursor, shape->fields[i], frame);
    }
    return skip_rest(cursor, elements) ? FLK_OK : FLK_E_INVALID;
}

flk_err_t flk_frame_decode(const void *data, size_t data_bytes, flk_frame_t *frame, char *errmsg) {
    memset(frame, 0, sizeof *frame);
    if (data_bytes > FLK_FRAME_BYTES_MAX) {
        flk_errmsg(errmsg, "header of %zu bytes, more than %d", data_bytes, FLK_FRAME_BYTES_MAX);
        return FLK_E_INVALID;
    }
    flk_mp_cursor_t cursor;
    flk_mp_open(&cursor, data, data_bytes);
    flk_err_t err = decode(&cursor, frame);
    if (err == FLK_E_INVALID) {
        flk_errmsg(errmsg, "header is malformed: %s", cursor.error);
    } else if (err == FLK_E_NOT_FOUND) {
        flk_errmsg(errmsg, "header of a protocol or kind that is not known here");
    }
    return err;
}
