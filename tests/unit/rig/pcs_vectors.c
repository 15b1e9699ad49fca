/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/pcs_vectors.h"

json_t *vectors_load(const char *name) {
    char path[512];
    snprintf(path, sizeof path, FLK_TEST_DATA "/vectors/%s", name);
    json_error_t error;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(root != NULL, "%s:%d: %s", path, error.line, error.text);
    return root;
}

double vectors_number(const json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_number(value), "%s is not a number", key);
    return json_number_value(value);
}

const char *vectors_text(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    ck_assert_msg(text != NULL, "%s is not a string", key);
    return text;
}

void vectors_read_pcs(const json_t *value, flk_pcs_t *pcs) {
    char *text = json_dumps(value, JSON_COMPACT);
    ck_assert_ptr_nonnull(text);
    flk_pcs_fault_t fault;
    flk_err_t err = flk_pcs_from_json(text, strlen(text), pcs, &fault);
    ck_assert_msg(err == FLK_OK, "%s: %s: %s", flk_err_text(err), fault.field, fault.reason);
    free(text);
}

flk_pcs_t vectors_subset_pcs(const json_t *subset) {
    flk_pcs_t pcs;
    flk_pcs_init(&pcs);
    strcpy(pcs.merkle_root, vectors_text(subset, "merkle_root"));
    strcpy(pcs.shard_id, vectors_text(subset, "shard_id"));
    pcs.epoch = (uint64_t)vectors_number(subset, "epoch");
    pcs.d_hat = vectors_number(subset, "D_hat");
    pcs.coh_star = vectors_number(subset, "coh_star");
    pcs.r = vectors_number(subset, "r");
    pcs.budget = vectors_number(subset, "budget");
    flk_pcs_set_id(&pcs);
    ck_assert_str_eq(pcs.id, vectors_text(subset, "pcs_id"));
    return pcs;
}

flk_pcs_t pcs_to_sign(void) {
    flk_pcs_t pcs;
    flk_pcs_init(&pcs);
    strcpy(pcs.merkle_root, "00ff");
    strcpy(pcs.shard_id, "shard-001");
    pcs.epoch = 7;
    pcs.d_hat = 1;
    pcs.coh_star = 0.123456789;
    pcs.r = 0.5;
    pcs.budget = 0.25;
    flk_pcs_set_id(&pcs);
    return pcs;
}
