/* SPDX-License-Identifier: MIT */
/* The same PCS through both doors: a JSON text, and the msgpack that says the same, are both refused with the same
 * words or both read to the same. The msgpack is packed by msgpack-c from a tree that jansson made, so neither of our
 * readers is its own judge. */
#include <jansson.h>
#include <msgpack.h>

#include "proto/body.h"
#include "tests/fuzz/fuzz.h"

static void pack(msgpack_packer *packer, const json_t *value);

static void pack_text(msgpack_packer *packer, const char *text, size_t text_bytes) {
    msgpack_pack_str(packer, text_bytes);
    msgpack_pack_str_body(packer, text, text_bytes);
}

static void pack_map(msgpack_packer *packer, json_t *map) {
    msgpack_pack_map(packer, json_object_size(map));
    for (void *at = json_object_iter(map); at != NULL; at = json_object_iter_next(map, at)) {
        pack_text(packer, json_object_iter_key(at), strlen(json_object_iter_key(at)));
        pack(packer, json_object_iter_value(at));
    }
}

static void pack(msgpack_packer *packer, const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        pack_map(packer, (json_t *)value);
        break;
    case JSON_ARRAY:
        msgpack_pack_array(packer, json_array_size(value));
        for (size_t i = 0; i < json_array_size(value); i++) {
            pack(packer, json_array_get(value, i));
        }
        break;
    case JSON_STRING:
        pack_text(packer, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        msgpack_pack_int64(packer, json_integer_value(value));
        break;
    case JSON_REAL:
        msgpack_pack_double(packer, json_real_value(value));
        break;
    case JSON_TRUE:
        msgpack_pack_true(packer);
        break;
    case JSON_FALSE:
        msgpack_pack_false(packer);
        break;
    case JSON_NULL:
        msgpack_pack_nil(packer);
        break;
    }
}

static void compare(const uint8_t *data, size_t data_bytes, const msgpack_sbuffer *packed) {
    static flk_pcs_reader_t *reader;
    if (reader == NULL) {
        reader = flk_pcs_reader_new();
        FLK_ASSERT(reader != NULL);
    }
    flk_pcs_t text, binary;
    flk_pcs_fault_t text_fault = {0}, binary_fault = {0};
    flk_err_t text_err = flk_pcs_from_json((const char *)data, data_bytes, &text, &text_fault);
    flk_err_t binary_err = flk_pcs_from_msgpack(reader, packed->data, packed->size, &binary, &binary_fault);
    FLK_ASSERT(text_err == binary_err);
    FLK_ASSERT(strcmp(text_fault.field, binary_fault.field) == 0 &&
               strcmp(text_fault.reason, binary_fault.reason) == 0);
    if (text_err == FLK_OK) {
        uint8_t digests[2][FLK_DIGEST_BYTES];
        fuzz_check_pcs(&text, digests[0]);
        fuzz_check_pcs(&binary, digests[1]);
        FLK_ASSERT(memcmp(digests[0], digests[1], FLK_DIGEST_BYTES) == 0);
        FLK_ASSERT(strcmp(text.id, binary.id) == 0 && strcmp(text.sig, binary.sig) == 0);
        flk_pcs_fini(&text);
        flk_pcs_fini(&binary);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes) {
    if (data_bytes > FLK_PCS_BODY_BYTES_MAX ||
        memchr(data, '\0', data_bytes) != NULL) { /* jansson takes NUL for white space */
        return -1;
    }
    json_t *tree = json_loadb((const char *)data, data_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    if (tree == NULL) { /* no JSON, or with something that msgpack cannot say twice */
        return -1;
    }
    msgpack_sbuffer packed;
    msgpack_packer packer;
    msgpack_sbuffer_init(&packed);
    msgpack_packer_init(&packer, &packed, msgpack_sbuffer_write);
    pack(&packer, tree);
    json_decref(tree);
    compare(data, data_bytes, &packed);
    msgpack_sbuffer_destroy(&packed);
    return 0;
}
