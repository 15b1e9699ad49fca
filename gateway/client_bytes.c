/* SPDX-License-Identifier: MIT */
/* A hash table of theoretical arrival times (GCRA, as in throttle.h), keyed by a secret so that no client can choose
 * its place. A client without debt needs no entry. Where all entries that a client may have are in use, it takes the
 * one with the least debt: a stranger with many addresses can only make the table forget small debts. */
#include "gateway/client_bytes.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES = 8192, PROBES = 8, NS_PER_MS = 1000000 };
#define NS_PER_S UINT64_C(1000000000)

typedef struct entry {
    flk_http_peer_t client;
    uint64_t full_ns; /* when its bucket is full again; in the past: the entry is free */
} entry_t;

struct flk_client_bytes {
    uint64_t rate_per_s;
    uint8_t key[crypto_shorthash_KEYBYTES];
    pthread_mutex_t mutex; /* guards the fields below */
    entry_t entries[ENTRIES];
};

flk_client_bytes_t *flk_client_bytes_new(uint64_t rate_per_s) {
    if (rate_per_s == 0) {
        return NULL;
    }
    flk_client_bytes_t *clients = flk_start_alloc(sizeof *clients);
    clients->rate_per_s = rate_per_s;
    crypto_shorthash_keygen(clients->key);
    pthread_mutex_init(&clients->mutex, NULL);
    return clients;
}

void flk_client_bytes_destroy(flk_client_bytes_t **clients) {
    if (*clients != NULL) {
        pthread_mutex_destroy(&(*clients)->mutex);
        free(*clients);
        *clients = NULL;
    }
}

/* Its own entry, or the one that it may take. The mutex is held. */
static entry_t *find(flk_client_bytes_t *clients, const flk_http_peer_t *client) {
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t first;
    crypto_shorthash(hash, client->bytes, sizeof client->bytes, clients->key);
    memcpy(&first, hash, sizeof first);
    entry_t *least = &clients->entries[first % ENTRIES];
    for (unsigned i = 0; i < PROBES; i++) {
        entry_t *entry = &clients->entries[(first + i) % ENTRIES];
        if (flk_http_peer_equal(&entry->client, client)) {
            return entry;
        }
        least = entry->full_ns < least->full_ns ? entry : least;
    }
    return least;
}

bool flk_client_bytes_may(flk_client_bytes_t *clients, const flk_http_peer_t *client, uint64_t now_ns,
                          uint32_t *retry_ms) {
    if (clients == NULL) {
        return true;
    }
    pthread_mutex_lock(&clients->mutex);
    const entry_t *entry = find(clients, client);
    uint64_t full_ns = flk_http_peer_equal(&entry->client, client) ? entry->full_ns : 0;
    pthread_mutex_unlock(&clients->mutex);
    if (full_ns <= now_ns + NS_PER_S) {
        return true;
    }
    *retry_ms = (uint32_t)((full_ns - now_ns - NS_PER_S) / NS_PER_MS) + 1;
    return false;
}

void flk_client_bytes_take(flk_client_bytes_t *clients, const flk_http_peer_t *client, uint64_t bytes,
                           uint64_t now_ns) {
    if (clients == NULL) {
        return;
    }
    pthread_mutex_lock(&clients->mutex);
    entry_t *entry = find(clients, client);
    bool known = flk_http_peer_equal(&entry->client, client) && entry->full_ns > now_ns;
    entry->client = *client;
    entry->full_ns = (known ? entry->full_ns : now_ns) + bytes * NS_PER_S / clients->rate_per_s;
    pthread_mutex_unlock(&clients->mutex);
}
