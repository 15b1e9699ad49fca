/* SPDX-License-Identifier: MIT */
#include "common/list.h"

/* Between two neighbours, each of which may be missing. */
static void put(flk_list_t *list, flk_node_t *node, flk_node_t *prev, flk_node_t *next) {
    *node = (flk_node_t){.prev = prev, .next = next, .list = list};
    *(prev != NULL ? &prev->next : &list->first) = node;
    *(next != NULL ? &next->prev : &list->last) = node;
    list->len++;
}

void flk_list_push(flk_list_t *list, flk_node_t *node) {
    flk_list_remove(node);
    put(list, node, list->last, NULL);
}

void flk_list_push_front(flk_list_t *list, flk_node_t *node) {
    flk_list_remove(node);
    put(list, node, NULL, list->first);
}

void flk_list_remove(flk_node_t *node) {
    flk_list_t *list = node->list;
    if (list == NULL) {
        return;
    }
    *(node->prev != NULL ? &node->prev->next : &list->first) = node->next;
    *(node->next != NULL ? &node->next->prev : &list->last) = node->prev;
    list->len--;
    *node = (flk_node_t){0};
}
