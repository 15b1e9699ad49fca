/* SPDX-License-Identifier: MIT */
/* tests/data/pcs_rules.json through both readers. */
#include <stdio.h>

#include "proto/body.h"
#include "proto/msgpack.h"
#include "tests/unit/rig/pcs_vectors.h"
#include "tests/unit/rig/suite.h"

enum { BODY_BYTES = 16384 };

/* ---- JSON text -> msgpack, each value in the encoding that it has by its text ---- */

typedef struct text {
    const char *at;
    msgpack_packer packer;
} text_t;

static void pack_value(text_t *text);

static bool skip_to(text_t *text, char c) {
    text->at += strspn(text->at, " \t\r\n");
    if (*text->at != c) {
        return false;
    }
    text->at++;
    return true;
}

static void pack_string(text_t *text) {
    const char *end = text->at + 1;
    while (*end != '"') {
        end += *end == '\\' ? 2 : 1;
    }
    json_t *string = json_loadb(text->at, (size_t)(end + 1 - text->at), JSON_DECODE_ANY, NULL);
    ck_assert_ptr_nonnull(string);
    msgpack_pack_str_with_body(&text->packer, json_string_value(string), json_string_length(string));
    json_decref(string);
    text->at = end + 1;
}

static void pack_number(text_t *text) {
    size_t len = strspn(text->at, "-+.0123456789eE");
    ck_assert_uint_gt(len, 0);
    if (memchr(text->at, '.', len) != NULL || memchr(text->at, 'e', len) != NULL) {
        msgpack_pack_double(&text->packer, strtod(text->at, NULL));
    } else if (*text->at == '-') {
        msgpack_pack_int64(&text->packer, strtoll(text->at, NULL, 10));
    } else {
        msgpack_pack_uint64(&text->packer, strtoull(text->at, NULL, 10));
    }
    text->at += len;
}

/* Heads with 32-bit counts are corrected once the elements are known. */
static void pack_container(text_t *text, bool map) {
    flk_mp_buffer_t *buffer = text->packer.data;
    uint8_t *head = buffer->at;
    uint32_t count = 0;
    text->at++;
    flk_mp_write(buffer, map ? "\xdf\0\0\0" : "\xdd\0\0\0", 5);
    while (!skip_to(text, map ? '}' : ']')) {
        (void)skip_to(text, ',');
        text->at += strspn(text->at, " ");
        if (map) {
            pack_string(text);
            ck_assert(skip_to(text, ':'));
        }
        pack_value(text);
        count++;
    }
    head[3] = (uint8_t)(count >> 8);
    head[4] = (uint8_t)count;
}

static void pack_value(text_t *text) {
    text->at += strspn(text->at, " \t\r\n");
    switch (*text->at) {
    case '{':
    case '[':
        pack_container(text, *text->at == '{');
        break;
    case '"':
        pack_string(text);
        break;
    case 't':
        msgpack_pack_true(&text->packer);
        text->at += 4;
        break;
    case 'f':
        msgpack_pack_false(&text->packer);
        text->at += 5;
        break;
    case 'n':
        msgpack_pack_nil(&text->packer);
        text->at += 4;
        break;
    default:
        pack_number(text);
    }
}

static flk_err_t read_msgpack(const char *json, flk_pcs_fault_t *fault) {
    uint8_t bytes[BODY_BYTES];
    flk_mp_buffer_t buffer = {.at = bytes, .end = bytes + sizeof bytes};
    text_t text = {.at = json};
    msgpack_packer_init(&text.packer, &buffer, flk_mp_write);
    pack_value(&text);
    flk_pcs_reader_t *reader = flk_pcs_reader_new();
    flk_pcs_t pcs;
    flk_err_t err = flk_pcs_from_msgpack(reader, bytes, (size_t)(buffer.at - bytes), &pcs, fault);
    if (err == FLK_OK) {
        flk_pcs_fini(&pcs);
    }
    flk_pcs_reader_destroy(&reader);
    return err;
}

static flk_err_t read_json(const char *json, flk_pcs_fault_t *fault) {
    flk_pcs_t pcs;
    flk_err_t err = flk_pcs_from_json(json, strlen(json), &pcs, fault);
    if (err == FLK_OK) {
        flk_pcs_fini(&pcs);
    }
    return err;
}

/* ---- the rules ---- */

/* The valid PCS with one member set to a text, at the end. */
static void make_body(const json_t *valid, const char *member, const char *value, char body[BODY_BYTES]) {
    json_t *rest = json_copy((json_t *)valid);
    json_object_del(rest, member);
    char *text = json_dumps(rest, JSON_COMPACT | JSON_REAL_PRECISION(15));
    ck_assert_ptr_nonnull(text);
    text[strlen(text) - 1] = '\0'; /* the brace */
    int len = snprintf(body, BODY_BYTES, "%s,\"%s\":%s}", text, member, value);
    ck_assert_int_lt(len, BODY_BYTES);
    free(text);
    json_decref(rest);
}

static void check_rule(const char *door, const char *body, const char *field, flk_err_t err,
                       const flk_pcs_fault_t *fault) {
    if (field == NULL) {
        ck_assert_msg(err == FLK_OK, "%s: %s: %s in %s", door, fault->field, fault->reason, body);
        return;
    }
    ck_assert_msg(err == FLK_E_INVALID, "%s: %s for %s", door, flk_err_text(err), body);
    ck_assert_msg(strcmp(fault->field, field) == 0 && fault->reason[0] != '\0', "%s: field '%s' (%s), not '%s', for %s",
                  door, fault->field, fault->reason, field, body);
}

/* Each rule of the table holds for JSON and for msgpack, and both name the same member. */
START_TEST(test_pcs_rules_hold_for_both_encodings) {
    json_error_t error;
    json_t *root = json_load_file(FLK_TEST_DATA "/pcs_rules.json", JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(root != NULL, "%s", error.text);
    size_t index;
    json_t *rule;
    ck_assert_uint_gt(json_array_size(json_object_get(root, "rules")), 150);
    json_array_foreach(json_object_get(root, "rules"), index, rule) {
        char body[BODY_BYTES];
        const char *field = json_string_value(json_object_get(rule, "field"));
        flk_pcs_fault_t fault;
        make_body(json_object_get(root, "valid"), vectors_text(rule, "member"), vectors_text(rule, "value"), body);
        check_rule("JSON", body, field, read_json(body, &fault), &fault);
        if (json_object_get(rule, "door") == NULL) {
            check_rule("msgpack", body, field, read_msgpack(body, &fault), &fault);
        }
    }
    json_decref(root);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("pcs_rules");
    TCase *tcase = tcase_create("rules");
    tcase_add_test(tcase, test_pcs_rules_hold_for_both_encodings);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
