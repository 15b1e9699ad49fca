/* SPDX-License-Identifier: MIT */
#include "broker/turns.h"

static void unlink_gateway(flk_turns_t *turns, flk_gateway_peer_t *gateway) {
    *(gateway->turn_prev == NULL ? &turns->first : &gateway->turn_prev->turn_next) = gateway->turn_next;
    *(gateway->turn_next == NULL ? &turns->last : &gateway->turn_next->turn_prev) = gateway->turn_prev;
}

static void link_last(flk_turns_t *turns, flk_gateway_peer_t *gateway) {
    gateway->turn_next = NULL;
    gateway->turn_prev = turns->last;
    *(turns->last == NULL ? &turns->first : &turns->last->turn_next) = gateway;
    turns->last = gateway;
}

static void link_first(flk_turns_t *turns, flk_gateway_peer_t *gateway) {
    gateway->turn_prev = NULL;
    gateway->turn_next = turns->first;
    *(turns->first == NULL ? &turns->last : &turns->first->turn_prev) = gateway;
    turns->first = gateway;
}

void flk_turns_push(flk_turns_t *turns, flk_delivery_t *delivery) {
    flk_gateway_peer_t *gateway = delivery->gateway;
    if (gateway->waiting.count == 0) {
        link_last(turns, gateway);
    }
    flk_queue_push(&gateway->waiting, delivery);
    turns->count++;
}

void flk_turns_push_front(flk_turns_t *turns, flk_delivery_t *delivery) {
    flk_gateway_peer_t *gateway = delivery->gateway;
    if (gateway->waiting.count > 0) {
        unlink_gateway(turns, gateway);
    }
    link_first(turns, gateway);
    flk_queue_push_front(&gateway->waiting, delivery);
    turns->count++;
}

void flk_turns_remove(flk_turns_t *turns, flk_delivery_t *delivery) {
    flk_gateway_peer_t *gateway = delivery->gateway;
    flk_queue_remove(&gateway->waiting, delivery);
    turns->count--;
    if (gateway->waiting.count == 0) {
        unlink_gateway(turns, gateway);
    }
}

flk_delivery_t *flk_turns_pop(flk_turns_t *turns) {
    flk_gateway_peer_t *gateway = turns->first;
    if (gateway == NULL) {
        return NULL;
    }
    unlink_gateway(turns, gateway);
    flk_delivery_t *delivery = flk_queue_pop(&gateway->waiting);
    turns->count--;
    if (gateway->waiting.count > 0) {
        link_last(turns, gateway);
    }
    return delivery;
}

uint64_t flk_turns_oldest_ms(const flk_turns_t *turns) {
    uint64_t oldest_ms = 0;
    for (const flk_gateway_peer_t *gateway = turns->first; gateway != NULL; gateway = gateway->turn_next) {
        uint64_t received_ms = gateway->waiting.head->received_ms;
        oldest_ms = oldest_ms == 0 || received_ms < oldest_ms ? received_ms : oldest_ms;
    }
    return oldest_ms;
}
