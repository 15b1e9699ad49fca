/* SPDX-License-Identifier: MIT */
#include "broker/queue.h"

#include "broker/delivery.h"

void flk_queue_push(flk_queue_t *queue, flk_delivery_t *delivery) {
    delivery->next = NULL;
    delivery->prev = queue->tail;
    *(queue->tail == NULL ? &queue->head : &queue->tail->next) = delivery;
    queue->tail = delivery;
    queue->count++;
}

void flk_queue_push_front(flk_queue_t *queue, flk_delivery_t *delivery) {
    delivery->prev = NULL;
    delivery->next = queue->head;
    *(queue->head == NULL ? &queue->tail : &queue->head->prev) = delivery;
    queue->head = delivery;
    queue->count++;
}

void flk_queue_remove(flk_queue_t *queue, flk_delivery_t *delivery) {
    FLK_ASSERT(queue->count > 0);
    *(delivery->prev == NULL ? &queue->head : &delivery->prev->next) = delivery->next;
    *(delivery->next == NULL ? &queue->tail : &delivery->next->prev) = delivery->prev;
    delivery->prev = delivery->next = NULL;
    queue->count--;
}

static flk_delivery_t *take_delivery(flk_queue_t *queue, flk_delivery_t *delivery) {
    if (delivery != NULL) {
        flk_queue_remove(queue, delivery);
    }
    return delivery;
}

flk_delivery_t *flk_queue_pop(flk_queue_t *queue) {
    return take_delivery(queue, queue->head);
}

flk_delivery_t *flk_queue_pop_last(flk_queue_t *queue) {
    return take_delivery(queue, queue->tail);
}
