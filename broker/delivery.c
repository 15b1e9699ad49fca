/* SPDX-License-Identifier: MIT */
/* The table is a hash with chains, as large as the most deliveries that were ever held: a table of the limit's size
 * would be touched in ever new places for days. It doubles in one go, tens of milliseconds at a million; when there is
 * no memory for that, chains get longer. The hash is seeded at random: ids are the gateways' choice, and one that could
 * choose colliding ones would own the chains.
 *
 * Bodies: libzmq hands out small messages as slices of its 8 KiB receive buffers, each kept whole (18 KiB with its
 * book-keeping) by its last slice. One slow delivery would pin all of that, so a body that may be a slice is copied
 * into an allocation of its own size. */
#include "broker/delivery.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

enum {
    BUCKETS_MIN = 1024, /* powers of two */
    BUCKETS_MAX = 1 << 24,
    RECEIVE_BUFFER_BYTES = 8192, /* libzmq's; a larger message has an allocation of its own already */
};

flk_err_t flk_deliveries_init(flk_deliveries_t *table, uint64_t count_max, uint64_t bytes_max) {
    *table = (flk_deliveries_t){
        .mask = BUCKETS_MIN - 1, .seed = flk_random_u64(), .count_max = count_max, .bytes_max = bytes_max};
    table->buckets = calloc(BUCKETS_MIN, sizeof *table->buckets);
    return table->buckets == NULL ? FLK_E_NOMEM : FLK_OK;
}

void flk_deliveries_fini(flk_deliveries_t *table) {
    for (uint64_t i = 0; table->buckets != NULL && i <= table->mask; i++) {
        while (table->buckets[i] != NULL) {
            flk_deliveries_remove(table, table->buckets[i]);
        }
    }
    free(table->buckets);
    table->buckets = NULL;
}

static flk_delivery_t **bucket_of(const flk_deliveries_t *table, const flk_id_t *id) {
    return &table->buckets[XXH3_64bits_withSeed(id->bytes, FLK_ID_BYTES, table->seed) & table->mask];
}

static void hang(const flk_deliveries_t *table, flk_delivery_t *delivery) {
    flk_delivery_t **bucket = bucket_of(table, &delivery->id);
    delivery->bucket_next = *bucket;
    *bucket = delivery;
}

static void grow(flk_deliveries_t *table) {
    flk_deliveries_t larger = *table;
    larger.mask = 2 * table->mask + 1;
    larger.buckets = calloc(larger.mask + 1, sizeof *larger.buckets);
    if (larger.buckets == NULL) {
        return;
    }
    for (uint64_t i = 0; i <= table->mask; i++) {
        for (flk_delivery_t *next, *delivery = table->buckets[i]; delivery != NULL; delivery = next) {
            next = delivery->bucket_next;
            hang(&larger, delivery);
        }
    }
    free(table->buckets);
    *table = larger;
}

static flk_err_t keep_body(zmq_msg_t *kept, zmq_msg_t *body) {
    size_t body_bytes = zmq_msg_size(body);
    if (body_bytes > RECEIVE_BUFFER_BYTES) {
        zmq_msg_init(kept);
        return zmq_msg_move(kept, body) == 0 ? FLK_OK : FLK_E_NOMEM;
    }
    if (zmq_msg_init_size(kept, body_bytes) != 0) {
        return FLK_E_NOMEM;
    }
    memcpy(zmq_msg_data(kept), zmq_msg_data(body), body_bytes);
    return FLK_OK;
}

flk_err_t flk_deliveries_add(flk_deliveries_t *table, const flk_id_t *id, flk_gateway_peer_t *gateway, zmq_msg_t *body,
                             uint64_t now_ms, flk_delivery_t **delivery) {
    uint64_t body_bytes = zmq_msg_size(body);
    if (table->count >= table->count_max) {
        return FLK_E_FULL;
    }
    if (body_bytes > table->bytes_max - table->bytes) {
        return FLK_E_TOO_LARGE;
    }
    flk_delivery_t *added = malloc(sizeof *added);
    if (added == NULL) {
        return FLK_E_NOMEM;
    }
    *added = (flk_delivery_t){.id = *id, .number = ++table->last_number, .received_ms = now_ms};
    flk_err_t err = keep_body(&added->body, body);
    if (err != FLK_OK) {
        free(added);
        return err;
    }
    flk_delivery_set_gateway(added, gateway);
    hang(table, added);
    table->count++;
    if (table->count > table->mask && table->mask < BUCKETS_MAX - 1) {
        grow(table);
    }
    table->bytes += body_bytes;
    *delivery = added;
    return FLK_OK;
}

flk_delivery_t *flk_deliveries_find(const flk_deliveries_t *table, const flk_id_t *id) {
    flk_delivery_t *delivery = *bucket_of(table, id);
    while (delivery != NULL && (delivery->settled || !flk_id_equal(&delivery->id, id))) {
        delivery = delivery->bucket_next;
    }
    return delivery;
}

flk_delivery_t *flk_deliveries_find_number(const flk_deliveries_t *table, const flk_id_t *id, uint64_t number) {
    flk_delivery_t *delivery = *bucket_of(table, id);
    while (delivery != NULL && (delivery->number != number || !flk_id_equal(&delivery->id, id))) {
        delivery = delivery->bucket_next;
    }
    return delivery;
}

void flk_delivery_set_gateway(flk_delivery_t *delivery, flk_gateway_peer_t *gateway) {
    flk_gateway_peer_t *before = delivery->gateway;
    delivery->gateway = gateway;
    if (gateway != NULL) {
        gateway->deliveries++;
    }
    if (before != NULL && --before->deliveries == 0 && before->gone_ms != 0) {
        free(before);
    }
}

void flk_deliveries_settle(flk_deliveries_t *table, flk_delivery_t *delivery) {
    delivery->settled = true;
    flk_delivery_set_gateway(delivery, NULL);
    table->bytes -= zmq_msg_size(&delivery->body);
    zmq_msg_close(&delivery->body);
    zmq_msg_init(&delivery->body);
}

void flk_deliveries_remove(flk_deliveries_t *table, flk_delivery_t *delivery) {
    flk_delivery_t **link = bucket_of(table, &delivery->id);
    while (*link != delivery) {
        link = &(*link)->bucket_next;
    }
    *link = delivery->bucket_next;
    flk_delivery_set_gateway(delivery, NULL);
    table->count--;
    table->bytes -= zmq_msg_size(&delivery->body);
    zmq_msg_close(&delivery->body);
    free(delivery);
}
