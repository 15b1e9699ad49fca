/* SPDX-License-Identifier: MIT */
#include "common/list.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/rig/suite.h"

enum { ITEMS = 24, MOVES = 3000 };

typedef struct item {
    unsigned number;
    flk_node_t node;
} item_t;

/* A list keeps its order under pushes at both ends and removal anywhere; a removed node is on none. */
START_TEST(test_list_order) {
    item_t items[4] = {{0}};
    flk_list_t list = {0};
    flk_list_push(&list, &items[1].node);
    flk_list_push(&list, &items[2].node);
    flk_list_push_front(&list, &items[0].node);
    flk_list_push(&list, &items[3].node);
    flk_list_remove(&items[2].node);
    flk_list_remove(&items[2].node);
    ck_assert_ptr_null(items[2].node.list);
    ck_assert_ptr_eq(list.first, &items[0].node);
    ck_assert_ptr_eq(list.first->next, &items[1].node);
    ck_assert_ptr_eq(list.first->next->next, &items[3].node);
    ck_assert_ptr_eq(list.last, &items[3].node);
    ck_assert_ptr_eq(list.last->prev, &items[1].node);
    ck_assert_uint_eq(list.len, 3);
    ck_assert_ptr_eq(FLK_CONTAINER_OF(list.last, item_t, node), &items[3]);
}
END_TEST

/* The array that a list should be. */
typedef struct model {
    flk_node_t *at[ITEMS];
    size_t len;
} model_t;

static void model_remove(model_t *model, const flk_node_t *node) {
    size_t kept = 0;
    for (size_t i = 0; i < model->len; i++) {
        if (model->at[i] != node) {
            model->at[kept++] = model->at[i];
        }
    }
    model->len = kept;
}

static void model_push(model_t *model, flk_node_t *node, bool front) {
    size_t at = front ? 0 : model->len;
    for (size_t i = model->len; i > at; i--) {
        model->at[i] = model->at[i - 1];
    }
    model->at[at] = node;
    model->len++;
}

static void assert_same(const flk_list_t *list, const model_t *model) {
    const flk_node_t *node = list->first, *prev = NULL;
    ck_assert_uint_eq(list->len, model->len);
    for (size_t i = 0; i < model->len; i++) {
        ck_assert_ptr_eq(node, model->at[i]);
        ck_assert_ptr_eq(node->prev, prev);
        ck_assert_ptr_eq(node->list, list);
        prev = node;
        node = node->next;
    }
    ck_assert_ptr_null(node);
    ck_assert_ptr_eq(list->last, prev);
}

/* Under any sequence of moves between two lists they stay equal to two arrays. */
START_TEST(test_list_model) {
    item_t items[ITEMS] = {{0}};
    flk_list_t lists[2] = {{0}};
    model_t models[2] = {{{0}, 0}};
    unsigned seed = (unsigned)flk_random_u64();
    printf("seed %u\n", seed);
    for (int i = 0; i < MOVES; i++) {
        flk_node_t *node = &items[(unsigned)rand_r(&seed) % ITEMS].node;
        unsigned what = (unsigned)rand_r(&seed) % 6, which = what % 2;
        model_remove(&models[0], node);
        model_remove(&models[1], node);
        if (what < 2) {
            flk_list_remove(node);
        } else if (what < 4) {
            flk_list_push(&lists[which], node);
            model_push(&models[which], node, false);
        } else {
            flk_list_push_front(&lists[which], node);
            model_push(&models[which], node, true);
        }
        assert_same(&lists[0], &models[0]);
        assert_same(&lists[1], &models[1]);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("list");
    TCase *tcase = tcase_create("list");
    tcase_add_test(tcase, test_list_order);
    tcase_add_test(tcase, test_list_model);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
